//! Verbs that a kind has or has not, as upstream's server answers them.

mod common;

use common::{Server, Who};

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
    let json = [("Content-Type", "application/json")];
    let put = |path: &'static str, body: &'static [u8]| server.ask(Who::Admin, path, &json, body);
    let lease = "PUT /apis/coordination.k8s.io/v1/namespaces/default/leases/it";
    for code in [201, 200] {
        let answer = put(lease, br#"{"spec": {"holderIdentity": "me"}}"#).await;
        assert_eq!(
            (answer.code, answer.json()["metadata"]["name"].as_str()),
            (code, Some("it")),
            "{}",
            answer.body
        );
    }
    let answer = put("PUT /api/v1/namespaces/default/configmaps/it", br#"{"data": {}}"#).await;
    assert_eq!(answer.code, 404, "{}", answer.body);
}
