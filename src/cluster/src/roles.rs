//! What the components of a cluster may do: each says it in its own file, with the words of this one, and
//! [`Cluster::bootstrap_components`] makes it a role that is bound to it.

use crate::Cluster;
use crate::bootstrap::{group, subject};
use ::api::Status;
use k8s_openapi::api::rbac::v1::{PolicyRule, Subject};

pub const READ: &[&str] = &["get", "list", "watch"];
pub const ALL: &[&str] = &["*"];

/// The role of a component, and who has it.
pub struct ComponentRole {
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) rules: Vec<PolicyRule>,
}

impl ComponentRole {
    /// Of a controller, which acts as its service account: `system:controller:NAME`, as upstream's.
    pub fn controller(name: &str, rules: Vec<PolicyRule>) -> Self {
        Self::service_account(&format!("system:controller:{name}"), name, rules)
    }

    pub fn service_account(role: &str, account: &str, rules: Vec<PolicyRule>) -> Self {
        let subject = subject("ServiceAccount", account, Some("kube-system"));
        ComponentRole { name: role.to_owned(), subject, rules }
    }

    pub fn user(role: &str, user: &str, rules: Vec<PolicyRule>) -> Self {
        ComponentRole { name: role.to_owned(), subject: subject("User", user, None), rules }
    }

    pub fn group(role: &str, members: &str, rules: Vec<PolicyRule>) -> Self {
        ComponentRole { name: role.to_owned(), subject: group(members), rules }
    }
}

impl Cluster {
    /// Makes the roles and bindings that are missing, and gives those that lack something what this version needs. A component
    /// must have its role before it starts.
    ///
    /// # Errors
    /// What the store says.
    pub async fn bootstrap_components(
        &self,
        components: impl IntoIterator<Item = ComponentRole>,
    ) -> Result<(), Status> {
        let (mut roles, mut bindings) = (Vec::new(), Vec::new());
        for ComponentRole { name, subject, rules } in components {
            bindings.push(crate::bootstrap::binding(&name, &name, vec![subject]));
            roles.push(crate::bootstrap::role(&name, rules));
        }
        self.reconcile_roles(roles, bindings).await
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
