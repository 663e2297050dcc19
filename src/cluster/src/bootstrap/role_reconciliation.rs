//! Bootstrap roles of a cluster that an earlier version made: what they lack is added, what a user added stays. Pure;
//! upstream's `pkg/registry/rbac/reconciliation`, as the API server runs it at each start.

use crate::Actor;
use crate::roles::AUTO_UPDATE;
use crate::rule_coverage::uncovered;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

const NODES: (&str, &str) = ("Group", Actor::NODES);

/// The stored role with what is missing of `wanted`; `None` where nothing is.
pub(super) fn role(stored: &ClusterRole, wanted: &ClusterRole) -> Option<ClusterRole> {
    let mut role = stored.clone();
    if !fill_metadata(&mut role.metadata, &wanted.metadata) {
        return None;
    }
    match &wanted.aggregation_rule {
        Some(rule) => {
            if role.aggregation_rule.is_none() {
                // until a controller runs, and instead of what the role had before it gathered
                role.rules.clone_from(&wanted.rules);
            }
            let has =
                role.aggregation_rule.get_or_insert_default().cluster_role_selectors.get_or_insert_default();
            let missing =
                rule.cluster_role_selectors.iter().flatten().filter(|selector| !has.contains(selector));
            let missing: Vec<_> = missing.cloned().collect();
            has.extend(missing);
        }
        None => {
            let has = role.rules.get_or_insert_default();
            let wanted = wanted.rules.as_deref().unwrap_or_default();
            let missing = uncovered(&*has, wanted, usize::MAX).map(|missing| missing.rules);
            // of a role that can not be compared it is known which rules it has word for word: others come once, not at each start
            let missing = missing
                .unwrap_or_else(|_| wanted.iter().filter(|rule| !has.contains(rule)).cloned().collect());
            has.extend(missing);
        }
    }
    (role != *stored).then_some(role)
}

/// The stored binding with the subjects that it lacks; `None` where it has all. One that shall have none loses the nodes: an earlier
/// version bound them all to what any of them may need.
pub(super) fn binding(
    stored: &ClusterRoleBinding,
    wanted: &ClusterRoleBinding,
) -> Option<ClusterRoleBinding> {
    let mut binding = stored.clone();
    if !fill_metadata(&mut binding.metadata, &wanted.metadata) {
        return None;
    }
    if wanted.subjects.is_none() {
        binding.subjects.iter_mut().for_each(|all| all.retain(|s| (&*s.kind, &*s.name) != NODES));
        return (binding != *stored).then_some(binding);
    }
    let has = binding.subjects.get_or_insert_default();
    for subject in wanted.subjects.iter().flatten() {
        let same = |known: &k8s_openapi::api::rbac::v1::Subject| {
            (&known.kind, &known.name, &known.namespace) == (&subject.kind, &subject.name, &subject.namespace)
        };
        if !has.iter().any(same) {
            has.push(subject.clone());
        }
    }
    (binding != *stored).then_some(binding)
}

/// Whether it may be changed at all.
fn fill_metadata(meta: &mut ObjectMeta, wanted: &ObjectMeta) -> bool {
    if meta.annotations.as_ref().and_then(|all| all.get(AUTO_UPDATE)).is_some_and(|value| value == "false") {
        return false;
    }
    for (key, value) in wanted.labels.iter().flatten() {
        meta.labels.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in wanted.annotations.iter().flatten() {
        meta.annotations.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::roles::{cluster_role_bindings, cluster_roles};
    use super::*;
    use crate::roles::{role as made, rule};
    use crate::rule_coverage::COMPARISONS;
    use k8s_openapi::api::rbac::v1::PolicyRule;

    fn of<'r>(roles: &'r [ClusterRole], name: &str) -> &'r ClusterRole {
        roles.iter().find(|role| role.metadata.name.as_deref() == Some(name)).unwrap()
    }

    fn touches(role: &ClusterRole, resource: &str, verb: &str) -> bool {
        role.rules.iter().flatten().any(|rule| {
            rule.resources.iter().flatten().any(|r| r == resource) && rule.verbs.iter().any(|v| v == verb)
        })
    }

    #[test]
    fn the_roles_of_users_are_whole_from_the_start() {
        let roles = cluster_roles();
        for (role, resource, verb, want) in [
            ("view", "pods", "list", true),
            ("view", "secrets", "get", false),
            ("edit", "pods", "list", true),
            ("edit", "services", "create", true),
            ("edit", "endpoints", "get", true),
            ("edit", "endpoints", "create", false),
            ("edit", "endpointslices", "update", false),
            ("edit", "roles", "get", false),
            ("admin", "secrets", "patch", true),
            ("admin", "rolebindings", "create", true),
            ("admin", "endpoints", "patch", false),
        ] {
            assert_eq!(touches(of(&roles, role), resource, verb), want, "{role} may {verb} {resource}");
        }
    }

    /// Who is brought up to date twice at once conflicts with himself, and the cluster does not start.
    #[test]
    fn no_name_stands_twice() {
        let roles = cluster_roles().into_iter().map(|role| ("role", role.metadata.name));
        let bindings = cluster_role_bindings().into_iter().map(|binding| ("binding", binding.metadata.name));
        let mut seen = std::collections::BTreeSet::new();
        for one in roles.chain(bindings) {
            assert!(seen.insert(one.clone()), "{one:?}");
        }
    }

    #[test]
    fn what_an_earlier_version_made_is_brought_up_to_date() {
        let wanted = cluster_roles();
        for role in &wanted {
            assert_eq!(super::role(role, role), None, "{:?} is as it should be", role.metadata.name);
        }
        // as it was before it gathered: with writes of Endpoints
        let mut edit = of(&wanted, "edit").clone();
        (edit.aggregation_rule, edit.metadata.annotations) = (None, None);
        let endpoints = PolicyRule {
            verbs: vec!["create".into()],
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["endpoints".into()]),
            ..PolicyRule::default()
        };
        edit.rules.get_or_insert_default().push(endpoints.clone());
        let updated = role(&edit, of(&wanted, "edit")).unwrap();
        assert!(!touches(&updated, "endpoints", "create") && updated.aggregation_rule.is_some());

        let wanted_node = &made("system:node", vec![rule(&["create"], &[""], &["pods"])]);
        let mut node = wanted_node.clone();
        node.rules = Some(vec![endpoints.clone()]);
        let updated = role(&node, wanted_node).unwrap();
        assert!(touches(&updated, "pods", "create"), "what is missing is added");
        assert!(touches(&updated, "endpoints", "create"), "what a user added stays");
        node.rules = Some(vec![PolicyRule { verbs: vec![String::new(); COMPARISONS + 1], ..endpoints }]);
        let updated = role(&node, wanted_node).unwrap();
        assert!(touches(&updated, "pods", "create"), "also where it is too large to be compared");
        assert_eq!(role(&updated, wanted_node), None, "once");
        node.metadata.annotations = Some([(AUTO_UPDATE.to_owned(), "false".to_owned())].into());
        assert_eq!(role(&node, wanted_node), None, "a user's word");

        let bindings = cluster_role_bindings();
        let nodes = bindings.iter().find(|b| b.metadata.name.as_deref() == Some("system:node")).unwrap();
        assert_eq!(binding(nodes, nodes), None);
        let mut stored = nodes.clone();
        stored.subjects = Some(vec![crate::roles::group(Actor::NODES), crate::roles::group("mine")]);
        let updated = binding(&stored, nodes).unwrap().subjects;
        assert_eq!(updated, Some(vec![crate::roles::group("mine")]), "all nodes had all rights");

        let wanted = &bindings[0];
        let mut stored = wanted.clone();
        stored.subjects = None;
        assert_eq!(binding(&stored, wanted).unwrap().subjects, wanted.subjects);
        assert_eq!(binding(wanted, wanted), None);
    }
}
