//! What leads to a sandbox: ports of the machine, and networks of their own that sandboxes may be in beside the pods'.

use crate::SandboxId;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

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

/// A network beside the pods': who is in it reaches its other members, and nobody of the other networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkConfig {
    pub subnet: Ipv4Net,
    /// The machine's own address in it.
    pub gateway: Ipv4Addr,
    /// Its members reach nothing outside of it.
    pub internal: bool,
    /// Its members reach each other.
    pub members_meet: bool,
    /// Outside its members are seen with the machine's address.
    pub masquerade: bool,
}

/// A sandbox's place in such a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub address: Ipv4Addr,
    pub subnet: Ipv4Net,
    pub gateway: Ipv4Addr,
    /// It is no way to the outside, and no host port leads to it.
    pub internal: bool,
    /// Of the network, where it is not the machine's own: the sandbox's link gets the smallest of all.
    #[serde(default)]
    pub mtu: Option<u32>,
}

/// How a sandbox is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// One address of the pods' range.
    #[default]
    Pods,
    /// An address in each of these networks. The first that is not internal is the way to everywhere else, and host ports
    /// lead to its address.
    Networks { endpoints: Vec<Endpoint>, mac_address: Option<[u8; 6]> },
    /// The network namespace of another sandbox.
    Shared(SandboxId),
}

/// All that leads to a sandbox that is in networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub endpoints: Vec<Endpoint>,
    pub mac_address: Option<[u8; 6]>,
    pub host_ports: Vec<HostPort>,
}

/// What the pods' network gave a sandbox; worth keeping for [`Networks::adopt`](crate::Networks::adopt).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    pub ip: Ipv4Addr,
    /// The host side's name.
    pub link: String,
}

/// Bytes that have passed the link of a sandbox, as the sandbox sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

/// What there was of sandboxes that there are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkGarbage {
    /// The names of the links that were removed.
    pub removed: Vec<String>,
    /// What could not be removed, and why.
    pub failed: Vec<String>,
}

/// Which addresses are somebody's already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressSpace {
    /// This runtime's own, for pods and services.
    pub own: Vec<Ipv4Net>,
    /// What the machine has routes for, but for those to the networks of [`NetworkConfig`].
    pub routed: Vec<Ipv4Net>,
}

/// Sockets inside a sandbox to which its packets to [`NAME_SERVER`] come.
#[derive(Debug)]
pub struct NameServer {
    pub udp: UdpSocket,
    pub tcp: TcpListener,
}

/// Docker's address for the name server inside a container, port 53.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

impl Membership {
    /// What the link may carry, of the `usual`.
    pub fn mtu(&self, usual: u32) -> u32 {
        self.endpoints.iter().filter_map(|endpoint| endpoint.mtu).min().unwrap_or(usual)
    }

    /// The way to everywhere else.
    pub fn outlet(&self) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| !endpoint.internal)
    }
}
