//! Upstream's PodTopologyLabels: a pod that is on a node, or is put on one, has the node's zone and region among its labels, where
//! the downward API finds them.

use crate::Cluster;
use ::api::ObjectKey;
use k8s_openapi::api::core::v1::{Binding, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{Instance, TypedKind};
use std::collections::BTreeMap;
use store::Resource;

const COPIED: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

/// Of a pod that names its node itself.
pub(super) fn admit(cluster: &Cluster, object: &mut dyn Instance) {
    let Some(pod) = object.downcast_mut::<Pod>() else { return };
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    if !node.is_empty() {
        copy(cluster, &node, &mut pod.metadata);
    }
}

/// A binding's labels are given to its pod.
pub(crate) fn label_binding(cluster: &Cluster, binding: &mut Binding) {
    let Binding { metadata, target } = binding;
    if target.kind.as_deref() == Some("Node") {
        copy(cluster, target.name.as_deref().unwrap_or_default(), metadata);
    }
}

/// Over what is there; nothing of a node that is not.
fn copy(cluster: &Cluster, node: &str, to: &mut ObjectMeta) {
    let resource = Resource::from(&Node::info().storage);
    let node = cluster.store().snapshot().get(&resource, &ObjectKey::cluster(node));
    let labels = node.and_then(|node| node.decode::<Node>().ok()?.metadata.labels).unwrap_or_default();
    let copied: BTreeMap<String, String> =
        labels.into_iter().filter(|(key, _)| COPIED.contains(&key.as_str())).collect();
    if !copied.is_empty() {
        to.labels.get_or_insert_default().extend(copied);
    }
}
