//! What a Job's spec may say: upstream's `ValidateJobSpec`, also for the template of a CronJob.

use super::pod_validation::template_that_ends;
use crate::ErrorList;
use crate::indexes::Indexes;
use k8s_openapi::api::batch::v1::{JobSpec, PodFailurePolicy, PodFailurePolicyRule, SuccessPolicy};
use std::collections::BTreeSet;

// upstream's bounds: of a failure policy, and of what an Indexed job keeps account of
const MOST_RULES: usize = 20;
const MOST_VALUES: usize = 255;
const MOST_PARALLEL_INDEXES: i32 = 100_000;
const MOST_FAILED_INDEXES: i32 = 100_000;
/// Of more completions than these, where each index has a limit of its own, not so many run and fail at once: what the status
/// says of them stays short.
const MANY_COMPLETIONS: i32 = 100_000;
const MOST_OF_MANY: i32 = 10_000;
const LONGEST_INDEXES: usize = 64 * 1024;
const LONGEST_MANAGER: usize = 63;

pub(super) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

pub(super) fn spec(spec: &JobSpec, at: &str, errors: &mut ErrorList) {
    let numbers = [
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index),
        ("maxFailedIndexes", spec.max_failed_indexes),
    ];
    for (field, number) in numbers {
        super::workloads::at_least_zero(&format!("{at}.{field}"), number, errors);
    }
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| *seconds < 0) {
        let field = format!("{at}.activeDeadlineSeconds");
        errors.invalid(field, seconds, "must be greater than or equal to 0");
    }
    mode(spec, at, errors);
    if let Some(manager) = &spec.managed_by {
        let field = format!("{at}.managedBy");
        if manager.split_once('/').is_none_or(|(domain, path)| domain.is_empty() || path.is_empty()) {
            errors.invalid(
                field,
                manager.as_str(),
                "must be a domain-prefixed path (such as \"acme.io/foo\")",
            );
        } else if manager.len() > LONGEST_MANAGER {
            errors.too_long(field, LONGEST_MANAGER);
        }
    }
    if let Some(policy) = &spec.pod_failure_policy {
        failure_policy(policy, spec, &format!("{at}.podFailurePolicy"), errors);
    }
    if let Some(policy) = &spec.success_policy {
        let field = format!("{at}.successPolicy");
        match is_indexed(spec) {
            true => success_policy(policy, spec.completions.unwrap_or(0), &field, errors),
            false => errors.invalid(field, serde_json::json!(policy), "requires indexed completion mode"),
        }
    }
    replacement_policy(spec, at, errors);
    let needs_never = match (&spec.pod_failure_policy, spec.backoff_limit_per_index) {
        (Some(_), _) => Some("podFailurePolicy"),
        (None, Some(_)) => Some("backoffLimitPerIndex"),
        (None, None) => None,
    };
    template_that_ends(&spec.template, &format!("{at}.template"), errors);
    let restarts = spec.template.spec.as_ref().and_then(|s| s.restart_policy.as_deref());
    if let Some(field) = needs_never
        && restarts == Some("OnFailure")
    {
        let why = format!("only \"Never\" is supported when {field} is specified");
        errors.invalid(format!("{at}.template.spec.restartPolicy"), restarts.map(str::to_owned), why);
    }
}

fn mode(spec: &JobSpec, at: &str, errors: &mut ErrorList) {
    let mode = spec.completion_mode.as_deref().unwrap_or("NonIndexed");
    if !["NonIndexed", "Indexed"].contains(&mode) {
        errors.not_supported(format!("{at}.completionMode"), mode, &["Indexed", "NonIndexed"]);
    }
    if is_indexed(spec) {
        if spec.completions.is_none() {
            let why = "when completion mode is Indexed";
            errors.required(format!("{at}.completions"), why);
        }
        if let Some(many) = spec.parallelism.filter(|count| *count > MOST_PARALLEL_INDEXES) {
            let why = format!(
                "must be less than or equal to {MOST_PARALLEL_INDEXES} when completion mode is Indexed"
            );
            errors.invalid(format!("{at}.parallelism"), many, why);
        }
        if let (Some(failed), Some(all)) = (spec.max_failed_indexes, spec.completions)
            && failed > all
        {
            let why = "must be less than or equal to completions";
            errors.invalid(format!("{at}.maxFailedIndexes"), failed, why);
        }
        if let Some(failed) = spec.max_failed_indexes.filter(|failed| *failed > MOST_FAILED_INDEXES) {
            let why = format!("must be less than or equal to {MOST_FAILED_INDEXES}");
            errors.invalid(format!("{at}.maxFailedIndexes"), failed, why);
        }
        many_completions(spec, at, errors);
    } else if let Some(limit) = spec.backoff_limit_per_index {
        errors.invalid(format!("{at}.backoffLimitPerIndex"), limit, "requires indexed completion mode");
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        errors.required(format!("{at}.backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
}

fn many_completions(spec: &JobSpec, at: &str, errors: &mut ErrorList) {
    if spec.completions.is_none_or(|all| all <= MANY_COMPLETIONS) || spec.backoff_limit_per_index.is_none() {
        return;
    }
    if spec.max_failed_indexes.is_none() {
        let why = format!("must be specified when completions is above {MANY_COMPLETIONS}");
        errors.required(format!("{at}.maxFailedIndexes"), &why);
    }
    for (field, number) in [("parallelism", spec.parallelism), ("maxFailedIndexes", spec.max_failed_indexes)]
    {
        if let Some(number) = number.filter(|number| *number > MOST_OF_MANY) {
            let why = format!(
                "must be less than or equal to {MOST_OF_MANY} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
            );
            errors.invalid(format!("{at}.{field}"), number, why);
        }
    }
}

fn replacement_policy(spec: &JobSpec, at: &str, errors: &mut ErrorList) {
    let policy = spec.pod_replacement_policy.as_deref().unwrap_or("TerminatingOrFailed");
    let known: &[&str] = match spec.pod_failure_policy.is_some() {
        true => &["Failed"],
        false => &["Failed", "TerminatingOrFailed"],
    };
    if !known.contains(&policy) {
        errors.not_supported(format!("{at}.podReplacementPolicy"), policy, known);
    }
}

fn failure_policy(policy: &PodFailurePolicy, spec: &JobSpec, at: &str, errors: &mut ErrorList) {
    if policy.rules.len() > MOST_RULES {
        errors.too_many(format!("{at}.rules"), policy.rules.len(), MOST_RULES);
    }
    let pod = spec.template.spec.as_ref();
    let containers = pod.iter().flat_map(|s| s.containers.iter().chain(s.init_containers.iter().flatten()));
    let containers: BTreeSet<&str> = containers.map(|container| container.name.as_str()).collect();
    for (index, rule) in policy.rules.iter().enumerate() {
        failure_rule(rule, spec, &containers, &format!("{at}.rules[{index}]"), errors);
    }
}

fn failure_rule(
    rule: &PodFailurePolicyRule,
    spec: &JobSpec,
    containers: &BTreeSet<&str>,
    at: &str,
    errors: &mut ErrorList,
) {
    let known = ["Count", "FailIndex", "FailJob", "Ignore"];
    match rule.action.as_str() {
        "" => errors.required(
            format!("{at}.action"),
            "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
        ),
        "FailIndex" if spec.backoff_limit_per_index.is_none() => {
            errors.invalid(
                format!("{at}.action"),
                "FailIndex",
                "requires the backoffLimitPerIndex to be set",
            );
        }
        action if !known.contains(&action) => errors.not_supported(format!("{at}.action"), action, &known),
        _ => {}
    }
    let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
    match (&rule.on_exit_codes, patterns.is_empty()) {
        (Some(_), false) => errors.invalid(
            at,
            serde_json::json!(rule),
            "specifying both OnExitCodes and OnPodConditions is not supported",
        ),
        (None, true) => errors.invalid(
            at,
            serde_json::json!(rule),
            "specifying one of OnExitCodes and OnPodConditions is required",
        ),
        _ => {}
    }
    if patterns.len() > MOST_RULES {
        errors.too_many(format!("{at}.onPodConditions"), patterns.len(), MOST_RULES);
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let at = format!("{at}.onPodConditions[{index}]");
        if let Err(why) = super::names::qualified(&pattern.type_) {
            errors.invalid(format!("{at}.type"), pattern.type_.as_str(), why);
        }
        let status = pattern.status.as_deref().unwrap_or_default();
        if !["False", "True", "Unknown"].contains(&status) {
            errors.not_supported(format!("{at}.status"), status, &["False", "True", "Unknown"]);
        }
    }
    let Some(codes) = &rule.on_exit_codes else { return };
    let at = format!("{at}.onExitCodes");
    if !["In", "NotIn"].contains(&codes.operator.as_str()) {
        errors.not_supported(format!("{at}.operator"), codes.operator.as_str(), &["In", "NotIn"]);
    }
    if let Some(name) = codes.container_name.as_deref().filter(|name| !containers.contains(name)) {
        errors.invalid(
            format!("{at}.containerName"),
            name,
            "must be one of the container or initContainer names in the pod template",
        );
    }
    if codes.values.is_empty() {
        errors.invalid(
            format!("{at}.values"),
            serde_json::json!(codes.values),
            "at least one value is required",
        );
    } else if codes.values.len() > MOST_VALUES {
        errors.too_many(format!("{at}.values"), codes.values.len(), MOST_VALUES);
    }
    let mut seen = BTreeSet::new();
    for (index, value) in codes.values.iter().enumerate() {
        let is_new = seen.insert(*value);
        let at = || format!("{at}.values[{index}]");
        if *value == 0 && codes.operator == "In" {
            errors.invalid(at(), *value, "must not be 0 for the In operator");
        } else if !is_new {
            errors.duplicate(at(), *value);
        }
    }
    if !codes.values.is_sorted() {
        errors.invalid(format!("{at}.values"), serde_json::json!(codes.values), "must be ordered");
    }
}

fn success_policy(policy: &SuccessPolicy, completions: i32, at: &str, errors: &mut ErrorList) {
    if policy.rules.is_empty() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        return errors.required(format!("{at}.rules"), why);
    }
    if policy.rules.len() > MOST_RULES {
        errors.too_many(format!("{at}.rules"), policy.rules.len(), MOST_RULES);
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        let at = format!("{at}.rules[{index}]");
        let mut most = completions;
        if rule.succeeded_indexes.as_ref().is_some_and(|text| text.len() > LONGEST_INDEXES) {
            errors.too_long(format!("{at}.succeededIndexes"), LONGEST_INDEXES);
            continue;
        }
        match rule.succeeded_indexes.as_deref().map(|text| (text, Indexes::parse(text, completions))) {
            Some((text, Err(why))) => {
                errors.invalid(
                    format!("{at}.succeededIndexes"),
                    text,
                    format!("error parsing succeededIndexes: {why}"),
                );
            }
            Some((_, Ok(indexes))) => most = indexes.count(),
            None if rule.succeeded_count.is_none() => {
                errors.required(&at, "at least one of succeededCount or succeededIndexes must be specified");
            }
            None => {}
        }
        match rule.succeeded_count {
            Some(count) if count < 1 => {
                errors.invalid(format!("{at}.succeededCount"), count, "must be greater than 0");
            }
            Some(count) if count > most => {
                let why = match rule.succeeded_indexes.is_some() {
                    true => format!(
                        "must be less than or equal to {most} (the number of indexes in the specified succeededIndexes field)"
                    ),
                    false => {
                        format!("must be less than or equal to {most} (the number of specified completions)")
                    }
                };
                errors.invalid(format!("{at}.succeededCount"), count, why);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
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
                "spec.completionMode: Unsupported value: \"x\": supported values: \"Indexed\", \"NonIndexed\"",
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
                indexed(
                    json!({"backoffLimitPerIndex": 1, "completions": 100_000, "maxFailedIndexes": 100_000}),
                ),
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
                "spec.podFailurePolicy.rules[0]: Invalid value: {\"action\":\"Ignore\"}: specifying one of OnExitCodes and OnPodConditions is required",
            ),
            (
                "an index of no limit",
                rules(json!({"action": "FailIndex", "onPodConditions": [{"type": "X", "status": "True"}]})),
                "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
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
}
