//! Gates, of both kinds, and priorities.

use super::super::checks::{judged, list, one_of, optional, text};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::PodSpec;
use std::collections::BTreeSet;

pub(in super::super) const PREEMPTION_POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];

pub(super) fn gates(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    for (index, gate) in list(&spec.readiness_gates).iter().enumerate() {
        let at = format!("{at}.readinessGates[{index}].conditionType");
        judged(names::qualified, &gate.condition_type, at, errors);
    }
    let mut seen = BTreeSet::new();
    for (index, gate) in list(&spec.scheduling_gates).iter().enumerate() {
        let at = format!("{at}.schedulingGates[{index}]");
        judged(names::qualified, &gate.name, &at, errors);
        if !seen.insert(gate.name.as_str()) {
            errors.duplicate(&at, gate.name.as_str());
        }
    }
}

pub(super) fn priority(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let class = text(&spec.priority_class_name);
    optional(names::dns_subdomain, class, format_args!("{at}.priorityClassName"), errors);
}

pub(super) fn preemption(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    if let Some(policy) = spec.preemption_policy.as_deref() {
        one_of(policy, &PREEMPTION_POLICIES, format_args!("{at}.preemptionPolicy"), errors);
    }
}
