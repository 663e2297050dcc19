//! Role-based access control, decided from an index of all rules. What changed is read again: a role or a binding that did not is
//! neither decoded nor indexed anew, and what is in a namespace is kept, and looked at, by itself.

use super::decision::{Attributes, Decision};
use super::role_rules::RoleRules;
use crate::{Actor, Cluster};
use ::api::{ObjectKey, ResourceVersion};
use arc_swap::ArcSwap;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kinds::TypedKind;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use store::{Resource, Snapshot, Store};

const ACCOUNT: &str = "system:serviceaccount:";

pub(crate) struct Rbac {
    rules: ArcSwap<Rules>,
    /// Held from the look at the store until the rules are in place: an older look never replaces a newer one.
    read: Mutex<Read>,
}

#[derive(Clone, Default)]
struct Rules {
    everywhere: Arc<Bound>,
    namespaces: HashMap<Arc<str>, Arc<Bound>>,
}

/// Rules by who they are for.
#[derive(Default)]
struct Bound {
    users: HashMap<String, Vec<Grant>>,
    groups: HashMap<String, Vec<Grant>>,
}

struct Grant {
    rules: Arc<RoleRules>,
    /// `ClusterRoleBinding "a" of ClusterRole "b"`
    origin: Arc<str>,
    to: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    User,
    Group,
    ServiceAccount,
}

/// What the store had at the last look.
#[derive(Default)]
struct Read {
    cluster_roles: Kept<Arc<RoleRules>>,
    roles: Kept<Arc<RoleRules>>,
    cluster_bindings: Kept<Binding>,
    bindings: Kept<Binding>,
}

struct Binding {
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// Of one kind; what is made of an object stays until there is another version of it.
struct Kept<T>(BTreeMap<ObjectKey, (ResourceVersion, T)>);

/// The rules that somebody has, each role's once.
pub struct HeldRules(Vec<Arc<RoleRules>>);

const RULE_RESOURCES: [fn() -> Resource; 4] =
    [stored::<ClusterRole>, stored::<ClusterRoleBinding>, stored::<Role>, stored::<RoleBinding>];

fn stored<K: TypedKind>() -> Resource {
    Resource::from(&K::info().storage)
}

/// Renews the index whenever a role or a binding changes.
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

impl HeldRules {
    pub fn iter(&self) -> impl Iterator<Item = &PolicyRule> {
        self.0.iter().flat_map(|role| role.rules())
    }

    pub fn contains(&self, rule: &PolicyRule) -> bool {
        self.iter().any(|held| held == rule)
    }
}

impl Rbac {
    pub(crate) fn load(snapshot: &Snapshot) -> Self {
        let mut read = Read::default();
        let rules = read.follow(snapshot, &Rules::default());
        Rbac { rules: ArcSwap::from_pointee(rules), read: Mutex::new(read) }
    }

    pub(crate) fn decide(&self, actor: &Actor, asked: &Attributes) -> Decision {
        let rules = self.rules.load();
        let mut granted = rules.grants(actor, asked.namespace.as_deref());
        match granted.find(|(grant, _)| grant.rules.allows(asked)) {
            Some((grant, to)) => Decision::allow(grant.reason(to)),
            None => Decision::default(),
        }
    }

    /// Those of an actor in a namespace.
    pub(crate) fn rules_of(&self, actor: &Actor, namespace: &str) -> HeldRules {
        let rules = self.rules.load();
        let mut seen = HashSet::new();
        let roles = rules.grants(actor, Some(namespace)).map(|(grant, _)| &grant.rules);
        HeldRules(roles.filter(|role| seen.insert(Arc::as_ptr(role))).cloned().collect())
    }

    pub(crate) fn refresh(&self, store: &Store) {
        let mut read = self.read.lock();
        let rules = read.follow(&store.snapshot(), &self.rules.load());
        self.rules.store(Arc::new(rules));
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(BTreeMap::new())
    }
}

impl<T> Kept<T> {
    /// The namespaces in which something is other than it was.
    fn follow<K: TypedKind>(
        &mut self,
        snapshot: &Snapshot,
        make: impl Fn(K) -> T,
    ) -> HashSet<Option<Arc<str>>> {
        let mut before = std::mem::take(&mut self.0);
        let mut changed = HashSet::new();
        for object in snapshot.list(&stored::<K>(), None, None) {
            let (key, revision) = (object.key(), object.revision());
            if let Some(known) = before.remove(&key).filter(|known| known.0 == revision) {
                self.0.insert(key, known);
                continue;
            }
            changed.insert(key.namespace.clone());
            if let Ok(object) = object.decode::<K>() {
                self.0.insert(key, (revision, make(object)));
            }
        }
        changed.extend(before.into_keys().map(|key| key.namespace));
        changed
    }

    fn get(&self, key: &ObjectKey) -> Option<&T> {
        self.0.get(key).map(|(_, kept)| kept)
    }

    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = (&ObjectKey, &T)> {
        let from = self.0.range(ObjectKey::namespaced(namespace, "")..);
        let within = from.take_while(move |(key, _)| key.namespace.as_deref() == Some(namespace));
        within.map(|(key, (_, kept))| (key, kept))
    }
}

impl Read {
    fn follow(&mut self, snapshot: &Snapshot, before: &Rules) -> Rules {
        let rules = |given: Option<Vec<PolicyRule>>| Arc::new(RoleRules::new(given.unwrap_or_default()));
        let binding = |role: RoleRef, subjects: Option<Vec<Subject>>| Binding {
            role,
            subjects: subjects.unwrap_or_default(),
        };
        let cluster_roles = self.cluster_roles.follow(snapshot, |role: ClusterRole| rules(role.rules));
        let cluster_bindings = self
            .cluster_bindings
            .follow(snapshot, |bound: ClusterRoleBinding| binding(bound.role_ref, bound.subjects));
        let mut changed = self.roles.follow(snapshot, |role: Role| rules(role.rules));
        changed.extend(
            self.bindings.follow(snapshot, |bound: RoleBinding| binding(bound.role_ref, bound.subjects)),
        );
        if !cluster_roles.is_empty() {
            // any binding may be one of theirs
            changed.extend(self.bindings.0.keys().map(|key| key.namespace.clone()));
        }
        let mut now = before.clone();
        if !cluster_roles.is_empty() || !cluster_bindings.is_empty() {
            now.everywhere = Arc::new(self.everywhere());
        }
        for namespace in changed.into_iter().flatten() {
            let bound = self.within(&namespace);
            if bound.users.is_empty() && bound.groups.is_empty() {
                now.namespaces.remove(&namespace);
            } else {
                now.namespaces.insert(namespace, Arc::new(bound));
            }
        }
        now
    }

    fn everywhere(&self) -> Bound {
        let mut bound = Bound::default();
        for (key, (_, binding)) in &self.cluster_bindings.0 {
            if let Some(found) = self.cluster_roles.get(&ObjectKey::cluster(&binding.role.name)) {
                let origin = format!("ClusterRoleBinding {:?} of {}", key.name, shown(&binding.role));
                bound.grant(&binding.subjects, "", found, &Arc::from(origin));
            }
        }
        bound.each_role_once();
        bound
    }

    fn within(&self, namespace: &str) -> Bound {
        let mut bound = Bound::default();
        for (key, binding) in self.bindings.of_namespace(namespace) {
            let RoleRef { kind, name, .. } = &binding.role;
            let found = match kind.as_str() {
                "ClusterRole" => self.cluster_roles.get(&ObjectKey::cluster(name)),
                _ => self.roles.get(&ObjectKey::namespaced(namespace, name)),
            };
            if let Some(found) = found {
                let name = format!("{}/{namespace}", key.name);
                let origin = format!("RoleBinding {name:?} of {}", shown(&binding.role));
                bound.grant(&binding.subjects, namespace, found, &Arc::from(origin));
            }
        }
        bound.each_role_once();
        bound
    }
}

impl Bound {
    fn grant(&mut self, subjects: &[Subject], at: &str, rules: &Arc<RoleRules>, origin: &Arc<str>) {
        for subject in subjects {
            let name = subject.name.as_str();
            let (of, key, to) = match subject.kind.as_str() {
                "Group" => (&mut self.groups, name.to_owned(), Kind::Group),
                "ServiceAccount" => {
                    let home = subject.namespace.as_deref().unwrap_or(at);
                    (&mut self.users, format!("{ACCOUNT}{home}:{name}"), Kind::ServiceAccount)
                }
                _ => (&mut self.users, name.to_owned(), Kind::User),
            };
            of.entry(key).or_default().push(Grant { rules: rules.clone(), origin: origin.clone(), to });
        }
    }

    /// By the first binding of several.
    fn each_role_once(&mut self) {
        for grants in self.users.values_mut().chain(self.groups.values_mut()) {
            let mut seen = HashSet::new();
            grants.retain(|grant| seen.insert(Arc::as_ptr(&grant.rules)));
        }
    }

    /// With whom each is for.
    fn grants<'a>(&'a self, actor: &'a Actor) -> impl Iterator<Item = (&'a Grant, &'a str)> {
        let own = self.users.get(&actor.name).map(|grants| (grants, actor.name.as_str()));
        let of_groups =
            actor.groups.iter().filter_map(|group| Some((self.groups.get(group)?, group.as_str())));
        own.into_iter().chain(of_groups).flat_map(|(grants, to)| grants.iter().map(move |grant| (grant, to)))
    }
}

impl Rules {
    /// The cluster's before the namespace's.
    fn grants<'a>(
        &'a self,
        actor: &'a Actor,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&'a Grant, &'a str)> {
        let here = namespace.and_then(|namespace| self.namespaces.get(namespace));
        [Some(&self.everywhere), here].into_iter().flatten().flat_map(move |bound| bound.grants(actor))
    }
}

impl Grant {
    /// Who gave it to whom: `RBAC: allowed by ClusterRoleBinding "a" of ClusterRole "b" to User "c"`.
    fn reason(&self, to: &str) -> Arc<str> {
        let Grant { origin, to: kind, .. } = self;
        let account = match kind {
            Kind::ServiceAccount => to.strip_prefix(ACCOUNT).and_then(|rest| rest.split_once(':')),
            Kind::User | Kind::Group => None,
        };
        let to = account.map_or_else(|| to.to_owned(), |(home, name)| format!("{name}/{home}"));
        format!("RBAC: allowed by {origin} to {kind:?} {to:?}").into()
    }
}

fn shown(role: &RoleRef) -> String {
    format!("{} {:?}", role.kind, role.name)
}

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
