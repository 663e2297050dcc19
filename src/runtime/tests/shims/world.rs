//! A runtime of its own for each test, and what is left when it is gone.

use crate::image;
use ::image::{ImageStore, Registries};
use cri::{
    ContainerConfig, ContainerId, ContainerState, Runtime, RuntimeEvent, SandboxConfig, SandboxId,
    SandboxStatus,
};
use net::{NetConfig, Network};
use runtime::{RuntimeConfig, ShimRuntime};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// A test that hangs fails; nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct World {
    pub dir: PathBuf,
    pub config: RuntimeConfig,
    pub images: Arc<ImageStore>,
    network: Network,
}

/// Runs a test in a world that is empty before and after.
pub fn with<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    with_image("{}", test);
}

/// The same with an image whose configuration says `config`.
pub fn with_image<F: Future<Output = ()>>(config: &str, test: impl FnOnce(World) -> F) {
    with_links(config, |_| Vec::new(), test);
}

/// The same with links in the image, which may lead to the world's directory.
pub fn with_links<F: Future<Output = ()>>(
    config: &str,
    links: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    test: impl FnOnce(World) -> F,
) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cleaner, outcome) = tokio.block_on(async {
        let world = World::new(dir.path(), config, &links(dir.path())).await;
        let cleaner = Cleaner(world.config.clone());
        (cleaner, tokio::time::timeout(PATIENCE, test(world)).await)
    });
    drop(tokio);
    outcome.expect("the test hangs");
    let left = cleaner.clean();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// Purges, also when the test panics.
struct Cleaner(RuntimeConfig);

impl Cleaner {
    fn clean(&self) -> Vec<String> {
        let mut left = runtime::purge(&self.0);
        left.extend(traces(&self.0));
        left
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        self.clean();
    }
}

/// Whatever of a profile is still there.
pub fn traces(config: &RuntimeConfig) -> Vec<String> {
    let mut left: Vec<String> = cgroup_dirs(config).iter().map(|d| d.display().to_string()).collect();
    left.extend(
        [&config.state_dir, &config.run_dir].iter().filter(|d| d.exists()).map(|d| d.display().to_string()),
    );
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let run = config.run_dir.display().to_string();
    left.extend(mounts.lines().filter(|l| l.contains(&run)).map(str::to_owned));
    left.extend(processes(&run));
    left
}

pub fn cgroup_dirs(config: &RuntimeConfig) -> Vec<PathBuf> {
    let mounts = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|e| e.path());
    mounts
        .chain([PathBuf::from("/sys/fs/cgroup")])
        .map(|m| m.join(&config.cgroup))
        .filter(|d| d.is_dir())
        .collect()
}

/// Shims whose socket is below `run`.
fn processes(run: &str) -> Vec<String> {
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    sockets.lines().filter(|l| l.contains(run)).map(str::to_owned).collect()
}

impl World {
    async fn new(dir: &Path, config: &str, links: &[(&str, String)]) -> World {
        let archive = dir.join("image.tar");
        let links: Vec<(&str, &str)> = links.iter().map(|(name, to)| (*name, to.as_str())).collect();
        image::write(&archive, config, &links);
        loopback_up();
        let world = World::open(dir, &std::process::id().to_string()).await;
        world.images.load_path(&archive).await.unwrap();
        world
    }

    /// What a daemon finds in `dir`.
    pub async fn open(dir: &Path, name: &str) -> World {
        let images = ImageStore::open(&dir.join("images"), Registries::default()).unwrap();
        let network = Network::start(NetConfig {
            profile: format!("rt{name}"),
            node_ip: "127.0.0.1".parse().unwrap(),
            pod_cidr: "10.201.0.0/19".parse().unwrap(),
            service_cidr: "10.202.0.0/16".parse().unwrap(),
            load_balancer_cidr: "10.203.0.0/24".parse().unwrap(),
        });
        let config = RuntimeConfig {
            state_dir: dir.join("state"),
            run_dir: dir.join("run"),
            cgroup: format!("monopod-test-runtime-{name}"),
            program: std::env::current_exe().unwrap(),
        };
        World { config, images, network: network.await.unwrap(), dir: dir.to_owned() }
    }

    pub async fn runtime(&self) -> Arc<ShimRuntime> {
        self.runtime_of(self.config.clone()).await
    }

    pub async fn runtime_of(&self, config: RuntimeConfig) -> Arc<ShimRuntime> {
        ShimRuntime::start(config, self.images.clone(), Arc::new(self.network.clone())).await.unwrap()
    }

    pub fn sandbox(&self, name: &str) -> SandboxConfig {
        SandboxConfig {
            name: name.into(),
            hostname: name.into(),
            log_directory: self.dir.join("logs").join(name),
            cgroup_parent: format!("besteffort/pod{name}"),
            hosts: Some("127.0.0.1\tlocalhost\n".into()),
            ..Default::default()
        }
    }

    pub fn log(&self, sandbox: &str, container: &str) -> String {
        let path = self.dir.join("logs").join(sandbox).join(container).join("0.log");
        let text = std::fs::read_to_string(path).unwrap();
        // without the times
        text.lines().map(|l| format!("{}\n", l.split_once(' ').unwrap().1)).collect()
    }
}

fn loopback_up() {
    let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.unwrap().success());
}

pub fn shell(name: &str, script: &str) -> ContainerConfig {
    ContainerConfig {
        name: name.into(),
        image: "test/busybox".into(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        log_path: Path::new(name).join("0.log"),
        ..Default::default()
    }
}

pub async fn start(runtime: &ShimRuntime, sandbox: &SandboxId, config: ContainerConfig) -> ContainerId {
    let id = runtime.create_container(sandbox, config).await.unwrap();
    runtime.start_container(&id).await.unwrap();
    id
}

/// Starts it and waits for its end.
pub async fn run(runtime: &ShimRuntime, sandbox: &SandboxId, config: ContainerConfig) -> i32 {
    let mut events = runtime.events();
    let id = start(runtime, sandbox, config).await;
    exit_of(&mut events, &id).await
}

pub async fn exit_of(events: &mut broadcast::Receiver<RuntimeEvent>, id: &ContainerId) -> i32 {
    loop {
        match events.recv().await.unwrap() {
            RuntimeEvent::Exited { container, exit_code, .. } if container == *id => return exit_code,
            _ => {}
        }
    }
}

pub async fn pid_of(runtime: &ShimRuntime, id: &ContainerId) -> i32 {
    match runtime.container(id).await.unwrap().state {
        ContainerState::Running { pid, .. } => pid,
        other => panic!("{other:?}"),
    }
}

pub async fn sh(runtime: &ShimRuntime, id: &ContainerId, script: &str) -> String {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let output = runtime.exec_sync(id, command, None).await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.exit_code, error.as_str()), (0, ""), "{script}");
    String::from_utf8(output.stdout.to_vec()).unwrap()
}

/// The pid of a sandbox's shim, by its record.
pub fn shim_of(world: &World, sandbox: &SandboxStatus) -> i32 {
    let record = world.config.state_dir.join("sandboxes").join(&sandbox.id.0).join("sandbox.json");
    let text = std::fs::read_to_string(record).unwrap();
    let after = text.split_once("\"pid\":").unwrap().1;
    after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}
