//! Upstream's bootstrap policy, for the users and components that there are.

use super::role_reconciliation::AUTO_UPDATE;
use super::{named, user_roles};
use crate::Actor;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleRef, Subject};

pub(super) const READ: &[&str] = &["get", "list", "watch"];
pub(super) const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &["*"];
const GROUP: &str = "rbac.authorization.k8s.io";
const STORAGE: &[&str] = &["storage.k8s.io"];

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
    roles.extend(COMPONENTS.iter().map(|(name, _, rules)| role(name, rules())));
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

/// Role, whose it is, what it allows.
type Component = (&'static str, fn() -> Subject, fn() -> Vec<PolicyRule>);

const COMPONENTS: &[Component] = &[
    // there is one node, and it is this process: the role is bound to the group, as before upstream's node authorizer
    (
        "system:node",
        || group("system:nodes"),
        || {
            vec![
                rule(
                    READ,
                    &[""],
                    &[
                        "configmaps",
                        "namespaces",
                        "nodes",
                        "persistentvolumeclaims",
                        "persistentvolumes",
                        "pods",
                        "secrets",
                        "serviceaccounts",
                        "services",
                    ],
                ),
                rule(
                    &["create", "patch", "update"],
                    &[""],
                    &["nodes", "nodes/status", "pods/status", "events"],
                ),
                rule(&["create", "delete"], &[""], &["pods"]),
                rule(&["create"], &[""], &["serviceaccounts/token"]),
                rule(&["create", "delete", "get", "patch", "update"], &["coordination.k8s.io"], &["leases"]),
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
            ]
        },
    ),
    (
        "system:kube-scheduler",
        || user("system:kube-scheduler"),
        || {
            vec![
                rule(READ, &[""], &["namespaces", "nodes", "pods"]),
                rule(&["delete"], &[""], &["pods"]),
                rule(READ, &["policy"], &["poddisruptionbudgets"]),
                rule(
                    &["get", "list", "patch", "update", "watch"],
                    &[""],
                    &["persistentvolumeclaims", "persistentvolumes"],
                ),
                rule(READ, STORAGE, &["csidrivers", "csinodes", "csistoragecapacities", "storageclasses"]),
                rule(&["create"], &[""], &["bindings", "pods/binding"]),
                rule(&["patch", "update"], &[""], &["pods/status"]),
                rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
            ]
        },
    ),
    (
        "system:node-proxier",
        || user("system:kube-proxy"),
        || {
            vec![
                rule(READ, &[""], &["nodes", "services"]),
                rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
                rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
                rule(&["patch", "update"], &[""], &["services/status"]),
            ]
        },
    ),
    (
        "system:ingress-controller",
        || controller("ingress-controller"),
        || {
            vec![
                rule(READ, &[""], &["secrets", "services"]),
                rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
                rule(READ, &["networking.k8s.io"], &["ingresses", "ingressclasses"]),
                rule(&["patch", "update"], &["networking.k8s.io"], &["ingresses/status"]),
                rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
            ]
        },
    ),
    (
        "system:kube-dns",
        || controller("kube-dns"),
        || {
            vec![
                rule(&["create", "get", "list", "update", "watch"], &[""], &["services"]),
                rule(
                    &["create", "delete", "get", "list", "update", "watch"],
                    &["discovery.k8s.io"],
                    &["endpointslices"],
                ),
                rule(&["list", "watch"], &[""], &["namespaces"]),
            ]
        },
    ),
    (
        "system:controller:replication-controller",
        || controller("replication-controller"),
        || {
            let mut rules = pods_and_events();
            rules.push(rule(
                &["get", "list", "patch", "update", "watch"],
                &[""],
                &[
                    "replicationcontrollers",
                    "replicationcontrollers/finalizers",
                    "replicationcontrollers/status",
                ],
            ));
            rules
        },
    ),
    (
        "system:controller:replicaset-controller",
        || controller("replicaset-controller"),
        || {
            let mut rules = pods_and_events();
            rules.push(rule(
                &["get", "list", "patch", "update", "watch"],
                &["apps"],
                &["replicasets", "replicasets/finalizers", "replicasets/status"],
            ));
            rules
        },
    ),
    (
        "system:controller:deployment-controller",
        || controller("deployment-controller"),
        || {
            let mut rules = pods_and_events();
            rules.push(rule(
                &["create", "delete", "get", "list", "patch", "update", "watch"],
                &["apps"],
                &["deployments", "deployments/finalizers", "deployments/status", "replicasets"],
            ));
            rules
        },
    ),
    (
        "system:controller:daemon-set-controller",
        || controller("daemon-set-controller"),
        || {
            let mut rules = pods_and_events();
            rules.push(rule(READ, &[""], &["nodes"]));
            rules.push(rule(
                &["get", "list", "patch", "update", "watch"],
                &["apps"],
                &["daemonsets", "daemonsets/finalizers", "daemonsets/status"],
            ));
            rules.push(rule(
                &["create", "delete", "get", "list", "patch", "update", "watch"],
                &["apps"],
                &["controllerrevisions"],
            ));
            rules
        },
    ),
    (
        "system:controller:statefulset-controller",
        || controller("statefulset-controller"),
        || {
            let mut rules = pods_and_events();
            rules.push(rule(
                &["get", "list", "patch", "update", "watch"],
                &["apps"],
                &["statefulsets", "statefulsets/finalizers", "statefulsets/status"],
            ));
            rules.push(rule(
                &["create", "delete", "get", "list", "patch", "update", "watch"],
                &["apps"],
                &["controllerrevisions"],
            ));
            rules.push(rule(
                &["create", "delete", "get", "list", "patch", "update"],
                &[""],
                &["persistentvolumeclaims"],
            ));
            rules
        },
    ),
    (
        "system:controller:cronjob-controller",
        || controller("cronjob-controller"),
        || {
            let events = &["create", "patch", "update"];
            vec![
                rule(
                    &["get", "list", "patch", "update", "watch"],
                    &["batch"],
                    &["cronjobs", "cronjobs/finalizers", "cronjobs/status"],
                ),
                rule(&["create", "delete", "get", "list", "patch", "update", "watch"], &["batch"], &["jobs"]),
                rule(&["delete", "list"], &[""], &["pods"]),
                rule(events, &["", "events.k8s.io"], &["events"]),
            ]
        },
    ),
    (
        "system:controller:job-controller",
        || controller("job-controller"),
        || {
            let mut rules = pods_and_events();
            rules.push(rule(
                &["get", "list", "patch", "update", "watch"],
                &["batch"],
                &["jobs", "jobs/finalizers", "jobs/status"],
            ));
            rules
        },
    ),
    (
        "system:controller:ttl-after-finished-controller",
        || controller("ttl-after-finished-controller"),
        || {
            vec![
                rule(&["delete", "get", "list", "watch"], &["batch"], &["jobs"]),
                rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
            ]
        },
    ),
    (
        "system:controller:disruption-controller",
        || controller("disruption-controller"),
        || {
            vec![
                rule(READ, &["apps"], &["deployments", "replicasets", "statefulsets"]),
                rule(READ, &[""], &["pods", "replicationcontrollers"]),
                rule(READ, &["policy"], &["poddisruptionbudgets"]),
                rule(&["patch", "update"], &["policy"], &["poddisruptionbudgets/status"]),
                rule(&["get"], ALL, &["*/scale"]),
                rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
            ]
        },
    ),
    (
        "system:controller:horizontal-pod-autoscaler",
        || controller("horizontal-pod-autoscaler"),
        || {
            vec![
                rule(READ, &["autoscaling"], &["horizontalpodautoscalers"]),
                rule(&["patch", "update"], &["autoscaling"], &["horizontalpodautoscalers/status"]),
                rule(&["get", "update"], ALL, &["*/scale"]),
                rule(&["list"], &[""], &["pods"]),
                rule(&["list"], &[crate::METRICS_GROUP], &["pods"]),
                rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
            ]
        },
    ),
    (
        "system:controller:resourcequota-controller",
        || controller("resourcequota-controller"),
        || {
            vec![
                rule(&["list", "watch"], ALL, ALL),
                rule(&["get"], &[""], &["resourcequotas"]),
                rule(&["patch", "update"], &[""], &["resourcequotas/status"]),
                rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
            ]
        },
    ),
    (
        "system:controller:endpointslice-controller",
        || controller("endpointslice-controller"),
        || {
            vec![
                rule(READ, &[""], &["nodes", "pods", "services"]),
                rule(
                    &["create", "delete", "get", "list", "patch", "update"],
                    &["discovery.k8s.io"],
                    &["endpointslices"],
                ),
                rule(&["create", "delete", "get", "list", "patch", "update"], &[""], &["endpoints"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:controller:custom-resource-definition-controller",
        || controller("custom-resource-definition-controller"),
        || {
            vec![
                rule(
                    &["get", "list", "patch", "update", "watch"],
                    &["apiextensions.k8s.io"],
                    &["customresourcedefinitions", "customresourcedefinitions/status"],
                ),
                // the objects of a definition that goes, whatever their group
                rule(&["delete", "get", "list", "watch"], ALL, ALL),
            ]
        },
    ),
    (
        "system:controller:apiservice-registration-controller",
        || controller("apiservice-registration-controller"),
        || {
            let verbs = &["create", "delete", "get", "list", "watch"];
            vec![rule(verbs, &["apiregistration.k8s.io"], &["apiservices"])]
        },
    ),
    (
        "system:controller:extension-authentication-controller",
        || controller("extension-authentication-controller"),
        || vec![rule(&["create", "get", "list", "patch", "update", "watch"], &[""], &["configmaps"])],
    ),
    (
        "system:controller:validatingadmissionpolicy-status-controller",
        || controller("validatingadmissionpolicy-status-controller"),
        || {
            vec![
                rule(READ, &["admissionregistration.k8s.io"], &["validatingadmissionpolicies"]),
                rule(
                    &["get", "patch", "update"],
                    &["admissionregistration.k8s.io"],
                    &["validatingadmissionpolicies/status"],
                ),
            ]
        },
    ),
    (
        "system:controller:generic-garbage-collector",
        || controller("generic-garbage-collector"),
        || {
            vec![
                rule(&["delete", "get", "list", "patch", "update", "watch"], ALL, ALL),
                rule(&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
            ]
        },
    ),
    (
        "system:controller:namespace-controller",
        || controller("namespace-controller"),
        || {
            vec![
                rule(&["delete", "deletecollection", "get", "list"], ALL, ALL),
                rule(
                    &["delete", "get", "list", "patch", "update", "watch"],
                    &[""],
                    &["namespaces", "namespaces/finalize", "namespaces/status"],
                ),
            ]
        },
    ),
    (
        "system:controller:service-account-controller",
        || controller("service-account-controller"),
        || vec![rule(&["create", "get", "patch", "update"], &[""], &["configmaps", "serviceaccounts"])],
    ),
    (
        "system:controller:service-cidrs-controller",
        || controller("service-cidrs-controller"),
        || {
            let networking = &["networking.k8s.io"];
            vec![
                rule(&["get", "list", "patch", "update", "watch"], networking, &["servicecidrs"]),
                rule(&["patch", "update"], networking, &["servicecidrs/finalizers", "servicecidrs/status"]),
                rule(READ, networking, &["ipaddresses"]),
            ]
        },
    ),
    // it writes into roles what others hold
    (
        "system:controller:clusterrole-aggregation-controller",
        || controller("clusterrole-aggregation-controller"),
        || vec![rule(&["escalate", "get", "list", "patch", "update", "watch"], &[GROUP], &["clusterroles"])],
    ),
    (
        "system:controller:certificate-controller",
        || controller("certificate-controller"),
        || {
            let group = &["certificates.k8s.io"];
            let signers = &[
                "kubernetes.io/kube-apiserver-client",
                "kubernetes.io/kube-apiserver-client-kubelet",
                "kubernetes.io/kubelet-serving",
            ];
            vec![
                rule(&["delete", "get", "list", "watch"], group, &["certificatesigningrequests"]),
                rule(&["update"], group, &["certificatesigningrequests/status"]),
                PolicyRule {
                    resource_names: Some(signers.iter().map(|name| (*name).to_owned()).collect()),
                    ..rule(&["sign"], group, &["signers"])
                },
            ]
        },
    ),
    (
        "system:controller:tokens-controller",
        || controller("tokens-controller"),
        || {
            vec![
                rule(&["delete", "get", "list", "patch", "update", "watch"], &[""], &["secrets"]),
                rule(READ, &[""], &["serviceaccounts"]),
                rule(&["create"], &[""], &["serviceaccounts/token"]),
            ]
        },
    ),
    (
        "system:controller:node-controller",
        || controller("node-controller"),
        || {
            vec![
                rule(&["get", "list", "patch", "update", "watch"], &[""], &["nodes", "nodes/status"]),
                rule(&["delete", "get", "list"], &[""], &["pods"]),
                rule(&["patch", "update"], &[""], &["pods/status"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:controller:taint-eviction-controller",
        || controller("taint-eviction-controller"),
        || {
            vec![
                rule(READ, &[""], &["nodes"]),
                rule(&["delete", "get", "list", "watch"], &[""], &["pods"]),
                rule(&["patch", "update"], &[""], &["pods/status"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:controller:persistent-volume-binder",
        || controller("persistent-volume-binder"),
        || {
            vec![
                rule(
                    &["create", "delete", "get", "list", "patch", "update", "watch"],
                    &[""],
                    &["persistentvolumes"],
                ),
                rule(
                    &["patch", "update"],
                    &[""],
                    &["persistentvolumeclaims/status", "persistentvolumes/status"],
                ),
                rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumeclaims"]),
                rule(READ, &[""], &["nodes", "pods"]),
                rule(READ, STORAGE, &["storageclasses"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:controller:pv-protection-controller",
        || controller("pv-protection-controller"),
        || {
            vec![
                rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumes"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:controller:pvc-protection-controller",
        || controller("pvc-protection-controller"),
        || {
            vec![
                rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumeclaims"]),
                rule(READ, &[""], &["pods"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:controller:expand-controller",
        || controller("expand-controller"),
        || {
            vec![
                rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumes"]),
                rule(&["patch", "update"], &[""], &["persistentvolumeclaims/status"]),
                rule(READ, &[""], &["persistentvolumeclaims"]),
                rule(READ, STORAGE, &["storageclasses"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:controller:ephemeral-volume-controller",
        || controller("ephemeral-volume-controller"),
        || {
            vec![
                rule(READ, &[""], &["pods"]),
                rule(&["update"], &[""], &["pods/finalizers"]),
                rule(&["create", "get", "list", "watch"], &[""], &["persistentvolumeclaims"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:persistent-volume-provisioner",
        || controller("storage-provisioner"),
        || {
            vec![
                rule(
                    &["create", "delete", "get", "list", "patch", "update", "watch"],
                    &[""],
                    &["persistentvolumes"],
                ),
                rule(
                    &["patch", "update"],
                    &[""],
                    &["persistentvolumeclaims/status", "persistentvolumes/status"],
                ),
                rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumeclaims"]),
                rule(READ, STORAGE, &["storageclasses"]),
                rule(&["create", "patch", "update", "watch"], &[""], &["events"]),
            ]
        },
    ),
    (
        "system:controller:service-lb-controller",
        || controller("service-lb-controller"),
        || {
            vec![
                rule(&["get", "list", "patch", "update", "watch"], &[""], &["services", "services/status"]),
                rule(&["create", "patch", "update"], &[""], &["events"]),
            ]
        },
    ),
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

fn pods_and_events() -> Vec<PolicyRule> {
    vec![
        rule(&["create", "delete", "get", "list", "patch", "update", "watch"], &[""], &["pods"]),
        rule(&["create", "patch", "update"], &[""], &["events"]),
    ]
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
        binding("system:monitoring", "system:monitoring", vec![group("system:monitoring")]),
    ];
    bindings.extend(COMPONENTS.iter().map(|(name, subject, _)| binding(name, name, vec![subject()])));
    bindings
}

pub(super) fn role(name: &str, rules: Vec<PolicyRule>) -> ClusterRole {
    let mut metadata = named(name);
    metadata.labels = bootstrap_label();
    metadata.annotations = auto_update();
    ClusterRole { metadata, rules: Some(rules), ..ClusterRole::default() }
}

fn binding(name: &str, role: &str, subjects: Vec<Subject>) -> ClusterRoleBinding {
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

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> PolicyRule {
    PolicyRule {
        verbs: owned(verbs),
        api_groups: Some(owned(groups)),
        resources: Some(owned(resources)),
        ..PolicyRule::default()
    }
}

fn paths(verbs: &[&str], urls: &[&str]) -> PolicyRule {
    PolicyRule { verbs: owned(verbs), non_resource_urls: Some(owned(urls)), ..PolicyRule::default() }
}

fn group(name: &str) -> Subject {
    subject("Group", name, None)
}

fn user(name: &str) -> Subject {
    subject("User", name, None)
}

fn controller(name: &str) -> Subject {
    subject("ServiceAccount", name, Some("kube-system"))
}

fn subject(kind: &str, name: &str, namespace: Option<&str>) -> Subject {
    Subject {
        api_group: namespace.is_none().then(|| GROUP.to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
    }
}
