//! The garbage collector at work on a cluster in memory.

mod common;

use api::{LabelSelector, ObjectKey};
use cluster::{Client, DeleteOptions, Propagation};
use common::{key, object, start, until};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, ReplicationController};
use serde_json::{Value, json};

fn controller(name: &str, replicas: i32) -> ReplicationController {
    let template = json!({
        "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    object(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"app": name}, "template": template},
    }))
}

fn pod(name: &str) -> Pod {
    let spec = json!({"containers": [{"name": "c", "image": "i"}]});
    object(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}))
}

fn map(namespace: &str, name: &str, owners: Value) -> ConfigMap {
    object(json!({"metadata": {"name": name, "namespace": namespace, "ownerReferences": owners}}))
}

fn pods(client: &Client) -> Vec<Pod> {
    client.api::<Pod>().list(Some("default"), LabelSelector::default()).unwrap()
}

fn deleted(propagation: Propagation) -> DeleteOptions {
    DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() }
}

/// Adds an owner that is not the controller.
async fn own(client: &Client, dependent: &str, kind: &str, owner: &str, uid: Option<&str>) {
    let reference = json!({
        "apiVersion": "v1", "kind": kind, "name": owner, "uid": uid, "blockOwnerDeletion": true,
    });
    let adopt = |pod: &mut Pod| {
        pod.metadata.owner_references.get_or_insert_default().push(object(reference.clone()));
        Ok(())
    };
    client.api::<Pod>().modify(&key(dependent), adopt).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_owner_still_has_stays() {
    for propagation in [Propagation::Foreground, Propagation::Background] {
        let client = start().await;
        let controllers = client.api::<ReplicationController>();
        controllers.create(controller("going", 6)).await.unwrap();
        let stays = controllers.create(controller("stays", 0)).await.unwrap();
        until::<Pod>(&client, |c| pods(c).len() == 6).await;
        let shared: Vec<String> =
            pods(&client).into_iter().take(3).filter_map(|pod| pod.metadata.name).collect();
        for pod in &shared {
            own(&client, pod, "ReplicationController", "stays", stays.metadata.uid.as_deref()).await;
        }
        controllers.delete(&key("going"), deleted(propagation)).await.unwrap();
        let gone = |c: &Client| c.api::<ReplicationController>().find(&key("going")).unwrap().is_none();
        until::<ReplicationController>(&client, gone).await;
        let of_one = |pod: &Pod| pod.metadata.owner_references.as_ref().is_some_and(|o| o.len() == 1);
        until::<Pod>(&client, |c| pods(c).len() == 3 && pods(c).iter().all(of_one)).await;
        for pod in pods(&client) {
            assert!(shared.contains(pod.metadata.name.as_ref().unwrap()), "{propagation:?}");
            assert_eq!(pod.metadata.deletion_timestamp, None, "{propagation:?}");
            assert_eq!(pod.metadata.owner_references.unwrap()[0].name, "stays", "{propagation:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_of_owners_goes_whole() {
    // (name, who is owned by whom, who is deleted)
    let three = [("a", "c"), ("b", "a"), ("c", "b")];
    let cases = [
        ("one of three", &three[..], &["a"][..]),
        ("all at once", &three[..], &["a", "b", "c"][..]),
        ("two", &[("a", "b"), ("b", "a")][..], &["b"][..]),
        ("itself", &[("a", "a")][..], &["a"][..]),
    ];
    for (name, owned, first) in cases {
        let client = start().await;
        let api = client.api::<Pod>();
        for (dependent, _) in owned {
            api.create(pod(dependent)).await.unwrap();
        }
        for (dependent, owner) in owned {
            let uid = api.get(&key(owner)).unwrap().metadata.uid;
            own(&client, dependent, "Pod", owner, uid.as_deref()).await;
        }
        let delete = async |pod: &&str| api.delete(&key(pod), deleted(Propagation::Foreground)).await;
        let deletions = first.iter().map(delete);
        for outcome in futures::future::join_all(deletions).await {
            // the circle may be gone before the last of them is asked for
            assert!(
                outcome.as_ref().err().is_none_or(|e| e.is(api::Reason::NotFound)),
                "{name}: {outcome:?}"
            );
        }
        until::<Pod>(&client, |c| pods(c).is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_in_another_namespace_is_none_and_that_is_said() {
    let client = start().await;
    client.api::<Namespace>().create(object(json!({"metadata": {"name": "far"}}))).await.unwrap();
    let owner = client.api::<ConfigMap>().create(map("far", "owner", json!([]))).await.unwrap();
    let uid = owner.metadata.uid.unwrap();
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]);
    client.api::<ConfigMap>().create(map("default", "owned", reference)).await.unwrap();
    until::<ConfigMap>(&client, |c| c.api::<ConfigMap>().find(&key("owned")).unwrap().is_none()).await;
    let said = |c: &Client| {
        let events = c.api::<Event>().list(Some("default"), LabelSelector::default()).unwrap();
        events.into_iter().find(|event| event.reason.as_deref() == Some("OwnerRefInvalidNamespace"))
    };
    until::<Event>(&client, |c| said(c).is_some()).await;
    let words = format!(
        "ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: {uid}] does not exist in namespace \"default\""
    );
    assert_eq!(said(&client).unwrap().message.unwrap(), words);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_bears_the_name_of_a_gone_owner_is_not_the_owner() {
    let client = start().await;
    let maps = client.api::<ConfigMap>();
    let keep = json!([{"apiVersion": "example.com/v1", "kind": "Unknown", "name": "x", "uid": "y"}]);
    let wrong = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "an-older-one"}]);
    maps.create(map("default", "owner", json!([]))).await.unwrap();
    maps.create(map("default", "of-an-unknown-kind", keep)).await.unwrap();
    maps.create(map("default", "owned", wrong)).await.unwrap();
    until::<ConfigMap>(&client, |c| c.api::<ConfigMap>().find(&key("owned")).unwrap().is_none()).await;
    assert!(maps.find(&key("owner")).unwrap().is_some());
    assert!(maps.find(&key("of-an-unknown-kind")).unwrap().is_some(), "its kind may be served later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_was_under_way_at_the_start_is_carried_out() {
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components(controllers::roles()).await.unwrap();
    let client = cluster.acting_as(cluster::Actor::root());
    let maps = client.api::<ConfigMap>();
    let mut owners = Vec::new();
    for name in ["waits", "orphans"] {
        let uid = maps.create(map("default", name, json!([]))).await.unwrap().metadata.uid;
        let reference = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": true,
        }]);
        maps.create(map("default", &format!("of-{name}"), reference)).await.unwrap();
        owners.push(key(name));
    }
    maps.delete(&owners[0], deleted(Propagation::Foreground)).await.unwrap();
    maps.delete(&owners[1], deleted(Propagation::Orphan)).await.unwrap();
    common::controllers(&cluster);
    let done = |c: &Client| owners.iter().all(|o| c.api::<ConfigMap>().find(o).unwrap().is_none());
    until::<ConfigMap>(&client, done).await;
    assert!(maps.find(&key("of-waits")).unwrap().is_none());
    assert_eq!(
        maps.get(&ObjectKey::namespaced("default", "of-orphans")).unwrap().metadata.owner_references,
        None
    );
}
