//! Which connections sandboxes may have: what comes to an isolated one, or what it opens, is dropped unless it is allowed.
//!
//! Sandboxes that are treated alike are one [`Class`]: a chain that a verdict map leads to by the sandbox's address, and flat
//! sets of what it allows ([`layout`], pure), so that a packet is judged by a few look-ups whatever the number of sandboxes
//! and of rules, and a change is the elements that differ ([`change`], pure). Only a connection's first packet is judged, after
//! its translation and before its masquerade: by the sandbox's own address and port, and by the client's. The hooks exist
//! while there is a class, so that where nothing is isolated no packet pays.

mod change;
mod intervals;
mod layout;
mod parts;
mod ranges;
#[cfg(test)]
mod testing;

pub(crate) use change::{HOOKS, change, inventory, replace};
pub(crate) use layout::Layout;

use crate::{Protocol, SharedSet};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Who is isolated, and what is allowed to each. Whoever is in no class of a direction is open in that direction; nobody may
/// be in two of the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Isolation {
    /// What may come to sandboxes, by the name of the class. A class that keeps its name while what it allows changes is
    /// changed by what differs.
    pub ingress: BTreeMap<String, Class>,
    /// What sandboxes may open.
    pub egress: BTreeMap<String, Class>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class {
    /// Whose it is. What the classes of one owner may take is bounded, and does not depend on what others have.
    pub owner: String,
    pub members: BTreeSet<Ipv4Addr>,
    pub allows: BTreeSet<Allow>,
}

/// These peers, at these ports of whoever is addressed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allow {
    pub peers: SharedSet<AddressRange>,
    pub ports: Ports,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ports {
    /// And what has no ports.
    All,
    Of(BTreeSet<PortRange>),
}

/// Both ends are within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
}

/// Both ends are within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    pub protocol: Protocol,
    pub first: u16,
    pub last: u16,
}

impl AddressRange {
    pub const ALL: AddressRange = AddressRange { first: Ipv4Addr::UNSPECIFIED, last: Ipv4Addr::BROADCAST };

    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

impl From<Ipv4Addr> for AddressRange {
    fn from(address: Ipv4Addr) -> Self {
        AddressRange { first: address, last: address }
    }
}

impl From<ipnet::Ipv4Net> for AddressRange {
    fn from(range: ipnet::Ipv4Net) -> Self {
        AddressRange { first: range.network(), last: range.broadcast() }
    }
}
