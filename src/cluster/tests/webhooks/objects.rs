//! Of objects that are written and deleted.

use crate::lab::{Lab, allow, hook};
use api::Reason;
use cluster::{Actor, DeleteOptions, Propagation, Remarks, Target, Verb, WriteOptions};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kinds::TypedKind;
use serde_json::{Value, json};

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

/// Upstream passes over calls that fail, and no answers.
#[tokio::test]
async fn a_patch_that_does_not_fit_fails_the_write_whatever_the_policy() {
    let beyond = json!([{"op": "replace", "path": "/data/missing/x", "value": "1"}]);
    for (name, patch) in [("it does not fit", beyond), ("it is none", json!({"op": "add"}))] {
        let answer = allow(patch);
        let lab = Lab::new(move |_| Ok(answer.clone())).await;
        lab.mutating("m", vec![hook(json!({"failurePolicy": "Ignore"}))]).await;
        let refused = lab.create("a", &WriteOptions::default()).await.unwrap_err();
        assert_eq!(refused.code, 500, "{name}");
        assert!(refused.message.starts_with("Internal error occurred: "), "{name}: {}", refused.message);
        assert!(!refused.message.contains("failed calling webhook"), "{name}: {}", refused.message);
    }
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
async fn who_is_asked_is_told_the_options_of_the_request() {
    let lab = Lab::new(|_| Ok(json!({"allowed": true}))).await;
    lab.validating("v", vec![hook(json!({}))]).await;
    let options = || lab.asked()[0]["request"]["options"].clone();
    let parameters = vec![("fieldManager", "me".to_owned()), ("fieldValidation", "Strict".to_owned())];
    let given = WriteOptions { parameters, dry_run: true, ..WriteOptions::default() };
    lab.create("a", &given).await.unwrap();
    let meta = "meta.k8s.io/v1";
    let want = json!({"kind": "CreateOptions", "apiVersion": meta, "dryRun": ["All"], "fieldManager": "me",
                      "fieldValidation": "Strict"});
    assert_eq!(options(), want);
    let made = lab.create("a", &WriteOptions::default()).await.unwrap();
    assert_eq!(
        options(),
        json!({"kind": "CreateOptions", "apiVersion": meta}),
        "what nobody gave is left out"
    );
    let version = lab.cluster.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
    let target = Target::object(&version, Some("default"), "a");
    let uid = made.metadata.uid.unwrap();
    let given = DeleteOptions {
        grace_period_seconds: Some(0),
        propagation: Some(Propagation::Orphan),
        uid: Some(uid.clone()),
        ..DeleteOptions::default()
    };
    lab.cluster.delete(&Actor::root(), &target, &given).await.unwrap();
    let want = json!({"kind": "DeleteOptions", "apiVersion": meta, "gracePeriodSeconds": 0, "propagationPolicy": "Orphan",
                      "preconditions": {"uid": uid}});
    assert_eq!(options(), want);
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
