use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::pod as ask;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// A node and what its pods have taken of it.
#[derive(Debug, Clone)]
pub struct NodeSnapshot {
    pub node: Arc<Node>,
    pub requested: BTreeMap<String, Quantity>,
    pub residents: Vec<Arc<Pod>>,
    /// Protocol, address, port.
    pub host_ports: HashSet<ask::HostPort>,
}

impl NodeSnapshot {
    pub fn new(node: Arc<Node>, pods: &[Arc<Pod>]) -> Self {
        let name = node.metadata.name.clone();
        let mut snapshot = NodeSnapshot {
            node,
            requested: BTreeMap::new(),
            residents: Vec::new(),
            host_ports: HashSet::new(),
        };
        let here = |pod: &&Arc<Pod>| {
            pod.spec.as_ref().and_then(|s| s.node_name.clone()) == name && !ask::is_terminal(pod)
        };
        pods.iter().filter(here).for_each(|pod| snapshot.take(pod));
        snapshot
    }

    /// The same node with these pods, and no others.
    pub(crate) fn with(&self, pods: &[Arc<Pod>]) -> Self {
        let mut snapshot = NodeSnapshot {
            node: self.node.clone(),
            requested: BTreeMap::new(),
            residents: Vec::new(),
            host_ports: HashSet::new(),
        };
        pods.iter().for_each(|pod| snapshot.take(pod));
        snapshot
    }

    /// Counts a pod in.
    pub fn take(&mut self, pod: &Arc<Pod>) {
        if pod.spec.is_none() {
            return;
        }
        self.residents.push(pod.clone());
        for (name, amount) in ask::occupied(pod) {
            let sum = self.requested.entry(name).or_default();
            *sum = sum.plus(amount);
        }
        self.host_ports.extend(ask::host_ports(pod));
    }

    pub fn allocatable(&self, resource: &str) -> Quantity {
        let status = self.node.status.as_ref();
        ask::quantity(status.and_then(|s| s.allocatable.as_ref()), resource).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.node.metadata.name.as_deref().unwrap_or_default()
    }
}
