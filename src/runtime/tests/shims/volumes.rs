//! What a container sees of volumes, images and devices.

use crate::world::{self, run, sh, shell, start};
use cri::{ContainerConfig, ContainerState, Mount, Propagation, Runtime};

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
