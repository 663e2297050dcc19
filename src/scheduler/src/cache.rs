//! What the scheduler knows: nodes with their pods, and the pods that wait. Informers tell it what changes; what it has
//! decided itself it knows at once, and *assumes* until an informer shows it.
//!
//! Without I/O: `run.rs` listens and asks for what is next, `writes.rs` writes what was decided.

#[cfg(test)]
mod tests;

use crate::attached::VolumesInUse;
use crate::config::Profiles;
use crate::hints::Event;
use crate::pod_info::PodInfo;
use crate::preempt::nominated_node;
use crate::queue::Queue;
use crate::terms::Namespaces;
use crate::{Context, Snapshot, Storage};
use api::{LabelSelector, ObjectKey};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kinds::{key_of, pod as ask};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// Whose pods these are.
    profiles: Arc<Profiles>,
    pub(crate) snapshot: Snapshot,
    pub(crate) queue: Queue,
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) volumes: VolumesInUse,
    /// Those that are on a node.
    placed: HashMap<ObjectKey, Arc<PodInfo>>,
    /// Ids of those that no informer shows there yet, and where each had made room for itself before.
    assumed: HashMap<String, Option<String>>,
    /// Those that have made room for themselves, and where: what their status says of it may be behind.
    nominated: HashMap<ObjectKey, (String, Arc<PodInfo>)>,
    /// Where the next pod looks first.
    pub(crate) start: usize,
}

fn is_bound(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).is_some_and(|n| !n.is_empty())
}

impl Cache {
    pub(crate) fn new(profiles: Arc<Profiles>) -> Self {
        Cache { queue: Queue::new(profiles.clone()), profiles, ..Cache::default() }
    }

    /// Ours, not bound, not on its way out.
    fn waits(&self, pod: &Pod) -> bool {
        self.profiles.of(pod).is_some() && !is_bound(pod) && ask::is_active(pod)
    }

    /// A pod as an informer shows it.
    pub(crate) fn pod_is(&mut self, pod: &Arc<Pod>, now: Instant) {
        let key = key_of(&pod.metadata);
        let info = Arc::new(PodInfo::of(pod.clone()));
        if self.placed.get(&key).is_some_and(|known| known.id != info.id) {
            self.leave_node(&key, now);
        }
        if is_bound(pod) && !ask::is_terminal(pod) {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            self.give_up_place(&key, node, now);
            self.queue.remove(&key);
            self.enter_node(key, info, now);
        } else if !is_bound(pod) && self.placed.contains_key(&key) {
            // it is on its way to its node, or whoever tells is behind: no pod leaves its node again. Where it does not get
            // there it is tried again as it is by now, or not at all
            match self.waits(pod) {
                true if self.queue.has(&key) => self.queue.set(&info, &self.namespaces, now),
                true => {}
                false => self.queue.remove(&key),
            }
        } else if self.waits(pod) {
            let own = self.place_of(&key).map(str::to_owned);
            let before = self.queue.pod(&key).filter(|known| known.id == info.id);
            // what was decided since is on its way to the pod's status (upstream's `UpdateNominatedPod`)
            let is_behind = before.is_some_and(|known| nominated_node(&known.pod) != own.as_deref());
            let place = if is_behind { own.as_deref() } else { nominated_node(pod) };
            self.nominate(&info, place, now);
            self.queue.set(&info, &self.namespaces, now);
            if own.is_some() && place.is_none() {
                // one who is more important has it
                self.queue.look_again(&key, now);
            }
        } else {
            self.queue.remove(&key);
            self.leave_node(&key, now);
        }
    }

    pub(crate) fn pod_is_gone(&mut self, pod: &Arc<Pod>, now: Instant) {
        let key = key_of(&pod.metadata);
        self.queue.remove(&key);
        self.leave_node(&key, now);
    }

    fn enter_node(&mut self, key: ObjectKey, info: Arc<PodInfo>, now: Instant) {
        let was_assumed = self.assumed.remove(&info.id).is_some();
        self.snapshot.set_pod(info.clone());
        self.volumes.pod_is(&info);
        let event = match self.placed.insert(key, info.clone()).filter(|_| !was_assumed) {
            None => Event::PodPlaced(info),
            Some(old) if old.likeness == info.likeness && old.occupied == info.occupied => return,
            Some(old) => Event::PodChanged { old, new: info },
        };
        self.notice(&event, now);
    }

    fn leave_node(&mut self, key: &ObjectKey, now: Instant) {
        let nominated = self.nominated.remove(key).map(|(_, info)| info);
        let placed = self.placed.remove(key);
        if let Some(info) = &placed {
            self.assumed.remove(&info.id);
            self.snapshot.remove_pod(&info.id);
            self.volumes.pod_is_gone(&info.id);
        }
        if let Some(info) = placed.or(nominated) {
            self.notice(&Event::PodGone(info), now);
        }
    }

    /// It is bound to the node; until an informer shows it, it counts as if.
    pub(crate) fn assume(&mut self, pod: &PodInfo, node: &str, now: Instant) {
        let mut there = Pod::clone(&pod.pod);
        there.spec.get_or_insert_default().node_name = Some(node.to_owned());
        let key = key_of(&there.metadata);
        let info = Arc::new(PodInfo::of(Arc::new(there)));
        let had = self.place_of(&key).map(str::to_owned);
        self.assumed.insert(info.id.clone(), had);
        self.snapshot.set_pod(info.clone());
        self.volumes.pod_is(&info);
        self.give_up_place(&key, Some(node), now);
        self.placed.insert(key, info);
    }

    /// It could not be bound. What it has made free for itself is still its.
    pub(crate) fn forget(&mut self, pod: &Arc<PodInfo>, now: Instant) {
        let key = key_of(&pod.pod.metadata);
        let Some(had) = self.assumed.get(&pod.id).cloned() else { return };
        self.leave_node(&key, now);
        let Some(known) = self.queue.pod(&key).filter(|known| known.id == pod.id).cloned() else { return };
        let told = nominated_node(&known.pod);
        let place = if told == nominated_node(&pod.pod) { had.as_deref() } else { told };
        self.nominate(&known, place, now);
    }

    /// The node that it has made room for itself on, if any.
    pub(crate) fn nominate(&mut self, pod: &Arc<PodInfo>, node: Option<&str>, now: Instant) {
        let key = key_of(&pod.pod.metadata);
        self.give_up_place(&key, node, now);
        if let Some(node) = node {
            self.nominated.insert(key, (node.to_owned(), pod.clone()));
        }
    }

    /// The node that the pod has made room for itself on.
    pub(crate) fn place_of(&self, key: &ObjectKey) -> Option<&str> {
        self.nominated.get(key).map(|(node, _)| node.as_str())
    }

    /// One who is more important goes to the node on which it had made room for itself.
    pub(crate) fn lose_place(&mut self, key: &ObjectKey, node: &str, now: Instant) {
        if self.place_of(key) == Some(node) {
            self.give_up_place(key, None, now);
            self.queue.look_again(key, now);
        }
    }

    /// What it had made free on another node than this is there for others: to those it counted as if it were there.
    fn give_up_place(&mut self, key: &ObjectKey, node: Option<&str>, now: Instant) {
        let old = self.nominated.remove(key);
        if let Some((_, info)) = old.filter(|(known, _)| Some(known.as_str()) != node) {
            self.notice(&Event::PodGone(info), now);
        }
    }

    /// Less important pods that were to come to the node.
    pub(crate) fn nominated_below(&self, pod: &PodInfo, node: &str) -> Vec<ObjectKey> {
        let there = self.nominated.iter().filter(|(_, (name, _))| name == node);
        there
            .filter(|(_, (_, other))| other.priority() < pod.priority())
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub(crate) fn node_is(&mut self, node: &Arc<Node>, now: Instant) {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let old = self.snapshot.node(name).map(|known| known.node.clone());
        self.snapshot.set_node(node.clone());
        let event = match old {
            None => Event::NodeAdded(node.clone()),
            // a heartbeat
            Some(old) if !differ(&old, node) => return,
            Some(old) => Event::NodeChanged { old, new: node.clone() },
        };
        self.notice(&event, now);
    }

    pub(crate) fn node_is_gone(&mut self, node: &Arc<Node>, now: Instant) {
        self.snapshot.remove_node(node.metadata.name.as_deref().unwrap_or_default());
        self.notice(&Event::NodeRemoved(node.clone()), now);
    }

    /// `is_gone`, or is there with these labels.
    pub(crate) fn namespace_is(&mut self, namespace: &Namespace, is_gone: bool, now: Instant) {
        let name = namespace.metadata.name.clone().unwrap_or_default();
        let labels = namespace.metadata.labels.clone().unwrap_or_default();
        let all = Arc::make_mut(&mut self.namespaces);
        let was = if is_gone { all.remove(&name) } else { all.insert(name, labels.clone()) };
        if is_gone || was.as_ref() != Some(&labels) {
            self.notice(&Event::Namespace, now);
        }
    }

    pub(crate) fn notice(&mut self, event: &Event, now: Instant) {
        self.queue.notice(event, &self.namespaces, now);
    }

    /// Of a pod that waits.
    pub(crate) fn context(&self, pod: &Pod, storage: Storage, owners: Option<LabelSelector>) -> Context {
        Context {
            profile: self.profiles.of(pod).cloned().unwrap_or_default(),
            namespaces: self.namespaces.clone(),
            storage,
            owners,
            nominated: self.nominated.values().cloned().collect(),
            start: self.start,
        }
    }
}

/// Whether anything differs that a pod can mind.
fn differ(old: &Node, new: &Node) -> bool {
    let status = |node: &Node| {
        node.status.as_ref().map(|status| (status.allocatable.clone(), status.declared_features.clone()))
    };
    old.spec != new.spec || old.metadata.labels != new.metadata.labels || status(old) != status(new)
}
