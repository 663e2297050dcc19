//! Further processes, streams, ports, usage.

use crate::world::{self, sh, shell, shim_of, start};
use cri::{AttachStreams, ContainerConfig, CriError, ExecConfig, Runtime, TerminalSize};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}

pub fn exec_and_attach() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let id = start(&runtime, &sandbox.id, ContainerConfig { stdin: true, ..shell("c", "cat") }).await;

        let output =
            runtime.exec_sync(&id, words(&["sh", "-c", "echo o; echo e >&2; exit 5"]), None).await.unwrap();
        assert_eq!((output.exit_code, &output.stdout[..], &output.stderr[..]), (5, &b"o\n"[..], &b"e\n"[..]));
        let long = words(&["sh", "-c", "yes | head -c 1000000"]);
        let output = runtime.exec_sync(&id, long, None).await.unwrap();
        assert_eq!((output.exit_code, output.stdout.len()), (0, 16 << 10));
        let slow = runtime.exec_sync(&id, words(&["sleep", "999"]), Some(Duration::from_millis(100))).await;
        assert!(matches!(slow, Err(CriError::CommandTimedOut { .. })), "{slow:?}");
        sh(&runtime, &id, "while ps | grep -q 'sleep [9]99'; do sleep 0.01; done").await;
        let none = runtime.exec_sync(&id, words(&["/no/such"]), None).await.unwrap_err().to_string();
        assert!(none.contains("/no/such"), "{none}");

        let config = ExecConfig {
            command: words(&["sh", "-c", "id -u; id -G; echo $HOME $A; pwd; cat"]),
            stdin: true,
            stdout: true,
            user: Some("web:logs".into()),
            group_names: words(&["3000"]),
            env: vec![("A".into(), "b".into())],
            working_dir: Some("/tmp".into()),
            ..Default::default()
        };
        let mut session = runtime.exec(&id, config).await.unwrap();
        let mut stdin = session.stdin.take().unwrap();
        let sent = vec![b'x'; 1 << 20];
        let writer = tokio::spawn(async move {
            stdin.write_all(&sent).await.unwrap();
            stdin.shutdown().await.unwrap();
        });
        let mut got = String::new();
        session.stdout.take().unwrap().read_to_string(&mut got).await.unwrap();
        writer.await.unwrap();
        let head = "101\n200 3000\n/srv/web b\n/tmp\n";
        assert_eq!((&got[..head.len()], got.len()), (head, head.len() + (1 << 20)));
        assert_eq!(session.exit.await.unwrap().unwrap(), 0);

        let want = AttachStreams { stdin: true, stdout: true, stderr: true, tty: false };
        let mut session = runtime.attach(&id, want).await.unwrap();
        session.stdin.as_mut().unwrap().write_all(b"hello\n").await.unwrap();
        let mut line = [0; 6];
        session.stdout.as_mut().unwrap().read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"hello\n");
        runtime.signal_container(&id, 9).await.unwrap();
        assert_eq!(session.exit.await.unwrap().unwrap(), 137);
        let dead = runtime.exec_sync(&id, words(&["true"]), None).await.unwrap_err().to_string();
        assert!(dead.ends_with("is not running: it has ended"), "{dead}");
    });
}

pub fn terminals() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let config = ContainerConfig { stdin: true, tty: true, ..shell("c", "cat >/dev/null; exit 4") };
        let id = start(&runtime, &sandbox.id, config).await;
        let config = ExecConfig {
            command: words(&["sh", "-c", "stty size; while read line; do stty size; done; echo $TERM"]),
            stdin: true,
            stdout: true,
            tty: true,
            terminal_size: Some((100, 40)),
            ..Default::default()
        };
        let mut session = runtime.exec(&id, config).await.unwrap();
        let mut stdout = BufReader::new(session.stdout.take().unwrap()).lines();
        assert_eq!(stdout.next_line().await.unwrap().unwrap(), "40 100");
        session.resize.as_ref().unwrap().send(TerminalSize { width: 80, height: 25 }).await.unwrap();
        // nobody says when the window has changed: the shell is asked until it has
        let mut size = String::new();
        while size != "25 80" {
            assert!(size.is_empty() || size == "40 100", "{size}");
            session.stdin.as_mut().unwrap().write_all(b"\n").await.unwrap();
            assert_eq!(stdout.next_line().await.unwrap().unwrap(), "", "the echo");
            size = stdout.next_line().await.unwrap().unwrap();
        }
        session.stdin.as_mut().unwrap().write_all(b"\x04").await.unwrap();
        assert_eq!(stdout.next_line().await.unwrap().unwrap(), "xterm");
        assert_eq!(session.exit.await.unwrap().unwrap(), 0);

        let want = AttachStreams { stdin: true, stdout: true, stderr: false, tty: true };
        let mut session = runtime.attach(&id, want).await.unwrap();
        session.resize.as_ref().unwrap().send(TerminalSize { width: 77, height: 33 }).await.unwrap();
        session.stdin.as_mut().unwrap().write_all(b"\x04").await.unwrap();
        assert_eq!(session.exit.await.unwrap().unwrap(), 4);
    });
}

pub fn forwarded() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let id = start(&runtime, &sandbox.id, shell("c", "exec httpd -f -p 127.0.0.1:8080 -h /www")).await;
        sh(&runtime, &id, "while ! grep -q :1F90 /proc/net/tcp; do sleep 0.01; done").await;
        let mut stream = runtime.port_forward(&sandbox.id, 8080).await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("hello from inside\n"), "{answer}");
        let Err(refused) = runtime.port_forward(&sandbox.id, 81).await else {
            panic!("nobody listens there")
        };
        assert!(refused.to_string().contains("failed to connect to localhost:81"), "{refused}");
    });
}

pub fn usage() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let id = start(
            &runtime,
            &sandbox.id,
            shell("c", "dd if=/dev/zero of=/dev/null bs=1M count=50; sleep 1000"),
        )
        .await;
        sh(&runtime, &id, "true").await;
        let stats = runtime.stats().await.unwrap();
        assert_eq!((stats.len(), &stats[0].id, &stats[0].containers[0].id), (1, &sandbox.id, &id));
        let used = &stats[0].containers[0];
        assert!(used.cpu_usage_ns > 0 && used.memory_usage > 0 && used.pids > 0, "{used:?}");
        assert!(used.memory_working_set <= used.memory_usage);
        runtime.stop_sandbox(&sandbox.id).await.unwrap();
        assert!(runtime.stats().await.unwrap().is_empty());
    });
}

/// Whatever one has to do is on the account of all, and not beside the daemon.
pub fn shims_are_counted_together() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let cgroups = std::fs::read_to_string(format!("/proc/{}/cgroup", shim_of(&world, &sandbox))).unwrap();
        let shims = format!("/{}/shims", world.config.cgroup);
        for controller in ["memory", "cpu"] {
            let parts = cgroups.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
            let (of_it, of_all): (Vec<_>, Vec<_>) =
                parts.partition(|parts| parts[1].split(',').any(|name| name == controller));
            // v2 names no controllers
            let place = of_it.first().or_else(|| of_all.iter().find(|parts| parts[0] == "0")).unwrap()[2];
            assert!(place.starts_with(&shims), "{controller}: {cgroups}");
        }
    });
}

/// As `docker run` does it: who attaches first misses nothing.
pub fn attached_before_the_start() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let config =
            ContainerConfig { stdin: true, stdin_once: true, ..shell("c", "echo first; cat; echo last >&2") };
        let id = runtime.create_container(&sandbox.id, config).await.unwrap();
        let want = AttachStreams { stdin: true, stdout: true, stderr: true, tty: false };
        let mut session = runtime.attach(&id, want).await.unwrap();
        runtime.start_container(&id).await.unwrap();
        let mut stdin = session.stdin.take().unwrap();
        stdin.write_all(b"middle\n").await.unwrap();
        stdin.shutdown().await.unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        session.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
        session.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("first\nmiddle\n", "last\n"));
        assert_eq!(session.exit.await.unwrap().unwrap(), 0);
    });
}
