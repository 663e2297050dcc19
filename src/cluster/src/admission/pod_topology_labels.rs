//! Upstream's PodTopologyLabels: a pod that is on a node, or is put on one, has the node's zone and region among its labels, where
//! the downward API finds them.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::Cluster;
use crate::admission_request::attributes::Operation;
use ::api::{ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Binding, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{Subresource, TypedKind};
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
        step == Step::Admit && (review.creates::<Pod>() || is_binding(review))
    }

    /// Of a pod that names its node itself, or of a Binding.
    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        if is_binding(review) {
            return relabel_binding(review);
        }
        let Some(pod) = review.draft.new_mut().and_then(|new| new.downcast_mut::<Pod>()) else {
            return Ok(());
        };
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        if !node.is_empty() {
            label(&mut pod.metadata, &labels_of(cluster, &node));
        }
        Ok(())
    }
}

/// Of the pod's `binding`, not of the older collection.
fn is_binding(review: &Review<'_>) -> bool {
    review.asked.operation == Operation::Create
        && review.asked.target.subresource == Some(Subresource::Binding)
}

/// Asked a second time, somebody may have chosen another node: what came from the first goes, and the labels are those of the last.
fn relabel_binding(review: &mut Review<'_>) -> Result<(), Status> {
    let cluster = review.asked.cluster;
    let mut of_node = std::mem::take(&mut review.topology_labels);
    review.draft.change_unstored::<Binding>(|binding| {
        if let Some(labels) = &mut binding.metadata.labels {
            labels.retain(|key, value| of_node.get(key) != Some(&*value));
        }
        of_node = labels_of_target(cluster, binding);
        label(&mut binding.metadata, &of_node);
    })?;
    review.topology_labels = of_node;
    Ok(())
}

/// A binding's labels are given to its pod. For a binding that nobody is asked about; else the plug-in does it.
pub(crate) fn label_binding(cluster: &Cluster, binding: &mut Binding) {
    let labels = labels_of_target(cluster, binding);
    label(&mut binding.metadata, &labels);
}

fn labels_of_target(cluster: &Cluster, binding: &Binding) -> BTreeMap<String, String> {
    match binding.target.kind.as_deref() {
        Some("Node") => labels_of(cluster, binding.target.name.as_deref().unwrap_or_default()),
        _ => BTreeMap::new(),
    }
}

/// None of a node that is not there.
fn labels_of(cluster: &Cluster, node: &str) -> BTreeMap<String, String> {
    let resource = Resource::from(&Node::info().storage);
    let node = cluster.store().snapshot().get(&resource, &ObjectKey::cluster(node));
    let labels = node.and_then(|node| node.decode::<Node>().ok()?.metadata.labels).unwrap_or_default();
    labels.into_iter().filter(|(key, _)| COPIED.contains(&key.as_str())).collect()
}

/// Over what is there.
fn label(to: &mut ObjectMeta, labels: &BTreeMap<String, String>) {
    if !labels.is_empty() {
        to.labels.get_or_insert_default().extend(labels.clone());
    }
}
