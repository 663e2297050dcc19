//! Server-side apply, as the clients of one cluster see it.

use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Applied, Cluster, Target, Wanted, WriteOptions};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kinds::{FieldValidation, Kind};
use serde_json::{Value, json};

fn target<K: Kind>(cluster: &Cluster, name: &str) -> Target {
    Target::object(&cluster.registry().by_gvr(&K::info().gvr).unwrap(), Some("default"), name)
}

async fn apply<K: Kind>(
    cluster: &Cluster,
    manager: &str,
    force: bool,
    config: Value,
) -> Result<Applied, Status> {
    let target = target::<K>(cluster, config["metadata"]["name"].as_str().unwrap());
    let options = WriteOptions { field_manager: manager.to_owned(), ..WriteOptions::default() };
    let wanted = Wanted { config, force, validation: FieldValidation::Strict };
    cluster.apply(&Actor::root(), &target, wanted, &options).await
}

fn web(spec: &Value) -> Value {
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}}});
    deployment["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    deployment
}

fn json_of(applied: &Applied) -> Value {
    applied.object.decode().unwrap()
}

#[tokio::test]
async fn an_apply_creates_changes_and_takes_back() {
    let cluster = testkit::cluster(testkit::config()).await;
    let first = apply::<Deployment>(&cluster, "helm", false, web(&json!({"replicas": 3, "paused": true})))
        .await
        .unwrap();
    assert!(first.created);
    let shown = json_of(&first);
    assert_eq!((&shown["spec"]["replicas"], &shown["metadata"]["generation"]), (&json!(3), &json!(1)));
    let second = apply::<Deployment>(&cluster, "helm", false, web(&json!({}))).await.unwrap();
    let shown = json_of(&second);
    assert!(!second.created && shown["spec"].get("paused").is_none());
    // what nobody says any more is as upstream's default has it
    assert_eq!((&shown["spec"]["replicas"], &shown["metadata"]["generation"]), (&json!(1), &json!(2)));
    let same = apply::<Deployment>(&cluster, "helm", false, web(&json!({}))).await.unwrap();
    assert_eq!(same.object.revision(), second.object.revision(), "nothing changed, nothing is written");
}

#[tokio::test]
async fn what_another_door_changed_is_a_conflict_until_it_is_forced() {
    let cluster = testkit::cluster(testkit::config()).await;
    apply::<Deployment>(&cluster, "helm", false, web(&json!({"replicas": 1}))).await.unwrap();
    let deployments = cluster.acting_as(Actor::root()).api::<Deployment>();
    let scaled = deployments
        .modify(&ObjectKey::namespaced("default", "web"), |d| {
            d.spec.as_mut().unwrap().replicas = Some(5);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(scaled.metadata.managed_fields.unwrap().len(), 2);
    let again = web(&json!({"replicas": 1}));
    let refused = apply::<Deployment>(&cluster, "helm", false, again.clone()).await.unwrap_err();
    assert_eq!((refused.reason, refused.causes[0].field.as_str()), (Reason::Conflict, ".spec.replicas"));
    assert!(refused.message.starts_with("Apply failed with 1 conflict: conflict with "), "{refused}");
    let forced = apply::<Deployment>(&cluster, "helm", true, again).await.unwrap();
    assert_eq!(json_of(&forced)["spec"]["replicas"], 1);
}

#[tokio::test]
async fn two_appliers_share_the_lists_of_one_object() {
    let cluster = testkit::cluster(testkit::config()).await;
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}});
    apply::<Service>(&cluster, "a", false, service(json!([{"name": "http", "port": 80}]))).await.unwrap();
    apply::<Service>(&cluster, "b", false, service(json!([{"name": "dns", "port": 53, "protocol": "UDP"}])))
        .await
        .unwrap();
    let left = apply::<Service>(&cluster, "a", false, service(json!([]))).await.unwrap();
    let ports = json_of(&left)["spec"]["ports"].clone();
    assert_eq!(ports.as_array().unwrap().len(), 1, "{ports}");
    assert_eq!(ports[0]["name"], "dns");
}

#[tokio::test]
async fn bad_configurations_are_refused_in_words() {
    let cluster = testkit::cluster(testkit::config()).await;
    let cases = [
        ("no kind", json!({"apiVersion": "apps/v1", "metadata": {"name": "web"}}), "kind"),
        (
            "another kind",
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}),
            "does not match",
        ),
        (
            "books",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "managedFields": [{}]}}),
            "metadata.managedFields must be nil",
        ),
        ("an unknown field", web(&json!({"replica": 1})), "unknown field \"spec.replica\""),
        (
            "one item twice",
            web(&json!({"template": {"spec": {"containers": [{"name": "c"}, {"name": "c"}]}}})),
            "duplicate entries for key [name=\"c\"]",
        ),
    ];
    for (name, config, words) in cases {
        let refused = apply::<Deployment>(&cluster, "m", false, config).await.unwrap_err();
        assert!(refused.message.contains(words), "{name}: {refused}");
    }
}
