//! Access rules as values: what makes two the same, which are all that there is, how they are told. Pure; upstream's
//! `registry/rbac/validation` (`CompactRules`) and `apis/rbac/v1` (`CompactString`).

use k8s_openapi::api::rbac::v1::PolicyRule;
use std::collections::BTreeSet;
use std::hash::Hash;

/// Every verb, group, resource or path.
pub(crate) const ALL: &str = "*";

/// What makes two rules the same.
pub(crate) fn identity(rule: &PolicyRule) -> impl Hash + Eq {
    let PolicyRule { verbs, api_groups, resources, resource_names, non_resource_urls } = rule;
    (verbs, api_groups, resources, resource_names, non_resource_urls)
}

/// Everything: what one must hold to let a role gather rules from others.
pub(crate) fn full_authority() -> Vec<PolicyRule> {
    let all = || vec![ALL.to_owned()];
    vec![
        PolicyRule { verbs: all(), api_groups: Some(all()), resources: Some(all()), ..PolicyRule::default() },
        PolicyRule { verbs: all(), non_resource_urls: Some(all()), ..PolicyRule::default() },
    ]
}

/// Parts of the same resource become one rule again.
pub(crate) fn compact(parts: Vec<PolicyRule>) -> Vec<PolicyRule> {
    let mut rules: Vec<PolicyRule> = Vec::new();
    for part in parts {
        let same = |rule: &&mut PolicyRule| {
            part.non_resource_urls.is_none()
                && (&rule.api_groups, &rule.resources, &rule.resource_names)
                    == (&part.api_groups, &part.resources, &part.resource_names)
        };
        match rules.iter_mut().find(same) {
            Some(rule) => rule.verbs.extend(part.verbs),
            None => rules.push(part),
        }
    }
    rules
}

/// Upstream's `CompactString` of each, in its order: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`.
pub(crate) fn describe(rules: &[PolicyRule]) -> BTreeSet<String> {
    rules.iter().map(describe_one).collect()
}

/// `["a" "b"]`, as Go prints a list of quoted strings.
pub(crate) fn quoted(texts: &[String]) -> String {
    let each: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", each.join(" "))
}

fn describe_one(rule: &PolicyRule) -> String {
    let fields = [
        ("APIGroups", list(&rule.api_groups)),
        ("Resources", list(&rule.resources)),
        ("NonResourceURLs", list(&rule.non_resource_urls)),
        ("ResourceNames", list(&rule.resource_names)),
        ("Verbs", &rule.verbs),
    ];
    let given = fields.iter().filter(|(_, values)| !values.is_empty());
    let each: Vec<String> = given.map(|(name, values)| format!("{name}:{}", quoted(values))).collect();
    format!("{{{}}}", each.join(", "))
}

/// Nothing where the field is not there.
pub(crate) fn list(field: &Option<Vec<String>>) -> &[String] {
    field.as_deref().unwrap_or_default()
}
