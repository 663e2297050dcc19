//! What a sandbox or a container may use, and what it uses.

use crate::{ContainerId, SandboxId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    pub id: ContainerId,
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
    /// What was read from and written to block devices.
    pub io: Vec<IoStats>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoStats {
    pub major: u64,
    pub minor: u64,
    /// Bytes.
    pub read: u64,
    /// Bytes.
    pub written: u64,
    /// How often.
    pub reads: u64,
    pub writes: u64,
}
