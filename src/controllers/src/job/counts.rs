//! What the pods of a Job come to, together with what was counted before: pure.

use super::failures::{self, Meaning};
use super::pods::{Wish, failures_before, index_of, is_tracked, uid};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kinds::Indexes;
use kinds::pod as ask;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the pods come to, together with what was counted before.
pub(super) struct Counts {
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) terminating: i32,
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    pub(super) succeeded_indexes: Indexes,
    pub(super) failed_indexes: Indexes,
    /// How often each index has failed, where there is a limit for each.
    pub(super) failures: BTreeMap<i32, i32>,
}

pub(super) fn count(job: &Job, wish: &Wish, status: &JobStatus, pods: &[Arc<Pod>]) -> Counts {
    let uncounted = status.uncounted_terminated_pods.clone().unwrap_or_default();
    let known = |list: &Option<Vec<String>>, pod: &Pod| list.iter().flatten().any(|known| known == uid(pod));
    let fresh = |pod: &&Arc<Pod>| {
        is_tracked(pod) && !known(&uncounted.succeeded, pod) && !known(&uncounted.failed, pod)
    };
    let length = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len) as i32;
    let succeeded = pods.iter().filter(fresh).filter(|pod| ask::phase(pod) == "Succeeded").count() as i32;
    let failed = pods.iter().filter(fresh).filter(|pod| wish.has_failed(pod));
    let failed = failed.filter(|pod| failures::meaning(job, pod) != Meaning::Ignore).count() as i32;
    let text = |text: &Option<String>| Indexes::lenient(text.as_deref().unwrap_or_default(), wish.count());
    let done = pods.iter().filter(|pod| is_tracked(pod) && ask::phase(pod) == "Succeeded");
    let succeeded_indexes = text(&status.completed_indexes).with(done.filter_map(|pod| index_of(pod, wish)));
    let failures = match wish.backoff_limit_per_index {
        Some(_) => failures_of(job, wish, pods),
        None => BTreeMap::new(),
    };
    let before = text(&status.failed_indexes);
    let failed_indexes = failed_indexes(job, wish, pods, &failures, &before, &succeeded_indexes);
    Counts {
        active: pods.iter().filter(|pod| ask::is_active(pod)).cloned().collect(),
        terminating: pods.iter().filter(|pod| is_terminating(pod)).count() as i32,
        succeeded: match wish.is_indexed {
            true => succeeded_indexes.count(),
            false => status.succeeded.unwrap_or(0) + succeeded + length(&uncounted.succeeded),
        },
        failed: status.failed.unwrap_or(0) + failed + length(&uncounted.failed),
        succeeded_indexes,
        failed_indexes,
        failures,
    }
}

pub(super) fn is_terminating(pod: &Pod) -> bool {
    ask::is_deleting(pod) && !ask::is_terminal(pod)
}

/// How often the pods of an index have failed, by the pods that are there and what they know of those before.
fn failures_of(job: &Job, wish: &Wish, pods: &[Arc<Pod>]) -> BTreeMap<i32, i32> {
    let mut failures = BTreeMap::new();
    for pod in pods.iter().filter(|pod| wish.has_failed(pod)) {
        let Some(index) = index_of(pod, wish) else { continue };
        let counts = i32::from(failures::meaning(job, pod) != Meaning::Ignore);
        let known: &mut i32 = failures.entry(index).or_default();
        *known = (*known).max(failures_before(pod).saturating_add(counts));
    }
    failures
}

fn failed_indexes(
    job: &Job,
    wish: &Wish,
    pods: &[Arc<Pod>],
    failures: &BTreeMap<i32, i32>,
    before: &Indexes,
    succeeded: &Indexes,
) -> Indexes {
    let Some(limit) = wish.backoff_limit_per_index else { return Indexes::default() };
    let over = failures.iter().filter(|(_, failures)| **failures > limit);
    let ruled = pods.iter().filter(|pod| wish.has_failed(pod));
    let ruled = ruled.filter(|pod| failures::meaning(job, pod) == Meaning::FailIndex);
    let fresh = over.map(|(index, _)| *index).chain(ruled.filter_map(|pod| index_of(pod, wish)));
    before.with(fresh.filter(|index| !succeeded.contains(*index)).collect::<Vec<_>>())
}
