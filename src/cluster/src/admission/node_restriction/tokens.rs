//! Tokens that a node asks for, in the name of the accounts of its pods.

use super::OfNode;
use crate::pod_references as refers;
use crate::token_params::{BoundKind, TokenRequestParams};
use crate::{Actor, Attributes, Cluster, Target};
use ::api::{ObjectKey, Status};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::CSIDriver;
use std::collections::BTreeSet;

/// `target` is the account's `token`. A node asks for those of its pods, and for the audiences that these name.
pub(crate) fn admit_token(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    params: &TokenRequestParams,
) -> Result<(), Status> {
    let name = target.name.as_deref().unwrap_or_default();
    let Some(asked) = OfNode::new(cluster, actor, target, name)? else { return Ok(()) };
    let bound = params.bound.as_ref().filter(|bound| bound.kind == BoundKind::Pod && !bound.name.is_empty());
    let Some(bound) = bound else { return asked.refuse("node requested token not bound to a pod") };
    asked.ensure(!bound.uid.is_empty(), "node requested token with a pod binding without a uid")?;
    let pod = asked.pod(&bound.name)?;
    let why = format!(
        "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
        bound.uid
    );
    asked.ensure(pod.metadata.uid.as_ref() == Some(&bound.uid), &why)?;
    asked.ensure(asked.runs(&pod), "node requested token bound to a pod scheduled on a different node")?;
    let audience = match params.audiences.as_slice() {
        [] => "",
        [one] => one.as_str(),
        _ => return asked.refuse("node may only request 0 or 1 audiences"),
    };
    let why = format!("audience {audience:?} not found in pod spec volume");
    asked.ensure(asked.wants_audience(&pod, audience) || asked.may_ask_for_audience(audience), &why)
}

impl OfNode<'_> {
    /// Whether one of the pod's volumes needs a token for it; `""` is the API server's.
    fn wants_audience(&self, pod: &Pod, audience: &str) -> bool {
        let volumes = || pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let tokens =
            volumes().flat_map(refers::projections).filter_map(|part| part.service_account_token.as_ref());
        let mut projected = tokens.map(|token| token.audience.as_deref().unwrap_or_default());
        let inline = volumes().filter_map(|volume| volume.csi.as_ref()).map(|csi| csi.driver.clone());
        let mut drivers: BTreeSet<String> = inline.collect();
        for claim in kinds::volume::claims_of(pod) {
            let key = ObjectKey::new(self.target.namespace.as_deref(), &claim.name);
            let bound = self.find::<PersistentVolumeClaim>(&key).and_then(|claim| claim.spec?.volume_name);
            let volume = bound.and_then(|name| self.find::<PersistentVolume>(&ObjectKey::cluster(&name)));
            drivers.extend(volume.and_then(|volume| Some(volume.spec?.csi?.driver)));
        }
        projected.any(|known| known == audience)
            || drivers.iter().any(|driver| {
                let driver = self.find::<CSIDriver>(&ObjectKey::cluster(driver));
                let requests = driver.and_then(|driver| driver.spec.token_requests);
                requests.iter().flatten().any(|request| request.audience == audience)
            })
    }

    /// By a role: upstream's `request-serviceaccounts-token-audience`.
    fn may_ask_for_audience(&self, audience: &str) -> bool {
        let attributes = Attributes {
            verb: "request-serviceaccounts-token-audience".to_owned(),
            resource: audience.to_owned(),
            namespace: self.target.namespace.clone(),
            name: self.target.name.clone(),
            ..Attributes::default()
        };
        self.cluster.decide(self.actor, &attributes).is_allowed()
    }
}
