//! NetworkPolicies: which pods may reach which.
//!
//! It knows what Kubernetes means by a policy ([`render`], pure: policies, pods and namespaces become what `net` lets
//! through), and keeps the kernel as the policies are; how connections are judged there is `net`'s business. A pod's link
//! comes up only when the pod's address has its policies ([`start`] sets the gate), so that no pod is ever open before it is
//! closed. It judges nothing itself, and writes nothing to the cluster but events. Read [`render`] first, then [`start`].

#![forbid(unsafe_code)]

mod blocks;
mod limits;
mod pod;
mod policy;
mod render;
mod run;
mod state;

pub use pod::Pod;
pub use policy::{Peer, Policy, Port, Rule, Rules};
pub use render::{Namespaces, Rendered, render};
pub use run::{role, start};

use std::net::Ipv4Addr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetpolConfig {
    /// Where pods find the cluster's DNS: to policies that select pods, a pod of its own.
    pub dns: Ipv4Addr,
}

const NAME: &str = "network-policies";
/// As whom it tells of policies that are too large; the role has the same name.
const ACTOR: &str = "system:network-policies";
