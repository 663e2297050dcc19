//! The one decision: which node a pod goes to, or why to none.

use crate::filters::prepare;
use crate::plugin::Plugin;
use crate::pod_info::PodInfo;
use crate::prepared::Prepared;
use crate::unschedulable::Unschedulable;
use crate::{Context, NodeSnapshot, Snapshot, scores};
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Of so many nodes all are looked at: upstream's `minFeasibleNodesToFind`.
const ALWAYS_ENOUGH: usize = 100;
const LEAST_PERCENT: usize = 5;

/// The node that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub node: String,
    /// How many nodes were looked at.
    pub evaluated: usize,
    /// How many of them would do.
    pub feasible: usize,
}

/// How many nodes that would do are enough to choose among: all up to 100, of more as many percent as the profile says; where
/// that is 0, 50 % less 1 % for each 125 of them, and at least 5 % (upstream's `numFeasibleNodesToFind`).
fn enough(nodes: usize, percentage: usize) -> usize {
    if nodes <= ALWAYS_ENOUGH {
        return nodes;
    }
    let percentage = match percentage {
        0 => 50_usize.saturating_sub(nodes / 125).max(LEAST_PERCENT),
        given => given,
    };
    (nodes * percentage / 100).max(ALWAYS_ENOUGH)
}

/// The best node for the pod: of those that no filter refuses the one with the highest score, any of those with the same.
///
/// The node that it has made room on is taken where it will do. Of many nodes only some are looked at.
///
/// # Errors
/// Every node's reasons.
pub fn place(pod: &PodInfo, snapshot: &Snapshot, context: &Context) -> Result<Placement, Unschedulable> {
    let mut prepared = match prepare(pod, snapshot, context) {
        Ok(prepared) => prepared,
        Err(why) => return Err(Unschedulable::for_all(snapshot.len(), why)),
    };
    let nominated = context.own_place(pod).and_then(|name| snapshot.node(name));
    if let Some(node) = nominated.filter(|node| prepared.against(node).is_empty()) {
        return Ok(Placement { node: node.name().to_owned(), evaluated: 1, feasible: 1 });
    }
    let (feasible, evaluated, refused) = feasible(&mut prepared, context.start);
    let best = match feasible[..] {
        [] => return Err(refused),
        // nothing to choose
        [only] => only,
        _ => {
            let scores = scores::rank(&prepared, &feasible);
            let most = scores.iter().max().copied().unwrap_or(0);
            let best = feasible.iter().zip(&scores).filter(|(_, score)| **score == most);
            best.map(|(slot, _)| *slot).max_by_key(|slot| lot(pod, snapshot.at(*slot))).unwrap_or(feasible[0])
        }
    };
    Ok(Placement { node: snapshot.at(best).name().to_owned(), evaluated, feasible: feasible.len() })
}

/// The slots of nodes that would do, as many as are enough; how many nodes were looked at; why the others would not.
fn feasible(prepared: &mut Prepared, start: usize) -> (Vec<usize>, usize, Unschedulable) {
    let snapshot = prepared.snapshot;
    let mut refused = Unschedulable::of(snapshot.len());
    let mut reasons: Vec<(Cow<'static, str>, usize)> = Vec::new();
    let named: Option<Vec<usize>> = prepared
        .named
        .as_ref()
        .map(|names| names.iter().filter_map(|name| snapshot.node(name)).map(|node| node.slot).collect());
    let order = match &named {
        Some(named) => Arc::new(named.clone()),
        None => snapshot.order(),
    };
    let percentage = prepared.context.profile.percentage;
    let (enough, mut found, mut evaluated) = (enough(order.len(), percentage), Vec::new(), 0);
    for turn in 0..order.len() {
        if found.len() == enough {
            break;
        }
        evaluated += 1;
        let slot = order[(start + turn) % order.len()];
        let refusals = prepared.against(snapshot.at(slot));
        if refusals.is_empty() {
            found.push(slot);
            continue;
        }
        if refusals.iter().all(|refusal| refusal.resolvable) {
            refused.resolvable.push(slot);
        }
        for refusal in refusals {
            refused.plugins.insert(refusal.plugin);
            match reasons.iter_mut().find(|(why, _)| *why == refusal.why) {
                Some((_, count)) => *count += 1,
                None => reasons.push((refusal.why, 1)),
            }
        }
    }
    if named.is_some() && order.len() < snapshot.len() {
        let why = "node(s) didn't satisfy plugin(s) [NodeAffinity]";
        reasons.push((why.into(), snapshot.len() - order.len()));
        refused.plugins.insert(Plugin::NodeAffinity);
    }
    refused.reasons = reasons.into_iter().map(|(why, count)| (why.into_owned(), count)).collect();
    (found, evaluated, refused)
}

/// Whom of equals it falls to: by no rule, and the same each time.
fn lot(pod: &PodInfo, node: &NodeSnapshot) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&pod.id, node.name()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Node, Pod};
    use serde_json::json;
    use testkit::objects;

    fn node(name: &str, cpu: &str) -> Node {
        objects::node(name).allocatable(cpu, "1Gi").build()
    }

    fn pod(cpu: &str) -> Pod {
        objects::pod("p").requests(&json!({"cpu": cpu})).build()
    }

    fn placed(pod: &Pod, nodes: Vec<Node>) -> Result<String, String> {
        let all = Snapshot::of(nodes.into_iter().map(Arc::new), []);
        place(&PodInfo::of(Arc::new(pod.clone())), &all, &Context::default())
            .map(|placement| placement.node)
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
    fn of_many_nodes_some_are_enough() {
        for (nodes, percentage, want) in [
            (100, 5, 100),
            (500, 0, 230),
            (5_000, 0, 500),
            (10_000, 0, 500),
            (500, 50, 250),
            (500, 1, 100),
            (500, 100, 500),
        ] {
            assert_eq!(enough(nodes, percentage), want, "{nodes} {percentage}");
        }
    }

    #[test]
    fn a_taint_keeps_out_whoever_does_not_tolerate_it() {
        let taint = json!({"key": "gpu", "value": "yes", "effect": "NoSchedule"});
        let tainted = objects::node("a").spec(&json!({"taints": [taint]})).build();
        let why = placed(&pod("1"), vec![tainted.clone()]).unwrap_err();
        assert!(why.contains("1 node(s) had untolerated taint(s)"), "{why}");
        let toleration = json!({"key": "gpu", "operator": "Exists"});
        let tolerant = objects::pod("p").spec(&json!({"tolerations": [toleration]})).build();
        assert_eq!(placed(&tolerant, vec![tainted]), Ok("a".to_owned()));
    }

    #[test]
    fn a_pod_goes_where_the_feature_is_declared_that_it_needs() {
        let rule = json!({"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}});
        let pod = objects::pod("p")
            .spec(&json!({"containers": [{"name": "c", "restartPolicyRules": [rule]}]}))
            .build();
        let why = placed(&pod, vec![node("a", "1")]).unwrap_err();
        assert!(why.contains("1 node(s) didn't match Pod's required features"), "{why}");
        let declared = json!({"status": {"declaredFeatures": ["RestartAllContainersOnContainerExits"]}});
        let declares = objects::node("b").allocatable("1", "1Gi").with(&declared).build();
        assert_eq!(placed(&pod, vec![node("a", "4"), declares]), Ok("b".to_owned()));
    }
}
