//! Tolerations of pods, and the taints of nodes that they bear.

use super::super::checks::{among, judged, one_of, optional, text};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{Taint, Toleration};
use std::collections::BTreeSet;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const OPERATORS: [&str; 2] = ["Equal", "Exists"];

pub(in super::super) fn tolerations(tolerations: &[Toleration], at: &str, errors: &mut ErrorList) {
    for (index, toleration) in tolerations.iter().enumerate() {
        one(toleration, &format!("{at}[{index}]"), errors);
    }
}

fn one(toleration: &Toleration, at: &str, errors: &mut ErrorList) {
    let (key, operator) = (text(&toleration.key), text(&toleration.operator));
    let (value, effect) = (text(&toleration.value), text(&toleration.effect));
    optional(names::qualified, key, format_args!("{at}.key"), errors);
    if key.is_empty() && operator != "Exists" {
        errors.invalid(
            format_args!("{at}.operator"),
            operator,
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        );
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.invalid(format_args!("{at}.effect"), effect, why);
    }
    // upstream tells the value's faults at the operator
    match operator {
        "" | "Equal" => judged(names::label_value, value, format_args!("{at}.operator"), errors),
        "Exists" if value.is_empty() => {}
        "Exists" => {
            let why = "value must be empty when `operator` is 'Exists'";
            errors.invalid(format_args!("{at}.operator"), value, why);
        }
        other => errors.not_supported(format_args!("{at}.operator"), other, &OPERATORS),
    }
    if !effect.is_empty() {
        among(effect, &EFFECTS, format_args!("{at}.effect"), errors);
    }
}

/// Upstream names them as if they stood in the metadata.
pub(in super::super) fn taints(taints: &[Taint], at: &str, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let at = format!("{at}[{index}]");
        judged(names::qualified, &taint.key, format_args!("{at}.key"), errors);
        judged(names::label_value, text(&taint.value), format_args!("{at}.value"), errors);
        one_of(&taint.effect, &EFFECTS, format_args!("{at}.effect"), errors);
        if !seen.insert((taint.key.as_str(), taint.effect.as_str())) {
            let why = "taints must be unique by key and effect pair";
            errors.duplicate_because(&at, serde_json::json!(taint), why);
        }
    }
}
