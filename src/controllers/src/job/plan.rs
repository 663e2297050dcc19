//! What a Job does next: pure. From the job and its pods to the pods that are made, deleted and counted, and the status
//! before and after.
//!
//! A pod is counted in three steps, each of which survives an end of the program after it: its uid is written into the
//! status, its finalizer goes, and the uid becomes a number. Upstream's `syncJob` and `trackJobStatusAndRemoveFinalizers`.

use super::conditions::put;
use super::counts::{Counts, count, is_terminating};
use super::ending::{End, ending};
use super::failures::{self, Meaning};
use super::pods::{New, Wish, index_of, is_tracked, uid};
use crate::replicas::rank;
use k8s_openapi::api::batch::v1::{Job, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use kinds::Indexes;
use kinds::job::{COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET, SUSPENDED, condition};
use kinds::pod as ask;
use kinds::whole_second;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Pods made or deleted in one round; more come when these have been seen.
const BURST: usize = 500;

/// What is said of the job when the round is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) is_warning: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) delete: Vec<Arc<Pod>>,
    /// They are only too many, and so count as neither: their finalizers go first.
    pub(super) deleted_do_not_count: bool,
    pub(super) create: Vec<New>,
    /// Written before finalizers go.
    pub(super) before: JobStatus,
    /// Whose finalizers go.
    pub(super) release: Vec<Arc<Pod>>,
    /// Written when they are gone.
    pub(super) after: JobStatus,
    pub(super) say: Vec<Said>,
    /// When time alone may change something.
    pub(super) again: Option<Duration>,
}

pub(super) fn plan(job: &Job, pods: &[Arc<Pod>], now: jiff::Timestamp) -> Plan {
    let wish = Wish::of(job);
    let status = job.status.clone().unwrap_or_default();
    let counts = count(job, &wish, &status, pods);
    let mut plan = Plan { before: status.clone(), ..Plan::default() };
    // the deadline of a job that goes on counts from then: it stood still while the job was suspended
    let goes_on = condition(&status, SUSPENDED).is_some();
    if !wish.is_suspended && (status.start_time.is_none() || goes_on) {
        plan.before.start_time = Some(whole_second(now));
    }
    let mut end = ending(job, &wish, &plan.before, pods, &counts, now, &mut plan.again);
    let is_deleted = job.metadata.deletion_timestamp.is_some();
    if end.is_some() {
        plan.delete.clone_from(&counts.active);
    } else {
        plan.deleted_do_not_count = true;
        if !is_deleted {
            manage(&wish, pods, &counts, now, &mut plan);
        }
        let active = counts.active.len() + plan.create.len() - plan.delete.len();
        let enough = match wish.completions {
            None => counts.succeeded > 0,
            Some(wanted) => counts.succeeded >= wanted,
        };
        if enough && active == 0 {
            end = Some(End::success("CompletionsReached", "Reached expected number of succeeded pods"));
        } else if !is_deleted {
            suspend(&wish, now, &mut plan);
        }
    }
    sizes(&counts, &mut plan);
    track(job, &wish, pods, &counts, end.as_ref(), now, &mut plan);
    plan
}

/// More pods, or fewer; never both in one round.
fn manage(wish: &Wish, pods: &[Arc<Pod>], counts: &Counts, now: jiff::Timestamp, plan: &mut Plan) {
    let active = counts.active.len() as i32;
    if wish.is_suspended {
        plan.delete.clone_from(&counts.active);
        return;
    }
    let waited_for = if wish.replaces_failed_only { counts.terminating } else { 0 };
    let wanted = match wish.completions {
        // one success is enough: whatever runs may end
        None if counts.succeeded > 0 => active,
        None => wish.parallelism,
        Some(all) => {
            // both may have been written by somebody else
            let left = all.saturating_sub(counts.succeeded).saturating_sub(counts.failed_indexes.count());
            left.min(wish.parallelism).max(0)
        }
    };
    let surplus = (active + waited_for - wanted).clamp(0, active);
    plan.delete = surplus_pods(wish, &counts.active, surplus as usize, now);
    plan.delete.truncate(BURST);
    if !plan.delete.is_empty() {
        return;
    }
    let missing = (wanted - waited_for - active).max(0) as usize;
    if missing == 0 {
        return;
    }
    let failed: Vec<Arc<Pod>> = pods.iter().filter(|pod| wish.has_failed(pod)).cloned().collect();
    let succeeded: Vec<Arc<Pod>> =
        pods.iter().filter(|pod| ask::phase(pod) == "Succeeded").cloned().collect();
    if wish.backoff_limit_per_index.is_none()
        && let Some(wait) = failures::backoff(&failed, &succeeded, now)
    {
        return sooner(&mut plan.again, wait);
    }
    let missing = missing.min(BURST);
    match wish.is_indexed {
        true => plan.create = pending_indexes(wish, pods, counts, &failed, missing, now, &mut plan.again),
        false => plan.create = vec![New { index: None, failures: None }; missing],
    }
}

fn sooner(again: &mut Option<Duration>, wait: Duration) {
    *again = Some(again.map_or(wait, |known| known.min(wait)));
}

/// The first indexes that nobody works on. Where each index has a back-off of its own, those that wait are left out.
fn pending_indexes(
    wish: &Wish,
    pods: &[Arc<Pod>],
    counts: &Counts,
    failed: &[Arc<Pod>],
    missing: usize,
    now: jiff::Timestamp,
    again: &mut Option<Duration>,
) -> Vec<New> {
    let waited_for = pods.iter().filter(|pod| wish.replaces_failed_only && is_terminating(pod));
    let taken: BTreeSet<i32> =
        counts.active.iter().chain(waited_for).filter_map(|pod| index_of(pod, wish)).collect();
    let over = counts.succeeded_indexes.union(&counts.failed_indexes);
    let free = over.missing(wish.count()).filter(|index| !taken.contains(index));
    if wish.backoff_limit_per_index.is_none() {
        return free.take(missing).map(|index| New { index: Some(index), failures: None }).collect();
    }
    let mut by_index: BTreeMap<i32, Vec<Arc<Pod>>> = BTreeMap::new();
    for pod in failed {
        if let Some(index) = index_of(pod, wish) {
            by_index.entry(index).or_default().push(pod.clone());
        }
    }
    let mut found = Vec::new();
    for index in free {
        let failed = by_index.get(&index).map(Vec::as_slice).unwrap_or_default();
        if let Some(wait) = failures::backoff(failed, &[], now) {
            sooner(again, wait);
            continue;
        }
        let failures = counts.failures.get(&index).copied().unwrap_or(0);
        found.push(New { index: Some(index), failures: Some(failures) });
        if found.len() == missing {
            break;
        }
    }
    found
}

/// Who is missed least; of an indexed job first those whose index is none or is worked on twice.
fn surplus_pods(wish: &Wish, active: &[Arc<Pod>], least: usize, now: jiff::Timestamp) -> Vec<Arc<Pod>> {
    let mut ranked: Vec<Arc<Pod>> = active.to_vec();
    ranked.sort_by_key(|pod| rank(pod, now));
    let (mut go, mut stay) = (Vec::new(), ranked);
    if wish.is_indexed {
        let mut seen = BTreeSet::new();
        // the last of an index is missed most
        let (kept, double): (Vec<_>, Vec<_>) = stay
            .into_iter()
            .rev()
            .partition(|pod| index_of(pod, wish).is_some_and(|index| seen.insert(index)));
        go = double;
        stay = kept.into_iter().rev().collect();
    }
    if go.len() < least {
        let more = least - go.len();
        go.extend(stay.into_iter().take(more));
    }
    go
}

fn suspend(wish: &Wish, now: jiff::Timestamp, plan: &mut Plan) {
    let (value, reason, message) = match wish.is_suspended {
        true => ("True", "JobSuspended", "Job suspended"),
        false => ("False", "JobResumed", "Job resumed"),
    };
    let conditions = plan.before.conditions.get_or_insert_default();
    let changed = put(conditions, SUSPENDED, value, reason, message, now);
    if conditions.is_empty() {
        plan.before.conditions = None;
    }
    if !changed {
        return;
    }
    // its deadline is about the time that it is not suspended
    plan.before.start_time = (!wish.is_suspended).then(|| whole_second(now));
    let reason = if wish.is_suspended { "Suspended" } else { "Resumed" };
    plan.say.push(Said { is_warning: false, reason, message: message.to_owned() });
}

fn some(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

fn sizes(counts: &Counts, plan: &mut Plan) {
    let goes = |pod: &Arc<Pod>| plan.delete.iter().any(|gone| uid(gone) == uid(pod));
    let stays: Vec<&Arc<Pod>> = counts.active.iter().filter(|pod| !goes(pod)).collect();
    plan.before.active = some((stays.len() + plan.create.len()) as i32);
    plan.before.ready = Some(stays.iter().filter(|pod| ask::is_ready(pod)).count() as i32);
    plan.before.terminating = Some(counts.terminating + plan.delete.len() as i32);
}

fn track(
    job: &Job,
    wish: &Wish,
    pods: &[Arc<Pod>],
    counts: &Counts,
    end: Option<&End>,
    now: jiff::Timestamp,
    plan: &mut Plan,
) {
    let is_deleted = job.metadata.deletion_timestamp.is_some();
    let fails = end.is_some_and(|end| !end.is_success);
    let mut uncounted = plan.before.uncounted_terminated_pods.clone().unwrap_or_default();
    for pod in pods.iter().filter(|pod| is_tracked(pod)) {
        let (succeeded, failed) = (ask::phase(pod) == "Succeeded", wish.has_failed(pod));
        if !(succeeded || failed || is_deleted || end.is_some()) {
            continue;
        }
        plan.release.push(pod.clone());
        let known = |list: &Option<Vec<String>>| list.iter().flatten().any(|known| known == uid(pod));
        if known(&uncounted.succeeded) || known(&uncounted.failed) {
            continue;
        }
        // the index is enough to count a success once
        if succeeded && !wish.is_indexed {
            uncounted.succeeded.get_or_insert_default().push(uid(pod).to_owned());
        } else if !succeeded
            && (failed || fails)
            && (!wish.is_indexed || index_of(pod, wish).is_some())
            && failures::meaning(job, pod) != Meaning::Ignore
        {
            uncounted.failed.get_or_insert_default().push(uid(pod).to_owned());
        }
    }
    if wish.is_indexed {
        plan.before.succeeded = some(counts.succeeded_indexes.count());
        plan.before.completed_indexes = text(&counts.succeeded_indexes);
        if wish.backoff_limit_per_index.is_some() {
            plan.before.failed_indexes = Some(counts.failed_indexes.to_string());
        }
    }
    if let Some(end) = end {
        let interim = if end.is_success { SUCCESS_CRITERIA_MET } else { FAILURE_TARGET };
        let conditions = plan.before.conditions.get_or_insert_default();
        put(conditions, interim, "True", end.reason, &end.message, now);
    }
    plan.after = plan.before.clone();
    let length = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len) as i32;
    if !wish.is_indexed {
        plan.after.succeeded = some(plan.before.succeeded.unwrap_or(0) + length(&uncounted.succeeded));
    }
    plan.after.failed = some(plan.before.failed.unwrap_or(0) + length(&uncounted.failed));
    plan.after.uncounted_terminated_pods = Some(UncountedTerminatedPods::default());
    plan.before.uncounted_terminated_pods = Some(uncounted);
    if let Some(end) = end {
        finish(wish, end, now, plan);
    }
}

fn text(indexes: &Indexes) -> Option<String> {
    (!indexes.is_empty()).then(|| indexes.to_string())
}

/// The last word, when the last pod has ended.
fn finish(wish: &Wish, end: &End, now: jiff::Timestamp, plan: &mut Plan) {
    if plan.after.terminating.unwrap_or(0) > 0 {
        return;
    }
    let kind = if end.is_success { COMPLETE } else { FAILED };
    // one that was suspended has begun when it ended: upstream finishes none that has not begun
    plan.after.start_time.get_or_insert_with(|| whole_second(now));
    put(plan.after.conditions.get_or_insert_default(), kind, "True", end.reason, &end.message, now);
    let said = |is_warning, reason: &'static str, message: &str| Said {
        is_warning,
        reason,
        message: message.to_owned(),
    };
    if !end.is_success {
        return plan.say.push(said(true, end.reason, &end.message));
    }
    plan.after.completion_time = Some(whole_second(now));
    if wish.completions.is_some_and(|wanted| plan.after.succeeded.unwrap_or(0) > wanted) {
        let message = "Too many succeeded pods running after completion count reached";
        plan.say.push(said(true, "TooManySucceededPods", message));
    }
    plan.say.push(said(false, "Completed", "Job completed"));
}
