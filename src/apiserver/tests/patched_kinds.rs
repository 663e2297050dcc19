//! What becomes of a patch that names another kind than that of its object.

mod common;

use common::{Server, Who};
use serde_json::json;

/// A patch that is merged by keys is read as the type that it patches; what the others make is read by the kind that it names.
#[tokio::test]
async fn a_patch_by_keys_may_name_another_kind() {
    let server = Server::start().await;
    let (merge, strategic) = ("application/merge-patch+json", "application/strategic-merge-patch+json");
    let deployment = "/apis/apps/v1/namespaces/default/deployments/web";
    let scale = format!("{deployment}/scale");
    let scale = scale.as_str();
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let web = json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let all = "/apis/apps/v1/namespaces/default/deployments";
    let made = server.post(Who::Admin, all, "application/json", web.to_string().as_bytes()).await;
    assert_eq!(made.code, 201, "{}", made.body);
    for (replicas, (name, path, media, mut body, code)) in (2..).zip([
        ("an object", deployment, strategic, json!({"kind": "Other"}), 200),
        ("of another version", deployment, strategic, json!({"apiVersion": "v1"}), 200),
        ("of no kind", deployment, strategic, json!({"kind": null, "apiVersion": null}), 200),
        ("no name of a kind", deployment, strategic, json!({"kind": 5}), 422),
        ("merged without keys", deployment, merge, json!({"kind": "Other"}), 422),
        ("a scale", scale, strategic, json!({"kind": "Deployment"}), 200),
        ("a scale of another version", scale, strategic, json!({"apiVersion": "apps/v1"}), 200),
        ("a scale, merged without keys", scale, merge, json!({"kind": "Deployment"}), 400),
    ]) {
        body["spec"] = json!({"replicas": replicas});
        let answer = server.patch(Who::Admin, path, media, body.to_string().as_bytes()).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.body);
        if code == 200 {
            let (kind, version) =
                if path == scale { ("Scale", "autoscaling/v1") } else { ("Deployment", "apps/v1") };
            let shown = answer.json();
            let told = (&shown["kind"], &shown["apiVersion"], &shown["spec"]["replicas"]);
            assert_eq!(told, (&json!(kind), &json!(version), &json!(replicas)), "{name}");
        }
    }
}
