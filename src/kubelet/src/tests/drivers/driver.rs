//! A storage driver that writes down what it is asked, and mounts nothing: it makes a directory where a mount would be.

use bytes::Bytes;
use csi::server::{Refused, serve, serve_slowly};
use csi::{
    Message, NodeCapabilities, NodeExpandRequest, NodeInfo, NodePublishRequest, NodeStageRequest,
    NodeUnpublishRequest, NodeUnstageRequest, PluginInfo, RegistrationStatus, Rpc, Topology, Unit,
    VolumeCapability, VolumeStats, VolumeStatsRequest, VolumeUsage,
};
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub(super) const NAME: &str = "d.example";
pub(super) const NONE: Option<&str> = None;

/// Gone, with its sockets, when it is dropped.
pub(super) struct Driver {
    asked: Arc<Mutex<Vec<String>>>,
    root: PathBuf,
    pub(super) sockets: [PathBuf; 2],
    _servers: JoinSet<()>,
}

/// What it does otherwise than others.
#[derive(Clone)]
pub(super) struct Behaviour {
    /// Whatever ends so (`NodeStageVolume`), with gRPC's code.
    pub(super) refuses: Option<(&'static str, u16)>,
    /// Whatever ends so waits for a permit.
    pub(super) holds: Option<(&'static str, Arc<Semaphore>)>,
    pub(super) can: &'static [Rpc],
    /// It mounts for real, which only root may.
    pub(super) mounts: bool,
    /// Below the directory of sockets.
    pub(super) registers_at: &'static str,
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
    pub(super) fn start(root: &Path) -> Self {
        Driver::with(root, Behaviour::default())
    }

    pub(super) fn refusing(root: &Path, call: &'static str) -> Self {
        Driver::with(root, Behaviour { refuses: Some((call, 13)), ..Behaviour::default() })
    }

    pub(super) fn with(root: &Path, behaviour: Behaviour) -> Self {
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

    pub(super) fn asked(&self) -> Vec<String> {
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
pub(super) fn speak_for_it(
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
