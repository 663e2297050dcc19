//! Upstream's bootstrap policy for users. What a component of this program may do is said in its own file.

use super::{component_roles, user_roles};
use crate::Actor;
use crate::roles::{ALL, READ, binding, group, metadata, owned, role, rule};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role};

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
            "system:cluster-trust-bundle-discovery",
            vec![rule(READ, &["certificates.k8s.io"], &["clustertrustbundles"])],
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
            "system:kubelet-api-admin",
            vec![
                rule(READ, &[""], &["nodes"]),
                rule(&["proxy"], &[""], &["nodes"]),
                rule(
                    &["*"],
                    &[""],
                    &[
                        "nodes/configz",
                        "nodes/healthz",
                        "nodes/log",
                        "nodes/metrics",
                        "nodes/pods",
                        "nodes/proxy",
                        "nodes/stats",
                    ],
                ),
            ],
        ),
        role(
            "system:monitoring",
            vec![paths(
                &["get"],
                &[
                    "/flagz",
                    "/healthz",
                    "/healthz/*",
                    "/livez",
                    "/livez/*",
                    "/metrics",
                    "/metrics/slis",
                    "/readyz",
                    "/readyz/*",
                    "/statusz",
                ],
            )],
        ),
    ];
    roles.extend(user_roles::cluster_roles());
    roles.extend(component_roles::cluster_roles());
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
    let mut metadata = metadata("extension-apiserver-authentication-reader");
    metadata.namespace = Some("kube-system".to_owned());
    let mut reads = rule(READ, &[""], &["configmaps"]);
    reads.resource_names = Some(owned(&["extension-apiserver-authentication"]));
    Role { metadata, rules: Some(vec![reads]) }
}

pub(super) fn cluster_role_bindings() -> Vec<ClusterRoleBinding> {
    let mut bindings = vec![
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
        binding(
            "system:cluster-trust-bundle-discovery",
            "system:cluster-trust-bundle-discovery",
            vec![group("system:serviceaccounts")],
        ),
        binding("system:monitoring", "system:monitoring", vec![group("system:monitoring")]),
    ];
    bindings.extend(component_roles::cluster_role_bindings());
    bindings
}

fn paths(verbs: &[&str], urls: &[&str]) -> PolicyRule {
    PolicyRule { verbs: owned(verbs), non_resource_urls: Some(owned(urls)), ..PolicyRule::default() }
}
