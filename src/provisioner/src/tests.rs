//! Claims and volumes, and what they need of the provisioner.

use crate::plan::{Fate, Medium, fate, growth, is_asked, is_ours, name, refusal, volume};
use crate::source::{self, Asked, Source};
use crate::{ProvisionerConfig, run, snapshots};
use api::{LabelSelector, ObjectKey};
use cluster::{Actor, Api, STORAGE_PROVISIONER};
use k8s_openapi::api::core::v1::{Event, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::snapshot::{CONTENT_FINALIZER, VolumeSnapshot, VolumeSnapshotContent};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const UID: &str = "11111111-2222-4333-8444-555555555555";

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn config(root: &Path) -> ProvisionerConfig {
    ProvisionerConfig { directory: root.join("volumes"), snapshots: root.join("snapshots") }
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
    assert_eq!(refusal(&claim(&json!({"spec": {"volumeMode": "Block"}}))), None);
    assert!(refusal(&claim(&json!({"spec": {"selector": {}}}))).is_some());
    let bound = |capacity: &str| {
        claim(&json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
            "spec": {"volumeName": "v"}, "status": {"capacity": {"storage": capacity}}}))
    };
    assert_eq!(growth(&bound("1Gi")), None);
    assert_eq!(growth(&bound("512Mi")).map(|size| size.0).as_deref(), Some("1Gi"), "as it is written");
}

#[test]
fn what_a_volume_is_on_the_disk() {
    let of_claim = |mode: Value| Medium::of_claim(&claim(&json!({"spec": {"volumeMode": mode}})));
    assert_eq!(of_claim(json!("Block")), Medium::File(1 << 30));
    assert_eq!(
        (of_claim(json!("Filesystem")), of_claim(json!(null))),
        (Medium::Directory, Medium::Directory)
    );
    let block = claim(&json!({"spec": {"volumeMode": "Block"}}));
    let made = volume(&block, &class("Immediate", STORAGE_PROVISIONER), "pvc-1", Path::new("/v/pvc-1"));
    assert_eq!(Medium::of_volume(&made), Medium::File(1 << 30));
}

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

#[test]
fn what_a_claim_begins_with() {
    let of_claim = json!({"kind": "PersistentVolumeClaim", "name": "old"});
    let key = ObjectKey::namespaced("d", "old");
    let elsewhere = "accessing o/old of PersistentVolumeClaim dataSource from d/data isn't allowed";
    let cases = [
        ("nothing", json!({}), Asked::Nothing),
        ("a claim", json!({"dataSource": of_claim}), Asked::Copy(Source::Claim(key.clone()))),
        (
            "a claim, by reference",
            json!({"dataSourceRef": of_claim}),
            Asked::Copy(Source::Claim(key.clone())),
        ),
        (
            "a claim of its own namespace",
            json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "old", "namespace": "d"}}),
            Asked::Copy(Source::Claim(key)),
        ),
        (
            "a claim of another one",
            json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "old", "namespace": "o"}}),
            Asked::Elsewhere(elsewhere.to_owned()),
        ),
        (
            "a snapshot",
            json!({"dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "old"}}),
            Asked::Copy(Source::Snapshot(ObjectKey::namespaced("d", "old"))),
        ),
        (
            "a snapshot of its own namespace",
            json!({"dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "old", "namespace": "d"}}),
            Asked::Copy(Source::Snapshot(ObjectKey::namespaced("d", "old"))),
        ),
        (
            "what a populator knows",
            json!({"dataSourceRef": {"apiGroup": "example.com", "kind": "Hello", "name": "h"}}),
            Asked::Populator("Hello".to_owned()),
        ),
    ];
    for (name, more, want) in cases {
        assert_eq!(source::asked(&claim(&json!({"spec": more}))), want, "{name}");
    }
}

const OTHER_UID: &str = "99999999-2222-4333-8444-555555555555";

/// A claim that has its volume, and the volume.
fn held() -> (Value, Value) {
    let claim = json!({"metadata": {"name": "old", "namespace": "d", "uid": UID},
        "spec": {"storageClassName": "s", "volumeName": format!("pvc-{UID}"),
            "resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Bound"}});
    let volume = json!({"metadata": {"name": format!("pvc-{UID}"),
            "annotations": {"pv.kubernetes.io/provisioned-by": STORAGE_PROVISIONER}},
        "spec": {"hostPath": {"path": format!("/state/volumes/pvc-{UID}")},
            "claimRef": {"namespace": "d", "name": "old", "uid": UID}}, "status": {"phase": "Bound"}});
    (claim, volume)
}

#[test]
fn what_a_clone_must_find() {
    let invalid = "claim in dataSource not bound or invalid";
    let cases = [
        ("all is well", json!({}), json!({}), Ok(())),
        (
            "not bound yet",
            json!({"status": {"phase": "Pending"}}),
            json!({}),
            Err("the PVC DataSource old must have a status of Bound.  Got Pending"),
        ),
        (
            "on its way out",
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            json!({}),
            Err("the PVC DataSource old is currently being deleted"),
        ),
        (
            "of no class",
            json!({"spec": {"storageClassName": ""}}),
            json!({}),
            Err("the source PVC (old) storageclass cannot be empty"),
        ),
        (
            "larger",
            json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}),
            json!({}),
            Err(
                "error, new PVC request must be greater than or equal in size to the specified PVC data source, requested 1073741824 but source is 2147483648",
            ),
        ),
        ("smaller", json!({"spec": {"resources": {"requests": {"storage": "1Mi"}}}}), json!({}), Ok(())),
        (
            "no volume",
            json!({"spec": {"volumeName": ""}}),
            json!({}),
            Err("volume name is empty in source PVC old"),
        ),
        (
            "another's volume",
            json!({}),
            json!({"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": "example.com/p"}}}),
            Err(invalid),
        ),
        ("elsewhere", json!({}), json!({"spec": {"hostPath": {"path": "/etc"}}}), Err(invalid)),
        (
            "the volume of a claim before it",
            json!({}),
            json!({"spec": {"claimRef": {"uid": OTHER_UID}}}),
            Err(invalid),
        ),
        (
            "promised to any of the name",
            json!({}),
            json!({"spec": {"claimRef": {"uid": null}}}),
            Err(invalid),
        ),
        ("a volume that is let go", json!({}), json!({"status": {"phase": "Released"}}), Err(invalid)),
        (
            "a block device",
            json!({}),
            json!({"spec": {"volumeMode": "Block"}}),
            Err(
                "the source PVC and destination PVCs must have the same volume mode for cloning.  Source is Block, but new PVC requested Filesystem",
            ),
        ),
    ];
    let below = Path::new("/state/volumes");
    let new = claim(&json!({"metadata": {"uid": OTHER_UID}}));
    for (name, of_claim, of_volume, want) in cases {
        let (mut claim, mut volume) = held();
        merge(&mut claim, &of_claim);
        merge(&mut volume, &of_volume);
        let (claim, volume): (PersistentVolumeClaim, PersistentVolume) = (object(claim), object(volume));
        let found = source::volume_to_clone(&new, "old", Some(&claim), Some(&volume), below);
        let want = want.map(|()| format!("pvc-{UID}")).map_err(str::to_owned);
        assert_eq!(found, want, "{name}");
        assert!(source::volume_to_clone(&new, "old", Some(&claim), None, below).is_err(), "{name}");
    }
    let (of_claim, mut of_volume) = held();
    let device = claim(&json!({"metadata": {"uid": OTHER_UID}, "spec": {"volumeMode": "Block"}}));
    for (mode, want) in [("Block", Ok(format!("pvc-{UID}"))), ("Filesystem", Err("the source PVC and destination PVCs must have the same volume mode for cloning.  Source is Filesystem, but new PVC requested Block".to_owned()))] {
        merge(&mut of_volume, &json!({"spec": {"volumeMode": mode}}));
        let (claim, volume) = (object(of_claim.clone()), object(of_volume.clone()));
        assert_eq!(source::volume_to_clone(&device, "old", Some(&claim), Some(&volume), below), want);
    }
    assert_eq!(
        source::volume_to_clone(&new, "old", None, None, below).unwrap_err(),
        "error getting PVC old (namespace \"d\") from api server: persistentvolumeclaim \"old\" not found"
    );
}

#[test]
fn who_is_being_cloned() {
    let of = |name: &str, phase: &str| {
        claim(&json!({"spec": {"dataSource": {"kind": "PersistentVolumeClaim", "name": name}},
            "status": {"phase": phase}}))
    };
    let cases = [
        ("by one that waits", of("old", "Pending"), true),
        ("by one that was", of("old", "Bound"), false),
        ("another is", of("other", "Pending"), false),
        ("by none", claim(&json!({})), false),
    ];
    for (name, by, want) in cases {
        let source = ObjectKey::namespaced("d", "old");
        assert_eq!(source::is_being_cloned(&source, std::iter::once(&by)), want, "{name}");
    }
}

/// As the binder does.
async fn bind(
    claims: &Api<PersistentVolumeClaim>,
    volumes: &Api<PersistentVolume>,
    claim: &ObjectKey,
    to: &str,
) {
    let to_phase = |phase: &mut Option<String>| *phase = Some("Bound".to_owned());
    let volume = ObjectKey::cluster(to);
    volumes
        .modify_status(&volume, |of| {
            to_phase(&mut of.status.get_or_insert_default().phase);
            Ok(())
        })
        .await
        .unwrap();
    claims
        .modify(claim, |of| {
            of.spec.get_or_insert_default().volume_name = Some(to.to_owned());
            Ok(())
        })
        .await
        .unwrap();
    claims
        .modify_status(claim, |of| {
            to_phase(&mut of.status.get_or_insert_default().phase);
            Ok(())
        })
        .await
        .unwrap();
}

/// To copy reads all of the source: who may fill it must not have that done again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_source_has_no_copy_hears_so_and_it_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("volumes");
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components([crate::role()]).await.unwrap();
    let root = cluster.acting_as(Actor::root());
    tokio::spawn(run(cluster.clone(), config(dir.path()), CancellationToken::new()));
    let (claims, volumes) = (root.api::<PersistentVolumeClaim>(), root.api::<PersistentVolume>());
    let wanted = |name: &str, more: &Value| {
        let mut asked = json!({"metadata": {"name": name, "namespace": "default", "uid": null},
            "spec": {"storageClassName": "standard"}});
        merge(&mut asked, more);
        claim(&asked)
    };
    let old = claims.create(wanted("old", &json!({}))).await.unwrap();
    let old_name = name(&old).unwrap();
    let mut changes = cluster.informer::<PersistentVolume>().subscribe();
    let refusals = || {
        let all = root.api::<Event>().list(Some("default"), LabelSelector::default()).unwrap();
        let is_one = |event: &&Event| {
            let message = event.message.as_deref().unwrap_or_default();
            event.reason.as_deref() == Some("ProvisioningFailed")
                && message.ends_with("directories are too deep in each other")
        };
        all.iter().filter(is_one).map(|event| event.count.unwrap_or(1)).sum::<i32>()
    };
    let until = async {
        while volumes.find(&ObjectKey::cluster(&old_name)).unwrap().is_none() {
            changes.next().await.unwrap();
        }
        std::fs::create_dir_all(below.join(&old_name).join("d/".repeat(300))).unwrap();
        bind(&claims, &volumes, &ObjectKey::namespaced("default", "old"), &old_name).await;
        let of_old = json!({"spec": {"dataSource": {"kind": "PersistentVolumeClaim", "name": "old"}}});
        let clone = claims.create(wanted("new", &of_old)).await.unwrap();
        while refusals() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::fs::remove_dir_all(below.join(&old_name).join("d")).unwrap();
        let before = refusals();
        let touch = |of: &mut PersistentVolumeClaim| {
            of.metadata.labels.get_or_insert_default().insert("touched".to_owned(), "yes".to_owned());
            Ok(())
        };
        claims.modify(&ObjectKey::namespaced("default", "new"), touch).await.unwrap();
        while refusals() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let new_name = name(&clone).unwrap();
        assert!(volumes.find(&ObjectKey::cluster(&new_name)).unwrap().is_none());
        let names = std::fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), [old_name.as_str()], "nor is half a copy left");
    };
    tokio::time::timeout(Duration::from_secs(30), until).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_made_of_another_one_which_is_held_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("volumes");
    // what a crash has left
    std::fs::create_dir_all(below.join(".partial-pvc-1")).unwrap();
    let cluster = testkit::cluster(testkit::config()).await;
    cluster.bootstrap_components([crate::role()]).await.unwrap();
    let root = cluster.acting_as(Actor::root());
    tokio::spawn(run(cluster.clone(), config(dir.path()), CancellationToken::new()));
    let (claims, volumes) = (root.api::<PersistentVolumeClaim>(), root.api::<PersistentVolume>());
    let wanted = |name: &str, more: &Value| {
        let mut asked = json!({"metadata": {"name": name, "namespace": "default", "uid": null},
            "spec": {"storageClassName": "standard"}});
        merge(&mut asked, more);
        claim(&asked)
    };
    let clone =
        wanted("new", &json!({"spec": {"dataSource": {"kind": "PersistentVolumeClaim", "name": "old"}}}));
    let clone = claims.create(clone).await.unwrap();
    let old = claims.create(wanted("old", &json!({}))).await.unwrap();
    let (old_name, new_name) = (name(&old).unwrap(), name(&clone).unwrap());
    let (old_key, new_key) =
        (ObjectKey::namespaced("default", "old"), ObjectKey::namespaced("default", "new"));
    let mut volume_changes = cluster.informer::<PersistentVolume>().subscribe();
    let mut claim_changes = cluster.informer::<PersistentVolumeClaim>().subscribe();
    let until = async {
        while volumes.find(&ObjectKey::cluster(&old_name)).unwrap().is_none() {
            volume_changes.next().await.unwrap();
        }
        assert!(volumes.find(&ObjectKey::cluster(&new_name)).unwrap().is_none(), "it waits for the other");
        std::fs::write(below.join(&old_name).join("data"), "x").unwrap();
        bind(&claims, &volumes, &old_key, &old_name).await;
        while volumes.find(&ObjectKey::cluster(&new_name)).unwrap().is_none() {
            volume_changes.next().await.unwrap();
        }
        assert_eq!(std::fs::read(below.join(&new_name).join("data")).unwrap(), b"x");
        let held = || {
            let finalizers = claims.get(&old_key).unwrap().metadata.finalizers.unwrap_or_default();
            finalizers.contains(&source::CLONING.to_owned())
        };
        assert!(held());
        bind(&claims, &volumes, &new_key, &new_name).await;
        while held() {
            claim_changes.next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until).await.unwrap();
    assert!(!below.join(".partial-pvc-1").exists());
}

/// Of the snapshot `s`, which is of our driver's.
fn content(more: &Value) -> VolumeSnapshotContent {
    let mut content = json!({"metadata": {"name": "c", "uid": OTHER_UID, "finalizers": [CONTENT_FINALIZER]},
        "spec": {"driver": STORAGE_PROVISIONER, "deletionPolicy": "Delete", "source": {"volumeHandle": "v"},
            "volumeSnapshotRef": {"name": "s", "namespace": "d", "uid": UID}}});
    merge(&mut content, more);
    object(content)
}

#[test]
fn what_a_content_needs_of_its_driver() {
    use snapshots::Step::{Find, LetGo, Nothing, Remove, Take};
    let own = format!("snapshot-{OTHER_UID}");
    let other = format!("snapshot-{UID}");
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"snapshot.storage.kubernetes.io/volumesnapshot-being-deleted": "yes"}}});
    let and = |more: Value| {
        let mut all = going.clone();
        merge(&mut all, &more);
        all
    };
    let by_hand =
        |handle: &str| json!({"spec": {"source": {"volumeHandle": null, "snapshotHandle": handle}}});
    let cases = [
        ("new", json!({}), Take { volume: "v".to_owned(), name: own.clone() }),
        (
            "failing",
            json!({"status": {"readyToUse": false}}),
            Take { volume: "v".to_owned(), name: own.clone() },
        ),
        ("taken", json!({"status": {"readyToUse": true}}), Nothing),
        ("another's", json!({"spec": {"driver": "example.com"}}), Nothing),
        ("said to be there", by_hand(&other), Find { handle: other.clone() }),
        ("of both", json!({"spec": {"source": {"snapshotHandle": "x"}}}), Nothing),
        ("a uid that is none", json!({"metadata": {"uid": "../x"}}), Nothing),
        ("deleted, and its snapshot is there", and(json!({"metadata": {"annotations": null}})), Nothing),
        ("deleted, and never taken", going.clone(), Remove { handle: Some(own) }),
        (
            "deleted",
            and(json!({"status": {"snapshotHandle": other}})),
            Remove { handle: Some(other.clone()) },
        ),
        (
            "deleted, with a handle that is none of ours",
            and(json!({"status": {"snapshotHandle": "../../etc"}})),
            Remove { handle: None },
        ),
        ("deleted, and kept", and(json!({"spec": {"deletionPolicy": "Retain"}})), LetGo),
        ("deleted, and let go", and(json!({"metadata": {"finalizers": null}})), Nothing),
        (
            "deleted, and nobody's",
            {
                let mut all = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
                    "spec": {"volumeSnapshotRef": {"uid": null}}});
                merge(&mut all, &by_hand(&other));
                all
            },
            Remove { handle: Some(other.clone()) },
        ),
    ];
    for (name, more, want) in cases {
        assert_eq!(snapshots::step(&content(&more)), want, "{name}");
    }
    for bad in [
        "",
        "snapshot-",
        "snapshot-..",
        "../snapshot-1",
        "pvc-1",
        &other.to_uppercase(),
        &format!("{other}/x"),
    ] {
        assert!(!snapshots::is_handle(bad), "{bad}");
    }
}

#[test]
fn what_a_snapshot_is_taken_of_and_what_is_told() {
    let below = Path::new("/state/volumes");
    let name = format!("pvc-{UID}");
    let (_, mut volume) = held();
    merge(&mut volume, &json!({"spec": {"capacity": {"storage": "1Ki"}}}));
    let ours: PersistentVolume = object(volume.clone());
    merge(&mut volume, &json!({"spec": {"hostPath": {"path": "/etc"}}}));
    let elsewhere: PersistentVolume = object(volume);
    assert_eq!(snapshots::volume_to_take(Some(&ours), &name, below), Ok(1024));
    assert!(snapshots::volume_to_take(Some(&elsewhere), &name, below).is_err());
    assert!(snapshots::volume_to_take(None, &name, below).is_err());
    let status = snapshots::failed(&content(&json!({})), "why", jiff::Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(status.ready_to_use, Some(false));
    let failing = content(&json!({"status": status}));
    assert_eq!(snapshots::failed(&failing, "why", jiff::Timestamp::UNIX_EPOCH), None);
}

#[test]
fn what_a_claim_can_be_restored_from() {
    let handle = format!("snapshot-{OTHER_UID}");
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let blocks = |allowed: &str| {
        let key = "snapshot.storage.kubernetes.io/allow-volume-mode-change";
        json!({"metadata": {"annotations": {key: allowed}}, "spec": {"sourceVolumeMode": "Block"}})
    };
    let cases = [
        ("all is well", json!({}), json!({}), Ok(handle.clone())),
        ("on its way out", going, json!({}), Err("snapshot s is currently being deleted")),
        ("without a status", json!({"status": null}), json!({}), Err("snapshot s not bound")),
        (
            "bound to another",
            json!({"status": {"boundVolumeSnapshotContentName": "x"}}),
            json!({}),
            Err("snapshot s not bound"),
        ),
        (
            "whose content is another's",
            json!({}),
            json!({"spec": {"volumeSnapshotRef": {"uid": OTHER_UID}}}),
            Err("snapshot s not bound"),
        ),
        ("of another driver", json!({}), json!({"spec": {"driver": "x"}}), Err("snapshot s not bound")),
        ("not ready", json!({"status": {"readyToUse": false}}), json!({}), Err("snapshot s is not Ready")),
        (
            "a handle that is none of ours",
            json!({}),
            json!({"status": {"snapshotHandle": "../volumes"}}),
            Err("snapshot handle s is not available"),
        ),
        ("of unknown size", json!({"status": {"restoreSize": null}}), json!({}), Ok(handle.clone())),
        ("of files", json!({}), json!({"spec": {"sourceVolumeMode": "Filesystem"}}), Ok(handle.clone())),
        (
            "of blocks",
            json!({}),
            json!({"spec": {"sourceVolumeMode": "Block"}}),
            Err(
                "requested volume d/data modifies the mode of the source volume but does not have permission to do so. snapshot.storage.kubernetes.io/allow-volume-mode-change annotation is not present on snapshotcontent c",
            ),
        ),
        (
            "of blocks, and that is not allowed",
            json!({}),
            blocks("false"),
            Err(
                "requested volume d/data modifies the mode of the source volume but does not have permission to do so. snapshot.storage.kubernetes.io/allow-volume-mode-change is set to false on snapshotcontent c",
            ),
        ),
        (
            "of blocks, and nobody knows",
            json!({}),
            blocks("yes"),
            Err(
                "requested volume d/data modifies the mode of the source volume but does not have permission to do so. failed to convert snapshot.storage.kubernetes.io/allow-volume-mode-change annotation value to boolean with error: strconv.ParseBool: parsing \"yes\": invalid syntax",
            ),
        ),
        (
            "of blocks, and that is allowed",
            json!({}),
            blocks("true"),
            Err(
                "a snapshot of volumeMode Block can not become a volume of volumeMode Filesystem: k8s.io/minikube-hostpath keeps blocks as a file, and files as a directory",
            ),
        ),
        (
            "larger",
            json!({"status": {"restoreSize": "2Gi"}}),
            json!({}),
            Err(
                "requested volume size 1073741824 is less than the size 2147483648 for the source snapshot s",
            ),
        ),
    ];
    for (name, of_snapshot, of_content, want) in cases {
        let mut snapshot = json!({"metadata": {"name": "s", "namespace": "d", "uid": UID},
            "status": {"boundVolumeSnapshotContentName": "c", "readyToUse": true, "restoreSize": "1Gi"}});
        merge(&mut snapshot, &of_snapshot);
        let mut status = json!({"status": {"snapshotHandle": handle}});
        merge(&mut status, &of_content);
        let snapshot: VolumeSnapshot = object(snapshot);
        let found = snapshots::to_restore(&claim(&json!({})), "s", Some(&snapshot), Some(&content(&status)));
        assert_eq!(found, want.map_err(str::to_owned), "{name}");
    }
    assert_eq!(
        snapshots::to_restore(&claim(&json!({})), "s", None, None).unwrap_err(),
        "error getting snapshot s from api server: volumesnapshots.snapshot.storage.k8s.io \"s\" not found"
    );
}
