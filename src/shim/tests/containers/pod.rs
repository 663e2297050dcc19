//! A shim in a temporary directory, with a busybox for its containers.

use crate::connection::Connection;
use cri::wire::*;
use cri::{ContainerId, SandboxId};
use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const BUSYBOX: &str = "/bin/busybox";
const CGROUPS: &str = "/sys/fs/cgroup";

pub struct Pod {
    pub dir: PathBuf,
    pub pid: i32,
    pub shim: Connection,
    cgroup: String,
    last: u32,
}

/// What a test says about a container before it is made.
pub struct Plan {
    pub spec: Value,
    pub request: CreateRequest,
    pub mount: MountRequest,
}

impl Pod {
    pub fn start() -> Pod {
        Pod::start_with(|_| ())
    }

    pub fn start_with(change: impl FnOnce(&mut ShimConfig)) -> Pod {
        let dir = PathBuf::from("/tmp");
        // in this test's own mount namespace
        mount(Some("pod"), &dir, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("mount a tmpfs");
        make_layer(&dir.join("layer"));
        let run = dir.join("run");
        fs::create_dir(&run).unwrap();
        let own = ShimConfig::new(SandboxId("p".repeat(64)), run.clone());
        let mut config = ShimConfig { hostname: "web-0".into(), shm_size: Some(1 << 20), ..own };
        change(&mut config);
        let pid = match launch(&config) {
            ShimReady::Serving { pid, .. } => pid,
            ShimReady::Failed(why) => panic!("the shim failed: {why}"),
        };
        let shim = Connection::open(&run);
        Pod { dir, pid, shim, cgroup: format!("monopod-shim-test-{}", std::process::id()), last: 0 }
    }

    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub fn plan(&mut self, args: &[&str]) -> Plan {
        self.last += 1;
        let id = ContainerId(format!("{:064x}", self.last));
        let home = self.dir.join(format!("c{}", self.last));
        let bundle = home.join("bundle");
        for directory in ["bundle/rootfs", "upper", "work"] {
            fs::create_dir_all(home.join(directory)).unwrap();
        }
        let cgroup = format!("/{}/c{}", self.cgroup, self.last);
        let mount = MountRequest {
            container: id.clone(),
            layers: vec![self.dir.join("layer")],
            upper: home.join("upper"),
            work: home.join("work"),
            target: bundle.join("rootfs"),
            stacks: None,
            images: Vec::new(),
            shared: Vec::new(),
            parts: Vec::new(),
        };
        let request = CreateRequest {
            late: Vec::new(),
            container: id,
            bundle,
            log_path: home.join("logs/0.log"),
            tty: false,
            terminal_size: None,
            stdin: false,
            stdin_once: false,
            logging: Default::default(),
            cgroup: cgroup_files(&cgroup),
            stop_signal: None,
            held: Vec::new(),
            guarded: Vec::new(),
            cgroup_view: None,
        };
        Plan { spec: spec(args, &cgroup, &self.run_dir()), request, mount }
    }

    pub fn create(&mut self, plan: Plan) -> Result<Container, String> {
        let Plan { mut spec, request, mount } = plan;
        spec["process"]["terminal"] = json!(request.tty);
        fs::write(request.bundle.join("config.json"), spec.to_string()).unwrap();
        self.shim.call(Request::Mount(mount))?;
        let container = Container { id: request.container.clone(), request: request.clone() };
        match self.shim.call(Request::Create(request))? {
            Reply::Created { pid } if pid > 0 => Ok(container),
            other => panic!("create answers {other:?}"),
        }
    }

    pub fn start_container(&mut self, container: &Container) {
        self.shim.call(Request::Start { container: container.id.clone() }).expect("start");
    }

    pub fn run(&mut self, args: &[&str]) -> Container {
        let plan = self.plan(args);
        let container = self.create(plan).expect("create");
        self.start_container(&container);
        container
    }

    pub fn exit(&mut self, container: &Container) -> ExitRecord {
        self.shim.event(|event| match event {
            ShimEvent::Exited { container: id, exit } if *id == container.id => Some(exit.clone()),
            _ => None,
        })
    }

    pub fn signal(&mut self, container: &Container, signal: i32) {
        let container = container.id.clone();
        self.shim.call(Request::Signal { container, signal, all: false }).expect("signal");
    }

    pub fn remove(&mut self, container: &Container) {
        self.shim.call(Request::Remove { container: container.id.clone() }).expect("remove");
    }

    pub fn exec(
        &mut self,
        container: &Container,
        request: ExecRequest,
    ) -> Result<(i32, Vec<(StreamFd, OwnedFd)>), String> {
        let request = ExecRequest { container: Some(container.id.clone()), ..request };
        let (reply, ends) = self.shim.streams(Request::Exec(request))?;
        let Reply::Streams { pid, fds } = reply else { panic!("exec answers {reply:?}") };
        Ok((pid, fds.into_iter().zip(ends).collect()))
    }

    pub fn exec_exit(&mut self, exec: u64) -> i32 {
        self.shim.event(|event| match event {
            ShimEvent::ExecExited { exec: of, exit_code } if *of == exec => Some(*exit_code),
            _ => None,
        })
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if self.run_dir().join(SOCKET).exists() {
            let mut last = Connection::open(&self.run_dir());
            last.send(Request::Shutdown);
            while last.receive().is_some() {}
        }
        self.remove_parent_cgroups();
    }
}

impl Pod {
    pub fn remove_parent_cgroups(&self) {
        for controller in fs::read_dir(CGROUPS).unwrap().flatten() {
            let _ = fs::remove_dir(controller.path().join(&self.cgroup));
        }
    }
}

pub struct Container {
    pub id: ContainerId,
    pub request: CreateRequest,
}

impl Container {
    pub fn log(&self) -> String {
        fs::read_to_string(&self.request.log_path).expect("a log")
    }

    /// The log without its times: `stdout F text`.
    pub fn log_lines(&self) -> Vec<String> {
        let log = self.log();
        // not lines(): a terminal's end in \r, which is theirs
        log.split_terminator('\n').map(|line| line.split_once(' ').expect("a time").1.to_owned()).collect()
    }

    pub fn status(&self) -> ContainerRecord {
        let text = fs::read(self.request.bundle.join("status.json")).expect("a status");
        serde_json::from_slice(&text).expect("a record")
    }
}

pub fn launch(config: &ShimConfig) -> ShimReady {
    let mut child = Command::new("/proc/self/exe")
        .arg("shim")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the shim");
    child.stdin.take().unwrap().write_all(serde_json::to_string(config).unwrap().as_bytes()).unwrap();
    let mut line = String::new();
    child.stdout.take().unwrap().read_to_string(&mut line).unwrap();
    child.wait().unwrap();
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in {line:?}"))
}

pub fn read_all(fd: OwnedFd) -> String {
    let mut text = String::new();
    fs::File::from(fd).read_to_string(&mut text).expect("utf-8");
    text
}

fn make_layer(layer: &Path) {
    for directory in ["bin", "dev", "proc", "sys", "tmp", "etc"] {
        fs::create_dir_all(layer.join(directory)).unwrap();
    }
    fs::copy(BUSYBOX, layer.join("bin/busybox")).unwrap();
    let applets = "sh cat echo true false sleep id hostname kill env stty pwd ulimit ls grep head yes tr dd ps wc ip mount mkdir";
    for applet in applets.split(' ') {
        std::os::unix::fs::symlink("busybox", layer.join("bin").join(applet)).unwrap();
    }
}

impl Plan {
    /// As a daemon asks for it that makes the cgroups itself.
    pub fn show_cgroups(&mut self, writable: bool) {
        let cgroup = &self.request.cgroup;
        cgroup.dirs.iter().for_each(|directory| make_cgroup(directory));
        let place = |directory: &PathBuf| {
            let below = directory.strip_prefix(CGROUPS).unwrap();
            let hierarchy = (!cgroup.unified).then(|| below.iter().next().unwrap());
            (directory.clone(), hierarchy.map_or(CGROUPS.into(), |name| Path::new(CGROUPS).join(name)))
        };
        self.request.cgroup_view =
            Some(CgroupView { shown: cgroup.dirs.iter().map(place).collect(), writable });
        self.spec["linux"]["resources"] = Value::Null;
        if !cgroup.unified {
            let tmpfs =
                json!({"destination": CGROUPS, "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]});
            self.spec["mounts"].as_array_mut().unwrap().push(tmpfs);
        }
    }
}

/// With its parent. A cpuset of v1 takes nobody before it has processors and memory.
fn make_cgroup(directory: &Path) {
    let parent = directory.parent().unwrap();
    for made in [parent, directory] {
        fs::create_dir_all(made).unwrap();
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if fs::read_to_string(made.join(file)).is_ok_and(|own| own.trim().is_empty()) {
                let inherited = fs::read(made.parent().unwrap().join(file)).unwrap();
                let _ = fs::write(made.join(file), inherited);
            }
        }
    }
}

fn cgroup_files(path: &str) -> CgroupFiles {
    let root = Path::new(CGROUPS);
    if root.join("cgroup.controllers").exists() {
        let directory = PathBuf::from(format!("{CGROUPS}{path}"));
        return CgroupFiles {
            dirs: vec![directory.clone()],
            members: Some(directory.clone()),
            memory: Some(directory),
            unified: true,
        };
    }
    let of = |controller: &str| PathBuf::from(format!("{CGROUPS}/{controller}{path}"));
    let controllers = ["blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"];
    CgroupFiles {
        dirs: controllers.into_iter().map(of).collect(),
        members: Some(of("memory")),
        memory: Some(of("memory")),
        unified: false,
    }
}

fn spec(args: &[&str], cgroup: &str, run: &Path) -> Value {
    let caps = json!(["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"]);
    let mount = |target: &str, kind: &str, options: &[&str]| {
        json!({
            "destination": target, "type": kind, "source": kind, "options": options
        })
    };
    json!({
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {
            "args": args,
            "env": ["PATH=/bin", "HOME=/", "COLOR=blue"],
            "cwd": "/",
            "user": {"uid": 0, "gid": 0},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 600}],
            "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
        },
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            {"destination": "/dev/shm", "type": "bind", "source": run.join(SHM), "options": ["rbind", "rw"]},
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": "mount"}, {"type": "pid"}],
            "resources": {},
        },
    })
}
