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
mod tests;
