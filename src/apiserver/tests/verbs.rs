//! Verbs that a kind has or has not, as upstream's server answers them.

mod common;

use common::{Server, Who};
use serde_json::{Value, json};

#[tokio::test]
async fn namespaces_are_not_deleted_all_at_once() {
    let server = Server::start().await;
    let refused = server.ask(Who::Admin, "DELETE /api/v1/namespaces", &[], b"").await;
    assert_eq!(refused.code, 405, "{}", refused.body);
    assert_eq!(refused.message(), "the server does not allow this method on the requested resource");
    let there = server.ask(Who::Admin, "GET /api/v1/namespaces/default", &[], b"").await;
    assert_eq!(there.json()["status"]["phase"], "Active");
    assert_eq!(server.ask(Who::Admin, "DELETE /api/v1/nodes", &[], b"").await.code, 200);
}

#[tokio::test]
async fn every_path_that_is_listed_is_served() {
    let server = Server::start().await;
    let root = server.ask(Who::Admin, "GET /", &[], b"").await.json();
    let paths: Vec<&str> =
        root["paths"].as_array().unwrap().iter().filter_map(|path| path.as_str()).collect();
    for path in
        ["/apis/apps/v1", "/livez/etcd", "/readyz/shutdown", "/readyz/poststarthook/rbac/bootstrap-roles"]
    {
        assert!(paths.contains(&path), "{path}");
    }
    for path in paths {
        assert_eq!(server.ask(Who::Admin, &format!("GET {path}"), &[], b"").await.code, 200, "{path}");
    }
    assert_eq!(server.ask(Who::Admin, "GET /healthz/poststarthook/nothing", &[], b"").await.code, 404);
    let told = server.ask(Who::Admin, "GET /readyz?verbose&exclude=node&exclude=x", &[], b"").await;
    let lines = [
        "[+]etcd ok",
        "[+]node excluded: ok",
        "cannot be excluded: no matches for \"x\"",
        "readyz check passed",
    ];
    for line in lines {
        assert!(told.body.contains(line), "{line}: {}", told.body);
    }
}

#[tokio::test]
async fn a_watch_has_a_path_of_its_own() {
    let server = Server::start().await;
    server.config_map("one").await;
    server.config_map("two").await;
    let cases = [
        ("of all", "/api/v1/watch/configmaps", 2),
        ("of a namespace", "/api/v1/watch/namespaces/default/configmaps", 2),
        ("of one", "/api/v1/watch/namespaces/default/configmaps/one", 1),
        ("of another namespace", "/api/v1/watch/namespaces/other/configmaps", 0),
    ];
    for (name, path, want) in cases {
        let line = format!("GET {path}?resourceVersion=0&timeoutSeconds=1");
        let told = server.ask(Who::Admin, &line, &[], b"").await;
        assert_eq!((told.code, told.body.matches("\"ADDED\"").count()), (200, want), "{name}: {}", told.body);
        assert_eq!(server.ask(Who::Nobody, &line, &[], b"").await.code, 403, "{name}");
    }
    // nothing but a watch is asked for there
    let answer =
        server.ask(Who::Admin, "DELETE /api/v1/watch/namespaces/default/configmaps/one", &[], b"").await;
    assert_eq!(answer.code, 405, "{}", answer.body);
    assert!(server.find_config_map("one").is_some());
}

#[tokio::test]
async fn a_put_creates_what_is_not_there_of_some_kinds() {
    let server = Server::start().await;
    let headers = [("Content-Type", "application/json")];
    let put = async |path: &str, body: Value| {
        let answer = server.ask(Who::Admin, path, &headers, body.to_string().as_bytes()).await;
        (answer.code, answer.json())
    };
    let lease = "PUT /apis/coordination.k8s.io/v1/namespaces/default/leases/it";
    let mut body = json!({"metadata": {"name": "it"}, "spec": {"holderIdentity": "me"}});
    let (code, made) = put(lease, body.clone()).await;
    assert_eq!((code, &made["metadata"]["name"]), (201, &json!("it")), "{made}");
    let (code, told) = put(lease, body.clone()).await;
    assert_eq!((code, &told["details"]["kind"]), (422, &json!("leases")), "{told}");
    body["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    assert_eq!(put(lease, body).await.0, 200);
    let (code, told) = put(lease, json!({"spec": {}})).await;
    assert_eq!(code, 400, "without a name: {told}");
    let map = json!({"metadata": {"name": "it"}, "data": {}});
    let (code, told) = put("PUT /api/v1/namespaces/default/configmaps/it", map).await;
    assert_eq!(code, 404, "{told}");
}

#[tokio::test]
async fn a_put_asks_for_the_object_of_a_uid_and_a_patch_must_not_change_it() {
    let server = Server::start().await;
    let all = "/api/v1/namespaces/default/configmaps";
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it"}, "data": {"a": "b"}});
    let made = server.post(Who::Admin, all, "application/json", map.to_string().as_bytes()).await;
    assert_eq!(made.code, 201, "{}", made.body);
    let with = |uid: &Value| {
        let mut map = map.clone();
        map["metadata"]["uid"] = uid.clone();
        map
    };
    let part = |uid: &Value| json!({"metadata": {"uid": uid}});
    let steps = |uid: &Value| json!([{"op": "replace", "path": "/metadata/uid", "value": uid}]);
    let (own, other) = (made.json()["metadata"]["uid"].clone(), json!("other"));
    let immutable = "ConfigMap \"it\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable";
    let precondition = "Precondition failed: UID in precondition: other";
    let (verb, patch) = ("PUT", "PATCH");
    for (name, verb, media, body, code, words) in [
        ("a put", verb, "application/json", with(&other), 409, precondition),
        ("a merge patch", patch, "application/merge-patch+json", part(&other), 422, immutable),
        ("a strategic patch", patch, "application/strategic-merge-patch+json", part(&other), 422, immutable),
        ("a JSON patch", patch, "application/json-patch+json", steps(&other), 422, immutable),
        ("an apply", patch, "application/apply-patch+yaml", with(&other), 422, immutable),
        ("none", patch, "application/merge-patch+json", part(&Value::Null), 200, ""),
        ("its own, by a put", verb, "application/json", with(&own), 200, ""),
        ("its own, by a patch", patch, "application/json-patch+json", steps(&own), 200, ""),
        ("its own, by an apply", patch, "application/apply-patch+yaml", with(&own), 200, ""),
    ] {
        let line = format!("{verb} {all}/it?fieldManager=m");
        let headers = [("Content-Type", media)];
        let answer = server.ask(Who::Admin, &line, &headers, body.to_string().as_bytes()).await;
        assert!(
            answer.code == code && answer.message().contains(words),
            "{name}: {} {}",
            answer.code,
            answer.body
        );
    }
}

#[tokio::test]
async fn a_scale_is_that_of_the_object_that_it_names() {
    let server = Server::start().await;
    let headers = [("Content-Type", "application/json")];
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let web = json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let all = "/apis/apps/v1/namespaces/default/deployments";
    let made = server.post(Who::Admin, all, "application/json", web.to_string().as_bytes()).await;
    assert_eq!(made.code, 201, "{}", made.body);
    let line = format!("PUT {all}/web/scale");
    for (name, meta, code, words) in [
        ("another", json!({"name": "web", "uid": "other"}), 409, "UID in precondition: other"),
        (
            "another's",
            json!({"name": "db"}),
            400,
            "the name of the object (db) does not match the name on the URL (web)",
        ),
        (
            "its own",
            json!({"name": "web", "namespace": "default", "uid": made.json()["metadata"]["uid"]}),
            200,
            "",
        ),
    ] {
        let scale = json!({"metadata": meta, "spec": {"replicas": 3}}).to_string();
        let answer = server.ask(Who::Admin, &line, &headers, scale.as_bytes()).await;
        assert!(
            answer.code == code && answer.body.contains(words),
            "{name}: {} {}",
            answer.code,
            answer.body
        );
    }
    let patch = br#"{"metadata": {"uid": "other"}, "spec": {"replicas": 3}}"#;
    let headers = [("Content-Type", "application/merge-patch+json")];
    let answer = server.ask(Who::Admin, &format!("PATCH {all}/web/scale"), &headers, patch).await;
    let words = format!(
        "Operation cannot be fulfilled on deployments/scale.apps \"web\": Precondition failed: UID in precondition: other, UID in \
         object meta: {}",
        made.json()["metadata"]["uid"].as_str().unwrap()
    );
    assert_eq!((answer.code, answer.message()), (409, words));
    let apply = async |manager: &str, replicas: u8, more: &str| {
        let line = format!("PATCH {all}/web/scale?fieldManager={manager}{more}");
        let scale = format!(
            "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {{name: web}}\nspec: {{replicas: {replicas}}}\n"
        );
        let headers = [("Content-Type", "application/apply-patch+yaml")];
        server.ask(Who::Admin, &line, &headers, scale.as_bytes()).await
    };
    for (name, manager, replicas, more, code) in [
        ("of who put it", "one", 5, "", 409),
        ("the same", "one", 3, "", 200),
        ("of two", "one", 5, "&force=true", 200),
        ("of one", "one", 6, "", 200),
        ("of another", "two", 7, "", 409),
    ] {
        let answer = apply(manager, replicas, more).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.body);
        if code == 200 {
            let shown = answer.json();
            assert_eq!(
                (&shown["kind"], &shown["spec"]["replicas"]),
                (&json!("Scale"), &json!(replicas)),
                "{name}"
            );
        }
    }
    let web = server.ask(Who::Admin, &format!("GET {all}/web"), &[], b"").await.json();
    let managers = web["metadata"]["managedFields"].as_array().unwrap();
    let one = managers.iter().find(|entry| entry["manager"] == "one").unwrap();
    assert_eq!((&one["operation"], &one["subresource"]), (&json!("Apply"), &json!("scale")));
    assert_eq!(one["fieldsV1"]["f:spec"], json!({"f:replicas": {}}));
}
