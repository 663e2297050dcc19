//! Claims that begin as copies of others.

use super::{OTHER_UID, UID, claim, config, held, merge, object};
use crate::plan::name;
use crate::source::{Asked, Source};
use crate::{run, source};
use api::{LabelSelector, ObjectKey};
use cluster::{Actor, Api};
use k8s_openapi::api::core::v1::{Event, PersistentVolume, PersistentVolumeClaim};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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
