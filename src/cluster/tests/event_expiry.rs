//! Events go when they are old, and their watchers hear of it.

use api::ResourceVersion;
use cluster::{Actor, Cluster, Target, WatchEvent, WatchParams};
use k8s_openapi::api::core::v1::Event;
use kinds::{Instance, TypedKind};
use serde_json::json;
use std::collections::BTreeSet;
use store::{Change, Durability, Precondition, Resource, Write};
use tokio_util::sync::CancellationToken;

/// As it would be after a start: it was made before.
fn stored(name: &str, created: jiff::Timestamp) -> Write {
    let event: Event = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default", "uid": name, "creationTimestamp": created.to_string(),
            "finalizers": ["example.com/nobody"]},
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"}, "reason": "Started",
    }))
    .unwrap();
    Write {
        resource: Resource::from(&Event::info().storage),
        key: api::ObjectKey::namespaced("default", name),
        precondition: Precondition::Absent,
        change: Change::Put(event.encode().unwrap()),
        durability: Durability::Lazy,
    }
}

fn names(cluster: &Cluster) -> BTreeSet<String> {
    let events = cluster.acting_as(Actor::root()).api::<Event>().list(None, Default::default()).unwrap();
    events.into_iter().filter_map(|event| event.metadata.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_events_go_and_watchers_hear_of_each() {
    let cluster = testkit::cluster(testkit::config()).await;
    let now = jiff::Timestamp::now();
    let long_ago = now - jiff::SignedDuration::from_hours(2);
    // more than are removed at once
    let old: BTreeSet<String> = (0..700).map(|number| format!("old-{number}")).collect();
    let mut writes: Vec<Write> = old.iter().map(|name| stored(name, long_ago)).collect();
    writes.push(stored("counted", long_ago));
    writes.push(stored("young", now));
    cluster.store().commit(writes).await.unwrap();
    let events = cluster.acting_as(Actor::root()).api::<Event>();
    let counted = |event: &mut Event| {
        event.count = Some(2);
        event.last_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        Ok(())
    };
    events.modify(&api::ObjectKey::namespaced("default", "counted"), counted).await.unwrap();

    let version = cluster.registry().by_gvr(&Event::info().gvr).unwrap();
    let since = cluster.store().revision();
    let params = WatchParams { resource_version: Some(since), ..WatchParams::default() };
    let mut watch =
        cluster.watch(&Actor::root(), &Target::collection(&version, Some("default")), &params).unwrap();
    let stop = CancellationToken::new();
    let expiry = tokio::spawn(cluster.clone().expire_events(stop.clone()));
    let (mut gone, mut last) = (BTreeSet::new(), ResourceVersion(since.0));
    while gone.len() < old.len() {
        match watch.next().await.unwrap() {
            WatchEvent::Deleted(event) => {
                assert!(event.revision() > last, "with a revision of its own");
                last = event.revision();
                gone.insert(event.meta().name.clone());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gone, old);
    assert_eq!(names(&cluster), ["counted".to_owned(), "young".to_owned()].into());
    stop.cancel();
    expiry.await.unwrap();
}
