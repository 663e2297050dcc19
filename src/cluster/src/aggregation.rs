//! Roles that gather the rules of others, by labels: upstream's aggregated ClusterRoles.

use crate::policy_rule::identity;
use ::api::LabelSelector;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use std::collections::{BTreeMap, HashSet};

/// The rules that an aggregated role should have, each once, in the order of its selectors and then of the roles' names;
/// `None` for a role that gathers nothing, or whose selector makes no sense.
pub fn aggregated_rules<'r>(
    role: &ClusterRole,
    all: impl IntoIterator<Item = &'r ClusterRole>,
) -> Option<Vec<PolicyRule>> {
    let selectors = role.aggregation_rule.as_ref()?.cluster_role_selectors.as_deref().unwrap_or_default();
    let name = |role: &ClusterRole| role.metadata.name.clone().unwrap_or_default();
    let others: BTreeMap<String, &ClusterRole> =
        all.into_iter().filter(|other| name(other) != name(role)).map(|other| (name(other), other)).collect();
    let mut rules: Vec<PolicyRule> = Vec::new();
    let mut seen = HashSet::new();
    for selector in selectors {
        let selector = kinds::selectors::from_object(selector).ok()?;
        for other in others.values().filter(|other| matches(&selector, other)) {
            for rule in other.rules.iter().flatten() {
                if seen.insert(identity(rule)) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    Some(rules)
}

fn matches(selector: &LabelSelector, role: &ClusterRole) -> bool {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    selector.matches(role.metadata.labels.as_ref().unwrap_or(&NONE))
}
