//! The conditions of a Job: its controller writes them, and others go by them.

use k8s_openapi::api::batch::v1::{JobCondition, JobStatus};

pub const COMPLETE: &str = "Complete";
pub const FAILED: &str = "Failed";
/// It is complete as soon as its pods have ended.
pub const SUCCESS_CRITERIA_MET: &str = "SuccessCriteriaMet";
/// It has failed as soon as its pods have ended.
pub const FAILURE_TARGET: &str = "FailureTarget";
pub const SUSPENDED: &str = "Suspended";

/// Where it is true.
pub fn condition<'s>(status: &'s JobStatus, kind: &str) -> Option<&'s JobCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind && condition.status == "True")
}

pub fn has(status: &JobStatus, kind: &str) -> bool {
    condition(status, kind).is_some()
}

pub fn is_finished(status: &JobStatus) -> bool {
    has(status, COMPLETE) || has(status, FAILED)
}
