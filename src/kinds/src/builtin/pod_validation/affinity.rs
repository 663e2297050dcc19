//! Where a pod may, should, or must not run.

use super::super::checks::{judged, label_selector, list};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm,
    WeightedPodAffinityTerm,
};
use std::collections::HashSet;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const OPERATOR: &str = "not a valid selector operator";

/// Values that no label can have are borne where they are only preferred.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    OfLabels,
    Any,
}

pub(super) fn affinity(affinity: Option<&Affinity>, at: &str, errors: &mut ErrorList) {
    let Some(affinity) = affinity else { return };
    if let Some(node) = &affinity.node_affinity {
        self::node(node, &format!("{at}.nodeAffinity"), errors);
    }
    if let Some(pod) = &affinity.pod_affinity {
        let required = list(&pod.required_during_scheduling_ignored_during_execution);
        let preferred = list(&pod.preferred_during_scheduling_ignored_during_execution);
        pods(required, preferred, &format!("{at}.podAffinity"), errors);
    }
    if let Some(pod) = &affinity.pod_anti_affinity {
        let required = list(&pod.required_during_scheduling_ignored_during_execution);
        let preferred = list(&pod.preferred_during_scheduling_ignored_during_execution);
        pods(required, preferred, &format!("{at}.podAntiAffinity"), errors);
    }
}

fn node(node: &NodeAffinity, at: &str, errors: &mut ErrorList) {
    if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
        let at = format!("{at}.{REQUIRED}.nodeSelectorTerms");
        if required.node_selector_terms.is_empty() {
            errors.required(&at, "must have at least one node selector term");
        }
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            node_term(term, Values::OfLabels, &format!("{at}[{index}]"), errors);
        }
    }
    let preferred = list(&node.preferred_during_scheduling_ignored_during_execution);
    for (index, term) in preferred.iter().enumerate() {
        let at = format!("{at}.{PREFERRED}[{index}]");
        weight(term.weight, &at, errors);
        node_term(&term.preference, Values::Any, &format!("{at}.preference"), errors);
    }
}

fn weight(weight: i32, at: &str, errors: &mut ErrorList) {
    if !(1..=100).contains(&weight) {
        errors.invalid(format_args!("{at}.weight"), weight, "must be in the range 1-100");
    }
}

fn node_term(term: &NodeSelectorTerm, values: Values, at: &str, errors: &mut ErrorList) {
    for (index, rule) in list(&term.match_expressions).iter().enumerate() {
        by_label(rule, values, &format!("{at}.matchExpressions[{index}]"), errors);
    }
    for (index, rule) in list(&term.match_fields).iter().enumerate() {
        by_field(rule, &format!("{at}.matchFields[{index}]"), errors);
    }
}

/// Of a volume's node affinity, whose values are any.
pub(in super::super) fn term_of_volume(term: &NodeSelectorTerm, at: &str, errors: &mut ErrorList) {
    node_term(term, Values::Any, at, errors);
}

fn by_label(rule: &NodeSelectorRequirement, checked: Values, at: &str, errors: &mut ErrorList) {
    let values = list(&rule.values);
    match rule.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => errors
            .required(format_args!("{at}.values"), "must be specified when `operator` is 'In' or 'NotIn'"),
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
            format_args!("{at}.values"),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        "Gt" | "Lt" if values.len() != 1 => errors.required(
            format_args!("{at}.values"),
            "must be specified single value when `operator` is 'Lt' or 'Gt'",
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.invalid(format_args!("{at}.operator"), other, OPERATOR),
    }
    judged(names::qualified, &rule.key, format_args!("{at}.key"), errors);
    if checked == Values::OfLabels {
        for (index, value) in values.iter().enumerate() {
            judged(names::label_value, value, format_args!("{at}.values[{index}]"), errors);
        }
    }
}

/// The name is the only field that a node is found by.
fn by_field(rule: &NodeSelectorRequirement, at: &str, errors: &mut ErrorList) {
    let values = list(&rule.values);
    match rule.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => errors.required(
            format_args!("{at}.values"),
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        ),
        "In" | "NotIn" => {}
        other => errors.invalid(format_args!("{at}.operator"), other, OPERATOR),
    }
    if rule.key != "metadata.name" {
        let key = rule.key.as_str();
        return errors.invalid(format_args!("{at}.key"), key, "not a valid field selector key");
    }
    for (index, value) in values.iter().enumerate() {
        judged(names::dns_subdomain, value, format_args!("{at}.values[{index}]"), errors);
    }
}

fn pods(
    required: &[PodAffinityTerm],
    preferred: &[WeightedPodAffinityTerm],
    at: &str,
    errors: &mut ErrorList,
) {
    for (index, term) in required.iter().enumerate() {
        pod_term(term, &format!("{at}.{REQUIRED}[{index}]"), errors);
    }
    for (index, term) in preferred.iter().enumerate() {
        let at = format!("{at}.{PREFERRED}[{index}]");
        weight(term.weight, &at, errors);
        pod_term(&term.pod_affinity_term, &format!("{at}.podAffinityTerm"), errors);
    }
}

fn pod_term(term: &PodAffinityTerm, at: &str, errors: &mut ErrorList) {
    label_selector(term.label_selector.as_ref(), &format!("{at}.labelSelector"), errors);
    label_selector(term.namespace_selector.as_ref(), &format!("{at}.namespaceSelector"), errors);
    for namespace in list(&term.namespaces) {
        judged(names::dns_label, namespace, format_args!("{at}.namespace"), errors);
    }
    label_keys(term, at, errors);
    if term.topology_key.is_empty() {
        errors.required(format_args!("{at}.topologyKey"), "can not be empty");
    }
    judged(names::qualified, &term.topology_key, format_args!("{at}.topologyKey"), errors);
}

/// KEP-3633.
fn label_keys(term: &PodAffinityTerm, at: &str, errors: &mut ErrorList) {
    let (same, other) = (list(&term.match_label_keys), list(&term.mismatch_label_keys));
    for (field, keys) in [("matchLabelKeys", same), ("mismatchLabelKeys", other)] {
        let at = format!("{at}.{field}");
        if !keys.is_empty() && term.label_selector.is_none() {
            errors.forbidden(&at, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            judged(names::qualified, key, format_args!("{at}[{index}]"), errors);
        }
    }
    let other: HashSet<&String> = other.iter().collect();
    for (index, key) in same.iter().enumerate().filter(|(_, key)| other.contains(key)) {
        errors.invalid(
            format_args!("{at}.matchLabelKeys[{index}]"),
            key.as_str(),
            "exists in both matchLabelKeys and mismatchLabelKeys",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
    use std::time::Instant;

    #[test]
    fn a_key_is_asked_for_in_one_sense_however_many_there_are() {
        let keys = |from: usize| Some((from..from + 100_000).map(|n| format!("key-{n:06}")).collect());
        for (name, others, want) in [("no key of them", 100_000, 0), ("half of them", 50_000, 50_000)] {
            let term = PodAffinityTerm {
                label_selector: Some(LabelSelector::default()),
                match_label_keys: keys(0),
                mismatch_label_keys: keys(others),
                topology_key: "zone".to_owned(),
                ..PodAffinityTerm::default()
            };
            let (mut errors, begun) = (ErrorList::default(), Instant::now());
            label_keys(&term, "term", &mut errors);
            assert_eq!(errors.len(), want, "{name}");
            // compared one by one they would take minutes
            assert!(begun.elapsed().as_secs() < 20, "{name}: {:?}", begun.elapsed());
        }
    }
}
