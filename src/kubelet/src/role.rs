//! What the node may do in the cluster.

use cluster::roles::{ComponentRole, READ, rule};

/// Of the node that is this process: it follows all that pods may refer to. Nodes that are clients have what the node authorizer
/// gives them.
pub fn role() -> ComponentRole {
    let rules = vec![
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
        rule(&["create", "patch", "update"], &[""], &["nodes", "nodes/status", "pods/status", "events"]),
        rule(&["create", "delete"], &[""], &["pods"]),
        rule(&["get", "patch", "update"], &[""], &["persistentvolumeclaims/status"]),
        rule(READ, &["storage.k8s.io"], &["csidrivers", "volumeattachments"]),
        rule(&["create", "delete", "get", "patch", "update"], &["storage.k8s.io"], &["csinodes"]),
        rule(READ, &["node.k8s.io"], &["runtimeclasses"]),
        rule(&["create"], &[""], &["serviceaccounts/token"]),
        rule(&["create", "delete", "get", "patch", "update"], &["coordination.k8s.io"], &["leases"]),
        rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
        rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
        rule(READ, &["certificates.k8s.io"], &["clustertrustbundles", "podcertificaterequests"]),
        rule(&["create"], &["certificates.k8s.io"], &["podcertificaterequests"]),
    ];
    ComponentRole::own_kubelet(rules)
}
