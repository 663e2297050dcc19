//! Whether a Job ends, and why: pure.

use super::counts::Counts;
use super::failures::{self, Meaning};
use super::pods::Wish;
use super::success;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kinds::job::{FAILURE_TARGET, SUCCESS_CRITERIA_MET, condition};
use kinds::pod as ask;
use std::sync::Arc;
use std::time::Duration;

/// Why a job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) is_success: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl End {
    pub(super) fn success(reason: &'static str, message: &str) -> Self {
        End { is_success: true, reason, message: message.to_owned() }
    }

    fn failure(reason: &'static str, message: &str) -> Self {
        End { is_success: false, reason, message: message.to_owned() }
    }

    /// As an earlier round has written it.
    fn said(condition: &JobCondition, is_success: bool) -> Self {
        let reason = condition.reason.as_deref().unwrap_or_default();
        let reason = REASONS.into_iter().find(|known| *known == reason).unwrap_or("Unknown");
        End { is_success, reason, message: condition.message.clone().unwrap_or_default() }
    }
}

const REASONS: [&str; 7] = [
    "BackoffLimitExceeded",
    "CompletionsReached",
    "DeadlineExceeded",
    "FailedIndexes",
    "MaxFailedIndexesExceeded",
    "PodFailurePolicy",
    "SuccessPolicy",
];

pub(super) fn ending(
    job: &Job,
    wish: &Wish,
    status: &JobStatus,
    pods: &[Arc<Pod>],
    counts: &Counts,
    now: jiff::Timestamp,
    again: &mut Option<Duration>,
) -> Option<End> {
    if let Some(met) = condition(status, SUCCESS_CRITERIA_MET) {
        return Some(End::said(met, true));
    }
    if let Some(target) = condition(status, FAILURE_TARGET) {
        return Some(End::said(target, false));
    }
    let failed = pods.iter().filter(|pod| wish.has_failed(pod));
    for pod in failed {
        if let Meaning::FailJob(message) = failures::meaning(job, pod) {
            return Some(End::failure("PodFailurePolicy", &message));
        }
    }
    if counts.failed > wish.backoff_limit || has_restarted_too_often(wish, pods) {
        return Some(End::failure("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    if let Some(left) = until_deadline(job, wish, status, now) {
        if left.is_zero() {
            let message = "Job was active longer than specified deadline";
            return Some(End::failure("DeadlineExceeded", message));
        }
        *again = Some(left);
    }
    if !wish.is_indexed {
        return None;
    }
    let failed = counts.failed_indexes.count();
    if wish.max_failed_indexes.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(End::failure("MaxFailedIndexesExceeded", message));
    }
    if failed > 0 && failed.saturating_add(counts.succeeded_indexes.count()) >= wish.count() {
        return Some(End::failure("FailedIndexes", "Job has failed indexes"));
    }
    let policy = job.spec.as_ref().and_then(|spec| spec.success_policy.as_ref());
    let message = success::met(policy, wish.count(), &counts.succeeded_indexes)?;
    Some(End::success("SuccessPolicy", &message))
}

/// Containers that are started again in their pod count too.
fn has_restarted_too_often(wish: &Wish, pods: &[Arc<Pod>]) -> bool {
    if !wish.restarts_in_place {
        return false;
    }
    let runs = pods.iter().filter(|pod| matches!(ask::phase(pod), "Running" | "Pending"));
    let restarts: i32 = runs
        .filter_map(|pod| pod.status.as_ref())
        .flat_map(|status| {
            let all = status.container_statuses.iter().chain(status.init_container_statuses.iter());
            all.flatten().map(|container| container.restart_count)
        })
        .sum();
    if wish.backoff_limit == 0 { restarts > 0 } else { restarts >= wish.backoff_limit }
}

/// A suspended job does not age.
fn until_deadline(job: &Job, wish: &Wish, status: &JobStatus, now: jiff::Timestamp) -> Option<Duration> {
    let deadline = job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds)?;
    let start = status.start_time.as_ref().filter(|_| !wish.is_suspended)?.0;
    let passed = Duration::try_from(now.duration_since(start)).unwrap_or_default();
    Some(Duration::from_secs(deadline.max(0).unsigned_abs()).saturating_sub(passed))
}
