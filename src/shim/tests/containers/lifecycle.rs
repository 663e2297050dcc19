//! From create to remove, and what is left.

use crate::Test;
use crate::connection::Connection;
use crate::pod::Pod;
use cri::wire::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::fs;

pub const TESTS: &[Test] = &[
    ("runs_logs_and_reports_its_exit", runs_logs_and_reports_its_exit),
    ("a_create_that_fails_says_why_and_leaves_nothing", a_create_that_fails_says_why_and_leaves_nothing),
    (
        "a_program_that_the_kernel_refuses_says_so_in_the_log",
        a_program_that_the_kernel_refuses_says_so_in_the_log,
    ),
    ("signals_end_containers_with_128_and_the_number", signals_end_containers_with_128_and_the_number),
    (
        "a_shim_that_is_told_to_end_asks_its_containers_first",
        a_shim_that_is_told_to_end_asks_its_containers_first,
    ),
    ("the_shim_outlives_its_client_and_remembers", the_shim_outlives_its_client_and_remembers),
    ("out_of_memory_is_told", out_of_memory_is_told),
    ("remove_leaves_no_mount_and_no_cgroup", remove_leaves_no_mount_and_no_cgroup),
    ("a_start_is_answered_when_the_program_is_there", a_start_is_answered_when_the_program_is_there),
    ("what_is_removed_while_it_is_made_goes", what_is_removed_while_it_is_made_goes),
    (
        "what_is_held_for_a_container_is_open_as_long_as_it_runs",
        what_is_held_for_a_container_is_open_as_long_as_it_runs,
    ),
    ("a_container_is_born_in_its_cgroups_and_sees_them", a_container_is_born_in_its_cgroups_and_sees_them),
    ("many_layers_stack", many_layers_stack),
    ("many_at_once_leave_nothing_open", many_at_once_leave_nothing_open),
    ("signals_and_limits_are_clean_in_the_container", signals_and_limits_are_clean_in_the_container),
];

fn runs_logs_and_reports_its_exit() {
    let mut pod = Pod::start();
    let container = pod.run(&["sh", "-c", "echo out; echo err >&2; printf rest; exit 7"]);
    let exit = pod.exit(&container);
    assert_eq!((exit.exit_code, exit.oom_killed), (7, false));
    let mut lines = container.log_lines();
    lines.sort();
    assert_eq!(lines, ["stderr F err", "stdout F out", "stdout P rest"]);
    for line in container.log().lines() {
        let time = line.split(' ').next().unwrap();
        let time: jiff::Timestamp = time.parse().expect("RFC 3339");
        assert!(time <= exit.finished_at, "logged before the end was told");
    }
    let status = container.status();
    assert_eq!(status.exit, Some(exit));
    assert!(status.started_at.is_some() && status.pid.is_some());
}

fn a_create_that_fails_says_why_and_leaves_nothing() {
    let mut pod = Pod::start();
    for (args, want) in [
        (["foo"], "exec: \"foo\": executable file not found in $PATH"),
        (["/no/foo"], "exec: \"/no/foo\": stat /no/foo: no such file or directory"),
        (["/etc"], "exec: \"/etc\": is a directory"),
    ] {
        let plan = pod.plan(&args);
        let request = plan.request.clone();
        assert_eq!(pod.create(plan).err().as_deref(), Some(want));
        pod.shim.call(Request::Remove { container: request.container }).expect("remove");
        for directory in request.cgroup.dirs {
            assert!(!directory.exists(), "{}", directory.display());
        }
    }
    let mut plan = pod.plan(&["true"]);
    plan.spec["mounts"].as_array_mut().unwrap().push(
        json!({"destination": "/data", "type": "bind", "source": "/no/such/volume", "options": ["rbind"]}),
    );
    let why = pod.create(plan).err().expect("a failure");
    assert!(why.contains("/no/such/volume"), "{why}");
    let mut plan = pod.plan(&["true"]);
    plan.spec["process"]["cwd"] = json!("/bin/busybox");
    assert_eq!(pod.create(plan).err().as_deref(), Some("failed to unix syscall: failed to chdir e=ENOTDIR"));
    assert_eq!(fs::read_dir(pod.run_dir().join("state")).unwrap().count(), 0);
}

fn a_program_that_the_kernel_refuses_says_so_in_the_log() {
    use std::os::unix::fs::PermissionsExt;
    let mut pod = Pod::start();
    let plan = pod.plan(&["/broken"]);
    let broken = plan.mount.layers[0].join("broken");
    fs::write(&broken, "no program").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    let container = pod.create(plan).expect("create");
    pod.start_container(&container);
    assert_eq!(pod.exit(&container).exit_code, 255);
    assert_eq!(container.log_lines(), ["stderr F exec /broken: exec format error"]);
}

fn signals_end_containers_with_128_and_the_number() {
    let mut pod = Pod::start();
    for (script, signal, want) in [
        ("exec sleep 1000", 9, 137),
        ("trap 'exit 3' TERM; echo ready; while true; do sleep 0.01; done", 15, 3),
    ] {
        let container = pod.run(&["sh", "-c", script]);
        while signal == 15 && container.log().is_empty() {
            std::thread::yield_now();
        }
        pod.signal(&container, signal);
        assert_eq!(pod.exit(&container).exit_code, want, "{script}");
    }
}

/// As at the end of the machine. Who does not end is killed: the test would take ten seconds for it, and has none such.
fn a_shim_that_is_told_to_end_asks_its_containers_first() {
    for (name, stop_signal, trap, want) in
        [("SIGTERM is the default", None, "TERM", 3), ("the image's own", Some(3), "QUIT", 3)]
    {
        let mut pod = Pod::start();
        let mut plan = pod.plan(&[
            "sh",
            "-c",
            &format!("trap 'echo bye; exit 3' {trap}; echo ready; while true; do sleep 0.01; done"),
        ]);
        plan.request.stop_signal = stop_signal;
        let container = pod.create(plan).expect("create");
        pod.start_container(&container);
        while container.log().is_empty() {
            std::thread::yield_now();
        }
        kill(Pid::from_raw(pod.pid), Signal::SIGTERM).unwrap();
        assert_eq!(pod.exit(&container).exit_code, want, "{name}");
        assert_eq!(container.log_lines(), ["stdout F ready", "stdout F bye"], "{name}");
        while pod.shim.receive().is_some() {}
        assert!(!pod.run_dir().join(SOCKET).exists(), "{name}: it has ended");
    }
}

fn the_shim_outlives_its_client_and_remembers() {
    let mut pod = Pod::start();
    let container =
        pod.run(&["sh", "-c", "cat /go; while [ ! -e /go ]; do sleep 0.01; done; echo last; exit 5"]);
    pod.shim = Connection::open(&pod.run_dir());
    let mut other = Connection::open(&pod.run_dir());
    // the mount is in the shim's namespace only
    fs::write(format!("/proc/{}/root{}/go", pod.pid, container.request.bundle.join("rootfs").display()), "")
        .unwrap();
    let exit = pod.exit(&container);
    assert_eq!(exit.exit_code, 5);
    let seen = other.event(|event| match event {
        ShimEvent::Exited { exit, .. } => Some(exit.clone()),
        _ => None,
    });
    assert_eq!(seen, exit, "every client is told");
    drop(other);
    pod.shim = Connection::open(&pod.run_dir());
    let Reply::Containers(known) = pod.shim.call(Request::Hello).unwrap() else { panic!("hello") };
    assert_eq!(known, [(container.id.clone(), container.status())]);
    assert_eq!(container.log_lines().last().map(String::as_str), Some("stdout F last"));
}

fn out_of_memory_is_told() {
    let mut pod = Pod::start();
    let mut plan = pod.plan(&["sh", "-c", "x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done"]);
    plan.spec["linux"]["resources"] = json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}});
    let container = pod.create(plan).expect("create");
    pod.start_container(&container);
    let told = pod.shim.event(|event| match event {
        ShimEvent::OutOfMemory { container } => Some(container.clone()),
        _ => None,
    });
    assert_eq!(told, container.id);
    let exit = pod.exit(&container);
    assert_eq!((exit.exit_code, exit.oom_killed), (137, true));
}

fn remove_leaves_no_mount_and_no_cgroup() {
    let mut pod = Pod::start();
    let mounts = |pod: &Pod| fs::read_to_string(format!("/proc/{}/mountinfo", pod.pid)).unwrap();
    let before = mounts(&pod);
    let container = pod.run(&["sleep", "1000"]);
    assert_ne!(mounts(&pod), before);
    let refused = pod.shim.call(Request::Remove { container: container.id.clone() });
    assert!(refused.unwrap_err().contains("is running"));
    pod.signal(&container, 9);
    pod.exit(&container);
    pod.remove(&container);
    assert_eq!(mounts(&pod), before);
    assert_eq!(fs::read_dir(pod.run_dir().join("state")).unwrap().count(), 0);
    for directory in &container.request.cgroup.dirs {
        assert!(!directory.exists(), "{}", directory.display());
    }
    pod.remove(&container);
    assert_eq!(pod.shim.call(Request::Hello), Ok(Reply::Containers(Vec::new())));
}

fn a_start_is_answered_when_the_program_is_there() {
    let mut pod = Pod::start();
    for _ in 0..10 {
        let container = pod.run(&["sleep", "1000"]);
        let pid = container.status().pid.unwrap();
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert!(program.ends_with("bin/busybox"), "{}", program.display());
    }
}

fn what_is_held_for_a_container_is_open_as_long_as_it_runs() {
    let mut pod = Pod::start();
    let device = pod.dir.join("device");
    fs::write(&device, "").unwrap();
    let is_open = |pid: i32| {
        let all = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        all.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|open| open.ends_with("device"))
    };
    let mut plan = pod.plan(&["sleep", "1000"]);
    plan.request.held = vec![device];
    let container = pod.create(plan).expect("create");
    pod.start_container(&container);
    let pid = container.status().pid.unwrap();
    assert!(is_open(pod.pid) && !is_open(pid), "by the shim, and not by the container");
    pod.signal(&container, 9);
    pod.exit(&container);
    assert!(!is_open(pod.pid));
    let mut plan = pod.plan(&["true"]);
    plan.request.held = vec![pod.dir.join("none")];
    let refused = pod.create(plan).err().expect("there is no such file");
    assert!(refused.contains("open /tmp/none: "), "{refused}");
}

fn what_is_removed_while_it_is_made_goes() {
    let mut pod = Pod::start();
    let plan = pod.plan(&["sleep", "1000"]);
    let (id, dirs) = (plan.request.container.clone(), plan.request.cgroup.dirs.clone());
    fs::write(plan.request.bundle.join("config.json"), plan.spec.to_string()).unwrap();
    pod.shim.call(Request::Mount(plan.mount)).expect("mount");
    let create = pod.shim.send(Request::Create(plan.request));
    let remove = pod.shim.send(Request::Remove { container: id.clone() });
    let mut seen = Vec::new();
    // its making is answered, and its end is told: in which order is the kernel's
    while seen.len() < 3 {
        seen.push(match pod.shim.receive().expect("an answer or an event") {
            Message::Reply { seq, result } if seq == remove => format!("removed: {}", result.is_ok()),
            Message::Reply { seq, result } if seq == create => format!("made: {}", result.is_ok()),
            Message::Event(ShimEvent::Exited { container, exit }) if container == id => {
                format!("ended: {}", exit.exit_code)
            }
            other => panic!("{other:?}"),
        });
    }
    seen.sort();
    assert_eq!(seen, ["ended: 137", "made: true", "removed: true"]);
    assert_eq!(pod.shim.call(Request::Hello), Ok(Reply::Containers(Vec::new())));
    for directory in dirs {
        assert!(!directory.exists(), "{}", directory.display());
    }
}

fn a_container_is_born_in_its_cgroups_and_sees_them() {
    let mut pod = Pod::start();
    for (writable, want) in [(false, "read-only"), (true, "made")] {
        let script = "cd /sys/fs/cgroup; [ -e cgroup.procs ] || cd memory; grep -c . cgroup.procs;
             if mkdir below 2>/dev/null; then echo made; else echo read-only; fi; rmdir below 2>/dev/null; sleep 1000";
        let mut plan = pod.plan(&["sh", "-c", script]);
        plan.show_cgroups(writable);
        let members = plan.request.cgroup.members.clone().unwrap();
        let container = pod.create(plan).expect("create");
        let pid = container.status().pid.unwrap();
        // the helper ends when it has reported
        let listed = || fs::read_to_string(members.join("cgroup.procs")).unwrap();
        while listed().trim() != pid.to_string() {
            std::thread::yield_now();
        }
        pod.start_container(&container);
        while container.log_lines().len() < 2 {
            std::thread::yield_now();
        }
        let lines = container.log_lines();
        assert_eq!(lines[1], format!("stdout F {want}"));
        assert_ne!(lines[0], "stdout F 0", "it sees itself there");
        let hierarchies = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let ours = hierarchies.lines().filter(|line| line.contains("monopod-shim-test")).count();
        assert_eq!(ours, container.request.cgroup.dirs.len(), "{hierarchies}");
        pod.signal(&container, 9);
        pod.exit(&container);
        pod.remove(&container);
        for directory in &container.request.cgroup.dirs {
            assert!(!directory.exists(), "{}", directory.display());
        }
    }
}

fn many_layers_stack() {
    let mut pod = Pod::start();
    let mut plan = pod.plan(&["sh", "-c", "cat /top; ls / | grep -c layer"]);
    let layers = (0..120).map(|n| {
        let layer =
            pod.dir.join(format!("a-rather-long-name-for-a-directory-so-that-a-page-is-full-soon-{n}"));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join("top"), format!("{n}\n")).unwrap();
        fs::write(layer.join(format!("layer{n}")), "").unwrap();
        layer
    });
    plan.mount.layers = layers.chain(plan.mount.layers).collect();
    let container = pod.create(plan).expect("create");
    pod.start_container(&container);
    pod.exit(&container);
    assert_eq!(container.log_lines(), ["stdout F 0", "stdout F 120"]);

    // a kernel that does not take them one by one is not asked to: its options fit in a page, or not
    let mut plan = pod.plan(&["cat", "/top"]);
    let all: Vec<_> = (0..120)
        .map(|n| pod.dir.join(format!("a-rather-long-name-for-a-directory-so-that-a-page-is-full-soon-{n}")))
        .collect();
    plan.mount.stacks = Some(false);
    let (few, many) = (all[..8].to_vec(), all);
    let mut too_many = pod.plan(&["cat", "/top"]);
    too_many.mount = MountRequest { stacks: Some(false), ..too_many.mount };
    too_many.mount.layers = many.into_iter().chain(too_many.mount.layers).collect();
    assert!(pod.create(too_many).is_err());
    plan.mount.layers = few.into_iter().chain(plan.mount.layers).collect();
    let container = pod.create(plan).expect("create");
    pod.start_container(&container);
    pod.exit(&container);
    assert_eq!(container.log_lines(), ["stdout F 0"]);
}

fn many_at_once_leave_nothing_open() {
    let mut pod = Pod::start();
    // an answer: the shim has accepted the connection, which is a descriptor as well
    pod.shim.call(Request::Hello).unwrap();
    let open = |pod: &Pod| fs::read_dir(format!("/proc/{}/fd", pod.pid)).unwrap().count();
    let before = open(&pod);
    let sleeper = pod.run(&["sleep", "1000"]);
    let containers: Vec<_> = (0..8)
        .map(|n| {
            let mut plan = pod.plan(&["sh", "-c", "echo hello; exit 9"]);
            (plan.request.tty, plan.request.stdin) = (n % 2 == 0, n % 3 == 0);
            let container = pod.create(plan).expect("create");
            let id = container.id.clone();
            pod.shim
                .streams(Request::Attach { container: id, stdin: true, stdout: true, stderr: true })
                .expect("attach");
            container
        })
        .collect();
    // all at once, on connections of their own
    let mut clients: Vec<_> = containers.iter().map(|_| Connection::open(&pod.run_dir())).collect();
    for ((client, container), exec) in clients.iter_mut().zip(&containers).zip(0..) {
        client.send(Request::Start { container: container.id.clone() });
        client.send(Request::Exec(ExecRequest {
            exec,
            container: Some(sleeper.id.clone()),
            args: vec!["true".into()],
            tty: exec % 2 == 0,
            capabilities: u64::MAX,
            ..Default::default()
        }));
    }
    for container in &containers {
        assert_eq!(pod.exit(container).exit_code, 9);
        assert!(container.log().contains("hello"));
    }
    for exec in 0..containers.len() as u64 {
        assert_eq!(pod.exec_exit(exec), 0);
    }
    drop(clients);
    for container in containers.iter().chain([&sleeper]) {
        if container.id == sleeper.id {
            pod.signal(container, 9);
            pod.exit(container);
        }
        pod.remove(container);
    }
    // the shim has seen by then that the others left: their ends came before this
    pod.shim.call(Request::Hello).unwrap();
    assert_eq!(open(&pod), before);
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", pod.pid)).unwrap();
    assert_eq!(children, "", "no zombies");
}

fn signals_and_limits_are_clean_in_the_container() {
    let mut pod = Pod::start();
    let container = pod.run(&["sh", "-c", "yes | head -n1; ulimit -n"]);
    assert_eq!(pod.exit(&container).exit_code, 0);
    assert_eq!(container.log_lines(), ["stdout F y", "stdout F 500"]);
    let container = pod.run(&["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]);
    assert_eq!(pod.exit(&container).exit_code, 0);
    let zeroes = "0".repeat(16);
    assert_eq!(container.log_lines(), ["Blk", "Ign"].map(|what| format!("stdout F Sig{what}:\t{zeroes}")));
}
