//! What a rule is asked about, and what it answers.

use crate::requests::Requests;
use k8s_openapi::api::core::v1::Pod;
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
