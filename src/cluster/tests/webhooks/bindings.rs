//! Of bindings.

use crate::lab::{Lab, allow, node_of, on};
use api::Reason;
use cluster::{Actor, DeleteOptions, PodBinding, Target, WriteOptions};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::policy::v1::Eviction;
use kinds::{Subresource, TypedKind};
use serde_json::{Value, json};

#[tokio::test]
async fn a_binding_is_carried_out_as_a_webhook_has_changed_it_and_others_judge_that() {
    let lab = Lab::new(|review| match review["url"].as_str().unwrap().contains("mutates") {
        true => Ok(allow(json!([
            {"op": "replace", "path": "/target/name", "value": "node-2"},
            {"op": "add", "path": "/metadata/annotations", "value": {"by": "a webhook"}},
        ]))),
        false => Ok(json!({"allowed": true, "warnings": ["mind the gap"]})),
    })
    .await;
    lab.waiting("p").await;
    lab.mutating("m", vec![on("pods/binding", "mutates", json!({}))]).await;
    let labelled = json!({"objectSelector": {"matchLabels": {"nobody": "has"}}});
    let hooks = [on("pods/binding", "judges", json!({})), on("pods/binding", "labelled", labelled)];
    lab.validating("v", hooks.into()).await;
    assert_eq!(lab.bind(PodBinding::new("default", "p", "node-1")).await.unwrap(), ["mind the gap"]);
    let asked = lab.asked();
    let urls: Vec<&str> = asked.iter().map(|review| review["url"].as_str().unwrap()).collect();
    assert_eq!(
        urls,
        ["https://mutates/?timeout=10s", "https://judges/?timeout=10s"],
        "once, and not of the pod"
    );
    let target = |node: &str| json!({"kind": "Node", "name": node});
    assert_eq!(asked[0]["request"]["object"]["target"], target("node-1"));
    let request = &asked[1]["request"];
    assert_eq!(request["object"]["target"], target("node-2"));
    assert_eq!((&request["operation"], &request["subResource"]), (&json!("CREATE"), &json!("binding")));
    assert_eq!(request["kind"], json!({"group": "", "version": "v1", "kind": "Binding"}));
    assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "pods"}));
    assert_eq!((&request["name"], &request["namespace"]), (&json!("p"), &json!("default")));
    assert_eq!(request["oldObject"], Value::Null);
    let pod = lab.pod("p");
    assert_eq!(node_of(&pod), Some("node-2"));
    assert_eq!(pod.metadata.annotations.unwrap()["by"], "a webhook");
}

#[tokio::test]
async fn a_binding_to_another_node_has_that_nodes_labels() {
    let lab = Lab::new(|review| match review["url"].as_str().unwrap().contains("mutates") {
        true => Ok(allow(json!([{"op": "replace", "path": "/target/name", "value": "node-2"}]))),
        false => Ok(json!({"allowed": true})),
    })
    .await;
    let (zone, region) = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region");
    for (name, labels) in [("node-1", json!({zone: "a", region: "r"})), ("node-2", json!({zone: "b"}))] {
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
        lab.cluster.acting_as(Actor::root()).api().create(node).await.unwrap();
    }
    lab.waiting("p").await;
    lab.mutating("m", vec![on("pods/binding", "mutates", json!({}))]).await;
    lab.validating("v", vec![on("pods/binding", "judges", json!({}))]).await;
    lab.bind(PodBinding::new("default", "p", "node-1")).await.unwrap();
    let asked = lab.asked();
    let seen = |at: usize| asked[at]["request"]["object"]["metadata"]["labels"].clone();
    assert_eq!(seen(0), json!({zone: "a", region: "r"}));
    assert_eq!(seen(1), json!({zone: "b"}));
    let labels = lab.pod("p").metadata.labels.unwrap_or_default();
    assert_eq!((labels.get(zone).map(String::as_str), labels.get(region)), (Some("b"), None));
}

#[tokio::test]
async fn nothing_is_made_in_a_namespace_that_goes_whether_or_not_it_is_stored() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    let root = lab.cluster.acting_as(Actor::root());
    let version = lab.cluster.registry().by_gvr(&Namespace::info().gvr).unwrap();
    let goes: Namespace =
        serde_json::from_value(json!({"metadata": {"name": "goes", "finalizers": ["example.com/held"]}}))
            .unwrap();
    root.api().create(goes).await.unwrap();
    let target = Target::object(&version, None, "goes");
    lab.cluster.delete(&Actor::root(), &target, &DeleteOptions::default()).await.unwrap();
    let why = "because it is being terminated";
    let bound = lab.bind(PodBinding::new("goes", "p", "node-1")).await.unwrap_err();
    let request = TokenRequest::default();
    let options = WriteOptions::default();
    let token = root.admit_token_request("goes", "default", request, &options).await.unwrap_err();
    let part = {
        let version = lab.cluster.registry().by_gvr(&Pod::info().gvr).unwrap();
        Target::object(&version, Some("goes"), "p").subresource(Subresource::Eviction)
    };
    let eviction: Eviction = serde_json::from_value(json!({"metadata": {"name": "p"}})).unwrap();
    let evicted = lab.cluster.admit_eviction(&Actor::root(), &part, eviction, &options).await.unwrap_err();
    for refused in [bound, token, evicted] {
        assert!(refused.is(Reason::Forbidden) && refused.message.ends_with(why), "{}", refused.message);
        // by which `kubectl drain` knows that the pod goes anyhow
        assert_eq!(refused.causes[0].reason, "NamespaceTerminating");
    }
}

#[tokio::test]
async fn the_older_collection_of_bindings_is_a_resource_of_its_own() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    lab.waiting("p").await;
    let labelled = json!({"objectSelector": {"matchLabels": {"x": "y"}}});
    let hooks = [on("pods/binding", "pod", json!({})), on("bindings", "collection", labelled)];
    lab.validating("v", hooks.into()).await;
    let mut binding = PodBinding { path: None, ..PodBinding::new("default", "p", "node-1") };
    binding.object.metadata.labels = Some([("x".to_owned(), "y".to_owned())].into());
    lab.bind(binding).await.unwrap();
    let asked = lab.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let request = &asked[0]["request"];
    assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "bindings"}));
    assert_eq!((&request["name"], request.get("subResource")), (&json!("p"), None));
    assert_eq!(node_of(&lab.pod("p")), Some("node-1"));
}

#[tokio::test]
async fn a_binding_that_is_refused_binds_nothing() {
    let cases = [
        (
            "by a webhook",
            json!({"allowed": false, "status": {"message": "not there"}}),
            "denied the request: not there",
        ),
        (
            "by the cluster, for what a webhook has made of it",
            allow(json!([{"op": "replace", "path": "/target/name", "value": ""}])),
            "target.name: Required value",
        ),
        (
            "for it is no Binding any more",
            allow(json!([{"op": "replace", "path": "/target", "value": "node-2"}])),
            "Internal error occurred: ",
        ),
    ];
    for (name, answer, words) in cases {
        let lab = Lab::new(move |_| Ok(answer.clone())).await;
        lab.waiting("p").await;
        lab.mutating("m", vec![on("pods/binding", "mutates", json!({}))]).await;
        let refused = lab.bind(PodBinding::new("default", "p", "node-1")).await.unwrap_err();
        assert!(refused.message.contains(words), "{name}: {}", refused.message);
        assert_eq!(node_of(&lab.pod("p")), None, "{name}");
    }
}
