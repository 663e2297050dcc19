//! What a write says of the object that it means, and in which words it is refused where there is none such.

use api::{Gvk, Object, ObjectKey, Reason, ResourceVersion};
use cluster::{Actor, Api, Cluster, DeleteOptions, Target, Verb, WriteOptions};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kinds::FieldValidation;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::objects;
use tokio::runtime::Handle;

async fn maps() -> (Cluster, Api<ConfigMap>) {
    let cluster = testkit::cluster(testkit::config()).await;
    let maps = cluster.acting_as(Actor::root()).api();
    (cluster, maps)
}

fn map(meta: Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": meta})).unwrap()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

#[tokio::test]
async fn what_was_read_somewhere_is_not_created() {
    let (_cluster, maps) = maps().await;
    let at = |name: &str, revision: &str| {
        map(json!({"name": name, "namespace": "default", "resourceVersion": revision}))
    };
    for (name, revision) in [("zero", "0"), ("nothing", ""), ("below-zero", "-1"), ("words", "newest")] {
        assert!(maps.create(at(name, revision)).await.is_ok(), "{name}");
    }
    // also before it is looked whether there is one already
    for name in ["some", "zero"] {
        let refused = maps.create(at(name, "7")).await.unwrap_err();
        assert_eq!((refused.code, refused.reason), (500, Reason::Unknown), "{name}");
        assert_eq!(refused.message, "resourceVersion should not be set on objects to be created", "{name}");
    }
    // validation comes first
    let refused = maps.create(at("No Name", "7")).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Invalid);
}

#[tokio::test]
async fn a_deletion_is_of_the_object_that_it_names() {
    let (_cluster, maps) = maps().await;
    let made = maps.create(map(json!({"name": "a", "namespace": "default"}))).await.unwrap().metadata;
    let (uid, revision) = (made.uid.unwrap(), made.resource_version.unwrap());
    let cannot = "Operation cannot be fulfilled on ConfigMap \"a\": ";
    let cases = [
        (
            DeleteOptions { uid: Some("another".to_owned()), ..DeleteOptions::default() },
            format!(
                "{cannot}the UID in the precondition (another) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
            ),
        ),
        (
            DeleteOptions { resource_version: Some(ResourceVersion(1)), ..DeleteOptions::default() },
            format!(
                "{cannot}the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({revision}). The object might have been modified"
            ),
        ),
    ];
    for (options, words) in cases {
        let refused = maps.delete(&key("a"), options).await.unwrap_err();
        assert_eq!((refused.reason, refused.message.as_str()), (Reason::Conflict, words.as_str()));
    }
    maps.delete(&key("a"), DeleteOptions::now(&uid)).await.unwrap();
}

#[tokio::test]
async fn a_body_does_not_contradict_its_path() {
    let (cluster, maps) = maps().await;
    maps.create(map(json!({"name": "a", "namespace": "default"}))).await.unwrap();
    let version = cluster.registry().by_gvk(&api::Gvk::new("", "v1", "ConfigMap")).unwrap();
    let (one, all) =
        (Target::object(&version, Some("default"), "a"), Target::collection(&version, Some("default")));
    let (root, options) = (Actor::root(), WriteOptions::default());
    let cases = [
        (
            "another name",
            json!({"name": "b", "namespace": "default"}),
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            "another namespace",
            json!({"name": "a", "namespace": "shop"}),
            "the namespace of the object (shop) does not match the namespace on the request (default)",
        ),
        (
            "both",
            json!({"name": "b", "namespace": "shop"}),
            "the name of the object (b) does not match the name on the URL (a)",
        ),
    ];
    let decode = |meta: Value| {
        let body = json!({"metadata": meta}).to_string();
        version.decode(body.as_bytes(), FieldValidation::Strict).unwrap().instance
    };
    for (name, meta, words) in cases {
        let refused = cluster.replace(&root, &one, &*decode(meta), &options).await.unwrap_err();
        assert_eq!((refused.reason, refused.message.as_str()), (Reason::BadRequest, words), "{name}");
    }
    let elsewhere = decode(json!({"name": "b", "namespace": "shop"}));
    let refused = cluster.create(&root, &all, elsewhere, &options).await.unwrap_err();
    let words = "the namespace of the provided object does not match the namespace sent on the request";
    assert!(refused.message.starts_with(words), "{refused}");
}

#[tokio::test]
async fn a_grace_below_zero_is_the_shortest() {
    let cluster = testkit::cluster(testkit::config()).await;
    let root = cluster.acting_as(Actor::root());
    let account = json!({"metadata": {"name": "default", "namespace": "default"}});
    root.api().create(serde_json::from_value::<ServiceAccount>(account).unwrap()).await.unwrap();
    let pods = root.api::<Pod>();
    pods.create(objects::pod("web").on("node-1").build()).await.unwrap();
    let options = DeleteOptions { grace_period_seconds: Some(-5), ..DeleteOptions::default() };
    pods.delete(&key("web"), options).await.unwrap();
    assert_eq!(pods.get(&key("web")).unwrap().metadata.deletion_grace_period_seconds, Some(1));
}

/// Many that wait for a small one would else each have a large one in memory.
#[tokio::test(flavor = "multi_thread")]
async fn who_changes_what_grows_much_meanwhile_hears_of_a_conflict() {
    let (cluster, maps) = maps().await;
    let version = cluster.registry().by_gvk(&Gvk::parse("v1", "ConfigMap")).unwrap();
    for (name, bytes, is_tried_again) in [("little", 1000, true), ("much", 1_000_000, false)] {
        maps.create(map(json!({"name": name, "namespace": "default"}))).await.unwrap();
        let asked = AtomicUsize::new(0);
        let change = |current: &Object| {
            if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                let mut grown = map(json!({"name": name, "namespace": "default"}));
                grown.data = Some([("k".to_owned(), "v".repeat(bytes))].into());
                let grown = maps.replace(grown, None);
                tokio::task::block_in_place(|| Handle::current().block_on(grown)).unwrap();
            }
            let mut changed = version.decode_stored(current)?;
            let meta = changed.meta_mut();
            meta.resource_version = None;
            meta.labels = Some([("a".to_owned(), "b".to_owned())].into());
            Ok(changed)
        };
        let target = Target::object(&version, Some("default"), name);
        let options = WriteOptions::default();
        let changed = cluster.modify(&Actor::root(), &target, Verb::Patch, &options, &change).await;
        match is_tried_again {
            true => assert!(changed.is_ok(), "{name}: {changed:?}"),
            false => assert_eq!(changed.unwrap_err().reason, Reason::Conflict, "{name}"),
        }
        assert_eq!(asked.load(Ordering::SeqCst), if is_tried_again { 2 } else { 1 }, "{name}");
    }
}
