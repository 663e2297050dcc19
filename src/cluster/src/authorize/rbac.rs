//! Role-based access control, decided from an index of all rules that is rebuilt when one changes.

use super::decision::{Attributes, Decision};
use crate::{Actor, Cluster};
use arc_swap::ArcSwap;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kinds::TypedKind;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use store::{Resource, Snapshot, Store};

pub(crate) struct Rbac {
    rules: ArcSwap<Rules>,
    /// Held from the look at the store until the rules are in place: an older look never replaces a newer one.
    refreshing: Mutex<()>,
}

/// Rules by who they are for; `None` is every namespace.
#[derive(Default)]
struct Rules {
    users: HashMap<String, Vec<Grant>>,
    groups: HashMap<String, Vec<Grant>>,
}

#[derive(Clone)]
struct Grant {
    namespace: Option<String>,
    rules: Arc<Vec<PolicyRule>>,
    /// Who gave it to whom: `RBAC: allowed by ClusterRoleBinding "a" of ClusterRole "b" to User "c"`.
    reason: Arc<str>,
}

const RULE_RESOURCES: [fn() -> Resource; 4] =
    [stored::<ClusterRole>, stored::<ClusterRoleBinding>, stored::<Role>, stored::<RoleBinding>];

fn stored<K: TypedKind>() -> Resource {
    Resource::from(&K::info().storage)
}

/// Rebuilds the index whenever a role or a binding changes.
pub(crate) fn keep_current(cluster: &Cluster) {
    for resource in RULE_RESOURCES {
        let (store, weak) = (cluster.store().clone(), Arc::downgrade(&cluster.0));
        tokio::spawn(async move {
            let resource = resource();
            loop {
                let Ok(mut watch) = store.watch(&resource, store.revision()) else { continue };
                loop {
                    let Some(inner) = weak.upgrade() else { return };
                    inner.rbac.refresh(&store);
                    drop(inner);
                    match watch.next().await {
                        Ok(_) => while let Ok(Some(_)) = watch.try_next() {},
                        Err(_) => break,
                    }
                }
            }
        });
    }
}

impl Rbac {
    pub(crate) fn load(snapshot: &Snapshot) -> Self {
        Rbac { rules: ArcSwap::from_pointee(Rules::read(snapshot)), refreshing: Mutex::default() }
    }

    pub(crate) fn decide(&self, actor: &Actor, asked: &Attributes) -> Decision {
        match self.rules.load().granting(actor, asked) {
            Some(grant) => Decision::allow(grant.reason.clone()),
            None => Decision::default(),
        }
    }

    /// Those of an actor in a namespace.
    pub(crate) fn rules_of(&self, actor: &Actor, namespace: &str) -> Vec<PolicyRule> {
        let rules = self.rules.load();
        let grants = rules.grants(actor).filter(|g| g.namespace.as_deref().is_none_or(|n| n == namespace));
        grants.flat_map(|grant| grant.rules.iter().cloned()).collect()
    }

    pub(crate) fn refresh(&self, store: &Store) {
        let _one_at_a_time = self.refreshing.lock();
        self.rules.store(Arc::new(Rules::read(&store.snapshot())));
    }
}

impl Rules {
    fn read(snapshot: &Snapshot) -> Self {
        let cluster_roles = named::<ClusterRole>(snapshot, |r| r.rules.clone());
        let roles = named::<Role>(snapshot, |r| r.rules.clone());
        let mut rules = Rules::default();
        for binding in all::<ClusterRoleBinding>(snapshot) {
            if let Some(found) = cluster_roles.get(&(None, binding.role_ref.name.clone())) {
                let name = binding.metadata.name.as_deref().unwrap_or_default();
                let origin = format!("ClusterRoleBinding {name:?} of {}", shown(&binding.role_ref));
                rules.grant(binding.subjects.as_deref(), None, found, &origin);
            }
        }
        for binding in all::<RoleBinding>(snapshot) {
            let namespace = binding.metadata.namespace.clone();
            let RoleRef { kind, name, .. } = &binding.role_ref;
            let found = match kind.as_str() {
                "ClusterRole" => cluster_roles.get(&(None, name.clone())),
                _ => roles.get(&(namespace.clone(), name.clone())),
            };
            if let Some(found) = found {
                let at = namespace.as_deref().unwrap_or_default();
                let name = format!("{}/{at}", binding.metadata.name.as_deref().unwrap_or_default());
                let origin = format!("RoleBinding {name:?} of {}", shown(&binding.role_ref));
                rules.grant(binding.subjects.as_deref(), namespace, found, &origin);
            }
        }
        rules
    }

    fn grant(
        &mut self,
        subjects: Option<&[Subject]>,
        namespace: Option<String>,
        rules: &Arc<Vec<PolicyRule>>,
        origin: &str,
    ) {
        for subject in subjects.unwrap_or_default() {
            let (kind, name) = (subject.kind.as_str(), subject.name.as_str());
            let (of, key, to) = match kind {
                "Group" => (&mut self.groups, name.to_owned(), name.to_owned()),
                "ServiceAccount" => {
                    let home = subject.namespace.as_deref().or(namespace.as_deref()).unwrap_or_default();
                    let account = format!("system:serviceaccount:{home}:{name}");
                    (&mut self.users, account, format!("{name}/{home}"))
                }
                _ => (&mut self.users, name.to_owned(), name.to_owned()),
            };
            let reason = format!("RBAC: allowed by {origin} to {kind} {to:?}").into();
            let grant = Grant { namespace: namespace.clone(), rules: rules.clone(), reason };
            of.entry(key).or_default().push(grant);
        }
    }

    fn grants<'a>(&'a self, actor: &'a Actor) -> impl Iterator<Item = &'a Grant> {
        let own = self.users.get(&actor.name).into_iter().flatten();
        own.chain(actor.groups.iter().filter_map(|group| self.groups.get(group)).flatten())
    }

    /// The first that allows it.
    fn granting<'a>(&'a self, actor: &'a Actor, asked: &Attributes) -> Option<&'a Grant> {
        let here = |grant: &&Grant| grant.namespace.is_none() || grant.namespace == asked.namespace;
        self.grants(actor).filter(here).find(|grant| grant.rules.iter().any(|rule| covers(rule, asked)))
    }
}

fn shown(role: &RoleRef) -> String {
    format!("{} {:?}", role.kind, role.name)
}

fn all<K: TypedKind>(snapshot: &Snapshot) -> Vec<K> {
    snapshot.list(&stored::<K>(), None, None).filter_map(|object| object.decode().ok()).collect()
}

fn named<K: TypedKind>(
    snapshot: &Snapshot,
    rules: impl Fn(&K) -> Option<Vec<PolicyRule>>,
) -> HashMap<(Option<String>, String), Arc<Vec<PolicyRule>>> {
    let key =
        |role: &K| (role.metadata().namespace.clone(), role.metadata().name.clone().unwrap_or_default());
    all::<K>(snapshot).iter().map(|role| (key(role), Arc::new(rules(role).unwrap_or_default()))).collect()
}

/// Upstream's `RuleAllows`.
pub(super) fn covers(rule: &PolicyRule, asked: &Attributes) -> bool {
    if !any(Some(&rule.verbs), |verb| verb == "*" || verb == asked.verb) {
        return false;
    }
    if let Some(path) = &asked.path {
        return any(rule.non_resource_urls.as_ref(), |url| match url.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => url == path,
        });
    }
    any(rule.api_groups.as_ref(), |group| group == "*" || group == asked.group)
        && any(rule.resources.as_ref(), |resource| covers_resource(resource, asked))
        && names_allow(rule, asked)
}

fn covers_resource(resource: &str, asked: &Attributes) -> bool {
    if resource == "*" {
        return true;
    }
    match resource.split_once('/') {
        Some(("*", part)) => part == asked.subresource,
        Some((of, part)) => of == asked.resource && part == asked.subresource,
        None => resource == asked.resource && asked.subresource.is_empty(),
    }
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
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        PolicyRule {
            verbs: owned(verbs),
            api_groups: Some(owned(groups)),
            resources: Some(owned(resources)),
            resource_names: Some(owned(names)),
            non_resource_urls: None,
        }
    }

    fn asked(verb: &str, resource: &str, subresource: &str, name: Option<&str>) -> Attributes {
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
}
