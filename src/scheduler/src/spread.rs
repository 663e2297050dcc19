//! How evenly pods of a kind are to lie over domains (upstream's plugin `PodTopologySpread`): a constraint either refuses a
//! node that would make a domain too full, or makes it worth less.
//!
//! A pod that says nothing is spread too, where a Service or its controller selects it: upstream's defaults of the cluster.

#[cfg(test)]
mod tests;

use crate::node::NodeSnapshot;
use crate::plugin::{Plugin, Refusal};
use crate::pod_info::{PodInfo, chooses_nodes};
use crate::snapshot::{Snapshot, Topology, ZONE};
use api::LabelSelector;
use api::selector::{Operator, Requirement};
use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};
use kinds::selectors::from_object;
use kinds::{node_affinity, pod as ask};
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";
const TOO_FULL: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";
const NEVER_LEAST: i64 = i64::MAX / 2;
const REFUSES: &str = "DoNotSchedule";
const PREFERS: &str = "ScheduleAnyway";

/// How pods are spread that say nothing of it: by these, among those whom their Services and their controller select.
#[derive(Debug, Clone, Default)]
pub(crate) enum DefaultSpread {
    /// Upstream's `systemDefaultConstraints`.
    #[default]
    System,
    List(Vec<TopologySpreadConstraint>),
}

/// The constraints that refuse, and how many pods each domain has.
#[derive(Default)]
pub(crate) struct Spread {
    constraints: Vec<Counted>,
}

struct Counted {
    constraint: Constraint,
    topology: Arc<Topology>,
    /// By domain; `None` for one of whose nodes none counts.
    counts: Vec<Option<i64>>,
    /// How many count.
    domains: usize,
    /// The emptiest of them.
    least: i64,
}

struct Constraint {
    key: String,
    max_skew: i64,
    min_domains: usize,
    /// `None` selects nobody.
    selector: Option<LabelSelector>,
    heeds_affinity: bool,
    heeds_taints: bool,
}

impl Spread {
    pub(crate) fn of(
        pod: &PodInfo,
        snapshot: &Snapshot,
        owners: Option<&LabelSelector>,
        by_default: &DefaultSpread,
    ) -> Self {
        let constraints = constraints(&pod.pod, owners, by_default, REFUSES);
        if constraints.is_empty() {
            return Spread { constraints: Vec::new() };
        }
        let topologies: Vec<Arc<Topology>> = constraints.iter().map(|c| snapshot.topology(&c.key)).collect();
        let has_all = |slot: usize| topologies.iter().all(|topology| topology.domain(slot).is_some());
        let are_everywhere = topologies.iter().all(|topology| topology.is_everywhere);
        let counted = constraints.into_iter().zip(&topologies).map(|(constraint, topology)| {
            let counts = match are_everywhere && constraint.includes_all(&pod.pod) {
                true => vec![Some(0); topology.domains],
                false => {
                    let mut counts = vec![None; topology.domains];
                    let counting = snapshot.nodes().filter(|node| has_all(node.slot));
                    for node in counting.filter(|node| constraint.includes(&pod.pod, node)) {
                        if let Some(domain) = topology.domain(node.slot) {
                            counts[domain] = Some(0);
                        }
                    }
                    counts
                }
            };
            let domains = counts.iter().flatten().count();
            let mut counted = Counted { constraint, topology: topology.clone(), counts, domains, least: 0 };
            let constraint = &counted.constraint;
            for group in snapshot.groups_in(&pod.likeness.namespace) {
                if !constraint.matches(pod, &group.example) {
                    continue;
                }
                for (slot, number) in &group.on {
                    let is_meant = has_all(*slot)
                        && (constraint.includes_all(&pod.pod)
                            || constraint.includes(&pod.pod, snapshot.at(*slot)));
                    let domain = topology.domain(*slot).filter(|_| is_meant);
                    if let Some(count) = domain.and_then(|domain| counted.counts[domain].as_mut()) {
                        *count += number;
                    }
                }
            }
            counted.refresh();
            counted
        });
        Spread { constraints: counted.collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.constraints.is_empty()
    }

    /// One comes to the node, or goes (`by` is -1).
    pub(crate) fn resident(&mut self, pod: &PodInfo, resident: &PodInfo, node: &NodeSnapshot, by: i64) {
        for counted in &mut self.constraints {
            let constraint = &counted.constraint;
            let is_meant = constraint.matches(pod, resident) && constraint.includes(&pod.pod, node);
            let domain = counted.topology.domain(node.slot).filter(|_| is_meant);
            if let Some(count) = domain.and_then(|domain| counted.counts[domain].as_mut()) {
                *count += by;
                counted.refresh();
            }
        }
    }

    pub(crate) fn against(&self, slot: usize, pod: &PodInfo) -> Option<Refusal> {
        let plugin = Plugin::PodTopologySpread;
        for counted in &self.constraints {
            let Some(domain) = counted.topology.domain(slot) else {
                return Some(Refusal::never(plugin, NO_LABEL));
            };
            let itself = i64::from(counted.constraint.selects(pod));
            let here = counted.counts[domain].unwrap_or(0);
            if here + itself - counted.least > counted.constraint.max_skew {
                return Some(Refusal::for_now(plugin, TOO_FULL));
            }
        }
        None
    }
}

impl Counted {
    fn refresh(&mut self) {
        self.least = match self.domains < self.constraint.min_domains {
            true => 0,
            false => self.counts.iter().flatten().min().copied().unwrap_or(NEVER_LEAST),
        };
    }
}

/// What is left of 100 for each node, by the constraints that only prefer; `owners` selects the pods that are to be spread
/// by default.
pub(crate) fn scores(
    pod: &PodInfo,
    owners: Option<&LabelSelector>,
    by_default: &DefaultSpread,
    snapshot: &Snapshot,
    feasible: &[usize],
) -> Vec<i64> {
    let constraints = constraints(&pod.pod, owners, by_default, PREFERS);
    if constraints.is_empty() {
        return vec![0; feasible.len()];
    }
    let topologies: Vec<Arc<Topology>> = constraints.iter().map(|c| snapshot.topology(&c.key)).collect();
    // by upstream's default a node without a zone is spread over as a host
    let is_lax = !says(&pod.pod) && matches!(by_default, DefaultSpread::System);
    let counts_at = |slot: usize| is_lax || topologies.iter().all(|topology| topology.domain(slot).is_some());
    let meant: Vec<bool> = feasible.iter().map(|slot| counts_at(*slot)).collect();
    let mut raw = vec![0.0; feasible.len()];
    for (constraint, topology) in constraints.iter().zip(&topologies) {
        let includes = |slot: usize| {
            constraint.includes_all(&pod.pod) || constraint.includes(&pod.pod, snapshot.at(slot))
        };
        let is_host = constraint.key == HOSTNAME;
        let mut by_domain = vec![0; if is_host { 0 } else { topology.domains }];
        let mut by_slot: HashMap<usize, i64> = HashMap::new();
        for group in snapshot.groups_in(&pod.likeness.namespace) {
            if !constraint.matches(pod, &group.example) {
                continue;
            }
            for (slot, number) in &group.on {
                match topology.domain(*slot) {
                    _ if is_host => *by_slot.entry(*slot).or_default() += number,
                    Some(domain) if counts_at(*slot) && includes(*slot) => by_domain[domain] += number,
                    _ => {}
                }
            }
        }
        // a domain of many weighs more than one of few: upstream's `topologyNormalizingWeight`
        let size = match is_host {
            true => meant.iter().filter(|meant| **meant).count(),
            false => domains_of(topology, feasible.iter().zip(&meant)),
        };
        let weight = (size as f64 + 2.0).ln();
        for ((slot, score), _) in feasible.iter().zip(&mut raw).zip(&meant).filter(|(_, meant)| **meant) {
            let Some(domain) = topology.domain(*slot) else { continue };
            let here = if is_host { by_slot.get(slot).copied().unwrap_or(0) } else { by_domain[domain] };
            *score += here as f64 * weight + (constraint.max_skew - 1) as f64;
        }
    }
    let rounded: Vec<Option<i64>> =
        raw.iter().zip(&meant).map(|(score, meant)| meant.then_some(score.round() as i64)).collect();
    let most = rounded.iter().flatten().max().copied().unwrap_or(0);
    let least = rounded.iter().flatten().min().copied().unwrap_or(0);
    let of_100 = |score: i64| if most == 0 { 100 } else { 100 * (most + least - score) / most };
    rounded.into_iter().map(|score| score.map_or(0, of_100)).collect()
}

/// In how many domains these nodes are; all without the label are one, as upstream counts them.
fn domains_of<'n>(topology: &Topology, nodes: impl Iterator<Item = (&'n usize, &'n bool)>) -> usize {
    let (mut seen, mut size) = (vec![false; topology.domains + 1], 0);
    for (slot, _) in nodes.filter(|(_, meant)| **meant) {
        let domain = topology.domain(*slot).unwrap_or(topology.domains);
        size += usize::from(!std::mem::replace(&mut seen[domain], true));
    }
    size
}

impl DefaultSpread {
    fn constraints(&self, pod: &Pod, owners: &LabelSelector, when_unsatisfiable: &str) -> Vec<Constraint> {
        let of_system = |key: &str, max_skew: i64| Constraint {
            key: key.to_owned(),
            max_skew,
            min_domains: 1,
            selector: Some(owners.clone()),
            heeds_affinity: true,
            heeds_taints: false,
        };
        match self {
            DefaultSpread::System if when_unsatisfiable == PREFERS => {
                vec![of_system(HOSTNAME, 3), of_system(ZONE, 5)]
            }
            DefaultSpread::System => Vec::new(),
            DefaultSpread::List(given) => {
                let given = given.iter().filter(|given| given.when_unsatisfiable == when_unsatisfiable);
                let of = |given| Constraint { selector: Some(owners.clone()), ..Constraint::of(pod, given) };
                given.map(of).collect()
            }
        }
    }

    /// Those that refuse a node.
    fn refusing(&self) -> impl Iterator<Item = &TopologySpreadConstraint> {
        let given: &[TopologySpreadConstraint] = match self {
            DefaultSpread::System => &[],
            DefaultSpread::List(given) => given,
        };
        given.iter().filter(|given| given.when_unsatisfiable == REFUSES)
    }
}

impl Constraint {
    fn of(pod: &Pod, given: &TopologySpreadConstraint) -> Self {
        let mut selector = given.label_selector.as_ref().and_then(|selector| from_object(selector).ok());
        let labels = pod.metadata.labels.as_ref();
        if let Some(selector) = &mut selector {
            let keys = given.match_label_keys.iter().flatten();
            let same = keys.filter_map(|key| Some((key, labels?.get(key)?)));
            selector.requirements.extend(same.map(|(key, value)| Requirement {
                key: key.clone(),
                operator: Operator::In(vec![value.clone()]),
            }));
        }
        Constraint {
            key: given.topology_key.clone(),
            max_skew: given.max_skew.into(),
            min_domains: given.min_domains.and_then(|least| usize::try_from(least).ok()).unwrap_or(1),
            selector,
            heeds_affinity: given.node_affinity_policy.as_deref() != Some("Ignore"),
            heeds_taints: given.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    fn selects(&self, pod: &PodInfo) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(&pod.likeness.labels))
    }

    fn matches(&self, pod: &PodInfo, resident: &PodInfo) -> bool {
        resident.likeness.namespace == pod.likeness.namespace
            && !resident.is_deleting
            && self.selects(resident)
    }

    /// No node is left out, whatever it says.
    fn includes_all(&self, pod: &Pod) -> bool {
        let leaves_out = self.heeds_affinity && chooses_nodes(pod);
        !(self.heeds_taints || leaves_out)
    }

    /// Whether the node's pods count.
    fn includes(&self, pod: &Pod, node: &NodeSnapshot) -> bool {
        let fits = || pod.spec.as_ref().is_none_or(|spec| node_affinity::fits(spec, &node.node));
        let tolerated = || node.hard_taints.iter().all(|taint| ask::tolerates(pod, taint));
        (!self.heeds_affinity || fits()) && (!self.heeds_taints || tolerated())
    }
}

fn says(pod: &Pod) -> bool {
    let given = pod.spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_ref());
    given.is_some_and(|constraints| !constraints.is_empty())
}

/// The pod's, or, where it says none, those by default.
fn constraints(
    pod: &Pod,
    owners: Option<&LabelSelector>,
    by_default: &DefaultSpread,
    when_unsatisfiable: &str,
) -> Vec<Constraint> {
    match says(pod) {
        true => own(pod, when_unsatisfiable),
        false => {
            owners.map(|owners| by_default.constraints(pod, owners, when_unsatisfiable)).unwrap_or_default()
        }
    }
}

fn own(pod: &Pod, when_unsatisfiable: &str) -> Vec<Constraint> {
    let given = pod.spec.iter().flat_map(|spec| spec.topology_spread_constraints.iter().flatten());
    let given = given.filter(|constraint| constraint.when_unsatisfiable == when_unsatisfiable);
    given.map(|constraint| Constraint::of(pod, constraint)).collect()
}

/// Whether a change of this pod's labels, or its coming or going, makes a difference to what `waiting` asks to be spread
/// among.
pub(crate) fn is_about(waiting: &Pod, other: &Pod, by_default: &DefaultSpread) -> bool {
    if waiting.metadata.namespace != other.metadata.namespace {
        return false;
    }
    if !says(waiting) {
        // whom its owners select, they are not asked for each change
        return by_default.refusing().next().is_some();
    }
    let none = std::collections::BTreeMap::new();
    let labels = other.metadata.labels.as_ref().unwrap_or(&none);
    own(waiting, REFUSES)
        .iter()
        .any(|constraint| constraint.selector.as_ref().is_some_and(|selector| selector.matches(labels)))
}

/// The labels that a node must have to be spread over.
pub(crate) fn keys(waiting: &Pod, by_default: &DefaultSpread) -> Vec<String> {
    match says(waiting) {
        true => own(waiting, REFUSES).into_iter().map(|constraint| constraint.key).collect(),
        false => by_default.refusing().map(|constraint| constraint.topology_key.clone()).collect(),
    }
}
