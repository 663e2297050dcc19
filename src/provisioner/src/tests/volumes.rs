//! Volumes that are made for claims, and go.

use super::{claim, config, object};
use crate::plan::name;
use crate::run;
use api::ObjectKey;
use cluster::{Actor, STORAGE_PROVISIONER};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Says why where it can not be tried.
fn has_loop_devices() -> bool {
    let has = loopdev::check();
    if let Err(error) = &has {
        println!("SKIPPED: {error}");
    }
    has.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_made_for_a_device_grows_and_goes() {
    if !has_loop_devices() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components([crate::role()]).await.unwrap();
    let root = cluster.acting_as(Actor::root());
    tokio::spawn(run(cluster.clone(), config(dir.path()), CancellationToken::new()));
    let grows = json!({"metadata": {"name": "grows"}, "provisioner": STORAGE_PROVISIONER, "allowVolumeExpansion": true});
    root.api::<StorageClass>().create(object(grows)).await.unwrap();
    let mut asked = claim(&json!({"metadata": {"namespace": "default"},
        "spec": {"storageClassName": "grows", "volumeMode": "Block"}}));
    asked.metadata.uid = None;
    let (claims, volumes) = (root.api::<PersistentVolumeClaim>(), root.api::<PersistentVolume>());
    let made = claims.create(asked).await.unwrap();
    let (claim, volume) = (ObjectKey::namespaced("default", "data"), name(&made).unwrap());
    let key = ObjectKey::cluster(&volume);
    let path = dir.path().join("volumes").join(&volume);
    let size = || std::fs::metadata(&path).unwrap().len();
    let mut changes = cluster.informer::<PersistentVolume>().subscribe();
    let until = async {
        while volumes.find(&key).unwrap().is_none() {
            changes.next().await.unwrap();
        }
        let spec = volumes.get(&key).unwrap().spec.unwrap();
        assert_eq!(
            (spec.volume_mode.as_deref(), spec.host_path.unwrap().path.as_str()),
            (Some("Block"), path.to_str().unwrap())
        );
        assert_eq!(size(), 1 << 30);
        let bind = |of: &mut PersistentVolumeClaim| {
            of.spec.get_or_insert_default().volume_name = Some(volume.clone());
            kinds::volume::annotate(&mut of.metadata, kinds::volume::BIND_COMPLETED, "yes");
            Ok(())
        };
        claims.modify(&claim, bind).await.unwrap();
        let bound = |of: &mut PersistentVolumeClaim| {
            of.status = object(json!({"phase": "Bound", "capacity": {"storage": "1Gi"}}));
            Ok(())
        };
        claims.modify_status(&claim, bound).await.unwrap();
        let more = |of: &mut PersistentVolumeClaim| {
            of.spec.get_or_insert_default().resources = object(json!({"requests": {"storage": "2Gi"}}));
            Ok(())
        };
        claims.modify(&claim, more).await.unwrap();
        while kinds::volume::capacity(&volumes.get(&key).unwrap()).value() != 2 << 30 {
            changes.next().await.unwrap();
        }
        assert_eq!(size(), 2 << 30);
        let release = |of: &mut PersistentVolume| {
            of.status.get_or_insert_default().phase = Some("Released".to_owned());
            Ok(())
        };
        volumes.modify_status(&key, release).await.unwrap();
        // no controller is there to take the other finalizer away
        while volumes.get(&key).unwrap().metadata.finalizers.unwrap() != ["kubernetes.io/pv-protection"] {
            changes.next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_is_made_for_a_claim_and_goes_when_it_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components([crate::role()]).await.unwrap();
    let root = cluster.acting_as(Actor::root());
    let config = config(dir.path());
    tokio::spawn(run(cluster.clone(), config, CancellationToken::new()));
    let mut asked =
        claim(&json!({"metadata": {"namespace": "default"}, "spec": {"storageClassName": "standard"}}));
    asked.metadata.uid = None;
    let made = root.api::<PersistentVolumeClaim>().create(asked).await.unwrap();
    let key = ObjectKey::cluster(&name(&made).unwrap());
    let volumes = root.api::<PersistentVolume>();
    let path = dir.path().join("volumes").join(&*key.name);
    let mut changes = cluster.informer::<PersistentVolume>().subscribe();
    let until = async {
        while volumes.find(&key).unwrap().is_none() {
            changes.next().await.unwrap();
        }
        assert!(path.is_dir());
        std::fs::write(path.join("data"), "x").unwrap();
        let release = |of: &mut PersistentVolume| {
            of.status.get_or_insert_default().phase = Some("Released".to_owned());
            Ok(())
        };
        volumes.modify_status(&key, release).await.unwrap();
        // no controller is there to take the other finalizer away
        while volumes.get(&key).unwrap().metadata.finalizers.unwrap() != ["kubernetes.io/pv-protection"] {
            changes.next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until).await.unwrap();
    assert!(!path.exists());
}
