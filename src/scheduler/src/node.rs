//! A node as filters and scores see it: what it has, and what its pods have taken of it.

use crate::pod_info::PodInfo;
use crate::resources::Resources;
use k8s_openapi::api::core::v1::{Node, Taint};
use kinds::HostPorts;
use kinds::pod as ask;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node and what its pods have taken of it: upstream's `NodeInfo`.
#[derive(Debug, Clone)]
pub struct NodeSnapshot {
    pub node: Arc<Node>,
    /// Its place in the [`crate::Snapshot`].
    pub(crate) slot: usize,
    pub(crate) allocatable: Resources,
    pub(crate) most_pods: i64,
    pub(crate) taken: Resources,
    /// Thousandths of a CPU and bytes of memory that its pods are taken to use.
    pub(crate) assumed: (i64, i64),
    pub(crate) residents: Vec<Arc<PodInfo>>,
    /// Which its pods have.
    pub(crate) ports: HostPorts,
    /// `NoSchedule` and `NoExecute`.
    pub(crate) hard_taints: Vec<Taint>,
    /// `PreferNoSchedule`
    pub(crate) soft_taints: Vec<Taint>,
    pub(crate) is_cordoned: bool,
}

impl NodeSnapshot {
    pub(crate) fn new(node: Arc<Node>, slot: usize) -> Self {
        let mut snapshot = NodeSnapshot {
            node: node.clone(),
            slot,
            allocatable: Resources::default(),
            most_pods: 0,
            taken: Resources::default(),
            assumed: (0, 0),
            residents: Vec::new(),
            ports: HostPorts::default(),
            hard_taints: Vec::new(),
            soft_taints: Vec::new(),
            is_cordoned: false,
        };
        snapshot.describe(node);
        snapshot
    }

    /// The node itself has changed; its pods stay.
    pub(crate) fn describe(&mut self, node: Arc<Node>) {
        self.allocatable = allocatable(&node);
        self.most_pods = amount(&node, "pods");
        let taints = || node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        self.hard_taints = taints().filter(|taint| is_hard(taint)).cloned().collect();
        self.soft_taints = taints().filter(|taint| taint.effect == "PreferNoSchedule").cloned().collect();
        self.is_cordoned = is_cordoned(&node);
        self.node = node;
    }

    /// The same node without those pods.
    pub(crate) fn without(&self, leaving: impl Fn(&PodInfo) -> bool) -> Self {
        let mut snapshot = self.clone();
        snapshot.residents.clear();
        snapshot.ports = HostPorts::default();
        (snapshot.taken, snapshot.assumed) = (Resources::default(), (0, 0));
        self.residents.iter().filter(|pod| !leaving(pod)).for_each(|pod| snapshot.take(pod));
        snapshot
    }

    /// Counts a pod in.
    pub(crate) fn take(&mut self, pod: &Arc<PodInfo>) {
        self.residents.push(pod.clone());
        self.taken.add(&pod.occupied);
        let (cpu, memory) = pod.assumed;
        self.assumed = (self.assumed.0.saturating_add(cpu), self.assumed.1.saturating_add(memory));
        self.ports.add(&pod.ports);
    }

    /// Counts a pod out. The others are counted anew: from a sum that has come to the end of numbers (who names his node
    /// himself may ask for anything) nothing can be taken away.
    pub(crate) fn release(&mut self, id: &str) {
        if self.residents.iter().any(|pod| pod.id == id) {
            *self = self.without(|pod| pod.id == id);
        }
    }

    pub fn name(&self) -> &str {
        self.node.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&String> {
        label(&self.node, key)
    }
}

pub(crate) fn label<'n>(node: &'n Node, key: &str) -> Option<&'n String> {
    node.metadata.labels.as_ref()?.get(key)
}

fn amounts(node: &Node) -> BTreeMap<String, api::quantity::Quantity> {
    let all = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    all.into_iter()
        .flatten()
        .filter_map(|(name, amount)| Some((name.clone(), amount.0.parse().ok()?)))
        .collect()
}

pub(crate) fn allocatable(node: &Node) -> Resources {
    Resources::of(&amounts(node))
}

fn amount(node: &Node, name: &str) -> i64 {
    let all = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    ask::quantity(all, name).unwrap_or_default().value()
}

pub(crate) fn is_hard(taint: &Taint) -> bool {
    taint.effect == "NoSchedule" || taint.effect == "NoExecute"
}

pub(crate) fn is_cordoned(node: &Node) -> bool {
    node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true)
}
