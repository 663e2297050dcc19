//! The one decision: which node a pod goes to, or why to none.

use crate::config::Point;
use crate::filters::{self, Plugin, Refusal};
use crate::pod_affinity::{Namespaces, PodAffinity};
use crate::pod_info::PodInfo;
use crate::pod_volumes::{PodVolumes, Storage};
use crate::resources::Resources;
use crate::spread::Spread;
use crate::{NodeSnapshot, Profile, Snapshot, scores};
use api::LabelSelector;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Of so many nodes all are looked at: upstream's `minFeasibleNodesToFind`.
const ALWAYS_ENOUGH: usize = 100;
const LEAST_PERCENT: usize = 5;

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

/// The node that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub node: String,
    /// How many nodes were looked at.
    pub evaluated: usize,
    /// How many of them would do.
    pub feasible: usize,
}

/// Why no node will do: how many nodes have which reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unschedulable {
    pub nodes: usize,
    /// Why none need be looked at.
    pub of_all: Option<String>,
    pub reasons: BTreeMap<String, usize>,
    /// Who refused a node, or all.
    pub plugins: BTreeSet<Plugin>,
    /// The slots of nodes that may do when some of their pods are gone.
    pub(crate) resolvable: Vec<usize>,
}

impl Unschedulable {
    fn of(nodes: usize) -> Self {
        let (reasons, plugins) = (BTreeMap::new(), BTreeSet::new());
        Unschedulable { nodes, of_all: None, reasons, plugins, resolvable: Vec::new() }
    }

    fn for_all(nodes: usize, (plugin, why): (Plugin, String)) -> Self {
        Unschedulable { of_all: Some(why), plugins: [plugin].into(), ..Unschedulable::of(nodes) }
    }
}

/// Upstream's sentence: `0/1 nodes are available: 1 Insufficient memory.`
impl fmt::Display for Unschedulable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let reasons = match &self.of_all {
            Some(why) => vec![why.clone()],
            None => counted(&self.reasons),
        };
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
    pub(crate) pod: &'a PodInfo,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) context: &'a Context,
    /// Nobody else is asked.
    pub(crate) named: Option<BTreeSet<String>>,
    /// Those who are at least as important, by slot.
    nominated: BTreeMap<usize, Vec<Arc<PodInfo>>>,
    /// Those of the profile that may say something of the pod.
    filters: Vec<Plugin>,
    /// What it asks for of what is looked at.
    pub(crate) asked: Cow<'a, Resources>,
    pub(crate) others: PodAffinity,
    pub(crate) spread: Spread,
    pub(crate) volumes: PodVolumes<'a>,
}

impl<'a> Prepared<'a> {
    /// # Errors
    /// Why no node need be looked at.
    pub(crate) fn of(
        pod: &'a PodInfo,
        snapshot: &'a Snapshot,
        context: &'a Context,
    ) -> Result<Self, (Plugin, String)> {
        let profile = &*context.profile;
        let named = match profile.has(Plugin::NodeAffinity, Point::PreFilter) {
            true => filters::named_nodes(&pod.pod).map_err(|why| (Plugin::NodeAffinity, why.to_owned()))?,
            false => None,
        };
        let mut volumes = PodVolumes::of(&pod.pod, &context.storage, profile)?;
        volumes.count_others(snapshot);
        let mut nominated: BTreeMap<usize, Vec<Arc<PodInfo>>> = BTreeMap::new();
        for (node, other) in &context.nominated {
            let counts = other.priority() >= pod.priority() && other.id != pod.id;
            if let Some(node) = snapshot.node(node).filter(|_| counts) {
                nominated.entry(node.slot).or_default().push(other.clone());
            }
        }
        let others = match profile.has(Plugin::InterPodAffinity, Point::Filter) {
            true => PodAffinity::of(pod, snapshot, &context.namespaces),
            false => PodAffinity::default(),
        };
        let spread = match profile.has(Plugin::PodTopologySpread, Point::Filter) {
            true => Spread::of(pod, snapshot, context.owners.as_ref(), &profile.args.spread),
            false => Spread::default(),
        };
        let asked = profile.args.fit.asked(pod);
        let filters = Vec::new();
        let mut prepared =
            Prepared { pod, snapshot, context, named, nominated, filters, asked, others, spread, volumes };
        let concern = profile.filters().iter().filter(|plugin| filters::concerns(**plugin, &prepared));
        prepared.filters = concern.copied().collect();
        Ok(prepared)
    }

    /// What the first filter says that refuses the node, with and without those who have made room for themselves there:
    /// who waits for a companion must not count on one who is not there yet, and nobody takes what was made free for another.
    pub(crate) fn against(&mut self, node: &NodeSnapshot) -> Vec<Refusal> {
        let Some(nominated) = self.nominated.get(&node.slot).cloned() else { return self.as_it_is(node) };
        let mut with = node.clone();
        for other in &nominated {
            with.take(other);
            self.resident(other, node, 1);
        }
        let refusals = self.as_it_is(&with);
        nominated.iter().for_each(|other| self.resident(other, node, -1));
        if refusals.is_empty() { self.as_it_is(node) } else { refusals }
    }

    fn as_it_is(&self, node: &NodeSnapshot) -> Vec<Refusal> {
        for plugin in &self.filters {
            let refusals = filters::against(*plugin, self, node);
            if !refusals.is_empty() {
                return refusals;
            }
        }
        Vec::new()
    }

    /// A pod comes to the node, or goes (`by` is -1).
    pub(crate) fn resident(&mut self, resident: &PodInfo, node: &NodeSnapshot, by: i64) {
        let known = (self.snapshot, &*self.context.namespaces);
        self.others.resident(self.pod, resident, node.slot, known, by);
        self.spread.resident(self.pod, resident, node, by);
        self.volumes.resident(resident, by);
    }
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
    let mut prepared = match Prepared::of(pod, snapshot, context) {
        Ok(prepared) => prepared,
        Err(why) => return Err(Unschedulable::for_all(snapshot.len(), why)),
    };
    let nominated = crate::preempt::own_place(pod, context).and_then(|name| snapshot.node(name));
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
