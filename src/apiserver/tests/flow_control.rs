//! Priority and fairness at the edge: who finds no seat is told to come again, and all others are served.

mod common;

use common::{Answer, Server, Who};
use serde_json::{Value, json};
use std::time::Duration;

const GROUP: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";

async fn create(server: &Server, path: &str, object: &Value) {
    let answer = server.post(Who::Admin, path, "application/json", object.to_string().as_bytes()).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
}

async fn as_jane(server: &Server) -> Answer {
    server.ask(Who::Admin, "GET /api/v1/namespaces", &[("Impersonate-User", "jane")], b"").await
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

#[tokio::test]
async fn a_level_without_seats_refuses_and_holds_up_nobody_else() {
    let server = Server::start().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let jane = json!([{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]);
    let role =
        json!({"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"});
    create(&server, rbac, &json!({"metadata": {"name": "jane"}, "subjects": jane, "roleRef": role})).await;
    while as_jane(&server).await.code == 403 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let subject = json!({"kind": "User", "user": {"name": "jane"}});
    let rule = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true});
    let spec = json!({"priorityLevelConfiguration": {"name": "none"}, "matchingPrecedence": 50,
        "rules": [{"subjects": [subject], "resourceRules": [rule]}]});
    create(&server, &format!("{GROUP}/flowschemas"), &json!({"metadata": {"name": "jane"}, "spec": spec}))
        .await;
    let dangling = async || {
        let schema = server.ask(Who::Admin, &format!("GET {GROUP}/flowschemas/jane"), &[], b"").await.json();
        schema["status"]["conditions"][0]["status"].as_str().unwrap_or_default().to_owned()
    };
    while dangling().await != "True" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // a level that there is not holds up nobody
    assert_eq!(as_jane(&server).await.code, 200);
    let limited = json!({"nominalConcurrencyShares": 0, "limitResponse": {"type": "Reject"}});
    let level = json!({"metadata": {"name": "none"}, "spec": {"type": "Limited", "limited": limited}});
    create(&server, &format!("{GROUP}/prioritylevelconfigurations"), &level).await;
    while as_jane(&server).await.code != 429 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = as_jane(&server).await;
    assert_eq!(refused.json()["reason"], "TooManyRequests");
    assert_eq!(header(&refused, "retry-after"), Some("1"));
    while dangling().await != "False" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let served = server.ask(Who::Admin, "GET /api/v1/namespaces", &[], b"").await;
    assert_eq!(served.code, 200);
    let exempt = server.ask(Who::Admin, &format!("GET {GROUP}/flowschemas/exempt"), &[], b"").await.json();
    assert_eq!(header(&served, "x-kubernetes-pf-flowschema-uid"), exempt["metadata"]["uid"].as_str());
    let metrics = server.ask(Who::Admin, "GET /metrics", &[], b"").await.body;
    let line = "apiserver_flowcontrol_rejected_requests_total{priority_level=\"none\"} ";
    assert!(metrics.lines().any(|told| told.starts_with(line) && !told.ends_with(" 0")), "{metrics}");
}
