//! The conditions of a Job.

use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};
use kinds::whole_second;

pub(crate) const COMPLETE: &str = "Complete";
pub(crate) const FAILED: &str = "Failed";
pub(super) const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
pub(super) const FAILURE_TARGET: &str = "FailureTarget";
pub(super) const SUSPENDED: &str = "Suspended";

pub(crate) fn condition<'s>(status: &'s JobStatus, kind: &str) -> Option<&'s JobCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind && condition.status == "True")
}

pub(crate) fn is_finished(status: &JobStatus) -> bool {
    condition(status, COMPLETE).is_some() || condition(status, FAILED).is_some()
}

/// Says whether anything changed. What was never true is not said to be false.
pub(super) fn put(
    conditions: &mut Vec<JobCondition>,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: jiff::Timestamp,
) -> bool {
    let at = Some(whole_second(now));
    let new = JobCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: at.clone(),
        last_transition_time: at,
    };
    match conditions.iter_mut().find(|known| known.type_ == kind) {
        Some(known)
            if known.status == value && known.reason == new.reason && known.message == new.message =>
        {
            false
        }
        Some(known) => {
            *known = new;
            true
        }
        None if value == "False" => false,
        None => {
            conditions.push(new);
            true
        }
    }
}
