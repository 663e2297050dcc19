//! Daemons and shims that die, and what is left then.

use crate::world::{self, World, exit_of, pid_of, run, sh, shell, shim_of, start};
use cri::{ContainerState, ImageService, Runtime, RuntimeEvent, SandboxState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime::RuntimeConfig;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn kill_now(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// A killed process has left its cgroup a moment before the kernel is done with it.
async fn until_dead(pid: i32) {
    while is_alive(pid) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub fn outlive_the_daemon() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let id = start(&runtime, &sandbox.id, shell("stays", "exec sleep 1000")).await;
        let short = start(
            &runtime,
            &sandbox.id,
            shell("short", "while ! test -e /dev/shm/go; do sleep 0.02; done; exit 9"),
        )
        .await;
        let (pid, before) = (pid_of(&runtime, &id).await, runtime.list().await.unwrap());
        drop(runtime);
        let runtime = world.runtime().await;
        assert_eq!(runtime.list().await.unwrap(), before);
        assert_eq!(pid_of(&runtime, &id).await, pid);
        let why = world.images.remove("test/busybox").await.unwrap_err();
        assert!(why.to_string().contains("use"), "its image is held again: {why}");
        let mut events = runtime.events();
        sh(&runtime, &id, "touch /dev/shm/go").await;
        assert_eq!(exit_of(&mut events, &short).await, 9);
        drop(runtime);
        let runtime = world.runtime().await;
        let state = runtime.container(&short).await.unwrap().state;
        assert!(
            matches!(state, ContainerState::Exited { exit_code: 9, started_at: Some(_), .. }),
            "{state:?}"
        );
        runtime.stop_container(&id, Duration::ZERO, None).await.unwrap();
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
        assert!(!is_alive(pid));
        world.images.remove("test/busybox").await.unwrap();
        drop(runtime);
        assert!(world.runtime().await.list().await.unwrap().is_empty());
    });
}

pub fn killed_shim() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("one")).await.unwrap();
        let id = start(&runtime, &sandbox.id, shell("c", "sleep 1000 & sleep 2000")).await;
        let pid = pid_of(&runtime, &id).await;
        let mut events = runtime.events();
        kill_now(shim_of(&world, &sandbox));
        assert_eq!(exit_of(&mut events, &id).await, 137);
        assert_eq!(events.recv().await.unwrap(), RuntimeEvent::SandboxLost { sandbox: sandbox.id.clone() });
        until_dead(pid).await;
        let status = runtime.sandbox(&sandbox.id).await.unwrap();
        assert_eq!(status.state, SandboxState::NotReady);
        assert!(matches!(status.containers[0].state, ContainerState::Exited { exit_code: 137, .. }));
        assert!(runtime.create_container(&sandbox.id, shell("d", "true")).await.is_err());
        runtime.stop_sandbox(&sandbox.id).await.unwrap();
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
        assert!(runtime.list().await.unwrap().is_empty());
    });
}

pub fn died_unseen() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let lost = runtime.run_sandbox(world.sandbox("lost")).await.unwrap();
        let rebooted = runtime.run_sandbox(world.sandbox("rebooted")).await.unwrap();
        let one = start(&runtime, &lost.id, shell("c", "sleep 1000")).await;
        let two = start(&runtime, &rebooted.id, shell("c", "sleep 1000")).await;
        let pid = pid_of(&runtime, &one).await;
        drop(runtime);
        kill_now(shim_of(&world, &lost));
        kill_now(shim_of(&world, &rebooted));
        std::fs::remove_dir_all(&world.config.run_dir).unwrap();
        // what a daemon leaves that is killed while it makes a sandbox, and a torn record
        let half = world.config.state_dir.join("sandboxes").join("e".repeat(64));
        std::fs::create_dir(&half).unwrap();
        std::fs::write(half.join("sandbox.json"), "{\"id\":").unwrap();
        let runtime = world.runtime().await;
        assert!(!half.exists());
        until_dead(pid).await;
        for (sandbox, container) in [(&lost, &one), (&rebooted, &two)] {
            let status = runtime.sandbox(&sandbox.id).await.unwrap();
            assert_eq!(status.state, SandboxState::NotReady);
            assert_eq!(status.containers[0].id, *container);
            assert!(matches!(status.containers[0].state, ContainerState::Exited { exit_code: 137, .. }));
            runtime.remove_sandbox(&sandbox.id).await.unwrap();
        }
    });
}

pub fn failed_sandbox() {
    world::with(|world| async move {
        let config = RuntimeConfig { program: "/bin/false".into(), ..world.config.clone() };
        let runtime = world.runtime_of(config).await;
        let why = runtime.run_sandbox(world.sandbox("one")).await.unwrap_err().to_string();
        assert!(why.starts_with("start shim of sandbox "), "{why}");
        let bad = cri::SandboxConfig { cgroup_parent: "../escape".into(), ..world.sandbox("one") };
        assert!(runtime.run_sandbox(bad).await.is_err());
        drop(runtime);
        let runtime = world.runtime().await;
        let sysctls = [("kernel.panic".to_owned(), "1".to_owned())].into();
        let bad = cri::SandboxConfig { sysctls, ..world.sandbox("one") };
        let why = runtime.run_sandbox(bad).await.unwrap_err().to_string();
        assert!(why.contains("kernel.panic"), "{why}");
        assert!(runtime.list().await.unwrap().is_empty());
        assert_eq!(std::fs::read_dir(&world.config.run_dir).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(world.config.state_dir.join("sandboxes")).unwrap().count(), 0);
        for dir in world::cgroup_dirs(&world.config) {
            assert!(!dir.join("besteffort/podone").exists(), "{}", dir.display());
            let shims = std::fs::read_dir(dir.join("shims")).into_iter().flatten().flatten();
            assert_eq!(shims.filter(|e| e.path().is_dir()).count(), 0, "{}", dir.display());
        }
    });
}

pub fn purged() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let mut pids = Vec::new();
        for name in ["one", "two"] {
            let sandbox = runtime.run_sandbox(world.sandbox(name)).await.unwrap();
            let id =
                start(&runtime, &sandbox.id, shell("c", "while :; do sleep 0.01 & sleep 0.01; done")).await;
            pids.extend([shim_of(&world, &sandbox), pid_of(&runtime, &id).await]);
        }
        // as after kill -9 of the daemon: nobody is there to help
        drop(runtime);
        assert_eq!(runtime::purge(&world.config), Vec::<String>::new());
        assert_eq!(world::traces(&world.config), Vec::<String>::new());
        for pid in pids {
            until_dead(pid).await;
        }
        assert_eq!(runtime::purge(&world.config), Vec::<String>::new());
    });
}

/// How long each daemon lives: from its start into its work.
const LIVES: [u64; 8] = [40, 70, 90, 110, 140, 170, 230, 310]; // milliseconds

pub fn killed_daemon() {
    world::with(|world| async move {
        for life in LIVES {
            let mut daemon = Command::new(std::env::current_exe().unwrap());
            let name = std::process::id().to_string();
            let mut daemon =
                daemon.args([crate::DAEMON, world.dir.to_str().unwrap(), &name]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(life));
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
        let runtime = world.runtime().await;
        for sandbox in runtime.list().await.unwrap() {
            if sandbox.state == SandboxState::Ready {
                assert_eq!(run(&runtime, &sandbox.id, shell("new", "true")).await, 0, "{sandbox:?}");
            }
            runtime.remove_sandbox(&sandbox.id).await.unwrap();
        }
        // a shim that had not come as far as its cgroup ends by itself
        while std::fs::read_dir(&world.config.run_dir).unwrap().count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(std::fs::read_dir(world.config.state_dir.join("sandboxes")).unwrap().count(), 0);
        for dir in world::cgroup_dirs(&world.config) {
            for part in ["shims", "besteffort"] {
                let left = std::fs::read_dir(dir.join(part)).into_iter().flatten().flatten();
                let left: Vec<_> = left.map(|e| e.path()).filter(|p| p.is_dir()).collect();
                assert!(left.is_empty(), "{left:?}");
            }
        }
        let links = Command::new("ip").args(["-o", "link"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&links.stdout).lines().count(), 1, "only lo is left");
    });
}

/// Makes and removes sandboxes with containers until it is killed.
pub fn be_daemon(dir: &str, name: &str) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    tokio.block_on(async {
        let world = World::open(Path::new(dir), name).await;
        let runtime = world.runtime().await;
        for number in 0.. {
            let sandbox = runtime.run_sandbox(world.sandbox(&format!("s{number}"))).await.unwrap();
            let id = start(&runtime, &sandbox.id, shell("c", "sleep 1000 & sleep 2000")).await;
            if number % 3 == 0 {
                runtime.remove_container(&id).await.unwrap();
                runtime.remove_sandbox(&sandbox.id).await.unwrap();
            }
        }
    });
}
