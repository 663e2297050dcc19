//! In whose name something is done.

use std::collections::BTreeMap;

/// Who is asking: what authentication found out, or a component that says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Actor {
    pub const MASTERS: &str = "system:masters";
    pub const AUTHENTICATED: &str = "system:authenticated";
    pub const UNAUTHENTICATED: &str = "system:unauthenticated";

    pub fn user(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|g| (*g).to_owned()).collect();
        Actor { name: name.to_owned(), uid: String::new(), groups, extra: BTreeMap::new() }
    }

    pub fn anonymous() -> Self {
        Self::user("system:anonymous", &[Self::UNAUTHENTICATED])
    }

    /// May do everything: the appliance itself, at start.
    pub fn root() -> Self {
        Self::user("system:apiserver", &[Self::MASTERS, Self::AUTHENTICATED])
    }

    /// `system:kube-scheduler` and the like.
    pub fn component(name: &str) -> Self {
        Self::user(name, &[Self::AUTHENTICATED])
    }

    /// A controller acts as its own service account, as upstream's controller manager lets it.
    pub fn controller(name: &str) -> Self {
        Self::service_account("kube-system", name)
    }

    pub fn node(name: &str) -> Self {
        Self::user(&format!("system:node:{name}"), &["system:nodes", Self::AUTHENTICATED])
    }

    pub fn service_account(namespace: &str, name: &str) -> Self {
        let of_namespace = format!("system:serviceaccounts:{namespace}");
        Self::user(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &["system:serviceaccounts", &of_namespace, Self::AUTHENTICATED],
        )
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}
