//! The words in which roles are written. What the components of a cluster may do each says in its own file, with these, and
//! [`crate::Cluster::bootstrap_components`] makes it a role that is bound to it.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub const READ: &[&str] = &["get", "list", "watch"];
pub(crate) const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
pub const ALL: &[&str] = &["*"];
const GROUP: &str = "rbac.authorization.k8s.io";
/// On whatever the cluster keeps up to date; `false` is a user's word that it shall not.
pub(crate) const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// The role of a component, and who has it.
pub struct ComponentRole {
    pub(crate) name: String,
    pub(crate) holder: Holder,
    pub(crate) rules: Vec<PolicyRule>,
}

pub(crate) enum Holder {
    Bound(Subject),
    /// Needs no binding, which others could be bound by as well.
    OwnKubelet,
}

impl ComponentRole {
    /// Of a controller, which acts as its service account: `system:controller:NAME`, as upstream's.
    pub fn controller(name: &str, rules: Vec<PolicyRule>) -> Self {
        Self::service_account(&format!("system:controller:{name}"), name, rules)
    }

    pub fn service_account(role: &str, account: &str, rules: Vec<PolicyRule>) -> Self {
        Self::bound(role, subject("ServiceAccount", account, Some("kube-system")), rules)
    }

    pub fn user(role: &str, user: &str, rules: Vec<PolicyRule>) -> Self {
        Self::bound(role, subject("User", user, None), rules)
    }

    /// Of [`crate::Actor::own_kubelet`], and of no other node.
    pub fn own_kubelet(rules: Vec<PolicyRule>) -> Self {
        ComponentRole { name: String::new(), holder: Holder::OwnKubelet, rules }
    }

    fn bound(role: &str, to: Subject, rules: Vec<PolicyRule>) -> Self {
        ComponentRole { name: role.to_owned(), holder: Holder::Bound(to), rules }
    }
}

pub fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> PolicyRule {
    PolicyRule {
        verbs: owned(verbs),
        api_groups: Some(owned(groups)),
        resources: Some(owned(resources)),
        ..PolicyRule::default()
    }
}

/// Of who says what happens, under both names that events have.
pub fn events() -> PolicyRule {
    rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"])
}

/// Of who makes pods, and says so.
pub fn pods_and_events() -> Vec<PolicyRule> {
    vec![
        rule(&["create", "delete", "get", "list", "patch", "update", "watch"], &[""], &["pods"]),
        rule(&["create", "patch", "update"], &[""], &["events"]),
    ]
}

pub(crate) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(crate) fn role(name: &str, rules: Vec<PolicyRule>) -> ClusterRole {
    ClusterRole { metadata: metadata(name), rules: Some(rules), ..ClusterRole::default() }
}

pub(crate) fn binding(name: &str, role: &str, subjects: Vec<Subject>) -> ClusterRoleBinding {
    let role_ref =
        RoleRef { api_group: Some(GROUP.to_owned()), kind: "ClusterRole".to_owned(), name: role.to_owned() };
    ClusterRoleBinding { metadata: metadata(name), role_ref, subjects: Some(subjects) }
}

/// Of what every cluster has from its start.
pub(crate) fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some([("kubernetes.io/bootstrapping".to_owned(), "rbac-defaults".to_owned())].into()),
        annotations: Some([(AUTO_UPDATE.to_owned(), "true".to_owned())].into()),
        ..ObjectMeta::default()
    }
}

pub(crate) fn group(name: &str) -> Subject {
    subject("Group", name, None)
}

pub(crate) fn subject(kind: &str, name: &str, namespace: Option<&str>) -> Subject {
    Subject {
        api_group: namespace.is_none().then(|| GROUP.to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
    }
}
