//! What one rule allows.

use super::decision::Attributes;
use k8s_openapi::api::rbac::v1::PolicyRule;

/// Upstream's `RuleAllows`.
pub(super) fn covers(rule: &PolicyRule, asked: &Attributes) -> bool {
    if !any(Some(&rule.verbs), |verb| verb == "*" || verb == asked.verb) {
        return false;
    }
    if let Some(path) = &asked.path {
        // as many stars as there are, as in the comparison of rules with each other
        return any(rule.non_resource_urls.as_ref(), |url| match url.trim_end_matches('*') {
            prefix if prefix.len() < url.len() => path.starts_with(prefix),
            _ => url == path,
        });
    }
    any(rule.api_groups.as_ref(), |group| group == "*" || group == asked.group)
        && any(rule.resources.as_ref(), |resource| covers_resource(resource, asked))
        && names_allow(rule, asked)
}

/// Upstream's `ResourceMatches`: what ends with a slash names nothing, neither `pods/` nor `*/`.
fn covers_resource(resource: &str, asked: &Attributes) -> bool {
    let part = asked.subresource.as_str();
    let is_part = |rest: &str| match part {
        "" => rest.is_empty(),
        part => rest.strip_prefix('/') == Some(part),
    };
    // `*` alone is every subresource too
    resource == "*"
        || resource.strip_prefix(asked.resource.as_str()).is_some_and(is_part)
        || resource.strip_prefix('*').is_some_and(is_part)
}

fn names_allow(rule: &PolicyRule, asked: &Attributes) -> bool {
    match rule.resource_names.as_deref() {
        None | Some([]) => true,
        Some(names) => asked.name.as_ref().is_some_and(|name| names.contains(name)),
    }
}

fn any(of: Option<&Vec<String>>, test: impl Fn(&str) -> bool) -> bool {
    of.is_some_and(|values| values.iter().any(|value| test(value)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::authorize) fn rule(
        verbs: &[&str],
        groups: &[&str],
        resources: &[&str],
        names: &[&str],
    ) -> PolicyRule {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        PolicyRule {
            verbs: owned(verbs),
            api_groups: Some(owned(groups)),
            resources: Some(owned(resources)),
            resource_names: Some(owned(names)),
            non_resource_urls: None,
        }
    }

    pub(in crate::authorize) fn asked(
        verb: &str,
        resource: &str,
        subresource: &str,
        name: Option<&str>,
    ) -> Attributes {
        Attributes {
            verb: verb.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            name: name.map(Into::into),
            ..Attributes::default()
        }
    }

    #[test]
    fn a_rule_covers_what_it_names_and_no_more() {
        let cases = [
            ("exact", rule(&["get"], &[""], &["pods"], &[]), asked("get", "pods", "", None), true),
            ("other verb", rule(&["get"], &[""], &["pods"], &[]), asked("list", "pods", "", None), false),
            (
                "subresource is not the resource",
                rule(&["get"], &[""], &["pods"], &[]),
                asked("get", "pods", "log", None),
                false,
            ),
            (
                "subresource named",
                rule(&["get"], &[""], &["pods/log"], &[]),
                asked("get", "pods", "log", None),
                true,
            ),
            (
                "any resource's scale",
                rule(&["get"], &[""], &["*/scale"], &[]),
                asked("get", "pods", "scale", None),
                true,
            ),
            ("all resources", rule(&["*"], &["*"], &["*"], &[]), asked("get", "pods", "log", None), true),
            (
                "an empty subresource of any resource is nothing",
                rule(&["*"], &["*"], &["*/"], &[]),
                asked("get", "secrets", "", None),
                false,
            ),
            (
                "and so is one of a resource",
                rule(&["*"], &["*"], &["pods/"], &[]),
                asked("get", "pods", "", None),
                false,
            ),
            (
                "a name that begins alike",
                rule(&["*"], &["*"], &["pods/logs", "podsx", "pod"], &[]),
                asked("get", "pods", "log", None),
                false,
            ),
            ("other group", rule(&["get"], &["apps"], &["pods"], &[]), asked("get", "pods", "", None), false),
            ("by name", rule(&["get"], &[""], &["pods"], &["a"]), asked("get", "pods", "", Some("a")), true),
            (
                "other name",
                rule(&["get"], &[""], &["pods"], &["a"]),
                asked("get", "pods", "", Some("b")),
                false,
            ),
            (
                "a list has no name",
                rule(&["list"], &[""], &["pods"], &["a"]),
                asked("list", "pods", "", None),
                false,
            ),
        ];
        for (name, rule, asked, want) in cases {
            assert_eq!(covers(&rule, &asked), want, "{name}");
        }
    }

    #[test]
    fn a_path_is_covered_by_what_it_begins_with() {
        for (url, path, want) in [
            ("/healthz", "/healthz", true),
            ("/healthz", "/healthz/etcd", false),
            ("/healthz/*", "/healthz/etcd", true),
            ("/healthz/*", "/healthz", false),
            ("/healthz/**", "/healthz/etcd", true),
            ("*", "/version", true),
            ("**", "/version", true),
            ("/a*b", "/axb", false),
            ("", "/version", false),
        ] {
            let rule = PolicyRule {
                verbs: vec!["get".into()],
                non_resource_urls: Some(vec![url.into()]),
                ..PolicyRule::default()
            };
            assert_eq!(covers(&rule, &Attributes::non_resource("get", path)), want, "{url} {path}");
        }
    }
}
