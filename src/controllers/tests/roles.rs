//! Roles that gather others, on a cluster in memory.

mod common;

use api::ObjectKey;
use cluster::Client;
use common::{object, start, until};
use k8s_openapi::api::rbac::v1::ClusterRole;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_gathers_what_others_are_labelled_to_give_it() {
    let client = start().await;
    let roles = client.api::<ClusterRole>();
    let widgets = |label: Value| {
        object::<ClusterRole>(json!({"metadata": {"name": "widgets", "labels": label},
            "rules": [{"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}]}))
    };
    let has = |role: &str, client: &Client| {
        let role = client.api::<ClusterRole>().get(&ObjectKey::cluster(role)).unwrap();
        role.rules.iter().flatten().any(|rule| rule.resources.iter().flatten().any(|r| r == "widgets"))
    };
    roles.create(widgets(json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"}))).await.unwrap();
    // and through it what gathers the role that gathers
    for role in ["view", "edit", "admin"] {
        until::<ClusterRole>(&client, |client| has(role, client)).await;
    }
    roles.update(widgets(json!({}))).await.unwrap();
    for role in ["view", "edit", "admin"] {
        until::<ClusterRole>(&client, |client| !has(role, client)).await;
    }
    let view = roles.get(&ObjectKey::cluster("view")).unwrap();
    assert!(view.rules.is_some_and(|rules| !rules.is_empty()), "its own stay");
}
