//! Who may do what: role-based access control, decided from an index of all rules that is rebuilt when one changes.

use crate::{Actor, Cluster, Target};
use ::api::{GroupResource, Status};
use arc_swap::ArcSwap;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kinds::TypedKind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Resource, Snapshot, Store};

/// One question: may somebody do this to that?
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// `/healthz`: then there is no resource.
    pub path: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// No rule allows it.
    NoOpinion,
}

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
    /// Who gave it to whom: `ClusterRoleBinding "a" of ClusterRole "b" to User "c"`.
    origin: Arc<str>,
}

impl Attributes {
    pub fn of(verb: &str, target: &Target) -> Self {
        let info = target.version.info();
        Attributes {
            verb: verb.to_owned(),
            group: info.gvr.group.to_string(),
            resource: info.gvr.resource.to_string(),
            subresource: target.subresource.map(|of| of.name().to_owned()).unwrap_or_default(),
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            path: None,
        }
        .in_own_namespace()
    }

    /// A namespace is asked for in itself, as upstream's `RequestInfo` reads `namespaces/NAME`: a role in it may allow that.
    pub fn in_own_namespace(mut self) -> Self {
        if self.group.is_empty() && self.resource == "namespaces" && self.namespace.is_none() {
            self.namespace.clone_from(&self.name);
        }
        self
    }

    pub fn non_resource(verb: &str, path: &str) -> Self {
        Attributes { verb: verb.to_owned(), path: Some(path.to_owned()), ..Self::default() }
    }

    /// `pods/log`
    fn full_resource(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            part => format!("{}/{part}", self.resource),
        }
    }
}

impl Cluster {
    /// # Errors
    /// `Forbidden`, in upstream's words.
    pub fn authorize(&self, actor: &Actor, attributes: &Attributes) -> Result<(), Status> {
        match self.decide(actor, attributes) {
            Decision::Allow => Ok(()),
            Decision::NoOpinion => Err(forbidden(actor, attributes)),
        }
    }

    pub fn decide(&self, actor: &Actor, attributes: &Attributes) -> Decision {
        if actor.is_in(Actor::MASTERS) || self.0.rbac.rules.load().granting(actor, attributes).is_some() {
            Decision::Allow
        } else {
            Decision::NoOpinion
        }
    }

    /// By what an actor is allowed to do this, in upstream's words; empty for who may do everything, and where nothing
    /// allows it.
    pub fn reason_of(&self, actor: &Actor, attributes: &Attributes) -> String {
        let rules = self.0.rbac.rules.load();
        let grant = rules.granting(actor, attributes).filter(|_| !actor.is_in(Actor::MASTERS));
        grant.map(|grant| format!("RBAC: allowed by {}", grant.origin)).unwrap_or_default()
    }

    /// The rules that apply to an actor in a namespace, for `kubectl auth can-i --list`.
    pub fn rules_of(&self, actor: &Actor, namespace: &str) -> Vec<PolicyRule> {
        let rules = self.0.rbac.rules.load();
        let grants = rules.grants(actor).filter(|g| g.namespace.as_deref().is_none_or(|n| n == namespace));
        grants.flat_map(|grant| grant.rules.iter().cloned()).collect()
    }
}

fn forbidden(actor: &Actor, attributes: &Attributes) -> Status {
    let user = &actor.name;
    if let Some(path) = &attributes.path {
        let why = format!("forbidden: User \"{user}\" cannot {} path \"{path}\"", attributes.verb);
        return Status::new(::api::Reason::Forbidden, why);
    }
    let place = match &attributes.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let resource = attributes.full_resource();
    let why = format!(
        "User \"{user}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
        attributes.verb, attributes.group
    );
    let about = GroupResource {
        group: attributes.group.clone().into(),
        resource: attributes.resource.clone().into(),
    };
    match attributes.name.as_deref() {
        Some(name) => Status::forbidden(&about, name, why),
        None => {
            let mut status = Status::forbidden(&about, "", &why);
            status.message = format!("{about} is forbidden: {why}");
            status
        }
    }
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

    pub(crate) fn refresh(&self, store: &Store) {
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
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
            let origin = format!("{origin} to {kind} {to:?}").into();
            let grant = Grant { namespace: namespace.clone(), rules: rules.clone(), origin };
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
fn covers(rule: &PolicyRule, asked: &Attributes) -> bool {
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
