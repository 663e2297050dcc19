//! What the scheduler knows: nodes with their pods, and the pods that wait. Informers tell it what changes; what it has
//! decided itself it knows at once, and *assumes* until an informer shows it.
//!
//! Without I/O: `run.rs` listens and asks for what is next, `writes.rs` writes what was decided.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place;
    use serde_json::json;
    use testkit::objects;

    fn pod(name: &str, cpu: &str) -> objects::Builder<Pod> {
        objects::pod(name).uid(name).requests(&json!({"cpu": cpu}))
    }

    /// The next pod, and where it goes.
    fn next(cache: &mut Cache, now: Instant) -> Option<(Arc<PodInfo>, Result<String, String>)> {
        let pod = cache.queue.pop(now)?;
        let placed = place(&pod, &cache.snapshot, &cache.context(&pod.pod, Storage::default(), None));
        match &placed {
            Ok(placement) => cache.assume(&pod, &placement.node, now),
            Err(why) => cache.queue.refused(&key_of(&pod.pod.metadata), why.plugins.clone(), now),
        }
        Some((pod, placed.map(|placement| placement.node).map_err(|why| why.to_string())))
    }

    #[test]
    fn what_is_decided_counts_before_anybody_shows_it() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
        let one = Arc::new(pod("one", "2").build());
        cache.pod_is(&one, now);
        cache.pod_is(&Arc::new(pod("two", "2").build()), now);
        let (first, at) = next(&mut cache, now).unwrap();
        assert_eq!((first.pod.metadata.name.as_deref(), at), (Some("one"), Ok("n".to_owned())));
        let full = Err("0/1 nodes are available: 1 Insufficient cpu.".to_owned());
        assert_eq!(next(&mut cache, now).unwrap().1, full);
        // an informer that is behind changes nothing
        cache.pod_is(&Arc::new(pod("one", "2").label("late", "yes").build()), now);
        assert!(next(&mut cache, now).is_none());
        assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 2000);
        // it could not be bound, and gives back what it took
        cache.forget(&first, now);
        assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 0);
        let (second, at) = next(&mut cache, now).unwrap();
        assert_eq!((second.pod.metadata.name.as_deref(), at), (Some("two"), Ok("n".to_owned())));
        // an informer shows it, then it ends
        cache.pod_is(&Arc::new(pod("two", "2").on("n").build()), now);
        assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 2000);
        cache.queue.failed(&key_of(&one.metadata), "one", now);
        cache.pod_is(&Arc::new(pod("two", "2").on("n").status(&json!({"phase": "Succeeded"})).build()), now);
        assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 0);
    }

    #[test]
    fn what_was_made_free_for_one_is_not_another_s() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
        let made_room = pod("high", "2").spec(&json!({"priority": 5}));
        let made_room = made_room.status(&json!({"nominatedNodeName": "n"})).build();
        cache.pod_is(&Arc::new(made_room), now);
        let high = cache.queue.pop(now).unwrap();
        cache.queue.refused(&key_of(&high.pod.metadata), [crate::Plugin::NodeResourcesFit].into(), now);
        for (name, priority, want) in [("lower", 1, false), ("same", 5, false), ("higher", 9, true)] {
            let other = PodInfo::of(Arc::new(pod(name, "1").spec(&json!({"priority": priority})).build()));
            let placed = place(&other, &cache.snapshot, &cache.context(&other.pod, Storage::default(), None));
            assert_eq!(placed.is_ok(), want, "{name}");
        }
        assert_eq!(
            place(&high, &cache.snapshot, &cache.context(&high.pod, Storage::default(), None))
                .unwrap()
                .evaluated,
            1
        );
        cache.pod_is_gone(&high.pod.clone(), now);
        let other = PodInfo::of(Arc::new(pod("lower", "1").build()));
        assert!(place(&other, &cache.snapshot, &cache.context(&other.pod, Storage::default(), None)).is_ok());
    }

    #[test]
    fn what_changes_on_the_way_to_a_node_is_known_when_it_is_not_reached() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
        let made = pod("one", "2").status(&json!({"nominatedNodeName": "n"}));
        cache.pod_is(&Arc::new(made.build()), now);
        let (one, at) = next(&mut cache, now).unwrap();
        assert_eq!((at, cache.nominated.len()), (Ok("n".to_owned()), 0));
        cache.pod_is(&Arc::new(made.clone().label("late", "yes").build()), now);
        cache.forget(&one, now);
        cache.queue.failed(&key_of(&one.pod.metadata), &one.id, now);
        assert_eq!(cache.nominated.len(), 1);
        let later = now + std::time::Duration::from_secs(1);
        let (again, at) = next(&mut cache, later).unwrap();
        assert_eq!((again.likeness.labels["late"].as_str(), at), ("yes", Ok("n".to_owned())));
        // somebody deletes it, and it has a finalizer
        let mut leaving = made.build();
        leaving.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        cache.pod_is(&Arc::new(leaving), later);
        cache.forget(&again, later);
        cache.queue.failed(&key_of(&again.pod.metadata), &again.id, later);
        assert_eq!((cache.queue.due(), cache.nominated.len()), (None, 0));
        assert_eq!(cache.snapshot.node("n").unwrap().taken.milli_cpu, 0);
    }

    #[test]
    fn what_was_decided_since_holds_against_a_status_that_is_behind() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
        cache.node_is(&Arc::new(objects::node("m").allocatable("2", "4Gi").build()), now);
        let (made, key) = (pod("one", "2"), ObjectKey::namespaced("default", "one"));
        let told = |node: &str| Arc::new(made.clone().status(&json!({"nominatedNodeName": node})).build());
        let (none, n, m) = (Arc::new(made.build()), told("n"), told("m"));
        // what was shown, what was decided then, what is shown then, and where its place is
        let cases = [
            ("somebody else writes it", &none, None, &n, Some("n")),
            ("it is cleared", &n, Some("n"), &none, None),
            ("nothing is shown yet", &none, Some("n"), &none, Some("n")),
            ("it is shown", &none, Some("n"), &n, Some("n")),
            ("another place, and the old one is shown", &n, Some("m"), &n, Some("m")),
            ("another place, and the old one is cleared", &n, Some("m"), &none, Some("m")),
            ("another place is shown", &n, Some("m"), &m, Some("m")),
            ("no place, and the old one is shown", &n, None, &n, None),
        ];
        for (name, before, decided, then, want) in cases {
            cache.pod_is(before, now);
            let info = cache.queue.pod(&key).unwrap().clone();
            cache.nominate(&info, decided, now);
            cache.pod_is(then, now);
            assert_eq!(cache.place_of(&key), want, "{name}");
            cache.pod_is_gone(then, now);
        }
        // it is the cache that says where it has made room: also while it is placed, and when it was not bound there
        cache.pod_is(&none, now);
        let one = cache.queue.pop(now).unwrap();
        cache.nominate(&one, Some("m"), now);
        let placed =
            place(&one, &cache.snapshot, &cache.context(&one.pod, Storage::default(), None)).unwrap();
        assert_eq!((placed.node.as_str(), placed.evaluated), ("m", 1));
        cache.assume(&one, "m", now);
        cache.forget(&one, now);
        assert_eq!(cache.place_of(&key), Some("m"));
        cache.lose_place(&key, "n", now);
        assert_eq!(cache.place_of(&key), Some("m"));
        cache.lose_place(&key, "m", now);
        assert_eq!(cache.place_of(&key), None);
    }

    #[test]
    fn what_one_gives_up_another_takes() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
        // it is to come to the node, and may not yet
        let high =
            pod("high", "2").spec(&json!({"priority": 5, "schedulingGates": [{"name": "example.com/wait"}]}));
        cache.pod_is(&Arc::new(high.clone().status(&json!({"nominatedNodeName": "n"})).build()), now);
        cache.pod_is(&Arc::new(pod("low", "1").build()), now);
        assert!(next(&mut cache, now).unwrap().1.is_err());
        assert!(next(&mut cache, now).is_none());
        cache.pod_is(&Arc::new(high.build()), now);
        assert_eq!(next(&mut cache, now).unwrap().1, Ok("n".to_owned()));
    }

    #[test]
    fn who_has_lost_what_it_made_free_looks_for_another() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.node_is(&Arc::new(objects::node("n").allocatable("2", "4Gi").build()), now);
        cache.pod_is(&Arc::new(pod("there", "2").on("n").build()), now);
        let low = pod("low", "1");
        cache.pod_is(&Arc::new(low.clone().status(&json!({"nominatedNodeName": "n"})).build()), now);
        assert!(next(&mut cache, now).unwrap().1.is_err());
        assert!(next(&mut cache, now).is_none());
        cache.pod_is(&Arc::new(low.build()), now);
        assert!(next(&mut cache, now).unwrap().1.is_err());
        assert!(next(&mut cache, now).is_none());
    }

    #[test]
    fn a_feature_that_a_node_declares_later_is_no_heartbeat() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let node = objects::node("n");
        cache.node_is(&Arc::new(node.build()), now);
        let rule = json!({"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}});
        let pod = pod("a", "1").container(&json!({"restartPolicyRules": [rule]}));
        cache.pod_is(&Arc::new(pod.build()), now);
        assert!(next(&mut cache, now).unwrap().1.is_err());
        let declares = json!({"declaredFeatures": ["RestartAllContainersOnContainerExits"]});
        cache.node_is(&Arc::new(node.status(&declares).build()), now);
        assert_eq!(next(&mut cache, now).unwrap().1, Ok("n".to_owned()));
    }

    #[test]
    fn a_heartbeat_wakes_nobody() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let node = objects::node("n").allocatable("1", "4Gi");
        cache.node_is(&Arc::new(node.build()), now);
        cache.pod_is(&Arc::new(pod("a", "2").build()), now);
        assert!(next(&mut cache, now).unwrap().1.is_err());
        cache.node_is(&Arc::new(node.clone().status(&json!({"conditions": []})).build()), now);
        assert!(next(&mut cache, now).is_none());
        cache.node_is(&Arc::new(node.allocatable("2", "4Gi").build()), now);
        assert_eq!(next(&mut cache, now).unwrap().1, Ok("n".to_owned()));
    }
}
