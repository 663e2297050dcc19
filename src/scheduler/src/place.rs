//! The one decision: which node a pod goes to, or why to none.

use crate::filters::{self, Refusal};
use crate::pod_affinity::{Namespaces, PodAffinity};
use crate::pod_volumes::{PodVolumes, Storage};
use crate::spread::Spread;
use crate::{NodeSnapshot, scores};
use k8s_openapi::api::core::v1::Pod;
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
        let mut reasons = counted(&self.reasons);
        reasons.splice(0..0, self.of_all.clone());
        write!(f, "0/{} nodes are available: {}.", self.nodes, reasons.join(", "))
    }
}

/// `1 Insufficient cpu`, in upstream's order.
pub(crate) fn counted(reasons: &BTreeMap<String, usize>) -> Vec<String> {
    let mut counted: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort();
    counted
}

/// What is found out once for a pod before each node is asked.
pub(crate) struct Prepared<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) namespaces: &'a Namespaces,
    others: PodAffinity,
    pub(crate) spread: Spread,
    volumes: PodVolumes<'a>,
}

impl<'a> Prepared<'a> {
    /// # Errors
    /// Why no node need be looked at.
    pub(crate) fn of(
        pod: &'a Pod,
        nodes: &[NodeSnapshot],
        namespaces: &'a Namespaces,
        storage: &'a Storage,
    ) -> Result<Self, String> {
        let volumes = PodVolumes::of(pod, storage)?;
        let (others, spread) = (PodAffinity::of(pod, nodes, namespaces), Spread::of(pod, nodes));
        Ok(Prepared { pod, namespaces, others, spread, volumes })
    }

    /// What the first filter says that refuses the node.
    pub(crate) fn against(&self, node: &NodeSnapshot) -> Vec<Refusal> {
        let filters = filters::all();
        let own = filters.iter().map(|filter| filter(self.pod, node));
        let of_volumes = std::iter::once_with(|| self.volumes.against(&node.node));
        let of_spread = std::iter::once_with(|| self.spread.against(node, self.pod).into_iter().collect());
        let of_others = std::iter::once_with(|| self.others.against(node).into_iter().collect());
        let mut all = own.chain(of_volumes).chain(of_spread).chain(of_others);
        all.find(|refusals: &Vec<Refusal>| !refusals.is_empty()).unwrap_or_default()
    }

    /// A pod comes to the node, or goes (`by` is -1).
    pub(crate) fn resident(&mut self, resident: &Pod, node: &NodeSnapshot, by: i64) {
        self.others.resident(self.pod, resident, node, self.namespaces, by);
        self.spread.resident(self.pod, resident, node, by);
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
    let mut refused = Unschedulable { nodes: nodes.len(), of_all: None, reasons: BTreeMap::new() };
    let prepared = match Prepared::of(pod, nodes, namespaces, storage) {
        Ok(prepared) => prepared,
        Err(why) => return Err(Unschedulable { of_all: Some(why), ..refused }),
    };
    let mut feasible = Vec::new();
    for node in nodes {
        let refusals = prepared.against(node);
        if refusals.is_empty() {
            feasible.push(node);
        }
        for refusal in refusals {
            *refused.reasons.entry(refusal.why).or_default() += 1;
        }
    }
    let best = match feasible[..] {
        [] => return Err(refused),
        // nothing to choose
        [only] => return Ok(only),
        _ => scores::rank(&prepared, nodes, &feasible).into_iter().zip(&feasible),
    };
    let best = best
        .max_by(|(score, node), (other_score, other)| (score, other.name()).cmp(&(other_score, node.name())));
    best.map(|(_, node)| *node).ok_or(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Node;
    use serde_json::json;
    use std::sync::Arc;
    use testkit::objects;

    fn node(name: &str, cpu: &str) -> Node {
        objects::node(name).allocatable(cpu, "1Gi").build()
    }

    fn pod(cpu: &str) -> Pod {
        objects::pod("p").requests(&json!({"cpu": cpu})).build()
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
        let taint = json!({"key": "gpu", "value": "yes", "effect": "NoSchedule"});
        let tainted = objects::node("a").spec(&json!({"taints": [taint]})).build();
        let why = placed(&pod("1"), vec![tainted.clone()]).unwrap_err();
        assert!(why.contains("1 node(s) had untolerated taint {gpu: yes}"), "{why}");
        let toleration = json!({"key": "gpu", "operator": "Exists"});
        let tolerant = objects::pod("p").spec(&json!({"tolerations": [toleration]})).build();
        assert_eq!(placed(&tolerant, vec![tainted]), Ok("a".to_owned()));
    }
}
