//! Pods that a node makes and reports of.

use super::OfNode;
use crate::pod_references::{self as refers, MIRROR};
use ::api::{ObjectKey, Status};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kinds::{Subresource, TypedKind};

impl OfNode<'_> {
    /// What a kubelet makes of a file, to show it, and of nothing else.
    pub(super) fn mirrors(&self, pod: &Pod) -> Result<(), Status> {
        let node = self.node;
        let why =
            format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods");
        self.ensure(is_mirror(pod), &why)?;
        let why = format!("node {node:?} can only create pods with spec.nodeName set to itself");
        self.ensure(self.runs(pod), &why)?;
        match pod.metadata.owner_references.as_deref().unwrap_or_default() {
            [owner] => self.owns(owner)?,
            owners => {
                let which = if owners.is_empty() { "an owner reference" } else { "a single owner reference" };
                return self
                    .refuse(&format!("node {node:?} can only create pods with {which} set to itself"));
            }
        }
        let spec = pod.spec.clone().unwrap_or_default();
        let volumes = || spec.volumes.iter().flatten();
        let refers_to = |is_there: bool, what: &str| {
            self.ensure(!is_there, &format!("node {node:?} can not create pods that reference {what}"))
        };
        refers_to(
            spec.service_account_name.as_ref().is_some_and(|name| !name.is_empty()),
            "a service account",
        )?;
        refers_to(!refers::secrets(&spec).is_empty(), "secrets")?;
        refers_to(!refers::config_maps(&spec).is_empty(), "configmaps")?;
        let parts = || volumes().flat_map(refers::projections);
        refers_to(
            parts().any(|part| part.service_account_token.is_some()),
            "serviceaccounts (via projected volumes)",
        )?;
        refers_to(parts().any(|part| part.cluster_trust_bundle.is_some()), "clustertrustbundles")?;
        refers_to(parts().any(|part| part.pod_certificate.is_some()), "podcertificates")?;
        refers_to(volumes().any(|v| v.csi.is_some()), "csidrivers (via CSI volumes)")?;
        refers_to(volumes().any(|v| v.persistent_volume_claim.is_some()), "persistentvolumeclaims")?;
        refers_to(
            volumes().any(|v| v.ephemeral.is_some()),
            "persistentvolumeclaims (via ephemeral volumes)",
        )?;
        refers_to(spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()), "resourceclaims")
    }

    fn owns(&self, owner: &OwnerReference) -> Result<(), Status> {
        let node = self.node;
        let is_node = owner.api_version == "v1" && owner.kind == "Node" && owner.name == node;
        let why = format!("node {node:?} can only create pods with an owner reference set to itself");
        self.ensure(is_node, &why)?;
        let why =
            format!("node {node:?} can only create pods with a controller owner reference set to itself");
        self.ensure(owner.controller == Some(true), &why)?;
        let why = format!("node {node:?} must not set blockOwnerDeletion on an owner reference");
        self.ensure(owner.block_owner_deletion != Some(true), &why)?;
        let stored: Node = self
            .find(&ObjectKey::cluster(node))
            .ok_or_else(|| Status::not_found(&Node::info().gvr.group_resource(), node))?;
        let uid = stored.metadata.uid.unwrap_or_default();
        let why = format!("node {node} UID mismatch: expected {} got {uid}", owner.uid);
        self.ensure(owner.uid == uid, &why)
    }

    pub(super) fn updates_pod(&self, new: &Pod, old: &Pod) -> Result<(), Status> {
        let node = self.node;
        match self.target.subresource {
            Some(Subresource::Status) => {}
            None => {
                let why = "unexpected operation \"UPDATE\"";
                return self.refuse(&format!("{why}, node {node:?} can only create and delete mirror pods"));
            }
            Some(other) => {
                let only = "only 'status' and 'eviction' are allowed";
                return self.refuse(&format!("unexpected pod subresource {:?}, {only}", other.name()));
            }
        }
        let why =
            format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself");
        self.ensure(self.runs(old), &why)?;
        let labels = |pod: &Pod| pod.metadata.labels.clone().unwrap_or_default();
        let why = format!("node {node:?} cannot update labels through pod status");
        self.ensure(labels(new) == labels(old), &why)?;
        let (new, old) = (new.status.clone().unwrap_or_default(), old.status.clone().unwrap_or_default());
        let claims = new.resource_claim_statuses.unwrap_or_default()
            == old.resource_claim_statuses.unwrap_or_default();
        self.ensure(claims, &format!("node {node:?} cannot update resource claim statues"))?;
        let extended = new.extended_resource_claim_status == old.extended_resource_claim_status;
        self.ensure(extended, &format!("node {node:?} cannot update extended resource claim status"))
    }
}

pub(super) fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR))
}
