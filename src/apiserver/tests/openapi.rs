//! The OpenAPI documents as clients fetch them: by the index's addresses, packed, once, and anew when kinds come and go.

mod common;

use common::{Answer, Server, Who};
use serde_json::{Value, json};

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    server.ask(Who::Admin, &format!("GET {path}"), headers, b"").await
}

async fn index(server: &Server) -> Value {
    serde_json::from_str(&get(server, "/openapi/v3", &[]).await.body).unwrap()
}

fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[tokio::test]
async fn a_document_is_fetched_once() {
    let server = Server::start().await;
    let address = index(&server).await["paths"]["apis/apps/v1"]["serverRelativeURL"].clone();
    let address = address.as_str().unwrap();
    let plain = get(&server, address, &[]).await;
    assert!(field(&plain, "cache-control").unwrap().contains("immutable"), "{}", plain.head);
    let document: Value = serde_json::from_str(&plain.body).unwrap();
    assert!(document["paths"]["/apis/apps/v1/deployments"].is_object());
    let packed = get(&server, address, &[("Accept-Encoding", "gzip")]).await;
    assert_eq!(field(&packed, "content-encoding"), Some("gzip"));
    let known = [("If-None-Match", field(&plain, "etag").unwrap())];
    let again = get(&server, address, &known).await;
    assert_eq!((again.code, again.body.as_str()), (304, ""));
    let outdated = get(&server, "/openapi/v3/apis/apps/v1?hash=00", &[]).await;
    assert_eq!((outdated.code, field(&outdated, "location")), (301, Some(address)));
    assert_eq!(get(&server, "/openapi/v3/apis/nothing/v1", &[]).await.code, 404);
}

#[tokio::test]
async fn version_2_comes_in_both_formats() {
    let server = Server::start().await;
    let json = get(&server, "/openapi/v2", &[("Accept", "application/json")]).await;
    let document: Value = serde_json::from_str(&json.body).unwrap();
    assert!(document["definitions"]["io.k8s.api.core.v1.Pod"].is_object());
    let go = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let protobuf = get(&server, "/openapi/v2", &[("Accept", go)]).await;
    assert!(field(&protobuf, "content-type").unwrap().contains("protobuf"), "{}", protobuf.head);
    assert!(protobuf.body.contains("io.k8s.api.core.v1.Pod"));
    assert_ne!(field(&json, "etag"), field(&protobuf, "etag"));
}

#[tokio::test]
async fn version_3_comes_in_both_formats() {
    let server = Server::start().await;
    let path = "/openapi/v3/apis/apps/v1";
    let (json, valid) = ("application/json", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf");
    let go = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf";
    let plain = get(&server, path, &[]).await;
    for (accept, want) in [
        ("*/*", json),
        (valid, valid),
        (go, valid),
        ("application/com.github.proto-openapi.spec.v3@v1.0+protobuf, application/json", valid),
        ("application/json, application/com.github.proto-openapi.spec.v3@v1.0+protobuf", json),
        ("application/vnd.kubernetes.protobuf, application/json", json),
    ] {
        let answer = get(&server, path, &[("Accept", accept)]).await;
        assert_eq!((answer.code, field(&answer, "content-type")), (200, Some(want)), "{accept}");
        assert!(answer.body.contains("io.k8s.api.apps.v1.Deployment"), "{accept}");
        assert_eq!(field(&answer, "etag") == field(&plain, "etag"), want == json, "{accept}");
    }
    assert_eq!(get(&server, path, &[("Accept", "text/html")]).await.code, 406);
    assert_eq!(get(&server, "/openapi/v3/apis/nothing/v1", &[("Accept", go)]).await.code, 404);
}

#[tokio::test]
async fn kinds_that_come_and_go_are_published_at_once() {
    let server = Server::start().await;
    let before = index(&server).await;
    let path = "apis/stable.example.com/v1";
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com", "scope": "Cluster", "names": {"kind": "CronTab", "plural": "crontabs"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    let definition = serde_json::from_value(definition).unwrap();
    server.cluster.serve_custom_kinds(apiextensions::kinds_of(&definition).unwrap());
    let after = index(&server).await;
    assert_eq!(after["paths"]["apis/apps/v1"], before["paths"]["apis/apps/v1"]);
    let address = after["paths"][path]["serverRelativeURL"].as_str().unwrap();
    assert!(get(&server, address, &[]).await.body.contains("\"com.example.stable.v1.CronTab\""));
    server.cluster.serve_custom_kinds(Vec::new());
    assert_eq!(index(&server).await, before);
    assert_eq!(get(&server, &format!("/openapi/v3/{path}"), &[]).await.code, 404);
}
