//! The four kinds of patches, each through both clients: a client's PATCH, and the typed client that the components of the
//! process have. What comes of it is the same object, or the same refusal.

mod common;

use api::patch::{JsonPatch, merge_patch, strategic_merge};
use api::{ObjectKey, Status};
use cluster::{Actor, Target, Wanted, WriteOptions};
use common::{Server, Who};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kinds::{FieldValidation, TypedKind};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patch {
    Json,
    Merge,
    Strategic,
    Apply,
    /// Takes what others have.
    ForcedApply,
}
use Patch::{Apply, ForcedApply, Json, Merge, Strategic};

/// What is found at places of the object (`null`: nothing), or the code of the refusal and some of its words.
type Want = Result<Value, (u16, &'static str)>;

const NAME: &str = "web";
/// Namespaces, one for each client.
const CLIENTS: [&str; 2] = ["http", "typed"];
const CREATOR: &str = "creator";
const MANAGER: &str = "patcher";

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": NAME, "labels": {"app": "web"}, "annotations": {"k": "v"}, "finalizers": ["example.com/a"]},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [
                {"name": "c", "image": "i:1", "args": ["x", "y"], "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                {"name": "d", "image": "j:1"}]}}}})
}

/// A configuration of the same object that says no more than this.
fn config(metadata: Value, spec: Value) -> Value {
    let mut config =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": spec});
    for (field, value) in metadata.as_object().unwrap() {
        config["metadata"][field] = value.clone();
    }
    config
}

fn cases() -> Vec<(&'static str, Patch, Value, Want)> {
    let containers = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let first = "/spec/template/spec/containers/0";
    vec![
        (
            "a number",
            Json,
            json!([{"op": "replace", "path": "/spec/replicas", "value": 5}]),
            Ok(json!({"/spec/replicas": 5, "/metadata/generation": 2})),
        ),
        (
            "at the end of a list",
            Json,
            json!([{"op": "add", "path": format!("{first}/args/-"), "value": "z"}]),
            Ok(json!({"/spec/template/spec/containers/0/args": ["x", "y", "z"]})),
        ),
        (
            "moved and copied",
            Json,
            json!([{"op": "move", "from": "/metadata/annotations/k", "path": "/metadata/annotations/l"}, {"op": "copy", "from": "/metadata/annotations/l", "path": "/metadata/annotations/m"}]),
            Ok(json!({"/metadata/annotations": {"l": "v", "m": "v"}, "/metadata/generation": 1})),
        ),
        (
            "a test that holds",
            Json,
            json!([{"op": "test", "path": "/spec/replicas", "value": 2}, {"op": "remove", "path": "/metadata/annotations"}]),
            Ok(json!({"/metadata/annotations": null})),
        ),
        (
            "a test that does not hold",
            Json,
            json!([{"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "remove", "path": "/metadata/annotations"}]),
            Err((422, "")),
        ),
        ("nothing is there", Json, json!([{"op": "remove", "path": "/spec/nothing/here"}]), Err((422, ""))),
        (
            "what may not change",
            Json,
            json!([{"op": "replace", "path": "/spec/selector/matchLabels/app", "value": "other"}]),
            Err((422, "spec.selector: Invalid value")),
        ),
        (
            "a value that is refused",
            Json,
            json!([{"op": "replace", "path": "/spec/replicas", "value": -1}]),
            Err((422, "spec.replicas: Invalid value: -1: must be greater than or equal to 0")),
        ),
        (
            "another name",
            Json,
            json!([{"op": "replace", "path": "/metadata/name", "value": "other"}]),
            Err((400, "the name of the object (other) does not match the name on the URL (web)")),
        ),
        (
            "fields and nothing",
            Merge,
            json!({"metadata": {"labels": {"tier": "front"}, "annotations": null}, "spec": {"replicas": 4}}),
            Ok(
                json!({"/metadata/labels": {"app": "web", "tier": "front"}, "/metadata/annotations": null, "/spec/replicas": 4}),
            ),
        ),
        (
            "a list is one value",
            Merge,
            containers(json!([{"name": "e", "image": "k:1"}])),
            Ok(
                json!({"/spec/template/spec/containers/0/name": "e", "/spec/template/spec/containers/1": null}),
            ),
        ),
        (
            "a default comes back",
            Merge,
            json!({"spec": {"replicas": null}}),
            Ok(json!({"/spec/replicas": 1})),
        ),
        (
            "the status is written elsewhere",
            Merge,
            json!({"status": {"replicas": 9}}),
            Ok(json!({"/status/replicas": null, "/metadata/generation": 1})),
        ),
        ("nothing", Merge, json!({}), Ok(json!({"/spec/replicas": 2, "/metadata/generation": 1}))),
        (
            "a merge that is refused",
            Merge,
            json!({"spec": {"template": {"spec": {"containers": []}}}}),
            Err((422, "spec.template.spec.containers: Required value")),
        ),
        (
            "a container by its name",
            Strategic,
            containers(
                json!([{"name": "c", "image": "i:2", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}]),
            ),
            Ok(json!({
            "/spec/template/spec/containers/0/image": "i:2", "/spec/template/spec/containers/0/args": ["x", "y"], "/spec/template/spec/containers/1/name": "d",
            "/spec/template/spec/containers/0/env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}]})),
        ),
        (
            "one goes",
            Strategic,
            containers(json!([{"name": "d", "$patch": "delete"}])),
            Ok(
                json!({"/spec/template/spec/containers/0/name": "c", "/spec/template/spec/containers/1": null}),
            ),
        ),
        (
            "all go but these",
            Strategic,
            containers(json!([{"name": "e", "image": "k:1"}, {"$patch": "replace"}])),
            Ok(
                json!({"/spec/template/spec/containers/0/name": "e", "/spec/template/spec/containers/1": null}),
            ),
        ),
        (
            "another order",
            Strategic,
            json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "d"}, {"name": "c"}], "containers": [{"name": "c", "image": "i:2"}]}}}}),
            Ok(
                json!({"/spec/template/spec/containers/0/name": "d", "/spec/template/spec/containers/1/image": "i:2"}),
            ),
        ),
        (
            "plain values join",
            Strategic,
            json!({"metadata": {"finalizers": ["example.com/b"]}}),
            Ok(json!({"/metadata/finalizers": ["example.com/b", "example.com/a"]})),
        ),
        (
            "a plain value goes",
            Strategic,
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}),
            Ok(json!({"/metadata/finalizers": null})),
        ),
        (
            "only these keys stay",
            Strategic,
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
            Ok(json!({"/spec/strategy": {"type": "Recreate"}})),
        ),
        ("no name to merge by", Strategic, containers(json!([{"image": "i:2"}])), Err((400, "name"))),
        (
            "fields of one's own",
            Apply,
            config(json!({"labels": {"tier": "front"}}), json!({"minReadySeconds": 5})),
            Ok(
                json!({"/metadata/labels": {"app": "web", "tier": "front"}, "/spec/minReadySeconds": 5, "/spec/replicas": 2}),
            ),
        ),
        (
            "fields of another",
            Apply,
            config(json!({}), json!({"replicas": 5})),
            Err((409, "Apply failed with 1 conflict: conflict with \"creator\" using apps/v1 at ")),
        ),
        (
            "fields of another that agree",
            Apply,
            config(json!({}), json!({"replicas": 2})),
            Ok(json!({"/spec/replicas": 2})),
        ),
        (
            "fields that are taken",
            ForcedApply,
            config(json!({}), json!({"replicas": 5})),
            Ok(json!({"/spec/replicas": 5, "/metadata/generation": 2})),
        ),
        (
            "a container more",
            Apply,
            config(json!({}), json!({"template": {"spec": {"containers": [{"name": "e", "image": "k:1"}]}}})),
            Ok(
                json!({"/spec/template/spec/containers/0/name": "c", "/spec/template/spec/containers/2/name": "e"}),
            ),
        ),
        (
            "an apply that is refused",
            ForcedApply,
            config(json!({}), json!({"replicas": -1})),
            Err((422, "spec.replicas: Invalid value: -1")),
        ),
        ("no kind", Apply, json!({"apiVersion": "apps/v1", "metadata": {"name": NAME}}), Err((400, "kind"))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_does_the_same_through_both_clients() {
    let server = Server::start().await;
    for (name, patch, body, want) in cases() {
        let mut outcomes = Vec::new();
        for client in CLIENTS {
            fresh(&server, client).await;
            let outcome = match client {
                "http" => by_http(&server, patch, &body).await,
                _ => by_client(&server, patch, &body).await,
            };
            match (&outcome, &want) {
                (Ok(object), Ok(places)) => {
                    for (place, value) in places.as_object().unwrap() {
                        let found = object.pointer(place).cloned().unwrap_or_default();
                        assert_eq!(found, *value, "{patch:?}, {name}, {client}: {place}");
                    }
                }
                (Err((code, message)), Err((want, words))) => {
                    assert!(
                        code == want && message.contains(words),
                        "{patch:?}, {name}, {client}: {code} {message}"
                    );
                }
                other => panic!("{patch:?}, {name}, {client}: {other:?}"),
            }
            // a conflict says since when
            let refusal =
                |(code, message): (u16, String)| (code, message.split(" at 20").next().map(str::to_owned));
            outcomes.push(outcome.map(|object| without_identity(object, patch)).map_err(refusal));
        }
        assert_eq!(outcomes[0], outcomes[1], "{patch:?}, {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_no_more_goes_through_both_clients() {
    let server = Server::start().await;
    for client in CLIENTS {
        fresh(&server, client).await;
        let mut left = Vec::new();
        for spec in [json!({"minReadySeconds": 5, "paused": true}), json!({"minReadySeconds": 5})] {
            let body = config(json!({}), spec);
            let applied = match client {
                "http" => by_http(&server, Apply, &body).await,
                _ => by_client(&server, Apply, &body).await,
            };
            let applied = applied.unwrap();
            left.push((applied["spec"]["minReadySeconds"].clone(), applied["spec"]["paused"].clone()));
        }
        assert_eq!(left, [(json!(5), json!(true)), (json!(5), Value::Null)], "{client}");
    }
}

/// `null` in a map or a list of strings is what Go's decoder makes of it: ""; to merge patches it says that a key goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_null_among_strings_is_an_empty_one() {
    let server = Server::start().await;
    let labels = json!({"isolated": null, "tier": "front"});
    let args =
        json!({"template": {"spec": {"containers": [{"name": "c", "image": "i:1", "args": [null, "y"]}]}}});
    let merged = json!({"app": "web", "tier": "front"});
    let added = json!({"app": "web", "isolated": ""});
    let applied = json!({"app": "web", "isolated": "", "tier": "front"});
    let first = "/spec/template/spec/containers/0/args/0";
    let cases = [
        ("no value", Json, json!([{"op": "add", "path": "/metadata/labels/isolated"}]), &added, "x"),
        (
            "null",
            Json,
            json!([{"op": "add", "path": "/metadata/labels/isolated", "value": null}, {"op": "replace", "path": first}]),
            &added,
            "",
        ),
        ("merged", Merge, json!({"metadata": {"labels": labels}, "spec": args}), &merged, ""),
        ("merged by keys", Strategic, json!({"metadata": {"labels": labels}, "spec": args}), &merged, ""),
        ("applied", ForcedApply, config(json!({"labels": labels}), args), &applied, ""),
    ];
    for (name, patch, body, labels, arg) in cases {
        fresh(&server, "http").await;
        let patched = by_http(&server, patch, &body).await.unwrap();
        assert_eq!(patched["metadata"]["labels"], *labels, "{name}");
        assert_eq!(patched.pointer(first), Some(&json!(arg)), "{name}");
    }
    let nobody = config(json!({"finalizers": [null]}), json!({}));
    let (code, message) = by_http(&server, Apply, &nobody).await.unwrap_err();
    let words = ".metadata.finalizers: element 0: associative list without keys has an element that's an explicit null";
    assert!(code == 500 && message.contains(words), "{code} {message}");
}

/// What upstream's `FieldValidation` cases expect of each way to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_strict_reader_refuses_is_refused_in_the_words_of_its_client() {
    let server = Server::start().await;
    fresh(&server, "http").await;
    let (json, yaml) = ("application/json", "application/yaml");
    let (merge, strategic) = ("application/merge-patch+json", "application/strategic-merge-patch+json");
    let (operations, apply) = ("application/json-patch+json", "application/apply-patch+yaml");
    let head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";
    let doubled = format!("{head}spec:\n  paused: true\n  paused: false\n  more: 1\n");
    let unknown = format!("{head}spec: {{more: 1}}\n");
    let cannot = "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: ";
    let errors = "yaml: unmarshal errors:\n  line 6: key \"paused\" already set in map";
    for (name, line, media, body, code, words) in [
        ("a body", "PUT", json, r#"{"spec": {"more": 1}}"#, 400, format!("{cannot}unknown field \"spec.more\"")),
        ("a body of YAML", "PUT", yaml, &doubled, 400, format!("{cannot}{errors}, unknown field \"spec.more\"")),
        (
            "a merge",
            "PATCH",
            merge,
            r#"{"spec": {"more": 1, "paused": true, "paused": true}}"#,
            422,
            " \"\" is invalid: patch: Invalid value: \"{\\\"".to_owned(),
        ),
        (
            "a merge by keys",
            "PATCH",
            strategic,
            r#"{"spec": {"more": 1, "paused": true, "paused": true}}"#,
            422,
            " \"\" is invalid: patch: Invalid value: \"map[spec:map[more:1 paused:true]]\": strict decoding error: \
             duplicate field \"spec.paused\", unknown field \"spec.more\"".to_owned(),
        ),
        (
            "operations",
            "PATCH",
            operations,
            r#"[{"op": "add", "op": "add", "path": "/spec/more", "value": 1}]"#,
            422,
            "strict decoding error: json patch duplicate field \"[0].op\", unknown field \"spec.more\"".to_owned(),
        ),
        (
            "a wrong type",
            "PATCH",
            strategic,
            r#"{"spec": {"replicas": "x"}}"#,
            422,
            "patch: Invalid value: \"map[spec:map[replicas:x]]\": json: cannot unmarshal string into Go struct field".to_owned(),
        ),
        (
            "what is applied",
            "PATCH",
            apply,
            &unknown,
            500,
            "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.more: field not declared in schema".to_owned(),
        ),
        (
            "what is applied, with keys that stand twice",
            "PATCH",
            apply,
            &doubled.replace("  more: 1\n", ""),
            400,
            format!("error strict decoding YAML: error converting YAML to JSON: {errors}"),
        ),
    ] {
        let path = "/apis/apps/v1/namespaces/http/deployments/web";
        let line = format!("{line} {path}?fieldManager={MANAGER}&force=true&fieldValidation=Strict");
        let line = if media == apply { line } else { line.replace("&force=true", "") };
        let answer = server.ask(Who::Admin, &line, &[("Content-Type", media)], body.as_bytes()).await;
        assert!(answer.code == code && answer.message().contains(&words), "{name}: {}", answer.body);
    }
}

/// The deployment as it is before each case.
async fn fresh(server: &Server, namespace: &str) {
    let root = server.cluster.acting_as(Actor::root());
    let mut own = Namespace::default();
    own.metadata.name = Some(namespace.to_owned());
    if root.api::<Namespace>().find(&ObjectKey::cluster(namespace)).unwrap().is_none() {
        root.api().create(own).await.unwrap();
    }
    let (deployments, key) = (root.api::<Deployment>(), ObjectKey::namespaced(namespace, NAME));
    if deployments.find(&key).unwrap().is_some() {
        let free = |d: &mut Deployment| {
            d.metadata.finalizers = None;
            Ok(())
        };
        deployments.modify(&key, free).await.unwrap();
        deployments.delete(&key, Default::default()).await.unwrap();
    }
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments?fieldManager={CREATOR}");
    let body = deployment().to_string();
    let answer = server.post(Who::Admin, &path, "application/json", body.as_bytes()).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
}

async fn by_http(server: &Server, patch: Patch, body: &Value) -> Result<Value, (u16, String)> {
    let media = match patch {
        Json => "application/json-patch+json",
        Merge => "application/merge-patch+json",
        Strategic => "application/strategic-merge-patch+json",
        Apply | ForcedApply => "application/apply-patch+yaml",
    };
    let force = if patch == ForcedApply { "&force=true" } else { "" };
    let path = format!("/apis/apps/v1/namespaces/http/deployments/{NAME}?fieldManager={MANAGER}{force}");
    let answer = server.patch(Who::Admin, &path, media, body.to_string().as_bytes()).await;
    match answer.code {
        200 => Ok(answer.json()),
        code => Err((code, answer.message())),
    }
}

async fn by_client(server: &Server, patch: Patch, body: &Value) -> Result<Value, (u16, String)> {
    let refused = |status: Status| (status.code, status.message);
    let version = server.cluster.registry().by_gvr(&Deployment::info().gvr).unwrap();
    if matches!(patch, Apply | ForcedApply) {
        let wanted = Wanted {
            config: body.clone(),
            force: patch == ForcedApply,
            validation: FieldValidation::default(),
            doubled_keys: Vec::new(),
        };
        let options = WriteOptions { field_manager: MANAGER.to_owned(), ..WriteOptions::default() };
        let target = Target::object(&version, Some("typed"), NAME);
        let applied = server.cluster.apply(&Actor::root(), &target, wanted, &options).await;
        return Ok(applied.map_err(refused)?.object.decode().unwrap());
    }
    let change = |deployment: &mut Deployment| {
        let current = serde_json::to_value(&*deployment).map_err(Status::internal)?;
        let patched = match patch {
            Json => JsonPatch::parse(body.to_string().as_bytes())?.apply(current)?,
            Merge => merge_patch(current, body),
            _ => strategic_merge(current, body, version.merge_keys().unwrap())?,
        };
        *deployment = serde_json::from_value(patched).map_err(|e| Status::bad_request(e.to_string()))?;
        Ok(())
    };
    let deployments = server.cluster.acting_as(Actor::root()).api::<Deployment>();
    let written = deployments.modify(&ObjectKey::namespaced("typed", NAME), change).await;
    Ok(serde_json::to_value(written.map_err(refused)?).unwrap())
}

/// Without what differs between any two objects; whose the fields are is compared where both clients say who writes.
fn without_identity(mut object: Value, patch: Patch) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp", "namespace"] {
        metadata.remove(field);
    }
    match patch {
        Apply | ForcedApply => {
            for entry in metadata["managedFields"].as_array_mut().unwrap() {
                entry.as_object_mut().unwrap().remove("time");
            }
        }
        Json | Merge | Strategic => drop(metadata.remove("managedFields")),
    }
    object
}
