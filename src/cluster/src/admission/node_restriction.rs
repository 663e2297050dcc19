//! Upstream's NodeRestriction: a node that comes as a client writes its own objects only, and those of the pods on it; it takes no
//! labels by which others keep their pods away from it, and makes no pod that would give it what it may not have. The node of this
//! process is no client.

use super::attributes::{Admission, encoded};
use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::authorize::NODE_LEASES;
use crate::pod_references::{self as refers, MIRROR};
use crate::token_params::{BoundKind, TokenRequestParams};
use crate::{Actor, Attributes, Cluster, Target};
use ::api::{ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, PodCertificateRequest};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kinds::builtin::certificate_subject;
use kinds::{Instance, Subresource, TypedKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use store::Resource;

const OF_NODE_BY_NODE: [&str; 2] =
    ["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"];
/// Of the labels of `kubernetes.io` and `k8s.io` those that a kubelet gives its node.
const KUBELET_LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const KUBELET_LABEL_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const RESTRICTED: &str = "node-restriction.kubernetes.io";

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

    /// What a kubelet makes of a file, to show it, and of nothing else.
    fn mirrors(&self, pod: &Pod) -> Result<(), Status> {
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

    fn updates_pod(&self, new: &Pod, old: &Pod) -> Result<(), Status> {
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

    fn own_node(&self) -> Result<(), Status> {
        let OfNode { node, name, .. } = self;
        self.ensure(node == name, &format!("node {node:?} is not allowed to modify node {name:?}"))
    }

    fn registers(&self, node: &Node) -> Result<(), Status> {
        self.own_node()?;
        let configured = node.spec.as_ref().is_some_and(|spec| spec.config_source.is_some());
        let why = format!("node {:?} is not allowed to create pods with a non-nil configSource", self.node);
        self.ensure(!configured, &why)?;
        let labels = forbidden_labels(&labels_of(node), &BTreeMap::new());
        let why = format!("node {:?} is not allowed to set the following labels: {labels}", self.node);
        self.ensure(labels.is_empty(), &why)
    }

    fn updates_node(&self, new: &Node, old: &Node) -> Result<(), Status> {
        self.own_node()?;
        let name = self.node;
        let spec = |node: &Node| node.spec.clone().unwrap_or_default();
        let source = spec(new).config_source;
        let why =
            format!("node {name:?} is not allowed to update configSource to a new non-nil configSource");
        self.ensure(source.is_none() || source == spec(old).config_source, &why)?;
        let taints = |node: &Node| spec(node).taints.unwrap_or_default();
        let why = format!("node {name:?} is not allowed to modify taints");
        self.ensure(taints(new) == taints(old), &why)?;
        let labels = forbidden_labels(&labels_of(new), &labels_of(old));
        self.ensure(labels.is_empty(), &format!("is not allowed to modify labels: {labels}"))?;
        let owners = |node: &Node| node.metadata.owner_references.clone().unwrap_or_default();
        // by one, a node could have itself collected
        let why = format!("node {name:?} is not allowed to modify ownerReferences");
        self.ensure(owners(new) == owners(old), &why)
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

    fn requests_own_certificate(&self, request: &CertificateSigningRequest) -> Result<(), Status> {
        if !OF_NODE_BY_NODE.contains(&request.spec.signer_name.as_str()) {
            return Ok(());
        }
        match certificate_subject::read(&request.spec.request.0) {
            Err(why) => self.refuse(&format!("unable to parse csr: {why}")),
            Ok(subject) => {
                let own = format!("system:node:{}", self.node);
                self.ensure(subject.common_name == own, &format!("can only create a node CSR with CN={own}"))
            }
        }
    }

    /// For a pod that runs here, as the account that it runs as: whoever signs believes that this was looked at.
    fn requests_certificate_of_pod(&self, request: &PodCertificateRequest) -> Result<(), Status> {
        let spec = &request.spec;
        let why = format!(
            "PodCertificateRequest.Spec.NodeName={:?}, which is not the requesting node {:?}",
            spec.node_name, self.node
        );
        self.ensure(spec.node_name == self.node, &why)?;
        let pod = self.pod(&spec.pod_name)?;
        let full = format!("{}/{}", self.target.namespace.as_deref().unwrap_or_default(), spec.pod_name);
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let why = format!(
            "PodCertificateRequest for pod {full:?} contains pod UID ({:?}) which differs from running pod {uid:?}",
            spec.pod_uid
        );
        self.ensure(spec.pod_uid == uid, &why)?;
        let why =
            format!("pod {full:?} is not running on node {:?} named in the PodCertificateRequest", self.node);
        self.ensure(self.runs(&pod), &why)?;
        self.ensure(!is_mirror(&pod), &format!("pod {full:?} is a mirror pod"))?;
        let account =
            pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or_default();
        let why = format!(
            "PodCertificateRequest for pod {full:?} contains serviceAccountName ({:?}) that differs from running pod ({account:?})",
            spec.service_account_name
        );
        self.ensure(spec.service_account_name == account, &why)?;
        let uid = |found: Option<ObjectMeta>| found.and_then(|meta| meta.uid).unwrap_or_default();
        let key = ObjectKey::new(self.target.namespace.as_deref(), account);
        let known = uid(self.find::<ServiceAccount>(&key).map(|account| account.metadata));
        let why = format!(
            "PodCertificateRequest for pod {full:?} names service account UID {:?}, which differs from the running service account ({known:?})",
            spec.service_account_uid
        );
        self.ensure(spec.service_account_uid == known, &why)?;
        let known = uid(self.find::<Node>(&ObjectKey::cluster(self.node)).map(|node| node.metadata));
        let why = format!(
            "PodCertificateRequest for pod {full:?} names node UID {:?}, inconsistent with the running node ({known:?})",
            spec.node_uid
        );
        self.ensure(spec.node_uid == known, &why)
    }

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

fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR))
}

/// No type of ours: it is read as it would be stored.
fn node_of_slice(slice: &dyn Instance) -> Result<Option<String>, Status> {
    let slice: Value = serde_json::from_slice(&encoded(slice)?).map_err(Status::internal)?;
    Ok(slice["spec"]["nodeName"].as_str().map(str::to_owned))
}

fn labels_of(node: &Node) -> BTreeMap<String, String> {
    node.metadata.labels.clone().unwrap_or_default()
}

/// Those that are added, changed or gone, and are not a node's to write; separated by commas.
fn forbidden_labels(new: &BTreeMap<String, String>, old: &BTreeMap<String, String>) -> String {
    let changed: BTreeSet<&str> = new
        .keys()
        .chain(old.keys())
        .filter(|key| new.get(*key) != old.get(*key))
        .map(String::as_str)
        .collect();
    let forbidden: Vec<&str> = changed.into_iter().filter(|label| is_forbidden(label)).collect();
    forbidden.join(", ")
}

fn is_forbidden(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let within = |of: &str| domain == of || domain.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
    let is_kubelets = KUBELET_LABELS.contains(&label) || KUBELET_LABEL_DOMAINS.into_iter().any(within);
    within(RESTRICTED) || ((within("kubernetes.io") || within("k8s.io")) && !is_kubelets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gives_itself_no_labels_that_keep_pods_away() {
        let map = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        for (case, new, old, want) in [
            ("nobody's", map(&[("disk", "fast"), ("example.com/x", "y")]), map(&[]), ""),
            (
                "its own",
                map(&[("kubernetes.io/hostname", "n"), ("topology.kubernetes.io/zone", "z")]),
                map(&[]),
                "",
            ),
            (
                "of its domains",
                map(&[("node.kubernetes.io/x", ""), ("a.kubelet.kubernetes.io/x", "")]),
                map(&[]),
                "",
            ),
            ("a role", map(&[("node-role.kubernetes.io/x", "")]), map(&[]), "node-role.kubernetes.io/x"),
            (
                "restricted ones",
                map(&[("node-restriction.kubernetes.io/a", ""), ("x.node-restriction.kubernetes.io/b", "")]),
                map(&[]),
                "node-restriction.kubernetes.io/a, x.node-restriction.kubernetes.io/b",
            ),
            ("kept", map(&[("k8s.io/x", "y")]), map(&[("k8s.io/x", "y")]), ""),
            ("changed", map(&[("k8s.io/x", "z")]), map(&[("k8s.io/x", "y")]), "k8s.io/x"),
            ("gone", map(&[]), map(&[("k8s.io/x", "y")]), "k8s.io/x"),
            ("no domain of theirs", map(&[("notkubernetes.io/x", "")]), map(&[]), ""),
        ] {
            assert_eq!(forbidden_labels(&new, &old), want, "{case}");
        }
    }
}
