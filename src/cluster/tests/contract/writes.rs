//! Creating, changing and deleting.

use crate::objects::{cluster, key, map, pod, reason, root, target};
use api::{ObjectKey, Reason, Status};
use cluster::{Actor, DeleteOptions, Deleted, Propagation, Verb, WriteOptions};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{FieldValidation, Instance};
use serde_json::{Value, json};

#[tokio::test]
async fn a_name_is_taken_once_and_generated_ones_never_clash() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("a", "x")).await.unwrap();
    assert_eq!(reason(maps.create(map("a", "x")).await), Reason::AlreadyExists);
    let mut names = std::collections::HashSet::new();
    for _ in 0..100 {
        let mut generated = map("", "x");
        generated.metadata.name = None;
        generated.metadata.generate_name = Some("web-".into());
        names.insert(maps.create(generated).await.unwrap().metadata.name.unwrap());
    }
    assert!(names.len() == 100 && names.iter().all(|n| n.len() == 9 && n.starts_with("web-")), "{names:?}");
}

#[tokio::test]
async fn an_update_with_an_old_revision_changes_nothing_and_one_without_wins() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    let old = maps.create(map("a", "x")).await.unwrap();
    let new = maps
        .modify(&key("a"), |m| {
            m.data = Some([("k".into(), "v".into())].into());
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(reason(maps.update(old).await), Reason::Conflict);
    assert_eq!(maps.get(&key("a")).unwrap(), new);
    maps.update(map("a", "y")).await.unwrap();
    let again = maps.update(map("a", "y")).await.unwrap();
    assert_eq!(
        again,
        maps.update(map("a", "y")).await.unwrap(),
        "a write that changes nothing has no revision of its own"
    );
}

#[tokio::test]
async fn writers_at_once_lose_no_change() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("a", "x")).await.unwrap();
    let write = |n: usize| {
        let maps = maps.clone();
        tokio::spawn(async move {
            maps.modify(&key("a"), |m| {
                m.data.get_or_insert_default().insert(format!("k{n}"), String::new());
                Ok(())
            })
            .await
        })
    };
    for task in (0..8).map(write).collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(maps.get(&key("a")).unwrap().data.unwrap().len(), 8);
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_taken_off() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    let mut held = map("a", "x");
    held.metadata.finalizers = Some(vec!["example.com/wait".into()]);
    maps.create(held).await.unwrap();
    maps.delete(&key("a"), DeleteOptions::default()).await.unwrap();
    assert!(maps.get(&key("a")).unwrap().metadata.deletion_timestamp.is_some());
    let add = maps
        .modify(&key("a"), |m| {
            m.metadata.finalizers.get_or_insert_default().push("example.com/more".into());
            Ok(())
        })
        .await;
    assert_eq!(reason(add), Reason::Invalid, "nothing is added to what is going");
    maps.modify(&key("a"), |m| {
        m.metadata.finalizers = None;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(reason(maps.get(&key("a"))), Reason::NotFound);
}

#[tokio::test]
async fn only_a_pod_that_is_bound_has_a_grace_period() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let pods = client.api::<Pod>();
    pods.create(pod("waiting")).await.unwrap();
    pods.delete(&key("waiting"), DeleteOptions::default()).await.unwrap();
    assert_eq!(reason(pods.get(&key("waiting"))), Reason::NotFound);
    let bound = pods.create(pod("bound")).await.unwrap();
    client.bind("default", "bound", "node-1").await.unwrap();
    assert_eq!(reason(client.bind("default", "bound", "node-2").await), Reason::Conflict);
    pods.delete(&key("bound"), DeleteOptions::default()).await.unwrap();
    let going = pods.get(&key("bound")).unwrap();
    assert_eq!(going.metadata.deletion_grace_period_seconds, Some(30));
    assert_eq!(kinds::pod::condition(&going, "PodScheduled").unwrap().status, "True");
    assert_eq!(reason(pods.delete(&key("bound"), DeleteOptions::now("another")).await), Reason::Conflict);
    pods.delete(&key("bound"), DeleteOptions::now(&bound.metadata.uid.unwrap())).await.unwrap();
    assert_eq!(reason(pods.get(&key("bound"))), Reason::NotFound);
}

#[tokio::test]
async fn a_namespace_that_goes_takes_nothing_in() {
    let cluster = cluster().await;
    let client = root(&cluster);
    let namespaces = client.api::<Namespace>();
    let own = ObjectMeta { name: Some("team".into()), ..ObjectMeta::default() };
    namespaces.create(Namespace { metadata: own, ..Namespace::default() }).await.unwrap();
    namespaces.delete(&ObjectKey::cluster("team"), DeleteOptions::default()).await.unwrap();
    let going = namespaces.get(&ObjectKey::cluster("team")).unwrap();
    assert_eq!(going.status.as_ref().unwrap().phase.as_deref(), Some("Terminating"));
    let mut inside = map("a", "x");
    inside.metadata.namespace = Some("team".into());
    assert_eq!(reason(client.api::<ConfigMap>().create(inside.clone()).await), Reason::Forbidden);
    inside.metadata.namespace = Some("nowhere".into());
    assert_eq!(reason(client.api::<ConfigMap>().create(inside).await), Reason::NotFound);
    let kept = namespaces.delete(&ObjectKey::cluster("default"), DeleteOptions::default()).await;
    assert_eq!(reason(kept), Reason::Forbidden);
}

#[tokio::test]
async fn a_foreground_deletion_waits_for_whoever_is_owned() {
    let cluster = cluster().await;
    root(&cluster).api::<ConfigMap>().create(map("a", "x")).await.unwrap();
    let one = target::<ConfigMap>(&cluster, Some("a"));
    let options = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    let deleted = cluster.delete(&Actor::root(), &one, &options).await.unwrap();
    let Deleted::Later(object) = deleted else { panic!("it is gone at once") };
    assert_eq!(object.meta().finalizers, ["foregroundDeletion"]);
    // a change of the whole object by whoever holds an older copy does not bring it back to life
    let change = |current: &api::Object| target::<ConfigMap>(&cluster, None).version.decode_stored(current);
    let kept =
        cluster.modify(&Actor::root(), &one, Verb::Update, &WriteOptions::default(), &change).await.unwrap();
    assert!(kept.meta().is_deleting());
}

#[tokio::test]
async fn a_replication_controller_leaves_its_pods_where_nobody_says_otherwise() {
    let cluster = cluster().await;
    let template = serde_json::json!({"metadata": {"labels": {"app": "rc"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let rc = serde_json::json!({"metadata": {"name": "rc", "namespace": "default"}, "spec": {"template": template}});
    let rc: ReplicationController = serde_json::from_value(rc).unwrap();
    root(&cluster).api().create(rc).await.unwrap();
    let there = target::<ReplicationController>(&cluster, Some("rc"));
    let deleted = cluster.delete(&Actor::root(), &there, &DeleteOptions::default()).await.unwrap();
    let Deleted::Later(marked) = deleted else { panic!("its pods are owned by nobody who is there") };
    assert_eq!(marked.meta().finalizers, ["orphan"]);
    let background = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    let deleted = cluster.delete(&Actor::root(), &there, &background).await.unwrap();
    assert!(matches!(deleted, Deleted::Now(_)));
}

/// As they were stored before they were left out of what clients write: a Job of then could not even be labelled any more.
#[tokio::test]
async fn who_leaves_out_zeros_that_are_stored_changes_nothing() {
    let cluster = cluster().await;
    let container = json!({"name": "c", "image": "i", "tty": false, "args": []});
    let spec =
        json!({"hostNetwork": false, "tolerations": [], "restartPolicy": "Never", "containers": [container]});
    let job =
        json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {"template": {"spec": spec}}});
    let job: Job = serde_json::from_value(job).unwrap();
    root(&cluster).api().create(job).await.unwrap();
    let there = target::<Job>(&cluster, Some("a"));
    for (name, image, want) in
        [("another image", "other", Some(Reason::Invalid)), ("a label", "i", None), ("it again", "i", None)]
    {
        let change = |current: &api::Object| -> Result<Box<dyn Instance>, Status> {
            let mut object: Value = current.decode().map_err(Status::internal)?;
            object["metadata"]["labels"]["x"] = "y".into();
            object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
            let json = object.to_string();
            Ok(there.version.decode(json.as_bytes(), FieldValidation::Strict)?.instance)
        };
        let options = WriteOptions::default();
        let written = cluster.modify(&Actor::root(), &there, Verb::Update, &options, &change).await;
        assert_eq!(written.err().map(|status| status.reason), want, "{name}");
    }
}
