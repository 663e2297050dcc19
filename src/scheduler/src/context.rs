//! What a decision goes by beside the nodes.

use crate::Profile;
use crate::pod_info::PodInfo;
use crate::pod_volumes::Storage;
use crate::terms::Namespaces;
use api::LabelSelector;
use std::sync::Arc;

/// What is known beside nodes and their pods.
#[derive(Debug, Default)]
pub struct Context {
    /// The pod's.
    pub profile: Arc<Profile>,
    pub namespaces: Arc<Namespaces>,
    pub storage: Storage,
    /// Whom the pod's Services and its controller select: those are spread by default.
    pub owners: Option<LabelSelector>,
    /// Pods that have made room for themselves on a node and are not there yet.
    pub nominated: Vec<(String, Arc<PodInfo>)>,
    /// Which node is looked at first, in the snapshot's order: one after those that were looked at last.
    pub start: usize,
}

impl Context {
    /// Where the pod has made room for itself, by what was decided: its status may not say so yet, or not any more.
    pub(crate) fn own_place(&self, pod: &PodInfo) -> Option<&str> {
        let own = self.nominated.iter().find(|(_, other)| other.id == pod.id);
        own.map(|(node, _)| node.as_str())
    }
}
