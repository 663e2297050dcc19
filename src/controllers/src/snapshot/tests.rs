//! Snapshots, and what is to be done about them.

use super::plan::{Ending, Step, Surroundings, ending, failed, is_being_taken, step};
use api::ObjectKey;
use jiff::Timestamp;
use kinds::snapshot::{
    BEING_DELETED, BOUND_FINALIZER, IS_DEFAULT, SOURCE_FINALIZER, VolumeSnapshot, VolumeSnapshotContent,
};
use serde_json::{Value, json};

const CONTENT: &str = "snapcontent-u";

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

/// Of the claim `c`; it has what it is held by.
fn snapshot(more: &Value) -> VolumeSnapshot {
    let mut base = json!({"metadata": {"name": "s", "namespace": "n", "uid": "u",
            "finalizers": [SOURCE_FINALIZER, BOUND_FINALIZER]},
        "spec": {"source": {"persistentVolumeClaimName": "c"}, "volumeSnapshotClassName": "k"}});
    merge(&mut base, more);
    object(base)
}

fn named() -> Value {
    json!({"spec": {"source": {"persistentVolumeClaimName": null, "volumeSnapshotContentName": "mine"}}})
}

fn content(more: &Value) -> VolumeSnapshotContent {
    let mut base = json!({"metadata": {"name": CONTENT},
        "spec": {"driver": "d", "deletionPolicy": "Delete", "source": {"volumeHandle": "h"},
            "volumeSnapshotRef": {"name": "s", "namespace": "n", "uid": "u"}}});
    merge(&mut base, more);
    object(base)
}

/// What is there when all is well, without a content.
fn around(more: &Value) -> Surroundings {
    let mut all = json!({
        "claim": {"metadata": {"name": "c", "namespace": "n", "uid": "c"}, "spec": {"volumeName": "v"},
            "status": {"phase": "Bound"}},
        "volume": {"metadata": {"name": "v"}, "spec": {"csi": {"driver": "d", "volumeHandle": "h"},
            "claimRef": {"name": "c", "namespace": "n", "uid": "c"}, "volumeMode": "Filesystem"}},
        "classes": [{"metadata": {"name": "k"}, "driver": "d", "deletionPolicy": "Delete"}]});
    merge(&mut all, more);
    let part = |name: &str| all.get(name).cloned().filter(|part| !part.is_null());
    Surroundings {
        content: None,
        claim: part("claim").map(object),
        volume: part("volume").map(object),
        classes: part("classes").map(object).unwrap_or_default(),
    }
}

fn fails(reason: &'static str, message: &str) -> Step {
    Step::Fail { reason, message: message.to_owned() }
}

#[test]
fn a_snapshot_without_a_content() {
    let failing = |why: &str| {
        fails("SnapshotContentCreationFailed", &format!("Failed to create snapshot content with error {why}"))
    };
    let no_class = |why: &str| {
        fails(
            "SetDefaultSnapshotClassFailed",
            &format!("Failed to set default snapshot class with error {why}"),
        )
    };
    let unnamed = json!({"spec": {"volumeSnapshotClassName": null}});
    let default = |driver: &str, name: &str| json!({"metadata": {"name": name, "annotations": {IS_DEFAULT: "true"}}, "driver": driver, "deletionPolicy": "Delete"});
    let cases = [
        (
            "not held yet",
            json!({"metadata": {"finalizers": null}}),
            json!({}),
            Step::Hold(vec![SOURCE_FINALIZER]),
        ),
        (
            "of two things",
            json!({"spec": {"source": {"volumeSnapshotContentName": "x"}}}),
            json!({}),
            fails(
                "SnapshotValidationError",
                "Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName should be specified",
            ),
        ),
        (
            "a content that is not there",
            named(),
            json!({}),
            fails("SnapshotContentMissing", "VolumeSnapshotContent is missing"),
        ),
        (
            "its content is gone",
            json!({"status": {"boundVolumeSnapshotContentName": CONTENT}}),
            json!({}),
            fails("SnapshotContentMissing", "VolumeSnapshotContent is missing"),
        ),
        (
            "an unknown class",
            json!({}),
            json!({"classes": []}),
            fails(
                "GetSnapshotClassFailed",
                "Failed to get snapshot class with error volumesnapshotclass.snapshot.storage.k8s.io \"k\" not found",
            ),
        ),
        ("no default class", unnamed.clone(), json!({}), no_class("cannot find default snapshot class")),
        (
            "the default class of another driver",
            unnamed.clone(),
            json!({"classes": [default("e", "x")]}),
            no_class("cannot find default snapshot class"),
        ),
        (
            "the default class",
            unnamed.clone(),
            json!({"classes": [default("e", "x"), default("d", "y")]}),
            Step::SetClass("y".to_owned()),
        ),
        (
            "two default classes",
            unnamed,
            json!({"classes": [default("d", "x"), default("d", "y")]}),
            no_class("2 default snapshot classes were found"),
        ),
        (
            "no claim",
            json!({}),
            json!({"claim": null}),
            failing(
                "failed to retrieve PVC c from the lister: \"persistentvolumeclaim \\\"c\\\" not found\"",
            ),
        ),
        (
            "a claim without a volume",
            json!({}),
            json!({"claim": {"status": {"phase": "Pending"}}}),
            failing("the PVC c is not yet bound to a PV, will not attempt to take a snapshot"),
        ),
        (
            "a claim on its way out",
            json!({}),
            json!({"claim": {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}}),
            failing("cannot add finalizer on claim because it is being deleted"),
        ),
        (
            "a volume of another claim",
            json!({}),
            json!({"volume": {"spec": {"claimRef": {"uid": "x"}}}}),
            failing("claim in dataSource not bound or invalid"),
        ),
        (
            "a directory by hand",
            json!({}),
            json!({"volume": {"spec": {"csi": null, "hostPath": {"path": "/x"}}}}),
            failing("snapshotting non-CSI volumes is not supported, snapshot:n/s"),
        ),
        (
            "a class of another driver",
            json!({}),
            json!({"classes": [{"metadata": {"name": "k"}, "driver": "e", "deletionPolicy": "Delete"}]}),
            failing("the volume's driver is d, and that of the class k is e"),
        ),
    ];
    for (name, more, beside, want) in cases {
        assert_eq!(step(&snapshot(&more), &around(&beside)), want, "{name}");
    }
}

#[test]
fn the_content_that_is_made() {
    let made = |beside: &Value| match step(&snapshot(&json!({})), &around(beside)) {
        Step::Create(content) => serde_json::to_value(&*content).unwrap(),
        other => panic!("{other:?}"),
    };
    let mut want = json!({"metadata": {"name": CONTENT},
        "spec": {"driver": "d", "deletionPolicy": "Delete", "source": {"volumeHandle": "h"},
            "sourceVolumeMode": "Filesystem", "volumeSnapshotClassName": "k",
            "volumeSnapshotRef": {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
                "namespace": "n", "name": "s", "uid": "u"}}});
    assert_eq!(made(&json!({})), want);
    let secrets = json!({"classes": [{"metadata": {"name": "k"}, "driver": "d", "deletionPolicy": "Delete", "parameters": {
        "csi.storage.k8s.io/snapshotter-secret-name": "of-${volumesnapshot.name}",
        "csi.storage.k8s.io/snapshotter-secret-namespace": "${volumesnapshot.namespace}"}}]});
    merge(
        &mut want,
        &json!({"metadata": {"annotations": {
        "snapshot.storage.kubernetes.io/deletion-secret-name": "of-s",
        "snapshot.storage.kubernetes.io/deletion-secret-namespace": "n"}}}),
    );
    assert_eq!(made(&secrets), want);
    let own = json!({"volume": {"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": cluster::STORAGE_PROVISIONER}},
            "spec": {"csi": null}},
        "classes": [{"metadata": {"name": "k"}, "driver": cluster::STORAGE_PROVISIONER, "deletionPolicy": "Retain"}]});
    let made = made(&own);
    assert_eq!(made["spec"]["source"]["volumeHandle"], "v");
    assert_eq!(made["spec"]["driver"], cluster::STORAGE_PROVISIONER);
}

#[test]
fn a_snapshot_and_its_content() {
    let shown = |status: Value| Step::Show(Box::new(object(status)));
    let pre = json!({"spec": {"source": {"volumeHandle": null, "snapshotHandle": "h"}}});
    let promised = json!({"spec": {"source": {"volumeHandle": null, "snapshotHandle": "h"}, "volumeSnapshotRef": {"uid": null}}});
    let ready = json!({"status": {"readyToUse": true, "creationTime": 1_000_000_001i64, "restoreSize": 1_073_741_824, "snapshotHandle": "x"}});
    let is_shown = json!({"boundVolumeSnapshotContentName": CONTENT, "readyToUse": true,
        "creationTime": "1970-01-01T00:00:01Z", "restoreSize": "1Gi"});
    let error = json!({"message": "no room", "time": "2026-01-01T00:00:00Z"});
    let cases = [
        (
            "bound",
            json!({}),
            json!({}),
            shown(json!({"boundVolumeSnapshotContentName": CONTENT, "readyToUse": false})),
        ),
        ("ready", json!({}), ready.clone(), shown(is_shown.clone())),
        ("ready, and told", json!({"status": is_shown}), ready.clone(), Step::Nothing),
        ("an error that is over", json!({"status": {"error": error}}), ready, shown(is_shown.clone())),
        (
            "an error of the driver's",
            json!({}),
            json!({"status": {"error": error}}),
            shown(json!({"boundVolumeSnapshotContentName": CONTENT, "readyToUse": false, "error": error})),
        ),
        (
            "not held for its content yet",
            json!({"metadata": {"finalizers": [SOURCE_FINALIZER]}}),
            json!({}),
            Step::Hold(vec![BOUND_FINALIZER]),
        ),
        (
            "not held for what is kept",
            json!({"metadata": {"finalizers": [SOURCE_FINALIZER]}}),
            json!({"spec": {"deletionPolicy": "Retain"}}),
            shown(json!({"boundVolumeSnapshotContentName": CONTENT, "readyToUse": false})),
        ),
        ("promised", named(), promised.clone(), Step::Bind),
        (
            "made by hand",
            named(),
            pre.clone(),
            shown(json!({"boundVolumeSnapshotContentName": CONTENT, "readyToUse": false})),
        ),
        (
            "promised to another",
            named(),
            json!({"spec": {"source": {"volumeHandle": null, "snapshotHandle": "h"}, "volumeSnapshotRef": {"name": "t", "uid": null}}}),
            fails(
                "SnapshotContentMisbound",
                "VolumeSnapshotContent [snapcontent-u] is bound to a different snapshot",
            ),
        ),
        (
            "promised, where one is to be made",
            json!({}),
            json!({"spec": {"volumeSnapshotRef": {"uid": null}}}),
            fails(
                "SnapshotContentMisbound",
                "VolumeSnapshotContent [snapcontent-u] is bound to a different snapshot",
            ),
        ),
        (
            "another's by now",
            json!({"status": {"boundVolumeSnapshotContentName": CONTENT, "readyToUse": true}}),
            json!({"spec": {"volumeSnapshotRef": {"uid": "x"}}}),
            fails("SnapshotMisbound", "VolumeSnapshotContent is not bound to the VolumeSnapshot correctly"),
        ),
        (
            "made by hand, where one is to be made",
            json!({}),
            pre,
            fails(
                "SnapshotContentMismatch",
                "VolumeSnapshotContent snapcontent-u is pre-provisioned while expecting a dynamically provisioned one",
            ),
        ),
        (
            "made, where one is named",
            named(),
            json!({}),
            fails(
                "SnapshotContentMismatch",
                "VolumeSnapshotContent is dynamically provisioned while expecting a pre-provisioned one",
            ),
        ),
    ];
    for (name, more, of_content, want) in cases {
        let around = Surroundings { content: Some(content(&of_content)), ..Surroundings::default() };
        assert_eq!(step(&snapshot(&more), &around), want, "{name}");
    }
}

#[test]
fn how_a_snapshot_goes() {
    let told = json!({"metadata": {"annotations": {BEING_DELETED: "yes"}}});
    let going = json!({"metadata": {"annotations": {BEING_DELETED: "yes"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let kept =
        json!({"metadata": {"annotations": {BEING_DELETED: "yes"}}, "spec": {"deletionPolicy": "Retain"}});
    let all: &[&str] = &[SOURCE_FINALIZER, BOUND_FINALIZER];
    let cases = [
        ("a claim is made of it", Some(json!({})), true, Ending::Wait),
        ("its driver does not know", Some(json!({})), false, Ending::Tell),
        ("its content is there", Some(told), false, Ending::DeleteContent),
        ("its content is going", Some(going), false, Ending::LetGo(&[SOURCE_FINALIZER])),
        ("its content is gone", None, false, Ending::LetGo(all)),
        ("its content is gone, and a claim waits for it", None, true, Ending::LetGo(all)),
        ("its content stays", Some(kept), false, Ending::LetGo(all)),
        ("another's", Some(json!({"spec": {"volumeSnapshotRef": {"uid": "x"}}})), false, Ending::LetGo(all)),
    ];
    for (name, of_content, is_being_restored, want) in cases {
        let content = of_content.as_ref().map(content);
        assert_eq!(ending(&snapshot(&json!({})), content.as_ref(), is_being_restored), want, "{name}");
    }
}

#[test]
fn a_failure_is_told_once_and_holds_no_claim_for_ever() {
    let now = Timestamp::UNIX_EPOCH;
    let status = failed(&snapshot(&json!({})), "why", now).unwrap();
    assert_eq!(status.ready_to_use, Some(false));
    let failing = snapshot(&json!({"status": status}));
    assert_eq!(failed(&failing, "why", now), None);
    assert!(failed(&failing, "another", now).is_some());
    let cases = [
        ("being made", snapshot(&json!({})), true),
        ("failing", failing, true),
        ("made", snapshot(&json!({"status": {"readyToUse": true}})), false),
        ("going", snapshot(&json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})), false),
        ("of another", snapshot(&json!({"spec": {"source": {"persistentVolumeClaimName": "d"}}})), false),
    ];
    for (name, of, want) in cases {
        assert_eq!(is_being_taken(&ObjectKey::namespaced("n", "c"), std::iter::once(&of)), want, "{name}");
    }
}
