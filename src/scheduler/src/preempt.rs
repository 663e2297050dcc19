//! Who must go so that a pod of higher priority finds a node (upstream's plugin `DefaultPreemption`). Pure.
//!
//! On each node that would do without its pods of lower priority, as many of them as possible are kept, the more important
//! first; then the node is chosen whose victims are missed least.

use crate::filters::prepare;
use crate::pod_info::{PodInfo, priority};
use crate::prepared::Prepared;
use crate::unschedulable::{Unschedulable, counted};
use crate::{Context, NodeSnapshot, Snapshot};
use api::LabelSelector;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kinds::selectors::from_object;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// Which pods of a node must go.
#[derive(Debug, Clone, PartialEq)]
pub struct Preemption {
    pub node: String,
    /// The most important first.
    pub victims: Vec<Arc<Pod>>,
}

/// Why nobody goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPreemption {
    /// In upstream's words, as they stand behind `preemption: `.
    pub why: String,
    /// It was not looked for: the node that the pod has made room on is still its.
    pub keeps_place: bool,
}

/// `refused` says why the pod was not placed.
///
/// # Errors
/// Why it would not help.
pub fn preempt(
    pod: &PodInfo,
    snapshot: &Snapshot,
    context: &Context,
    refused: &Unschedulable,
    budgets: &[Arc<PodDisruptionBudget>],
) -> Result<Preemption, NoPreemption> {
    eligible(pod, snapshot, context, refused)?;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<(Cost, Preemption)> = None;
    let budgets = Budgets::of(budgets);
    let nodes = snapshot.len();
    if nodes > refused.resolvable.len() {
        reasons.insert(NOT_HELPFUL.to_owned(), nodes - refused.resolvable.len());
    }
    let most = context.profile.args.candidates.of(nodes);
    let (mut candidates, mut any_without_violations) = (0, false);
    if let Ok(mut prepared) = prepare(pod, snapshot, context) {
        for slot in &refused.resolvable {
            let node = snapshot.at(*slot);
            let Some((victims, violations)) = victims(&mut prepared, node, &budgets) else {
                *reasons.entry(NO_VICTIMS.to_owned()).or_default() += 1;
                continue;
            };
            let cost = Cost::of(&victims, violations);
            if best.as_ref().is_none_or(|(known, _)| cost < *known) {
                best = Some((cost, Preemption { node: node.name().to_owned(), victims }));
            }
            (candidates, any_without_violations) =
                (candidates + 1, any_without_violations || violations == 0);
            if candidates >= most && any_without_violations {
                break;
            }
        }
    }
    best.map(|(_, found)| found).ok_or_else(|| {
        let why = format!("0/{nodes} nodes are available: {}.", counted(&reasons).join(", "));
        NoPreemption { why, keeps_place: false }
    })
}

/// A pod that has made room for itself waits until its victims are gone, unless the node will never do any more.
fn eligible(
    pod: &PodInfo,
    snapshot: &Snapshot,
    context: &Context,
    refused: &Unschedulable,
) -> Result<(), NoPreemption> {
    let not = |why: &str| Err(NoPreemption { why: format!("not eligible due to {why}."), keeps_place: true });
    if pod.pod.spec.as_ref().and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return not("preemptionPolicy=Never");
    }
    let nominated = context.own_place(pod).and_then(|name| snapshot.node(name));
    let nominated = nominated.filter(|node| refused.resolvable.contains(&node.slot));
    let is_leaving = |other: &Arc<PodInfo>| {
        let marked = kinds::pod::condition(&other.pod, DISRUPTION_TARGET);
        let by_us = marked.is_some_and(|c| c.status == "True" && c.reason.as_deref() == Some(BY_SCHEDULER));
        other.is_deleting && other.priority() < pod.priority() && by_us
    };
    match nominated.is_some_and(|node| node.residents.iter().any(is_leaving)) {
        true => not("a terminating pod on the nominated node"),
        false => Ok(()),
    }
}

pub(crate) const DISRUPTION_TARGET: &str = "DisruptionTarget";
pub(crate) const BY_SCHEDULER: &str = "PreemptionByScheduler";

pub(crate) fn nominated_node(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.nominated_node_name.as_deref().filter(|name| !name.is_empty())
}

/// Of two of the same priority the one that has run longer is the more important.
fn importance(pod: &Pod) -> (Reverse<i32>, jiff::Timestamp) {
    (Reverse(priority(pod)), started(pod))
}

fn started(pod: &Pod) -> jiff::Timestamp {
    let since = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    since.map_or(jiff::Timestamp::MAX, |time| time.0)
}

/// Whom to take from the node, the most important first, and how many of them against a budget; `None` where it would not help.
fn victims(
    prepared: &mut Prepared,
    node: &NodeSnapshot,
    budgets: &Budgets,
) -> Option<(Vec<Arc<Pod>>, usize)> {
    let limit = prepared.pod.priority();
    let is_lower = |resident: &PodInfo| resident.priority() < limit;
    let mut lower: Vec<Arc<PodInfo>> = node.residents.iter().filter(|pod| is_lower(pod)).cloned().collect();
    if lower.is_empty() {
        return None;
    }
    lower.sort_by_key(|pod| (importance(&pod.pod), pod.id.clone()));
    let mut stripped = node.without(is_lower);
    lower.iter().for_each(|pod| prepared.resident(pod, node, -1));
    let mut gone: BTreeSet<usize> = (0..lower.len()).collect();
    let helps = prepared.against(&stripped).is_empty();
    let violating = budgets.violated(&lower);
    if helps {
        // those that a budget protects are spared first
        let (protected, others): (Vec<usize>, Vec<usize>) =
            (0..lower.len()).partition(|index| violating.contains(index));
        for index in protected.into_iter().chain(others) {
            let pod = &lower[index];
            let mut with = stripped.clone();
            with.take(pod);
            prepared.resident(pod, node, 1);
            match prepared.against(&with).is_empty() {
                true => {
                    stripped = with;
                    gone.remove(&index);
                }
                false => prepared.resident(pod, node, -1),
            }
        }
    }
    gone.iter().for_each(|index| prepared.resident(&lower[*index], node, 1));
    let violations = gone.intersection(&violating).count();
    let victims: Vec<Arc<Pod>> = gone.iter().map(|index| lower[*index].pod.clone()).collect();
    (helps && !victims.is_empty()).then_some((victims, violations))
}

/// The less the better, the earlier field first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    violations: usize,
    highest: i32,
    /// Each counted from the least priority that there is, so that few of any priority are less than many.
    sum: i64,
    victims: usize,
    /// Of the most important ones the one that has run longest.
    earliest: Reverse<jiff::Timestamp>,
}

impl Cost {
    fn of(victims: &[Arc<Pod>], violations: usize) -> Self {
        let highest = victims.first().map_or(i32::MIN, |pod| priority(pod));
        let important = victims.iter().filter(|pod| priority(pod) == highest);
        Cost {
            violations,
            highest,
            sum: victims.iter().map(|pod| i64::from(priority(pod)) - i64::from(i32::MIN)).sum(),
            victims: victims.len(),
            earliest: Reverse(important.map(|pod| started(pod)).min().unwrap_or(jiff::Timestamp::MAX)),
        }
    }
}

/// How many pods each budget still lets go.
struct Budgets<'a>(Vec<(&'a PodDisruptionBudget, LabelSelector)>);

impl<'a> Budgets<'a> {
    fn of(budgets: &'a [Arc<PodDisruptionBudget>]) -> Self {
        let parsed = budgets.iter().filter_map(|budget| {
            let selector = from_object(budget.spec.as_ref()?.selector.as_ref()?).ok()?;
            // an empty one matches nobody here, as upstream has it
            (!selector.requirements.is_empty()).then_some((&**budget, selector))
        });
        Budgets(parsed.collect())
    }

    /// Which of these, if they went in this order, would go against a budget.
    fn violated(&self, pods: &[Arc<PodInfo>]) -> BTreeSet<usize> {
        let allowed = |budget: &PodDisruptionBudget| {
            budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0)
        };
        let mut left: Vec<i32> = self.0.iter().map(|(budget, _)| allowed(budget)).collect();
        let mut violated = BTreeSet::new();
        for (index, pod) in pods.iter().enumerate() {
            let (pod, labels) = (&pod.pod, &pod.likeness.labels);
            if labels.is_empty() {
                continue;
            }
            for ((budget, selector), left) in self.0.iter().zip(&mut left) {
                if budget.metadata.namespace != pod.metadata.namespace || !selector.matches(labels) {
                    continue;
                }
                let disrupted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                // its going was counted when it was asked for
                if disrupted.is_some_and(|pods| pods.contains_key(name)) {
                    continue;
                }
                *left -= 1;
                if *left < 0 {
                    violated.insert(index);
                }
            }
        }
        violated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use testkit::objects;

    fn node<'n>(name: &'n str, pods: &[Pod]) -> (&'n str, Vec<Pod>) {
        (name, pods.to_vec())
    }

    fn snapshot(nodes: &[(&str, Vec<Pod>)]) -> Snapshot {
        let mut all = Snapshot::default();
        for (name, pods) in nodes {
            all.set_node(Arc::new(objects::node(name).label("host", name).build()));
            for pod in pods {
                let mut pod = pod.clone();
                pod.spec.get_or_insert_default().node_name = Some((*name).to_owned());
                all.set_pod(Arc::new(PodInfo::of(Arc::new(pod))));
            }
        }
        all
    }

    /// Started at that minute.
    fn pod(name: &str, priority: i32, cpu: &str, minute: u32) -> Pod {
        let made =
            objects::pod(name).namespace("n").uid(name).label("app", name).requests(&json!({"cpu": cpu}));
        let started = json!({"startTime": format!("2026-01-01T00:{minute:02}:00Z")});
        made.spec(&json!({"priority": priority})).status(&started).build()
    }

    fn with(mut pod: Pod, spec: Value) -> Pod {
        let mut value = serde_json::to_value(pod.spec.take()).unwrap();
        value.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        pod.spec = serde_json::from_value(value).unwrap();
        pod
    }

    fn budget(app: &str, allowed: i32) -> Arc<PodDisruptionBudget> {
        let budget = json!({
            "metadata": {"name": app, "namespace": "n"},
            "spec": {"selector": {"matchLabels": {"app": app}}},
            "status": {"disruptionsAllowed": allowed},
        });
        Arc::new(serde_json::from_value(budget).unwrap())
    }

    fn chosen(pod: &Pod, nodes: &[(&str, Vec<Pod>)], budgets: &[Arc<PodDisruptionBudget>]) -> String {
        let (pod, all) = (Arc::new(PodInfo::of(Arc::new(pod.clone()))), snapshot(nodes));
        let place = nominated_node(&pod.pod).map(|node| (node.to_owned(), pod.clone()));
        let context = Context { nominated: place.into_iter().collect(), ..Context::default() };
        let refused = crate::place(&pod, &all, &context).unwrap_err();
        match preempt(&pod, &all, &context, &refused, budgets) {
            Ok(Preemption { node, victims }) => {
                let names = victims.iter().filter_map(|pod| pod.metadata.name.as_deref());
                format!("{node}: {}", names.collect::<Vec<_>>().join(" "))
            }
            Err(NoPreemption { why, .. }) => why,
        }
    }

    #[test]
    fn those_go_who_are_missed_least() {
        let want = |cpu: &str| pod("urgent", 100, cpu, 50);
        let term = json!({"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": "host"});
        let apart = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
        let two = |a: Pod, b: Pod| vec![node("x", &[a, b])];
        let each = |a: Pod, b: Pod| vec![node("x", &[a]), node("y", &[b])];
        let (none, no_victims) = (Vec::new, "1 No preemption victims found for incoming pod");
        let no_use = "1 Preemption is not helpful for scheduling";
        let of_one = |why: &str| format!("0/1 nodes are available: {why}.");
        let (no_one, useless) = (of_one(no_victims), of_one(no_use));
        let both = format!("0/2 nodes are available: {no_victims}, {no_use}.");
        let cases: Vec<(&str, Pod, Vec<(&str, Vec<Pod>)>, Vec<Arc<PodDisruptionBudget>>, &str)> = vec![
            ("one is enough", want("2"), two(pod("a", 1, "2", 1), pod("b", 2, "2", 1)), none(), "x: a"),
            (
                "of equals the younger",
                want("2"),
                two(pod("a", 1, "2", 1), pod("b", 1, "2", 2)),
                none(),
                "x: b",
            ),
            ("all of them", want("4"), two(pod("a", 1, "2", 1), pod("b", 2, "2", 1)), none(), "x: b a"),
            ("the small one stays", want("3"), two(pod("a", 1, "3", 1), pod("b", 1, "1", 2)), none(), "x: a"),
            (
                "none of the same priority",
                want("2"),
                vec![node("x", &[pod("a", 100, "4", 1)])],
                none(),
                no_one.as_str(),
            ),
            (
                "not enough",
                want("3"),
                two(pod("a", 100, "2", 1), pod("b", 1, "2", 1)),
                none(),
                no_one.as_str(),
            ),
            (
                "no node has so much",
                want("5"),
                vec![node("x", &[pod("a", 1, "2", 1)])],
                none(),
                useless.as_str(),
            ),
            (
                "it does not want the node",
                with(want("4"), json!({"nodeSelector": {"host": "y"}})),
                each(pod("a", 1, "2", 1), pod("b", 1000, "2", 1)),
                none(),
                both.as_str(),
            ),
            (
                "it never preempts",
                with(want("4"), json!({"preemptionPolicy": "Never"})),
                vec![node("x", &[pod("a", 1, "2", 1)])],
                none(),
                "not eligible due to preemptionPolicy=Never.",
            ),
            ("the less important", want("4"), each(pod("a", 9, "4", 1), pod("b", 8, "4", 1)), none(), "y: b"),
            (
                "the fewer",
                want("4"),
                vec![
                    node("x", &[pod("a", 9, "2", 1), pod("b", 9, "2", 1)]),
                    node("y", &[pod("c", 9, "4", 1)]),
                ],
                none(),
                "y: c",
            ),
            ("the later", want("4"), each(pod("a", 9, "4", 1), pod("b", 9, "4", 2)), none(), "y: b"),
            (
                "where no budget is broken",
                want("4"),
                each(pod("a", 1, "4", 1), pod("b", 9, "4", 1)),
                vec![budget("a", 0)],
                "y: b",
            ),
            (
                "a budget protects first",
                want("2"),
                two(pod("a", 1, "2", 9), pod("b", 9, "2", 1)),
                vec![budget("a", 0)],
                "x: b",
            ),
            (
                "a budget that lets go does not",
                want("2"),
                two(pod("a", 1, "2", 9), pod("b", 9, "2", 1)),
                vec![budget("a", 1)],
                "x: a",
            ),
            (
                "a budget is broken where it must be",
                want("4"),
                vec![node("x", &[pod("a", 1, "4", 1)])],
                vec![budget("a", 0)],
                "x: a",
            ),
            (
                "whom it avoids",
                with(want("1"), apart),
                two(pod("a", 1, "1", 1), pod("b", 1, "1", 1)),
                none(),
                "x: a",
            ),
        ];
        for (name, pod, nodes, budgets, want) in cases {
            assert_eq!(chosen(&pod, &nodes, &budgets), want, "{name}");
        }
    }

    #[test]
    fn who_has_made_room_waits_for_it() {
        let mut urgent = pod("urgent", 100, "4", 1);
        urgent.status.get_or_insert_default().nominated_node_name = Some("x".to_owned());
        let mut leaving = pod("a", 1, "4", 1);
        leaving.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        leaving.status.get_or_insert_default().conditions = serde_json::from_value(
            json!([{"type": DISRUPTION_TARGET, "status": "True", "reason": BY_SCHEDULER}]),
        )
        .unwrap();
        let nodes = [node("x", &[leaving]), node("y", &[pod("b", 1, "4", 1)])];
        let waits = "not eligible due to a terminating pod on the nominated node.";
        assert_eq!(chosen(&urgent, &nodes, &[]), waits);
        assert_eq!(chosen(&urgent, &nodes[1..], &[]), "y: b");
    }
}
