//! What is decided of claims and volumes.

use super::{UID, claim, class, object};
use crate::plan::{Fate, Medium, fate, growth, is_asked, is_ours, name, refusal, volume};
use cluster::STORAGE_PROVISIONER;
use k8s_openapi::api::core::v1::PersistentVolume;
use serde_json::{Value, json};
use std::path::Path;

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
    assert_eq!(crate::plan::name(&claim(&json!({"metadata": {"uid": "../../etc"}}))), None);
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
