//! Of connections to pods.

use crate::lab::{Lab, allow, hook};
use api::{Reason, Status};
use cluster::{Actor, Remarks, Target};
use k8s_openapi::api::core::v1::Pod;
use kinds::TypedKind;
use serde_json::{Value, json};

/// How somebody connects, and what it is to those who are asked.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct ExecOptions {
    container: String,
    command: Vec<String>,
}

impl Lab {
    async fn connect(&self) -> Result<ExecOptions, Status> {
        let version = self.cluster.registry().by_gvr(&Pod::info().gvr).unwrap();
        let target = Target::object(&version, Some("default"), "p").subresource(kinds::Subresource::Exec);
        let options = ExecOptions { container: "main".to_owned(), command: vec!["sh".to_owned()] };
        let remarks = Remarks::default();
        self.cluster.admit_connection(&Actor::root(), &target, "PodExecOptions", options, &remarks).await
    }
}

fn on_exec(change: Value) -> Value {
    let rules = json!([{"operations": ["CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/exec"]}]);
    let mut hook = hook(change);
    hook["rules"] = rules;
    hook
}

#[tokio::test]
async fn a_connection_is_made_as_a_webhook_has_changed_it_and_others_judge_that() {
    let lab = Lab::new(|review| match review["url"].as_str().unwrap().contains("mutates") {
        true => Ok(allow(json!([
            {"op": "replace", "path": "/command", "value": ["ls", "-l"]}, {"op": "remove", "path": "/container"},
            {"op": "add", "path": "/unknown", "value": 1}, {"op": "add", "path": "/kind", "value": "Pod"},
        ]))),
        false => Ok(json!({"allowed": true})),
    })
    .await;
    let mutates = json!({"name": "first.example.com", "clientConfig": {"url": "https://mutates/"}});
    lab.mutating("m", vec![on_exec(mutates), on_exec(json!({}))]).await;
    lab.validating("v", vec![on_exec(json!({}))]).await;
    let options = lab.connect().await.unwrap();
    assert_eq!(options.command, ["ls", "-l"]);
    assert_eq!(options.container, "");
    let asked = lab.asked();
    let shown = |command: Value, container: &str| json!({"kind": "PodExecOptions", "apiVersion": "v1", "command": command, "container": container});
    let objects: Vec<&Value> = asked.iter().map(|review| &review["request"]["object"]).collect();
    let changed = shown(json!(["ls", "-l"]), "");
    assert_eq!(objects, [&shown(json!(["sh"]), "main"), &changed, &changed]);
    let request = &asked[2]["request"];
    assert_eq!((&request["operation"], &request["subResource"]), (&json!("CONNECT"), &json!("exec")));
    assert_eq!(request["kind"], json!({"group": "", "version": "v1", "kind": "PodExecOptions"}));
    assert_eq!((&request["name"], &request["oldObject"]), (&json!("p"), &Value::Null));
}

#[tokio::test]
async fn what_makes_no_options_makes_no_connection() {
    let lab = Lab::new(|_| Ok(allow(json!([{"op": "replace", "path": "/command", "value": "ls"}])))).await;
    lab.mutating("m", vec![on_exec(json!({"failurePolicy": "Ignore"}))]).await;
    let refused = lab.connect().await.unwrap_err();
    assert!(
        refused.is(Reason::InternalError) && refused.message.contains("expected a sequence"),
        "{refused:?}"
    );
    let lab = Lab::new(|_| Ok(json!({"allowed": false, "status": {"message": "no shells"}}))).await;
    lab.validating("v", vec![on_exec(json!({}))]).await;
    assert!(lab.connect().await.unwrap_err().message.ends_with("denied the request: no shells"));
}
