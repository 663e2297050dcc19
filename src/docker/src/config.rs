//! What the engine is told when it is made.

use crate::ipam::AddressPool;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// All that the engine is told.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    /// Records, logs, volumes and what containers wrote.
    pub state_dir: PathBuf,
    /// Made with mode 0660.
    pub socket: PathBuf,
    /// What `docker info` calls the machine.
    pub name: String,
    /// Below the profile's own cgroup: `docker`.
    pub cgroup_parent: String,
    pub gateway: Ipv4Addr,
    pub pod_cidr: ipnet::Ipv4Net,
    /// Networks are cut from these, the first first.
    pub pools: Vec<AddressPool>,
    /// What containers ask for names, unless they are told otherwise.
    pub dns: IpAddr,
    /// This program's, for `docker version`.
    pub version: String,
    /// How much of what was written to a socket its other end has not read, as the kernel counts it: `runtime::unread`.
    pub unread: fn(BorrowedFd<'_>) -> io::Result<usize>,
}
