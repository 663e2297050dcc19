//! What the verbs for containers do, with the stock docker command and over the socket itself.

mod common;

use common::{Answer, Appliance, appliance};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

fn code(answer: &Answer) -> Option<i32> {
    answer.0.status.code()
}

fn inspect(at: &Appliance, name: &str, format: &str) -> String {
    at.docker(&["inspect", "-f", format, name]).ok("inspect").trim().to_owned()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends one request and leaves the connection open.
fn ask(at: &Appliance, request: &str) -> UnixStream {
    let mut socket = UnixStream::connect(at.places()[1].join("docker.sock")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(format!("{request} HTTP/1.1\r\nHost: docker\r\n").as_bytes()).unwrap();
    socket
}

#[test]
fn what_ps_finds() {
    let Some(at) = appliance("ps") else { return };
    at.load_busybox();
    at.docker(&[
        "run",
        "-d",
        "--name",
        "web-1",
        "--label",
        "app=shop",
        "-p",
        "18081:80",
        "-v",
        "v1:/data",
        "busybox:1",
        "sleep",
        "3600",
    ])
    .ok("web");
    assert_eq!(code(&at.docker(&["run", "--name", "job", "busybox:1", "sh", "-c", "exit 3"])), Some(3));
    at.docker(&["create", "--name", "later", "busybox:1"]).ok("create");
    for (filter, want) in [
        ("name=^web-[0-9]$", "web-1\n"),
        ("status=created", "later\n"),
        ("exited=3", "job\n"),
        ("ancestor=busybox:1", "later\njob\nweb-1\n"),
        ("since=job", "later\n"),
        ("before=job", "web-1\n"),
        ("label=app=shop", "web-1\n"),
        ("publish=18000-18100", "web-1\n"),
        ("expose=80", "web-1\n"),
        ("volume=v1", "web-1\n"),
        ("network=bridge", "later\njob\nweb-1\n"),
        ("is-task=true", ""),
    ] {
        let listed = at.docker(&["ps", "-a", "--filter", filter, "--format", "{{.Names}}"]).ok(filter);
        assert_eq!(listed, want, "{filter}");
    }
    for (filter, want) in
        [("status=what", "invalid filter 'status=what'"), ("exited=x", "invalid filter 'exited=x'")]
    {
        let why = at.docker(&["ps", "--filter", filter]).refused(filter);
        assert!(why.contains(want), "{why}");
    }
    let shown =
        at.docker(&["ps", "-a", "--no-trunc", "--filter", "name=job", "--format", "{{.Command}}"]).ok("ps");
    assert_eq!(shown, "\"sh -c 'exit 3'\"\n");
    at.docker(&["exec", "web-1", "sh", "-c", "head -c 4096 /dev/zero > /file"]).ok("write");
    let size = at.docker(&["ps", "-s", "--format", "{{.Size}}"]).ok("ps -s");
    assert!(size.starts_with("4.1kB (virtual "), "{size}");
    let removed = at.docker(&["container", "prune", "-f", "--filter", "until=24h"]).ok("prune of old ones");
    assert!(!removed.contains("Deleted Containers"), "{removed}");
    at.docker(&["container", "prune", "-f"]).ok("prune");
    assert_eq!(at.docker(&["ps", "-aq"]).ok("ps").lines().count(), 1);
}

#[test]
fn events_tell_what_happened_in_order() {
    let Some(at) = appliance("events") else { return };
    at.load_busybox();
    at.docker(&["run", "-d", "--name", "box", "busybox:1", "sleep", "3600"]).ok("run");
    at.docker(&["exec", "box", "true"]).ok("exec");
    at.docker(&["top", "box"]).ok("top");
    at.docker(&["pause", "box"]).ok("pause");
    at.docker(&["unpause", "box"]).ok("unpause");
    at.docker(&["kill", "-s", "WINCH", "box"]).ok("kill");
    at.docker(&["rename", "box", "chest"]).ok("rename");
    at.docker(&["update", "--cpu-shares", "512", "chest"]).ok("update");
    at.docker(&["export", "-o", at.home().join("x.tar").to_str().unwrap(), "chest"]).ok("export");
    at.docker(&["stop", "-t", "0", "chest"]).ok("stop");
    at.docker(&["rm", "chest"]).ok("rm");
    let format = "{{.Action}}{{with .Actor.Attributes.signal}} {{.}}{{end}}";
    let told = at.docker(&[
        "events",
        "--since",
        "10m",
        "--until=-1s",
        "--filter",
        "type=container",
        "--format",
        format,
    ]);
    let told = told.ok("events");
    let want = [
        "create",
        "start",
        "exec_create: true",
        "exec_start: true",
        "exec_die",
        "top",
        "pause",
        "unpause",
        "kill 28",
        "rename",
        "update",
        "export",
        "kill 15",
        "kill 9",
        "die",
        "stop",
        "destroy",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), want);
}

#[test]
fn a_copy_is_whole_and_of_the_container_s_own_files() {
    let Some(at) = appliance("copies") else { return };
    at.load_busybox();
    let line = "mkdir -p /bar/quux; echo world > /bar/quux/baz; ln -s quux /bar/link; ln -s / /bar/root; \
                echo t > /tmp/in-tmpfs; echo v > /vol/data; echo ready; exec sleep 3600";
    let run =
        ["run", "-d", "--name", "box", "-v", "vol:/vol", "--tmpfs", "/tmp", "--privileged", "busybox:1"];
    at.docker(&[&run[..], &["sh", "-c", line]].concat()).ok("run");
    until("it is ready", || at.docker(&["logs", "box"]).out().contains("ready"));
    let names = |tar: &std::path::Path| {
        let mut archive = tar::Archive::new(std::fs::File::open(tar).unwrap());
        let all = archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string());
        all.collect::<Vec<_>>()
    };
    let tar = at.home().join("box.tar");
    at.docker(&["export", "-o", tar.to_str().unwrap(), "box"]).ok("export");
    let seen = names(&tar);
    for there in ["bar/quux/baz", "proc/", "dev/", "sys/", "vol/", "tmp/", "etc/hosts", "bin/busybox"] {
        assert!(seen.iter().any(|name| name == there), "{there} is not among {seen:?}");
    }
    for not in ["proc/", "dev/", "sys/", "vol/", "tmp/"] {
        let below: Vec<_> = seen.iter().filter(|name| name.starts_with(not) && *name != not).collect();
        assert!(below.is_empty(), "{below:?}");
    }
    let home = |name: &str| at.home().join(name);
    for state in ["running", "stopped"] {
        let all = home(&format!("all-{state}"));
        at.docker(&["cp", "box:/.", all.to_str().unwrap()]).ok("cp /.");
        assert_eq!(std::fs::read_to_string(all.join("bar/quux/baz")).unwrap(), "world\n");
        assert_eq!(std::fs::read_to_string(all.join("vol/data")).unwrap(), "v\n");
        assert_eq!(std::fs::read_dir(all.join("proc")).unwrap().count(), 0);
        for (from, what) in [
            ("box:/bar/quux/.", "baz"),
            ("box:/bar/link/.", "baz"),
            ("box:/bar/quux", "quux/baz"),
            ("box:/bar/quux/", "quux/baz"),
            ("box:/bar/link/", "link/baz"),
        ] {
            let to = home("to");
            std::fs::create_dir(&to).unwrap();
            at.docker(&["cp", from, to.to_str().unwrap()]).ok(from);
            assert_eq!(std::fs::read_to_string(to.join(what)).unwrap(), "world\n", "{from} ({state})");
            std::fs::remove_dir_all(&to).unwrap();
        }
        for (from, want) in [
            ("box:/bar/quux/baz/.", "not a directory"),
            ("box:/nowhere", "Could not find the file /nowhere in container box"),
        ] {
            let why = at.docker(&["cp", from, home("no").to_str().unwrap()]).refused(from);
            assert!(why.contains(want), "{from}: {why}");
        }
        if state == "running" {
            at.docker(&["stop", "-t", "0", "box"]).ok("stop");
        }
    }
    // what is put together for a copy is mounted as long as somebody reads it
    let is_mounted = || at.mounts_of_daemon().iter().any(|table| table.contains("/view-"));
    let mut slow = ask(&at, "GET /containers/box/export");
    slow.write_all(b"\r\n").unwrap();
    until("it is mounted", is_mounted);
    drop(slow);
    until("nothing of it stays mounted", || !is_mounted());
}

#[test]
fn a_terminal_is_left_by_its_keys_and_clients_that_hang_up_leave_nothing() {
    let Some(at) = appliance("hangup") else { return };
    at.load_busybox();
    at.docker(&["run", "-dit", "--name", "box", "busybox:1", "sh", "-c", "echo early; exec cat"]).ok("run");
    until("its first words", || at.docker(&["logs", "box"]).out().contains("early"));
    let query = "stream=1&stdin=1&stdout=1&logs=1&detachKeys=ctrl-a,x";
    let mut socket = ask(&at, &format!("POST /containers/box/attach?{query}"));
    socket.write_all(b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    let mut piece = [0; 1024];
    until("what it said before", || {
        let read = socket.read(&mut piece).unwrap();
        seen.extend_from_slice(&piece[..read]);
        String::from_utf8_lossy(&seen).contains("early")
    });
    socket.write_all(b"\x01x").unwrap();
    // the engine lets go: the connection ends, and the container does not
    socket.read_to_end(&mut seen).unwrap();
    assert_eq!(inspect(&at, "box", "{{.State.Running}}"), "true");
    let events =
        ["events", "--since", "10m", "--until=-1s", "--filter", "event=detach", "--format", "{{.Action}}"];
    assert_eq!(at.docker(&events).ok("events"), "detach\n");

    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", at.pid())).unwrap().count();
    let threads = || std::fs::read_dir(format!("/proc/{}/task", at.pid())).unwrap().count();
    at.docker(&["logs", "box"]).ok("logs");
    let before = descriptors();
    let mut open = Vec::new();
    for request in [
        "GET /containers/box/logs?follow=1&stdout=1",
        "GET /containers/box/stats",
        "GET /events",
        "POST /containers/box/wait",
        "POST /containers/box/attach?stream=1&stdout=1",
        "GET /containers/box/export",
        "GET /containers/box/archive?path=/bin",
    ] {
        for _ in 0..5 {
            let mut socket = ask(&at, request);
            socket.write_all(b"\r\n").unwrap();
            let _ = socket.read(&mut piece[..16]).unwrap();
            open.push(socket);
        }
    }
    assert!(descriptors() > before + 20, "{} after {before}", descriptors());
    drop(open);
    until("as few descriptors as before", || descriptors() <= before);
    // threads that wait for a reader would stay for ever; those of the pool end after ten idle seconds
    until("few threads", || threads() < 40);
}

#[test]
fn what_is_asked_for_is_done_or_refused() {
    let Some(at) = appliance("asked") else { return };
    at.load_busybox();
    for (flags, want) in [
        (
            &["--security-opt", "apparmor=docker-default"][..],
            "apparmor: config provided but apparmor not supported",
        ),
        (&["--security-opt", "label=what"], "bad label option"),
        (&["--cgroup-parent", "/other"], "invalid cgroup-parent"),
        (&["--cpu-rt-runtime", "950000"], "kernel does not support CPU real-time scheduler"),
        (&["--pid", "container:nobody"], "No such container: nobody"),
        (&["-p", "192.0.2.1:8080:80"], "cannot assign requested address"),
        (&["--device-read-bps", "/dev/no-disk:1mb"], "stat /dev/no-disk: no such file or directory"),
    ] {
        let refused = at.docker(&[&["run", "--rm"][..], flags, &["busybox:1", "true"]].concat());
        let why = refused.refused(&flags.join(" "));
        assert!(why.contains(want), "{flags:?}: {why}");
    }
    at.docker(&["network", "create", "-o", "com.docker.network.driver.mtu=1400", "vpn"]).ok("network");
    let mtu = ["run", "--rm", "--network", "vpn", "busybox:1", "cat", "/sys/class/net/eth0/mtu"];
    assert_eq!(at.docker(&mtu).ok("in a VPN's network"), "1400\n");
    // where it is cgroup v2 that has the memory there is no such thing
    if std::path::Path::new("/sys/fs/cgroup/memory/memory.oom_control").exists() {
        let line = "head -n 1 /sys/fs/cgroup/memory/memory.oom_control";
        let run = ["run", "--rm", "-m", "32m", "--oom-kill-disable", "busybox:1", "sh", "-c", line];
        assert_eq!(at.docker(&run).ok("without the OOM killer"), "oom_kill_disable 1\n");
    }

    at.docker(&["run", "-d", "--rm", "--name", "box", "-t", "busybox:1", "sleep", "3600"]).ok("run");
    let id = inspect(&at, "box", "{{.Id}}");
    at.docker(&["restart", "-t", "0", "box"]).ok("restart of one that is removed at its end");
    assert_eq!(inspect(&at, "box", "{{.Id}} {{.State.Running}}"), format!("{id} true"));
    for options in [&[][..], &["aux"], &["-o", "pid,args"], &["--forest", "-eo", "pid,args"]] {
        let shown = at.docker(&[&["top", "box"][..], options].concat()).ok("top");
        let shown: Vec<&str> = shown.lines().skip(1).collect();
        assert!(shown.len() == 1 && shown[0].ends_with("sleep 3600"), "{options:?}: {shown:?}");
    }
    let why = at.docker(&["top", "box", "-eo", "euid=PID,args"]).refused("another column as PID");
    assert!(why.contains("specifying \"euid=PID\" is not allowed"), "{why}");
    let why = at.docker(&["exec", "-u", "nosuch", "box", "true"]).refused("exec as nobody known");
    assert!(why.contains("unable to find user nosuch: no matching entries in passwd file"), "{why}");
    at.docker(&["update", "--pids-limit", "0", "box"]).ok("no limit of pids");
    at.docker(&["stop", "-t", "0", "box"]).ok("stop");
    let listed = || at.docker(&["ps", "-aq", "--no-trunc"]).ok("ps");
    until("it is removed", || !listed().contains(&id));

    let body = r#"{"Image": "busybox:1", "Cmd": ["stty", "size"], "Tty": true, "HostConfig": {"ConsoleSize": [33, 77]}}"#;
    let url = "http://x/v1.51/containers/create?name=sized";
    let socket = at.places()[1].join("docker.sock");
    let curl = format!("curl -s --unix-socket {} -H 'Content-Type: application/json'", socket.display());
    at.shell(&format!("{curl} -d '{body}' '{url}'")).ok("create");
    assert_eq!(at.docker(&["start", "-a", "sized"]).ok("start").trim(), "33 77");
}

#[test]
fn policies_and_exit_codes_survive_a_killed_daemon() {
    let Some(at) = appliance("kill9") else { return };
    at.load_busybox();
    let run = |name: &str, policy: &str, line: &str| {
        at.docker(&["run", "-d", "--name", name, "--restart", policy, "busybox:1", "sh", "-c", line]).ok(name)
    };
    run("stays", "no", "exec sleep 3600");
    run("always", "always", "exec sleep 3600");
    run("failed", "no", "read x < /go; exit 7");
    at.docker(&["run", "-d", "--rm", "--name", "gone", "busybox:1", "sleep", "3600"]).ok("gone");
    let pid = |name: &str| inspect(&at, name, "{{.State.Pid}}");
    let (stays, always, failed, gone) = (pid("stays"), pid("always"), pid("failed"), pid("gone"));
    at.kill_daemon();
    for (process, signal) in [(&always, "KILL"), (&gone, "KILL")] {
        at.shell(&format!("kill -{signal} {process}")).ok("kill");
    }
    // what it waits for is missing, and sh says so by its own code; it ended before or after the daemon
    until("all of them end", || {
        [&always, &failed, &gone].iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
    at.monopod(&["start"]).ok("start");
    until("always runs again", || {
        // while it waits for its turn it runs by Docker's words, with no process
        !["0", &always].contains(&pid("always").as_str())
    });
    assert_eq!(inspect(&at, "always", "{{.RestartCount}}"), "1");
    assert_eq!(pid("stays"), stays);
    until("failed is noted", || inspect(&at, "failed", "{{.State.Status}}") == "exited");
    assert_ne!(inspect(&at, "failed", "{{.State.ExitCode}}"), "137");
    until("gone is removed", || !at.docker(&["ps", "-a", "--format", "{{.Names}}"]).out().contains("gone"));
    at.docker(&["stop", "-t", "0", "always"]).ok("stop");
    assert_eq!(inspect(&at, "always", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
}

#[test]
fn statistics_health_and_exit_codes() {
    let Some(at) = appliance("verbs") else { return };
    at.load_busybox();
    let flags = ["--health-cmd", "test -f /well", "--health-interval", "100ms", "--health-retries", "2"];
    at.docker(&[&["run", "-d", "--name", "box"][..], &flags, &["busybox:1", "sleep", "3600"]].concat())
        .ok("run");
    let health = |want: &str| until(want, || inspect(&at, "box", "{{.State.Health.Status}}") == want);
    health("unhealthy");
    at.docker(&["exec", "box", "touch", "/well"]).ok("touch");
    health("healthy");
    let used =
        at.docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.NetIO}}", "box"]).ok("stats");
    assert!(used.starts_with("box "), "{used}");
    let answer = at.shell(&format!(
        "curl -s --unix-socket {} 'http://x/containers/box/stats?stream=0'",
        at.places()[1].join("docker.sock").display()
    ));
    let stats: serde_json::Value = serde_json::from_str(&answer.ok("stats")).unwrap();
    assert!(
        stats["networks"]["eth0"]["rx_bytes"].is_u64() && stats["pids_stats"]["current"].as_u64() >= Some(1),
        "{stats}"
    );
    assert!(
        stats["precpu_stats"]["system_cpu_usage"].as_u64() < stats["cpu_stats"]["system_cpu_usage"].as_u64(),
        "{stats}"
    );
    let top = at.docker(&["top", "box", "-o", "pid,args"]).ok("top");
    assert!(top.contains("sleep 3600"), "{top}");
    at.docker(&["pause", "box"]).ok("pause");
    let why = at.docker(&["exec", "box", "true"]).refused("exec in a paused container");
    assert!(why.contains("is paused, unpause the container before exec"), "{why}");
    at.docker(&["stop", "-t", "0", "box"]).ok("stop of a paused one");
    at.docker(&["commit", "-c", "CMD [\"echo\", \"committed\"]", "-c", "HEALTHCHECK NONE", "box", "made"])
        .ok("commit");
    assert_eq!(at.docker(&["run", "--rm", "made"]).ok("run of it"), "committed\n");
    let why =
        at.docker(&["run", "--rm", "--platform", "linux/arm64", "--pull", "never", "busybox:1", "true"]);
    let why = why.refused("another machine's");
    assert!(why.contains("does not match the specified platform"), "{why}");
}

#[test]
fn the_socket_is_also_where_others_look_for_it() {
    let Some(at) = appliance("socket") else { return };
    let path = at.home().join("run/docker.sock");
    let place = path.to_str().unwrap();
    at.monopod(&["stop"]).ok("stop");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let why = at.monopod(&["start", "--docker-socket", place]).refused("another engine's socket");
    assert!(why.contains("another engine answers there"), "{why}");
    // the file that it leaves behind is nobody's
    drop(other);
    at.monopod(&["start", "--docker-socket", place]).ok("start");
    let version = |socket: &str| {
        let mut docker = at.command("docker");
        docker.args(["-H", &format!("unix://{socket}"), "version", "--format", "{{.Server.Version}}"]);
        Answer(docker.stdout(Stdio::piped()).output().unwrap())
    };
    version(place).ok("over that path");
    version(at.places()[1].join("docker.sock").to_str().unwrap()).ok("over its own");
    at.monopod(&["stop"]).ok("stop");
    assert!(!path.exists());
    at.monopod(&["start"]).ok("start again");
    assert!(path.exists(), "it is kept");
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start", "--docker-socket", "own"]).ok("start without");
    assert!(!path.exists());
}
