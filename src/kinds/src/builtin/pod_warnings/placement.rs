//! Where pods are to go: labels that nodes have no more, and terms that match nothing.

use crate::builtin::names;
use k8s_openapi::api::core::v1::{
    Affinity, NodeSelectorTerm, PodAffinityTerm, PodSpec, WeightedPodAffinityTerm,
};
use std::collections::BTreeMap;

/// What upstream says of labels of nodes that have got other names.
const OLD_NODE_LABELS: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", r#"deprecated since v1.14; use "kubernetes.io/arch" instead"#),
    ("beta.kubernetes.io/os", r#"deprecated since v1.14; use "kubernetes.io/os" instead"#),
    (
        "failure-domain.beta.kubernetes.io/region",
        r#"deprecated since v1.17; use "topology.kubernetes.io/region" instead"#,
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#,
    ),
    (
        "beta.kubernetes.io/instance-type",
        r#"deprecated since v1.17; use "node.kubernetes.io/instance-type" instead"#,
    ),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    (
        "scheduler.alpha.kubernetes.io/preferAvoidPods",
        "deprecated since v1.22; use Taints and Tolerations instead",
    ),
    ("node-role.kubernetes.io/master", r#"use "node-role.kubernetes.io/control-plane" instead"#),
];

const MATCHES_NOTHING: &str = "a null labelSelector results in matching no pod";

pub(super) fn placement(spec: &PodSpec, at: &str, warnings: &mut Vec<String>) {
    for key in spec.node_selector.iter().flat_map(BTreeMap::keys) {
        if let Some(why) = old_node_label(key) {
            warnings.push(format!("{at}spec.nodeSelector[{key}]: {why}"));
        }
    }
    if let Some(affinity) = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref()) {
        let at = format!("{at}spec.affinity.nodeAffinity");
        let required = affinity.required_during_scheduling_ignored_during_execution.as_ref();
        for (index, term) in required.iter().flat_map(|required| &required.node_selector_terms).enumerate() {
            let at =
                format!("{at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]");
            node_term(term, false, &at, warnings);
        }
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (index, term) in preferred.enumerate() {
            let at = format!("{at}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference");
            node_term(&term.preference, true, &at, warnings);
        }
    }
    for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        let at = format!("{at}spec.topologySpreadConstraints[{index}]");
        if let Some(why) = old_node_label(&constraint.topology_key) {
            warnings.push(format!("{at}.topologyKey: {} is {why}", constraint.topology_key));
        }
        if constraint.label_selector.is_none() {
            warnings.push(format!("{at}.labelSelector: {MATCHES_NOTHING}"));
        }
    }
}

pub(crate) fn old_node_label(key: &str) -> Option<&'static str> {
    OLD_NODE_LABELS.iter().find(|(old, _)| *old == key).map(|(_, why)| *why)
}

/// Values are judged where validation does not: a preference that nothing can fulfil is allowed.
pub(crate) fn node_term(term: &NodeSelectorTerm, judge_values: bool, at: &str, warnings: &mut Vec<String>) {
    for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
        let at = format!("{at}.matchExpressions[{index}]");
        if let Some(why) = old_node_label(&expression.key) {
            warnings.push(format!("{at}.key: {} is {why}", expression.key));
        }
        for (index, value) in expression.values.iter().flatten().enumerate().filter(|_| judge_values) {
            if let Err(why) = names::label_value(value) {
                warnings.push(format!("{at}.values[{index}]: {value} is invalid, {why}"));
            }
        }
    }
}

pub(super) fn null_selectors(affinity: &Affinity, at: &str, warnings: &mut Vec<String>) {
    let mut of = |kind: &str,
                  required: Option<&Vec<PodAffinityTerm>>,
                  preferred: Option<&Vec<WeightedPodAffinityTerm>>| {
        for (index, term) in required.into_iter().flatten().enumerate() {
            if term.label_selector.is_none() {
                warnings.push(format!(
                    "{at}.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{index}].labelSelector: {MATCHES_NOTHING}"
                ));
            }
        }
        for (index, term) in preferred.into_iter().flatten().enumerate() {
            if term.pod_affinity_term.label_selector.is_none() {
                warnings.push(format!(
                    "{at}.{kind}.preferredDuringSchedulingIgnoredDuringExecution[{index}].podAffinityTerm.labelSelector: {MATCHES_NOTHING}"
                ));
            }
        }
    };
    if let Some(with) = &affinity.pod_affinity {
        of(
            "podAffinity",
            with.required_during_scheduling_ignored_during_execution.as_ref(),
            with.preferred_during_scheduling_ignored_during_execution.as_ref(),
        );
    }
    if let Some(without) = &affinity.pod_anti_affinity {
        of(
            "podAntiAffinity",
            without.required_during_scheduling_ignored_during_execution.as_ref(),
            without.preferred_during_scheduling_ignored_during_execution.as_ref(),
        );
    }
}
