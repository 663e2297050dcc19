//! Claims and volumes, and what they need of the provisioner.

use crate::plan::{Fate, fate, growth, is_asked, is_ours, name, refusal, volume};
use crate::{ProvisionerConfig, run};
use api::ObjectKey;
use cluster::{Actor, STORAGE_PROVISIONER};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const UID: &str = "11111111-2222-4333-8444-555555555555";

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn merge(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            more.iter().for_each(|(key, value)| merge(base.entry(key.clone()).or_insert(Value::Null), value));
        }
        (base, more) => *base = more.clone(),
    }
}

fn claim(more: &Value) -> PersistentVolumeClaim {
    let mut claim = json!({"metadata": {"name": "data", "namespace": "d", "uid": UID,
        "annotations": {"volume.kubernetes.io/storage-provisioner": STORAGE_PROVISIONER}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "s"}});
    merge(&mut claim, more);
    object(claim)
}

fn class(mode: &str, provisioner: &str) -> StorageClass {
    object(
        json!({"metadata": {"name": "s"}, "provisioner": provisioner, "volumeBindingMode": mode, "reclaimPolicy": "Delete"}),
    )
}

#[test]
fn whom_we_answer() {
    let placed = json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n"}}});
    let cases = [
        ("asked", json!({}), "Immediate", STORAGE_PROVISIONER, true),
        ("not asked", json!({"metadata": {"annotations": null}}), "Immediate", STORAGE_PROVISIONER, false),
        ("another's class", json!({}), "Immediate", "rancher.io/local-path", false),
        ("bound", json!({"spec": {"volumeName": "v"}}), "Immediate", STORAGE_PROVISIONER, false),
        ("no pod yet", json!({}), "WaitForFirstConsumer", STORAGE_PROVISIONER, false),
        ("a pod is placed", placed, "WaitForFirstConsumer", STORAGE_PROVISIONER, true),
        (
            "on its way out",
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            "Immediate",
            STORAGE_PROVISIONER,
            false,
        ),
    ];
    for (name, more, mode, provisioner, want) in cases {
        assert_eq!(is_asked(&claim(&more), Some(&class(mode, provisioner))), want, "{name}");
    }
}

#[test]
fn what_is_made() {
    let placed = claim(&json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n"}}}));
    let name = name(&placed).unwrap();
    let path = Path::new("/state/volumes").join(&name);
    let made = volume(&placed, &class("WaitForFirstConsumer", STORAGE_PROVISIONER), &name, &path);
    assert!(is_ours(&made, Path::new("/state/volumes")));
    assert_eq!(
        serde_json::to_value(&made).unwrap(),
        json!({"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": format!("pvc-{UID}"), "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer"],
                "annotations": {"pv.kubernetes.io/provisioned-by": STORAGE_PROVISIONER}},
            "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "s",
                "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "d", "name": "data", "uid": UID},
                "hostPath": {"path": format!("/state/volumes/pvc-{UID}"), "type": ""},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions":
                    [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}]}]}}}})
    );
    assert_eq!(super::plan::name(&claim(&json!({"metadata": {"uid": "../../etc"}}))), None);
}

#[test]
fn nothing_else_is_ours() {
    let below = Path::new("/state/volumes");
    let of = |name: &str, path: &str, by: &str| -> PersistentVolume {
        object(json!({"metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": by}},
            "spec": {"hostPath": {"path": path}}}))
    };
    let own = format!("pvc-{UID}");
    let cases = [
        ("ours", own.as_str(), format!("/state/volumes/{own}"), STORAGE_PROVISIONER, true),
        ("another's", &own, format!("/state/volumes/{own}"), "example.com/p", false),
        ("elsewhere", &own, "/etc".to_owned(), STORAGE_PROVISIONER, false),
        ("another volume's", &own, "/state/volumes/pvc-1".to_owned(), STORAGE_PROVISIONER, false),
        ("all of them", "pvc-", "/state/volumes/pvc-".to_owned(), STORAGE_PROVISIONER, false),
        ("upwards", "pvc-..", "/state/volumes/pvc-..".to_owned(), STORAGE_PROVISIONER, false),
        ("by hand", "data", "/state/volumes/data".to_owned(), STORAGE_PROVISIONER, false),
    ];
    for (what, name, path, by, want) in cases {
        assert_eq!(is_ours(&of(name, &path, by), below), want, "{what}");
    }
}

#[test]
fn what_becomes_of_a_volume() {
    let at = Some("2026-01-01T00:00:00Z");
    let held = vec!["kubernetes.io/pv-protection"];
    let cases = [
        ("bound", "Delete", "Bound", None, &held, Fate::Stays),
        ("bound, and deleted", "Delete", "Bound", at, &held, Fate::Stays),
        ("released", "Delete", "Released", None, &held, Fate::Removed),
        ("released, and deleted", "Delete", "Released", at, &vec![], Fate::Removed),
        ("never bound, and deleted", "Delete", "Available", at, &vec![], Fate::Removed),
        ("kept", "Retain", "Released", None, &held, Fate::Stays),
        ("kept, and deleted", "Retain", "Released", at, &held, Fate::LetGo),
    ];
    for (name, policy, phase, deleted, finalizers, want) in cases {
        let of: PersistentVolume =
            object(json!({"metadata": {"finalizers": finalizers, "deletionTimestamp": deleted},
            "spec": {"persistentVolumeReclaimPolicy": policy}, "status": {"phase": phase}}));
        assert_eq!(fate(&of), want, "{name}");
    }
}

#[test]
fn what_is_not_made_and_what_grows() {
    assert_eq!(refusal(&claim(&json!({}))), None);
    for more in [
        json!({"volumeMode": "Block"}),
        json!({"selector": {}}),
        json!({"dataSource": {"kind": "x", "name": "y"}}),
    ] {
        assert!(refusal(&claim(&json!({"spec": more}))).is_some(), "{more}");
    }
    let bound = |capacity: &str| {
        claim(&json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
            "spec": {"volumeName": "v"}, "status": {"capacity": {"storage": capacity}}}))
    };
    assert_eq!(growth(&bound("1Gi")), None);
    assert_eq!(growth(&bound("512Mi")).map(|size| size.0).as_deref(), Some("1Gi"), "as it is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_is_made_for_a_claim_and_goes_when_it_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components([crate::role()]).await.unwrap();
    let root = cluster.acting_as(Actor::root());
    let config = ProvisionerConfig { directory: dir.path().join("volumes") };
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
