//! The sandbox around the containers: its namespaces, its mounts, its end.

use crate::Test;
use crate::pod::{Pod, launch};
use cri::wire::*;
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;

pub const TESTS: &[Test] = &[
    ("containers_share_the_sandbox_s_namespaces", containers_share_the_sandbox_s_namespaces),
    ("containers_die_with_a_killed_shim", containers_die_with_a_killed_shim),
    ("a_shared_pid_namespace_shows_the_neighbours", a_shared_pid_namespace_shows_the_neighbours),
    ("a_shared_pid_namespace_that_ended_is_no_other", a_shared_pid_namespace_that_ended_is_no_other),
    (
        "mounts_of_the_machine_arrive_and_shared_ones_return",
        mounts_of_the_machine_arrive_and_shared_ones_return,
    ),
    ("shutdown_ends_everything", shutdown_ends_everything),
    ("bad_configurations_are_refused", bad_configurations_are_refused),
];

fn containers_share_the_sandbox_s_namespaces() {
    let mut pod = Pod::start_with(|config| {
        config.sysctls.insert("net.ipv4.ip_local_port_range".into(), "2000\t3000".into());
    });
    let container = pod.run(&[
        "sh",
        "-c",
        "hostname; cat /proc/sys/net/ipv4/ip_local_port_range; ip -o link show lo | grep -o LOOPBACK,UP; \
         grep -c ' /dev/shm .*size=1024k' /proc/mounts; echo $$",
    ]);
    assert_eq!(pod.exit(&container).exit_code, 0);
    let want = ["web-0", "2000\t3000", "LOOPBACK,UP", "1", "1"].map(|text| format!("stdout F {text}"));
    assert_eq!(container.log_lines(), want);
    let own = |what: &str| fs::read_link(format!("/proc/self/ns/{what}")).unwrap();
    let shims = |what: &str| fs::read_link(format!("/proc/{}/ns/{what}", pod.pid)).unwrap();
    for (namespace, same) in [("net", false), ("uts", false), ("ipc", false), ("mnt", false), ("pid", true)] {
        assert_eq!(own(namespace) == shims(namespace), same, "{namespace}");
    }
}

fn containers_die_with_a_killed_shim() {
    let mut pod = Pod::start();
    let container = pod.run(&["sleep", "1000"]);
    let pid = container.status().pid.unwrap();
    // wait until it is the program: before, nothing is set up
    while fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| !exe.ends_with("bin/busybox")) {
        std::thread::yield_now();
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pod.pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    while pod.shim.receive().is_some() {}
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.starts_with(" Z") || rest.starts_with(" X"))
    };
    while !gone() {
        std::thread::yield_now();
    }
    for directory in &container.request.cgroup.dirs {
        while fs::remove_dir(directory).is_err_and(|e| e.kind() == std::io::ErrorKind::ResourceBusy) {
            std::thread::yield_now();
        }
    }
    pod.remove_parent_cgroups();
    std::mem::forget(pod);
}

fn a_shared_pid_namespace_shows_the_neighbours() {
    let mut pod = Pod::start_with(|config| config.share_pid = true);
    let namespace = pod.run_dir().join(PID_NAMESPACE);
    let mut shared = |args: &[&str]| {
        let mut plan = pod.plan(args);
        plan.spec["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "pid", "path": namespace}]);
        let container = pod.create(plan).expect("create");
        pod.start_container(&container);
        container
    };
    let neighbour = shared(&["sleep", "12345"]);
    let looker = shared(&["sh", "-c", "sleep 54321 & until ps | grep -q '[s]leep 12345'; do :; done; ps"]);
    assert_eq!(pod.exit(&looker).exit_code, 0);
    let lines = looker.log_lines().join("\n");
    assert!(lines.contains("sleep 12345"), "{lines}");
    // what the first process leaves behind ends with it, or the cgroup could not be removed
    pod.remove(&looker);
    pod.signal(&neighbour, 9);
    assert_eq!(pod.exit(&neighbour).exit_code, 137);
}

/// By the number of its first process it would be that of whoever has the number next.
fn a_shared_pid_namespace_that_ended_is_no_other() {
    let mut pod = Pod::start_with(|config| config.share_pid = true);
    let namespace = pod.run_dir().join(PID_NAMESPACE);
    let number = |path: &std::path::Path| fs::metadata(path).map(|found| found.ino());
    let own = number(&namespace).unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let is_in_it =
        |process: &std::path::PathBuf| number(&process.join("ns/pid")).is_ok_and(|other| other == own);
    let first = processes.into_iter().find(is_in_it).expect("a first process");
    let pid = first.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    while number(&first.join("ns/pid")).is_ok_and(|other| other == own) {
        std::thread::yield_now();
    }
    assert_eq!(number(&namespace).unwrap(), own);
    let mut plan = pod.plan(&["true"]);
    plan.spec["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "pid", "path": namespace}]);
    assert!(pod.create(plan).is_err(), "nobody can begin in it");
}

fn mounts_of_the_machine_arrive_and_shared_ones_return() {
    use nix::mount::{MsFlags, mount};
    let tmpfs = |target: &std::path::Path| {
        fs::create_dir_all(target).unwrap();
        mount(Some("test"), target, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    };
    let volumes = std::path::Path::new("/mnt");
    tmpfs(volumes);
    mount(None::<&str>, volumes, None::<&str>, MsFlags::MS_SHARED, None::<&str>).unwrap();
    let mut pod = Pod::start();
    let (late, both) = (volumes.join("late"), volumes.join("both"));
    tmpfs(&late);
    fs::write(late.join("file"), "mounted later\n").unwrap();
    fs::create_dir(&both).unwrap();
    let mut plan =
        pod.plan(&["sh", "-c", "cat /late/file; mkdir /both/in; mount -t tmpfs x /both/in && echo done"]);
    let target = plan.request.bundle.join("shared");
    plan.mount.shared.push(SharedMount { source: both.clone(), target: target.clone(), private: false });
    plan.spec["linux"]["rootfsPropagation"] = json!("shared");
    let caps = plan.spec["process"]["capabilities"].as_object_mut().unwrap();
    caps.values_mut().for_each(|set| set.as_array_mut().unwrap().push(json!("CAP_SYS_ADMIN")));
    plan.spec["mounts"].as_array_mut().unwrap().extend([
        json!({"destination": "/late", "type": "bind", "source": late, "options": ["rbind"]}),
        json!({"destination": "/both", "type": "bind", "source": target, "options": ["rbind", "rshared"]}),
    ]);
    let container = pod.create(plan).expect("create");
    pod.start_container(&container);
    assert_eq!(pod.exit(&container).exit_code, 0, "{}", container.log());
    assert_eq!(container.log_lines(), ["stdout F mounted later", "stdout F done"]);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(mounts.contains(" /mnt/both/in "), "{mounts}");
    pod.remove(&container);
}

fn shutdown_ends_everything() {
    let mut pod = Pod::start_with(|config| config.share_pid = true);
    let container = pod.run(&["sh", "-c", "trap '' TERM; sleep 1000 & wait"]);
    let plan = pod.plan(&["true"]);
    let created = pod.create(plan).expect("create");
    pod.shim.send(Request::Shutdown);
    while pod.shim.receive().is_some() {}
    for one in [&container, &created] {
        assert_eq!(one.status().exit.map(|exit| exit.exit_code), Some(137));
        for directory in &one.request.cgroup.dirs {
            assert!(!directory.exists(), "{}", directory.display());
        }
    }
    assert!(!pod.run_dir().join(SOCKET).exists());
    pod.remove_parent_cgroups();
    std::mem::forget(pod);
}

fn bad_configurations_are_refused() {
    let mut pod = Pod::start();
    let own = ShimConfig::new(cri::SandboxId("b".into()), pod.dir.join("none"));
    let mut config = ShimConfig { hostname: "b".into(), ..own };
    let failed = |config: &ShimConfig| match launch(config) {
        ShimReady::Failed(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(failed(&config).contains("/tmp/none/shim.sock"));
    config.sysctls.insert("kernel.panic".into(), "1".into());
    assert_eq!(failed(&config), "sysctl kernel.panic is not in a separate kernel namespace");
    let unknown = cri::ContainerId("unknown".into());
    let refused = pod.shim.call(Request::Start { container: unknown.clone() });
    assert_eq!(refused, Err("no container unknown".into()));
    assert_eq!(pod.shim.call(Request::Remove { container: unknown }), Ok(Reply::Done));
}
