//! Images and containers that try to get at the machine: each class of faults that container runtimes had.

use crate::world::{self, World, run, sh, shell, start};
use cri::{ContainerConfig, Mount, Runtime, SandboxConfig};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Links that lead to a directory of the machine, one way or the other.
fn out(dir: &Path, to: &str) -> [String; 2] {
    let to = dir.join("machine").join(to).display().to_string();
    [to.clone(), format!("{}{}", "../".repeat(20), to.trim_start_matches('/'))]
}

fn machine(world: &World) -> Vec<String> {
    let dir = world.dir.join("machine");
    let mut all: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            format!("{} {text:?} {:?}", path.display(), std::fs::symlink_metadata(&path).unwrap().file_type())
        })
        .collect();
    all.sort();
    all
}

/// A directory of the machine, with files of the names that a runtime makes or takes away.
fn make_machine(dir: &Path) {
    let machine = dir.join("machine");
    std::fs::create_dir(&machine).unwrap();
    for name in ["ptmx", "null", "console", "resolv.conf", "hosts", "file"] {
        std::fs::write(machine.join(name), "the machine's").unwrap();
    }
}

/// What it is asked for is done inside of the container, or refused; the machine's files stay as they are.
pub fn links_in_images() {
    let config = r#"{"WorkingDir":"/work/in","Volumes":{"/volume":{}}}"#;
    for way in 0..2 {
        for linked in [
            "dev",
            "proc",
            "sys",
            "etc/resolv.conf",
            "etc/hosts",
            "etc/hostname",
            "work",
            "volume",
            "mnt",
            "dev/shm",
        ] {
            let links = |dir: &Path| {
                make_machine(dir);
                let to = match linked {
                    "etc/resolv.conf" => "resolv.conf",
                    "etc/hosts" => "hosts",
                    "etc/hostname" => "hostname",
                    _ => "",
                };
                vec![(linked, out(dir, to)[way].clone())]
            };
            world::with_links(config, links, |world| async move {
                let before = machine(&world);
                let runtime = world.runtime().await;
                let config = SandboxConfig {
                    resolv_conf: Some("nameserver 10.0.0.1\n".into()),
                    ..world.sandbox("one")
                };
                let sandbox = runtime.run_sandbox(config).await.unwrap();
                let bound = world.dir.join("bound");
                std::fs::write(&bound, "bound\n").unwrap();
                let mount = Mount { source: Some(bound), target: "/mnt/bound".into(), ..Mount::default() };
                let script = "cat /etc/hosts /etc/resolv.conf /mnt/bound; pwd; \
                              echo x > /dev/null; test -c /dev/ptmx && test -e /dev/stdin && test -d /dev/pts && echo dev; \
                              test -e /proc/self/stat && echo proc; test -d /sys/kernel && echo sys; \
                              (echo x > /proc/sysrq-trigger) 2>/dev/null || echo confined; echo x > /volume/x; exec sleep 1000";
                for tty in [false, true] {
                    let name = if tty { "t" } else { "c" };
                    let config = ContainerConfig { mounts: vec![mount.clone()], tty, ..shell(name, script) };
                    let id = start(&runtime, &sandbox.id, config).await;
                    sh(&runtime, &id, "while ! test -e /volume/x; do sleep 0.01; done").await;
                    runtime.stop_container(&id, std::time::Duration::ZERO, None).await.unwrap();
                    let said = world.log("one", name).replace("\r", "");
                    for want in
                        ["localhost", "10.0.0.1", "bound", "/in\n", "F dev", "F proc", "F sys", "F confined"]
                    {
                        assert!(said.contains(want), "{linked} ({tty}): no {want:?} in {said}");
                    }
                }
                runtime.remove_sandbox(&sandbox.id).await.unwrap();
                assert_eq!(machine(&world), before, "{linked}");
            });
        }
    }
}

/// The attack: a volume that the container's own pod has written holds a link, and another one is mounted there. Behind a link to the
/// root it was the root for all that came after, and its `dev` was a directory of the machine's.
pub fn links_in_volumes() {
    const HERE: &str = "test $(pwd -P) = /outer/plain";
    world::with(|world| async move {
        make_machine(&world.dir);
        let before = machine(&world);
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let (outer, inner) = (world.dir.join("outer"), world.dir.join("inner"));
        std::fs::create_dir_all(outer.join("plain")).unwrap();
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(outer.join("file"), "text").unwrap();
        let link = |at: &Path, name: &str, to: &str| std::os::unix::fs::symlink(to, at.join(name)).unwrap();
        for (name, to) in [("root", "/"), ("dev", "/dev"), ("proc", "/proc"), ("link", "file")] {
            link(&outer, name, to);
        }
        link(&inner, "dev", &out(&world.dir, "")[0]);
        link(&inner, "link", "../file");
        let mount = |source: &Path, target: &str| Mount {
            source: Some(source.to_owned()),
            target: target.into(),
            ..Mount::default()
        };
        let mounts = |place: &str| vec![mount(&outer, "/outer"), mount(&inner, &format!("/outer/{place}"))];
        for place in ["root", "dev", "proc"] {
            let config = ContainerConfig { mounts: mounts(place), ..shell(place, "true") };
            assert!(runtime.create_container(&sandbox.id, config).await.is_err(), "{place}");
            assert_eq!(machine(&world), before, "{place}");
        }
        // once it is made they lead on, also to where it begins
        let script = "cat /outer/link /outer/plain/link";
        let config = ContainerConfig { mounts: mounts("plain"), ..shell("c", script) };
        assert_eq!(run(&runtime, &sandbox.id, config).await, 0);
        link(&outer, "begin", "/outer/plain");
        let begins = ContainerConfig { working_dir: Some("/outer/begin".into()), ..shell("begin", HERE) };
        let config = ContainerConfig { mounts: mounts("plain"), ..begins };
        assert_eq!(run(&runtime, &sandbox.id, config).await, 0);
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// The same by a link of the image, behind which there is another one that leads elsewhere as long as nothing is mounted over it.
pub fn links_in_volumes_behind_links() {
    let links = |_: &Path| {
        let both = |way, hidden, to: &str| [(way, format!("/{hidden}")), (hidden, to.to_owned())];
        [
            both("way", "outer/root", "/elsewhere"),
            both("up", "outer/up", "here"),
            both("x", "outer/dev", "/y"),
        ]
        .concat()
    };
    world::with_links("{}", links, |world| async move {
        make_machine(&world.dir);
        let before = machine(&world);
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let (outer, inner) = (world.dir.join("outer"), world.dir.join("inner"));
        std::fs::create_dir_all(&outer).unwrap();
        std::fs::create_dir(&inner).unwrap();
        for (at, to) in [
            (outer.join("root"), "/"),
            (outer.join("up"), "../"),
            (outer.join("dev"), "/dev"),
            (inner.join("dev"), out(&world.dir, "")[0].as_str()),
        ] {
            std::os::unix::fs::symlink(to, at).unwrap();
        }
        let mount = |source: &Path, target: &str| Mount {
            source: Some(source.to_owned()),
            target: target.into(),
            ..Mount::default()
        };
        for place in ["/way", "/up", "/x"] {
            let mounts = vec![mount(&outer, "/outer"), mount(&inner, place)];
            let config = ContainerConfig { mounts, ..shell(&place[1..], "true") };
            let made = runtime.create_container(&sandbox.id, config).await;
            assert!(made.is_err(), "{place}");
            assert_eq!(machine(&world), before, "{place}");
        }
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// CVE-2019-16884: whoever has something of his own in the place of /proc says what his confinement is written to.
pub fn no_volume_of_an_image_lies_over_proc() {
    for (volume, links) in [
        ("/proc", &[][..]),
        ("/proc/self/attr", &[]),
        ("/x", &[("x", "/proc")]),
        ("/x/y", &[("x", "proc/self")]),
        // a link that is hidden when something is mounted on /proc
        ("/x", &[("x", "/proc/self/attr"), ("proc/self", "/elsewhere")]),
        ("/x", &[("x", "/proc/sys/kernel"), ("proc/sys", "../tmp")]),
    ] {
        let config = format!(r#"{{"Volumes":{{"{volume}":{{}}}}}}"#);
        let made = |_: &Path| -> Vec<(&'static str, String)> {
            links.iter().map(|(link, to)| (*link, (*to).to_owned())).collect()
        };
        world::with_links(&config, made, |world| async move {
            let runtime = world.runtime().await;
            let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
            let refused = runtime.create_container(&sandbox.id, shell("c", "true")).await.unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains("it must not be inside /proc"), "{volume} {links:?}: {refused}");
            runtime.remove_sandbox(&sandbox.id).await.unwrap();
        });
    }
}

/// The same by a link in what is bound onto /dev, which is mounted when the rest of the container is made.
pub fn no_volume_in_dev_lies_over_proc() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let (dev, inner) = (world.dir.join("dev"), world.dir.join("inner"));
        for directory in [&dev, &inner] {
            std::fs::create_dir(directory).unwrap();
        }
        std::os::unix::fs::symlink("/proc/1", dev.join("d")).unwrap();
        let mount = |source: &Path, target: &str| Mount {
            source: Some(source.to_owned()),
            target: target.into(),
            ..Mount::default()
        };
        let mounts = vec![mount(&dev, "/dev"), mount(&inner, "/dev/d/attr")];
        let config = ContainerConfig { mounts, ..shell("c", "true") };
        let refused = runtime.create_container(&sandbox.id, config).await.unwrap_err().to_string();
        assert!(refused.ends_with("to /dev/d/attr: operation not permitted"), "{refused}");
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// The same by a link of the image in the place of a file that every container gets.
pub fn no_file_of_the_sandbox_s_lies_in_proc() {
    for (file, to) in [
        ("etc/hosts", "/proc/self/attr/exec"),
        ("etc/resolv.conf", "../proc/sys/kernel/core_pattern"),
        ("etc/hostname", "/proc/1/oom_score_adj"),
    ] {
        world::with_links(
            "{}",
            |_| vec![(file, to.to_owned())],
            |world| async move {
                let runtime = world.runtime().await;
                let config = SandboxConfig {
                    resolv_conf: Some("nameserver 10.0.0.1\n".into()),
                    ..world.sandbox("one")
                };
                let sandbox = runtime.run_sandbox(config).await.unwrap();
                let refused = runtime.create_container(&sandbox.id, shell("c", "true")).await.unwrap_err();
                let refused = refused.to_string();
                assert!(refused.contains("it must not be inside /proc"), "{file}: {refused}");
                runtime.remove_sandbox(&sandbox.id).await.unwrap();
            },
        );
    }
}

/// The attack: a process of the machine is the same user's as the container's, and the image names a file in its root by what the
/// container's first process has open. It was run, and could be written then.
pub fn no_name_leads_into_the_machine_s_proc() {
    const USER: u32 = 101;
    world::with(|world| async move {
        let program = world.dir.join("of-the-machine");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        for at in [&world.dir, &program] {
            std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut process = std::process::Command::new("sleep").arg("600").uid(USER).gid(USER).spawn().unwrap();
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let root = |number: u32, pid: u32| format!("/proc/self/fd/{number}/{pid}/root");
        let directories =
            (3..64).map(|number| format!("{}{}", root(number, process.id()), world.dir.display()));
        let path = directories.collect::<Vec<_>>().join(":");
        let config = ContainerConfig {
            command: vec!["of-the-machine".into()],
            env: vec![("PATH".into(), path)],
            run_as_user: Some(USER.into()),
            run_as_group: Some(USER.into()),
            ..shell("path", "")
        };
        let refused = runtime.create_container(&sandbox.id, config).await.map(drop);
        // nor to a directory, while the runtime still has the machine's rights
        let mut outside = Vec::new();
        for number in 3..24 {
            let name = format!("c{number}");
            let config = ContainerConfig { working_dir: Some(root(number, 1)), ..shell(&name, "pwd") };
            outside.push(runtime.create_container(&sandbox.id, config).await.map(drop));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("executable file not found in $PATH"), "{refused}");
        assert!(outside.iter().all(Result::is_err), "{outside:?}");
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// CVE-2019-5736: the first process is the runtime itself, and another one keeps it open until it may be written.
pub fn the_runtime_is_not_overwritten() {
    world::with(|world| async move {
        let program = world.dir.join("program");
        std::fs::copy(&world.config.program, &program).unwrap();
        let runtime = world
            .runtime_of(runtime::RuntimeConfig { program: program.clone(), ..world.config.clone() })
            .await;
        let config = SandboxConfig { share_pid: true, ..world.sandbox("one") };
        let sandbox = runtime.run_sandbox(config).await.unwrap();
        let other = start(&runtime, &sandbox.id, shell("other", "exec sleep 1000")).await;
        let config = ContainerConfig {
            command: vec!["/proc/self/exe".into(), "shim".into()],
            stdin: true,
            ..shell("runtime", "")
        };
        start(&runtime, &sandbox.id, config).await;
        let attack = "pid=
                      while test -z \"$pid\"; do
                          for p in /proc/[0-9]*; do
                              grep -q '^/proc/self/exe' $p/cmdline 2>/dev/null && pid=${p#/proc/}
                          done
                      done
                      exec 9< /proc/$pid/exe; kill -9 $pid
                      while test -e /proc/$pid/exe; do sleep 0.01; done
                      (busybox printf pwned > /proc/self/fd/9) 2>/dev/null && echo written || echo refused";
        assert_eq!(sh(&runtime, &other, attack).await, "refused\n");
        assert!(!std::fs::read(&program).unwrap().starts_with(b"pwned"));
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// CAP_SYS_PTRACE opens to a container whatever a process that it sees has: the one that holds its PID namespace has nothing.
pub fn the_first_process_of_a_pod_has_nothing() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let config = SandboxConfig { share_pid: true, ..world.sandbox("one") };
        let sandbox = runtime.run_sandbox(config).await.unwrap();
        let config =
            ContainerConfig { add_capabilities: vec!["SYS_PTRACE".into()], ..shell("c", "exec sleep 1000") };
        let id = start(&runtime, &sandbox.id, config).await;
        let said = |script: &'static str| sh(&runtime, &id, script);
        assert_eq!(said("cat /proc/1/comm").await, "pause\n");
        // its own would say something: it may look
        assert_eq!(said("ls /proc/$$/root/ | grep -c www").await, "1\n");
        assert_eq!(
            said("ls -A /proc/1/root/ /proc/1/cwd/ /proc/1/fd/ | grep -v -e : -e '^$' || true").await,
            ""
        );
        assert_eq!(
            said("grep -E '^(Uid|CapInh|CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/1/status | tr -d '\\t '")
                .await,
            "Uid:65535655356553565535\nCapInh:0000000000000000\nCapPrm:0000000000000000\n\
             CapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n"
        );
        // and it still does what it is for
        let orphaned = "pid=$(sleep 0 > /dev/null & echo $!); while test -e /proc/$pid; do sleep 0.01; done; echo reaped";
        assert_eq!(said(orphaned).await, "reaped\n");
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// CVE-2025-31133 and -52565: a container swaps what another one of its pod is being made with.
pub fn masks_and_console_hold_in_a_race() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let shared = world.dir.join("shared");
        std::fs::create_dir(&shared).unwrap();
        let mount =
            |target: &str| Mount { source: Some(shared.clone()), target: target.into(), ..Mount::default() };
        let swap = "cd /shared; while true; do busybox ln -sfn /proc/sysrq-trigger x; busybox rm -rf x; \
                    busybox mkdir x; busybox rmdir x; done";
        let config = ContainerConfig { mounts: vec![mount("/shared")], ..shell("swapper", swap) };
        start(&runtime, &sandbox.id, config).await;
        for round in 0..12 {
            let script = "cat /proc/timer_list /proc/interrupts /proc/keys 2>/dev/null | wc -c; \
                          (echo x > /proc/sys/kernel/domainname) 2>/dev/null && echo written; \
                          (echo x > /proc/sysrq-trigger) 2>/dev/null && echo written; true";
            let config = ContainerConfig {
                tty: round % 2 == 0,
                // what it is mounted on is changed meanwhile: made, or refused
                mounts: vec![mount("/shared"), mount("/shared/x")],
                ..shell(&format!("c{round}"), script)
            };
            let Ok(id) = runtime.create_container(&sandbox.id, config).await else { continue };
            let mut events = runtime.events();
            runtime.start_container(&id).await.unwrap();
            world::exit_of(&mut events, &id).await;
            let said = world.log("one", &format!("c{round}")).replace('\r', "");
            assert_eq!(said.trim(), "stdout F 0", "round {round}");
        }
        // and without a race it is the same
        let script = "ls -l /dev/console /dev/null; cat /proc/timer_list 2>/dev/null | wc -c";
        let config = ContainerConfig { tty: true, ..shell("plain", script) };
        assert_eq!(run(&runtime, &sandbox.id, config).await, 0);
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}
