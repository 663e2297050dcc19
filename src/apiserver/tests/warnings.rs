//! What a client hears beside the answer, in headers of the name `Warning`.

mod common;

use common::{Answer, Server, Who};
use serde_json::{Value, json};

const MERGE: &str = "application/merge-patch+json";

fn warnings(answer: &Answer) -> Vec<&str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(name, _)| name.eq_ignore_ascii_case("warning")).map(|(_, value)| value).collect()
}

fn pod(name: &str, container: &Value) -> Vec<u8> {
    let mut with = json!({"name": "c", "image": "i"});
    with.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    json!({"metadata": {"name": name}, "spec": {"containers": [with]}}).to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_carries_them() {
    let server = Server::start().await;
    let pods = "/api/v1/namespaces/default/pods";
    let twice = json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], "imge": "x"});
    let hides = r#"299 - "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply""#;
    let created = server.post(Who::Admin, pods, "application/json", &pod("p", &twice)).await;
    assert_eq!(created.code, 201, "{}", created.body);
    assert_eq!(warnings(&created), [r#"299 - "unknown field \"spec.containers[0].imge\"""#, hides]);

    // a policy's words on a patch of the namespace, and on the pod that it warns of
    let label = |mode: &str| json!({"metadata": {"labels": {format!("pod-security.kubernetes.io/{mode}"): "restricted"}}});
    let namespace = "/api/v1/namespaces/default";
    let labelled = server.patch(Who::Admin, namespace, MERGE, label("enforce").to_string().as_bytes()).await;
    assert_eq!(labelled.code, 200, "{}", labelled.body);
    let want = r#"299 - "existing pods in namespace \"default\" violate the new PodSecurity enforce level \"restricted:latest\"""#;
    assert_eq!(warnings(&labelled)[0], want);
    // a refusal carries what was heard before it
    let unknown = json!({"imge": "x"});
    let refused = server.post(Who::Admin, pods, "application/json", &pod("q", &unknown)).await;
    assert_eq!((refused.code, warnings(&refused).len()), (403, 1));
    assert!(refused.message().starts_with("pods \"q\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set"), "{}", refused.message());

    let path = "/api/v1/namespaces/default/services/s";
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "externalName": "a.b"}});
    let apply = format!("PATCH {path}?fieldManager=m");
    let headers = [("Content-Type", "application/apply-patch+yaml")];
    let applied = server.ask(Who::Admin, &apply, &headers, service.to_string().as_bytes()).await;
    assert_eq!(applied.code, 201, "{}", applied.body);
    let ignored = r#"299 - "spec.externalName is ignored when spec.type is not \"ExternalName\"""#;
    assert_eq!(warnings(&applied), [ignored]);
    let update = server
        .ask(
            Who::Admin,
            &format!("PUT {path}"),
            &[("Content-Type", "application/json")],
            applied.body.as_bytes(),
        )
        .await;
    assert_eq!((update.code, warnings(&update)), (200, vec![ignored]), "{}", update.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_deprecated_says_so_to_everybody() {
    let server = Server::start().await;
    let want = r#"299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice""#;
    for line in ["GET /api/v1/endpoints", "GET /api/v1/namespaces/default/endpoints/kubernetes"] {
        let answer = server.ask(Who::Admin, line, &[], b"").await;
        assert_eq!((answer.code, warnings(&answer)), (200, vec![want]), "{line}");
    }
    let slices = server.ask(Who::Admin, "GET /apis/discovery.k8s.io/v1/endpointslices", &[], b"").await;
    assert_eq!((slices.code, warnings(&slices).len()), (200, 0));
}
