//! Upstream's bootstrap policy for users. What a component may do is said in its own file.

use super::role_reconciliation::AUTO_UPDATE;
use super::{named, user_roles};
use crate::Actor;
use crate::roles::{ALL, READ, owned, rule};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleRef, Subject};

pub(super) const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn cluster_roles() -> Vec<ClusterRole> {
    let mut roles = vec![
        role("cluster-admin", vec![rule(ALL, ALL, ALL), paths(ALL, &["*"])]),
        role("system:discovery", vec![paths(&["get"], DISCOVERY)]),
        role(
            "system:public-info-viewer",
            vec![paths(&["get"], &["/healthz", "/livez", "/readyz", "/version", "/version/"])],
        ),
        role(
            "system:service-account-issuer-discovery",
            vec![paths(&["get"], &["/.well-known/openid-configuration", "/openid/v1/jwks"])],
        ),
        role(
            "system:basic-user",
            vec![
                rule(
                    &["create"],
                    &["authorization.k8s.io"],
                    &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                ),
                rule(&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"]),
            ],
        ),
        // what an extension API server asks about those who come to it
        role(
            "system:auth-delegator",
            vec![
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
            ],
        ),
        role(
            "system:monitoring",
            vec![paths(
                &["get"],
                &["/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/readyz", "/readyz/*"],
            )],
        ),
    ];
    roles.extend(user_roles::cluster_roles());
    roles
}

const DISCOVERY: &[&str] = &[
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
];

/// Who may learn whom the cluster believes.
pub(super) fn extension_authentication_reader() -> Role {
    let mut metadata = named("extension-apiserver-authentication-reader");
    metadata.namespace = Some("kube-system".to_owned());
    metadata.labels = bootstrap_label();
    metadata.annotations = auto_update();
    let mut reads = rule(READ, &[""], &["configmaps"]);
    reads.resource_names = Some(owned(&["extension-apiserver-authentication"]));
    Role { metadata, rules: Some(vec![reads]) }
}

pub(super) fn cluster_role_bindings() -> Vec<ClusterRoleBinding> {
    vec![
        binding("cluster-admin", "cluster-admin", vec![group(Actor::MASTERS)]),
        binding("system:discovery", "system:discovery", vec![group(Actor::AUTHENTICATED)]),
        binding("system:basic-user", "system:basic-user", vec![group(Actor::AUTHENTICATED)]),
        binding(
            "system:public-info-viewer",
            "system:public-info-viewer",
            vec![group(Actor::AUTHENTICATED), group(Actor::UNAUTHENTICATED)],
        ),
        binding(
            "system:service-account-issuer-discovery",
            "system:service-account-issuer-discovery",
            vec![group("system:serviceaccounts")],
        ),
        binding("system:monitoring", "system:monitoring", vec![group("system:monitoring")]),
    ]
}

pub(crate) fn role(name: &str, rules: Vec<PolicyRule>) -> ClusterRole {
    let mut metadata = named(name);
    metadata.labels = bootstrap_label();
    metadata.annotations = auto_update();
    ClusterRole { metadata, rules: Some(rules), ..ClusterRole::default() }
}

pub(crate) fn binding(name: &str, role: &str, subjects: Vec<Subject>) -> ClusterRoleBinding {
    let mut metadata = named(name);
    metadata.labels = bootstrap_label();
    metadata.annotations = auto_update();
    ClusterRoleBinding {
        metadata,
        role_ref: RoleRef {
            api_group: Some(GROUP.to_owned()),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(subjects),
    }
}

fn bootstrap_label() -> Option<std::collections::BTreeMap<String, String>> {
    Some([("kubernetes.io/bootstrapping".to_owned(), "rbac-defaults".to_owned())].into())
}

fn auto_update() -> Option<std::collections::BTreeMap<String, String>> {
    Some([(AUTO_UPDATE.to_owned(), "true".to_owned())].into())
}

fn paths(verbs: &[&str], urls: &[&str]) -> PolicyRule {
    PolicyRule { verbs: owned(verbs), non_resource_urls: Some(owned(urls)), ..PolicyRule::default() }
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
