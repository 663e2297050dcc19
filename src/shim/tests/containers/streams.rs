//! What goes into containers and execs, and what comes out.

use crate::Test;
use crate::pod::{Container, Pod, read_all};
use cri::wire::*;
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

pub const TESTS: &[Test] = &[
    ("exec_gives_output_and_exit_code", exec_gives_output_and_exit_code),
    ("exec_is_in_the_container_as_the_user_it_names", exec_is_in_the_container_as_the_user_it_names),
    ("exec_is_in_all_cgroups_of_the_container", exec_is_in_all_cgroups_of_the_container),
    ("an_exec_beside_a_user_s_process", an_exec_beside_a_user_s_process),
    ("an_exec_that_fails_says_why", an_exec_that_fails_says_why),
    ("an_exec_with_a_terminal", an_exec_with_a_terminal),
    ("an_exec_keeps_to_the_container_s_filter", an_exec_keeps_to_the_container_s_filter),
    ("stdin_is_closed_after_the_one_client", stdin_is_closed_after_the_one_client),
    ("stdin_stays_open_between_clients", stdin_stays_open_between_clients),
    ("a_container_with_a_terminal", a_container_with_a_terminal),
    ("a_slow_client_stops_nobody", a_slow_client_stops_nobody),
    ("no_line_is_lost_at_the_end", no_line_is_lost_at_the_end),
    ("a_rotated_log_begins_anew", a_rotated_log_begins_anew),
    ("another_user_can_reopen_its_output", another_user_can_reopen_its_output),
    ("the_machine_s_null_device_stays_root_s", the_machine_s_null_device_stays_root_s),
    ("an_exec_opens_nothing_in_place_of_the_null_device", an_exec_opens_nothing_in_place_of_the_null_device),
    ("an_exec_has_none_of_the_machine_s_rights", an_exec_has_none_of_the_machine_s_rights),
    ("an_exec_with_a_terminal_has_no_file_of_the_shim_s", an_exec_with_a_terminal_has_no_file_of_the_shim_s),
];

fn command(exec: u64, args: &[&str]) -> ExecRequest {
    ExecRequest {
        exec,
        args: args.iter().map(|arg| arg.to_string()).collect(),
        env: vec!["PATH=/bin".into()],
        cwd: "/".into(),
        stdout: true,
        stderr: true,
        ..Default::default()
    }
}

fn output(pod: &mut Pod, container: &Container, request: ExecRequest) -> (String, String, i32) {
    let exec = request.exec;
    let (_, ends) = pod.exec(container, request).expect("exec");
    let [(StreamFd::Stdout, out), (StreamFd::Stderr, err)] = <[_; 2]>::try_from(ends).unwrap() else {
        panic!("ends")
    };
    (read_all(out), read_all(err), pod.exec_exit(exec))
}

fn exec_gives_output_and_exit_code() {
    let mut pod = Pod::start();
    let container = pod.run(&["sleep", "1000"]);
    for (script, want) in [
        ("echo out; echo err >&2; exit 3", ("out\n", "err\n", 3)),
        ("kill -9 $$", ("", "", 137)),
        ("true", ("", "", 0)),
    ] {
        let (out, err, code) = output(&mut pod, &container, command(code_for(script), &["sh", "-c", script]));
        assert_eq!((out.as_str(), err.as_str(), code), want, "{script}");
    }
    let mut request = command(99, &["tr", "a-z", "A-Z"]);
    request.stdin = true;
    let (_, ends) = pod.exec(&container, request).unwrap();
    let mut ends = ends.into_iter().map(|(_, end)| end);
    let mut stdin = File::from(ends.next().unwrap());
    let text = "some text\n".repeat(100_000);
    let writer = std::thread::spawn({
        let text = text.clone();
        move || stdin.write_all(text.as_bytes()).unwrap()
    });
    assert!(read_all(ends.next().unwrap()) == text.to_uppercase());
    writer.join().unwrap();
    assert_eq!(pod.exec_exit(99), 0);
}

fn code_for(script: &str) -> u64 {
    script.len() as u64
}

fn exec_is_in_the_container_as_the_user_it_names() {
    let mut pod = Pod::start();
    let container = pod.run(&["sleep", "1000"]);
    let script = "id; pwd; echo $X; hostname; ulimit -n; grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status; \
                  cat /proc/self/cgroup | grep -c monopod-shim-test;";
    let mut request = command(1, &["sh", "-c", script]);
    request.env.push("X=y z".into());
    (request.uid, request.gid, request.groups) = (1000, 1001, vec![1001, 7]);
    (request.cwd, request.capabilities, request.no_new_privileges) = ("/tmp".into(), 0x21, true);
    let (out, err, _) = output(&mut pod, &container, request);
    assert_eq!(err, "");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..5], ["uid=1000 gid=1001 groups=7,1001", "/tmp", "y z", "web-0", "500"]);
    let status = ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000021", "NoNewPrivs:\t1"];
    assert_eq!(lines[5..8], status);
    assert_ne!(lines[8], "0", "in the container's cgroups");
    // the fourth is the directory that ls reads
    let (out, _, _) = output(&mut pod, &container, command(3, &["ls", "/proc/self/fd"]));
    assert_eq!(out, "0\n1\n2\n3\n");
    let mut request = command(2, &["grep", "-E", "Cap(Eff|Inh|Amb)", "/proc/self/status"]);
    request.capabilities = 0x21;
    let (out, _, _) = output(&mut pod, &container, request);
    assert_eq!(out, "CapInh:\t0000000000000000\nCapEff:\t0000000000000021\nCapAmb:\t0000000000000000\n");
}

/// Whose process it is says nothing about the limits: they are the container's.
fn exec_is_in_all_cgroups_of_the_container() {
    let mut pod = Pod::start();
    let container = pod.run(&["sleep", "1000"]);
    let (pid, _ends) = pod.exec(&container, command(1, &["sleep", "1000"])).expect("exec");
    assert!(!container.request.cgroup.dirs.is_empty());
    for directory in &container.request.cgroup.dirs {
        let members = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap();
        assert!(members.lines().any(|line| line == pid.to_string()), "{}: {members}", directory.display());
    }
}

fn an_exec_beside_a_user_s_process() {
    let mut pod = Pod::start();
    let mut plan = pod.plan(&["sh", "-c", "ulimit -n 50; exec sleep 1000"]);
    plan.spec["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let container = pod.create(plan).unwrap();
    pod.start_container(&container);
    for (exec, uid) in [(1, 1000), (2, 0)] {
        let mut request = command(exec, &["sh", "-c", "ulimit -n"]);
        request.uid = uid;
        let (out, err, _) = output(&mut pod, &container, request);
        assert_eq!((out.as_str(), err.as_str()), ("500\n", ""));
    }
}

fn an_exec_that_fails_says_why() {
    let mut pod = Pod::start();
    let plan = pod.plan(&["sleep", "1000"]);
    let container = pod.create(plan).unwrap();
    let early = pod.exec(&container, command(1, &["true"]));
    assert_eq!(early.err().as_deref(), Some("the container is not running"));
    pod.start_container(&container);
    let mut lost = command(3, &["true"]);
    lost.cwd = "/nowhere".into();
    for (request, want) in [
        (command(2, &["foo"]), "exec: \"foo\": executable file not found in $PATH"),
        (lost, "chdir to cwd (\"/nowhere\") set in config.json failed: no such file or directory"),
    ] {
        assert_eq!(pod.exec(&container, request).err().as_deref(), Some(want));
    }
}

fn an_exec_with_a_terminal() {
    let mut pod = Pod::start();
    let container = pod.run(&["sleep", "1000"]);
    let mut request = command(1, &["sh", "-c", "stty size; read line; echo got $line; stty size; exit 4"]);
    (request.tty, request.terminal_size) = (true, Some((100, 30)));
    let (_, ends) = pod.exec(&container, request).unwrap();
    let [(StreamFd::Terminal, master)] = <[_; 1]>::try_from(ends).unwrap() else { panic!("ends") };
    let mut terminal = File::from(master);
    read_until(&mut terminal, "30 100\r\n");
    terminal.write_all(b"hello\n").unwrap();
    read_until(&mut terminal, "got hello\r\n");
    assert_eq!(pod.exec_exit(1), 4);
}

fn an_exec_keeps_to_the_container_s_filter() {
    let mut pod = Pod::start();
    let mut plan = pod.plan(&["sleep", "1000"]);
    plan.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    });
    let container = pod.create(plan).unwrap();
    pod.start_container(&container);
    for (exec, uid, nnp) in [(1, 0, false), (2, 0, true), (3, 1000, false), (4, 1000, true)] {
        let mut request = command(exec, &["/bin/busybox", "mkdir", "/tmp/x"]);
        (request.seccomp, request.uid, request.no_new_privileges) = (true, uid, nnp);
        let (_, err, code) = output(&mut pod, &container, request);
        assert_eq!((err.contains("Operation not permitted"), code), (true, 1), "{exec}: {err}");
    }
    let (_, _, code) = output(&mut pod, &container, command(5, &["/bin/busybox", "mkdir", "/tmp/x"]));
    assert_eq!(code, 0, "without a filter it may");
}

fn attach(pod: &mut Pod, container: &Container, stdin: bool) -> Vec<(StreamFd, OwnedFd)> {
    let request = Request::Attach { container: container.id.clone(), stdin, stdout: true, stderr: true };
    let (reply, ends) = pod.shim.streams(request).expect("attach");
    let Reply::Streams { fds, .. } = reply else { panic!("{reply:?}") };
    fds.into_iter().zip(ends).collect()
}

fn with_stdin(pod: &mut Pod, once: bool, args: &[&str]) -> Container {
    let mut plan = pod.plan(args);
    (plan.request.stdin, plan.request.stdin_once) = (true, once);
    pod.create(plan).unwrap()
}

fn take(ends: &mut Vec<(StreamFd, OwnedFd)>, name: StreamFd) -> OwnedFd {
    let at = ends.iter().position(|(of, _)| *of == name).expect("the stream");
    ends.remove(at).1
}

fn stdin_is_closed_after_the_one_client() {
    let mut pod = Pod::start();
    let container = with_stdin(&mut pod, true, &["sh", "-c", "wc -c; echo done"]);
    let mut ends = attach(&mut pod, &container, true);
    pod.start_container(&container);
    let mut stdin = File::from(take(&mut ends, StreamFd::Stdin));
    stdin.write_all(&vec![b'x'; 1 << 20]).unwrap();
    // a half-close: what it says after its input has ended still comes
    drop(stdin);
    assert_eq!(read_all(take(&mut ends, StreamFd::Stdout)), format!("{}\ndone\n", 1 << 20));
    assert_eq!(pod.exit(&container).exit_code, 0);
}

fn stdin_stays_open_between_clients() {
    let mut pod = Pod::start();
    let container = with_stdin(&mut pod, false, &["sh", "-c", "read a; read b; echo $a$b"]);
    pod.start_container(&container);
    for text in ["one\n", "two\n"] {
        let mut ends = attach(&mut pod, &container, true);
        File::from(take(&mut ends, StreamFd::Stdin)).write_all(text.as_bytes()).unwrap();
    }
    assert_eq!(pod.exit(&container).exit_code, 0);
    assert_eq!(container.log_lines(), ["stdout F onetwo"]);
}

fn a_container_with_a_terminal() {
    let mut pod = Pod::start();
    let mut plan = pod.plan(&["sh", "-c", "read line; stty size; echo got $line; tty 2>/dev/null; exit 6"]);
    (plan.request.stdin, plan.request.tty) = (true, true);
    let container = pod.create(plan).unwrap();
    let mut ends = attach(&mut pod, &container, true);
    pod.start_container(&container);
    let id = container.id.clone();
    pod.shim.call(Request::Resize { container: id, width: 120, height: 40 }).unwrap();
    let mut stdin = File::from(take(&mut ends, StreamFd::Stdin));
    stdin.write_all(b"hi\n").unwrap();
    let mut stdout = File::from(take(&mut ends, StreamFd::Stdout));
    read_until(&mut stdout, "40 120\r\ngot hi\r\n");
    assert_eq!(pod.exit(&container).exit_code, 6);
    assert!(container.log_lines().contains(&"stdout F got hi\r".to_owned()), "{}", container.log());
}

fn a_slow_client_stops_nobody() {
    let mut pod = Pod::start();
    let plan = pod.plan(&["sh", "-c", "dd if=/dev/zero bs=64k count=256 2>/dev/null | tr '\\0' x"]);
    let container = pod.create(plan).unwrap();
    let mut slow = attach(&mut pod, &container, false);
    pod.start_container(&container);
    assert_eq!(pod.exit(&container).exit_code, 0);
    let seen = read_all(take(&mut slow, StreamFd::Stdout)).len();
    assert!(seen > 0 && seen < 16 << 20, "it was cut off: {seen}");
    let logged: usize =
        container.log_lines().iter().map(|line| line.strip_prefix("stdout P ").unwrap().len()).sum();
    assert_eq!(logged, 16 << 20);
}

fn no_line_is_lost_at_the_end() {
    let mut pod = Pod::start();
    for _ in 0..10 {
        let container =
            pod.run(&["sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"]);
        pod.exit(&container);
        let lines = container.log_lines();
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (3000, Some("stdout F line 2999")));
        pod.remove(&container);
    }
}

fn a_rotated_log_begins_anew() {
    let mut pod = Pod::start();
    let container = with_stdin(&mut pod, false, &["cat"]);
    let mut ends = attach(&mut pod, &container, true);
    pod.start_container(&container);
    let mut stdin = File::from(take(&mut ends, StreamFd::Stdin));
    let mut stdout = File::from(take(&mut ends, StreamFd::Stdout));
    let old = container.request.log_path.with_extension("old");
    stdin.write_all(b"before\n").unwrap();
    read_until(&mut stdout, "before\n");
    std::fs::rename(&container.request.log_path, &old).unwrap();
    pod.shim.call(Request::ReopenLog { container: container.id.clone() }).unwrap();
    stdin.write_all(b"after\n").unwrap();
    read_until(&mut stdout, "after\n");
    pod.signal(&container, 9);
    pod.exit(&container);
    assert_eq!(container.log_lines(), ["stdout F after"]);
    assert!(std::fs::read_to_string(old).unwrap().ends_with("stdout F before\n"));
}

fn another_user_can_reopen_its_output() {
    let mut pod = Pod::start();
    let mut plan = pod.plan(&["sh", "-c", "id -u; echo again > /proc/self/fd/1; echo worse > /dev/stderr"]);
    plan.spec["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let container = pod.create(plan).unwrap();
    pod.start_container(&container);
    assert_eq!(pod.exit(&container).exit_code, 0, "{}", container.log());
    let mut lines = container.log_lines();
    lines.sort();
    assert_eq!(lines, ["stderr F worse", "stdout F 1000", "stdout F again"]);
}

fn read_until(from: &mut File, end: &str) -> String {
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with(end) {
        match from.read(&mut byte) {
            Ok(1) => text.push(byte[0] as char),
            other => panic!("{other:?} after {text:?}, before {end:?}"),
        }
    }
    text
}

/// Without input a container begins with the machine's own: whom that belongs to may close it to everybody.
fn the_machine_s_null_device_stays_root_s() {
    use nix::mount::{MsFlags, mount};
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    // one that nobody else has: other tests run as well
    let (devices, null) = (std::path::Path::new("/mnt"), std::path::Path::new("/mnt/null"));
    mount(Some("test"), devices, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    mknod(null, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
    mount(Some(null), "/dev/null", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let mut pod = Pod::start();
    let mut plan = pod.plan(&["id", "-u"]);
    plan.spec["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let container = pod.create(plan).expect("create");
    pod.start_container(&container);
    assert_eq!(pod.exit(&container).exit_code, 0);
    assert_eq!(container.log_lines(), ["stdout F 1000"]);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/dev/null").unwrap()), 0);
}

/// Who begins an exec may open what the container may not: here the kernel's log, which the exec would have for its input.
fn an_exec_opens_nothing_in_place_of_the_null_device() {
    let mut pod = Pod::start();
    for (exec, in_its_place) in
        (1..).zip(["ln -s /proc/kmsg /dev/null", "ln -s zero /dev/null", "touch /dev/null"])
    {
        let script = format!("busybox rm /dev/null; busybox {in_its_place}; echo ready; exec sleep 1000");
        let container = pod.run(&["sh", "-c", &script]);
        while container.log_lines().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(container.log_lines(), ["stdout F ready"]);
        let why = pod.exec(&container, command(exec, &["true"])).map(drop).unwrap_err();
        assert!(why.starts_with("open /dev/null: "), "{in_its_place}: {why}");
    }
}

/// The attack: with CAP_SYS_PTRACE the container's process takes over one that begins in its PID namespace, and makes use of what that
/// one still may.
fn an_exec_has_none_of_the_machine_s_rights() {
    const OWN: &str = "00000000000004e1";
    const NONE: &str = "0000000000000000";
    let watch = format!(
        "echo watching; while :; do for status in /proc/[0-9]*/status; do while read -r name value; do \
         case $name$value in CapEff:{OWN}|CapEff:{NONE}) ;; CapEff:*) echo $value;; esac; \
         done < $status; done; done 2>/dev/null"
    );
    let mut pod = Pod::start();
    let container = pod.run(&["sh", "-c", &watch]);
    while container.log_lines().is_empty() {
        std::thread::yield_now();
    }
    // each of them was seen some four times
    for exec in 0..30 {
        let mut request = command(exec, &["true"]);
        request.tty = exec % 2 == 0;
        pod.exec(&container, request).map(drop).expect("exec");
        pod.exec_exit(exec);
    }
    assert_eq!(container.log_lines(), ["stdout F watching"]);
}

/// What the same process could take of it: descriptors. The shim's own output is a file of the machine's.
fn an_exec_with_a_terminal_has_no_file_of_the_shim_s() {
    const WATCH: &str = "echo watching; while :; do for fd in /proc/[0-9]*/fd/[012]; do \
         [ -f $fd ] && echo $fd; done; done 2>/dev/null";
    let mut pod = Pod::start();
    let mut plan = pod.plan(&["sh", "-c", WATCH]);
    let caps = json!(["CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_PTRACE"]);
    plan.spec["process"]["capabilities"] = json!({"bounding": caps, "effective": caps, "permitted": caps});
    let container = pod.create(plan).expect("create");
    pod.start_container(&container);
    while container.log_lines().is_empty() {
        std::thread::yield_now();
    }
    for exec in 0..30 {
        let request = ExecRequest { tty: true, ..command(exec, &["true"]) };
        pod.exec(&container, request).map(drop).expect("exec");
        pod.exec_exit(exec);
    }
    assert_eq!(container.log_lines(), ["stdout F watching"]);
}
