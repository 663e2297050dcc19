use crate::pod_affinity::{Namespaces, PodAffinity};
use crate::pod_volumes::{PodVolumes, Storage};
use crate::{NodeSnapshot, filters};
use k8s_openapi::api::core::v1::Pod;
use kinds::{node_affinity, pod as ask};
use std::collections::BTreeMap;
use std::fmt;

/// Why no node will do: how many nodes have which reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unschedulable {
    pub nodes: usize,
    /// Why none need be looked at.
    pub of_all: Option<String>,
    pub reasons: BTreeMap<String, usize>,
}

/// Upstream's sentence: `0/1 nodes are available: 1 Insufficient memory.`
impl fmt::Display for Unschedulable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let mut reasons: Vec<String> =
            self.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        reasons.sort();
        reasons.splice(0..0, self.of_all.clone());
        let preemption = "Preemption is not helpful for scheduling.";
        write!(
            f,
            "0/{nodes} nodes are available: {}. preemption: 0/{nodes} nodes are available: {nodes} {preemption}",
            reasons.join(", "),
            nodes = self.nodes
        )
    }
}

/// The best node for the pod: of those that no filter refuses the one with the highest score, by name where they are equal.
///
/// # Errors
/// Every node's reasons.
pub fn place<'n>(
    pod: &Pod,
    nodes: &'n [NodeSnapshot],
    namespaces: &Namespaces,
    storage: &Storage,
) -> Result<&'n NodeSnapshot, Unschedulable> {
    let filters = filters::all();
    let others = PodAffinity::of(pod, nodes, namespaces);
    let mut refused = Unschedulable { nodes: nodes.len(), of_all: None, reasons: BTreeMap::new() };
    let volumes = match PodVolumes::of(pod, storage) {
        Ok(volumes) => volumes,
        Err(why) => return Err(Unschedulable { of_all: Some(why), ..refused }),
    };
    let mut best: Option<(i64, &NodeSnapshot)> = None;
    for node in nodes {
        let filtered = filters.iter().map(|filter| filter(pod, node));
        let of_others =
            std::iter::once_with(|| others.against(node).map(str::to_owned).into_iter().collect());
        let of_volumes = std::iter::once_with(|| volumes.against(&node.node));
        match filtered.chain(of_volumes).chain(of_others).find(|reasons: &Vec<String>| !reasons.is_empty()) {
            Some(reasons) => {
                reasons.into_iter().for_each(|reason| *refused.reasons.entry(reason).or_default() += 1)
            }
            None => {
                let score = score(pod, node);
                let better = best.is_none_or(|(known, other)| (score, other.name()) > (known, node.name()));
                if better {
                    best = Some((score, node));
                }
            }
        }
    }
    best.map(|(_, node)| node).ok_or(refused)
}

/// The least used node, and the one that the pod prefers: both of 100.
fn score(pod: &Pod, node: &NodeSnapshot) -> i64 {
    least_allocated(pod, node) + preferred(pod, node)
}

fn least_allocated(pod: &Pod, node: &NodeSnapshot) -> i64 {
    let asked = pod.spec.as_ref().map(ask::requests).unwrap_or_default();
    let free = |resource: &str| {
        let all = node.allocatable(resource).milli();
        let taken = node.requested.get(resource).copied().unwrap_or_default();
        let taken = taken.plus(asked.get(resource).copied().unwrap_or_default()).milli();
        if all == 0 { 0 } else { i64::try_from(i128::from(all - taken) * 100 / i128::from(all)).unwrap_or(0) }
    };
    (free("cpu") + free("memory")) / 2
}

fn preferred(pod: &Pod, node: &NodeSnapshot) -> i64 {
    let affinity = pod.spec.as_ref().and_then(|s| s.affinity.as_ref()).and_then(|a| a.node_affinity.as_ref());
    let terms = affinity
        .and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_deref())
        .unwrap_or_default();
    let fitting = terms.iter().filter(|term| node_affinity::matches_term(&term.preference, &node.node));
    fitting.map(|term| i64::from(term.weight)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{
        Container, Node, NodeSpec, NodeStatus, PodSpec, ResourceRequirements, Taint,
    };
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use std::sync::Arc;

    fn node(name: &str, cpu: &str) -> Node {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        let amounts = [("cpu", cpu), ("memory", "1Gi"), ("pods", "110")];
        let allocatable = amounts.map(|(k, v)| (k.to_owned(), Quantity(v.to_owned()))).into();
        node.status = Some(NodeStatus { allocatable: Some(allocatable), ..NodeStatus::default() });
        node
    }

    fn pod(cpu: &str) -> Pod {
        let requests = [("cpu".to_owned(), Quantity(cpu.to_owned()))].into();
        let resources = ResourceRequirements { requests: Some(requests), ..ResourceRequirements::default() };
        let container = Container { resources: Some(resources), ..Container::default() };
        Pod { spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }), ..Pod::default() }
    }

    fn placed(pod: &Pod, nodes: Vec<Node>) -> Result<String, String> {
        let nodes: Vec<NodeSnapshot> =
            nodes.into_iter().map(|n| NodeSnapshot::new(Arc::new(n), &[])).collect();
        place(pod, &nodes, &Namespaces::new(), &Storage::default())
            .map(|n| n.name().to_owned())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_emptier_node_wins_and_a_full_one_says_why() {
        assert_eq!(placed(&pod("500m"), vec![node("a", "1"), node("b", "4")]), Ok("b".to_owned()));
        let why = placed(&pod("2"), vec![node("a", "1")]).unwrap_err();
        assert!(why.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{why}");
        assert_eq!(placed(&pod("1"), vec![]).unwrap_err(), "no nodes available to schedule pods");
    }

    #[test]
    fn a_taint_keeps_out_whoever_does_not_tolerate_it() {
        let mut tainted = node("a", "4");
        let taint = Taint {
            key: "gpu".into(),
            value: Some("yes".into()),
            effect: "NoSchedule".into(),
            ..Taint::default()
        };
        tainted.spec = Some(NodeSpec { taints: Some(vec![taint]), ..NodeSpec::default() });
        let why = placed(&pod("1"), vec![tainted.clone()]).unwrap_err();
        assert!(why.contains("1 node(s) had untolerated taint {gpu: yes}"), "{why}");
        let mut tolerant = pod("1");
        let toleration = k8s_openapi::api::core::v1::Toleration {
            key: Some("gpu".into()),
            operator: Some("Exists".into()),
            ..Default::default()
        };
        tolerant.spec.as_mut().unwrap().tolerations = Some(vec![toleration]);
        assert_eq!(placed(&tolerant, vec![tainted]), Ok("a".to_owned()));
    }
}
