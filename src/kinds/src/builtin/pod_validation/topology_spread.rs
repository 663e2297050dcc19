//! How evenly a pod's kind is spread.

use super::super::checks::{among, among_if_set, is_empty, judged, label_selector, list};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::TopologySpreadConstraint;

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
    for (index, key) in keys.iter().enumerate() {
        judged(names::qualified, key, format_args!("{at}[{index}]"), errors);
        let known = asked.is_some_and(|selector| {
            selector.match_labels.as_ref().is_some_and(|labels| labels.contains_key(key))
                || list(&selector.match_expressions).iter().any(|rule| rule.key == *key)
        });
        if known {
            let why = "exists in both matchLabelKeys and labelSelector";
            errors.invalid(format_args!("{at}[{index}]"), key.as_str(), why);
        }
    }
}
