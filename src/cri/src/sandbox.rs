//! What a sandbox is asked to be (the namespaces, the address and the cgroup that a pod's containers share), and what is told of
//! it.

use crate::{Connection, ContainerId, ContainerStatus, HostPort, Resources, SandboxId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// What a pod is to the runtime: namespaces, an address, a directory for logs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SandboxConfig {
    /// Who it is for: pod name, namespace and uid, and which try at that pod this is.
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub attempt: u32,
    pub hostname: String,
    /// The NIS domain name.
    #[serde(default)]
    pub domainname: String,
    /// Where the containers' log paths start. Made with mode 0755 where it is missing.
    pub log_directory: PathBuf,
    /// Content of /etc/resolv.conf and /etc/hosts in every container; `None` leaves the image's.
    pub resolv_conf: Option<String>,
    pub hosts: Option<String>,
    pub host_network: bool,
    /// A network namespace with nothing but its loopback.
    #[serde(default)]
    pub no_network: bool,
    /// Of a sandbox with a network of its own.
    #[serde(default)]
    pub connection: Connection,
    pub host_pid: bool,
    pub host_ipc: bool,
    /// The machine's host name instead of one of its own.
    #[serde(default)]
    pub host_uts: bool,
    /// The PID namespace of a container that runs.
    #[serde(default)]
    pub pid_of: Option<ContainerId>,
    /// The IPC namespace and /dev/shm of another sandbox.
    #[serde(default)]
    pub ipc_of: Option<SandboxId>,
    /// Of /dev/shm, in bytes: `None` is 64 MiB, and with zero there is none.
    #[serde(default)]
    pub shm_size: Option<u64>,
    /// One PID namespace for all containers of the sandbox.
    pub share_pid: bool,
    pub host_ports: Vec<HostPort>,
    pub sysctls: BTreeMap<String, String>,
    /// The cgroup below the profile's own, `burstable/pod<uid>`; limits of the whole pod.
    pub cgroup_parent: String,
    pub resources: Resources,
    /// Kept and given back, never interpreted.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxState {
    Ready,
    NotReady,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxStatus {
    pub id: SandboxId,
    pub config: SandboxConfig,
    pub state: SandboxState,
    pub created_at: jiff::Timestamp,
    /// None where the sandbox uses the host's network.
    pub ip: Option<IpAddr>,
    pub containers: Vec<ContainerStatus>,
}
