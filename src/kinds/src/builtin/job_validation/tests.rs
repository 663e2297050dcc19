use super::*;
use serde_json::{Value, json};

#[test]
fn a_spec_is_refused_in_upstreams_words() {
    let indexed = |more: Value| {
        let mut spec = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let rules = |rule: Value| json!({"podFailurePolicy": {"rules": [rule]}});
    let on_exit = |values: Value, operator: &str| {
        rules(json!({"action": "FailJob", "onExitCodes": {"operator": operator, "values": values}}))
    };
    let success = |rule: Value| indexed(json!({"successPolicy": {"rules": [rule]}}));
    // (name, spec, the field that is wrong and how; nothing where it is good)
    let cases = [
        ("plain", json!({}), ""),
        (
            "negative",
            json!({"parallelism": -1}),
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "a mode that there is not",
            json!({"completionMode": "x"}),
            "spec.completionMode: Unsupported value: \"x\": supported values: \"NonIndexed\", \"Indexed\"",
        ),
        (
            "indexed without a count",
            json!({"completionMode": "Indexed", "parallelism": 2}),
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        ("indexed", indexed(json!({})), ""),
        (
            "a limit for no index",
            json!({"backoffLimitPerIndex": 1}),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            "more failed than all",
            indexed(json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 4})),
            "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
        ),
        (
            "as many as there can be",
            json!({"completionMode": "Indexed", "completions": i32::MAX, "parallelism": 1,
                "successPolicy": {"rules": [{"succeededIndexes": "0-2147483646", "succeededCount": 1}]}}),
            "",
        ),
        (
            "more indexes than a policy may name",
            success(json!({"succeededIndexes": "0,".repeat(LONGEST_INDEXES)})),
            "spec.successPolicy.rules[0].succeededIndexes: Too long: may not be more than 65536 bytes",
        ),
        (
            "many with a limit for each",
            indexed(json!({"backoffLimitPerIndex": 1, "completions": 100_001, "parallelism": 10_001})),
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000; \
             spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above \
             100000 and used with backoff limit per index",
        ),
        (
            "very many that fail",
            indexed(json!({"backoffLimitPerIndex": 1, "completions": 100_000, "maxFailedIndexes": 100_000})),
            "",
        ),
        (
            "failed without a limit",
            indexed(json!({"maxFailedIndexes": 1})),
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        ),
        ("a manager", json!({"managedBy": "acme.io/x"}), ""),
        (
            "no manager",
            json!({"managedBy": "x"}),
            "spec.managedBy: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
        ("a manager without a name", json!({"managedBy": ""}), "spec.managedBy: Required value"),
        (
            "a manager of no domain",
            json!({"managedBy": "acme.io/a b"}),
            "spec.managedBy: Invalid value: \"a b\": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
        ),
        (
            "replaced",
            json!({"podReplacementPolicy": "x"}),
            "spec.podReplacementPolicy: Unsupported value: \"x\": supported values: \"Failed\", \"TerminatingOrFailed\"",
        ),
        ("codes", on_exit(json!([1, 2]), "In"), ""),
        (
            "success as a failure",
            on_exit(json!([0]), "In"),
            "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
        ),
        (
            "twice",
            on_exit(json!([1, 1]), "In"),
            "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Duplicate value: 1",
        ),
        (
            "neither",
            rules(json!({"action": "Ignore"})),
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ),
        (
            "an index of no limit",
            rules(json!({"action": "FailIndex", "onPodConditions": [{"type": "X", "status": "True"}]})),
            "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
        ),
        (
            "both",
            rules(
                json!({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}, "onPodConditions": [{"type": "X"}]}),
            ),
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
        ),
        (
            "no operator",
            on_exit(json!([0]), ""),
            "spec.podFailurePolicy.rules[0].onExitCodes.operator: Required value: valid values: [\"In\" \"NotIn\"]",
        ),
        (
            "failures of no index",
            json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 1}),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode; \
             spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
        ),
        (
            "success of more than are named",
            success(json!({"succeededIndexes": "0-1", "succeededCount": 4})),
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified \
             completions); spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 2 (the number of \
             indexes in the specified succeededIndexes field)",
        ),
        (
            "success of less than none",
            success(json!({"succeededCount": -1})),
            "spec.successPolicy.rules[0].succeededCount: Invalid value: -1: must be greater than or equal to 0",
        ),
        ("success of some", success(json!({"succeededIndexes": "0-1", "succeededCount": 1})), ""),
        (
            "success of none",
            success(json!({})),
            "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
        ),
        (
            "success of too many",
            success(json!({"succeededCount": 4})),
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)",
        ),
        (
            "an index that there is not",
            success(json!({"succeededIndexes": "3"})),
            "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"3\": error parsing succeededIndexes: too large index: \"3\"",
        ),
    ];
    for (name, more, want) in cases {
        let mut given = json!({
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}},
        });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut spec: JobSpec = serde_json::from_value(given).unwrap();
        super::super::job::spec_defaults(&mut spec);
        let mut errors = ErrorList::default();
        super::spec(&spec, "spec", &mut errors);
        let said: Vec<String> =
            errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        assert_eq!(said.join("; "), want, "{name}");
    }
}

#[test]
fn a_limit_of_each_index_bears_pods_that_restart_and_a_failure_policy_does_not() {
    let policy = json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "X"}]}]});
    for (name, more, want) in [
        ("a limit", json!({"completionMode": "Indexed", "completions": 3, "backoffLimitPerIndex": 1}), ""),
        (
            "a policy",
            json!({"podFailurePolicy": policy}),
            "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified",
        ),
    ] {
        let mut given = json!({"template": {"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "i"}]}}});
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut spec: JobSpec = serde_json::from_value(given).unwrap();
        super::super::job::spec_defaults(&mut spec);
        let mut errors = ErrorList::default();
        super::spec(&spec, "spec", &mut errors);
        let said: Vec<String> =
            errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        assert_eq!(said.join("; "), want, "{name}");
    }
}

#[test]
fn pods_that_never_end_are_no_job() {
    for (policy, want) in [
        (
            "Always",
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        ("OnFailure", ""),
        ("Never", ""),
    ] {
        let template =
            json!({"spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]}});
        let mut spec: JobSpec = serde_json::from_value(json!({"template": template})).unwrap();
        super::super::job::spec_defaults(&mut spec);
        let mut errors = ErrorList::default();
        super::spec(&spec, "spec", &mut errors);
        let said: Vec<String> =
            errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        assert_eq!(said.join("; "), want, "{policy}");
    }
}
