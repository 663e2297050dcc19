//! How evenly a pod's kind is spread.

use super::super::checks::{among, among_if_set, is_empty, judged, label_selector, list};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use std::collections::HashSet;

const ACTIONS: [&str; 2] = ["DoNotSchedule", "ScheduleAnyway"];
const POLICIES: [&str; 2] = ["Honor", "Ignore"];
const NOT_POSITIVE: &str = "must be greater than zero";

pub(super) fn constraints(constraints: &[TopologySpreadConstraint], at: &str, errors: &mut ErrorList) {
    for (index, constraint) in constraints.iter().enumerate() {
        let at = format!("{at}[{index}]");
        one(constraint, &at, errors);
        let again = |other: &TopologySpreadConstraint| {
            other.topology_key == constraint.topology_key
                && other.when_unsatisfiable == constraint.when_unsatisfiable
        };
        if constraints[index + 1..].iter().any(again) {
            let pair = format!("{{{}, {}}}", constraint.topology_key, constraint.when_unsatisfiable);
            errors.duplicate(format_args!("{at}.{{topologyKey, whenUnsatisfiable}}"), pair);
        }
    }
}

fn one(constraint: &TopologySpreadConstraint, at: &str, errors: &mut ErrorList) {
    if constraint.max_skew <= 0 {
        errors.invalid(format_args!("{at}.maxSkew"), constraint.max_skew, NOT_POSITIVE);
    }
    if constraint.topology_key.is_empty() {
        errors.required(format_args!("{at}.topologyKey"), "can not be empty");
    }
    let action = constraint.when_unsatisfiable.as_str();
    among(action, &ACTIONS, format_args!("{at}.whenUnsatisfiable"), errors);
    if let Some(least) = constraint.min_domains {
        if least <= 0 {
            errors.invalid(format_args!("{at}.minDomains"), least, NOT_POSITIVE);
        }
        if action != "DoNotSchedule" {
            let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            errors.invalid(format_args!("{at}.minDomains"), least, why);
        }
    }
    let policy = constraint.node_affinity_policy.as_deref();
    among_if_set(policy, &POLICIES, format_args!("{at}.nodeAffinityPolicy"), errors);
    let policy = constraint.node_taints_policy.as_deref();
    among_if_set(policy, &POLICIES, format_args!("{at}.nodeTaintsPolicy"), errors);
    keys(constraint, &format!("{at}.matchLabelKeys"), errors);
    label_selector(constraint.label_selector.as_ref(), &format!("{at}.labelSelector"), errors);
}

fn keys(constraint: &TopologySpreadConstraint, at: &str, errors: &mut ErrorList) {
    let keys = list(&constraint.match_label_keys);
    let selector = constraint.label_selector.as_ref();
    if !keys.is_empty() && selector.is_none() {
        errors.forbidden(at, "must not be specified when labelSelector is not set");
    }
    let asked = selector.filter(|selector| !is_empty(selector));
    let rules = asked.map(|selector| list(&selector.match_expressions)).unwrap_or_default();
    let by_rules: HashSet<&String> = rules.iter().map(|rule| &rule.key).collect();
    for (index, key) in keys.iter().enumerate() {
        judged(names::qualified, key, format_args!("{at}[{index}]"), errors);
        let by_labels = asked.and_then(|selector| selector.match_labels.as_ref());
        if by_rules.contains(key) || by_labels.is_some_and(|labels| labels.contains_key(key)) {
            let why = "exists in both matchLabelKeys and labelSelector";
            errors.invalid(format_args!("{at}[{index}]"), key.as_str(), why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Instant;

    #[test]
    fn keys_are_looked_for_among_those_of_the_selector_however_many_there_are() {
        let key = |n: usize| format!("key-{n:06}");
        let rules: Vec<_> = (0..50_000).map(|n| json!({"key": key(n), "operator": "Exists"})).collect();
        for (name, from, want) in [("none of them", 50_000, 0), ("half of them", 25_000, 25_000)] {
            let keys: Vec<String> = (from..from + 50_000).map(key).collect();
            let constraint: TopologySpreadConstraint = serde_json::from_value(json!({
                "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchExpressions": rules}, "matchLabelKeys": keys,
            }))
            .unwrap();
            let (mut errors, begun) = (ErrorList::default(), Instant::now());
            self::keys(&constraint, "c", &mut errors);
            assert_eq!(errors.len(), want, "{name}");
            assert!(begun.elapsed().as_secs() < 20, "{name}: {:?}", begun.elapsed());
        }
    }
}
