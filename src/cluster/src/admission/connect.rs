//! Connections into pods, services and nodes: webhooks and policies that want `CONNECT` are asked before one is made.

use super::attributes::{Admission, Operation, Subject};
use crate::{Actor, Cluster, Remarks, Target};
use ::api::Status;
use serde_json::Value;

impl Cluster {
    /// `options` is the object of the request, as upstream has it: a `PodExecOptions`, a `ServiceProxyOptions`.
    ///
    /// # Errors
    /// What a policy or a webhook refuses, or that one failed whose answer is needed.
    pub async fn admit_connection(
        &self,
        actor: &Actor,
        target: &Target,
        options: &Value,
        remarks: &Remarks,
    ) -> Result<(), Status> {
        let asked = Admission {
            cluster: self,
            actor,
            target,
            operation: Operation::Connect,
            dry_run: false,
            remarks,
            connect: Some(options),
        };
        asked.validate_by_policies(Subject { new: None, old: None }).await?;
        asked.tell_webhooks_of_connection().await
    }
}
