//! Comparing access rules with each other: whether somebody who holds some may hand out others. Pure; upstream's
//! `component-helpers/auth/rbac/validation` (`Covers`) and `registry/rbac/validation` (`CompactRules`).

use k8s_openapi::api::rbac::v1::PolicyRule;
use std::collections::BTreeSet;

const ALL: &str = "*";

/// What of `wanted` no single rule of `held` allows, each part by itself: one verb on one resource (of one name), or on one
/// path. As in upstream, two rules of `held` never add up to one part.
pub(crate) fn uncovered(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    let parts = wanted.iter().flat_map(parts_of);
    parts.filter(|part| !held.iter().any(|rule| rule_covers(rule, part))).collect()
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

fn list(field: &Option<Vec<String>>) -> &[String] {
    field.as_deref().unwrap_or_default()
}

fn parts_of(rule: &PolicyRule) -> Vec<PolicyRule> {
    let one = |text: &String| Some(vec![text.clone()]);
    let mut parts = Vec::new();
    for verb in &rule.verbs {
        for group in list(&rule.api_groups) {
            for resource in list(&rule.resources) {
                let any = PolicyRule {
                    verbs: vec![verb.clone()],
                    api_groups: one(group),
                    resources: one(resource),
                    ..PolicyRule::default()
                };
                match list(&rule.resource_names) {
                    [] => parts.push(any),
                    names => parts.extend(
                        names.iter().map(|name| PolicyRule { resource_names: one(name), ..any.clone() }),
                    ),
                }
            }
        }
        for url in list(&rule.non_resource_urls) {
            parts.push(PolicyRule {
                verbs: vec![verb.clone()],
                non_resource_urls: one(url),
                ..PolicyRule::default()
            });
        }
    }
    parts
}

fn rule_covers(held: &PolicyRule, part: &PolicyRule) -> bool {
    let within = |held: &[String], wanted: &[String]| {
        held.iter().any(|text| text == ALL) || wanted.iter().all(|text| held.contains(text))
    };
    let names = list(&held.resource_names);
    let names_cover = names.is_empty()
        || (!list(&part.resource_names).is_empty()
            && list(&part.resource_names).iter().all(|name| names.contains(name)));
    within(&held.verbs, &part.verbs)
        && within(list(&held.api_groups), list(&part.api_groups))
        && list(&part.resources).iter().all(|resource| resource_covers(list(&held.resources), resource))
        && list(&part.non_resource_urls).iter().all(|url| url_covers(list(&held.non_resource_urls), url))
        && names_cover
}

fn resource_covers(held: &[String], wanted: &str) -> bool {
    let of_any = wanted.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
    held.iter().any(|held| held == ALL || held == wanted || Some(held) == of_any.as_ref())
}

fn url_covers(held: &[String], wanted: &str) -> bool {
    held.iter()
        .any(|held| held == wanted || (held.ends_with('*') && wanted.starts_with(held.trim_end_matches('*'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        PolicyRule {
            verbs: owned(verbs),
            api_groups: Some(owned(groups)),
            resources: Some(owned(resources)),
            resource_names: (!names.is_empty()).then(|| owned(names)),
            non_resource_urls: None,
        }
    }

    fn paths(verbs: &[&str], urls: &[&str]) -> PolicyRule {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        PolicyRule { verbs: owned(verbs), non_resource_urls: Some(owned(urls)), ..PolicyRule::default() }
    }

    #[test]
    fn who_holds_rules_may_hand_out_what_they_cover() {
        let pods = |verbs: &[&str]| rule(verbs, &[""], &["pods"], &[]);
        let cases: &[(&str, Vec<PolicyRule>, Vec<PolicyRule>, &[&str])] = &[
            ("the same", vec![pods(&["get"])], vec![pods(&["get"])], &[]),
            (
                "by two rules, each a part",
                vec![pods(&["get"]), pods(&["list"])],
                vec![pods(&["list", "get"])],
                &[],
            ),
            (
                "a verb more",
                vec![pods(&["get"])],
                vec![pods(&["get", "delete", "create"])],
                &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete" "create"]}"#],
            ),
            ("every verb", vec![pods(&["*"])], vec![pods(&["delete"])], &[]),
            (
                "a star is more than all its parts",
                vec![pods(&["get", "list", "watch"])],
                vec![pods(&["*"])],
                &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["*"]}"#],
            ),
            (
                "another group",
                vec![rule(&["get"], &["apps"], &["*"], &[])],
                vec![rule(&["get"], &["batch"], &["jobs"], &[])],
                &[r#"{APIGroups:["batch"], Resources:["jobs"], Verbs:["get"]}"#],
            ),
            (
                "every group and resource",
                vec![rule(&["*"], &["*"], &["*"], &[])],
                vec![rule(&["get"], &["apps"], &["deployments/scale"], &["web"])],
                &[],
            ),
            (
                "a subresource of any resource",
                vec![rule(&["get"], &["*"], &["*/scale"], &[])],
                vec![rule(&["get"], &["apps"], &["deployments/scale"], &[])],
                &[],
            ),
            (
                "a resource is not its subresource",
                vec![rule(&["get"], &["apps"], &["deployments"], &[])],
                vec![rule(&["get"], &["apps"], &["deployments/scale"], &[])],
                &[r#"{APIGroups:["apps"], Resources:["deployments/scale"], Verbs:["get"]}"#],
            ),
            (
                "one of any name",
                vec![rule(&["get"], &[""], &["secrets"], &[])],
                vec![rule(&["get"], &[""], &["secrets"], &["a"])],
                &[],
            ),
            (
                "all names for one who holds one",
                vec![rule(&["get"], &[""], &["secrets"], &["a"])],
                vec![
                    rule(&["get"], &[""], &["secrets"], &[]),
                    rule(&["get"], &[""], &["secrets"], &["a", "b"]),
                ],
                &[
                    r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}"#,
                    r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#,
                ],
            ),
            (
                "paths below",
                vec![paths(&["get"], &["/healthz/*"])],
                vec![paths(&["get"], &["/healthz/etcd"])],
                &[],
            ),
            (
                "a path above",
                vec![paths(&["get"], &["/healthz/*"])],
                vec![paths(&["get"], &["/healthz", "*"])],
                &[
                    r#"{NonResourceURLs:["*"], Verbs:["get"]}"#,
                    r#"{NonResourceURLs:["/healthz"], Verbs:["get"]}"#,
                ],
            ),
            ("a rule for nothing", vec![], vec![rule(&["get"], &[], &["pods"], &[])], &[]),
        ];
        for (name, held, wanted, missing) in cases {
            let found: Vec<String> = describe(&compact(uncovered(held, wanted))).into_iter().collect();
            assert_eq!(found, *missing, "{name}");
        }
    }
}
