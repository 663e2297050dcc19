//! What a Job's spec may say: upstream's `ValidateJobSpec`, also for the template of a CronJob.

#[cfg(test)]
mod tests;

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
        super::checks::domain_prefixed_path(manager, &field, errors);
        if manager.len() > LONGEST_MANAGER {
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
    template_that_ends(&spec.template, &format!("{at}.template"), errors);
    let restarts = spec.template.spec.as_ref().and_then(|s| s.restart_policy.as_deref());
    if spec.pod_failure_policy.is_some() && restarts == Some("OnFailure") {
        let why = "only \"Never\" is supported when podFailurePolicy is specified";
        errors.invalid(format!("{at}.template.spec.restartPolicy"), restarts.map(str::to_owned), why);
    }
}

fn mode(spec: &JobSpec, at: &str, errors: &mut ErrorList) {
    let mode = spec.completion_mode.as_deref().unwrap_or("NonIndexed");
    if !["NonIndexed", "Indexed"].contains(&mode) {
        // in the order in which upstream names them
        return errors.not_supported(format!("{at}.completionMode"), mode, &["NonIndexed", "Indexed"]);
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
    } else {
        for (field, number) in [
            ("backoffLimitPerIndex", spec.backoff_limit_per_index),
            ("maxFailedIndexes", spec.max_failed_indexes),
        ] {
            if let Some(number) = number {
                errors.invalid(format!("{at}.{field}"), number, "requires indexed completion mode");
            }
        }
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
        (Some(_), false) => {
            unshown(at, "specifying both OnExitCodes and OnPodConditions is not supported", errors);
        }
        (None, true) => {
            unshown(at, "specifying one of OnExitCodes and OnPodConditions is required", errors);
        }
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
    if codes.operator.is_empty() {
        errors.required(format!("{at}.operator"), "valid values: [\"In\" \"NotIn\"]");
    } else if !["In", "NotIn"].contains(&codes.operator.as_str()) {
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
        }
        if !is_new {
            errors.duplicate(at(), *value);
        }
    }
    if !codes.values.is_sorted() {
        errors.invalid(format!("{at}.values"), serde_json::json!(codes.values), "must be ordered");
    }
}

/// Upstream does not show the whole rule.
fn unshown(at: &str, why: &str, errors: &mut ErrorList) {
    errors.push("FieldValueInvalid", at, format!("Invalid value: {why}"));
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
        if rule.succeeded_indexes.as_ref().is_some_and(|text| text.len() > LONGEST_INDEXES) {
            errors.too_long(format!("{at}.succeededIndexes"), LONGEST_INDEXES);
            continue;
        }
        let indexes = rule.succeeded_indexes.as_deref();
        if indexes.is_none() && rule.succeeded_count.is_none() {
            errors.required(&at, "at least one of succeededCount or succeededIndexes must be specified");
        }
        let named = indexes.map(|text| match Indexes::parse(text, completions) {
            Ok(indexes) => indexes.count(),
            Err(why) => {
                let why = format!("error parsing succeededIndexes: {why}");
                errors.invalid(format!("{at}.succeededIndexes"), text, why);
                0
            }
        });
        let Some(count) = rule.succeeded_count else { continue };
        let field = format!("{at}.succeededCount");
        super::checks::not_negative(count.into(), &field, errors);
        if count > completions {
            let why =
                format!("must be less than or equal to {completions} (the number of specified completions)");
            errors.invalid(&field, count, why);
        }
        if let Some(named) = named.filter(|named| count > *named) {
            let why = format!(
                "must be less than or equal to {named} (the number of indexes in the specified succeededIndexes field)"
            );
            errors.invalid(&field, count, why);
        }
    }
}
