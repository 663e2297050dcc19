//! Connections into pods, services and nodes: webhooks and policies that want `CONNECT` are asked before one is made, and may
//! change how.

use super::attributes::{Admission, Draft, Operation};
use super::mutate;
use crate::{Actor, Cluster, Remarks, Target};
use ::api::Status;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

impl Cluster {
    /// `options` are the object of the request, as upstream has it: a `PodExecOptions`, a `ServiceProxyOptions`, by their
    /// `kind`. Returned as policies and webhooks have left them: so the connection is to be made.
    ///
    /// # Errors
    /// What a policy or a webhook refuses, or that one failed whose answer is needed. `InternalError` where one makes of the
    /// options what is none.
    pub async fn admit_connection<O: Serialize + DeserializeOwned>(
        &self,
        actor: &Actor,
        target: &Target,
        kind: &str,
        options: O,
        remarks: &Remarks,
    ) -> Result<O, Status> {
        let operation = Operation::Connect;
        let asked = Admission { cluster: self, actor, target, operation, dry_run: false, remarks };
        if !asked.is_of_interest() {
            return Ok(options);
        }
        let mut options = encode(kind, &options)?;
        let typed = |after| encode(kind, &decode::<O>(after)?);
        let mut draft = Draft::Connection { options: &mut options, typed: &typed };
        mutate(&asked, &mut draft).await?;
        asked.validate_by_policies(draft.subject()).await?;
        asked.validate_by_webhooks(draft.subject()).await?;
        decode(options)
    }
}

fn encode<O: Serialize>(kind: &str, options: &O) -> Result<Value, Status> {
    let mut value = serde_json::to_value(options).map_err(Status::internal)?;
    if let Some(fields) = value.as_object_mut() {
        fields.extend([("kind".to_owned(), kind.into()), ("apiVersion".to_owned(), "v1".into())]);
    }
    Ok(value)
}

fn decode<O: DeserializeOwned>(mut value: Value) -> Result<O, Status> {
    if let Some(fields) = value.as_object_mut() {
        // to upstream's decoder a field of null is one that is not there
        fields.retain(|_, field| !field.is_null());
    }
    serde_json::from_value(value).map_err(Status::internal)
}
