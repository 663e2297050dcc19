//! Volumes that pods have as devices. The driver makes a node of a device that nobody has.

use super::driver::Behaviour;
use super::*;
use csi::Rpc;
use std::path::PathBuf;

/// Only root makes nodes of devices.
fn may_make_devices() -> bool {
    let may = nix::unistd::geteuid().is_root();
    if !may {
        println!("SKIPPED: only root makes nodes of devices");
    }
    may
}

async fn device(rig: &Rig) {
    claim_as(rig, false, json!({"volumeAttributes": {"a": "b"}}), "Block").await;
}

fn with_device() -> Value {
    let mut spec = with_claim();
    spec["containers"][0]["volumeDevices"] = json!([{"name": "v", "devicePath": "/dev/xvda"}]);
    spec
}

/// Where the parts of volumes lie that are devices.
fn parts(rig: &Rig) -> Vec<PathBuf> {
    let below = rig.dir.path().join("plugins/kubernetes.io/csi/volumeDevices");
    let parts = ["data", "staging", "publish"].map(|part| fs::read_dir(below.join(part)));
    let entries = parts.into_iter().flatten().flatten();
    entries.map(|entry| entry.unwrap().path().strip_prefix(&below).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_device_is_published_for_a_pod_grows_and_is_taken_back() {
    if !may_make_devices() {
        return;
    }
    let rig = rig().await;
    let can = &[Rpc::StageUnstageVolume, Rpc::ExpandVolume, Rpc::GetVolumeStats];
    let driver = Driver::with(rig.dir.path(), Behaviour { can, ..Behaviour::default() });
    device(&rig).await;
    let claims: Api<PersistentVolumeClaim> = rig.root().api();
    let waits = |claim: &mut PersistentVolumeClaim| {
        let status = json!({"phase": "Bound", "capacity": {"storage": "512Mi"}});
        claim.status = serde_json::from_value(status).unwrap();
        Ok(())
    };
    claims.modify_status(&key("data"), waits).await.unwrap();
    let mut spec = with_device();
    spec["securityContext"] = json!({"fsGroup": 2000});
    let pod = rig.run("p", spec).await;
    rig.until("p", |p| phase(p) == "Running").await;
    // it may be asked again before it is seen that the claim has grown
    let expanded = "expand h 1073741824";
    assert!(driver.asked().contains(&expanded.to_owned()), "{:?}", driver.asked());
    let asked = || -> Vec<String> { driver.asked().into_iter().filter(|asked| asked != expanded).collect() };
    assert_eq!(asked(), ["registered true ", "stage device h ", "publish device h a=b"]);
    let config = rig.runtime.config(&rig.runtime.containers()[0].id);
    let published = format!("publish/pv/{}", pod.metadata.uid.unwrap());
    let want = cri::Device {
        host_path: rig.dir.path().join("plugins/kubernetes.io/csi/volumeDevices").join(published),
        container_path: "/dev/xvda".into(),
        permissions: "rwm".to_owned(),
    };
    assert_eq!(config.devices, [want]);
    assert_eq!(parts(&rig), ["data/pv", "staging/pv", "publish/pv"].map(PathBuf::from));
    let page = rig.kubelet.access.page(crate::tests::rig::NODE, "/metrics").await;
    let page = page.unwrap().expect("a page").body;
    assert!(page.contains("persistentvolumeclaim=\"data\"} 3\n"), "{page}");
    delete(&rig, "p").await;
    assert_eq!(asked()[3..], ["stats h", "unpublish h", "unstage h"]);
    assert!(parts(&rig).is_empty(), "{:?}", parts(&rig));
}

#[tokio::test]
async fn what_a_lost_record_of_a_device_said_is_found_elsewhere() {
    if !may_make_devices() {
        return;
    }
    let mut rig = rig().await;
    let driver = Driver::start(rig.dir.path());
    device(&rig).await;
    let pod = rig.run("p", with_device()).await;
    rig.until("p", |p| phase(p) == "Running").await;
    rig.stop().await;
    drop(driver);
    let dir = rig.dir.path().join("pods").join(pod.metadata.uid.unwrap());
    let of_node = rig.dir.path().join("plugins/kubernetes.io/csi/volumeDevices/data/pv");
    for of in [dir.join("volumeDevices/kubernetes.io~csi/pv"), of_node] {
        fs::remove_file(of.join("vol_data.json")).unwrap();
    }
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    rig.pods().delete(&key("p"), now).await.unwrap();
    rig.runtime.forget_all();
    rig.start().await;
    assert!(dir.exists(), "only its driver can take it back");
    let driver = Driver::start(rig.dir.path());
    rig.eventually("nothing is left of the pod", || !dir.exists()).await;
    rig.eventually("all is taken back", || driver.asked().last().is_some_and(|last| last == "unstage h"))
        .await;
    assert_eq!(driver.asked()[1..], ["unpublish h", "unstage h"]);
    rig.eventually("nothing is left of the device", || parts(&rig).is_empty()).await;
}

#[tokio::test]
async fn what_a_driver_refuses_of_a_device_is_told_in_other_words() {
    let rig = rig().await;
    device(&rig).await;
    rig.run("p", with_device()).await;
    rig.until_event(
        "p",
        "FailedMapVolume MapVolume.SetUpDevice failed for volume \"pv\" : kubernetes.io/csi: blockMapper.SetUpDevice failed to get CSI client: driver name d.example not found in the list of registered CSI drivers",
    )
    .await;
    let _driver = Driver::refusing(rig.dir.path(), "NodePublishVolume");
    rig.until_event(
        "p",
        "FailedMapVolume MapVolume.MapPodDevice failed for volume \"pv\" : rpc error: code = Internal desc = out of order",
    )
    .await;
}

#[tokio::test]
async fn a_volume_that_is_used_as_what_it_is_not_is_told() {
    let rig = rig().await;
    device(&rig).await;
    let mut spec = with_claim();
    spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/data"}]);
    rig.run("p", spec).await;
    rig.until_event(
        "p",
        "FailedMount Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: volume v has volumeMode Block, but is specified in volumeMounts",
    )
    .await;
}
