//! The scale of custom kinds, which have their replicas where their definition says.

mod common;

use common::{Server, Who};
use serde_json::{Value, json};

const ALL: &str = "/apis/example.com/v1/namespaces/default/things";

/// Version 1 has its replicas in `spec.size.count`, version 2 in `spec.replicas`.
fn definition() -> Value {
    let number = json!({"type": "integer"});
    let size = json!({"type": "object", "properties": {"count": number, "unit": {"type": "string"}}});
    let spec = json!({"type": "object", "properties": {"replicas": number, "size": size}});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec,
        "status": {"type": "object", "properties": {"replicas": number}}}}});
    let version = |name: &str, path: &str| {
        json!({"name": name, "served": true, "storage": name == "v1", "schema": schema, "subresources": {
            "status": {}, "scale": {"specReplicasPath": path, "statusReplicasPath": ".status.replicas"}}})
    };
    json!({"metadata": {"name": "things.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing", "listKind": "ThingList", "singular": "thing"},
        "versions": [version("v1", ".spec.size.count"), version("v2", ".spec.replicas")]}})
}

struct Lab(Server);

impl Lab {
    async fn new() -> Self {
        let server = Server::start().await;
        let definition = serde_json::from_value(definition()).unwrap();
        server.cluster.serve_custom_kinds(apiextensions::kinds_of(&definition).unwrap());
        Lab(server)
    }

    /// The code, and what was answered.
    async fn apply(&self, path: &str, query: &str, body: &Value) -> (u16, Value) {
        let line = format!("PATCH {path}?fieldManager={query}");
        let headers = [("Content-Type", "application/apply-patch+yaml")];
        let answer = self.0.ask(Who::Admin, &line, &headers, body.to_string().as_bytes()).await;
        (answer.code, answer.json())
    }

    /// The fields that somebody has, and by which version.
    async fn fields_of(&self, manager: &str) -> Option<(Value, Value)> {
        let thing = self.0.ask(Who::Admin, &format!("GET {ALL}/it"), &[], b"").await.json();
        let entries = thing["metadata"]["managedFields"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["manager"] == manager)?;
        Some((entry["apiVersion"].clone(), entry["fieldsV1"].clone()))
    }
}

fn thing(version: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("example.com/{version}"), "kind": "Thing", "metadata": {"name": "it"}, "spec": spec})
}

fn scale(replicas: u8) -> Value {
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "it"}, "spec": {"replicas": replicas}})
}

#[tokio::test]
async fn a_scale_is_applied_where_the_definition_has_it() {
    let lab = Lab::new().await;
    let (at, it) = (format!("{ALL}/it/scale"), format!("{ALL}/it"));
    let made = lab.apply(&it, "owner", &thing("v1", json!({"size": {"count": 1, "unit": "kg"}}))).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let (code, told) = lab.apply(&at, "scaler", &scale(2)).await;
    let words = "Apply failed with 1 conflict: conflict with \"owner\": .spec.replicas";
    assert_eq!((code, &told["message"]), (409, &json!(words)), "the scale's words, not the object's");
    assert_eq!(told["details"]["causes"][0]["field"], ".spec.replicas");
    let (code, told) = lab.apply(&at, "scaler", &scale(1)).await;
    assert_eq!((code, &told["spec"]["replicas"]), (200, &json!(1)), "they share it");
    let (code, told) = lab.apply(&at, "scaler&force=true", &scale(2)).await;
    assert_eq!((code, &told["spec"]["replicas"]), (200, &json!(2)), "{told}");
    let count = json!({"f:spec": {"f:size": {"f:count": {}}}});
    assert_eq!(lab.fields_of("scaler").await, Some((json!("example.com/v1"), count)));
    let unit = json!({"f:spec": {"f:size": {"f:unit": {}}}});
    assert_eq!(lab.fields_of("owner").await, Some((json!("example.com/v1"), unit)));
    let (code, told) =
        lab.apply(&it, "owner", &thing("v1", json!({"size": {"count": 5, "unit": "kg"}}))).await;
    assert_eq!(code, 409, "{told}");
    let mut another = scale(3);
    another["metadata"]["uid"] = "other".into();
    let (code, told) = lab.apply(&at, "scaler", &another).await;
    let words = "Operation cannot be fulfilled on things/scale.example.com \"it\": Precondition failed: UID in precondition: other";
    assert!(code == 409 && told["message"].as_str().unwrap().starts_with(words), "{told}");
}

#[tokio::test]
async fn who_has_the_replicas_in_another_version_has_those_of_the_scale() {
    let lab = Lab::new().await;
    let at = "/apis/example.com/v2/namespaces/default/things/it/scale";
    let made = lab
        .apply(&format!("{ALL}/it"), "owner", &thing("v1", json!({"size": {"count": 1, "unit": "kg"}})))
        .await;
    assert_eq!(made.0, 201, "{}", made.1);
    let (code, told) = lab.apply(at, "scaler", &scale(2)).await;
    let words = "Apply failed with 1 conflict: conflict with \"owner\": .spec.replicas";
    assert_eq!((code, &told["message"]), (409, &json!(words)));
    let count = json!({"f:spec": {"f:size": {"f:count": {}, "f:unit": {}}}});
    assert_eq!(lab.fields_of("owner").await, Some((json!("example.com/v1"), count)), "nothing came of it");
    let put = json!({"metadata": {"name": "it"}, "spec": {"replicas": 4}}).to_string();
    let line = format!("PUT {at}?fieldManager=autoscaler");
    let answer = lab.0.ask(Who::Admin, &line, &[("Content-Type", "application/json")], put.as_bytes()).await;
    assert_eq!(answer.code, 200, "{}", answer.body);
    let unit = json!({"f:spec": {"f:size": {"f:unit": {}}}});
    assert_eq!(lab.fields_of("owner").await, Some((json!("example.com/v1"), unit)), "the scale has it now");
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    assert_eq!(lab.fields_of("autoscaler").await, Some((json!("example.com/v2"), replicas)));
}
