//! [`ShimRuntime`]: the seam's trait, each call handed to the file that does it.

use crate::RuntimeConfig;
use crate::cgroups::Hierarchies;
use crate::container::Container;
use crate::host::Host;
use crate::paths::Paths;
use crate::program::Program;
use crate::sandbox::{Sandbox, lock};
use crate::starts::Starts;
use async_trait::async_trait;
use cri::{
    AttachStreams, ContainerConfig, ContainerId, ContainerStatus, CriError, Duplex, Endpoint, ExecConfig,
    ExecOutput, ExecSession, NameServer, Networks, Result, Runtime, RuntimeEvent, SandboxConfig, SandboxId,
    SandboxStats, SandboxStatus, SystemStats,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Events that a slow listener may be behind before it must list again.
const EVENTS: usize = 4096;

/// Sandboxes and containers over shims. Cloning is not needed: it lives behind an `Arc`, and what it has outlives it.
pub struct ShimRuntime(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub config: RuntimeConfig,
    pub paths: Paths,
    pub images: Arc<image::ImageStore>,
    pub networks: Arc<dyn Networks>,
    pub cgroups: Hierarchies,
    pub host: Host,
    pub program: Program,
    pub starts: Starts,
    pub events: broadcast::Sender<RuntimeEvent>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    sandboxes: HashMap<SandboxId, Arc<Sandbox>>,
    containers: HashMap<ContainerId, Arc<Container>>,
}

/// Runs what may block where it may; a panic in it is ours.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

/// Goes on to its end when the caller does not wait for it: nothing is left half done.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|e| Err(CriError::failed("runtime task", e)))
}

impl Inner {
    pub fn new(
        config: RuntimeConfig,
        images: Arc<image::ImageStore>,
        networks: Arc<dyn Networks>,
        cgroups: Hierarchies,
    ) -> Self {
        let host = Host::inspect(cgroups.unified(), cgroups.accounts_swap(&config.cgroup));
        Inner {
            paths: Paths::new(&config),
            program: Program::protect(&config.program),
            config,
            images,
            networks,
            cgroups,
            host,
            starts: Starts::default(),
            events: broadcast::Sender::new(EVENTS),
            known: Mutex::default(),
        }
    }

    pub fn sandbox(&self, id: &SandboxId) -> Result<Arc<Sandbox>> {
        self.find_sandbox(id).ok_or_else(|| CriError::NotFound(format!("no such sandbox: {id}")))
    }

    pub fn find_sandbox(&self, id: &SandboxId) -> Option<Arc<Sandbox>> {
        lock(&self.known).sandboxes.get(id).cloned()
    }

    pub fn container(&self, id: &ContainerId) -> Result<Arc<Container>> {
        self.find_container(id).ok_or_else(|| CriError::NotFound(format!("no such container: {id}")))
    }

    pub fn find_container(&self, id: &ContainerId) -> Option<Arc<Container>> {
        lock(&self.known).containers.get(id).cloned()
    }

    pub fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        lock(&self.known).sandboxes.values().cloned().collect()
    }

    pub fn containers_of(&self, id: &SandboxId) -> Vec<Arc<Container>> {
        lock(&self.known).containers.values().filter(|c| c.record.sandbox == *id).cloned().collect()
    }

    pub fn add_sandbox(&self, sandbox: Arc<Sandbox>) {
        lock(&self.known).sandboxes.insert(sandbox.id(), sandbox);
    }

    pub fn add_container(&self, container: Arc<Container>) {
        lock(&self.known).containers.insert(container.record.id.clone(), container);
    }

    pub fn forget_sandbox(&self, id: &SandboxId) {
        lock(&self.known).sandboxes.remove(id);
    }

    pub fn forget_container(&self, id: &ContainerId) {
        lock(&self.known).containers.remove(id);
    }

    fn list(&self) -> Vec<SandboxStatus> {
        let (sandboxes, containers) = {
            let known = lock(&self.known);
            let containers: Vec<_> = known.containers.values().cloned().collect();
            (known.sandboxes.values().cloned().collect::<Vec<_>>(), containers)
        };
        let mut of: HashMap<SandboxId, Vec<ContainerStatus>> = HashMap::new();
        for container in containers {
            of.entry(container.record.sandbox.clone()).or_default().push(container.status());
        }
        let mut all: Vec<SandboxStatus> =
            sandboxes.iter().map(|s| s.status(in_order(of.remove(&s.id()).unwrap_or_default()))).collect();
        all.sort_by(|a, b| a.created_at.cmp(&b.created_at).then_with(|| a.id.cmp(&b.id)));
        all
    }

    pub fn status_of(&self, sandbox: &Sandbox) -> SandboxStatus {
        let containers = self.containers_of(&sandbox.id());
        sandbox.status(in_order(containers.iter().map(|c| c.status()).collect()))
    }
}

fn in_order(mut containers: Vec<ContainerStatus>) -> Vec<ContainerStatus> {
    containers.sort_by(|a, b| a.created_at.cmp(&b.created_at).then_with(|| a.id.cmp(&b.id)));
    containers
}

#[async_trait]
impl Runtime for ShimRuntime {
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus> {
        to_the_end(self.0.clone().run_sandbox(config)).await
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<()> {
        to_the_end(self.0.clone().stop_sandbox(id.clone())).await
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()> {
        to_the_end(self.0.clone().remove_sandbox(id.clone())).await
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>> {
        Ok(self.0.list())
    }

    async fn sandbox(&self, id: &SandboxId) -> Result<SandboxStatus> {
        self.0.sandbox(id).map(|sandbox| self.0.status_of(&sandbox))
    }

    async fn create_container(&self, sandbox: &SandboxId, config: ContainerConfig) -> Result<ContainerId> {
        to_the_end(self.0.clone().create_container(sandbox.clone(), config)).await
    }

    async fn start_container(&self, id: &ContainerId) -> Result<()> {
        to_the_end(self.0.clone().start_container(id.clone())).await
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration, signal: Option<i32>) -> Result<()> {
        self.0.stop_container(id, grace, signal).await
    }

    async fn signal_container(&self, id: &ContainerId, signal: i32) -> Result<()> {
        self.0.signal_container(id, signal).await
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<()> {
        to_the_end(self.0.clone().remove_container(id.clone())).await
    }

    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus> {
        self.0.container(id).map(|container| container.status())
    }

    async fn writable_layer(&self, id: &ContainerId) -> Result<PathBuf> {
        self.0.writable_layer(id)
    }

    async fn freeze_container(&self, id: &ContainerId, frozen: bool) -> Result<()> {
        self.0.freeze_container(id, frozen).await
    }

    async fn limit_container(&self, id: &ContainerId, resources: &cri::Resources) -> Result<()> {
        self.0.limit_container(id, resources).await
    }

    async fn limit_sandbox(&self, id: &SandboxId, resources: &cri::Resources) -> Result<()> {
        self.0.limit_sandbox(id, resources).await
    }

    async fn reopen_log(&self, id: &ContainerId) -> Result<()> {
        self.0.reopen_log(id).await
    }

    async fn exec(&self, id: &ContainerId, config: ExecConfig) -> Result<ExecSession> {
        self.0.exec(id, config).await
    }

    async fn exec_sync(
        &self,
        id: &ContainerId,
        command: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<ExecOutput> {
        self.0.exec_sync(id, command, timeout).await
    }

    async fn attach(&self, id: &ContainerId, want: AttachStreams) -> Result<ExecSession> {
        self.0.attach(id, want).await
    }

    async fn port_forward(&self, id: &SandboxId, port: u16) -> Result<Box<dyn Duplex>> {
        self.0.port_forward(id, port).await
    }

    async fn set_endpoints(&self, id: &SandboxId, endpoints: Vec<Endpoint>) -> Result<()> {
        let (inner, id) = (self.0.clone(), id.clone());
        to_the_end(async move { inner.set_endpoints(&id, endpoints).await }).await
    }

    async fn name_server(&self, id: &SandboxId) -> Result<NameServer> {
        self.0.name_server(id).await
    }

    async fn stats(&self) -> Result<Vec<SandboxStats>> {
        Ok(self.0.stats().await)
    }

    async fn sandbox_stats(&self, id: &SandboxId) -> Result<SandboxStats> {
        self.0.sandbox_stats(id).await
    }

    async fn system_stats(&self, cgroup_parent: &str) -> Result<SystemStats> {
        Ok(self.0.system_stats(cgroup_parent).await)
    }

    fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.0.events.subscribe()
    }
}
