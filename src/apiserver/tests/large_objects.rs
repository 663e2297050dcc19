//! Objects that are large by what came to them, and short requests for them. All in a process that may not grow.

mod common;

use common::{Server, Who, limit_memory};
use tokio::sync::Mutex;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const MERGE: [(&str, &str); 1] = [("Content-Type", "application/merge-patch+json")];
const JSON_PATCH: [(&str, &str); 1] = [("Content-Type", "application/json-patch+json")];
const TABLE: [(&str, &str); 1] = [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];

/// The process's memory is that of one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A map whose keys came in several patches: with its managed fields 2.3 MB of JSON, and some fifty times that in memory while it is
/// changed.
async fn large_map(server: &Server) {
    const AT_A_TIME: usize = 30_000;
    server.config_map("large").await;
    for from in [0, AT_A_TIME, 2 * AT_A_TIME] {
        let keys: Vec<String> = (from..from + AT_A_TIME).map(|n| format!("\"k{n:05x}\":\"\"")).collect();
        let body = format!("{{\"data\":{{{}}}}}", keys.join(","));
        let answer = server.ask(Who::Admin, &format!("PATCH {MAPS}/large"), &MERGE, body.as_bytes()).await;
        assert_eq!(answer.code, 200, "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_requests_for_a_large_object_take_turns() {
    let _alone = ALONE.lock().await;
    limit_memory();
    let server = Server::start().await;
    large_map(&server).await;
    let (patch, list) = (format!("PATCH {MAPS}/large"), format!("GET {MAPS}"));
    let annotations = (0..16).map(|n| {
        let (server, patch) = (&server, &patch);
        async move {
            let body = format!(r#"{{"metadata":{{"annotations":{{"a{n}":"b"}}}}}}"#);
            server.ask(Who::Admin, patch, &MERGE, body.as_bytes()).await.code
        }
    });
    let tables = (0..16).map(|_| async { server.ask(Who::Admin, &list, &TABLE, b"").await.code });
    let (annotated, read) =
        tokio::join!(futures::future::join_all(annotations), futures::future::join_all(tables));
    assert_eq!((annotated, read), (vec![200; 16], vec![200; 16]));
}

/// A client of Go's reads everything so, and a controller begins with all there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_are_made_into_other_forms_in_turns() {
    let _alone = ALONE.lock().await;
    limit_memory();
    let server = Server::start().await;
    large_map(&server).await;
    let get = format!("GET {MAPS}/large");
    for accept in ["application/vnd.kubernetes.protobuf", "application/yaml"] {
        let accepts = [("Accept", accept)];
        let answers = (0..40).map(|_| async { server.ask(Who::Admin, &get, &accepts, b"").await.code });
        assert_eq!(futures::future::join_all(answers).await, vec![200; 40], "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_make_no_object_of_more_values_than_there_may_be() {
    let _alone = ALONE.lock().await;
    limit_memory();
    let server = Server::start().await;
    let role =
        br#"{"metadata":{"name":"r"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}"#;
    assert_eq!(server.post(Who::Admin, ROLES, "application/json", role).await.code, 201);
    let patch = format!("PATCH {ROLES}/r");
    let names = vec!["\"n\""; 40_000].join(",");
    let rule = format!(
        r#"[{{"op":"add","path":"/rules/-","value":{{"apiGroups":[""],"resources":["pods"],"verbs":["get"],"resourceNames":[{names}]}}}}]"#
    );
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(server.ask(Who::Admin, &patch, &JSON_PATCH, rule.as_bytes()).await.code);
    }
    assert_eq!(codes, [200, 200, 200, 413, 413]);
    let fewer = br#"[{"op":"remove","path":"/rules/1"}]"#;
    assert_eq!(server.ask(Who::Admin, &patch, &JSON_PATCH, fewer).await.code, 200);
    assert_eq!(server.ask(Who::Admin, &patch, &JSON_PATCH, rule.as_bytes()).await.code, 200);
}
