//! What goes wrong between a pod and its driver, and what is asked again and again.

use super::driver::{Behaviour, NONE};
use super::*;
use crate::volumes::is_mount;
use csi::Rpc;
use k8s_openapi::api::core::v1::Secret;
use nix::mount::MsFlags;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Only root mounts.
fn may_mount() -> bool {
    let may = nix::unistd::geteuid().is_root();
    if !may {
        println!("SKIPPED: only root mounts");
    }
    may
}

fn mounting() -> Behaviour {
    Behaviour { mounts: true, ..Behaviour::default() }
}

#[tokio::test]
async fn a_driver_that_mounts_is_let_finish_before_it_takes_back() {
    let rig = rig().await;
    let gate = Arc::new(Semaphore::new(0));
    let holds = Some(("NodePublishVolume", gate.clone()));
    let driver = Driver::with(rig.dir.path(), Behaviour { holds, ..Behaviour::default() });
    claim(&rig, false).await;
    rig.run("p", with_claim()).await;
    rig.eventually("it is asked", || driver.asked().last().is_some_and(|last| last == "publish h a=b")).await;
    let options = DeleteOptions { grace_period_seconds: Some(1), ..DeleteOptions::default() };
    rig.pods().delete(&key("p"), options).await.unwrap();
    // time enough for a worker that does not wait
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(driver.asked(), ["registered true ", "stage h ", "publish h a=b"]);
    gate.add_permits(1);
    rig.until_gone("p").await;
    assert_eq!(driver.asked(), ["registered true ", "stage h ", "publish h a=b", "unpublish h", "unstage h"]);
}

#[tokio::test]
async fn volumes_are_set_up_side_by_side() {
    let rig = rig().await;
    let gate = Arc::new(Semaphore::new(0));
    let holds = Some(("NodePublishVolume", gate.clone()));
    let driver = Driver::with(rig.dir.path(), Behaviour { holds, ..Behaviour::default() });
    claim(&rig, false).await;
    let own = |name: &str| json!({"name": name, "csi": {"driver": NAME}});
    rig.run("p", json!({"containers": [web()], "volumes": [own("a"), own("b"), own("c")]})).await;
    let published = || driver.asked().iter().filter(|asked| asked.starts_with("publish ")).count();
    rig.eventually("all are asked for", || published() == 3).await;
    gate.add_permits(3);
    rig.until("p", |p| phase(p) == "Running").await;
}

#[tokio::test]
async fn secrets_are_a_drivers_to_know() {
    let rig = rig().await;
    let driver = Driver::start(rig.dir.path());
    let of = |name: &str| json!({"name": name, "namespace": "default"});
    let more = json!({"nodeStageSecretRef": of("one"), "nodePublishSecretRef": of("two")});
    claim_with(&rig, false, more).await;
    rig.run("p", with_claim()).await;
    rig.until_event(
        "p",
        "FailedMount MountVolume.MountDevice failed for volume \"pv\" : fetching NodeStageSecretRef default/one failed: kubernetes.io/csi: failed to find the secret one in the namespace default with error: secrets \"one\" not found",
    )
    .await;
    for (name, value) in [("two", "second"), ("one", "first")] {
        let metadata = json!({"name": name, "namespace": "default"});
        create::<Secret>(&rig, json!({"metadata": metadata, "stringData": {"key": value}})).await;
    }
    rig.until("p", |p| phase(p) == "Running").await;
    let asked = driver.asked();
    assert!(asked.contains(&"stage h  with key=first".to_owned()), "{asked:?}");
    assert!(asked.contains(&"publish h  with key=second".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn a_driver_that_wants_it_is_asked_again_with_new_tokens() {
    if !may_mount() {
        return;
    }
    let rig = rig().await;
    let driver = Driver::with(rig.dir.path(), mounting());
    claim(&rig, false).await;
    let change = |of: &mut CSIDriver| {
        of.spec.requires_republish = Some(true);
        of.spec.token_requests = serde_json::from_value(json!([{"audience": "vault"}])).unwrap();
        Ok(())
    };
    rig.root().api::<CSIDriver>().modify(&ObjectKey::cluster(NAME), change).await.unwrap();
    let map = json!({"metadata": {"name": "files", "namespace": "default"}, "data": {"a": "1"}});
    create::<ConfigMap>(&rig, map).await;
    let mut spec = with_claim();
    let more = json!({"name": "files", "configMap": {"name": "files"}});
    spec["volumes"].as_array_mut().unwrap().push(more);
    rig.run("p", spec).await;
    rig.until("p", |p| phase(p) == "Running").await;
    // whatever has it look at its volumes
    let maps: Api<ConfigMap> = rig.root().api();
    let change = |map: &mut ConfigMap| {
        map.data = Some([("a".to_owned(), "2".to_owned())].into());
        Ok(())
    };
    maps.modify(&key("files"), change).await.unwrap();
    let published = || -> Vec<String> {
        driver.asked().into_iter().filter(|asked| asked.starts_with("publish ")).collect()
    };
    rig.eventually("it is published again", || published().len() > 1).await;
    for asked in published() {
        let tokens = asked.split_once("csi.storage.k8s.io/serviceAccount.tokens=").expect("tokens").1;
        let tokens: Value = serde_json::from_str(tokens).unwrap();
        assert!(tokens["vault"]["token"].is_string() && tokens["vault"]["expirationTimestamp"].is_string());
    }
    let staged = driver.asked().iter().filter(|asked| asked.starts_with("stage ")).count();
    assert_eq!(staged, 1, "what is mounted stays");
    delete(&rig, "p").await;
}

#[tokio::test]
async fn what_a_lost_record_said_is_found_elsewhere() {
    // (name, whether it mounts, what becomes of the records)
    let lost: [(&str, bool, fn(&Path)); 2] = [
        ("unreadable", false, |file| fs::write(file, "{").unwrap()),
        ("gone", true, |file| fs::remove_file(file).unwrap()),
    ];
    for (name, mounts, lose) in lost {
        if mounts && !may_mount() {
            continue;
        }
        let mut rig = rig().await;
        let driver = Driver::with(rig.dir.path(), Behaviour { mounts, ..Behaviour::default() });
        claim(&rig, false).await;
        let pod = rig.run("p", with_claim()).await;
        rig.until("p", |p| phase(p) == "Running").await;
        rig.stop().await;
        drop(driver);
        let dir = rig.dir.path().join("pods").join(pod.metadata.uid.unwrap());
        lose(&dir.join("volumes/kubernetes.io~csi/pv/vol_data.json"));
        let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        rig.pods().delete(&key("p"), now).await.unwrap();
        rig.runtime.forget_all();
        rig.start().await;
        assert!(dir.exists(), "{name}: only its driver can take it back");
        let driver = Driver::with(rig.dir.path(), Behaviour { mounts, ..Behaviour::default() });
        rig.eventually("nothing is left of the pod", || !dir.exists()).await;
        rig.eventually("all is taken back", || driver.asked().last().is_some_and(|last| last == "unstage h"))
            .await;
        assert_eq!(driver.asked()[1..], ["unpublish h", "unstage h"], "{name}");
    }
}

#[tokio::test]
async fn what_nobody_knows_is_unmounted() {
    if !may_mount() {
        return;
    }
    let mut rig = rig().await;
    rig.stop().await;
    let of_driver = rig.dir.path().join("plugins/kubernetes.io/csi").join(NAME);
    let staged = of_driver.join(kinds::csi::handle_sum("nobody's")).join("globalmount");
    let of_pod = rig.dir.path().join("pods/gone/volumes/kubernetes.io~csi/own/mount");
    for dir in [&staged, &of_pod] {
        fs::create_dir_all(dir).unwrap();
        nix::mount::mount(Some(dir), dir, NONE, MsFlags::MS_BIND, NONE).unwrap();
        assert!(is_mount(dir).unwrap());
    }
    // not even a record of another volume keeps it
    let other = of_driver.join(kinds::csi::handle_sum("other"));
    fs::create_dir_all(&other).unwrap();
    let record = json!({"specVolID": "other", "driverName": NAME, "volumeHandle": "other",
        "volumeLifecycleMode": "Persistent", "step": "Ready"});
    fs::write(other.join("vol_data.json"), record.to_string()).unwrap();
    rig.start().await;
    let pod = rig.dir.path().join("pods/gone");
    rig.eventually("all of it is gone", || !staged.parent().unwrap().exists() && !pod.exists()).await;
    assert!(other.exists(), "its driver has not come");
}

#[tokio::test]
async fn what_can_not_grow_is_told_to_the_claim() {
    let rig = rig().await;
    let refuses = Some(("NodeExpandVolume", 11));
    let driver = Driver::with(rig.dir.path(), Behaviour { refuses, ..Behaviour::default() });
    claim(&rig, false).await;
    let claims: Api<PersistentVolumeClaim> = rig.root().api();
    let waits = |claim: &mut PersistentVolumeClaim| {
        let status = json!({"phase": "Bound", "capacity": {"storage": "512Mi"},
            "allocatedResourceStatuses": {"storage": "NodeResizePending"}});
        claim.status = serde_json::from_value(status).unwrap();
        Ok(())
    };
    claims.modify_status(&key("data"), waits).await.unwrap();
    rig.run("p", with_claim()).await;
    let why =
        "Expander.NodeExpand failed to expand the volume rpc error: code = OutOfRange desc = out of order";
    let event =
        format!("FailedMount MountVolume.Setup failed while expanding volume for volume \"pv\" : {why}");
    rig.until_event("p", &event).await;
    // nobody tries again what can not be
    rig.until("p", |p| phase(p) == "Running").await;
    let status = claims.get(&key("data")).unwrap().status.unwrap();
    assert_eq!(status.allocated_resource_statuses.unwrap()["storage"], "NodeResizeInfeasible");
    let condition = &status.conditions.unwrap()[0];
    assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("NodeResizeError", "True"));
    assert_eq!(condition.message.as_deref(), Some(format!("failed to expand pvc with {why}").as_str()));
    let expanded = driver.asked().iter().filter(|asked| asked.starts_with("expand ")).count();
    assert_eq!(expanded, 1);
}

#[tokio::test]
async fn how_full_a_volume_is_is_asked_when_somebody_looks() {
    let rig = rig().await;
    let can = &[Rpc::StageUnstageVolume, Rpc::GetVolumeStats];
    let driver = Driver::with(rig.dir.path(), Behaviour { can, ..Behaviour::default() });
    claim(&rig, false).await;
    rig.run("p", with_claim()).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let asked = || driver.asked().iter().filter(|asked| *asked == "stats h").count();
    let page = async |path: &str| {
        let page = rig.kubelet.access.page(super::super::rig::NODE, path).await;
        page.unwrap().expect("a page").body
    };
    page("/metrics/resource").await;
    assert_eq!(asked(), 0, "who does not want to know it is not told");
    let metrics = page("/metrics").await;
    let line = "kubelet_volume_stats_used_bytes{namespace=\"default\",persistentvolumeclaim=\"data\"} 3\n";
    assert!(metrics.contains(line), "{metrics}");
    let summary: Value = serde_json::from_str(&page("/stats/summary").await).unwrap();
    let volume = &summary["pods"][0]["volume"][0];
    assert_eq!(
        (&volume["availableBytes"], &volume["pvcRef"]["name"]),
        (&json!(7), &json!("data")),
        "{summary}"
    );
    assert_eq!(asked(), 2);
}
