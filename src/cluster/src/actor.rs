//! In whose name something is done.

use std::collections::BTreeMap;

/// Who is asking: what authentication found out, or a component that says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
    /// Which of upstream's programs does in other clusters what this component does here. Empty where the name says it, and for
    /// everybody from outside.
    program: &'static str,
    /// The kubelet of this process: nobody becomes that from outside, whatever name and groups he has.
    is_own_kubelet: bool,
}

impl Actor {
    pub const MASTERS: &str = "system:masters";
    pub const AUTHENTICATED: &str = "system:authenticated";
    pub const UNAUTHENTICATED: &str = "system:unauthenticated";

    pub const NODES: &str = "system:nodes";
    const NODE: &str = "system:node:";

    /// Of whom somebody else has found out all this.
    pub fn known(
        name: String,
        uid: String,
        groups: Vec<String>,
        extra: BTreeMap<String, Vec<String>>,
    ) -> Self {
        Actor { name, uid, groups, extra, program: "", is_own_kubelet: false }
    }

    pub fn user(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|g| (*g).to_owned()).collect();
        Self::known(name.to_owned(), String::new(), groups, BTreeMap::new())
    }

    pub fn anonymous() -> Self {
        Self::user("system:anonymous", &[Self::UNAUTHENTICATED])
    }

    /// May do everything: the appliance itself, at start.
    pub fn root() -> Self {
        Self::user("system:apiserver", &[Self::MASTERS, Self::AUTHENTICATED]).of_program("kube-apiserver")
    }

    /// `system:kube-scheduler` and the like.
    pub fn component(name: &str) -> Self {
        Self::user(name, &[Self::AUTHENTICATED])
    }

    /// A controller acts as its own service account, as upstream's controller manager lets it.
    pub fn controller(name: &str) -> Self {
        Self::service_account("kube-system", name).of_program("kube-controller-manager")
    }

    /// As a kubelet with a certificate of its own.
    pub fn node(name: &str) -> Self {
        Self::user(&format!("{}{name}", Self::NODE), &[Self::NODES, Self::AUTHENTICATED])
    }

    /// The node of this process, which the cluster trusts as it does itself: what a client of that name may do the node
    /// authorizer says, and what this one may do its own role ([`crate::roles::ComponentRole::own_kubelet`]).
    pub fn own_kubelet(node: &str) -> Self {
        Actor { is_own_kubelet: true, ..Self::node(node).of_program("kubelet") }
    }

    /// A component that upstream has in another program than its name or its account says.
    #[must_use]
    pub fn of_program(self, program: &'static str) -> Self {
        Actor { program, ..self }
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

    /// Whose the fields are that a component writes, as `metadata.managedFields` names managers. Upstream takes the name of the
    /// program, so that all its controllers are one manager; `system:kube-scheduler` and an add-on's service account end with theirs.
    pub(crate) fn field_manager(&self) -> &str {
        match self.program {
            "" => self.name.rsplit(':').next().unwrap_or_default(),
            program => program,
        }
    }

    pub(crate) fn is_own_kubelet(&self) -> bool {
        self.is_own_kubelet
    }

    /// Which node comes as a client, upstream's `NodeIdentity`; empty where it does not say.
    pub(crate) fn client_node(&self) -> Option<&str> {
        let node = self.name.strip_prefix(Self::NODE)?;
        (self.is_in(Self::NODES) && !self.is_own_kubelet).then_some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_managers_by_the_names_of_upstreams_programs() {
        let cases = [
            (Actor::root(), "kube-apiserver"),
            (Actor::controller("deployment-controller"), "kube-controller-manager"),
            (Actor::controller("registration").of_program("kube-apiserver"), "kube-apiserver"),
            (Actor::component("system:kube-scheduler"), "kube-scheduler"),
            (Actor::own_kubelet("n1"), "kubelet"),
            (Actor::service_account("kube-system", "storage-provisioner"), "storage-provisioner"),
        ];
        for (actor, want) in cases {
            assert_eq!(actor.field_manager(), want, "{}", actor.name);
        }
    }
}
