//! What a sandbox is asked to be (the namespaces, the address and the cgroup that a pod's containers share), and what is told of
//! it.

use crate::{Connection, ContainerId, ContainerStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// 64 lower-case hex digits, unique in this runtime's life.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SandboxId(pub String);

impl fmt::Display for SandboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

/// A port of the machine that leads to the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    pub protocol: Protocol,
    pub host_ip: Option<IpAddr>,
    pub host_port: u16,
    pub container_port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
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

/// Linux resource limits; `None` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Relative weight, cgroup v1 scale (2..=262144).
    pub cpu_shares: Option<u64>,
    /// Microseconds of CPU in each `cpu_period`.
    pub cpu_quota: Option<i64>,
    pub cpu_period: Option<u64>,
    pub cpuset_cpus: Option<String>,
    /// Bytes.
    pub memory_limit: Option<i64>,
    /// Bytes of memory and swap together.
    pub memory_swap_limit: Option<i64>,
    pub pids_limit: Option<i64>,
    pub oom_score_adj: Option<i32>,
    /// Bytes that are left to it when memory is short on the machine.
    #[serde(default)]
    pub memory_reservation: Option<i64>,
    /// 0..=100, of cgroup v1.
    #[serde(default)]
    pub memory_swappiness: Option<u64>,
    /// Who has no memory left waits instead of being killed; cgroup v1.
    #[serde(default)]
    pub oom_kill_disable: bool,
    #[serde(default)]
    pub cpuset_mems: Option<String>,
    /// 10..=1000
    #[serde(default)]
    pub blkio_weight: Option<u16>,
    #[serde(default)]
    pub io_limits: Vec<IoLimit>,
}

/// The most that is read from or written to one block device in a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoLimit {
    pub what: IoRate,
    pub major: u64,
    pub minor: u64,
    pub rate: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IoRate {
    ReadBytes,
    WriteBytes,
    ReadOperations,
    WriteOperations,
}

/// What a sandbox uses now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxStats {
    pub id: SandboxId,
    pub containers: Vec<ContainerStats>,
    /// Bytes since the sandbox was made.
    pub network_rx: u64,
    pub network_tx: u64,
    /// Its own, but for the loopback.
    #[serde(default)]
    pub interfaces: Vec<InterfaceStats>,
}

/// Counters of one network interface as the sandbox has it, since it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStats {
    pub name: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerStats {
    pub id: crate::ContainerId,
    /// Nanoseconds of CPU since the start.
    pub cpu_usage_ns: u64,
    /// Bytes in use, without the page cache that can be dropped.
    pub memory_working_set: u64,
    pub memory_usage: u64,
    pub pids: u64,
    #[serde(default)]
    pub details: UsageDetails,
}

/// Of cgroups that are no container's, by their names in place of an id; `None` where there is none, or nothing is counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SystemStats {
    pub daemon: Option<ContainerStats>,
    pub sandboxes: Option<ContainerStats>,
}

/// What else the kernel counts for a container; zero and empty where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageDetails {
    /// Nanoseconds.
    pub cpu_user_ns: u64,
    pub cpu_system_ns: u64,
    /// Of each processor, in nanoseconds; cgroup v1.
    pub cpu_each_ns: Vec<u64>,
    pub throttling_periods: u64,
    pub throttled_periods: u64,
    pub throttled_ns: u64,
    /// The most that it used so far; cgroup v1.
    pub memory_max_usage: u64,
    /// Bytes that it has in swap.
    pub memory_swap: u64,
    /// How often the kernel has killed there for memory.
    pub oom_kills: u64,
    /// The lines of memory.stat.
    pub memory_stat: BTreeMap<String, u64>,
    /// The most pids; `None` is no limit.
    pub pids_limit: Option<u64>,
    /// Bytes read from and written to block devices.
    pub io: Vec<IoStats>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoStats {
    pub major: u64,
    pub minor: u64,
    pub read: u64,
    pub written: u64,
}
