//! By which fields objects are selected: upstream's lists, for lists and for deletions of collections.

use api::{FieldSelector, LabelSelector, ObjectKey};
use cluster::{Actor, Cluster, DeleteOptions, ListParams, Target, WatchEvent, WatchParams};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, Service};
use kinds::TypedKind;
use serde_json::json;

async fn cluster() -> Cluster {
    let cluster = testkit::cluster(testkit::config()).await;
    let events = cluster.acting_as(Actor::root()).api::<Event>();
    for (name, component, kind) in [("old", "kubelet", "Pod"), ("new", "", "Node")] {
        let event = json!({
            "metadata": {"name": name, "namespace": "default", "labels": {"test": name}},
            "involvedObject": {"kind": kind, "namespace": "default", "name": "x", "uid": "u", "apiVersion": "v1",
                "resourceVersion": "7", "fieldPath": "spec"},
            "reason": "R", "type": "Warning", "source": {"component": component}, "reportingComponent": "scheduler",
            "reportingInstance": "i", "action": "A", "eventTime": "2026-01-01T00:00:00.000000Z",
        });
        events.create(serde_json::from_value(event).unwrap()).await.unwrap();
    }
    cluster
}

fn events(cluster: &Cluster, group: &'static str) -> Target {
    let gvr = api::Gvr::new(group, "v1", "events");
    Target::collection(&cluster.registry().by_gvr(&gvr).unwrap(), Some("default"))
}

/// The names of what is found, or why nothing is looked for.
fn found(cluster: &Cluster, target: &Target, fields: &str) -> String {
    let params = ListParams { fields: FieldSelector::parse(fields).unwrap(), ..ListParams::default() };
    match cluster.list(&Actor::root(), target, &params) {
        Ok(list) => list.objects.iter().map(|o| o.meta().name.as_str()).collect::<Vec<_>>().join(" "),
        Err(status) => status.message,
    }
}

#[tokio::test]
async fn events_are_selected_by_the_fields_of_the_face_that_is_asked() {
    let cluster = cluster().await;
    let cases = [
        ("", "source=kubelet", "old"),
        ("", "source=scheduler", "new"),
        ("", "reportingComponent=scheduler", "new old"),
        ("", "involvedObject.kind=Node,reason=R,type=Warning", "new"),
        ("", "involvedObject.namespace=default,involvedObject.name=x,involvedObject.uid=u", "new old"),
        (
            "",
            "involvedObject.apiVersion=v1,involvedObject.resourceVersion=7,involvedObject.fieldPath=spec",
            "new old",
        ),
        ("", "metadata.name!=old", "new"),
        ("", "regarding.kind=Node", "field label not supported: regarding.kind"),
        ("", "reportingController=scheduler", "field label not supported: reportingController"),
        ("events.k8s.io", "regarding.kind=Pod,reportingController=scheduler", "old"),
        (
            "events.k8s.io",
            "regarding.apiVersion=v1,regarding.resourceVersion=7,regarding.fieldPath=spec",
            "new old",
        ),
        ("events.k8s.io", "reason=other", ""),
        ("events.k8s.io", "source=kubelet", "field label not supported: source"),
    ];
    for (group, fields, want) in cases {
        assert_eq!(found(&cluster, &events(&cluster, group), fields), want, "{group} {fields}");
    }
}

#[tokio::test]
async fn each_kind_has_its_own_list() {
    fn refused<K: TypedKind>(cluster: &Cluster, fields: &str) -> String {
        let version = cluster.registry().by_gvr(&K::info().gvr).unwrap();
        found(cluster, &Target::collection(&version, None), fields)
    }
    let cluster = cluster().await;
    for fields in [
        "spec.nodeName=n",
        "spec.host=n",
        "status.podIPs=1.1.1.1",
        "spec.hostNetwork=true",
        "status.phase=Running",
    ] {
        assert_eq!(refused::<Pod>(&cluster, fields), "", "{fields}");
    }
    assert_eq!(refused::<Pod>(&cluster, "spec.image=i"), "field label not supported: spec.image");
    assert_eq!(refused::<Node>(&cluster, "spec.unschedulable=true"), "");
    assert_eq!(refused::<Namespace>(&cluster, "status.phase=Terminating"), "");
    assert_eq!(refused::<Secret>(&cluster, "type=x"), "");
    assert_eq!(refused::<Service>(&cluster, "spec.clusterIP=None,spec.type=NodePort"), "");
    let want = r#""data.x" is not a known field selector: only "metadata.name", "metadata.namespace""#;
    assert_eq!(refused::<ConfigMap>(&cluster, "data.x=1"), want);
}

#[tokio::test]
async fn a_collection_is_deleted_by_labels_and_fields() {
    for group in ["", "events.k8s.io"] {
        let cluster = cluster().await;
        let target = events(&cluster, group);
        let by = |labels: &str, fields: &str| ListParams {
            labels: LabelSelector::parse(labels).unwrap(),
            fields: FieldSelector::parse(fields).unwrap(),
            ..ListParams::default()
        };
        let options = DeleteOptions::default();
        let root = Actor::root();
        cluster.delete_collection(&root, &target, &by("test=new", "reason=other"), &options).await.unwrap();
        assert_eq!(found(&cluster, &target, "reason=R"), "new old", "{group}");
        cluster.delete_collection(&root, &target, &by("test=new", "reason=R"), &options).await.unwrap();
        assert_eq!(found(&cluster, &target, "reason=R"), "old", "{group}");
        let left = cluster.acting_as(root).api::<Event>().find(&ObjectKey::namespaced("default", "new"));
        assert_eq!(left.unwrap(), None);
    }
}

#[tokio::test]
async fn a_long_list_can_be_given_up_while_it_is_made() {
    let cluster = cluster().await;
    let root = Actor::root();
    let maps = cluster.acting_as(root.clone()).api::<ConfigMap>();
    let version = cluster.registry().by_gvr(&ConfigMap::info().gvr).unwrap();
    let target = Target::collection(&version, Some("default"));
    let labels = LabelSelector::parse("test=nowhere").unwrap();
    let params = ListParams { labels, ..ListParams::default() };
    for (name, number, is_long) in [("short", 0, false), ("long", 12, true)] {
        for number in 0..number {
            let map = json!({"metadata": {"name": format!("m{number}"), "namespace": "default"}, "data": {"k": "v".repeat(100_000)}});
            maps.create(serde_json::from_value(map).unwrap()).await.unwrap();
        }
        let is_made = tokio::select! {
            biased;
            list = cluster.list_in_version(&root, &target, &params) => list.is_ok(),
            () = std::future::ready(()) => false,
        };
        assert_eq!(is_made, !is_long, "{name}");
    }
}

fn watched(cluster: &Cluster, fields: &str) -> cluster::WatchStream {
    let target =
        Target::collection(&cluster.registry().by_gvr(&Secret::info().gvr).unwrap(), Some("default"));
    let fields = FieldSelector::parse(fields).unwrap();
    let params = WatchParams { fields, from_now: true, ..WatchParams::default() };
    cluster.watch(&Actor::root(), &target, &params).unwrap()
}

/// Each watch that decodes a large object by itself takes some milliseconds of it, at each change: a few hundred of them would hold up
/// all others.
#[tokio::test]
async fn many_watches_by_fields_look_at_a_large_object_once() {
    let cluster = testkit::cluster(testkit::config()).await;
    let secrets = cluster.acting_as(Actor::root()).api::<Secret>();
    let data: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("k{n}"), json!("eA=="))).collect();
    let secret = json!({"metadata": {"name": "large", "namespace": "default"}, "type": "a/b", "data": data});
    let mut selecting: Vec<_> = (0..200).map(|_| watched(&cluster, "type=a/b")).collect();
    let mut others: Vec<_> = (0..200).map(|_| watched(&cluster, "type!=a/b")).collect();
    secrets.create(serde_json::from_value(secret).unwrap()).await.unwrap();
    let begun = std::time::Instant::now();
    for watch in &mut selecting {
        let event = watch.next().await.unwrap();
        assert!(matches!(event, WatchEvent::Added(object) if object.meta().name == "large"));
    }
    for watch in &mut others {
        assert!(watch.try_next().unwrap().is_none());
    }
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
