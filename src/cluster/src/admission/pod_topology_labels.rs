//! Upstream's PodTopologyLabels: a pod that is on a node, or is put on one, has the node's zone and region among its labels, where
//! the downward API finds them.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::Cluster;
use ::api::{ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Binding, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::TypedKind;
use std::collections::BTreeMap;
use store::Resource;

const COPIED: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

pub(super) struct PodTopologyLabels;

#[async_trait]
impl Plugin for PodTopologyLabels {
    fn name(&self) -> &'static str {
        "PodTopologyLabels"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit && review.creates::<Pod>()
    }

    /// Of a pod that names its node itself.
    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        let Some(pod) = review.draft.new_mut().and_then(|new| new.downcast_mut::<Pod>()) else {
            return Ok(());
        };
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        if !node.is_empty() {
            copy(cluster, &node, &mut pod.metadata);
        }
        Ok(())
    }
}

/// A binding's labels are given to its pod. Where a pod is bound, the Binding is what is admitted.
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
