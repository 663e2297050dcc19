//! Volumes of storage drivers: a kubelet, and a driver of the tests' own.

use super::rig::{Rig, key, phase, rig, web};
use api::ObjectKey;
use cluster::{Api, DeleteOptions};
use driver::{Driver, NAME};
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, VolumeAttachment};
use kinds::TypedKind;
use serde_json::{Value, json};
use std::fs;

mod devices;
mod driver;
mod registration;
mod trouble;

async fn create<K: TypedKind>(rig: &Rig, value: Value) -> K {
    rig.root().api::<K>().create(serde_json::from_value(value).unwrap()).await.unwrap()
}

fn csi_node(rig: &Rig) -> CSINode {
    rig.root().api::<CSINode>().get(&ObjectKey::cluster(super::rig::NODE)).unwrap()
}

fn node_object(rig: &Rig) -> Node {
    rig.root().api::<Node>().get(&ObjectKey::cluster(super::rig::NODE)).unwrap()
}

/// A claim that is bound to a volume of the driver's, as the binder leaves them.
async fn claim(rig: &Rig, attach: bool) {
    claim_with(rig, attach, json!({"volumeAttributes": {"a": "b"}})).await;
}

/// `more`: what else the volume says of its driver.
async fn claim_with(rig: &Rig, attach: bool, more: Value) {
    claim_as(rig, attach, more, "Filesystem").await;
}

async fn claim_as(rig: &Rig, attach: bool, more: Value, mode: &str) {
    let mut csi = json!({"driver": NAME, "volumeHandle": "h"});
    csi.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    create::<CSIDriver>(
        rig,
        json!({"metadata": {"name": NAME}, "spec": {"attachRequired": attach, "podInfoOnMount": false,
        "volumeLifecycleModes": ["Persistent", "Ephemeral"]}}),
    )
    .await;
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "", "volumeName": "pv", "volumeMode": mode});
    let metadata = json!({"name": "data", "namespace": "default"});
    let made: PersistentVolumeClaim = create(rig, json!({"metadata": metadata, "spec": spec})).await;
    let reference = json!({"name": "data", "namespace": "default", "uid": made.metadata.uid});
    create::<PersistentVolume>(
        rig,
        json!({"metadata": {"name": "pv"}, "spec": {"capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"], "storageClassName": "", "claimRef": reference,
        "volumeMode": mode, "csi": csi}}),
    )
    .await;
    let claims: Api<PersistentVolumeClaim> = rig.root().api();
    let bind = |claim: &mut PersistentVolumeClaim| {
        claim.status.get_or_insert_default().phase = Some("Bound".to_owned());
        Ok(())
    };
    claims.modify_status(&key("data"), bind).await.unwrap();
}

fn with_claim() -> Value {
    json!({"containers": [web()], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]})
}

async fn delete(rig: &Rig, pod: &str) {
    let options = DeleteOptions { grace_period_seconds: Some(1), ..DeleteOptions::default() };
    rig.pods().delete(&key(pod), options).await.unwrap();
    rig.until_gone(pod).await;
}

// in real time: sockets do not know of another

#[tokio::test]
async fn a_driver_is_known_as_long_as_its_socket_is_there() {
    let rig = rig().await;
    assert!(csi_node(&rig).spec.drivers.is_empty());
    let driver = Driver::start(rig.dir.path());
    rig.eventually("the driver is registered", || driver.asked() == ["registered true "]).await;
    let known = csi_node(&rig).spec.drivers;
    assert_eq!(
        serde_json::to_value(known).unwrap(),
        json!([{"name": NAME, "nodeID": "its-n1", "topologyKeys": ["d.example/zone"], "allocatable": {"count": 5}}])
    );
    let meta = node_object(&rig).metadata;
    assert_eq!(meta.labels.as_ref().unwrap()["d.example/zone"], "z");
    assert_eq!(
        meta.annotations.as_ref().unwrap()["csi.volume.kubernetes.io/nodeid"],
        r#"{"d.example":"its-n1"}"#
    );
    drop(driver);
    rig.eventually("the driver is gone", || csi_node(&rig).spec.drivers.is_empty()).await;
    let annotations = node_object(&rig).metadata.annotations.unwrap_or_default();
    assert!(!annotations.contains_key("csi.volume.kubernetes.io/nodeid"));
}

#[tokio::test]
async fn a_volume_is_staged_once_published_for_each_pod_and_taken_back() {
    let rig = rig().await;
    let driver = Driver::start(rig.dir.path());
    claim(&rig, true).await;
    rig.run("one", with_claim()).await;
    // nothing is done before it is attached
    let name = kinds::csi::attachment_name(NAME, "h", super::rig::NODE);
    create::<VolumeAttachment>(
        &rig,
        json!({"metadata": {"name": name}, "spec": {"attacher": NAME,
        "nodeName": super::rig::NODE, "source": {"persistentVolumeName": "pv"}}}),
    )
    .await;
    rig.eventually("the driver is registered", || driver.asked() == ["registered true "]).await;
    let attach = |of: &mut VolumeAttachment| {
        let status = of.status.get_or_insert_default();
        status.attached = true;
        status.attachment_metadata = Some([("device".to_owned(), "x".to_owned())].into());
        Ok(())
    };
    rig.root().api::<VolumeAttachment>().modify_status(&ObjectKey::cluster(&name), attach).await.unwrap();
    rig.until("one", |p| phase(p) == "Running").await;
    let in_use = |rig: &Rig| node_object(rig).status.unwrap().volumes_in_use.unwrap_or_default();
    assert_eq!(in_use(&rig), ["kubernetes.io/csi/d.example^h"]);
    rig.run("two", with_claim()).await;
    rig.until("two", |p| phase(p) == "Running").await;
    delete(&rig, "one").await;
    assert!(!driver.asked().contains(&"unstage h".to_owned()), "the other pod has it");
    assert_eq!(in_use(&rig), ["kubernetes.io/csi/d.example^h"]);
    delete(&rig, "two").await;
    assert!(in_use(&rig).is_empty());
    let asked = driver.asked();
    assert_eq!(asked[..3], ["registered true ", "stage h device=x", "publish h a=b"]);
    assert_eq!(asked[asked.len() - 2..], ["unpublish h", "unstage h"]);
    let times = |call: &str| asked.iter().filter(|asked| *asked == call).count();
    assert_eq!((times("unpublish h"), times("unstage h")), (2, 1), "{asked:?}");
    let left = fs::read_dir(rig.dir.path().join("plugins/kubernetes.io/csi").join(NAME)).unwrap().count();
    assert_eq!(left, 0, "nothing is left of what was staged");
}

#[tokio::test]
async fn what_a_driver_refuses_is_told_and_tried_again() {
    let rig = rig().await;
    claim(&rig, false).await;
    rig.run("p", with_claim()).await;
    rig.until_event(
        "p",
        "FailedMount MountVolume.MountDevice failed for volume \"pv\" : kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name d.example not found in the list of registered CSI drivers",
    )
    .await;
    let driver = Driver::refusing(rig.dir.path(), "NodeStageVolume");
    rig.until_event(
        "p",
        "FailedMount MountVolume.MountDevice failed for volume \"pv\" : rpc error: code = Internal desc = out of order",
    )
    .await;
    drop(driver);
    rig.eventually("the driver is gone", || csi_node(&rig).spec.drivers.is_empty()).await;
    // one that comes again has whoever waits tried at once
    let driver = Driver::refusing(rig.dir.path(), "NodePublishVolume");
    rig.until_event(
        "p",
        "FailedMount MountVolume.SetUp failed for volume \"pv\" : rpc error: code = Internal desc = out of order",
    )
    .await;
    // it has published nothing, and is not asked to take it back
    delete(&rig, "p").await;
    let asked = driver.asked();
    assert!(
        !asked.contains(&"unpublish h".to_owned()) && asked.contains(&"unstage h".to_owned()),
        "{asked:?}"
    );
    drop(driver);
    let _driver = Driver::start(rig.dir.path());
    rig.run("q", with_claim()).await;
    rig.until("q", |p| phase(p) == "Running").await;
}

#[tokio::test]
async fn a_volume_that_lives_with_its_pod_is_told_of_it() {
    let rig = rig().await;
    let driver = Driver::start(rig.dir.path());
    let inline = json!({"containers": [web()], "volumes": [{"name": "v", "csi": {"driver": NAME, "volumeAttributes": {"a": "b"}}}]});
    rig.run("early", inline.clone()).await;
    rig.until_event(
        "early",
        "FailedMount MountVolume.SetUp failed for volume \"v\" : volume mode \"Ephemeral\" not supported by driver d.example (no CSIDriver object)",
    )
    .await;
    create::<CSIDriver>(
        &rig,
        json!({"metadata": {"name": NAME}, "spec": {"attachRequired": true, "podInfoOnMount": true,
        "volumeLifecycleModes": ["Ephemeral"]}}),
    )
    .await;
    let pod = rig.run("p", inline).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let uid = pod.metadata.uid.unwrap();
    let handle = kinds::csi::ephemeral_handle(&uid, "v");
    let told = format!(
        "publish {handle} a=b,csi.storage.k8s.io/ephemeral=true,csi.storage.k8s.io/pod.name=p,csi.storage.k8s.io/pod.namespace=default,csi.storage.k8s.io/pod.uid={uid},csi.storage.k8s.io/serviceAccount.name=default"
    );
    assert!(driver.asked().contains(&told), "{:?}", driver.asked());
    delete(&rig, "p").await;
    let asked = driver.asked();
    assert!(
        asked.contains(&format!("unpublish {handle}")) && !asked.iter().any(|a| a.contains("stage")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_pod_that_runs_keeps_a_volume_whose_claim_is_on_its_way_out() {
    let rig = rig().await;
    let _driver = Driver::start(rig.dir.path());
    claim(&rig, false).await;
    let files = json!({"metadata": {"name": "files", "namespace": "default"}, "data": {"a": "1"}});
    create::<ConfigMap>(&rig, files).await;
    let mut spec = with_claim();
    let more = json!({"name": "files", "configMap": {"name": "files"}});
    spec["volumes"].as_array_mut().unwrap().push(more);
    let pod = rig.run("p", spec).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let claims: Api<PersistentVolumeClaim> = rig.root().api();
    let hold = |claim: &mut PersistentVolumeClaim| {
        claim.metadata.finalizers = Some(vec!["kubernetes.io/pvc-protection".to_owned()]);
        Ok(())
    };
    claims.modify(&key("data"), hold).await.unwrap();
    claims.delete(&key("data"), DeleteOptions::default()).await.unwrap();
    let maps: Api<ConfigMap> = rig.root().api();
    let change = |map: &mut ConfigMap| {
        map.data = Some([("a".to_owned(), "2".to_owned())].into());
        Ok(())
    };
    maps.modify(&key("files"), change).await.unwrap();
    let dir = rig.dir.path().join("pods").join(pod.metadata.uid.unwrap());
    let file = dir.join("volumes/kubernetes.io~configmap/files/a");
    rig.eventually("its files follow", || fs::read_to_string(&file).is_ok_and(|text| text == "2")).await;
}

#[tokio::test]
async fn a_file_system_grows_after_its_volume() {
    let rig = rig().await;
    let driver = Driver::start(rig.dir.path());
    claim(&rig, false).await;
    let claims: Api<PersistentVolumeClaim> = rig.root().api();
    let size = |claim: &PersistentVolumeClaim| {
        let capacity = claim.status.as_ref().and_then(|status| status.capacity.clone()).unwrap_or_default();
        capacity.get("storage").map(|size| size.0.clone()).unwrap_or_default()
    };
    // as the resizer leaves it
    let waits = |claim: &mut PersistentVolumeClaim| {
        let status = json!({"phase": "Bound", "capacity": {"storage": "1Gi"},
            "conditions": [{"type": "FileSystemResizePending", "status": "True"}]});
        claim.status = serde_json::from_value(status).unwrap();
        Ok(())
    };
    claims.modify_status(&key("data"), waits).await.unwrap();
    rig.run("p", with_claim()).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let grow = |of: &mut PersistentVolume| {
        let size = serde_json::from_value(json!({"storage": "2Gi"})).unwrap();
        of.spec.get_or_insert_default().capacity = Some(size);
        Ok(())
    };
    rig.root().api::<PersistentVolume>().modify(&ObjectKey::cluster("pv"), grow).await.unwrap();
    rig.eventually("the claim has grown", || size(&claims.get(&key("data")).unwrap()) == "2Gi").await;
    assert!(driver.asked().contains(&"expand h 2147483648".to_owned()), "{:?}", driver.asked());
    let conditions = claims.get(&key("data")).unwrap().status.unwrap().conditions;
    assert!(conditions.unwrap_or_default().is_empty());
    delete(&rig, "p").await;
}

#[tokio::test]
async fn a_node_does_not_say_for_ever_what_it_had_in_use() {
    let mut rig = rig().await;
    rig.stop().await;
    // as a crash leaves it after the record is gone, and before the node says so
    let stale = |node: &mut Node| {
        let used = vec!["kubernetes.io/csi/d.example^h".to_owned()];
        node.status.get_or_insert_default().volumes_in_use = Some(used);
        Ok(())
    };
    let nodes: Api<Node> = rig.root().api();
    nodes.modify_status(&ObjectKey::cluster(super::rig::NODE), stale).await.unwrap();
    rig.start().await;
    let in_use = |rig: &Rig| node_object(rig).status.unwrap().volumes_in_use.unwrap_or_default();
    rig.eventually("nothing is in use", || in_use(&rig).is_empty()).await;
}

#[tokio::test]
async fn what_a_pod_left_behind_is_taken_back_when_its_driver_comes() {
    let mut rig = rig().await;
    let driver = Driver::start(rig.dir.path());
    claim(&rig, false).await;
    let pod = rig.run("p", with_claim()).await;
    rig.until("p", |p| phase(p) == "Running").await;
    rig.stop().await;
    drop(driver);
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    rig.pods().delete(&key("p"), now).await.unwrap();
    rig.runtime.forget_all();
    rig.start().await;
    let dir = rig.dir.path().join("pods").join(pod.metadata.uid.unwrap());
    assert!(dir.exists(), "only its driver can take it back");
    rig.eventually("the driver is not there", || csi_node(&rig).spec.drivers.is_empty()).await;
    let driver = Driver::start(rig.dir.path());
    rig.eventually("nothing is left of the pod", || !dir.exists()).await;
    rig.eventually("all is taken back", || driver.asked().last().is_some_and(|last| last == "unstage h"))
        .await;
    assert_eq!(driver.asked()[1..], ["unpublish h", "unstage h"]);
}
