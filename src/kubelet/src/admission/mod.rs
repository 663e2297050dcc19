//! Which pods this node does not run, whatever the scheduler says. One file a rule, in upstream's order and words. Pure.
//!
//! A wish for isolation that this node can not meet is such a rule: it is refused, never dropped. What upstream's kubelet
//! only notices when it makes the sandbox, and then tries again, is in [`sandbox`].

mod apparmor;
pub mod brake;
mod declared_features;
pub mod fit;
mod os;
pub mod sandbox;
mod supplemental_groups;
mod sysctls;

use crate::machine::Machine;
use crate::resize::Requests;
use k8s_openapi::api::core::v1::{Node, Pod};
use std::sync::Arc;

/// Why a pod fails before anything of it is made: the reason of its status and of an event, and their message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: &'static str,
    pub message: String,
}

impl Refusal {
    /// What its status says.
    pub fn status_message(&self) -> String {
        format!("Pod was rejected: {}", self.message)
    }
}

/// A pod that the node has admitted and that is not over, and what it was given.
pub struct Neighbour<'a> {
    pub pod: Arc<Pod>,
    pub requests: &'a Requests,
}

pub fn refusal(pod: &Pod, machine: &Machine, node: &Node, others: &[Neighbour<'_>]) -> Option<Refusal> {
    os::check(pod)
        .or_else(|| fit::check(pod, node, others))
        .or_else(|| supplemental_groups::check(pod))
        .or_else(|| sysctls::check(pod))
        .or_else(|| apparmor::check(pod, machine.apparmor))
        .or_else(|| declared_features::check(pod, node))
}
