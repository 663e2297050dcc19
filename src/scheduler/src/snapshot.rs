//! All nodes and what is on them, kept current pod by pod: no decision builds it anew.
//!
//! What many decisions count is counted as pods come and go. Pods that mean the same to every selector and term are one
//! [`Group`] (the pods of a ReplicaSet are), which knows how many of them each node has; whoever counts pods looks at the
//! groups. Which domain each node is in by a label is worked out when the label is first asked for ([`Topology`]).

#[cfg(test)]
mod tests;

use crate::NodeSnapshot;
use crate::likeness::Likeness;
use crate::pod_info::PodInfo;
use k8s_openapi::api::core::v1::Node;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Of so many labels is it known which domains they make: whoever makes pods invents others.
const MOST_TOPOLOGIES: usize = 256;
const REGION: &str = "topology.kubernetes.io/region";
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";

#[derive(Debug, Default)]
pub struct Snapshot {
    /// A slot for each node, and for each name of a node that is gone and still has pods.
    nodes: Vec<NodeSnapshot>,
    slots: HashMap<String, usize>,
    /// The slots of nodes that exist.
    existing: BTreeSet<usize>,
    free_slots: Vec<usize>,
    /// By the pod's id.
    pods: HashMap<String, Resident>,
    groups: Vec<Group>,
    free_groups: Vec<usize>,
    group_of: HashMap<Likeness, usize>,
    by_namespace: HashMap<String, BTreeSet<usize>>,
    with_terms: BTreeSet<usize>,
    /// By the image's name: the slots of the nodes that have it, and its size in bytes there.
    images: HashMap<String, BTreeMap<usize, i64>>,
    topologies: RefCell<HashMap<String, Arc<Topology>>>,
    order: RefCell<Option<Arc<Vec<usize>>>>,
}

#[derive(Debug)]
struct Resident {
    slot: usize,
    group: usize,
}

/// Pods that mean the same to every selector and term.
#[derive(Debug)]
pub(crate) struct Group {
    /// Any of them.
    pub(crate) example: Arc<PodInfo>,
    /// How many of them are on the node of each slot.
    pub(crate) on: BTreeMap<usize, i64>,
}

/// Which domain each node is in: its value of one label.
#[derive(Debug)]
pub(crate) struct Topology {
    /// By slot.
    domain_of: Vec<Option<usize>>,
    pub(crate) domains: usize,
    /// Every node has the label.
    pub(crate) is_everywhere: bool,
}

impl Topology {
    pub(crate) fn domain(&self, slot: usize) -> Option<usize> {
        self.domain_of.get(slot).copied().flatten()
    }
}

impl Snapshot {
    /// With these nodes, and those of the pods that are on one of them.
    pub fn of(
        nodes: impl IntoIterator<Item = Arc<Node>>,
        pods: impl IntoIterator<Item = Arc<PodInfo>>,
    ) -> Self {
        let mut all = Snapshot::default();
        nodes.into_iter().for_each(|node| all.set_node(node));
        pods.into_iter().for_each(|pod| all.set_pod(pod));
        all
    }

    /// A node that is new, or has changed.
    pub fn set_node(&mut self, node: Arc<Node>) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let slot = self.slot_of(&name);
        let is_new = self.existing.insert(slot);
        let old = self.nodes[slot].node.clone();
        let old_images = images(&old);
        self.nodes[slot].describe(node.clone());
        if is_new || old.metadata.labels != node.metadata.labels {
            self.forget_topology();
        }
        let new_images = images(&node);
        if is_new || old_images != new_images {
            old_images.iter().for_each(|(image, _)| self.drop_image(image, slot));
            for (image, size) in new_images {
                self.images.entry(image.to_owned()).or_default().insert(slot, size);
            }
        }
    }

    pub fn remove_node(&mut self, name: &str) {
        let Some(slot) = self.slots.get(name).copied() else { return };
        if !self.existing.remove(&slot) {
            return;
        }
        let node = self.nodes[slot].node.clone();
        images(&node).iter().for_each(|(image, _)| self.drop_image(image, slot));
        self.nodes[slot].describe(bare(name));
        self.forget_topology();
        self.free_slot(slot);
    }

    /// A pod that is on a node, or has changed there; it takes nothing any more where it was before.
    pub fn set_pod(&mut self, pod: Arc<PodInfo>) {
        self.remove_pod(&pod.id);
        let node = pod.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        if node.is_empty() || kinds::pod::is_terminal(&pod.pod) {
            return;
        }
        let slot = self.slot_of(node);
        self.nodes[slot].take(&pod);
        let group = self.group_for(&pod);
        *self.groups[group].on.entry(slot).or_default() += 1;
        self.pods.insert(pod.id.clone(), Resident { slot, group });
    }

    pub fn remove_pod(&mut self, id: &str) {
        let Some(Resident { slot, group }) = self.pods.remove(id) else { return };
        self.nodes[slot].release(id);
        let counted = &mut self.groups[group].on;
        if let Some(count) = counted.get_mut(&slot) {
            *count -= 1;
            if *count == 0 {
                counted.remove(&slot);
            }
        }
        if counted.is_empty() {
            self.free_group(group);
        }
        self.free_slot(slot);
    }

    pub fn node(&self, name: &str) -> Option<&NodeSnapshot> {
        let slot = self.slots.get(name).filter(|slot| self.existing.contains(slot))?;
        self.nodes.get(*slot)
    }

    /// How many nodes exist.
    pub fn len(&self) -> usize {
        self.existing.len()
    }

    pub fn is_empty(&self) -> bool {
        self.existing.is_empty()
    }

    pub(crate) fn at(&self, slot: usize) -> &NodeSnapshot {
        &self.nodes[slot]
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeSnapshot> {
        self.existing.iter().map(|slot| &self.nodes[*slot])
    }

    /// The slots of all nodes that exist, one of each zone in turn: who looks at some of them only looks into all zones.
    pub(crate) fn order(&self) -> Arc<Vec<usize>> {
        self.order.borrow_mut().get_or_insert_with(|| Arc::new(self.interleaved())).clone()
    }

    fn interleaved(&self) -> Vec<usize> {
        let mut zones: BTreeMap<(Option<&String>, Option<&String>), Vec<usize>> = BTreeMap::new();
        for node in self.nodes() {
            zones.entry((node.label(REGION), node.label(ZONE))).or_default().push(node.slot);
        }
        let longest = zones.values().map(Vec::len).max().unwrap_or(0);
        (0..longest).flat_map(|turn| zones.values().filter_map(move |zone| zone.get(turn).copied())).collect()
    }

    pub(crate) fn topology(&self, key: &str) -> Arc<Topology> {
        if let Some(known) = self.topologies.borrow().get(key) {
            return known.clone();
        }
        let mut values: HashMap<&String, usize> = HashMap::new();
        let mut domain_of = vec![None; self.nodes.len()];
        let mut is_everywhere = true;
        for node in self.nodes() {
            match node.label(key) {
                Some(value) => {
                    let next = values.len();
                    domain_of[node.slot] = Some(*values.entry(value).or_insert(next));
                }
                None => is_everywhere = false,
            }
        }
        let made = Arc::new(Topology { domain_of, domains: values.len(), is_everywhere });
        let mut known = self.topologies.borrow_mut();
        if known.len() >= MOST_TOPOLOGIES {
            known.clear();
        }
        known.insert(key.to_owned(), made.clone());
        made
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.group_of.values().map(|index| &self.groups[*index])
    }

    pub(crate) fn groups_in(&self, namespace: &str) -> impl Iterator<Item = &Group> {
        self.by_namespace.get(namespace).into_iter().flatten().map(|index| &self.groups[*index])
    }

    /// Those whose pods want others about, or want them away.
    pub(crate) fn groups_with_terms(&self) -> impl Iterator<Item = &Group> {
        self.with_terms.iter().map(|index| &self.groups[*index])
    }

    /// By slot: the size in bytes of an image on the nodes that have it.
    pub(crate) fn image(&self, name: &str) -> Option<&BTreeMap<usize, i64>> {
        self.images.get(name)
    }

    fn slot_of(&mut self, name: &str) -> usize {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let slot = self.free_slots.pop().unwrap_or(self.nodes.len());
        let node = NodeSnapshot::new(bare(name), slot);
        match self.nodes.get_mut(slot) {
            Some(free) => *free = node,
            None => self.nodes.push(node),
        }
        self.slots.insert(name.to_owned(), slot);
        slot
    }

    /// Where neither the node is there nor a pod that names it.
    fn free_slot(&mut self, slot: usize) {
        if !self.existing.contains(&slot) && self.nodes[slot].residents.is_empty() {
            self.slots.remove(self.nodes[slot].name());
            self.free_slots.push(slot);
        }
    }

    fn group_for(&mut self, pod: &Arc<PodInfo>) -> usize {
        if let Some(known) = self.group_of.get(&pod.likeness) {
            return *known;
        }
        let group = Group { example: pod.clone(), on: BTreeMap::new() };
        let index = self.free_groups.pop().unwrap_or(self.groups.len());
        match self.groups.get_mut(index) {
            Some(free) => *free = group,
            None => self.groups.push(group),
        }
        self.group_of.insert(pod.likeness.clone(), index);
        self.by_namespace.entry(pod.likeness.namespace.clone()).or_default().insert(index);
        if !pod.terms.is_empty() {
            self.with_terms.insert(index);
        }
        index
    }

    fn free_group(&mut self, index: usize) {
        let likeness = self.groups[index].example.likeness.clone();
        self.group_of.remove(&likeness);
        if let Some(all) = self.by_namespace.get_mut(&likeness.namespace) {
            all.remove(&index);
            if all.is_empty() {
                self.by_namespace.remove(&likeness.namespace);
            }
        }
        self.with_terms.remove(&index);
        self.free_groups.push(index);
    }

    fn drop_image(&mut self, image: &str, slot: usize) {
        if let Some(nodes) = self.images.get_mut(image) {
            nodes.remove(&slot);
            if nodes.is_empty() {
                self.images.remove(image);
            }
        }
    }

    fn forget_topology(&mut self) {
        self.topologies.get_mut().clear();
        *self.order.get_mut() = None;
    }
}

fn bare(name: &str) -> Arc<Node> {
    let mut node = Node::default();
    node.metadata.name = Some(name.to_owned());
    Arc::new(node)
}

/// Names and sizes in bytes.
fn images(node: &Node) -> Vec<(&str, i64)> {
    let all = node.status.iter().flat_map(|status| status.images.iter().flatten());
    let named = all.flat_map(|image| {
        let size = image.size_bytes.unwrap_or(0);
        image.names.iter().flatten().map(move |name| (name.as_str(), size))
    });
    named.collect()
}
