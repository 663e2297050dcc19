//! Snapshots, and claims that are restored of them.

use super::{OTHER_UID, UID, claim, held, merge, object};
use crate::snapshots;
use cluster::STORAGE_PROVISIONER;
use k8s_openapi::api::core::v1::PersistentVolume;
use kinds::snapshot::{CONTENT_FINALIZER, VolumeSnapshot, VolumeSnapshotContent};
use serde_json::{Value, json};
use std::path::Path;

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
