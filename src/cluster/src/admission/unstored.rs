//! What is asked for and stored nowhere: the options of a connection into a pod, a service or a node, bindings, evictions, tokens. Webhooks and
//! policies that want to know are asked before it is done, and may change it.

use super::namespace_lifecycle::ensure_exists;
use super::review::Review;
use crate::admission_request::attributes::{Admission, Draft, Operation};
use crate::{Actor, Cluster, Remarks, Target};
use ::api::{Gvk, Status};
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
        let (dry_run, told) = (false, Vec::new());
        let asked = Admission { cluster: self, actor, target, operation, dry_run, told, remarks };
        asked.admit_unstored(&Gvk::parse("v1", kind), options, |_| Ok(())).await
    }
}

impl Admission<'_> {
    /// `what`, of the kind `gvk`, as policies and webhooks have left it. `judge` says what the cluster itself has against that, before
    /// those are asked who only judge.
    ///
    /// # Errors
    /// As [`Cluster::admit_connection`], and those of `judge`.
    pub(crate) async fn admit_unstored<O: Serialize + DeserializeOwned>(
        &self,
        gvk: &Gvk,
        what: O,
        judge: impl Fn(&O) -> Result<(), Status>,
    ) -> Result<O, Status> {
        // the first of the plug-ins, and of the cluster's own the one that is asked about all that is created
        if self.operation == Operation::Create {
            ensure_exists(self.cluster, self.target, self.target.name.as_deref().unwrap_or_default())?;
        }
        if !self.is_of_interest() {
            return judge(&what).map(|()| what);
        }
        let mut encoded = encode(gvk, &what)?;
        let typed = |after| encode(gvk, &decode::<O>(after)?);
        let mut reservations = Review::new(self, Draft::unstored(&mut encoded, &typed)).admit().await?;
        let what = decode(encoded.clone())?;
        judge(&what)?;
        Review::new(self, Draft::unstored(&mut encoded, &typed)).validate(&mut reservations).await?;
        Ok(what)
    }
}

fn encode<O: Serialize>(gvk: &Gvk, what: &O) -> Result<Value, Status> {
    let mut value = serde_json::to_value(what).map_err(Status::internal)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("kind".to_owned(), gvk.kind.clone().into());
        fields.insert("apiVersion".to_owned(), gvk.api_version().into());
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
