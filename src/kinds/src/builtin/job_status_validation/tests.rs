//! What a status may say, and what is said of one that may not.

use super::*;
use serde_json::Value;

fn job(spec: &Value, status: &Value) -> Job {
    serde_json::from_value(json!({"metadata": {"name": "j"}, "spec": spec, "status": status})).unwrap()
}

fn said(spec: &Value, old: &Value, new: &Value) -> String {
    let mut errors = ErrorList::default();
    validate(&job(spec, new), &job(spec, old), &mut errors);
    let causes = errors.into_causes().into_iter();
    causes.map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>().join("; ")
}

fn at(hour: u8) -> String {
    format!("2026-01-01T{hour:02}:00:00Z")
}

fn with(mut status: Value, conditions: &[&str]) -> Value {
    let each = conditions.iter().map(|kind| json!({"type": kind, "status": "True"}));
    status["conditions"] = each.collect::<Vec<_>>().into();
    status
}

#[test]
fn how_a_job_may_end() {
    let ran = || json!({"startTime": at(1)});
    let done = || json!({"startTime": at(1), "completionTime": at(2)});
    let (complete, failed) = ([SUCCESS_CRITERIA_MET, COMPLETE], [FAILURE_TARGET, FAILED]);
    let cases = [
        ("it succeeds", ran(), with(done(), &complete), ""),
        ("it fails", ran(), with(ran(), &failed), ""),
        (
            "it succeeds without a word",
            ran(),
            with(done(), &[COMPLETE]),
            "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (
            "it fails without a word",
            ran(),
            with(ran(), &[FAILED]),
            "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            "it never began",
            json!({}),
            with(json!({}), &failed),
            "status.startTime: Required value: startTime is required for finished job",
        ),
        (
            "nobody knows when",
            ran(),
            with(ran(), &complete),
            "status.completionTime: Required value: completionTime is required for Complete jobs",
        ),
        (
            "it goes on",
            ran(),
            done(),
            "status.completionTime: Invalid value: \"2026-01-01T02:00:00Z\": cannot set completionTime when there is no Complete=True condition",
        ),
        (
            "before it began",
            json!({"startTime": at(3)}),
            with(json!({"startTime": at(3), "completionTime": at(2)}), &complete),
            "status.completionTime: Invalid value: \"2026-01-01T02:00:00Z\": completionTime cannot be set before startTime",
        ),
        (
            "once more",
            with(done(), &complete),
            with(json!({"startTime": at(1), "completionTime": at(3)}), &complete),
            "status.completionTime: Invalid value: \"2026-01-01T03:00:00Z\": completionTime cannot be mutated",
        ),
        (
            "and not at all",
            with(ran(), &failed),
            with(ran(), &[FAILURE_TARGET]),
            "status.conditions: Invalid value: cannot disable the terminal Failed=True condition",
        ),
        (
            "with pods that run",
            ran(),
            with(json!({"startTime": at(1), "active": 1, "terminating": 2}), &failed),
            "status.active: Invalid value: 1: active>0 is invalid for finished job; \
             status.terminating: Invalid value: 2: terminating>0 is invalid for finished job",
        ),
        (
            "with pods that are not counted",
            ran(),
            with(json!({"startTime": at(1), "uncountedTerminatedPods": {"failed": ["a"]}}), &failed),
            "status.uncountedTerminatedPods: Invalid value: {\"failed\":[\"a\"]}: uncountedTerminatedPods needs to be empty for finished job",
        ),
        ("what was wrong before", with(ran(), &[COMPLETE]), with(ran(), &[COMPLETE, SUSPENDED]), ""),
    ];
    for (name, old, new, want) in cases {
        assert_eq!(said(&json!({"template": {}}), &old, &new), want, "{name}");
    }
}

#[test]
fn when_a_job_began() {
    let (running, suspended) = (json!({"template": {}}), json!({"template": {}, "suspend": true}));
    let (early, late) = (json!({"startTime": at(1)}), json!({"startTime": at(2)}));
    let moved = "status.startTime: Required value: startTime cannot be removed for unsuspended job";
    let cases = [
        ("it begins", &running, json!({}), early.clone(), ""),
        ("another time", &running, early.clone(), late.clone(), moved),
        ("no time", &running, early.clone(), json!({}), moved),
        ("suspended", &suspended, early.clone(), with(json!({}), &[SUSPENDED]), ""),
        ("it goes on", &running, with(early, &[SUSPENDED]), late, ""),
    ];
    for (name, spec, old, new, want) in cases {
        assert_eq!(said(spec, &old, &new), want, "{name}");
    }
}

#[test]
fn how_many_and_which() {
    let plain = json!({"template": {}, "completions": 5});
    let indexed = json!({"template": {}, "completions": 5, "parallelism": 2, "completionMode": "Indexed",
        "backoffLimitPerIndex": 1});
    let mut elastic = indexed.clone();
    elastic["parallelism"] = 5.into();
    let cases = [
        (
            "fewer than none",
            &plain,
            json!({}),
            json!({"active": -1}),
            "status.active: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "fewer than before",
            &indexed,
            json!({"failed": 2, "succeeded": 2}),
            json!({"failed": 1, "succeeded": 1}),
            "status.failed: Invalid value: 1: cannot decrease the failed counter; \
             status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
        ),
        ("of one that was made smaller", &elastic, json!({"succeeded": 2}), json!({"succeeded": 1}), ""),
        (
            "more ready than there are",
            &plain,
            json!({}),
            json!({"active": 1, "ready": 2}),
            "status.ready: Invalid value: 2: cannot set more ready pods than active",
        ),
        (
            "one twice",
            &plain,
            json!({}),
            json!({"uncountedTerminatedPods": {"succeeded": ["a", "a", ""]}}),
            "status.uncountedTerminatedPods.succeeded[1]: Duplicate value: \"a\"; \
             status.uncountedTerminatedPods.succeeded[2]: Invalid value: \"\": must not be empty",
        ),
        ("indexes", &indexed, json!({}), json!({"completedIndexes": "0,2-3", "failedIndexes": "1"}), ""),
        (
            "indexes that there are not",
            &indexed,
            json!({}),
            json!({"completedIndexes": "5", "failedIndexes": "x"}),
            "status.completedIndexes: Invalid value: \"5\": error parsing completedIndexes: too large index: \"5\"; \
             status.failedIndexes: Invalid value: \"x\": error parsing failedIndexes: cannot convert string to integer for index: \"x\"",
        ),
        (
            "an index of both",
            &indexed,
            json!({}),
            json!({"completedIndexes": "0,2-3", "failedIndexes": "1,3"}),
            "status.failedIndexes: Invalid value: \"1,3\": failedIndexes and completedIndexes overlap at index: 3",
        ),
        (
            "of a job without",
            &plain,
            json!({}),
            json!({"completedIndexes": "1", "failedIndexes": "2"}),
            "status.completedIndexes: Invalid value: \"1\": cannot set non-empty completedIndexes when non-indexed completion mode; \
             status.failedIndexes: Invalid value: \"2\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
        ),
    ];
    for (name, spec, old, new, want) in cases {
        assert_eq!(said(spec, &old, &new), want, "{name}");
    }
}
