//! The answers to `pause` and `unpause`: how many containers were held, or let go on.

use crate::control::{ControlReply, Refusal};
use kubelet::Pauser;
use std::collections::BTreeSet;

/// `None` is all namespaces.
pub(super) async fn pause(pauser: &Pauser, namespaces: Option<&BTreeSet<String>>) -> ControlReply {
    counted(pauser.pause(namespaces).await)
}

pub(super) async fn unpause(pauser: &Pauser, namespaces: Option<&BTreeSet<String>>) -> ControlReply {
    counted(pauser.unpause(namespaces).await)
}

fn counted(outcome: cri::Result<usize>) -> ControlReply {
    match outcome {
        Ok(containers) => ControlReply::Counted { containers },
        Err(error) => ControlReply::Failed { reason: Refusal::Other, message: error.to_string() },
    }
}
