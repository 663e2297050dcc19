//! What a DaemonSet does next, node by node: pure. Upstream's `manage`, `rollingUpdate` and `updateDaemonSetStatus`.

use super::pods::{self, pod_for, should_run, target_node};
use crate::history::REVISION_LABEL;
use crate::share;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetStatus, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::pod as ask;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Pods made or deleted in one round; more come when these have been seen.
const BURST: usize = 250;

/// What the plan is made from.
pub(super) struct Seen<'s> {
    pub(super) set: &'s DaemonSet,
    pub(super) nodes: &'s [Arc<Node>],
    pub(super) pods: &'s [Arc<Pod>],
    /// Of the template of now.
    pub(super) hash: &'s str,
    pub(super) now: jiff::Timestamp,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) delete: Vec<Arc<Pod>>,
    /// They have ended, and are made anew: not too often, where they fail.
    pub(super) ended: Vec<Arc<Pod>>,
    /// Nodes that get a pod.
    pub(super) create: Vec<String>,
}

impl Seen<'_> {
    fn spec(&self) -> DaemonSetSpec {
        self.set.spec.clone()
    }

    fn by_node(&self) -> BTreeMap<&str, Vec<&Arc<Pod>>> {
        let mut by_node: BTreeMap<&str, Vec<&Arc<Pod>>> = BTreeMap::new();
        for pod in self.pods {
            by_node.entry(target_node(pod)).or_default().push(pod);
        }
        for pods in by_node.values_mut() {
            pods.sort_by_key(|pod| created(pod));
        }
        by_node
    }

    fn is_new(&self, pod: &Pod) -> bool {
        pods::hash(pod) == Some(self.hash)
    }

    fn is_available(&self, pod: &Pod, spec: &DaemonSetSpec) -> bool {
        ask::is_available(pod, spec.min_ready_seconds.unwrap_or(0), self.now)
    }
}

fn created(pod: &Pod) -> Option<jiff::Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|at| at.0)
}

pub(super) fn plan(seen: &Seen<'_>) -> Plan {
    let spec = seen.spec();
    let by_node = seen.by_node();
    let rolling = rolling(&spec);
    let (surge, unavailable) = margins(&rolling, seen, &spec);
    let mut plan = manage(seen, &spec, &by_node, surge > 0);
    let strategy = spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref());
    // nodes that lack their pod come first; what has ended may wait long for its next turn, and holds up no rollout
    if plan.delete.is_empty() && plan.create.is_empty() && strategy != Some("OnDelete") {
        let Plan { delete, create, .. } = match surge {
            0 => replace(seen, &spec, &by_node, unavailable),
            _ => surge_on(seen, &spec, &by_node, surge),
        };
        // with another template it may go well: it is not made to wait
        plan.ended.retain(|pod| !delete.iter().any(|gone| Arc::ptr_eq(gone, pod)));
        (plan.delete, plan.create) = (delete, create);
    }
    plan.delete.truncate(BURST);
    plan.create.truncate(BURST);
    plan
}

fn rolling(spec: &DaemonSetSpec) -> RollingUpdateDaemonSet {
    spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.clone()).unwrap_or_default()
}

/// Surge and unavailable, of the nodes that should run a pod; at least one of them is not 0.
fn margins(rolling: &RollingUpdateDaemonSet, seen: &Seen<'_>, spec: &DaemonSetSpec) -> (i32, i32) {
    let wanted = seen.nodes.iter().filter(|node| should_run(seen.set, spec, node).should_run).count() as i32;
    let surge = share::of_total(rolling.max_surge.as_ref(), wanted, true);
    let unavailable = share::of_total(rolling.max_unavailable.as_ref(), wanted, true);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

fn manage(
    seen: &Seen<'_>,
    spec: &DaemonSetSpec,
    by_node: &BTreeMap<&str, Vec<&Arc<Pod>>>,
    surges: bool,
) -> Plan {
    let mut plan = Plan::default();
    for node in seen.nodes {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let may = should_run(seen.set, spec, node);
        let here = by_node.get(name).map(Vec::as_slice).unwrap_or_default();
        if may.should_run && here.is_empty() {
            plan.create.push(name.to_owned());
            continue;
        }
        let staying = here.iter().filter(|pod| !ask::is_deleting(pod));
        if !may.should_continue {
            plan.delete.extend(staying.map(|pod| Arc::clone(pod)));
            continue;
        }
        let (ended, running): (Vec<_>, Vec<_>) = staying.copied().partition(|pod| ask::is_terminal(pod));
        plan.ended.extend(ended.into_iter().cloned());
        plan.delete.extend(too_many(seen, spec, &running, surges).into_iter().cloned());
    }
    let exists = |name: &str| seen.nodes.iter().any(|node| node.metadata.name.as_deref() == Some(name));
    // of a node that is gone, and that no scheduler will ever find
    let lost = seen.pods.iter().filter(|pod| {
        let scheduled = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).is_some_and(|n| !n.is_empty());
        !scheduled && !ask::is_deleting(pod) && !exists(target_node(pod))
    });
    plan.delete.extend(lost.cloned());
    plan
}

/// All but the oldest; where surge is allowed, all but the oldest of each revision, and the old one goes when the new one
/// answers or it does not answer itself.
fn too_many<'p>(
    seen: &Seen<'_>,
    spec: &DaemonSetSpec,
    running: &[&'p Arc<Pod>],
    surges: bool,
) -> Vec<&'p Arc<Pod>> {
    if running.len() <= 1 {
        return Vec::new();
    }
    if !surges {
        let mut ranked = running.to_vec();
        // what has its node already is kept before what has not
        ranked.sort_by_key(|pod| {
            let scheduled = pod.spec.as_ref().and_then(|s| s.node_name.as_ref()).is_some();
            (!scheduled, ask::phase(pod) == "Pending", created(pod))
        });
        return ranked[1..].to_vec();
    }
    let (mut new, mut old, mut gone) = (None, None, Vec::new());
    for pod in running {
        let place = if seen.is_new(pod) { &mut new } else { &mut old };
        match place {
            None => *place = Some(*pod),
            Some(_) => gone.push(*pod),
        }
    }
    if let (Some(new), Some(old)) = (new, old)
        && (!ask::is_ready(old) || seen.is_available(new, spec))
    {
        gone.push(old);
    }
    gone
}

/// The pod of the newest template and the one of an older, where a node has no more than one of each.
fn pair<'p>(seen: &Seen<'_>, pods: &[&'p Arc<Pod>]) -> Option<(Option<&'p Arc<Pod>>, Option<&'p Arc<Pod>>)> {
    let (mut new, mut old) = (None, None);
    for pod in pods.iter().filter(|pod| !ask::is_deleting(pod)) {
        let place = if seen.is_new(pod) { &mut new } else { &mut old };
        if place.replace(*pod).is_some() {
            return None;
        }
    }
    Some((new, old))
}

/// Old pods go, as many as may be missing; those that do not answer anyway cost nothing.
fn replace(
    seen: &Seen<'_>,
    spec: &DaemonSetSpec,
    by_node: &BTreeMap<&str, Vec<&Arc<Pod>>>,
    unavailable: i32,
) -> Plan {
    let (mut missing, mut free, mut candidates) = (0, Vec::new(), Vec::new());
    for pods in by_node.values() {
        match pair(seen, pods) {
            None | Some((None, None) | (Some(_), Some(_))) => missing += 1,
            Some((Some(new), None)) => missing += i32::from(!seen.is_available(new, spec)),
            Some((None, Some(old))) if !seen.is_available(old, spec) => {
                missing += 1;
                free.push(old.clone());
            }
            Some((None, Some(old))) => candidates.push(old.clone()),
        }
    }
    let more = (unavailable - missing).max(0) as usize;
    candidates.truncate(more);
    Plan { delete: free.into_iter().chain(candidates).collect(), ..Plan::default() }
}

/// New pods come beside old ones, as many as may be more; an old one goes when the new one beside it answers.
fn surge_on(
    seen: &Seen<'_>,
    spec: &DaemonSetSpec,
    by_node: &BTreeMap<&str, Vec<&Arc<Pod>>>,
    surge: i32,
) -> Plan {
    let (mut more, mut free, mut candidates, mut delete) = (0, Vec::new(), Vec::new(), Vec::new());
    for (node, pods) in by_node {
        match pair(seen, pods) {
            None => more += 1,
            Some((_, None)) => {}
            Some((None, Some(old))) if !seen.is_available(old, spec) => free.push((*node).to_owned()),
            Some((None, Some(_))) => candidates.push((*node).to_owned()),
            Some((Some(new), Some(old))) => match seen.is_available(new, spec) {
                true => delete.push(old.clone()),
                false => more += 1,
            },
        }
    }
    candidates.truncate((surge - more).max(0) as usize);
    Plan { delete, create: free.into_iter().chain(candidates).collect(), ..Plan::default() }
}

/// The status, and when time alone makes another pod available.
pub(super) fn status(seen: &Seen<'_>) -> (DaemonSetStatus, Option<Duration>) {
    let spec = seen.spec();
    let by_node = seen.by_node();
    let before = seen.set.status.clone().unwrap_or_default();
    let mut status = DaemonSetStatus {
        observed_generation: seen.set.metadata.generation,
        collision_count: before.collision_count,
        conditions: before.conditions,
        ..DaemonSetStatus::default()
    };
    let (mut updated, mut available, mut again) = (0, 0, None::<Duration>);
    for node in seen.nodes {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let here = by_node.get(name).map(Vec::as_slice).unwrap_or_default();
        if !should_run(seen.set, &spec, node).should_run {
            status.number_misscheduled += i32::from(!here.is_empty());
            continue;
        }
        status.desired_number_scheduled += 1;
        let Some(oldest) = here.first() else { continue };
        status.current_number_scheduled += 1;
        status.number_ready += i32::from(ask::is_ready(oldest));
        available += i32::from(seen.is_available(oldest, &spec));
        updated += i32::from(seen.is_new(oldest));
        let left = here
            .iter()
            .filter_map(|pod| ask::available_in(pod, spec.min_ready_seconds.unwrap_or(0), seen.now));
        let left = left.filter(|left| !left.is_zero()).min();
        again = again.into_iter().chain(left).min();
    }
    let some = |count: i32| (count != 0).then_some(count);
    status.updated_number_scheduled = some(updated);
    status.number_available = some(available);
    status.number_unavailable = some(status.desired_number_scheduled - available);
    (status, again)
}

/// The pods that the plan wishes for.
pub(super) fn pods(seen: &Seen<'_>, plan: &Plan) -> Vec<Pod> {
    plan.create.iter().map(|node| pod_for(seen.set, &seen.spec(), node, seen.hash)).collect()
}

/// By which hashes there are pods.
pub(super) fn live(pods: &[Arc<Pod>]) -> std::collections::BTreeSet<String> {
    pods.iter().filter_map(|pod| pod.metadata.labels.as_ref()?.get(REVISION_LABEL).cloned()).collect()
}
