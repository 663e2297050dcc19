//! Whole specs against golden files. `UPDATE_GOLDEN=1` writes them anew.

mod binds_in_dev;
mod cgroups;
mod guarded_binds;

use super::*;
use cri::{Device, Mount, Resources};

fn host() -> Host {
    Host {
        capabilities: CapabilitySet(0x1_ffff_feff_ffff & CapabilitySet::ALL.0),
        open_files: 1 << 20,
        hard_limits: Default::default(),
        least_oom_score: -100,
        swap: false,
        unified: false,
        machine: "x86_64",
        x32: true,
        stacks: true,
        thermal_throttle: Vec::new(),
    }
}

fn account() -> Account {
    Account { uid: 0, gid: 0, groups: vec![0, 10], home: "/root".into() }
}

fn sandbox() -> SandboxConfig {
    SandboxConfig {
        name: "web".into(),
        hostname: "web-0".into(),
        resolv_conf: Some("nameserver 10.96.0.10\n".into()),
        ..Default::default()
    }
}

fn image() -> ImageDefaults {
    ImageDefaults {
        entrypoint: vec!["/entry".into()],
        cmd: vec!["serve".into()],
        env: vec!["PATH=/image/bin".into(), "LANG=C".into()],
        ..Default::default()
    }
}

struct Given {
    container: ContainerConfig,
    sandbox: SandboxConfig,
    host: Host,
    account: Account,
    volumes: Vec<Volume>,
    shared: Vec<SharedSource>,
    devices: Vec<HostDevice>,
    hierarchies: Vec<PathBuf>,
    shows_cgroups: bool,
}

impl Default for Given {
    fn default() -> Self {
        Given {
            container: ContainerConfig { name: "c".into(), ..Default::default() },
            sandbox: sandbox(),
            host: host(),
            account: account(),
            volumes: Vec::new(),
            shared: Vec::new(),
            devices: Vec::new(),
            hierarchies: vec!["/sys/fs/cgroup/memory".into()],
            shows_cgroups: false,
        }
    }
}

impl Given {
    fn build(&self) -> Result<Spec, CriError> {
        self.parts(build)
    }

    fn parts<T>(&self, of: impl FnOnce(&Parts<'_>) -> T) -> T {
        of(&Parts {
            container: &self.container,
            sandbox: &self.sandbox,
            image: &image(),
            account: &self.account,
            host: &self.host,
            rootfs: Path::new("rootfs"),
            sandbox_dir: Path::new("/run/monopod/s"),
            etc_dir: Path::new("/var/lib/monopod/s/etc"),
            volumes: &self.volumes,
            shared: &self.shared,
            devices: &self.devices,
            localhost: None,
            cgroup: "monopod/burstable/pod1/c",
            hierarchies: &self.hierarchies,
            shows_cgroups: self.shows_cgroups,
            pid_namespace: None,
            program: Path::new("/usr/local/bin/monopod"),
        })
    }
}

fn golden(name: &str, given: &Given) {
    let mut spec = serde_json::to_value(given.build().unwrap()).unwrap();
    // the filter has tests of its own, and 380 lines
    if let Some(filter) = spec.pointer_mut("/linux/seccomp/syscalls") {
        *filter = serde_json::Value::from(filter.as_array().map_or(0, Vec::len));
    }
    // sets have no order
    let sets = spec.pointer_mut("/process/capabilities").and_then(|c| c.as_object_mut());
    for set in sets.into_iter().flat_map(|c| c.values_mut()).filter_map(|s| s.as_array_mut()) {
        set.sort_by_key(|name| name.to_string());
    }
    let got = format!("{spec:#}\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/spec/golden").join(format!("{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "{name}: run with UPDATE_GOLDEN=1 and look at the difference\n{got}");
}

fn bind(source: &str, target: &str) -> Mount {
    Mount { source: Some(source.into()), target: target.into(), ..Default::default() }
}

#[test]
fn what_counts_heat_is_masked_with_the_rest() {
    let heat = "/sys/devices/system/cpu/cpu0/thermal_throttle";
    let usual = ContainerConfig { name: "c".into(), ..Default::default() };
    for (name, container, want) in [
        ("a plain one", usual.clone(), true),
        ("a privileged one", ContainerConfig { privileged: true, ..usual.clone() }, false),
        ("unmasked", ContainerConfig { proc_unmasked: true, ..usual.clone() }, false),
        ("its own list", ContainerConfig { masked_paths: Some(vec!["/proc/keys".into()]), ..usual }, false),
    ] {
        let host = Host { thermal_throttle: vec![heat.into()], ..host() };
        let spec = Given { container, host, ..Default::default() }.build().unwrap();
        let masked = spec.linux().as_ref().and_then(|linux| linux.masked_paths().clone()).unwrap_or_default();
        assert_eq!(masked.iter().any(|path| path == heat), want, "{name}");
    }
}

#[test]
fn a_plain_container() {
    golden("plain", &Given::default());
}

#[test]
fn a_confined_container() {
    let container = ContainerConfig {
        command: vec!["sh".into(), "-c".into(), "true".into()],
        working_dir: Some("work".into()),
        env: vec![("LANG".into(), "de".into()), ("HOME".into(), "/h".into())],
        mounts: vec![
            bind("/v/deep", "/data/deep/"),
            Mount { read_only: true, ..bind("/v/data", "/data") },
            Mount { source: None, size_limit: Some(4096), ..bind("", "/dev/shm") },
            bind("/v/hosts", "/etc/resolv.conf"),
        ],
        read_only_rootfs: true,
        no_new_privileges: true,
        drop_capabilities: vec!["ALL".into()],
        add_capabilities: vec!["NET_BIND_SERVICE".into(), "SYS_RESOURCE".into()],
        seccomp: Seccomp::RuntimeDefault,
        tty: true,
        resources: Resources {
            cpu_shares: Some(512),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            memory_limit: Some(64 << 20),
            memory_swap_limit: Some(64 << 20),
            pids_limit: Some(50),
            oom_score_adj: Some(-997),
            ..Default::default()
        },
        ..Given::default().container
    };
    let account = Account { uid: 101, gid: 102, groups: vec![102, 3000], home: "/srv".into() };
    let volumes = vec![Volume { source: "/state/volumes/0".into(), target: "/var/cache".into() }];
    golden("confined", &Given { container, account, volumes, ..Default::default() });
}

#[test]
fn a_privileged_container_on_cgroup_v2() {
    let container = ContainerConfig {
        privileged: true,
        no_new_privileges: false,
        seccomp: Seccomp::RuntimeDefault,
        mounts: vec![Mount { propagation: Propagation::Bidirectional, ..bind("/mnt", "/mnt") }],
        devices: vec![Device {
            host_path: "/dev/fuse".into(),
            container_path: "/dev/f".into(),
            permissions: "rw".into(),
        }],
        ..Given::default().container
    };
    let device = |path: &str, minor| HostDevice {
        path: path.into(),
        block: false,
        major: 10,
        minor,
        mode: 0o666,
        uid: 0,
        gid: 0,
    };
    let given = Given {
        container,
        sandbox: SandboxConfig { host_pid: true, host_ipc: true, ..sandbox() },
        host: Host { unified: true, swap: true, ..host() },
        shared: vec![SharedSource { target: "/mnt".into(), source: "/run/monopod/s/shared/0".into() }],
        devices: vec![device("/dev/fuse", 229), device("/dev/kvm", 232)],
        ..Default::default()
    };
    golden("privileged", &given);
}

#[test]
fn devices_are_where_they_are_asked_for() {
    let disk = HostDevice {
        path: "/dev/loop7".into(),
        block: true,
        major: 7,
        minor: 7,
        mode: 0o660,
        uid: 0,
        gid: 6,
    };
    let at = |path: &str, permissions: &str| Device {
        host_path: "/dev/loop7".into(),
        container_path: path.into(),
        permissions: permissions.into(),
    };
    // (name, the device's paths, below what, in /dev, elsewhere or why not)
    let cases: [(&str, &[&str], &[&str], &[&str], Result<&[&str], &str>); 9] = [
        ("in /dev", &["/dev/xvda"], &[], &["/dev/xvda"], Ok(&[])),
        ("elsewhere", &["/mnt/disk"], &["/mnt-not"], &[], Ok(&["/mnt/disk"])),
        ("twice", &["/dev/a/b", "//disk/"], &[], &["/dev/a/b"], Ok(&["/disk"])),
        ("nowhere", &["disk"], &[], &[], Err("disk: it must be absolute")),
        ("climbing", &["/a/../etc"], &[], &[], Err("/a/../etc: it must not hold '..'")),
        (
            "climbing out of /dev",
            &["/dev/../etc"],
            &[],
            &["/dev/../etc"],
            Err("/dev/../etc: it must not hold '..'"),
        ),
        ("the root", &["/"], &[], &[], Err("/: it must not be the root")),
        ("hidden", &["/mnt/disk"], &["/mnt"], &[], Err("/mnt/disk: what is mounted at /mnt hides it")),
        ("the kernel's", &["/proc/x"], &[], &[], Err("/proc/x: what is mounted at /proc hides it")),
    ];
    for (name, paths, mounts, in_dev, elsewhere) in cases {
        let container = ContainerConfig {
            devices: paths.iter().map(|path| at(path, "r")).collect(),
            mounts: mounts.iter().map(|target| bind("/v", target)).collect(),
            ..Given::default().container
        };
        let given = Given { container, devices: vec![disk.clone()], ..Default::default() };
        let spec = given.build().unwrap();
        let linux = spec.linux().as_ref().unwrap();
        let nodes = linux.devices().clone().unwrap_or_default();
        let paths: Vec<&Path> = nodes.iter().map(|node| node.path().as_path()).collect();
        assert_eq!(paths, in_dev.iter().map(Path::new).collect::<Vec<_>>(), "{name}");
        assert!(nodes.iter().all(|node| (node.major(), node.minor()) == (7, 7)), "{name}");
        let rules = linux.resources().as_ref().unwrap().devices().clone().unwrap();
        let last = rules.last().unwrap();
        assert_eq!(
            (last.allow(), last.major(), last.access().as_deref()),
            (true, Some(7), Some("r")),
            "{name}"
        );
        let paths =
            |made: Vec<(PathBuf, &HostDevice)>| made.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        let made = given.parts(|parts| nodes_in_root(parts).map(paths));
        let want = elsewhere.map(|all| all.iter().map(PathBuf::from).collect::<Vec<_>>());
        let want = want.map_err(|why| format!("invalid device path {why}"));
        assert_eq!(made.map_err(|error| error.to_string()), want, "{name}");
    }
}

#[test]
fn loop_devices_that_are_asked_for_are_known() {
    let device = |path: &str, block, major| HostDevice {
        path: path.into(),
        block,
        major,
        minor: 7,
        mode: 0o660,
        uid: 0,
        gid: 6,
    };
    let devices = [
        device("/dev/loop7", true, 7),
        device("/dev/mine", true, 7),
        device("/dev/sda", true, 8),
        device("/dev/vcs7", false, 7),
        device("/dev/loop8", true, 7),
    ];
    let asked = ["/dev/loop7", "/dev/mine", "/dev/sda", "/dev/vcs7", "/dev/mine"].map(|path| Device {
        host_path: path.into(),
        container_path: "/dev/disk".into(),
        permissions: "r".into(),
    });
    assert_eq!(loop_devices(&asked, &devices), ["/dev/loop7", "/dev/mine"].map(PathBuf::from));
    assert!(loop_devices(&[], &devices).is_empty());
}

#[test]
fn one_pid_namespace_for_all() {
    let given = Given { sandbox: SandboxConfig { share_pid: true, ..sandbox() }, ..Default::default() };
    let spec = given.build().unwrap();
    let namespaces = spec.linux().as_ref().unwrap().namespaces().clone().unwrap();
    let pid = namespaces.iter().find(|n| n.typ() == LinuxNamespaceType::Pid).unwrap();
    assert_eq!(pid.path().as_deref(), Some(Path::new("/run/monopod/s/pidns")));
}

#[test]
fn what_can_never_work_is_refused() {
    let mount =
        |target: &str| ContainerConfig { mounts: vec![bind("/v", target)], ..Given::default().container };
    let cases = [
        ("relative mount", mount("data"), "invalid mount path data: it must be absolute"),
        ("climbing mount", mount("/a/../../etc"), "invalid mount path /a/../../etc: it must not hold '..'"),
        (
            "the kernel's files",
            mount("/proc/self/attr"),
            "invalid mount path /proc/self/attr: it must not be inside /proc",
        ),
        ("the root", mount("/"), "invalid mount path /: it must not be the root"),
        (
            "a capability",
            ContainerConfig { add_capabilities: vec!["FLY".into()], ..Default::default() },
            "unknown capability \"CAP_FLY\"",
        ),
        (
            "a zero byte",
            ContainerConfig { command: vec!["a\0b".into()], ..Default::default() },
            "an argument holds a zero byte",
        ),
    ];
    for (name, container, want) in cases {
        let got = Given { container, ..Default::default() }.build().unwrap_err();
        assert!(matches!(got, CriError::Invalid(_)), "{name}");
        assert_eq!(got.to_string(), want, "{name}");
    }
}

#[test]
fn a_file_of_proc_may_be_replaced() {
    let container =
        ContainerConfig { mounts: vec![bind("/v", "/proc/cpuinfo")], ..Given::default().container };
    assert!(Given { container, ..Default::default() }.build().is_ok());
}

#[test]
fn command_lines() {
    let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let cases: [(&[&str], &[&str], &[&str]); 4] = [
        (&[], &[], &["/entry", "serve"]),
        (&["sh"], &[], &["sh"]),
        (&[], &["run"], &["/entry", "run"]),
        (&["sh"], &["-c"], &["sh", "-c"]),
    ];
    for (command, args, want) in cases {
        let container = ContainerConfig { command: list(command), args: list(args), ..Default::default() };
        assert_eq!(arguments(&container, &image()).unwrap(), want, "{command:?} {args:?}");
    }
    let none = arguments(&ContainerConfig::default(), &ImageDefaults::default()).unwrap_err();
    assert_eq!(none.to_string(), "no command specified");
}

#[test]
fn environments_hold_each_name_once() {
    let container = ContainerConfig {
        env: [("A", "1"), ("", "x"), ("B=C", "x"), ("A", "2"), ("Z", "a\0b"), ("HOSTNAME", "mine")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .to_vec(),
        ..Default::default()
    };
    let got = environment(&container, &image(), "pod");
    assert_eq!(got, ["PATH=/image/bin", "LANG=C", "HOSTNAME=mine", "A=2"]);
}
