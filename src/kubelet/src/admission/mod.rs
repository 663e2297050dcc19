//! Which pods this node does not run, whatever the scheduler says. One file a rule, in upstream's order and words. Pure.
//!
//! A wish for isolation that this node can not meet is such a rule: it is refused, never dropped. What upstream's kubelet
//! only notices when it makes the sandbox, and then tries again, is in [`sandbox`].

mod apparmor;
pub mod brake;
mod declared_features;
pub mod fit;
mod os;
mod refusal;
pub mod sandbox;
mod supplemental_groups;
mod sysctls;

pub use refusal::{Neighbour, Refusal};

use crate::machine::Machine;
use k8s_openapi::api::core::v1::{Node, Pod};

pub fn refusal(pod: &Pod, machine: &Machine, node: &Node, others: &[Neighbour<'_>]) -> Option<Refusal> {
    os::check(pod)
        .or_else(|| fit::check(pod, node, others))
        .or_else(|| supplemental_groups::check(pod))
        .or_else(|| sysctls::check(pod))
        .or_else(|| apparmor::check(pod, machine.apparmor))
        .or_else(|| declared_features::check(pod, node))
}
