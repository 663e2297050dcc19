//! What a Job's status may say, whoever writes it: a job's `managedBy` may name another controller than the built-in one (KEP-4368).
//! Upstream's `ValidateJobUpdateStatus`, in its words.
//!
//! Most of it is asked only of what a write changes, as upstream does: what is wrong already keeps nobody from writing the rest, and
//! who changes a job's size leaves a status behind that fits when its controller has looked.

use super::checks::not_negative;
use super::job_validation::is_indexed;
use crate::job::{COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET, SUSPENDED, has, is_finished};
use crate::{ErrorList, Indexes};
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use serde_json::json;
use std::collections::HashSet;

pub(super) fn validate(new: &Job, old: &Job, errors: &mut ErrorList) {
    let (none, nothing) = (JobStatus::default(), JobSpec::default());
    let spec = new.spec.as_ref().unwrap_or(&nothing);
    let change =
        Change { spec, new: new.status.as_ref().unwrap_or(&none), old: old.status.as_ref().unwrap_or(&none) };
    numbers(change.new, errors);
    change.conditions(errors);
    change.times(errors);
    change.pods(errors);
    change.indexes(errors);
    change.counters(errors);
}

struct Change<'a> {
    spec: &'a JobSpec,
    new: &'a JobStatus,
    old: &'a JobStatus,
}

fn numbers(status: &JobStatus, errors: &mut ErrorList) {
    for (field, count) in [
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ] {
        not_negative(count.unwrap_or(0).into(), format_args!("status.{field}"), errors);
    }
    let Some(uncounted) = &status.uncounted_terminated_pods else { return };
    let mut seen = HashSet::new();
    for (field, uids) in [("succeeded", &uncounted.succeeded), ("failed", &uncounted.failed)] {
        for (index, uid) in uids.iter().flatten().enumerate() {
            let at = format!("status.uncountedTerminatedPods.{field}[{index}]");
            if uid.is_empty() {
                errors.invalid(at, uid.as_str(), "must not be empty");
            } else if !seen.insert(uid) {
                errors.duplicate(at, uid.as_str());
            }
        }
    }
}

impl Change<'_> {
    /// Whether the write sets or takes away one of these.
    fn changes(&self, kinds: &[&str]) -> bool {
        kinds.iter().any(|kind| has(self.old, kind) != has(self.new, kind))
    }

    fn changes_finish(&self) -> bool {
        is_finished(self.old) != is_finished(self.new)
    }

    fn conditions(&self, errors: &mut ErrorList) {
        let (is, was) = (|kind| has(self.new, kind), |kind| has(self.old, kind));
        // upstream leaves the value out
        let mut refused = |why: String| {
            errors.push("FieldValueInvalid", "status.conditions", format!("Invalid value: {why}"));
        };
        let both = |a: &str, b: &str| format!("cannot set {a} and {b} conditions");
        if self.changes(&[COMPLETE, FAILED]) && is(COMPLETE) && is(FAILED) {
            refused(both("Complete=True", "Failed=true"));
        }
        if self.changes(&[COMPLETE, FAILURE_TARGET]) && is(COMPLETE) && is(FAILURE_TARGET) {
            refused(both("Complete=True", "FailureTarget=true"));
        }
        if (self.changes(&[FAILED]) || self.new.failed_indexes != self.old.failed_indexes)
            && is(FAILED)
            && !is(FAILURE_TARGET)
        {
            refused("cannot set Failed=True condition without the FailureTarget=true condition".to_owned());
        }
        if self.changes(&[COMPLETE, SUCCESS_CRITERIA_MET]) && is(COMPLETE) && !is(SUCCESS_CRITERIA_MET) {
            let why = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
            refused(why.to_owned());
        }
        if is(SUCCESS_CRITERIA_MET) && is(FAILED) {
            refused(both("SuccessCriteriaMet=True", "Failed=true"));
        }
        if is(SUCCESS_CRITERIA_MET) && is(FAILURE_TARGET) {
            refused(both("SuccessCriteriaMet=True", "FailureTarget=true"));
        }
        if self.spec.success_policy.is_some() && is(COMPLETE) && !is(SUCCESS_CRITERIA_MET) {
            let why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            refused(why.to_owned());
        }
        for kind in [FAILED, COMPLETE, FAILURE_TARGET] {
            if was(kind) && !is(kind) {
                refused(format!("cannot disable the terminal {kind}=True condition"));
            }
        }
        if was(SUCCESS_CRITERIA_MET) && !is(SUCCESS_CRITERIA_MET) {
            refused("cannot disable the SuccessCriteriaMet=True condition".to_owned());
        }
        if was(COMPLETE) && !was(SUCCESS_CRITERIA_MET) && is(SUCCESS_CRITERIA_MET) {
            let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            refused(why.to_owned());
        }
    }

    fn times(&self, errors: &mut ErrorList) {
        let (start, completion) = (&self.new.start_time, &self.new.completion_time);
        let at = "status.completionTime";
        let changes_start = *start != self.old.start_time;
        let changes_completion = *completion != self.old.completion_time;
        let is_complete = has(self.new, COMPLETE);
        if self.changes(&[COMPLETE]) || changes_completion {
            if completion.is_some() && !is_complete {
                let why = "cannot set completionTime when there is no Complete=True condition";
                errors.invalid(at, json!(completion), why);
            }
            if completion.is_none() && is_complete {
                errors.required(at, "completionTime is required for Complete jobs");
            }
        }
        if (changes_start || changes_completion)
            && let (Some(start), Some(completion)) = (start, completion)
            && completion.0 < start.0
        {
            errors.invalid(at, json!(completion), "completionTime cannot be set before startTime");
        }
        if completion.is_some() && self.old.completion_time.is_some() && changes_completion {
            errors.invalid(at, json!(completion), "completionTime cannot be mutated");
        }
        if (self.changes_finish() || changes_start) && start.is_none() && is_finished(self.new) {
            errors.required("status.startTime", "startTime is required for finished job");
        }
        // one that goes on begins anew, also where whoever suspended it has left it its time
        let goes_on = has(self.old, SUSPENDED) && start.is_some();
        let is_suspended = self.spec.suspend == Some(true) || goes_on;
        if changes_start && self.old.start_time.is_some() && !is_suspended {
            errors.required("status.startTime", "startTime cannot be removed for unsuspended job");
        }
    }

    fn pods(&self, errors: &mut ErrorList) {
        let (new, old) = (self.new, self.old);
        let (is_finished, finish) = (is_finished(new), self.changes_finish());
        let (active, terminating) = (new.active.unwrap_or(0), new.terminating.unwrap_or(0));
        let changes_active = new.active.unwrap_or(0) != old.active.unwrap_or(0);
        if (finish || changes_active) && is_finished && active > 0 {
            errors.invalid("status.active", active, "active>0 is invalid for finished job");
        }
        if (finish || new.terminating != old.terminating) && is_finished && terminating > 0 {
            errors.invalid("status.terminating", terminating, "terminating>0 is invalid for finished job");
        }
        if (changes_active || new.ready != old.ready)
            && let Some(ready) = new.ready.filter(|ready| *ready > active)
        {
            errors.invalid("status.ready", ready, "cannot set more ready pods than active");
        }
        let uncounted = &new.uncounted_terminated_pods;
        let is_left = uncounted
            .as_ref()
            .is_some_and(|pods| pods.succeeded.iter().chain(&pods.failed).any(|uids| !uids.is_empty()));
        if (finish || *uncounted != old.uncounted_terminated_pods) && is_finished && is_left {
            let why = "uncountedTerminatedPods needs to be empty for finished job";
            errors.invalid("status.uncountedTerminatedPods", json!(uncounted), why);
        }
    }

    fn indexes(&self, errors: &mut ErrorList) {
        let completed = self.new.completed_indexes.as_deref().unwrap_or_default();
        let failed = self.new.failed_indexes.as_deref();
        let changes_completed = completed != self.old.completed_indexes.as_deref().unwrap_or_default();
        let changes_failed = failed != self.old.failed_indexes.as_deref();
        let (at_completed, at_failed) = ("status.completedIndexes", "status.failedIndexes");
        let count = self.spec.completions;
        let parse = |text: &str| count.map(|count| Indexes::parse(text, count));
        if changes_completed && let Some(Err(why)) = parse(completed) {
            errors.invalid(at_completed, completed, format_args!("error parsing completedIndexes: {why}"));
        }
        let is_limited = self.spec.backoff_limit_per_index.is_some();
        if changes_failed
            && is_limited
            && let Some(Err(why)) = failed.and_then(parse)
        {
            errors.invalid(at_failed, json!(failed), format_args!("error parsing failedIndexes: {why}"));
        }
        if changes_completed && !completed.is_empty() && !is_indexed(self.spec) {
            let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
            errors.invalid(at_completed, completed, why);
        }
        if changes_failed && !is_limited && failed.is_some() {
            let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            errors.invalid(at_failed, json!(failed), why);
        }
        if (changes_completed || changes_failed)
            && let (Some(Ok(completed)), Some(Ok(failed))) = (parse(completed), failed.and_then(parse))
            && let Some(index) = completed.first_common(&failed)
        {
            let why = format!("failedIndexes and completedIndexes overlap at index: {index}");
            errors.invalid(at_failed, json!(self.new.failed_indexes), why);
        }
    }

    fn counters(&self, errors: &mut ErrorList) {
        let fewer = |new: Option<i32>, old: Option<i32>| new.unwrap_or(0) < old.unwrap_or(0);
        if fewer(self.new.failed, self.old.failed) {
            let failed = self.new.failed.unwrap_or(0);
            errors.invalid("status.failed", failed, "cannot decrease the failed counter");
        }
        // one whose indexes may all run at once may be made smaller
        let is_elastic = is_indexed(self.spec) && self.spec.completions == self.spec.parallelism;
        if fewer(self.new.succeeded, self.old.succeeded) && !is_elastic {
            let succeeded = self.new.succeeded.unwrap_or(0);
            errors.invalid("status.succeeded", succeeded, "cannot decrease the succeeded counter");
        }
    }
}

#[cfg(test)]
mod tests;
