//! Managed fields as those see them who create and update objects, and write the entries themselves.

use api::{ObjectKey, REVISION_PLACEHOLDER, Reason, Status, Unstamped};
use cluster::{Actor, Cluster, Target, Verb, WriteOptions};
use k8s_openapi::api::apps::v1::Deployment;
use kinds::{FieldValidation, TypedKind};
use serde_json::{Value, json};
use store::{Change, Durability, Precondition, Resource, Write};

fn target(cluster: &Cluster) -> Target {
    let version = cluster.registry().by_gvr(&Deployment::info().gvr).unwrap();
    Target::object(&version, Some("default"), "web")
}

fn by(manager: &str) -> WriteOptions {
    WriteOptions { field_manager: manager.to_owned(), ..WriteOptions::default() }
}

/// As kubectl sends it, with whatever else the metadata is to have.
fn web(metadata: Value) -> Value {
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "strategy": {}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "nginx", "image": "nginx", "resources": {}}]}}}});
    let Value::Object(more) = metadata else { panic!("{metadata}") };
    deployment["metadata"].as_object_mut().unwrap().extend(more);
    deployment
}

async fn created(cluster: &Cluster, object: &Value) -> Result<Value, Status> {
    let target = target(cluster);
    let made = target.version.decode(&serde_json::to_vec(object).unwrap(), FieldValidation::Strict)?.instance;
    let target = Target { name: None, ..target };
    let stored = cluster.create(&Actor::root(), &target, made, &by("kubectl-create")).await?;
    Ok(stored.decode().unwrap())
}

async fn updated(cluster: &Cluster, manager: &str, object: &Value) -> Result<Value, Status> {
    let target = target(cluster);
    let new = target.version.decode(&serde_json::to_vec(object).unwrap(), FieldValidation::Strict)?.instance;
    let root = Actor::root();
    let stored = cluster.modify(&root, &target, Verb::Update, &by(manager), &|_| Ok(new.clone_box())).await?;
    Ok(stored.decode().unwrap())
}

fn fields(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|e| e["manager"] == manager).map_or(Value::Null, |e| e["fieldsV1"].clone())
}

#[tokio::test]
async fn what_is_new_counts_itself_and_what_go_always_has_does_not() {
    let cluster = testkit::cluster(testkit::config()).await;
    let mut made = created(&cluster, &web(json!({}))).await.unwrap();
    let container = json!({".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {},
        "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}});
    let pod = json!({"f:containers": {"k:{\"name\":\"nginx\"}": container}, "f:dnsPolicy": {}, "f:restartPolicy": {},
        "f:schedulerName": {}, "f:securityContext": {}, "f:terminationGracePeriodSeconds": {}});
    let labels = json!({"f:labels": {".": {}, "f:app": {}}});
    assert_eq!(
        fields(&made, "kubectl-create"),
        json!({"f:metadata": labels, "f:spec": {
            "f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}},
            "f:template": {"f:metadata": labels, "f:spec": pod}}})
    );

    made["metadata"]["annotations"] = json!({"a": "b"});
    let annotated = updated(&cluster, "kubectl-annotate", &made).await.unwrap();
    let own = json!({"f:metadata": {"f:annotations": {".": {}, "f:a": {}}}});
    assert_eq!(fields(&annotated, "kubectl-annotate"), own);
    // the map stays whose it was
    let mut again = annotated.clone();
    again["metadata"]["annotations"] = json!({"a": "b", "c": "d"});
    let again = updated(&cluster, "kubectl-edit", &again).await.unwrap();
    assert_eq!(fields(&again, "kubectl-annotate"), own);
    assert_eq!(fields(&again, "kubectl-edit"), json!({"f:metadata": {"f:annotations": {"f:c": {}}}}));
    // and goes with all that is in it
    let mut bare = again.clone();
    bare["metadata"].as_object_mut().unwrap().remove("annotations");
    let bare = updated(&cluster, "kubectl-edit", &bare).await.unwrap();
    assert_eq!(
        (fields(&bare, "kubectl-annotate"), fields(&bare, "kubectl-edit")),
        (Value::Null, Value::Null)
    );
}

#[tokio::test]
async fn two_variables_of_one_name_have_one_owner() {
    let cluster = testkit::cluster(testkit::config()).await;
    let mut object = web(json!({}));
    object["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "a", "value": "1"}, {"name": "a", "value": "2"}, {"name": "b", "value": "1"}]);
    let made = created(&cluster, &object).await.unwrap();
    let own = fields(&made, "kubectl-create");
    let container = &own["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"nginx\"}"];
    let b = json!({".": {}, "f:name": {}, "f:value": {}});
    assert_eq!(container["f:env"], json!({".": {}, "k:{\"name\":\"a\"}": {}, "k:{\"name\":\"b\"}": b}));
}

fn entry(manager: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "time": "2020-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields})
}

#[tokio::test]
async fn of_what_a_new_object_brings_along_stays_what_its_creator_does_not_set() {
    let cluster = testkit::cluster(testkit::config()).await;
    let replicas = json!({"f:replicas": {}});
    let before = entry("before", json!({"f:spec": replicas, "f:status": replicas}));
    let object = web(json!({"managedFields": [before, entry("nothing", json!({"f:spec": replicas}))]}));
    let made = created(&cluster, &object).await.unwrap();
    assert_eq!(fields(&made, "before"), json!({"f:status": replicas}));
    assert_eq!(fields(&made, "nothing"), Value::Null);
    assert!(fields(&made, "kubectl-create")["f:spec"]["f:replicas"].is_object(), "{made}");
}

#[tokio::test]
async fn managers_that_there_can_not_be_are_refused() {
    let cluster = testkit::cluster(testkit::config()).await;
    let status = json!({"f:status": {"f:replicas": {}}});
    let long = entry(&"m".repeat(129), status.clone());
    let refused = created(&cluster, &web(json!({"managedFields": [long]}))).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Invalid);
    let cause = &refused.causes[0];
    assert_eq!(
        (cause.field.as_str(), cause.message.as_str()),
        ("metadata.managedFields[0].manager", "Too long: may not be more than 128 bytes")
    );

    let mut made = created(&cluster, &web(json!({}))).await.unwrap();
    made["metadata"]["managedFields"] = json!([entry("a\u{7}b", status)]);
    let refused = updated(&cluster, "kubectl-edit", &made).await.unwrap_err();
    assert!(refused.message.contains("metadata.managedFields[0].manager: Invalid value"), "{refused}");
    assert!(refused.message.contains("invalid character U+0007 (at position 1)"), "{refused}");
}

/// As a version left it that did not have the default yet.
#[tokio::test]
async fn a_default_that_is_younger_than_the_object_is_no_change_of_whoever_writes_next() {
    let cluster = testkit::cluster(testkit::config()).await;
    let mut old = created(&cluster, &web(json!({}))).await.unwrap();
    let made_by = fields(&old, "kubectl-create");
    let strategy = &mut old["spec"]["strategy"]["rollingUpdate"];
    assert!(strategy.as_object_mut().unwrap().remove("maxUnavailable").is_some());
    old["metadata"]["resourceVersion"] = REVISION_PLACEHOLDER.into();
    let write = Write {
        resource: Resource::from(&Deployment::info().storage),
        key: ObjectKey::namespaced("default", "web"),
        precondition: Precondition::Exists,
        change: Change::Put(Unstamped::new(serde_json::to_vec(&old).unwrap()).unwrap()),
        durability: Durability::Sync,
    };
    cluster.store().commit(vec![write]).await.unwrap();

    let metadata = old["metadata"].as_object_mut().unwrap();
    metadata.remove("resourceVersion");
    let unchanged = updated(&cluster, "kubectl-edit", &old).await.unwrap();
    assert_eq!(unchanged["metadata"]["generation"], 1);
    assert_eq!(fields(&unchanged, "kubectl-edit"), Value::Null);

    old["spec"]["replicas"] = 2.into();
    let scaled = updated(&cluster, "kubectl-edit", &old).await.unwrap();
    assert_eq!(scaled["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], "25%");
    assert_eq!(fields(&scaled, "kubectl-edit"), json!({"f:spec": {"f:replicas": {}}}));
    let kept = &made_by["f:spec"]["f:strategy"];
    assert_eq!(&fields(&scaled, "kubectl-create")["f:spec"]["f:strategy"], kept);

    old["metadata"]["annotations"] = json!({"a": "b"});
    let annotated = updated(&cluster, "kubectl-annotate", &old).await.unwrap();
    assert_eq!(annotated["metadata"]["generation"], scaled["metadata"]["generation"]);
}
