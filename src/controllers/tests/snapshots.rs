//! A VolumeSnapshot from its wish to its end, with a driver that is a script.

mod common;

use api::ObjectKey;
use cluster::{Client, CustomApi, DeleteOptions};
use common::{key, object, start, until};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinds::snapshot::{
    BEING_DELETED, CLAIM_FINALIZER, CONTENT_FINALIZER, VolumeSnapshot, VolumeSnapshotClass,
    VolumeSnapshotContent, VolumeSnapshotContentStatus,
};
use kinds::{CustomKind, volume};
use serde::Deserialize;
use serde_json::{Value, json};

const MANIFESTS: &str = include_str!("../../../assets/addons/volumesnapshots.yaml");
const DRIVER: &str = "hostpath.example.com";

struct Lab {
    root: Client,
    snapshots: CustomApi<VolumeSnapshot>,
    contents: CustomApi<VolumeSnapshotContent>,
}

/// The kinds are served, and there is a class, and a claim that has a volume of the driver.
async fn lab() -> Lab {
    let root = start().await;
    let definitions = root.api::<CustomResourceDefinition>();
    let mut changes = root.cluster().kinds_changed();
    for document in serde_norway::Deserializer::from_str(MANIFESTS) {
        let manifest = Value::deserialize(document).unwrap();
        if manifest["kind"] == "CustomResourceDefinition" {
            definitions.create(object(manifest)).await.unwrap();
        }
    }
    let is_served = |gvr| root.cluster().registry().by_gvr(&gvr).is_some();
    while ![VolumeSnapshot::gvr(), VolumeSnapshotContent::gvr(), VolumeSnapshotClass::gvr()]
        .into_iter()
        .all(is_served)
    {
        changes.changed().await.unwrap();
    }
    let class = json!({"metadata": {"name": "fast", "annotations": {"snapshot.storage.kubernetes.io/is-default-class": "true"}},
        "driver": DRIVER, "deletionPolicy": "Delete"});
    root.custom_api::<VolumeSnapshotClass>().create(&object(class)).await.unwrap();
    let held = json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "csi": {"driver": DRIVER, "volumeHandle": "h"},
        "claimRef": {"namespace": "default", "name": "data"}}});
    root.api::<PersistentVolume>().create(object(held)).await.unwrap();
    let claim = json!({"metadata": {"name": "data", "namespace": "default"}, "spec": {"volumeName": "v", "storageClassName": "",
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    root.api::<PersistentVolumeClaim>().create(object(claim)).await.unwrap();
    let claims = root.api::<PersistentVolumeClaim>();
    until::<PersistentVolumeClaim>(&root, |_| volume::phase(&claims.get(&key("data")).unwrap()) == "Bound")
        .await;
    Lab { snapshots: root.custom_api(), contents: root.custom_api(), root }
}

impl Lab {
    async fn snapshot(&self, spec: Value) -> VolumeSnapshot {
        let wish = json!({"metadata": {"name": "s", "namespace": "default"}, "spec": spec});
        self.snapshots.create(&object(wish)).await.unwrap()
    }

    fn now(&self) -> Option<VolumeSnapshot> {
        self.snapshots.find(&key("s")).unwrap()
    }

    fn content(&self, name: &str) -> Option<VolumeSnapshotContent> {
        self.contents.find(&ObjectKey::cluster(name)).unwrap()
    }

    fn is_claim_held(&self) -> bool {
        let claim = self.root.api::<PersistentVolumeClaim>().get(&key("data")).unwrap();
        volume::has_finalizer(&claim.metadata, CLAIM_FINALIZER)
    }

    /// The driver has it.
    async fn ready(&self, name: &str) {
        let status = VolumeSnapshotContentStatus {
            creation_time: Some(1_000_000_000),
            ready_to_use: Some(true),
            restore_size: Some(1 << 30),
            snapshot_handle: Some("x".to_owned()),
            ..VolumeSnapshotContentStatus::default()
        };
        let key = ObjectKey::cluster(name);
        let told = self.contents.modify_status(&key, |content| {
            content.status = Some(status.clone());
            Ok(())
        });
        told.await.unwrap();
        until::<VolumeSnapshot>(&self.root, |_| self.now().unwrap().is_ready()).await;
    }

    /// The driver has removed it, or keeps it.
    async fn let_go(&self, name: &str) {
        let key = ObjectKey::cluster(name);
        let let_go = self.contents.modify(&key, |content| {
            content
                .metadata
                .finalizers
                .iter_mut()
                .for_each(|all| all.retain(|known| known != CONTENT_FINALIZER));
            Ok(())
        });
        let_go.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_made_shown_and_removed() {
    let lab = lab().await;
    let made = lab.snapshot(json!({"source": {"persistentVolumeClaimName": "data"}})).await;
    let name = made.content_name().unwrap();
    let held = || lab.content(&name).is_some_and(|of| volume::has_finalizer(&of.metadata, CONTENT_FINALIZER));
    until::<VolumeSnapshotContent>(&lab.root, |_| held()).await;
    let content = lab.content(&name).unwrap();
    assert_eq!(content.spec.source.volume_handle.as_deref(), Some("h"));
    assert_eq!(content.spec.volume_snapshot_class_name.as_deref(), Some("fast"));
    assert!(lab.is_claim_held());

    lab.ready(&name).await;
    let status = lab.now().unwrap().status.unwrap();
    assert_eq!(status.bound_volume_snapshot_content_name.as_deref(), Some(name.as_str()));
    assert_eq!(status.restore_size.map(|size| size.0).as_deref(), Some("1Gi"));
    until::<PersistentVolumeClaim>(&lab.root, |_| !lab.is_claim_held()).await;

    // a claim that waits for it holds it, also one that says in which namespace it is
    let waits = json!({"metadata": {"name": "new", "namespace": "default"}, "spec": {"storageClassName": "",
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        "dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s",
            "namespace": "default"}}});
    let claims = lab.root.api::<PersistentVolumeClaim>();
    claims.create(object(waits)).await.unwrap();
    lab.snapshots.delete(&key("s"), &DeleteOptions::default()).await.unwrap();
    let pending = || {
        let events =
            lab.root.api::<k8s_openapi::api::core::v1::Event>().list(Some("default"), Default::default());
        events.unwrap().iter().any(|event| event.reason.as_deref() == Some("SnapshotDeletePending"))
    };
    until::<k8s_openapi::api::core::v1::Event>(&lab.root, |_| pending()).await;
    assert!(lab.content(&name).unwrap().metadata.deletion_timestamp.is_none());
    claims.delete(&key("new"), DeleteOptions::default()).await.unwrap();

    let is_going = || lab.content(&name).unwrap().metadata.deletion_timestamp.is_some();
    until::<VolumeSnapshotContent>(&lab.root, |_| is_going()).await;
    assert!(volume::annotation(&lab.content(&name).unwrap().metadata, BEING_DELETED).is_some());
    assert!(lab.now().is_some(), "it waits for its content");
    lab.let_go(&name).await;
    until::<VolumeSnapshot>(&lab.root, |_| lab.now().is_none()).await;
    assert!(lab.content(&name).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_is_there_is_bound_and_kept() {
    let lab = lab().await;
    lab.snapshot(json!({"source": {"volumeSnapshotContentName": "mine"}})).await;
    let missing = || lab.now().unwrap().status.is_some_and(|status| status.error.is_some());
    until::<VolumeSnapshot>(&lab.root, |_| missing()).await;
    let content = json!({"metadata": {"name": "mine"}, "spec": {"driver": DRIVER, "deletionPolicy": "Retain",
        "source": {"snapshotHandle": "x"}, "volumeSnapshotRef": {"name": "s", "namespace": "default"}}});
    lab.contents.create(&object(content)).await.unwrap();
    let uid = lab.now().unwrap().metadata.uid;
    until::<VolumeSnapshotContent>(&lab.root, |_| {
        lab.content("mine").unwrap().spec.volume_snapshot_ref.uid == uid
    })
    .await;
    lab.ready("mine").await;
    assert_eq!(lab.now().unwrap().status.unwrap().error, None);
    lab.snapshots.delete(&key("s"), &DeleteOptions::default()).await.unwrap();
    until::<VolumeSnapshot>(&lab.root, |_| lab.now().is_none()).await;
    let kept = lab.content("mine").unwrap();
    assert!(kept.metadata.deletion_timestamp.is_none());
    assert!(volume::annotation(&kept.metadata, BEING_DELETED).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_snapshot_is_refused() {
    let lab = lab().await;
    let cases = [
        (
            "of nothing",
            json!({"source": {}}),
            "exactly one of volumeSnapshotContentName and persistentVolumeClaimName must be set",
        ),
        (
            "of two things",
            json!({"source": {"persistentVolumeClaimName": "a", "volumeSnapshotContentName": "b"}}),
            "exactly one of volumeSnapshotContentName and persistentVolumeClaimName must be set",
        ),
        (
            "of an empty class",
            json!({"source": {"persistentVolumeClaimName": "a"}, "volumeSnapshotClassName": ""}),
            "volumeSnapshotClassName must not be the empty string when set",
        ),
    ];
    for (name, spec, want) in cases {
        let wish = json!({"metadata": {"name": "s", "namespace": "default"}, "spec": spec});
        let status = lab.snapshots.create(&object(wish)).await.unwrap_err();
        assert!(status.to_string().contains(want), "{name}: {status}");
    }
    lab.snapshot(json!({"source": {"persistentVolumeClaimName": "none"}})).await;
    let key = key("s");
    let other = lab.snapshots.modify(&key, |snapshot| {
        snapshot.spec.source.persistent_volume_claim_name = Some("data".to_owned());
        Ok(())
    });
    let status = other.await.unwrap_err();
    assert!(status.to_string().contains("persistentVolumeClaimName is immutable"), "{status}");
}
