//! What stands in the audit log of requests that are answered.

mod common;

use audit::{AuditLog, Policy, Rotation};
use common::{Server, Who};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

struct Lab {
    server: Server,
    directory: TempDir,
}

impl Lab {
    async fn new(rules: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let policy = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}");
        let rotation = Rotation { largest_file: u64::MAX, kept_files: 0 };
        let log = AuditLog::open(Policy::parse(&policy).unwrap(), &directory.path().join("log"), rotation);
        Lab { server: Server::with(Some(log.unwrap()), Default::default(), None).await, directory }
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Stage, verb and code of each.
    fn told(&self) -> Vec<String> {
        let short = |event: &Value| {
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text("stage"), text("verb"), event["responseStatus"]["code"])
        };
        self.events().iter().map(short).collect()
    }
}

#[tokio::test]
async fn a_request_is_told_of_as_it_comes_and_as_it_is_answered() {
    let lab = Lab::new("- level: Metadata\n").await;
    let headers = [("Content-Type", "application/json"), ("User-Agent", "kubectl/v1"), ("Audit-ID", "mine")];
    let map = json!({"metadata": {"name": "a"}, "data": {"k": "v"}}).to_string();
    let answer =
        lab.server.ask(Who::Admin, &format!("POST {MAPS}?fieldManager=me"), &headers, map.as_bytes()).await;
    assert_eq!(answer.code, 201);
    assert!(answer.head.contains("audit-id: mine"), "{}", answer.head);
    let events = lab.events();
    assert_eq!(lab.told(), ["RequestReceived create null", "ResponseComplete create 201"]);
    let event = &events[1];
    assert_eq!(event["auditID"], "mine");
    assert_eq!(event["requestURI"], format!("{MAPS}?fieldManager=me"));
    let groups = json!(["system:masters", "system:authenticated"]);
    assert_eq!(event["user"], json!({"username": "admin", "groups": groups}));
    assert_eq!(event["sourceIPs"], json!(["127.0.0.1"]));
    assert_eq!(event["userAgent"], "kubectl/v1");
    let reference =
        json!({"resource": "configmaps", "namespace": "default", "name": "a", "apiVersion": "v1"});
    assert_eq!(event["objectRef"], reference);
    assert_eq!(event["responseStatus"], json!({"metadata": {}, "code": 201}));
    assert_eq!(event["annotations"]["authorization.k8s.io/decision"], "allow");
    assert!(event["requestObject"].is_null() && event["responseObject"].is_null(), "metadata alone");
}

/// A client that says that he sends something, and does not.
#[tokio::test]
async fn who_is_answered_too_late_is_told_of_and_counted_as_that() {
    let lab = Lab::new("- level: Metadata\n  omitStages: [RequestReceived]\n").await;
    let line = format!("POST {MAPS}?timeout=300ms");
    let headers = [("Content-Type", "application/json"), ("Content-Length", "5")];
    assert_eq!(lab.server.ask(Who::Admin, &line, &headers, b"").await.code, 504);
    assert_eq!(lab.told(), ["ResponseComplete create 504"]);
    assert_eq!(lab.events()[0]["responseStatus"]["reason"], "Timeout");
    let page = lab.server.ask(Who::Admin, "GET /metrics", &[], b"").await.body;
    let late = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && line.contains("verb=\"POST\"")
            && line.contains("code=\"504\"")
    };
    let late: Vec<&str> = page.lines().filter(late).collect();
    assert!(late.len() == 1 && late[0].ends_with(" 1"), "{late:?}");
}

#[tokio::test]
async fn a_refusal_says_why_and_a_stranger_is_told_of() {
    let lab = Lab::new("- level: Metadata\n  omitStages: [RequestReceived]\n").await;
    lab.server.ask(Who::Nobody, &format!("GET {MAPS}/a"), &[], b"").await;
    lab.server.ask(Who::Nobody, &format!("GET {MAPS}/a"), &[("Authorization", "Bearer none")], b"").await;
    lab.server.ask(Who::Admin, "GET /api/v1/pods", &[("Impersonate-User", "jane")], b"").await;
    let events = lab.events();
    let want = ["ResponseComplete get 403", "ResponseStarted get 401", "ResponseComplete list 403"];
    assert_eq!(lab.told(), want);
    assert_eq!(events[0]["responseStatus"]["reason"], "Forbidden");
    assert_eq!(events[0]["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!(events[1]["user"], json!({}));
    assert_eq!(events[2]["user"]["username"], "admin");
    assert_eq!(events[2]["impersonatedUser"]["username"], "jane");
}

#[tokio::test]
async fn what_was_sent_and_answered_stands_there_where_the_policy_wants_it() {
    let rules = "- level: RequestResponse\n  resources: [{resources: [configmaps]}]\n  omitManagedFields: true\n- level: Metadata\nomitStages: [RequestReceived]\n";
    let lab = Lab::new(rules).await;
    let yaml = b"metadata:\n  name: a\ndata: {k: v}\n";
    lab.server.post(Who::Admin, MAPS, "application/yaml", yaml).await;
    let secret = br#"{"metadata": {"name": "s"}, "stringData": {"k": "hidden"}}"#;
    lab.server.post(Who::Admin, "/api/v1/namespaces/default/secrets", "application/json", secret).await;
    lab.server.ask(Who::Admin, "GET /healthz", &[], b"").await;
    let events = lab.events();
    assert_eq!(events[0]["requestObject"], json!({"metadata": {"name": "a"}, "data": {"k": "v"}}));
    let answered = &events[0]["responseObject"];
    assert_eq!((&answered["kind"], &answered["data"]["k"]), (&json!("ConfigMap"), &json!("v")));
    assert!(answered["metadata"]["managedFields"].is_null());
    assert_eq!(events[1]["objectRef"]["name"], "s");
    assert!(!events[1].to_string().contains("hidden"));
    assert_eq!((&events[2]["requestURI"], &events[2]["objectRef"]), (&json!("/healthz"), &Value::Null));
}

#[tokio::test]
async fn a_watch_is_told_of_when_it_begins_and_when_its_client_has_gone() {
    let lab = Lab::new("- level: Metadata\n  verbs: [watch]\n").await;
    let mut watch = lab.server.connect(Who::Admin).await;
    let head = format!("GET {MAPS}?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    watch.write_all(head.as_bytes()).await.unwrap();
    let until = |count: usize| {
        let lab = &lab;
        async move {
            while lab.told().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    until(2).await;
    lab.server.ask(Who::Admin, &format!("GET {MAPS}"), &[], b"").await;
    assert_eq!(lab.told(), ["RequestReceived watch null", "ResponseStarted watch 200"]);
    drop(watch);
    until(3).await;
    assert_eq!(lab.told()[2], "ResponseComplete watch 200");
}
