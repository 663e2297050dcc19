//! What webhooks are asked, and what their answers do.

use api::{Reason, Status};
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use cluster::{
    Actor, Cluster, DeleteOptions, PodBinding, Remarks, Target, Verb, WebhookCaller, WriteOptions,
};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod};
use k8s_openapi::api::policy::v1::Eviction;
use kinds::{Subresource, TypedKind};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

type Respond = dyn Fn(&Value) -> Result<Value, String> + Send + Sync;

/// Answers by a function, and remembers what it was asked.
struct Scripted {
    asked: Mutex<Vec<Value>>,
    respond: Box<Respond>,
}

#[async_trait]
impl WebhookCaller for Scripted {
    async fn post(
        &self,
        _: &Cluster,
        _: &WebhookClientConfig,
        url: &str,
        review: Vec<u8>,
    ) -> Result<Bytes, String> {
        let mut review: Value = serde_json::from_slice(&review).unwrap();
        review["url"] = url.into();
        self.asked.lock().unwrap().push(review.clone());
        if url.contains("hangs") {
            std::future::pending::<()>().await;
        }
        let mut response = (self.respond)(&review)?;
        response["uid"] = review["request"]["uid"].clone();
        let answer =
            json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response});
        Ok(answer.to_string().into_bytes().into())
    }
}

fn hook(change: Value) -> Value {
    let mut hook = json!({
        "name": "hook.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "hook", "namespace": "default", "path": "/ask"}},
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
    });
    for (field, value) in change.as_object().unwrap() {
        hook[field] = value.clone();
    }
    hook
}

struct Lab {
    cluster: Cluster,
    caller: Arc<Scripted>,
}

impl Lab {
    async fn new(respond: impl Fn(&Value) -> Result<Value, String> + Send + Sync + 'static) -> Lab {
        let cluster = testkit::cluster(testkit::config()).await;
        let caller = Arc::new(Scripted { asked: Mutex::default(), respond: Box::new(respond) });
        cluster.call_webhooks_through(caller.clone());
        Lab { cluster, caller }
    }

    async fn mutating(&self, name: &str, hooks: Vec<Value>) {
        let made: MutatingWebhookConfiguration =
            serde_json::from_value(json!({"metadata": {"name": name}, "webhooks": hooks})).unwrap();
        self.cluster.acting_as(Actor::root()).api().create(made).await.unwrap();
    }

    async fn validating(&self, name: &str, hooks: Vec<Value>) {
        let made: ValidatingWebhookConfiguration =
            serde_json::from_value(json!({"metadata": {"name": name}, "webhooks": hooks})).unwrap();
        self.cluster.acting_as(Actor::root()).api().create(made).await.unwrap();
    }

    async fn create(&self, name: &str, options: &WriteOptions) -> Result<ConfigMap, Status> {
        let map: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": name}, "data": {"a": "1"}})).unwrap();
        let version = self.cluster.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
        let target = Target::collection(&version, Some("default"));
        let made = self.cluster.create(&Actor::root(), &target, Box::new(map), options).await?;
        Ok(made.decode().unwrap())
    }

    fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.caller.asked.lock().unwrap())
    }
}

fn allow(patch: Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": BASE64_STANDARD.encode(patch.to_string())})
}

#[tokio::test]
async fn a_webhook_changes_what_is_stored() {
    let patch = json!([{"op": "add", "path": "/data/b", "value": "2"}, {"op": "add", "path": "/metadata/labels", "value": {"x": "y"}},
                       {"op": "replace", "path": "/metadata/uid", "value": "forged"}]);
    let lab = Lab::new(move |_| Ok(allow(patch.clone()))).await;
    lab.mutating("m", vec![hook(json!({}))]).await;
    let made = lab.create("a", &WriteOptions::default()).await.unwrap();
    assert_eq!(
        made.data.unwrap(),
        [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into()
    );
    assert_eq!(made.metadata.labels.unwrap()["x"], "y");
    assert_ne!(made.metadata.uid.as_deref(), Some("forged"));
    let asked = lab.asked();
    let request = &asked[0]["request"];
    assert_eq!(asked[0]["url"], "https://hook.default.svc:443/ask?timeout=10s");
    assert_eq!(request["operation"], "CREATE");
    assert_eq!(request["kind"], json!({"group": "", "version": "v1", "kind": "ConfigMap"}));
    assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "configmaps"}));
    assert_eq!((&request["name"], &request["namespace"]), (&json!("a"), &json!("default")));
    assert_eq!(request["object"]["data"]["a"], "1");
    assert_eq!((&request["oldObject"], &request["dryRun"]), (&Value::Null, &json!(false)));
    assert_eq!(request["userInfo"]["username"], "system:apiserver");
}

#[tokio::test]
async fn what_a_webhook_makes_of_an_object_is_validated() {
    let patch = json!([{"op": "add", "path": "/data/b~1c", "value": "2"}]);
    let lab = Lab::new(move |_| Ok(allow(patch.clone()))).await;
    lab.mutating("m", vec![hook(json!({}))]).await;
    assert!(lab.create("a", &WriteOptions::default()).await.unwrap_err().is(Reason::Invalid));
}

#[tokio::test]
async fn a_refusal_has_upstreams_words() {
    let cases = [
        (
            json!({"allowed": false, "status": {"message": "no", "code": 403}}),
            403,
            "admission webhook \"hook.example.com\" denied the request: no",
        ),
        (
            json!({"allowed": false, "status": {"reason": "Forbidden"}}),
            400,
            "admission webhook \"hook.example.com\" denied the request: Forbidden",
        ),
        (
            json!({"allowed": false}),
            400,
            "admission webhook \"hook.example.com\" denied the request without explanation",
        ),
    ];
    for (answer, code, want) in cases {
        let lab = Lab::new(move |_| Ok(answer.clone())).await;
        lab.validating("v", vec![hook(json!({}))]).await;
        let refused = lab.create("a", &WriteOptions::default()).await.unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (code, want));
    }
}

#[tokio::test]
async fn a_webhook_that_fails_is_needed_or_not() {
    let lab = Lab::new(|_| Err("dial tcp 10.0.0.1:443: connect: connection refused".to_owned())).await;
    lab.validating("v", vec![hook(json!({}))]).await;
    let refused = lab.create("a", &WriteOptions::default()).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (
            500,
            "Internal error occurred: failed calling webhook \"hook.example.com\": failed to call webhook: Post \"https://hook.default.svc:443/ask?timeout=10s\": dial tcp 10.0.0.1:443: connect: connection refused"
        )
    );
    let lab = Lab::new(|_| Err("gone".to_owned())).await;
    lab.validating("v", vec![hook(json!({"failurePolicy": "Ignore"}))]).await;
    lab.mutating("m", vec![hook(json!({"failurePolicy": "Ignore"}))]).await;
    lab.create("a", &WriteOptions::default()).await.unwrap();
    assert_eq!(lab.asked().len(), 2);
}

#[tokio::test]
async fn a_webhook_that_hangs_is_given_up_and_holds_up_nobody_else() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    let service = json!({"service": {"name": "hangs", "namespace": "default"}});
    lab.validating("v", vec![hook(json!({"timeoutSeconds": 1, "clientConfig": service}))]).await;
    let options = WriteOptions::default();
    let start = std::time::Instant::now();
    let hanging = async { (lab.create("a", &options).await, start.elapsed()) };
    let other = async {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "other"}})).unwrap();
        let made = lab.cluster.acting_as(Actor::root()).api().create(namespace).await;
        made.map(|_| start.elapsed())
    };
    let ((refused, given_up), other) = tokio::join!(hanging, other);
    assert!(refused.unwrap_err().message.contains("?timeout=1s\": context deadline exceeded"));
    assert!(given_up.as_secs() >= 1 && other.unwrap() < given_up);
}

#[tokio::test]
async fn only_what_a_webhook_wants_is_asked() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    let rule = |group: &str, version: &str, resource: &str, operation: &str| json!([{"operations": [operation], "apiGroups": [group], "apiVersions": [version], "resources": [resource]}]);
    let cases = [
        ("plain", json!({}), true),
        ("wild", json!({"rules": rule("*", "*", "*/*", "*")}), true),
        ("no-parts", json!({"rules": rule("", "v1", "*", "CREATE")}), true),
        ("other-operation", json!({"rules": rule("", "v1", "configmaps", "UPDATE")}), false),
        ("other-group", json!({"rules": rule("apps", "v1", "configmaps", "CREATE")}), false),
        ("other-version", json!({"rules": rule("", "v2", "configmaps", "CREATE")}), false),
        ("other-kind", json!({"rules": rule("", "v1", "pods", "CREATE")}), false),
        ("a-part", json!({"rules": rule("", "v1", "configmaps/status", "CREATE")}), false),
        ("labels", json!({"objectSelector": {"matchLabels": {"nobody": "has"}}}), false),
        (
            "namespaces",
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}),
            true,
        ),
        (
            "other-namespaces",
            json!({"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["default"]}]}}),
            false,
        ),
        (
            "condition",
            json!({"matchConditions": [{"name": "c", "expression": "object.data.a == '1' && request.operation == 'CREATE'"}]}),
            true,
        ),
        (
            "false-condition",
            json!({"matchConditions": [{"name": "e", "expression": "object.nope"}, {"name": "c", "expression": "oldObject != null"}]}),
            false,
        ),
    ];
    let hooks = cases.iter().map(|(name, change, _)| {
        let mut change = change.clone();
        change["name"] = format!("{name}.example.com").into();
        change["clientConfig"] = json!({"url": format!("https://hooks.example.com/{name}")});
        hook(change)
    });
    lab.validating("v", hooks.collect()).await;
    lab.create("a", &WriteOptions::default()).await.unwrap();
    let asked: Vec<String> =
        lab.asked().iter().map(|review| review["url"].as_str().unwrap().to_owned()).collect();
    for (name, _, wanted) in &cases {
        let url = format!("https://hooks.example.com/{name}?timeout=10s");
        assert_eq!(asked.contains(&url), *wanted, "{name}");
    }
}

#[tokio::test]
async fn updates_and_deletions_are_asked_about_with_what_was() {
    let lab = Lab::new(|review| match review["request"]["operation"].as_str() {
        Some("DELETE") => Ok(json!({"allowed": false, "status": {"message": "it stays"}})),
        _ => Ok(json!({"allowed": true, "warnings": ["mind the gap"]})),
    })
    .await;
    lab.validating("v", vec![hook(json!({}))]).await;
    lab.create("a", &WriteOptions::default()).await.unwrap();
    lab.asked();
    let version = lab.cluster.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
    let target = Target::object(&version, Some("default"), "a");
    let options = WriteOptions { remarks: Remarks::collected(), ..WriteOptions::default() };
    let change = |current: &api::Object| {
        let mut map: ConfigMap = current.decode().unwrap();
        map.data = Some([("a".to_owned(), "2".to_owned())].into());
        Ok(Box::new(map) as Box<dyn kinds::Instance>)
    };
    lab.cluster.modify(&Actor::root(), &target, Verb::Update, &options, &change).await.unwrap();
    assert_eq!(options.remarks.take_warnings(), ["mind the gap"]);
    let request = lab.asked()[0]["request"].clone();
    assert_eq!(
        (&request["oldObject"]["data"]["a"], &request["object"]["data"]["a"]),
        (&json!("1"), &json!("2"))
    );
    let refused = lab.cluster.delete(&Actor::root(), &target, &DeleteOptions::default()).await.unwrap_err();
    assert!(refused.message.ends_with("denied the request: it stays"), "{}", refused.message);
    let request = lab.asked()[0]["request"].clone();
    assert_eq!((&request["object"], &request["oldObject"]["data"]["a"]), (&Value::Null, &json!("2")));
}

#[tokio::test]
async fn a_deletion_can_not_be_changed() {
    let patches = [json!([]), json!([{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}])];
    for (patch, is_refused) in patches.into_iter().zip([false, true]) {
        let answer = allow(patch);
        let lab = Lab::new(move |_| Ok(answer.clone())).await;
        lab.create("a", &WriteOptions::default()).await.unwrap();
        let rules = json!([
            {"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]},
        ]);
        lab.mutating("m", vec![hook(json!({"failurePolicy": "Ignore", "rules": rules}))]).await;
        let version = lab.cluster.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
        let target = Target::object(&version, Some("default"), "a");
        let deleted = lab.cluster.delete(&Actor::root(), &target, &DeleteOptions::default()).await;
        let said = deleted.err().map(|why| (why.code, why.message));
        let want = "Internal error occurred: admission webhook \"hook.example.com\" attempted to modify the object, \
            which is not supported for this operation";
        assert_eq!(said, is_refused.then(|| (500, want.to_owned())));
    }
}

#[tokio::test]
async fn a_dry_run_is_told_and_stores_nothing() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    lab.validating("v", vec![hook(json!({}))]).await;
    let options = WriteOptions { dry_run: true, ..WriteOptions::default() };
    lab.create("a", &options).await.unwrap();
    assert_eq!(lab.asked()[0]["request"]["dryRun"], true);
    lab.create("a", &WriteOptions::default()).await.unwrap();
}

#[tokio::test]
async fn an_injector_changes_pods_of_components_and_those_who_asked_see_it() {
    let lab = Lab::new(|review| {
        if review["url"].as_str().unwrap().contains("first") {
            return Ok(json!({"allowed": true}));
        }
        Ok(allow(json!([{"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "sidecar"}}])))
    })
    .await;
    let rules =
        json!([{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]);
    let named = |name: &str, policy: &str| {
        hook(json!({"name": format!("{name}.example.com"), "rules": rules, "reinvocationPolicy": policy,
                    "clientConfig": {"url": format!("https://{name}.example.com/")}}))
    };
    lab.mutating("a", vec![named("first", "IfNeeded")]).await;
    lab.mutating("b", vec![named("second", "Never")]).await;
    let account: k8s_openapi::api::core::v1::ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": "default", "namespace": "default"}})).unwrap();
    let _ = lab.cluster.acting_as(Actor::root()).api().create(account).await;
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "main"}]}}))
    .unwrap();
    let made = lab.cluster.acting_as(Actor::root()).api().create(pod).await.unwrap();
    let containers = made.spec.unwrap().containers;
    assert_eq!(containers.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["main", "sidecar"]);
    // defaults, and the account's token, are there for what was injected too
    assert_eq!(containers[1].termination_message_path.as_deref(), Some("/dev/termination-log"));
    assert_eq!(containers[1].volume_mounts.as_ref().map(Vec::len), Some(1));
    let asked = lab.asked();
    let urls: Vec<&str> = asked.iter().map(|review| review["url"].as_str().unwrap()).collect();
    let (first, second) =
        ("https://first.example.com/?timeout=10s", "https://second.example.com/?timeout=10s");
    assert_eq!(urls, [first, second, first], "the first sees what the second made");
    let seen = &asked[2]["request"]["object"]["spec"]["containers"][1];
    assert_eq!(seen["name"], "sidecar");
    assert_eq!(seen["volumeMounts"].as_array().map(Vec::len), Some(1), "as the cluster has completed it");
}

#[tokio::test]
async fn a_configuration_can_always_be_mended() {
    let lab = Lab::new(|_| Err("gone".to_owned())).await;
    let everything =
        json!([{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]);
    lab.validating("v", vec![hook(json!({"rules": everything}))]).await;
    lab.create("a", &WriteOptions::default()).await.unwrap_err();
    let api = lab.cluster.acting_as(Actor::root()).api::<ValidatingWebhookConfiguration>();
    api.delete(&api::ObjectKey::cluster("v"), DeleteOptions::default()).await.unwrap();
    lab.create("a", &WriteOptions::default()).await.unwrap();
}

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

/// About whatever happens there.
fn on(resource: &str, path: &str, change: Value) -> Value {
    let mut hook = hook(change);
    hook["rules"] =
        json!([{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]}]);
    hook["name"] = format!("{path}.example.com").into();
    hook["clientConfig"] = json!({"url": format!("https://{path}/")});
    hook
}

impl Lab {
    /// A pod that is on no node.
    async fn waiting(&self, name: &str) {
        let root = self.cluster.acting_as(Actor::root());
        let account: k8s_openapi::api::core::v1::ServiceAccount =
            serde_json::from_value(json!({"metadata": {"name": "default", "namespace": "default"}})).unwrap();
        let _ = root.api().create(account).await;
        root.api().create(testkit::objects::pod(name).build()).await.unwrap();
    }

    /// What is said meanwhile.
    async fn bind(&self, binding: PodBinding) -> Result<Vec<String>, Status> {
        let options = WriteOptions { remarks: Remarks::collected(), ..WriteOptions::default() };
        self.cluster.acting_as(Actor::root()).bind_as(binding, &options).await?;
        Ok(options.remarks.take_warnings())
    }

    fn pod(&self, name: &str) -> Pod {
        self.cluster.acting_as(Actor::root()).api().get(&api::ObjectKey::namespaced("default", name)).unwrap()
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref())
}

#[tokio::test]
async fn a_binding_is_carried_out_as_a_webhook_has_changed_it_and_others_judge_that() {
    let lab = Lab::new(|review| match review["url"].as_str().unwrap().contains("mutates") {
        true => Ok(allow(json!([
            {"op": "replace", "path": "/target/name", "value": "node-2"},
            {"op": "add", "path": "/metadata/annotations", "value": {"by": "a webhook"}},
        ]))),
        false => Ok(json!({"allowed": true, "warnings": ["mind the gap"]})),
    })
    .await;
    lab.waiting("p").await;
    lab.mutating("m", vec![on("pods/binding", "mutates", json!({}))]).await;
    let labelled = json!({"objectSelector": {"matchLabels": {"nobody": "has"}}});
    let hooks = [on("pods/binding", "judges", json!({})), on("pods/binding", "labelled", labelled)];
    lab.validating("v", hooks.into()).await;
    assert_eq!(lab.bind(PodBinding::new("default", "p", "node-1")).await.unwrap(), ["mind the gap"]);
    let asked = lab.asked();
    let urls: Vec<&str> = asked.iter().map(|review| review["url"].as_str().unwrap()).collect();
    assert_eq!(
        urls,
        ["https://mutates/?timeout=10s", "https://judges/?timeout=10s"],
        "once, and not of the pod"
    );
    let target = |node: &str| json!({"kind": "Node", "name": node});
    assert_eq!(asked[0]["request"]["object"]["target"], target("node-1"));
    let request = &asked[1]["request"];
    assert_eq!(request["object"]["target"], target("node-2"));
    assert_eq!((&request["operation"], &request["subResource"]), (&json!("CREATE"), &json!("binding")));
    assert_eq!(request["kind"], json!({"group": "", "version": "v1", "kind": "Binding"}));
    assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "pods"}));
    assert_eq!((&request["name"], &request["namespace"]), (&json!("p"), &json!("default")));
    assert_eq!(request["oldObject"], Value::Null);
    let pod = lab.pod("p");
    assert_eq!(node_of(&pod), Some("node-2"));
    assert_eq!(pod.metadata.annotations.unwrap()["by"], "a webhook");
}

#[tokio::test]
async fn a_binding_to_another_node_has_that_nodes_labels() {
    let lab = Lab::new(|review| match review["url"].as_str().unwrap().contains("mutates") {
        true => Ok(allow(json!([{"op": "replace", "path": "/target/name", "value": "node-2"}]))),
        false => Ok(json!({"allowed": true})),
    })
    .await;
    let (zone, region) = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region");
    for (name, labels) in [("node-1", json!({zone: "a", region: "r"})), ("node-2", json!({zone: "b"}))] {
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
        lab.cluster.acting_as(Actor::root()).api().create(node).await.unwrap();
    }
    lab.waiting("p").await;
    lab.mutating("m", vec![on("pods/binding", "mutates", json!({}))]).await;
    lab.validating("v", vec![on("pods/binding", "judges", json!({}))]).await;
    lab.bind(PodBinding::new("default", "p", "node-1")).await.unwrap();
    let asked = lab.asked();
    let seen = |at: usize| asked[at]["request"]["object"]["metadata"]["labels"].clone();
    assert_eq!(seen(0), json!({zone: "a", region: "r"}));
    assert_eq!(seen(1), json!({zone: "b"}));
    let labels = lab.pod("p").metadata.labels.unwrap_or_default();
    assert_eq!((labels.get(zone).map(String::as_str), labels.get(region)), (Some("b"), None));
}

#[tokio::test]
async fn nothing_is_made_in_a_namespace_that_goes_whether_or_not_it_is_stored() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    let root = lab.cluster.acting_as(Actor::root());
    let version = lab.cluster.registry().by_gvr(&Namespace::info().gvr).unwrap();
    let goes: Namespace =
        serde_json::from_value(json!({"metadata": {"name": "goes", "finalizers": ["example.com/held"]}}))
            .unwrap();
    root.api().create(goes).await.unwrap();
    let target = Target::object(&version, None, "goes");
    lab.cluster.delete(&Actor::root(), &target, &DeleteOptions::default()).await.unwrap();
    let why = "because it is being terminated";
    let bound = lab.bind(PodBinding::new("goes", "p", "node-1")).await.unwrap_err();
    let request = TokenRequest::default();
    let options = WriteOptions::default();
    let token = root.admit_token_request("goes", "default", request, &options).await.unwrap_err();
    let part = {
        let version = lab.cluster.registry().by_gvr(&Pod::info().gvr).unwrap();
        Target::object(&version, Some("goes"), "p").subresource(Subresource::Eviction)
    };
    let eviction: Eviction = serde_json::from_value(json!({"metadata": {"name": "p"}})).unwrap();
    let evicted = lab.cluster.admit_eviction(&Actor::root(), &part, eviction, &options).await.unwrap_err();
    for refused in [bound, token, evicted] {
        assert!(refused.is(Reason::Forbidden) && refused.message.ends_with(why), "{}", refused.message);
        // by which `kubectl drain` knows that the pod goes anyhow
        assert_eq!(refused.causes[0].reason, "NamespaceTerminating");
    }
}

#[tokio::test]
async fn the_older_collection_of_bindings_is_a_resource_of_its_own() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    lab.waiting("p").await;
    let labelled = json!({"objectSelector": {"matchLabels": {"x": "y"}}});
    let hooks = [on("pods/binding", "pod", json!({})), on("bindings", "collection", labelled)];
    lab.validating("v", hooks.into()).await;
    let mut binding = PodBinding { path: None, ..PodBinding::new("default", "p", "node-1") };
    binding.object.metadata.labels = Some([("x".to_owned(), "y".to_owned())].into());
    lab.bind(binding).await.unwrap();
    let asked = lab.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let request = &asked[0]["request"];
    assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "bindings"}));
    assert_eq!((&request["name"], request.get("subResource")), (&json!("p"), None));
    assert_eq!(node_of(&lab.pod("p")), Some("node-1"));
}

#[tokio::test]
async fn a_binding_that_is_refused_binds_nothing() {
    let cases = [
        (
            "by a webhook",
            json!({"allowed": false, "status": {"message": "not there"}}),
            "denied the request: not there",
        ),
        (
            "by the cluster, for what a webhook has made of it",
            allow(json!([{"op": "replace", "path": "/target/name", "value": ""}])),
            "target.name: Required value",
        ),
        (
            "for it is no Binding any more",
            allow(json!([{"op": "replace", "path": "/target", "value": "node-2"}])),
            "Internal error occurred: ",
        ),
    ];
    for (name, answer, words) in cases {
        let lab = Lab::new(move |_| Ok(answer.clone())).await;
        lab.waiting("p").await;
        lab.mutating("m", vec![on("pods/binding", "mutates", json!({}))]).await;
        let refused = lab.bind(PodBinding::new("default", "p", "node-1")).await.unwrap_err();
        assert!(refused.message.contains(words), "{name}: {}", refused.message);
        assert_eq!(node_of(&lab.pod("p")), None, "{name}");
    }
}

impl Lab {
    fn part(&self, of: &api::Gvr, name: &str, part: Subresource) -> Target {
        let version = self.cluster.registry().by_gvr(of).unwrap();
        Target::object(&version, Some("default"), name).subresource(part)
    }

    /// As a request does it.
    async fn evict(&self, actor: &Actor, pod: &str, eviction: Value) -> Result<(), Status> {
        let part = self.part(&Pod::info().gvr, pod, Subresource::Eviction);
        let eviction: Eviction = serde_json::from_value(eviction).unwrap();
        self.cluster.admit_eviction(actor, &part, eviction, &WriteOptions::default()).await?;
        self.cluster.evict(actor, &part, &DeleteOptions::default()).await
    }
}

#[tokio::test]
async fn an_eviction_is_asked_about_and_not_the_deletion_behind_it() {
    let jane = Actor::user("jane", &[Actor::MASTERS]);
    for (name, allowed) in [("refused", false), ("allowed", true)] {
        let lab = Lab::new(move |_| Ok(json!({"allowed": allowed}))).await;
        lab.waiting("p").await;
        lab.validating("v", vec![on("pods/eviction", "evicts", json!({})), on("pods", "deletes", json!({}))])
            .await;
        let evicted = lab.evict(&jane, "p", json!({"metadata": {"name": "p"}})).await;
        assert_eq!(evicted.is_ok(), allowed, "{name}: {evicted:?}");
        let asked = lab.asked();
        assert_eq!(asked.len(), 1, "{name}: {asked:?}");
        let request = &asked[0]["request"];
        assert_eq!(
            request["kind"],
            json!({"group": "policy", "version": "v1", "kind": "Eviction"}),
            "{name}"
        );
        assert_eq!(request["resource"], json!({"group": "", "version": "v1", "resource": "pods"}), "{name}");
        assert_eq!((&request["operation"], &request["subResource"]), (&json!("CREATE"), &json!("eviction")));
        assert_eq!((&request["userInfo"]["username"], &request["name"]), (&json!("jane"), &json!("p")));
        let pod = lab
            .cluster
            .acting_as(Actor::root())
            .api::<Pod>()
            .find(&api::ObjectKey::namespaced("default", "p"));
        assert_eq!(pod.unwrap().is_none(), allowed, "{name}");
    }
}

#[tokio::test]
async fn an_eviction_is_of_the_pod_of_its_path() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    lab.waiting("p").await;
    for (name, eviction) in
        [("another pod", json!({"metadata": {"name": "q"}})), ("no pod", json!({"metadata": {}}))]
    {
        let refused = lab.evict(&Actor::root(), "p", eviction).await.unwrap_err();
        assert_eq!(refused.message, "name in URL does not match name in Eviction object", "{name}");
    }
    assert!(
        lab.evict(&Actor::root(), "q", json!({"metadata": {"name": "q"}}))
            .await
            .unwrap_err()
            .is(Reason::NotFound)
    );
}

#[tokio::test]
async fn a_token_that_is_asked_for_is_asked_about() {
    let patch = json!([{"op": "replace", "path": "/spec/expirationSeconds", "value": 700}]);
    let lab = Lab::new(move |_| Ok(allow(patch.clone()))).await;
    lab.waiting("p").await;
    let root = lab.cluster.acting_as(Actor::root());
    lab.mutating("m", vec![on("serviceaccounts/token", "tokens", json!({}))]).await;
    let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": ["a"]}})).unwrap();
    let options = WriteOptions::default();
    let admitted = root.admit_token_request("default", "default", request, &options).await.unwrap();
    assert_eq!(admitted.spec.unwrap().expiration_seconds, Some(700));
    let asked = lab.asked();
    let request = &asked[0]["request"];
    let kind = json!({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"});
    assert_eq!((&request["kind"], &request["subResource"]), (&kind, &json!("token")));
    assert_eq!(request["object"]["spec"], json!({"audiences": ["a"], "expirationSeconds": 3600}));
    let other: TokenRequest =
        serde_json::from_value(json!({"metadata": {"name": "other"}, "spec": {"audiences": []}})).unwrap();
    let refused = root.admit_token_request("default", "default", other, &options).await.unwrap_err();
    assert!(
        refused.message.contains("must match the service account name if specified"),
        "{}",
        refused.message
    );
}

/// Of the Deployment `d`, that has one pod.
fn deployment() -> Deployment {
    let labels = json!({"app": "web"});
    serde_json::from_value(json!({
        "metadata": {"name": "d", "namespace": "default", "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    }))
    .unwrap()
}

#[tokio::test]
async fn a_scale_is_asked_about_as_what_it_is() {
    let patch = json!([
        {"op": "replace", "path": "/spec/replicas", "value": 2},
        {"op": "add", "path": "/metadata/labels", "value": {"nobody": "stores it"}},
    ]);
    let lab = Lab::new(move |review| match review["url"].as_str() {
        Some(url) if url.starts_with("https://changes/") => Ok(allow(patch.clone())),
        _ => Ok(json!({"allowed": true})),
    })
    .await;
    let root = lab.cluster.acting_as(Actor::root());
    root.api().create(deployment()).await.unwrap();
    let on_scale = |path: &str, change: Value| {
        let mut hook = on("deployments/scale", path, change);
        hook["rules"][0]["apiGroups"] = json!(["apps"]);
        hook
    };
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    lab.mutating("m", vec![on_scale("again", again), on_scale("changes", json!({}))]).await;
    let labelled = json!({"objectSelector": {"matchLabels": {"app": "web"}}});
    lab.validating("v", vec![on_scale("judges", json!({})), on_scale("selects", labelled)]).await;
    let part = lab.part(&Deployment::info().gvr, "d", Subresource::Scale);
    let five = |current: &api::Object| {
        let mut instance = part.version.decode_stored(current)?;
        instance.set_replicas(5);
        Ok(instance)
    };
    let options = WriteOptions::default();
    lab.cluster.modify(&Actor::root(), &part, Verb::Update, &options, &five).await.unwrap();
    let asked = lab.asked();
    let urls: Vec<&str> = asked.iter().filter_map(|review| review["url"].as_str()).collect();
    // who wants to see what others have made of it is asked twice, and who selects by labels never: a scale has none
    let want = ["again", "changes", "again", "judges"].map(|who| format!("https://{who}/?timeout=10s"));
    assert_eq!(urls, want);
    let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    let deployments = json!({"group": "apps", "version": "v1", "resource": "deployments"});
    for (review, replicas) in asked.iter().zip([5, 5, 2, 2]) {
        let request = &review["request"];
        assert_eq!((&request["kind"], &request["requestKind"]), (&scale, &scale));
        assert_eq!((&request["resource"], &request["requestResource"]), (&deployments, &deployments));
        assert_eq!((&request["subResource"], &request["name"]), (&json!("scale"), &json!("d")));
        let (object, old) = (&request["object"], &request["oldObject"]);
        for (shown, replicas) in [(object, replicas), (old, 1)] {
            assert_eq!((&shown["apiVersion"], &shown["kind"]), (&json!("autoscaling/v1"), &json!("Scale")));
            assert_eq!(shown["spec"], json!({"replicas": replicas}));
            assert_eq!(shown["status"]["selector"], "app=web");
            assert_eq!(shown["metadata"]["labels"], Value::Null);
        }
    }
    let written: Deployment = root.api().get(&api::ObjectKey::namespaced("default", "d")).unwrap();
    assert_eq!(written.spec.replicas, Some(2));
    assert_eq!(written.metadata.labels, deployment().metadata.labels);
}
