//! What a container is and does.

use crate::world::{self, run, sh, shell, start};
use cri::{
    ContainerConfig, ContainerState, CriError, Device, Mount, Propagation, Resources, Runtime, RuntimeEvent,
    SandboxConfig, SandboxState, Seccomp,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
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
        let number = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(on_disk).unwrap());
        assert_eq!(said("stat -c %i /etc/hosts").await, format!("{number}\n"));
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

pub fn filtered() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("five")).await.unwrap();
        let with = |seccomp, script: &str| ContainerConfig { seccomp, ..shell("c", script) };
        let busy = "echo a | cat | tr a b | grep -q b && yes | head -n 3 | wc -l | grep -q 3";
        assert_eq!(run(&runtime, &sandbox.id, with(Seccomp::RuntimeDefault, busy)).await, 0, "a shell works");
        let escape = "unshare -U true 2>/dev/null";
        assert_eq!(
            run(&runtime, &sandbox.id, with(Seccomp::RuntimeDefault, escape)).await,
            1,
            "no user namespace"
        );
        let profile = world.dir.join("profile.json");
        std::fs::write(
            &profile,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#,
        )
        .unwrap();
        let local = with(Seccomp::Localhost(profile), "test -d /tmp && ! busybox mkdir /tmp/x 2>/dev/null");
        assert_eq!(run(&runtime, &sandbox.id, local).await, 0, "a profile of the machine");
    });
}

pub fn stop_asks_first() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("six")).await.unwrap();
        let polite = shell("a", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
        let id = start(&runtime, &sandbox.id, polite).await;
        sh(&runtime, &id, "while ! grep -q -i 'SigCgt:.*4...$' /proc/1/status; do sleep 0.01; done").await;
        runtime.stop_container(&id, Duration::from_millis(200), None).await.unwrap();
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

pub fn mounts_travel() {
    world::with(|world| async move {
        let directory = world.dir.join("shared");
        std::fs::create_dir(&directory).unwrap();
        let mount = |args: &[&str]| {
            let done = std::process::Command::new("mount").args(args).arg(&directory).status();
            assert!(done.unwrap().success());
        };
        mount(&["-t", "tmpfs", "tmpfs"]);
        mount(&["--make-shared"]);
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("eight")).await.unwrap();
        let mount = |target: &str, propagation| Mount {
            source: Some(directory.clone()),
            target: target.into(),
            read_only: false,
            propagation,
            ..Mount::default()
        };
        let at = |propagation| ContainerConfig {
            mounts: vec![mount("/shared", propagation), mount("/beside", Propagation::Private)],
            privileged: propagation == Propagation::Bidirectional,
            ..shell("c", "exec sleep 1000")
        };
        let giver = start(&runtime, &sandbox.id, at(Propagation::Bidirectional)).await;
        let taker = start(&runtime, &sandbox.id, at(Propagation::HostToContainer)).await;
        let private = start(&runtime, &sandbox.id, at(Propagation::Private)).await;
        sh(
            &runtime,
            &giver,
            "busybox mkdir /shared/sub && mount -t tmpfs tmpfs /shared/sub && echo x > /shared/sub/file",
        )
        .await;
        assert_eq!(std::fs::read_to_string(directory.join("sub/file")).unwrap(), "x\n");
        assert_eq!(sh(&runtime, &taker, "cat /shared/sub/file").await, "x\n");
        assert_eq!(sh(&runtime, &private, "ls /shared/sub").await, "");
        for container in [&giver, &taker] {
            assert_eq!(sh(&runtime, container, "ls /beside/sub").await, "", "each mount by itself");
        }
        runtime.remove_container(&giver).await.unwrap();
        assert_eq!(sh(&runtime, &taker, "cat /shared/sub/file").await, "x\n");
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
        assert_eq!(
            std::fs::read_to_string(directory.join("sub/file")).unwrap(),
            "x\n",
            "what was brought to the machine stays there"
        );
        nix::mount::umount2(&directory, nix::mount::MntFlags::MNT_DETACH).unwrap();
    });
}

pub fn confined() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("nine")).await.unwrap();
        let config = ContainerConfig { read_only_rootfs: true, ..shell("c", "exec sleep 1000") };
        let id = start(&runtime, &sandbox.id, config).await;
        let script = "(echo x > /file) 2>/dev/null || echo no; echo x > /dev/shm/file && cat /dev/shm/file";
        assert_eq!(sh(&runtime, &id, script).await, "no\nx\n");
        // it may make the node of a device that it was not given, but not open it; 1:11 is the kernel's log
        let script = "busybox mknod /dev/log11 c 1 11 && (cat /dev/log11 2>/dev/null || echo no)";
        assert_eq!(sh(&runtime, &id, script).await, "no\n");
        assert_eq!(
            sh(&runtime, &id, "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo no").await,
            "no\n"
        );
        let directory = world.dir.join("directory");
        std::fs::create_dir(&directory).unwrap();
        let mounts = vec![Mount {
            source: Some(directory.clone()),
            target: "/work".into(),
            read_only: false,
            propagation: Propagation::Private,
            ..Mount::default()
        }];
        let config = ContainerConfig {
            working_dir: Some("/work/in/it".into()),
            mounts,
            ..shell("w", "echo x > file")
        };
        assert_eq!(run(&runtime, &sandbox.id, config).await, 0);
        assert!(directory.join("in/it/file").exists(), "the working directory is in the volume");
        let config = ContainerConfig { privileged: true, ..shell("p", "exec sleep 1000") };
        let free = start(&runtime, &sandbox.id, config).await;
        assert_eq!(
            sh(
                &runtime,
                &free,
                "test -c /dev/kmsg && dd if=/dev/kmsg of=/dev/null bs=8k count=0 2>/dev/null; echo $?"
            )
            .await,
            "0\n"
        );
        assert_eq!(
            sh(&runtime, &free, "mount -t tmpfs tmpfs /tmp && grep -c ' /tmp ' /proc/mounts").await,
            "1\n"
        );
        let disk = Path::new("/dev/loop0");
        if !disk.exists() {
            println!("SKIPPED: a device that is given needs {}", disk.display());
            return;
        }
        // to be read and not to be written to, wherever it is; its image has no such directory
        let given = |path: &str| Device {
            host_path: disk.to_owned(),
            container_path: path.into(),
            permissions: "r".into(),
        };
        let devices = vec![given("/dev/disk/mine"), given("/mnt/disk")];
        let config = ContainerConfig { devices, read_only_rootfs: true, ..shell("d", "exec sleep 1000") };
        let id = start(&runtime, &sandbox.id, config).await;
        for path in ["/dev/disk/mine", "/mnt/disk"] {
            let script = format!(
                "test -b {path} && dd if={path} of=/dev/null count=0 2>/dev/null && echo read; \
                (echo x > {path}) 2>/dev/null || echo no"
            );
            assert_eq!(sh(&runtime, &id, &script).await, "read\nno\n", "{path}");
        }
    });
}

/// The attack: whoever writes into a volume swaps a part of it for a link to the machine's root while others start on it.
pub fn images_as_volumes() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("images")).await.unwrap();
        let mount = |target: &str, part: Option<&str>| Mount {
            image: Some("test/busybox".into()),
            subpath: part.map(Into::into),
            target: target.into(),
            read_only: true,
            options: ["rbind", "ro", "noexec"].map(str::to_owned).to_vec(),
            ..Mount::default()
        };
        let config = |mounts: Vec<Mount>, script: &str| ContainerConfig { mounts, ..shell("c", script) };
        let both = vec![mount("/all", None), mount("/part", Some("data")), mount("/file", Some("data/seed"))];
        let script = "set -e; test \"$(cat /all/www/index.html)\" = 'hello from inside'; \
            test \"$(cat /part/seed)\" = 'from the image'; test \"$(cat /file)\" = 'from the image'; \
            ! touch /all/new; ! /all/bin/true; test ! -e /part/www; sleep 1000";
        let id = start(&runtime, &sandbox.id, config(both, script)).await;
        let is_ready = "! test -e /all/new && cat /part/seed";
        assert_eq!(sh(&runtime, &id, is_ready).await, "from the image\n");
        let leads_out = vec![mount("/x", Some("../../etc"))];
        assert!(runtime.create_container(&sandbox.id, config(leads_out, "true")).await.is_err());
        let unknown = vec![Mount { image: Some("nowhere/none".into()), ..mount("/x", None) }];
        let refused = runtime.create_container(&sandbox.id, config(unknown, "true")).await.unwrap_err();
        assert!(refused.to_string().contains("nowhere/none"), "{refused}");
        // not even by one who may mount, and the store is as it was
        let privileged = ContainerConfig {
            privileged: true,
            ..config(vec![mount("/x", None)], "mount -o remount,rw /x; touch /x/new")
        };
        assert_ne!(run(&runtime, &sandbox.id, privileged).await, 0);
        let layers = world.images.rootfs("test/busybox").unwrap().layers;
        assert!(layers.iter().all(|layer| !layer.join("new").exists()));
        assert!(matches!(runtime.container(&id).await.unwrap().state, ContainerState::Running { .. }));
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// With the name checked first and mounted then, every fourth start had the machine's root.
pub fn parts_of_volumes() {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    use std::sync::atomic::{AtomicBool, Ordering};
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("parts")).await.unwrap();
        let volume = world.dir.join("volume");
        std::fs::create_dir_all(volume.join("part/deep")).unwrap();
        std::fs::write(volume.join("part/own"), "").unwrap();
        for (link, to) in [("link", "part"), ("root", "/"), ("up", "..")] {
            std::os::unix::fs::symlink(to, volume.join(link)).unwrap();
        }
        let on = |part: &str, script: &str| ContainerConfig {
            mounts: vec![Mount {
                source: Some(volume.clone()),
                subpath: Some(part.into()),
                target: "/x".into(),
                ..Mount::default()
            }],
            working_dir: Some("/x".into()),
            ..shell("c", script)
        };
        for part in ["part", "link", "part/own"] {
            let script = "test -f /x/own || test -f /x";
            let config = ContainerConfig { working_dir: None, ..on(part, script) };
            assert_eq!(run(&runtime, &sandbox.id, config).await, 0, "{part}");
        }
        assert_eq!(run(&runtime, &sandbox.id, on("part/deep", "pwd > file")).await, 0);
        assert_eq!(std::fs::read_to_string(volume.join("part/deep/file")).unwrap(), "/x\n");
        for part in ["root", "up", "../volume", "/etc", "part/none"] {
            assert!(runtime.create_container(&sandbox.id, on(part, "true")).await.is_err(), "{part}");
        }
        let is_over = std::sync::Arc::new(AtomicBool::new(false));
        let (part, root, until) = (volume.join("part"), volume.join("root"), is_over.clone());
        let attacker = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                renameat2(AT_FDCWD, &part, AT_FDCWD, &root, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        });
        let (mut inside, mut refused) = (0, 0);
        let mut events = runtime.events();
        while (inside < 10 || refused < 10) && inside + refused < 200 {
            let config = on("part", "test -f /x/own && ! test -e /x/etc");
            match runtime.create_container(&sandbox.id, config).await {
                Ok(id) => {
                    runtime.start_container(&id).await.unwrap();
                    let code = world::exit_of(&mut events, &id).await;
                    assert_eq!(code, 0, "a container saw something else than its part");
                    runtime.remove_container(&id).await.unwrap();
                    inside += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("leads out"), "{error}");
                    refused += 1;
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
        attacker.join().unwrap();
        assert!(inside > 0 && refused > 0, "{inside} started, {refused} were refused");
    });
}

pub fn with_the_host_s_namespaces() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let config =
            SandboxConfig { host_network: true, host_pid: true, host_ipc: true, ..world.sandbox("ten") };
        let sandbox = runtime.run_sandbox(config).await.unwrap();
        assert_eq!(sandbox.ip, None);
        let id = start(&runtime, &sandbox.id, shell("c", "exec sleep 1000")).await;
        for kind in ["net", "pid", "ipc"] {
            let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            let theirs = sh(&runtime, &id, &format!("readlink /proc/self/ns/{kind}")).await;
            assert_eq!(theirs.trim(), own.to_str().unwrap());
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.port_forward(&sandbox.id, port).await.unwrap();
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// A key that only its possessor sees, in this process's session, as an administrator's login has it.
fn add_session_key(name: &std::ffi::CStr) {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    const SETPERM: libc::c_long = 5;
    const SESSION: libc::c_long = -3;
    const POSSESSOR_ALL: libc::c_long = 0x3f00_0000;
    let (kind, value) = (c"user", c"secret");
    // SAFETY: NUL-terminated texts that live through the calls, and numbers.
    let done = unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<u8>());
        let key = libc::syscall(libc::SYS_add_key, kind.as_ptr(), name.as_ptr(), value.as_ptr(), 6, SESSION);
        libc::syscall(libc::SYS_keyctl, SETPERM, key, POSSESSOR_ALL)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

pub fn keyrings() {
    // before there are threads, each of which has a session of its own
    add_session_key(c"key-of-the-login");
    assert!(std::fs::read_to_string("/proc/keys").unwrap().contains("key-of-the-login"));
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("keys")).await.unwrap();
        // /proc/keys is masked for others
        let privileged = |name, script| ContainerConfig { privileged: true, ..shell(name, script) };
        let first =
            start(&runtime, &sandbox.id, privileged("a", "cat /proc/keys; echo all; exec sleep 1000")).await;
        // its first process may be slower than one that comes later
        while !world.log("keys", "a").contains("stdout F all") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        for seen in [sh(&runtime, &first, "cat /proc/keys").await, world.log("keys", "a")] {
            assert!(!seen.contains("key-of-the-login"), "{seen}");
            assert_eq!(
                seen.matches(&format!("_ses.{first}")).count(),
                1,
                "one for all of its processes: {seen}"
            );
        }
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// A /dev like the machine's, which a mistake can not hurt.
fn machine_dev(at: &std::path::Path) {
    let script = format!(
        "mkdir {0} && mount -t tmpfs -o mode=755 tmpfs {0} && cd {0} && mkdir pts shm sub
         mknod -m 666 null c 1 3 && mknod -m 666 zero c 1 5 && mknod -m 666 ptmx c 5 2
         mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=000 devpts pts
         mount -t tmpfs tmpfs shm && echo machine > machine && echo > place",
        at.display()
    );
    let done = std::process::Command::new("sh").args(["-ec", &script]).status().unwrap();
    assert!(done.success());
}

fn listing(dir: &std::path::Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let meta = std::fs::symlink_metadata(entry.path()).unwrap();
        format!("{} {:o} {} {}", entry.file_name().display(), meta.mode(), meta.rdev(), meta.ino())
    });
    let mut all: Vec<String> = entries.collect();
    all.sort();
    all
}

pub fn dev_bound() {
    world::with(|world| async move {
        let dev = world.dir.join("dev");
        machine_dev(&dev);
        let before = listing(&dev);
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("dev")).await.unwrap();
        let own = world.dir.join("own");
        std::fs::write(&own, "own\n").unwrap();
        let mount = |source: &std::path::Path, target: &str| Mount {
            source: Some(source.to_owned()),
            target: target.into(),
            ..Mount::default()
        };
        let with =
            |name: &str, mounts: Vec<Mount>| ContainerConfig { mounts, ..shell(name, "exec sleep 1000") };
        let said = "cat /dev/machine /dev/place; echo x > /dev/null; ls /dev | grep -c -E '^(kcore|fd|stdin|full)$'; \
                    stat -c %F /dev/ptmx";
        let config = with("plain", vec![mount(&own, "/dev/place"), mount(&dev, "/dev/")]);
        let id = start(&runtime, &sandbox.id, config).await;
        assert_eq!(sh(&runtime, &id, said).await, "machine\nown\n0\ncharacter special file\n");
        let terminal = |tty| cri::ExecConfig {
            command: ["sh", "-c", "test -t 0 && readlink /proc/self/fd/0"].map(str::to_owned).to_vec(),
            tty,
            stdin: true,
            stdout: true,
            ..Default::default()
        };
        let mut session = runtime.exec(&id, terminal(true)).await.unwrap();
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(
            &mut tokio::io::BufReader::new(session.stdout.take().unwrap()),
            &mut line,
        )
        .await
        .unwrap();
        assert_eq!(line.trim(), "/dev/pts/0", "a terminal of the machine's");

        let tty = ContainerConfig { tty: true, ..with("tty", vec![mount(&dev, "/dev")]) };
        start(&runtime, &sandbox.id, tty).await;
        // what is mounted on the machine later comes in where it may
        let slave = Mount { propagation: Propagation::HostToContainer, ..mount(&dev, "/dev") };
        let both = Mount { propagation: Propagation::Bidirectional, ..mount(&dev, "/dev") };
        let shared = std::process::Command::new("mount").arg("--make-rshared").arg(&dev).status().unwrap();
        assert!(shared.success());
        let sandbox = runtime.run_sandbox(world.sandbox("dev2")).await.unwrap();
        let slave = start(&runtime, &sandbox.id, with("slave", vec![slave])).await;
        let both = ContainerConfig { privileged: true, ..with("both", vec![both]) };
        let both = start(&runtime, &sandbox.id, both).await;
        let private = start(&runtime, &sandbox.id, with("private", vec![mount(&dev, "/dev")])).await;
        sh(&runtime, &both, "mount -t tmpfs tmpfs /dev/sub && echo x > /dev/sub/file").await;
        assert_eq!(std::fs::read_to_string(dev.join("sub/file")).unwrap(), "x\n");
        assert_eq!(sh(&runtime, &slave, "cat /dev/sub/file").await, "x\n");
        assert_eq!(sh(&runtime, &private, "ls /dev/sub").await, "");
        nix::mount::umount(&dev.join("sub")).unwrap();

        let read_only = |options: &[&str]| Mount {
            read_only: true,
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            ..mount(&dev, "/dev")
        };
        for (name, options, below) in [("ro", &[][..], "yes"), ("rro", &["rbind", "rro"][..], "no")] {
            let id = start(&runtime, &sandbox.id, with(name, vec![read_only(options)])).await;
            let script = "(touch /dev/x) 2>/dev/null && echo yes || echo no; \
                          (touch /dev/shm/x) 2>/dev/null && echo yes || echo no";
            assert_eq!(sh(&runtime, &id, script).await, format!("no\n{below}\n"), "{name}");
        }
        let nowhere = with("nowhere", vec![mount(&dev, "/dev"), mount(&own, "/dev/nowhere")]);
        let why = runtime.create_container(&sandbox.id, nowhere).await.unwrap_err().to_string();
        assert!(why.ends_with("to /dev/nowhere: no such file or directory"), "{why}");
        for sandbox in ["dev", "dev2"] {
            let all = runtime.list().await.unwrap();
            let one = all.iter().find(|s| s.config.name == sandbox).unwrap();
            runtime.remove_sandbox(&one.id).await.unwrap();
        }
        assert_eq!(listing(&dev), before, "nothing was made or deleted in it");
        nix::mount::umount2(&dev, nix::mount::MntFlags::MNT_DETACH).unwrap();
    });
}
