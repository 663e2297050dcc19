//! Attacks of one who may write roles or bindings: he ends with no more than he had.

use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Client, Cluster, Target, Wanted, WriteOptions};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kinds::{FieldValidation, TypedKind};
use serde_json::{Value, json};

const GROUP: &str = "rbac.authorization.k8s.io";

fn object<K: TypedKind>(value: &Value) -> K {
    serde_json::from_value(value.clone()).unwrap()
}

fn cluster_role(name: &str, rules: &Value) -> ClusterRole {
    object(&json!({"metadata": {"name": name}, "rules": rules}))
}

fn binding(name: &str, role: &str, user: &str) -> ClusterRoleBinding {
    object(&json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": user}],
    }))
}

fn role_binding(name: &str, kind: &str, role: &str) -> RoleBinding {
    object(&json!({
        "metadata": {"name": name, "namespace": "default"},
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "mallory"}],
    }))
}

fn everything() -> Value {
    json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
}

/// One who has these rules in the whole cluster.
async fn who_may(cluster: &Cluster, name: &str, rules: &Value) -> Client {
    let root = cluster.acting_as(Actor::root());
    root.api().create(cluster_role(name, rules)).await.unwrap();
    root.api().create(binding(name, name, name)).await.unwrap();
    let actor = Actor::user(name, &[Actor::AUTHENTICATED]);
    // the index of the rules follows the store
    let rules: Vec<PolicyRule> = serde_json::from_value(rules.clone()).unwrap();
    while !rules.iter().all(|rule| cluster.rules_of(&actor, "").contains(rule)) {
        tokio::task::yield_now().await;
    }
    cluster.acting_as(actor)
}

async fn mallory(cluster: &Cluster) -> Client {
    let writes = json!([
        {"apiGroups": [GROUP], "resources": ["roles", "clusterroles", "rolebindings", "clusterrolebindings"],
         "verbs": ["get", "create", "update", "patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]);
    who_may(cluster, "mallory", &writes).await
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, name: &str) -> String {
    let status = outcome.expect_err(name);
    assert_eq!(status.reason, Reason::Forbidden, "{name}: {status}");
    status.message
}

#[tokio::test]
async fn who_may_write_bindings_binds_nothing_that_he_does_not_hold() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let mallory = mallory(&cluster).await;
    let bindings = mallory.api::<ClusterRoleBinding>();

    let why = refused(bindings.create(binding("me", "cluster-admin", "mallory")).await, "cluster-admin");
    let want = concat!(
        "clusterrolebindings.rbac.authorization.k8s.io \"me\" is forbidden: user \"mallory\" ",
        "(groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n",
        "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"
    );
    assert_eq!(why, want);
    let nobody = bindings.create(binding("me", "no-such-role", "mallory")).await.unwrap_err();
    assert_eq!(nobody.message, "clusterroles.rbac.authorization.k8s.io \"no-such-role\" not found");

    // one that is there, led to himself
    root.api().create(binding("theirs", "cluster-admin", "alice")).await.unwrap();
    let theirs = ObjectKey::cluster("theirs");
    let stolen = bindings
        .modify(&theirs, |binding| {
            binding.subjects.as_mut().unwrap()[0].name = "mallory".into();
            Ok(())
        })
        .await;
    refused(stolen, "a patch of a binding");
    let config = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "me"},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "mallory"}]});
    let version = cluster.registry().by_gvr(&ClusterRoleBinding::info().gvr).unwrap();
    let wanted =
        Wanted { config, force: true, validation: FieldValidation::Strict, doubled_keys: Vec::new() };
    let target = Target::object(&version, None, "me");
    let applied = cluster.apply(mallory.actor(), &target, wanted, &WriteOptions::default()).await;
    refused(applied, "an apply of a binding");

    let local = mallory.api::<RoleBinding>();
    refused(
        local.create(role_binding("me", "ClusterRole", "admin")).await,
        "a cluster's role in a namespace",
    );
    let role = json!({"metadata": {"name": "secrets", "namespace": "default"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    root.api().create(object::<Role>(&role)).await.unwrap();
    refused(local.create(role_binding("me", "Role", "secrets")).await, "a role of the namespace");

    // what he holds he may bind, and owners and finalizers are the collector's
    let held = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}, {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]);
    root.api().create(cluster_role("held", &held)).await.unwrap();
    bindings.create(binding("fine", "held", "bob")).await.unwrap();
    let finalizer = |binding: &mut ClusterRoleBinding| {
        binding.metadata.finalizers = Some(vec!["example.com/hold".into()]);
        Ok(())
    };
    bindings.modify(&theirs, finalizer).await.unwrap();
}

#[tokio::test]
async fn who_may_write_roles_puts_nothing_into_them_that_he_does_not_hold() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let mallory = mallory(&cluster).await;
    let roles = mallory.api::<ClusterRole>();

    refused(roles.create(cluster_role("mine", &everything())).await, "a role of everything");
    let own = roles
        .modify(&ObjectKey::cluster("mallory"), |role| {
            *role = cluster_role("mallory", &everything());
            Ok(())
        })
        .await;
    let why = refused(own, "his own role");
    assert!(why.contains("is attempting to grant RBAC permissions not currently held"), "{why}");
    let local = json!({"metadata": {"name": "mine", "namespace": "default"},
        "rules": [{"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]}]});
    refused(mallory.api().create(object::<Role>(&local)).await, "a role of the namespace");
    let held = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    roles.create(cluster_role("held", &held)).await.unwrap();

    // what he may not write now, others may write into a role that gathers
    let gathers: ClusterRole = object(&json!({
        "metadata": {"name": "gathers"}, "rules": [],
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]},
    }));
    let why = refused(roles.create(gathers.clone()).await, "a role that gathers");
    assert!(why.ends_with("must have cluster-admin privileges to use the aggregationRule"), "{why}");
    root.api().create(gathers).await.unwrap();
    let tightened = roles
        .modify(&ObjectKey::cluster("gathers"), |role| {
            role.aggregation_rule = None;
            Ok(())
        })
        .await;
    refused(tightened, "a role that gathered");
}

#[tokio::test]
async fn the_verbs_escalate_and_bind_pass() {
    let cluster = testkit::cluster(testkit::config()).await;
    let writes = |verb: &str, resource: &str, names: &[&str]| {
        json!([
            {"apiGroups": [GROUP], "resources": ["clusterroles", "clusterrolebindings", "rolebindings"], "verbs": ["create"]},
            {"apiGroups": [GROUP], "resources": [resource], "verbs": [verb], "resourceNames": names},
        ])
    };
    let writer = who_may(&cluster, "writer", &writes("escalate", "clusterroles", &[])).await;
    writer.api().create(cluster_role("all", &everything())).await.unwrap();
    refused(writer.api().create(binding("all", "all", "writer")).await, "escalate is not bind");
    let binder = who_may(&cluster, "binder", &writes("bind", "clusterroles", &["view"])).await;
    binder.api().create(binding("view", "view", "bob")).await.unwrap();
    binder.api().create(role_binding("view", "ClusterRole", "view")).await.unwrap();
    refused(binder.api().create(binding("edit", "edit", "bob")).await, "another role");
    refused(binder.api().create(cluster_role("all-2", &everything())).await, "bind is not escalate");
}

#[tokio::test]
async fn a_rule_of_a_hundred_million_parts_is_refused_in_a_few_words() {
    let cluster = testkit::cluster(testkit::config()).await;
    let mallory = mallory(&cluster).await;
    let numbered = |letter: &str| (0..100).map(|n| format!("{letter}{n}")).collect::<Vec<_>>();
    let rules = json!([{"verbs": numbered("v"), "apiGroups": numbered("g"), "resources": numbered("r"),
        "resourceNames": numbered("n")}]);
    let role = json!({"metadata": {"name": "cube", "namespace": "default"}, "rules": rules});
    let why = refused(mallory.api().create(object::<Role>(&role)).await, "a cube");
    assert!(why.ends_with("\nand 99999900 more") && why.len() < 10_000, "{} {why:.1000}", why.len());
}
