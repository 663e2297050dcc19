//! What is wrong with a node affinity that a profile adds, in the words of upstream's `component-helpers/nodeaffinity`.

use k8s_openapi::api::core::v1::{NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm};
use kinds::ErrorList;
use kinds::builtin::names;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn check(affinity: &NodeAffinity, at: &str, errors: &mut ErrorList) {
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref();
    let terms = required.map(|selector| selector.node_selector_terms.as_slice()).unwrap_or_default();
    for (index, of) in terms.iter().enumerate() {
        term(of, &format!("{at}.{REQUIRED}.nodeSelectorTerms[{index}]"), errors);
    }
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (index, of) in preferred.enumerate() {
        term(&of.preference, &format!("{at}.{PREFERRED}[{index}].preference"), errors);
    }
}

fn term(term: &NodeSelectorTerm, at: &str, errors: &mut ErrorList) {
    for (index, rule) in term.match_expressions.iter().flatten().enumerate() {
        by_label(rule, &format!("{at}.matchExpressions[{index}]"), errors);
    }
    for (index, rule) in term.match_fields.iter().flatten().enumerate() {
        by_field(rule, &format!("{at}.matchFields[{index}]"), errors);
    }
}

fn by_label(rule: &NodeSelectorRequirement, at: &str, errors: &mut ErrorList) {
    let values = rule.values.as_deref().unwrap_or_default();
    if let Err(why) = names::qualified(&rule.key) {
        errors.invalid(format_args!("{at}.key"), rule.key.as_str(), why);
    }
    let why = match rule.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => "for 'in', 'notin' operators, values set can't be empty",
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            "values set must be empty for exists and does not exist"
        }
        "Gt" | "Lt" if values.len() != 1 => "for 'Gt', 'Lt' operators, exactly one value is required",
        _ => "",
    };
    if !why.is_empty() {
        errors.invalid(format_args!("{at}.values"), values.to_vec(), why);
    }
    match rule.operator.as_str() {
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        "Gt" | "Lt" => {
            for (index, value) in values.iter().enumerate().filter(|(_, value)| value.parse::<i64>().is_err())
            {
                let why = "for 'Gt', 'Lt' operators, the value must be an integer";
                errors.invalid(format_args!("{at}.values[{index}]"), value.as_str(), why);
            }
        }
        other => {
            let known = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
            errors.not_supported(format_args!("{at}.operator"), other, &known);
        }
    }
    for (index, value) in values.iter().enumerate() {
        if let Err(why) = names::label_value(value) {
            errors.invalid(format_args!("{at}.values[{index}]"), value.as_str(), why);
        }
    }
}

fn by_field(rule: &NodeSelectorRequirement, at: &str, errors: &mut ErrorList) {
    let values = rule.values.as_deref().unwrap_or_default();
    match rule.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => {
            errors.invalid(format_args!("{at}.values"), values.to_vec(), "must have one element");
        }
        "In" | "NotIn" => {}
        other => errors.not_supported(format_args!("{at}.operator"), other, &["In", "NotIn"]),
    }
}
