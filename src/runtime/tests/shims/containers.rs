//! What a container is and does.

use crate::world::{self, run, sh, shell, start};
use cri::{
    ContainerConfig, ContainerState, CriError, Mount, Propagation, Resources, Runtime, RuntimeEvent,
    SandboxConfig, SandboxState,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;

pub fn runs_logs_and_exits() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        assert_eq!(sandbox.state, SandboxState::Ready);
        assert!(sandbox.ip.is_some());
        let mut events = runtime.events();
        let id = start(&runtime, &sandbox.id, shell("c", "echo out; echo err >&2; exit 7")).await;
        let (s, c) = (sandbox.id.clone(), id.clone());
        assert_eq!(
            events.recv().await.unwrap(),
            RuntimeEvent::Started { sandbox: s.clone(), container: c.clone() }
        );
        assert_eq!(
            events.recv().await.unwrap(),
            RuntimeEvent::Exited { sandbox: s, container: c, exit_code: 7 }
        );
        let log = world.log("one", "c");
        assert!(log.contains("stdout F out\n") && log.contains("stderr F err\n"), "{log}");
        let status = runtime.container(&id).await.unwrap();
        let ContainerState::Exited { exit_code: 7, started_at: Some(started), finished_at, .. } =
            status.state
        else {
            panic!("{status:?}")
        };
        assert!(started <= finished_at);
        assert!(status.image.starts_with("sha256:") && status.image_ref == "test/busybox", "{status:?}");
        runtime.remove_container(&id).await.unwrap();
        runtime.remove_container(&id).await.unwrap();
        assert!(matches!(runtime.container(&id).await, Err(CriError::NotFound(_))));
        runtime.stop_sandbox(&sandbox.id).await.unwrap();
        runtime.stop_sandbox(&sandbox.id).await.unwrap();
        assert_eq!(runtime.sandbox(&sandbox.id).await.unwrap().state, SandboxState::NotReady);
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
        assert!(runtime.list().await.unwrap().is_empty());
        let left = std::fs::read_dir(&world.config.run_dir).unwrap().count();
        assert_eq!(left, 0);
        assert_eq!(std::fs::read_dir(world.config.state_dir.join("sandboxes")).unwrap().count(), 0);
        for dir in world::cgroup_dirs(&world.config) {
            assert!(!dir.join("besteffort/podone").exists(), "{}", dir.display());
        }
    });
}

pub fn a_program_that_does_not_come() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("late")).await.unwrap();
        let id = runtime.create_container(&sandbox.id, shell("c", "exec sleep 1000")).await.unwrap();
        let directories = world::cgroup_dirs(&world.config).into_iter();
        let members = directories.map(|dir| dir.join("besteffort/podlate").join(&id.0).join("cgroup.procs"));
        let members = members.filter_map(|file| std::fs::read_to_string(file).ok());
        let first = members.flat_map(|pids| pids.lines().map(str::to_owned).collect::<Vec<_>>()).next();
        let first = Pid::from_raw(first.expect("its first process").parse().unwrap());
        // as if the file of its program were on a disk that does not answer
        kill(first, Signal::SIGSTOP).unwrap();
        runtime.start_container(&id).await.unwrap();
        let state = runtime.container(&id).await.unwrap().state;
        assert!(matches!(state, ContainerState::Running { .. }), "{state:?}");
        runtime.stop_container(&id, Duration::ZERO, None).await.unwrap();
        let state = runtime.container(&id).await.unwrap().state;
        assert!(matches!(state, ContainerState::Exited { exit_code: 137, .. }), "{state:?}");
    });
}

pub fn one_that_is_frozen_is_killed() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("frozen")).await.unwrap();
        let id = start(&runtime, &sandbox.id, shell("c", "exec sleep 1000")).await;
        runtime.freeze_container(&id, true).await.unwrap();
        runtime.stop_container(&id, Duration::ZERO, None).await.unwrap();
        let state = runtime.container(&id).await.unwrap().state;
        assert!(matches!(state, ContainerState::Exited { exit_code: 137, .. }), "{state:?}");
    });
}

pub fn is_what_was_asked_for() {
    let image = r#"{"User":"web","Env":["PATH=/bin","GREETING=hi"],"WorkingDir":"/made/for/me","Volumes":{"/data":{}},"StopSignal":"SIGUSR1"}"#;
    world::with_image(image, |world| async move {
        let runtime = world.runtime().await;
        let bound = world.dir.join("bound");
        std::fs::write(&bound, "from the machine\n").unwrap();
        let sandbox = runtime.run_sandbox(world.sandbox("two")).await.unwrap();
        let mount = |source: Option<std::path::PathBuf>, target: &str| Mount {
            source,
            target: target.into(),
            read_only: true,
            propagation: Propagation::Private,
            ..Mount::default()
        };
        let config = ContainerConfig {
            env: vec![("MINE".into(), "1".into())],
            supplemental_groups: vec![3000],
            mounts: vec![
                mount(Some(bound), "/etc/bound"),
                Mount { read_only: false, ..mount(None, "/scratch") },
            ],
            no_new_privileges: true,
            drop_capabilities: vec!["ALL".into()],
            resources: Resources {
                memory_limit: Some(32 << 20),
                cpu_shares: Some(256),
                pids_limit: Some(30),
                oom_score_adj: Some(500),
                ..Default::default()
            },
            ..shell("c", "sleep 1000")
        };
        let id = start(&runtime, &sandbox.id, config).await;
        let said = |script: &'static str| sh(&runtime, &id, script);
        assert_eq!(said("id -u; id -g; id -G").await, "101\n102\n102 200 3000\n");
        assert_eq!(
            said("pwd; echo $HOME $GREETING $MINE $HOSTNAME").await,
            "/made/for/me\n/srv/web hi 1 two\n"
        );
        assert_eq!(said("touch x; stat -c %u x .").await, "101\n101\n");
        assert_eq!(
            said("cat /etc/bound /data/seed /etc/hostname").await,
            "from the machine\nfrom the image\ntwo\n"
        );
        assert_eq!(said("cat /etc/hosts; hostname").await, "127.0.0.1\tlocalhost\ntwo\n");
        // on the disk: what a container writes there takes none of the memory that the run directory is
        let on_disk = world.config.state_dir.join("sandboxes").join(&sandbox.id.0).join("etc/hosts");
        let number = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&on_disk).unwrap());
        assert_eq!(said("stat -c %i /etc/hosts").await, format!("{number}\n"));
        // and older versions, to which one may go back, find it
        let run = world.config.run_dir.join(&sandbox.id.0[..32]);
        assert_eq!(std::fs::read_link(run.join("hosts")).unwrap(), on_disk);
        assert_eq!(said("(echo x > /etc/bound) 2>/dev/null || echo no").await, "no\n");
        assert_eq!(
            said("echo x > /scratch/y; echo x > /dev/shm/z; cat /scratch/y /dev/shm/z").await,
            "x\nx\n"
        );
        assert_eq!(said("grep -h -E 'CapEff|CapBnd|NoNewPrivs' /proc/1/status | tr -d '\\t '").await, {
            "CapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1\n"
        });
        assert_eq!(said("cat /proc/1/oom_score_adj").await, "500\n");
        assert_eq!(said("cat /proc/interrupts /proc/timer_list 2>/dev/null | wc -c").await, "0\n");
        let own = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        if std::path::Path::new(own).exists() {
            // it sees its own limit, and can not raise it
            assert_eq!(
                said("cat /sys/fs/cgroup/memory/memory.limit_in_bytes").await,
                format!("{}\n", 32 << 20)
            );
            let raise = "(echo -1 > /sys/fs/cgroup/memory/memory.limit_in_bytes) 2>/dev/null || echo no";
            assert_eq!(said(raise).await, "no\n");
        }
        assert_eq!(said("grep -c sleep /proc/1/cmdline").await, "1\n");
        let cgroup = format!("besteffort/podtwo/{id}");
        let memory = std::path::Path::new("/sys/fs/cgroup/memory").join(&world.config.cgroup).join(&cgroup);
        if memory.exists() {
            let limit = std::fs::read_to_string(memory.join("memory.limit_in_bytes")).unwrap();
            assert_eq!(limit, format!("{}\n", 32 << 20));
        }
        // the image's own stop signal has no handler in it
        runtime.stop_container(&id, Duration::from_millis(200), None).await.unwrap();
        let state = runtime.container(&id).await.unwrap().state;
        assert!(matches!(state, ContainerState::Exited { exit_code: 137 | 138, .. }), "{state:?}");
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

pub fn share() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let config = SandboxConfig { share_pid: true, ..world.sandbox("three") };
        let sandbox = runtime.run_sandbox(config).await.unwrap();
        let server =
            start(&runtime, &sandbox.id, shell("a", "echo x > /dev/shm/word; exec sleep 1000")).await;
        let other = start(&runtime, &sandbox.id, shell("b", "exec sleep 2000")).await;
        assert_eq!(
            sh(&runtime, &other, "while ! cat /dev/shm/word 2>/dev/null; do sleep 0.01; done").await,
            "x\n"
        );
        let seen = sh(&runtime, &other, "ps | grep -c 'sleep [12]000'").await;
        assert_eq!(seen.trim(), "2");
        runtime.stop_container(&server, Duration::ZERO, None).await.unwrap();
        let seen = sh(&runtime, &other, "ps | grep -c 'sleep [12]000'").await;
        assert_eq!(seen.trim(), "1");
        let names: Vec<_> =
            runtime.sandbox(&sandbox.id).await.unwrap().containers.into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["a", "b"]);
    });
}

pub fn bad_wishes() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("four")).await.unwrap();
        let plain = || shell("c", "true");
        let nowhere = Mount {
            source: Some("/nowhere/at/all".into()),
            target: "/x".into(),
            read_only: false,
            propagation: Propagation::Private,
            ..Mount::default()
        };
        let cases = [
            ("image", ContainerConfig { image: "ghost".into(), ..plain() }, "no such image: "),
            (
                "user",
                ContainerConfig { user: Some("ghost".into()), ..plain() },
                "unable to find user ghost: ",
            ),
            (
                "root",
                ContainerConfig { run_as_non_root: true, ..plain() },
                "container has runAsNonRoot and image will run as root",
            ),
            (
                "a user that would leave root as it is",
                ContainerConfig { user: Some("4294967295".into()), run_as_non_root: true, ..plain() },
                "uids and gids must be in range 0-2147483647",
            ),
            (
                "a number that the image calls root",
                ContainerConfig { user: Some("4294967296".into()), ..plain() },
                "uids and gids must be in range 0-2147483647",
            ),
            (
                "a group that would leave root's as it is",
                ContainerConfig { user: Some("101:leave".into()), ..plain() },
                "uids and gids must be in range 0-2147483647",
            ),
            (
                "program",
                ContainerConfig { command: vec!["/no/such".into()], ..plain() },
                "create container c: ",
            ),
            ("mount", ContainerConfig { mounts: vec![nowhere], ..plain() }, "create container c: "),
            (
                "capability",
                ContainerConfig { add_capabilities: vec!["FLY".into()], ..plain() },
                "unknown capability \"CAP_FLY\"",
            ),
            (
                "signal",
                ContainerConfig { stop_signal: Some("SIGNOT".into()), ..plain() },
                "invalid signal: SIGNOT",
            ),
        ];
        for (name, config, want) in cases {
            let why = runtime.create_container(&sandbox.id, config).await.unwrap_err().to_string();
            assert!(why.starts_with(want), "{name}: {why}");
        }
        let state = world.config.state_dir.join("sandboxes").join(&sandbox.id.0).join("containers");
        assert_eq!(std::fs::read_dir(state).unwrap().count(), 0);
        for dir in world::cgroup_dirs(&world.config).iter().map(|d| d.join("besteffort/podfour")) {
            let left = std::fs::read_dir(&dir).into_iter().flatten().flatten();
            assert_eq!(left.filter(|e| e.path().is_dir()).count(), 0, "{}", dir.display());
        }
        assert_eq!(run(&runtime, &sandbox.id, plain()).await, 0, "the sandbox is well");
    });
}

pub fn stop_asks_first() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("six")).await.unwrap();
        let polite = shell("a", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
        let id = start(&runtime, &sandbox.id, polite).await;
        sh(&runtime, &id, "while ! grep -q -i 'SigCgt:.*4...$' /proc/1/status; do sleep 0.01; done").await;
        // it ends by itself, when its shell has got a processor
        runtime.stop_container(&id, Duration::from_secs(30), None).await.unwrap();
        let state = runtime.container(&id).await.unwrap().state;
        assert!(matches!(state, ContainerState::Exited { exit_code: 3, .. }), "{state:?}");
        let deaf =
            start(&runtime, &sandbox.id, shell("b", "trap '' TERM; while :; do sleep 0.05; done")).await;
        runtime.stop_container(&deaf, Duration::from_millis(100), None).await.unwrap();
        let state = runtime.container(&deaf).await.unwrap().state;
        assert!(matches!(state, ContainerState::Exited { exit_code: 137, .. }), "{state:?}");
        runtime.stop_container(&deaf, Duration::from_secs(9), None).await.unwrap();
        let created = runtime.create_container(&sandbox.id, shell("c", "true")).await.unwrap();
        runtime.remove_container(&created).await.unwrap();
    });
}

pub fn out_of_memory() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("seven")).await.unwrap();
        let mut events = runtime.events();
        let resources = Resources { memory_limit: Some(16 << 20), ..Default::default() };
        let greedy = "exec dd if=/dev/zero of=/dev/null bs=200M count=1";
        let id = start(&runtime, &sandbox.id, ContainerConfig { resources, ..shell("c", greedy) }).await;
        let mut told = false;
        loop {
            match events.recv().await.unwrap() {
                RuntimeEvent::OutOfMemory { container, .. } => told |= container == id,
                RuntimeEvent::Exited { exit_code, .. } => break assert_eq!(exit_code, 137),
                _ => {}
            }
        }
        let state = runtime.container(&id).await.unwrap().state;
        assert!(matches!(state, ContainerState::Exited { oom_killed: true, .. }), "{state:?}");
        assert!(told, "no event before the end");
    });
}
