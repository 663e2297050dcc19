//! Upstream's NodeRestriction: a node that comes as a client writes its own objects only, and those of the pods on it; it takes no
//! labels by which others keep their pods away from it, and makes no pod that would give it what it may not have. The node of this
//! process is no client.

mod certificates;
mod node_object;
mod pods;
mod tokens;

pub(crate) use tokens::admit_token;

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::admission_request::attributes::{Admission, encoded};
use crate::authorize::NODE_LEASES;
use crate::{Actor, Cluster, Target};
use ::api::{ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, PodCertificateRequest};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::CSINode;
use kinds::{Instance, Subresource, TypedKind};
use serde_json::Value;
use store::Resource;

/// A write of a node.
struct OfNode<'a> {
    cluster: &'a Cluster,
    actor: &'a Actor,
    node: &'a str,
    target: &'a Target,
    name: &'a str,
}

pub(super) struct NodeRestriction;

#[async_trait]
impl Plugin for NodeRestriction {
    fn name(&self) -> &'static str {
        "NodeRestriction"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit && review.asked.actor.client_node().is_some()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let Admission { cluster, actor, target, .. } = *review.asked;
        match (review.new_object(), review.old_object()) {
            (Some(new), Some(old)) => admit_update(cluster, actor, target, new, old),
            (Some(new), None) => admit_create(cluster, actor, target, new),
            (None, Some(old)) => admit_delete(cluster, actor, target, old),
            // evictions and tokens are asked about below, whoever wants them by whichever way
            (None, None) => Ok(()),
        }
    }
}

fn admit_create(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    object: &dyn Instance,
) -> Result<(), Status> {
    let name = object.meta().name.as_deref().unwrap_or_default();
    let Some(asked) = OfNode::new(cluster, actor, target, name)? else { return Ok(()) };
    if let Some(pod) = object.downcast_ref::<Pod>() {
        asked.mirrors(pod)
    } else if let Some(node) = object.downcast_ref::<Node>() {
        asked.registers(node)
    } else if object.downcast_ref::<PersistentVolumeClaim>().is_some() {
        asked.refuse("may only update PVC status")
    } else if object.downcast_ref::<Lease>().is_some() {
        asked.leases()
    } else if object.downcast_ref::<CSINode>().is_some() {
        asked.own_csi_node()
    } else if let Some(request) = object.downcast_ref::<CertificateSigningRequest>() {
        asked.requests_own_certificate(request)
    } else if let Some(request) = object.downcast_ref::<PodCertificateRequest>() {
        asked.requests_certificate_of_pod(request)
    } else if asked.is_slice() {
        let why = "can only create ResourceSlice with the same NodeName as the requesting node";
        asked.ensure(node_of_slice(object)?.as_deref() == Some(asked.node), why)
    } else {
        Ok(())
    }
}

fn admit_update(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    new: &dyn Instance,
    old: &dyn Instance,
) -> Result<(), Status> {
    let name = target.name.as_deref().unwrap_or_default();
    let Some(asked) = OfNode::new(cluster, actor, target, name)? else { return Ok(()) };
    if let (Some(new), Some(old)) = (new.downcast_ref::<Pod>(), old.downcast_ref::<Pod>()) {
        asked.updates_pod(new, old)
    } else if let (Some(new), Some(old)) = (new.downcast_ref::<Node>(), old.downcast_ref::<Node>()) {
        asked.updates_node(new, old)
    } else if let (Some(new), Some(old)) =
        (new.downcast_ref::<PersistentVolumeClaim>(), old.downcast_ref::<PersistentVolumeClaim>())
    {
        asked.updates_claim(new, old)
    } else if new.downcast_ref::<Lease>().is_some() {
        asked.leases()
    } else if new.downcast_ref::<CSINode>().is_some() {
        asked.own_csi_node()
    } else {
        Ok(())
    }
}

fn admit_delete(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    object: &dyn Instance,
) -> Result<(), Status> {
    let name = target.name.as_deref().unwrap_or_default();
    let Some(asked) = OfNode::new(cluster, actor, target, name)? else { return Ok(()) };
    if let Some(pod) = object.downcast_ref::<Pod>() {
        let why = format!("node {:?} can only delete pods with spec.nodeName set to itself", asked.node);
        asked.ensure(asked.runs(pod), &why)
    } else if object.downcast_ref::<Node>().is_some() {
        asked.own_node()
    } else if object.downcast_ref::<PersistentVolumeClaim>().is_some() {
        asked.refuse("may only update PVC status")
    } else if object.downcast_ref::<Lease>().is_some() {
        asked.leases()
    } else if object.downcast_ref::<CSINode>().is_some() {
        asked.own_csi_node()
    } else if asked.is_slice() {
        let why = "can only delete ResourceSlice with the same NodeName as the requesting node";
        asked.ensure(node_of_slice(object)?.as_deref() == Some(asked.node), why)
    } else {
        Ok(())
    }
}

/// `target` is the pod's `eviction`.
pub(crate) fn admit_eviction(cluster: &Cluster, actor: &Actor, target: &Target) -> Result<(), Status> {
    let name = target.name.as_deref().unwrap_or_default();
    let Some(asked) = OfNode::new(cluster, actor, target, name)? else { return Ok(()) };
    let pod = asked.pod(name)?;
    let why = format!("node {} can only evict pods with spec.nodeName set to itself", asked.node);
    asked.ensure(asked.runs(&pod), &why)
}

impl<'a> OfNode<'a> {
    /// `None` for whoever is no node.
    ///
    /// # Errors
    /// `Forbidden` for a node that does not say which.
    fn new(
        cluster: &'a Cluster,
        actor: &'a Actor,
        target: &'a Target,
        name: &'a str,
    ) -> Result<Option<Self>, Status> {
        let Some(node) = actor.client_node() else { return Ok(None) };
        let asked = OfNode { cluster, actor, node, target, name };
        let why = format!("could not determine node from user {:?}", actor.name);
        asked.ensure(!node.is_empty(), &why).map(|()| Some(asked))
    }

    fn refuse(&self, why: &str) -> Result<(), Status> {
        Err(Status::forbidden(&self.target.group_resource(), self.name, why))
    }

    fn ensure(&self, holds: bool, why: &str) -> Result<(), Status> {
        if holds { Ok(()) } else { self.refuse(why) }
    }

    fn find<K: TypedKind>(&self, key: &ObjectKey) -> Option<K> {
        self.cluster.store().snapshot().get(&Resource::from(&K::info().storage), key)?.decode().ok()
    }

    /// # Errors
    /// `NotFound`.
    fn pod(&self, name: &str) -> Result<Pod, Status> {
        let key = ObjectKey::new(self.target.namespace.as_deref(), name);
        self.find(&key).ok_or_else(|| Status::not_found(&Pod::info().gvr.group_resource(), name))
    }

    fn runs(&self, pod: &Pod) -> bool {
        pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(self.node)
    }

    fn is_slice(&self) -> bool {
        let gvr = &self.target.version.info().gvr;
        gvr.group == "resource.k8s.io" && gvr.resource == "resourceslices"
    }

    fn updates_claim(&self, new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> Result<(), Status> {
        let is_status = self.target.subresource == Some(Subresource::Status);
        self.ensure(is_status, "may only update PVC status")?;
        let kept = |claim: &PersistentVolumeClaim| {
            let mut kept = claim.clone();
            kept.metadata.resource_version = None;
            kept.metadata.managed_fields = None;
            let status = kept.status.get_or_insert_default();
            (status.capacity, status.conditions) = (None, None);
            (status.allocated_resource_statuses, status.allocated_resources) = (None, None);
            kept
        };
        let why = format!(
            "node {:?} is not allowed to update fields other than status.capacity and status.conditions",
            self.node
        );
        self.ensure(kept(new) == kept(old), &why)
    }

    fn leases(&self) -> Result<(), Status> {
        let here = self.target.namespace.as_deref() == Some(NODE_LEASES);
        self.ensure(here, &format!("can only access leases in the {NODE_LEASES:?} system namespace"))?;
        let why = "can only access node lease with the same name as the requesting node";
        self.ensure(self.name == self.node, why)
    }

    fn own_csi_node(&self) -> Result<(), Status> {
        let why = "can only access CSINode with the same name as the requesting node";
        self.ensure(self.name == self.node, why)
    }
}

/// No type of ours: it is read as it would be stored.
fn node_of_slice(slice: &dyn Instance) -> Result<Option<String>, Status> {
    let slice: Value = serde_json::from_slice(&encoded(slice)?).map_err(Status::internal)?;
    Ok(slice["spec"]["nodeName"].as_str().map(str::to_owned))
}
