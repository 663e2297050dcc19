//! What informers find by labels and by controllers, as objects come, change and go.

use api::{LabelSelector, ObjectKey};
use cluster::{Actor, Change, DeleteOptions};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

fn map(name: &str, app: &str, owner: Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {
        "name": name, "namespace": "default", "labels": {"app": app}, "ownerReferences": owner}}))
    .unwrap()
}

#[tokio::test]
async fn what_is_looked_up_is_what_is_there() {
    let cluster = testkit::cluster(testkit::config()).await;
    let maps = cluster.acting_as(Actor::root()).api::<ConfigMap>();
    let owned =
        json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": true}]);
    maps.create(map("a", "web", owned)).await.unwrap();
    let informer = cluster.informer::<ConfigMap>();
    let mut changes = informer.subscribe();
    assert!(matches!(changes.next().await, Some(Change::Added(_))));
    let named = |found: Vec<std::sync::Arc<ConfigMap>>| -> Vec<String> {
        found.iter().filter_map(|map| map.metadata.name.clone()).collect()
    };
    let of = |app: &str| {
        let selector = LabelSelector::from_pairs([(&"app".to_owned(), &app.to_owned())]);
        named(informer.select(Some("default"), &selector))
    };
    let own = || named(informer.controlled_by(Some("default"), "Job", "j"));
    assert_eq!((of("web"), own()), (vec!["a".to_owned()], vec!["a".to_owned()]));

    // who hears of a change finds what it has come to
    maps.create(map("b", "web", json!([]))).await.unwrap();
    assert!(matches!(changes.next().await, Some(Change::Added(_))));
    assert_eq!(of("web"), ["a", "b"]);
    maps.update(map("a", "db", json!([]))).await.unwrap();
    assert!(matches!(changes.next().await, Some(Change::Modified { .. })));
    assert_eq!((of("web"), of("db")), (vec!["b".to_owned()], vec!["a".to_owned()]));
    assert!(own().is_empty(), "nobody's any more");
    maps.delete(&ObjectKey::namespaced("default", "b"), DeleteOptions::default()).await.unwrap();
    assert!(matches!(changes.next().await, Some(Change::Deleted(_))));
    assert!(of("web").is_empty());
    assert_eq!(named(informer.select(Some("default"), &LabelSelector::everything())), ["a"]);
}
