//! The roles `admin`, `edit` and `view`, and the rules that they gather: upstream's bootstrap policy as it stands, with the
//! kinds that are not served here. Who would write Endpoints or EndpointSlices could lead others' traffic past every network
//! policy (CVE-2021-25740), so `edit` does not.

use crate::aggregated_rules;
use crate::roles::{READ, WRITE, role, rule};
use k8s_openapi::api::rbac::v1::{AggregationRule, ClusterRole, PolicyRule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

const RBAC: &str = "rbac.authorization.k8s.io";

/// Each with what it gathers, so that they are whole before a controller runs.
pub(super) fn cluster_roles() -> Vec<ClusterRole> {
    let mut roles = vec![
        part("system:aggregate-to-admin", "admin", admin()),
        part("system:aggregate-to-edit", "edit", edit()),
        part("system:aggregate-to-view", "view", view()),
        metrics_reader(),
    ];
    // in this order: each gathers the one before
    for (name, into) in [("view", Some("edit")), ("edit", Some("admin")), ("admin", None)] {
        let mut whole = role(name, Vec::new());
        if let Some(into) = into {
            whole.metadata.labels.get_or_insert_default().extend([label(into)]);
        }
        let selector = LabelSelector { match_labels: Some([label(name)].into()), ..LabelSelector::default() };
        whole.aggregation_rule = Some(AggregationRule { cluster_role_selectors: Some(vec![selector]) });
        whole.rules = aggregated_rules(&whole, &roles);
        roles.push(whole);
    }
    roles
}

fn part(name: &str, of: &str, rules: Vec<PolicyRule>) -> ClusterRole {
    let mut part = role(name, rules);
    part.metadata.labels.get_or_insert_default().extend([label(of)]);
    part
}

/// The metrics server's own: who may look at pods may see what they use.
fn metrics_reader() -> ClusterRole {
    let mut reader = role(
        "system:aggregated-metrics-reader",
        vec![rule(READ, &[crate::METRICS_GROUP], &["nodes", "pods"])],
    );
    reader.metadata.labels.get_or_insert_default().extend(["admin", "edit", "view"].map(label));
    reader
}

fn label(role: &str) -> (String, String) {
    (format!("{RBAC}/aggregate-to-{role}"), "true".to_owned())
}

fn admin() -> Vec<PolicyRule> {
    let all: Vec<&str> = READ.iter().chain(WRITE).copied().collect();
    vec![
        rule(&["create"], &["authorization.k8s.io"], &["localsubjectaccessreviews"]),
        rule(&all, &[RBAC], &["rolebindings", "roles"]),
    ]
}

fn edit() -> Vec<PolicyRule> {
    const CONNECT: &[&str] = &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy"];
    let pods: Vec<&str> = ["pods", "pods/resize"].iter().chain(CONNECT).copied().collect();
    let read: Vec<&str> =
        CONNECT.iter().chain(&["pods/resize", "secrets", "services/proxy"]).copied().collect();
    let all: Vec<&str> = READ.iter().chain(WRITE).copied().collect();
    vec![
        rule(READ, &[""], &read),
        rule(&["impersonate"], &[""], &["serviceaccounts"]),
        rule(WRITE, &[""], &pods),
        rule(&["create"], &[""], &["pods/eviction"]),
        rule(
            WRITE,
            &[""],
            &[
                "configmaps",
                "events",
                "persistentvolumeclaims",
                "replicationcontrollers",
                "replicationcontrollers/scale",
                "secrets",
                "serviceaccounts",
                "services",
                "services/proxy",
            ],
        ),
        rule(&["create"], &[""], &["serviceaccounts/token"]),
        rule(
            WRITE,
            &["apps"],
            &[
                "daemonsets",
                "deployments",
                "deployments/rollback",
                "deployments/scale",
                "replicasets",
                "replicasets/scale",
                "statefulsets",
                "statefulsets/scale",
            ],
        ),
        rule(WRITE, &["autoscaling"], &["horizontalpodautoscalers"]),
        rule(WRITE, &["batch"], &["cronjobs", "jobs"]),
        rule(WRITE, &["policy"], &["poddisruptionbudgets"]),
        rule(WRITE, &["networking.k8s.io"], &["ingresses", "networkpolicies"]),
        rule(WRITE, &["resource.k8s.io"], &["resourceclaims", "resourceclaimtemplates"]),
        rule(&all, &["coordination.k8s.io"], &["leases"]),
    ]
}

fn view() -> Vec<PolicyRule> {
    vec![
        rule(
            READ,
            &[""],
            &[
                "configmaps",
                "endpoints",
                "persistentvolumeclaims",
                "persistentvolumeclaims/status",
                "pods",
                "replicationcontrollers",
                "replicationcontrollers/scale",
                "serviceaccounts",
                "services",
                "services/status",
            ],
        ),
        rule(
            READ,
            &[""],
            &[
                "bindings",
                "events",
                "limitranges",
                "namespaces/status",
                "pods/log",
                "pods/status",
                "replicationcontrollers/status",
                "resourcequotas",
                "resourcequotas/status",
            ],
        ),
        // in a namespace this is that namespace
        rule(READ, &[""], &["namespaces"]),
        rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
        rule(
            READ,
            &["apps"],
            &[
                "controllerrevisions",
                "daemonsets",
                "daemonsets/status",
                "deployments",
                "deployments/scale",
                "deployments/status",
                "replicasets",
                "replicasets/scale",
                "replicasets/status",
                "statefulsets",
                "statefulsets/scale",
                "statefulsets/status",
            ],
        ),
        rule(READ, &["autoscaling"], &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
        rule(READ, &["batch"], &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
        rule(READ, &["policy"], &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
        rule(READ, &["networking.k8s.io"], &["ingresses", "ingresses/status", "networkpolicies"]),
        rule(
            READ,
            &["resource.k8s.io"],
            &["resourceclaims", "resourceclaims/status", "resourceclaimtemplates"],
        ),
    ]
}
