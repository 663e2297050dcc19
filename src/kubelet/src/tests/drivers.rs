//! A storage driver that writes down what it is asked, and mounts nothing: it makes a directory where a mount would be.

use super::rig::{Rig, key, phase, rig, web};
use api::ObjectKey;
use bytes::Bytes;
use cluster::{Api, DeleteOptions};
use csi::server::{Refused, serve, serve_slowly};
use csi::{
    Message, NodeCapabilities, NodeExpandRequest, NodeInfo, NodePublishRequest, NodeStageRequest,
    NodeUnpublishRequest, NodeUnstageRequest, PluginInfo, RegistrationStatus, Rpc, Topology, Unit,
    VolumeCapability, VolumeStats, VolumeStatsRequest, VolumeUsage,
};
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, VolumeAttachment};
use kinds::TypedKind;
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

mod devices;
mod registration;
mod trouble;

const NAME: &str = "d.example";
const NONE: Option<&str> = None;

/// Gone, with its sockets, when it is dropped.
struct Driver {
    asked: Arc<Mutex<Vec<String>>>,
    root: PathBuf,
    sockets: [PathBuf; 2],
    _servers: JoinSet<()>,
}

/// What it does otherwise than others.
#[derive(Clone)]
struct Behaviour {
    /// Whatever ends so (`NodeStageVolume`), with gRPC's code.
    refuses: Option<(&'static str, u16)>,
    /// Whatever ends so waits for a permit.
    holds: Option<(&'static str, Arc<Semaphore>)>,
    can: &'static [Rpc],
    /// It mounts for real, which only root may.
    mounts: bool,
    /// Below the directory of sockets.
    registers_at: &'static str,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            refuses: None,
            holds: None,
            can: &[Rpc::StageUnstageVolume, Rpc::ExpandVolume],
            mounts: false,
            registers_at: "d.example-reg.sock",
        }
    }
}

/// Says so when the driver is no longer waited for.
struct UnderWay(Arc<Mutex<Vec<String>>>, String);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let said = std::mem::take(&mut self.1);
        if !said.is_empty() {
            self.0.lock().unwrap().push(format!("broken off: {said}"));
        }
    }
}

impl Driver {
    fn start(root: &Path) -> Self {
        Driver::with(root, Behaviour::default())
    }

    fn refusing(root: &Path, call: &'static str) -> Self {
        Driver::with(root, Behaviour { refuses: Some((call, 13)), ..Behaviour::default() })
    }

    fn with(root: &Path, behaviour: Behaviour) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let dir = root.join("plugins").join(NAME);
        fs::create_dir_all(&dir).unwrap();
        let own = dir.join("csi.sock");
        let registration = root.join("plugins_registry").join(behaviour.registers_at);
        fs::create_dir_all(registration.parent().unwrap()).unwrap();
        let (heard, at) = (asked.clone(), root.to_owned());
        let mut servers = JoinSet::new();
        servers.spawn(serve_slowly(UnixListener::bind(&own).unwrap(), move |path: String, body: Bytes| {
            let (said, answer) = node(&path, &body, &at, behaviour.mounts);
            if !said.is_empty() {
                heard.lock().unwrap().push(said.clone());
            }
            let mut under_way = UnderWay(heard.clone(), said);
            let behaviour = behaviour.clone();
            async move {
                if let Some((_, gate)) = behaviour.holds.filter(|(held, _)| path.ends_with(held)) {
                    gate.acquire().await.unwrap().forget();
                }
                under_way.1.clear();
                match behaviour.refuses {
                    Some((refused, code)) if path.ends_with(refused) => {
                        Err(Refused { code, message: "out of order".to_owned() })
                    }
                    _ => {
                        answer();
                        Ok(reply(&path, behaviour.can))
                    }
                }
            }
        }));
        let heard = asked.clone();
        servers.spawn(serve(UnixListener::bind(&registration).unwrap(), speak_for_it(heard)));
        Driver { asked, root: root.to_owned(), sockets: [own, registration], _servers: servers }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.sockets.iter().for_each(|socket| drop(fs::remove_file(socket)));
        if std::thread::panicking() {
            // so that the directory can be removed
            let _ = crate::volumes::unmount_below(&self.root);
        }
    }
}

/// What answers at a registration socket.
fn speak_for_it(
    heard: Arc<Mutex<Vec<String>>>,
) -> impl Fn(&str, &[u8]) -> Result<Vec<u8>, Refused> + Clone + Send + Sync + 'static {
    move |path: &str, body: &[u8]| {
        if path.ends_with("GetInfo") {
            return Ok(PluginInfo {
                kind: "CSIPlugin".to_owned(),
                name: NAME.to_owned(),
                endpoint: format!("/var/lib/kubelet/plugins/{NAME}/csi.sock"),
                supported_versions: vec!["1.0.0".to_owned()],
            }
            .encode_to_vec());
        }
        let status = RegistrationStatus::decode(body).unwrap();
        heard.lock().unwrap().push(format!("registered {} {}", status.plugin_registered, status.error));
        Ok(Vec::new())
    }
}

type Effect = Box<dyn FnOnce() + Send>;

/// What is asked, in a line, and what it comes to on disk.
fn node(path: &str, body: &[u8], root: &Path, mounts: bool) -> (String, Effect) {
    let ours = |path: &str| root.join(path.strip_prefix("/var/lib/kubelet/").expect("a path that it knows"));
    let nothing = || Box::new(|| ()) as Effect;
    match path.rsplit('/').next().unwrap() {
        "NodeStageVolume" => {
            let request = NodeStageRequest::decode(body).unwrap();
            assert!(ours(&request.staging_target_path).is_dir(), "it is made before");
            let (context, secrets) = (sorted(&request.publish_context), told(&request.secrets));
            let what = as_what(request.volume_capability.as_ref());
            (format!("stage {what}{} {context}{secrets}", request.volume_id), nothing())
        }
        "NodePublishVolume" => {
            let request = NodePublishRequest::decode(body).unwrap();
            let target = ours(&request.target_path);
            assert!(target.parent().unwrap().is_dir());
            let (context, secrets) = (sorted(&request.volume_context), told(&request.secrets));
            let what = as_what(request.volume_capability.as_ref());
            if !what.is_empty() {
                let published = Path::new("plugins/kubernetes.io/csi/volumeDevices/publish/pv");
                assert_eq!(target.parent(), Some(root.join(published).as_path()));
                let make = Box::new(move || {
                    // a number for experiments: no kernel makes a device because somebody opens this one
                    mknod(&target, SFlag::S_IFBLK, Mode::S_IRUSR, makedev(240, 250)).unwrap();
                });
                return (format!("publish {what}{} {context}{secrets}", request.volume_id), make);
            }
            assert!(target.ends_with("mount"));
            let make = Box::new(move || {
                fs::create_dir_all(&target).unwrap();
                if mounts && !crate::volumes::is_mount(&target).unwrap() {
                    nix::mount::mount(Some(&target), &target, NONE, MsFlags::MS_BIND, NONE).unwrap();
                }
            });
            (format!("publish {} {context}{secrets}", request.volume_id), make)
        }
        "NodeUnpublishVolume" => {
            let request = NodeUnpublishRequest::decode(body).unwrap();
            let target = ours(&request.target_path);
            let unmake = Box::new(move || {
                if mounts {
                    let _ = nix::mount::umount(&target);
                }
                let _ = fs::remove_dir(&target).or_else(|_| fs::remove_file(&target));
            });
            (format!("unpublish {}", request.volume_id), unmake)
        }
        "NodeExpandVolume" => {
            let request = NodeExpandRequest::decode(body).unwrap();
            assert!(is_published(&request.volume_path));
            let bytes = request.capacity_range.unwrap().required_bytes;
            (format!("expand {} {bytes}", request.volume_id), nothing())
        }
        "NodeGetVolumeStats" => {
            let request = VolumeStatsRequest::decode(body).unwrap();
            assert!(is_published(&request.volume_path));
            (format!("stats {}", request.volume_id), nothing())
        }
        "NodeUnstageVolume" => {
            let request = NodeUnstageRequest::decode(body).unwrap();
            let staging = request.staging_target_path.as_str();
            assert!(staging.ends_with("/globalmount") || staging.ends_with("/volumeDevices/staging/pv"));
            (format!("unstage {}", request.volume_id), nothing())
        }
        _ => (String::new(), nothing()),
    }
}

fn as_what(capability: Option<&VolumeCapability>) -> &'static str {
    if capability.unwrap().is_device() { "device " } else { "" }
}

fn is_published(path: &str) -> bool {
    path.ends_with("/mount") || path.contains("/volumeDevices/publish/pv/")
}

fn reply(path: &str, can: &[Rpc]) -> Vec<u8> {
    match path.rsplit('/').next().unwrap() {
        "NodeGetInfo" => {
            let zone = HashMap::from([("d.example/zone".to_owned(), "z".to_owned())]);
            NodeInfo {
                node_id: "its-n1".to_owned(),
                max_volumes_per_node: 5,
                accessible_topology: Some(Topology { segments: zone }),
            }
            .encode_to_vec()
        }
        "NodeGetCapabilities" => NodeCapabilities::new(can).encode_to_vec(),
        "NodeGetVolumeStats" => {
            let usage = VolumeUsage { available: 7, total: 10, used: 3, unit: Unit::Bytes as i32 };
            VolumeStats { usage: vec![usage] }.encode_to_vec()
        }
        _ => Vec::new(),
    }
}

fn told(secrets: &HashMap<String, String>) -> String {
    if secrets.is_empty() { String::new() } else { format!(" with {}", sorted(secrets)) }
}

fn sorted(map: &HashMap<String, String>) -> String {
    let mut all: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
    all.sort();
    all.join(",")
}

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
