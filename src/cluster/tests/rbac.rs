//! Who may do what follows roles and bindings as they change, in each namespace by itself.

use api::ObjectKey;
use cluster::{Actor, Attributes, Cluster, Decision, DeleteOptions};
use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
use kinds::TypedKind;
use serde_json::{Value, json};

const GROUP: &str = "rbac.authorization.k8s.io";

fn object<K: TypedKind>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn pods(verb: &str) -> Value {
    json!([{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}])
}

fn reader(verb: &str) -> Role {
    object(json!({"metadata": {"name": "reader", "namespace": "default"}, "rules": pods(verb)}))
}

fn binding(namespace: &str, kind: &str, role: &str) -> RoleBinding {
    object(json!({
        "metadata": {"name": "b", "namespace": namespace},
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": [
            {"apiGroup": GROUP, "kind": "User", "name": "ann"},
            {"kind": "ServiceAccount", "name": "robot", "namespace": "default"},
        ],
    }))
}

fn decided(cluster: &Cluster, who: &str, verb: &str, namespace: &str) -> Decision {
    let asked = Attributes {
        verb: verb.to_owned(),
        resource: "pods".to_owned(),
        namespace: Some(namespace.to_owned()),
        ..Attributes::default()
    };
    cluster.decide(&Actor::user(who, &[Actor::AUTHENTICATED]), &asked)
}

/// The index follows the store.
async fn until(cluster: &Cluster, verb: &str, namespace: &str, allowed: bool) {
    while decided(cluster, "ann", verb, namespace).is_allowed() != allowed {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_allowed_follows_roles_and_bindings() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    root.api().create(reader("get")).await.unwrap();
    root.api().create(binding("default", "Role", "reader")).await.unwrap();
    until(&cluster, "get", "default", true).await;
    assert!(!decided(&cluster, "ann", "get", "kube-system").is_allowed(), "it is of one namespace");
    for (who, to) in
        [("ann", "User \"ann\""), ("system:serviceaccount:default:robot", "ServiceAccount \"robot/default\"")]
    {
        let want = format!("RBAC: allowed by RoleBinding \"b/default\" of Role \"reader\" to {to}");
        assert_eq!(*decided(&cluster, who, "get", "default").reason, *want);
    }

    root.api().update(reader("list")).await.unwrap();
    until(&cluster, "get", "default", false).await;
    assert!(decided(&cluster, "ann", "list", "default").is_allowed());

    // a cluster's role, bound in one namespace
    let wide = |verb: &str| object::<ClusterRole>(json!({"metadata": {"name": "wide"}, "rules": pods(verb)}));
    root.api().create(wide("get")).await.unwrap();
    root.api().create(binding("kube-system", "ClusterRole", "wide")).await.unwrap();
    until(&cluster, "get", "kube-system", true).await;
    root.api().update(wide("watch")).await.unwrap();
    until(&cluster, "get", "kube-system", false).await;
    assert!(decided(&cluster, "ann", "watch", "kube-system").is_allowed());

    let key = ObjectKey::namespaced("default", "b");
    root.api::<RoleBinding>().delete(&key, DeleteOptions::default()).await.unwrap();
    until(&cluster, "list", "default", false).await;
    assert!(decided(&cluster, "ann", "watch", "kube-system").is_allowed(), "the other stays");
}

/// Each binding of a role would be one more look at its rules, and one more copy of them in who asks what he may do.
#[tokio::test]
async fn a_role_that_is_bound_often_counts_once() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    root.api().create(reader("get")).await.unwrap();
    for n in 0..20 {
        let mut binding = binding("default", "Role", "reader");
        binding.metadata.name = Some(format!("b{n}"));
        root.api().create(binding).await.unwrap();
    }
    until(&cluster, "get", "default", true).await;
    let ann = Actor::user("ann", &[]);
    assert_eq!(cluster.rules_of(&ann, "default").iter().count(), 1);
}
