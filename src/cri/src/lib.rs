//! The seam between those who want containers (the kubelet, the Docker socket) and those who make them.
//!
//! It owns the words: what a sandbox, a container, an image, a network and a stream are, and the traits that a runtime, an image
//! service and the host's network implement. It knows nothing of Kubernetes and holds no state. Of the kernel it knows what all
//! must do alike: [`subpath`] who mounts a part of a volume, [`overlay`] who mounts a root file system, [`logs`] who shows one;
//! and [`blocking`] is for all who work on disks and the kernel. Read [`Runtime`] first.

#![forbid(unsafe_code)]

mod background;
pub mod confinement;
mod container;
mod error;
mod id;
mod image;
pub mod logs;
mod names;
mod network;
mod networks;
pub mod overlay;
mod resources;
mod sandbox;
mod streaming;
pub mod subpath;
pub mod wire;

pub use background::*;
pub use container::*;
pub use error::*;
pub use id::*;
pub use image::*;
pub use names::*;
pub use network::*;
pub use networks::*;
pub use resources::*;
pub use sandbox::*;
pub use streaming::*;

use async_trait::async_trait;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::broadcast;

/// Makes, runs and removes pod sandboxes and the containers in them. Every call is idempotent where the word allows
/// it: stopping what is stopped and removing what is gone succeed. All of it survives a restart of the caller: what
/// [`Runtime::list`] returns after a restart is what still exists.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Makes the sandbox's namespaces, network and shim. A failure leaves nothing behind.
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus>;
    /// Kills every container in it and takes its network away; its records and logs stay until it is removed.
    async fn stop_sandbox(&self, id: &SandboxId) -> Result<()>;
    async fn remove_sandbox(&self, id: &SandboxId) -> Result<()>;
    /// Every sandbox that is known, with its containers, in order of creation.
    async fn list(&self) -> Result<Vec<SandboxStatus>>;
    async fn sandbox(&self, id: &SandboxId) -> Result<SandboxStatus>;

    /// Prepares the container: root file system mounted, process waiting to be started.
    async fn create_container(&self, sandbox: &SandboxId, config: ContainerConfig) -> Result<ContainerId>;
    async fn start_container(&self, id: &ContainerId) -> Result<()>;
    /// Sends `signal` (the container's own stop signal where `None`), after `grace` SIGKILL; returns when it has ended.
    async fn stop_container(&self, id: &ContainerId, grace: Duration, signal: Option<i32>) -> Result<()>;
    /// Sends one signal (Linux number) to the container's first process, and returns at once.
    async fn signal_container(&self, id: &ContainerId, signal: i32) -> Result<()>;
    /// Removes it with its root file system. A running container is killed first.
    async fn remove_container(&self, id: &ContainerId) -> Result<()>;
    async fn container(&self, id: &ContainerId) -> Result<ContainerStatus>;
    /// The directory of this machine that holds what the container has written to its root file system.
    async fn writable_layer(&self, id: &ContainerId) -> Result<PathBuf> {
        Err(CriError::Invalid(format!("find the writable layer of container {id}: this runtime can not")))
    }
    /// Stops every process of the container where it is, or lets them go on.
    async fn freeze_container(&self, id: &ContainerId, frozen: bool) -> Result<()> {
        let doing = if frozen { "freeze" } else { "thaw" };
        Err(CriError::Invalid(format!("{doing} container {id}: this runtime can not")))
    }
    /// Sets the limits that are `Some`; the others stay.
    async fn limit_container(&self, id: &ContainerId, resources: &Resources) -> Result<()> {
        let _ = resources;
        Err(CriError::Invalid(format!("limit container {id}: this runtime can not")))
    }
    /// The same for all containers of a sandbox together.
    async fn limit_sandbox(&self, id: &SandboxId, resources: &Resources) -> Result<()> {
        let _ = resources;
        Err(CriError::Invalid(format!("limit sandbox {id}: this runtime can not")))
    }
    /// Closes and reopens the log file, after a rotation renamed it.
    async fn reopen_log(&self, id: &ContainerId) -> Result<()>;

    /// A new process in the container, with its streams.
    async fn exec(&self, id: &ContainerId, config: ExecConfig) -> Result<ExecSession>;
    /// Runs to the end and collects at most 16 KiB of output (a probe or a hook). Killed at `timeout`.
    async fn exec_sync(
        &self,
        id: &ContainerId,
        command: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<ExecOutput>;
    /// The streams of the container's first process.
    async fn attach(&self, id: &ContainerId, want: AttachStreams) -> Result<ExecSession>;
    /// A connection to 127.0.0.1:`port` (else ::1) inside the sandbox's network namespace.
    async fn port_forward(&self, id: &SandboxId, port: u16) -> Result<Box<dyn Duplex>>;

    /// Gives a sandbox these endpoints in place of those that it has.
    async fn set_endpoints(&self, id: &SandboxId, endpoints: Vec<Endpoint>) -> Result<()> {
        let _ = endpoints;
        Err(CriError::Invalid(format!("connect sandbox {id} to networks: this runtime can not")))
    }
    /// Whoever keeps the sockets keeps the sandbox's network.
    async fn name_server(&self, id: &SandboxId) -> Result<NameServer> {
        Err(CriError::Invalid(format!("answer names in sandbox {id}: this runtime can not")))
    }

    async fn stats(&self) -> Result<Vec<SandboxStats>>;
    /// Of one sandbox.
    async fn sandbox_stats(&self, id: &SandboxId) -> Result<SandboxStats> {
        let all = self.stats().await?;
        all.into_iter()
            .find(|one| one.id == *id)
            .ok_or_else(|| CriError::NotFound(format!("sandbox {id} is not running")))
    }
    /// What this process uses itself, and all sandboxes below a `cgroup_parent` together.
    async fn system_stats(&self, cgroup_parent: &str) -> Result<SystemStats> {
        let _ = cgroup_parent;
        Ok(SystemStats::default())
    }
    /// What happens from now on. A receiver that lags must call [`Runtime::list`] again.
    fn events(&self) -> broadcast::Receiver<RuntimeEvent>;
}

/// Something a container did by itself or was made to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeEvent {
    Started {
        sandbox: SandboxId,
        container: ContainerId,
    },
    Exited {
        sandbox: SandboxId,
        container: ContainerId,
        exit_code: i32,
    },
    /// A process of the container was killed for memory (the container may go on).
    OutOfMemory {
        sandbox: SandboxId,
        container: ContainerId,
    },
    /// It was told to stop and has: its network is gone, and its host ports are free.
    SandboxStopped {
        sandbox: SandboxId,
    },
    /// The shim is gone: every container in the sandbox is dead and will be reported as exited with 137.
    SandboxLost {
        sandbox: SandboxId,
    },
}
