//! What a Job's status may become: upstream's `ValidateJobStatusUpdate`. Controllers of others that manage jobs
//! (`spec.managedBy`) are held to it as ours is. What is only asked of what changes is let be where it stands already.

use super::checks::{list, not_negative, text};
use super::job_validation::is_indexed;
use crate::ErrorList;
use crate::indexes::Indexes;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use serde_json::json;
use std::collections::BTreeSet;

const COMPLETE: &str = "Complete";
const FAILED: &str = "Failed";
const FAILURE_TARGET: &str = "FailureTarget";
const SUCCESS: &str = "SuccessCriteriaMet";

pub(super) fn validate(new: &Job, old: &Job, errors: &mut ErrorList) {
    let (none, nothing) = (JobStatus::default(), JobSpec::default());
    let update = Update {
        spec: new.spec.as_ref().unwrap_or(&nothing),
        new: new.status.as_ref().unwrap_or(&none),
        old: old.status.as_ref().unwrap_or(&none),
    };
    counts(update.new, errors);
    uncounted(update.new, errors);
    update.conditions(errors);
    update.times(errors);
    update.ends(errors);
    update.indexes(errors);
    update.stays(errors);
}

struct Update<'s> {
    spec: &'s JobSpec,
    new: &'s JobStatus,
    old: &'s JobStatus,
}

fn has(status: &JobStatus, kind: &str) -> bool {
    status.conditions.iter().flatten().any(|condition| condition.type_ == kind && condition.status == "True")
}

fn is_finished(status: &JobStatus) -> bool {
    has(status, COMPLETE) || has(status, FAILED)
}

fn counts(status: &JobStatus, errors: &mut ErrorList) {
    for (field, count) in [
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ] {
        not_negative(count.unwrap_or(0).into(), format_args!("status.{field}"), errors);
    }
}

fn uncounted(status: &JobStatus, errors: &mut ErrorList) {
    let Some(pods) = &status.uncounted_terminated_pods else { return };
    let mut seen = BTreeSet::new();
    for (field, uids) in [("succeeded", &pods.succeeded), ("failed", &pods.failed)] {
        for (index, uid) in list(uids).iter().enumerate() {
            let at = format!("status.uncountedTerminatedPods.{field}[{index}]");
            if uid.is_empty() {
                errors.invalid(at, uid.as_str(), "must not be empty");
            } else if !seen.insert(uid) {
                errors.duplicate(at, uid.as_str());
            }
        }
    }
}

impl Update<'_> {
    /// Some of what it is changes.
    fn changes(&self, is: impl Fn(&JobStatus) -> bool) -> bool {
        is(self.new) != is(self.old)
    }

    fn conditions(&self, errors: &mut ErrorList) {
        let any = |kinds: &[&str]| kinds.iter().any(|kind| self.changes(|status| has(status, kind)));
        let both = |one: &str, other: &str| has(self.new, one) && has(self.new, other);
        let without = |one: &str, other: &str| has(self.new, one) && !has(self.new, other);
        let mut tell = |is_wrong: bool, why: &str| {
            if is_wrong {
                // upstream leaves the value out: all conditions would be too many words
                errors.push("FieldValueInvalid", "status.conditions", format!("Invalid value: {why}"));
            }
        };
        tell(
            any(&[COMPLETE, FAILED]) && both(COMPLETE, FAILED),
            "cannot set Complete=True and Failed=true conditions",
        );
        tell(
            any(&[COMPLETE, FAILURE_TARGET]) && both(COMPLETE, FAILURE_TARGET),
            "cannot set Complete=True and FailureTarget=true conditions",
        );
        tell(
            any(&[FAILED, FAILURE_TARGET]) && without(FAILED, FAILURE_TARGET),
            "cannot set Failed=True condition without the FailureTarget=true condition",
        );
        tell(
            any(&[COMPLETE, SUCCESS]) && without(COMPLETE, SUCCESS),
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        );
        tell(both(SUCCESS, FAILED), "cannot set SuccessCriteriaMet=True and Failed=true conditions");
        tell(
            both(SUCCESS, FAILURE_TARGET),
            "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        );
        for kind in [FAILED, COMPLETE, FAILURE_TARGET] {
            let is_gone = has(self.old, kind) && !has(self.new, kind);
            tell(is_gone, &format!("cannot disable the terminal {kind}=True condition"));
        }
        let is_gone = has(self.old, SUCCESS) && !has(self.new, SUCCESS);
        tell(is_gone, "cannot disable the SuccessCriteriaMet=True condition");
        let is_late = has(self.old, COMPLETE) && !has(self.old, SUCCESS) && has(self.new, SUCCESS);
        tell(is_late, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
    }

    fn times(&self, errors: &mut ErrorList) {
        let field = "status.completionTime";
        let (start, end) = (&self.new.start_time, &self.new.completion_time);
        let ends = self.changes(|status| has(status, COMPLETE)) || *end != self.old.completion_time;
        match end {
            Some(_) if ends && !has(self.new, COMPLETE) => {
                let why = "cannot set completionTime when there is no Complete=True condition";
                errors.invalid(field, json!(end), why);
            }
            None if ends && has(self.new, COMPLETE) => {
                errors.required(field, "completionTime is required for Complete jobs");
            }
            _ => {}
        }
        if (ends || *start != self.old.start_time) && start.is_some() && end.is_some() && end < start {
            errors.invalid(field, json!(end), "completionTime cannot be set before startTime");
        }
        if end.is_some() && self.old.completion_time.is_some() && *end != self.old.completion_time {
            errors.invalid(field, json!(end), "completionTime cannot be mutated");
        }
        let never_ran = self.spec.suspend == Some(true) && self.spec.completions == Some(0);
        let begins = self.changes(is_finished) || *start != self.old.start_time;
        if begins && !never_ran && start.is_none() && is_finished(self.new) {
            errors.required("status.startTime", "startTime is required for finished job");
        }
    }

    /// What has ended has no pods that run, end, or are yet to be counted.
    fn ends(&self, errors: &mut ErrorList) {
        let finishes = self.changes(is_finished);
        for (field, new, old) in [
            ("active", self.new.active, self.old.active),
            ("terminating", self.new.terminating, self.old.terminating),
        ] {
            let count = new.unwrap_or(0);
            if (finishes || new != old) && count > 0 && is_finished(self.new) {
                let why = format_args!("{field}>0 is invalid for finished job");
                errors.invalid(format_args!("status.{field}"), count, why);
            }
        }
        let (pods, before) = (&self.new.uncounted_terminated_pods, &self.old.uncounted_terminated_pods);
        let some =
            pods.as_ref().filter(|pods| !list(&pods.succeeded).is_empty() || !list(&pods.failed).is_empty());
        if let Some(pods) = some.filter(|_| (finishes || pods != before) && is_finished(self.new)) {
            let why = "uncountedTerminatedPods needs to be empty for finished job";
            errors.invalid("status.uncountedTerminatedPods", json!(pods), why);
        }
        let (ready, active) = (self.new.ready.unwrap_or(0), self.new.active.unwrap_or(0));
        if (self.new.ready != self.old.ready || self.new.active != self.old.active) && ready > active {
            errors.invalid("status.ready", ready, "cannot set more ready pods than active");
        }
    }

    fn indexes(&self, errors: &mut ErrorList) {
        let completed = text(&self.new.completed_indexes);
        let failed = self.new.failed_indexes.as_deref();
        let completed_change = completed != text(&self.old.completed_indexes);
        let failed_change = failed != self.old.failed_indexes.as_deref();
        let parse = |text: &str| self.spec.completions.map(|count| Indexes::parse(text, count));
        let mut tell = |field: &str, text: &str, why: String| {
            errors.invalid(format_args!("status.{field}"), text, why);
        };
        if let Some(Err(why)) = parse(completed).filter(|_| completed_change) {
            tell("completedIndexes", completed, format!("error parsing completedIndexes: {why}"));
        }
        if completed_change && !completed.is_empty() && !is_indexed(self.spec) {
            let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
            tell("completedIndexes", completed, why.to_owned());
        }
        let Some(failed) = failed.filter(|_| failed_change) else { return };
        if self.spec.backoff_limit_per_index.is_none() {
            let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            tell("failedIndexes", failed, why.to_owned());
        } else if let Some(Err(why)) = parse(failed) {
            tell("failedIndexes", failed, format!("error parsing failedIndexes: {why}"));
        }
    }

    /// What was counted stays counted. Of an indexed job that is made smaller fewer indexes have succeeded.
    fn stays(&self, errors: &mut ErrorList) {
        let (failed, succeeded) = (self.new.failed.unwrap_or(0), self.new.succeeded.unwrap_or(0));
        if failed < self.old.failed.unwrap_or(0) {
            errors.invalid("status.failed", failed, "cannot decrease the failed counter");
        }
        if succeeded < self.old.succeeded.unwrap_or(0) && !is_indexed(self.spec) {
            errors.invalid("status.succeeded", succeeded, "cannot decrease the succeeded counter");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn job(spec: &Value, status: Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "j"}, "spec": spec, "status": status})).unwrap()
    }

    fn true_of(kinds: &[&str]) -> Value {
        kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect()
    }

    #[test]
    fn a_status_says_what_can_be() {
        let (start, end) = ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
        let plain = json!({"completions": 3, "template": {}});
        let indexed = json!({"completions": 3, "completionMode": "Indexed", "template": {}});
        let done =
            json!({"conditions": true_of(&[SUCCESS, COMPLETE]), "startTime": start, "completionTime": end});
        let with = |more: Value| {
            let mut status = done.clone();
            status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            status
        };
        let cases = [
            ("nothing", &plain, json!({}), json!({}), ""),
            ("it ends", &plain, json!({"active": 1, "startTime": start}), done.clone(), ""),
            (
                "it fails",
                &plain,
                json!({"startTime": start}),
                json!({"startTime": start, "conditions": true_of(&[FAILURE_TARGET, FAILED])}),
                "",
            ),
            (
                "less than none",
                &plain,
                json!({}),
                json!({"active": -1}),
                "status.active: Invalid value: -1: must be greater",
            ),
            (
                "without a word before",
                &plain,
                json!({"startTime": start}),
                json!({"startTime": start, "completionTime": end, "conditions": true_of(&[COMPLETE])}),
                "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
            ),
            (
                "success and failure",
                &plain,
                json!({}),
                json!({"conditions": true_of(&[SUCCESS, FAILURE_TARGET])}),
                "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
            ),
            (
                "it has not ended after all",
                &plain,
                done.clone(),
                json!({"startTime": start}),
                "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
            ),
            (
                "an end without a time",
                &plain,
                json!({"startTime": start}),
                with(json!({"completionTime": null})),
                "status.completionTime: Required value: completionTime is required for Complete jobs",
            ),
            (
                "a time without an end",
                &plain,
                json!({"startTime": start}),
                json!({"startTime": start, "completionTime": end}),
                "cannot set completionTime when there is no Complete=True condition",
            ),
            (
                "an end before the start",
                &plain,
                json!({}),
                with(json!({"startTime": end, "completionTime": start})),
                "completionTime cannot be set before startTime",
            ),
            (
                "another end",
                &plain,
                done.clone(),
                with(json!({"completionTime": "2026-01-01T00:02:00Z"})),
                "completionTime cannot be mutated",
            ),
            (
                "an end that never began",
                &plain,
                json!({}),
                with(json!({"startTime": null})),
                "status.startTime: Required value: startTime is required for finished job",
            ),
            (
                "an end with pods",
                &plain,
                json!({}),
                with(json!({"active": 1})),
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
            ),
            (
                "an end with pods that end",
                &plain,
                json!({}),
                with(json!({"terminating": 1})),
                "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
            ),
            (
                "an end with pods to be counted",
                &plain,
                json!({}),
                with(json!({"uncountedTerminatedPods": {"failed": ["u"]}})),
                "uncountedTerminatedPods needs to be empty for finished job",
            ),
            (
                "a pod that counts twice",
                &plain,
                json!({}),
                json!({"uncountedTerminatedPods": {"succeeded": ["u"], "failed": ["u"]}}),
                "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"u\"",
            ),
            (
                "more ready than there are",
                &plain,
                json!({}),
                json!({"active": 1, "ready": 2}),
                "status.ready: Invalid value: 2: cannot set more ready pods than active",
            ),
            (
                "indexes of none",
                &plain,
                json!({}),
                json!({"completedIndexes": "0"}),
                "cannot set non-empty completedIndexes when non-indexed completion mode",
            ),
            ("indexes", &indexed, json!({}), json!({"completedIndexes": "0,2"}), ""),
            (
                "an index that there is not",
                &indexed,
                json!({}),
                json!({"completedIndexes": "3"}),
                "status.completedIndexes: Invalid value: \"3\": error parsing completedIndexes: too large index: \"3\"",
            ),
            (
                "it stands there already",
                &indexed,
                json!({"completedIndexes": "3"}),
                json!({"completedIndexes": "3"}),
                "",
            ),
            (
                "failed indexes without a limit",
                &indexed,
                json!({}),
                json!({"failedIndexes": ""}),
                "cannot set non-null failedIndexes when backoffLimitPerIndex is null",
            ),
            (
                "fewer that failed",
                &plain,
                json!({"failed": 2}),
                json!({"failed": 1}),
                "status.failed: Invalid value: 1: cannot decrease the failed counter",
            ),
            (
                "fewer that succeeded",
                &plain,
                json!({"succeeded": 2}),
                json!({}),
                "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
            ),
            ("fewer indexes", &indexed, json!({"succeeded": 2}), json!({"succeeded": 1}), ""),
        ];
        for (name, spec, old, new, want) in cases {
            let mut errors = ErrorList::default();
            validate(&job(spec, new), &job(spec, old), &mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            let said = said.join("; ");
            assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}: {said}");
        }
    }
}
