//! What a StatefulSet does next: pure. Upstream's `updateStatefulSet`.
//!
//! Pods are made from the lowest number up and taken away from the highest down, one at a time and each only when all
//! before it answer; with `podManagementPolicy: Parallel` all at once.

use super::pods::{ordinal, revision, start, wanted};
use crate::share;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kinds::pod as ask;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Pods made in one round; more come when these have been seen.
const BURST: usize = 500;

/// What the plan is made from. `current` and `update` are names of revisions.
pub(super) struct Seen<'s> {
    pub(super) set: &'s StatefulSet,
    pub(super) pods: &'s [Arc<Pod>],
    pub(super) current: &'s str,
    pub(super) update: &'s str,
    pub(super) now: jiff::Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A pod of this number, of the revision of now or of the one that is rolled out.
    Create {
        ordinal: i32,
        of_update: bool,
    },
    /// It has ended, and another takes its place.
    Recreate(Arc<Pod>),
    Delete(Arc<Pod>),
}

impl Seen<'_> {
    fn min_ready(&self) -> i32 {
        self.set.spec.min_ready_seconds.unwrap_or(0)
    }

    fn is_parallel(&self) -> bool {
        let policy = self.set.spec.pod_management_policy.as_deref();
        policy == Some("Parallel")
    }

    fn answers(&self, pod: &Pod) -> bool {
        ask::phase(pod) == "Running" && ask::is_ready(pod)
    }

    fn is_available(&self, pod: &Pod) -> bool {
        self.answers(pod) && ask::is_available(pod, self.min_ready(), self.now)
    }

    /// One that has only just become ready may still fail: it counts when it has been so for `minReadySeconds`.
    fn is_unavailable(&self, pod: &Pod) -> bool {
        ask::is_deleting(pod) || !self.is_available(pod)
    }

    fn strategy(&self) -> Strategy {
        let spec = self.set.spec.update_strategy.as_ref();
        if spec.and_then(|spec| spec.type_.as_deref()) == Some("OnDelete") {
            return Strategy::ByHand;
        }
        let rolling = spec.and_then(|spec| spec.rolling_update.as_ref());
        let most = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        Strategy::Rolling {
            partition: rolling.and_then(|rolling| rolling.partition).unwrap_or(0),
            most: most.map_or(1, |most| share::of_total(Some(most), wanted(self.set), true).max(1)),
        }
    }

    /// The pods that should be there by number, and those that should not, the highest first.
    fn sorted(&self) -> (BTreeMap<i32, &Arc<Pod>>, Vec<&Arc<Pod>>) {
        let (first, count) = (start(self.set), wanted(self.set));
        let (mut replicas, mut condemned) = (BTreeMap::new(), BTreeMap::new());
        for pod in self.pods {
            let Some(number) = ordinal(self.set, pod) else { continue };
            match (first..first.saturating_add(count)).contains(&number) {
                true => replicas.insert(number, pod),
                false => condemned.insert(number, pod),
            };
        }
        (replicas, condemned.into_values().rev().collect())
    }
}

#[derive(Debug, Clone, Copy)]
enum Strategy {
    ByHand,
    /// Numbers below `partition` keep what they are.
    Rolling {
        partition: i32,
        most: i32,
    },
}

/// The steps of this round; the next comes when they have been seen.
pub(super) fn plan(seen: &Seen<'_>) -> Vec<Step> {
    let (replicas, condemned) = seen.sorted();
    let mut steps = Vec::new();
    if !grow(seen, &replicas, &mut steps) || !shrink(seen, &replicas, &condemned, &mut steps) {
        return steps;
    }
    if let (true, Strategy::Rolling { partition, most }) = (steps.is_empty(), seen.strategy()) {
        roll(seen, &replicas, partition, most, &mut steps);
    }
    steps
}

/// Whether the next pod may be looked at.
fn grow(seen: &Seen<'_>, replicas: &BTreeMap<i32, &Arc<Pod>>, steps: &mut Vec<Step>) -> bool {
    let first = start(seen.set);
    for number in first..first.saturating_add(wanted(seen.set)) {
        if steps.len() == BURST {
            return false;
        }
        let Some(pod) = replicas.get(&number) else {
            steps.push(Step::Create { ordinal: number, of_update: !is_of_current(seen, number) });
            if seen.is_parallel() {
                continue;
            }
            return false;
        };
        if ask::is_terminal(pod) && !ask::is_deleting(pod) {
            steps.push(Step::Recreate(Arc::clone(pod)));
            if seen.is_parallel() {
                continue;
            }
            return false;
        }
        if seen.is_unavailable(pod) && !seen.is_parallel() {
            return false;
        }
    }
    true
}

/// In mid-rollout a pod that is lost comes back as what it was where it is not its turn yet.
fn is_of_current(seen: &Seen<'_>, number: i32) -> bool {
    match seen.strategy() {
        Strategy::Rolling { partition, .. } => number < start(seen.set).saturating_add(partition),
        Strategy::ByHand => false,
    }
}

fn shrink(
    seen: &Seen<'_>,
    replicas: &BTreeMap<i32, &Arc<Pod>>,
    condemned: &[&Arc<Pod>],
    steps: &mut Vec<Step>,
) -> bool {
    // the first of all, from the lowest number up, that does not answer: it alone may go before others do
    let all = replicas.values().chain(condemned.iter().rev());
    let sick = all.copied().find(|pod| seen.is_unavailable(pod));
    for pod in condemned {
        if ask::is_deleting(pod) {
            match seen.is_parallel() {
                true => continue,
                false => return false,
            }
        }
        let is_first_sick = sick.is_some_and(|sick| Arc::ptr_eq(sick, pod));
        if !seen.is_parallel() && !seen.is_available(pod) && !is_first_sick {
            return false;
        }
        steps.push(Step::Delete(Arc::clone(pod)));
        if !seen.is_parallel() {
            return false;
        }
    }
    true
}

/// The highest first, while no more are missing than may be. Where pods need not wait for each other, old ones that are missing anyhow
/// go in any case, and before others: a revision that never comes to be ready can be left by nothing else.
fn roll(
    seen: &Seen<'_>,
    replicas: &BTreeMap<i32, &Arc<Pod>>,
    partition: i32,
    most: i32,
    steps: &mut Vec<Step>,
) {
    let least = start(seen.set).saturating_add(partition);
    let missing = replicas.values().filter(|pod| seen.is_unavailable(pod)).count() as i32;
    let may_go = (most - missing).max(0) as usize;
    let old = replicas.range(least..).rev().map(|(_, pod)| *pod);
    let old = old.filter(|pod| revision(pod) != seen.update && !ask::is_deleting(pod));
    let (lost, whole): (Vec<_>, Vec<_>) = old.partition(|pod| seen.is_parallel() && seen.is_unavailable(pod));
    let go = lost.into_iter().chain(whole.into_iter().take(may_go));
    steps.extend(go.map(|pod| Step::Delete(Arc::clone(pod))));
}

/// The status, and when time alone makes another pod available.
pub(super) fn status(seen: &Seen<'_>) -> (StatefulSetStatus, Option<Duration>) {
    let before = seen.set.status.clone().unwrap_or_default();
    let own: Vec<&Arc<Pod>> = seen.pods.iter().filter(|pod| ordinal(seen.set, pod).is_some()).collect();
    let count = |of: &dyn Fn(&Pod) -> bool| own.iter().filter(|pod| of(pod)).count() as i32;
    let some = |count: i32| (count != 0).then_some(count);
    let is_of = |pod: &Pod, name: &str| !ask::is_deleting(pod) && revision(pod) == name;
    let mut status = StatefulSetStatus {
        observed_generation: seen.set.metadata.generation,
        replicas: own.len() as i32,
        ready_replicas: some(count(&|pod| seen.answers(pod))),
        available_replicas: Some(count(&|pod| seen.is_available(pod))),
        current_replicas: some(count(&|pod| is_of(pod, seen.current))),
        updated_replicas: some(count(&|pod| is_of(pod, seen.update))),
        current_revision: Some(seen.current.to_owned()),
        update_revision: Some(seen.update.to_owned()),
        collision_count: Some(before.collision_count.unwrap_or(0)),
        conditions: before.conditions,
    };
    let all = Some(wanted(seen.set));
    let is_done = Some(status.updated_replicas.unwrap_or(0)) == all
        && Some(status.ready_replicas.unwrap_or(0)) == all
        && matches!(seen.strategy(), Strategy::Rolling { .. });
    if is_done {
        status.current_replicas = status.updated_replicas;
        status.current_revision.clone_from(&status.update_revision);
    }
    let left = own.iter().filter_map(|pod| ask::available_in(pod, seen.min_ready(), seen.now));
    (status, left.filter(|left| !left.is_zero()).min())
}
