//! Of evictions, tokens and scales.

use crate::lab::{Lab, allow, on};
use api::Reason;
use cluster::{Actor, Verb, WriteOptions};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::Pod;
use kinds::{Subresource, TypedKind};
use serde_json::{Value, json};

#[tokio::test]
async fn an_eviction_is_asked_about_and_not_the_deletion_behind_it() {
    let jane = Actor::user("jane", &[Actor::MASTERS]);
    for (name, allowed) in [("refused", false), ("allowed", true)] {
        let lab = Lab::new(move |_| Ok(json!({"allowed": allowed}))).await;
        lab.waiting("p").await;
        lab.validating("v", vec![on("pods/eviction", "evicts", json!({})), on("pods", "deletes", json!({}))])
            .await;
        let evicted = lab.evict(&jane, "p", json!({"metadata": {"name": "p"}})).await;
        assert_eq!(evicted.is_ok(), allowed, "{name}: {evicted:?}");
        let asked = lab.asked();
        assert_eq!(asked.len(), 1, "{name}: {asked:?}");
        let request = &asked[0]["request"];
        assert_eq!(
            request["kind"],
            json!({"group": "policy", "version": "v1", "kind": "Eviction"}),
            "{name}"
        );
        assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "pods"}), "{name}");
        assert_eq!((&request["operation"], &request["subResource"]), (&json!("CREATE"), &json!("eviction")));
        assert_eq!((&request["userInfo"]["username"], &request["name"]), (&json!("jane"), &json!("p")));
        let pod = lab
            .cluster
            .acting_as(Actor::root())
            .api::<Pod>()
            .find(&api::ObjectKey::namespaced("default", "p"));
        assert_eq!(pod.unwrap().is_none(), allowed, "{name}");
    }
}

#[tokio::test]
async fn an_eviction_is_of_the_pod_of_its_path() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    lab.waiting("p").await;
    for (name, eviction) in
        [("another pod", json!({"metadata": {"name": "q"}})), ("no pod", json!({"metadata": {}}))]
    {
        let refused = lab.evict(&Actor::root(), "p", eviction).await.unwrap_err();
        assert_eq!(refused.message, "name in URL does not match name in Eviction object", "{name}");
    }
    assert!(
        lab.evict(&Actor::root(), "q", json!({"metadata": {"name": "q"}}))
            .await
            .unwrap_err()
            .is(Reason::NotFound)
    );
}

#[tokio::test]
async fn a_token_that_is_asked_for_is_asked_about() {
    let patch = json!([{"op": "replace", "path": "/spec/expirationSeconds", "value": 700}]);
    let lab = Lab::new(move |_| Ok(allow(patch.clone()))).await;
    lab.waiting("p").await;
    let root = lab.cluster.acting_as(Actor::root());
    lab.mutating("m", vec![on("serviceaccounts/token", "tokens", json!({}))]).await;
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": ["a"]}})).unwrap();
    let options = WriteOptions::default();
    let admitted = root.admit_token_request("default", "default", request, &options).await.unwrap();
    assert_eq!(admitted.spec.unwrap().expiration_seconds, Some(700));
    let asked = lab.asked();
    let request = &asked[0]["request"];
    let kind = json!({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"});
    assert_eq!((&request["kind"], &request["subResource"]), (&kind, &json!("token")));
    assert_eq!(request["object"]["spec"], json!({"audiences": ["a"], "expirationSeconds": 3600}));
    let other: TokenRequest =
        serde_json::from_value(json!({"metadata": {"name": "other"}, "spec": {"audiences": []}})).unwrap();
    let refused = root.admit_token_request("default", "default", other, &options).await.unwrap_err();
    assert!(
        refused.message.contains("must match the service account name if specified"),
        "{}",
        refused.message
    );
}

/// Of the Deployment `d`, that has one pod.
fn deployment() -> Deployment {
    let labels = json!({"app": "web"});
    serde_json::from_value(json!({
        "metadata": {"name": "d", "namespace": "default", "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    }))
    .unwrap()
}

#[tokio::test]
async fn a_scale_is_asked_about_as_what_it_is() {
    let patch = json!([
        {"op": "replace", "path": "/spec/replicas", "value": 2},
        {"op": "add", "path": "/metadata/labels", "value": {"nobody": "stores it"}},
    ]);
    let lab = Lab::new(move |review| match review["url"].as_str() {
        Some(url) if url.starts_with("https://changes/") => Ok(allow(patch.clone())),
        _ => Ok(json!({"allowed": true})),
    })
    .await;
    let root = lab.cluster.acting_as(Actor::root());
    root.api().create(deployment()).await.unwrap();
    let on_scale = |path: &str, change: Value| {
        let mut hook = on("deployments/scale", path, change);
        hook["rules"][0]["apiGroups"] = json!(["apps"]);
        hook
    };
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    lab.mutating("m", vec![on_scale("again", again), on_scale("changes", json!({}))]).await;
    let labelled = json!({"objectSelector": {"matchLabels": {"app": "web"}}});
    lab.validating("v", vec![on_scale("judges", json!({})), on_scale("selects", labelled)]).await;
    let part = lab.part(&Deployment::info().gvr, "d", Subresource::Scale);
    let five = |current: &api::Object| {
        let mut instance = part.version.decode_stored(current)?;
        instance.set_replicas(5);
        Ok(instance)
    };
    let options = WriteOptions::default();
    lab.cluster.modify(&Actor::root(), &part, Verb::Update, &options, &five).await.unwrap();
    let asked = lab.asked();
    let urls: Vec<&str> = asked.iter().filter_map(|review| review["url"].as_str()).collect();
    // who wants to see what others have made of it is asked twice, and who selects by labels never: a scale has none
    let want = ["again", "changes", "again", "judges"].map(|who| format!("https://{who}/?timeout=10s"));
    assert_eq!(urls, want);
    let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    let deployments = json!({"group": "apps", "version": "v1", "resource": "deployments"});
    for (review, replicas) in asked.iter().zip([5, 5, 2, 2]) {
        let request = &review["request"];
        assert_eq!((&request["kind"], &request["requestKind"]), (&scale, &scale));
        assert_eq!((&request["resource"], &request["requestResource"]), (&deployments, &deployments));
        assert_eq!((&request["subResource"], &request["name"]), (&json!("scale"), &json!("d")));
        let (object, old) = (&request["object"], &request["oldObject"]);
        for (shown, replicas) in [(object, replicas), (old, 1)] {
            assert_eq!((&shown["apiVersion"], &shown["kind"]), (&json!("autoscaling/v1"), &json!("Scale")));
            assert_eq!(shown["spec"], json!({"replicas": replicas}));
            assert_eq!(shown["status"]["selector"], "app=web");
            assert_eq!(shown["metadata"]["labels"], Value::Null);
        }
    }
    let written: Deployment = root.api().get(&api::ObjectKey::namespaced("default", "d")).unwrap();
    assert_eq!(written.spec.replicas, Some(2));
    assert_eq!(written.metadata.labels, deployment().metadata.labels);
}
