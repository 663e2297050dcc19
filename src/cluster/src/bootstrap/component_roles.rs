//! Upstream's bootstrap policy for components that run here within the program, or not at all: who deploys one of them as a pod
//! binds it to the role of this name.

use crate::authorize::node_rules;
use crate::roles::{ALL, READ, binding, events, metadata, owned, role, rule, subject};
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};

const CERTIFICATES: &str = "certificates.k8s.io";
const SYSTEM: &str = "kube-system";
const SCHEDULER: &str = "system:kube-scheduler";
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
pub(super) const NODE: &str = "system:node";
const READ_UPDATE: &[&str] = &["get", "list", "patch", "update", "watch"];

pub(super) fn cluster_roles() -> Vec<ClusterRole> {
    let requests = |part: &str| {
        rule(&["create"], &[CERTIFICATES], &[format!("certificatesigningrequests/{part}").as_str()])
    };
    let approver = |signer: &str| {
        let of = signer.trim_start_matches("kubernetes.io/");
        role(
            &format!("system:{CERTIFICATES}:{of}-approver"),
            vec![named(rule(&["approve"], &[CERTIFICATES], &["signers"]), signer)],
        )
    };
    vec![
        role(NODE, node_rules()),
        role(
            "system:volume-scheduler",
            vec![
                rule(READ_UPDATE, &[""], &["persistentvolumeclaims", "persistentvolumes"]),
                rule(READ, &["storage.k8s.io"], &["storageclasses"]),
            ],
        ),
        role(CONTROLLER_MANAGER, controller_manager()),
        role(
            "system:node-bootstrapper",
            vec![rule(&["create", "get", "list", "watch"], &[CERTIFICATES], &["certificatesigningrequests"])],
        ),
        role(
            "system:node-problem-detector",
            vec![rule(&["get"], &[""], &["nodes"]), rule(&["patch"], &[""], &["nodes/status"]), events()],
        ),
        role(
            "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
            vec![requests("nodeclient")],
        ),
        role(
            "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            vec![requests("selfnodeclient")],
        ),
        approver("kubernetes.io/kube-apiserver-client"),
        approver("kubernetes.io/kube-apiserver-client-kubelet"),
        approver("kubernetes.io/kubelet-serving"),
        approver("kubernetes.io/legacy-unknown"),
    ]
}

pub(super) fn cluster_role_bindings() -> Vec<ClusterRoleBinding> {
    let mut nodes = binding(NODE, NODE, Vec::new());
    // nobody: the node authorizer says which of the role's objects a node may have
    nodes.subjects = None;
    vec![
        nodes,
        binding("system:volume-scheduler", "system:volume-scheduler", vec![user(SCHEDULER)]),
        binding(CONTROLLER_MANAGER, CONTROLLER_MANAGER, vec![user(CONTROLLER_MANAGER)]),
    ]
}

/// Those of `kube-system`.
pub(super) fn roles() -> Vec<Role> {
    let lock = |holder: &str| Role {
        metadata: in_system(&format!("system::leader-locking-{holder}")),
        rules: Some(vec![
            rule(&["watch"], &[""], &["configmaps"]),
            named(rule(&["get", "update"], &[""], &["configmaps"]), holder),
        ]),
    };
    vec![lock("kube-controller-manager"), lock("kube-scheduler")]
}

pub(super) fn role_bindings() -> Vec<RoleBinding> {
    let bind = |name: &str, role: &str, subjects: Vec<Subject>| RoleBinding {
        metadata: in_system(name),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "Role".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(subjects),
    };
    let lock = |holder: &str, whose: &str| {
        let name = format!("system::leader-locking-{holder}");
        bind(&name, &name, vec![user(whose), subject("ServiceAccount", holder, Some(SYSTEM))])
    };
    vec![
        lock("kube-controller-manager", CONTROLLER_MANAGER),
        lock("kube-scheduler", SCHEDULER),
        bind(
            "system::extension-apiserver-authentication-reader",
            "extension-apiserver-authentication-reader",
            vec![user(CONTROLLER_MANAGER), user(SCHEDULER)],
        ),
    ]
}

fn controller_manager() -> Vec<PolicyRule> {
    let leases = &["coordination.k8s.io"];
    vec![
        events(),
        rule(&["create"], leases, &["leases"]),
        named(rule(&["get", "update"], leases, &["leases"]), "kube-controller-manager"),
        rule(&["create"], &[""], &["secrets", "serviceaccounts"]),
        rule(&["delete"], &[""], &["secrets"]),
        rule(&["get"], &[""], &["configmaps", "namespaces", "secrets", "serviceaccounts"]),
        rule(&["update"], &[""], &["secrets", "serviceaccounts"]),
        rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
        rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
        rule(&["create"], &[""], &["serviceaccounts/token"]),
        // whatever it collects and counts
        rule(&["list", "watch"], ALL, ALL),
    ]
}

fn named(mut rule: PolicyRule, name: &str) -> PolicyRule {
    rule.resource_names = Some(owned(&[name]));
    rule
}

fn user(name: &str) -> Subject {
    subject("User", name, None)
}

fn in_system(name: &str) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    let mut metadata = metadata(name);
    metadata.namespace = Some(SYSTEM.to_owned());
    metadata
}
