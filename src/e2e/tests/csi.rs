//! Volumes of a storage driver. Its manifests are as drivers have them: a privileged pod that mounts the kubelet's directories from
//! where upstream has them. Its node service is played by the test, which has the pod do the mounting, so that it happens where
//! a driver's would.

mod common;

use common::loops::{Disk, has_loop_devices};
use common::volumes::{pod, starts};
use common::{Appliance, appliance};
use csi::server::{Refused, serve};
use csi::{
    Message, NodeCapabilities, NodeInfo, NodePublishRequest, NodeStageRequest, NodeUnpublishRequest,
    NodeUnstageRequest, PluginInfo, RegistrationStatus, Rpc, VolumeCapability,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

const NAME: &str = "e2e.example";

/// Gone, with its sockets, when it is dropped.
struct Driver {
    refuses: Arc<Mutex<Option<String>>>,
    registered: Arc<Mutex<Vec<String>>>,
    sockets: [PathBuf; 2],
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Runs a line in the driver's pod.
#[derive(Clone)]
struct InPod {
    kubectl: String,
    kubeconfig: PathBuf,
}

impl InPod {
    fn run(&self, line: &str) -> Result<Vec<u8>, Refused> {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig);
        let done = command.args(["exec", "ds/driver", "--", "sh", "-ec", line]).output().unwrap();
        match done.status.success() {
            true => Ok(Vec::new()),
            false => {
                Err(Refused { code: 13, message: String::from_utf8_lossy(&done.stderr).replace('\n', " ") })
            }
        }
    }
}

impl Driver {
    fn start(at: &Appliance) -> Self {
        let kubelet = at.places()[0].join("kubelet");
        let dir = kubelet.join("plugins").join(NAME);
        std::fs::create_dir_all(&dir).unwrap();
        let sockets =
            [dir.join("csi.sock"), kubelet.join("plugins_registry").join(format!("{NAME}-reg.sock"))];
        let (refuses, registered) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
        let pod = InPod { kubectl: at.kubectl_path(), kubeconfig: at.kubeconfig() };
        let (stop, stopped) = oneshot::channel::<()>();
        let (refusal, heard, paths) = (refuses.clone(), registered.clone(), sockets.clone());
        let (ready, is_ready) = std::sync::mpsc::channel();
        // a thread of this one, and so in the same mounts
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let node = UnixListener::bind(&paths[0]).unwrap();
                let registration = UnixListener::bind(&paths[1]).unwrap();
                ready.send(()).unwrap();
                let node = serve(node, move |path: &str, body: &[u8]| {
                    if let Some(message) =
                        refusal.lock().unwrap().clone().filter(|_| path.ends_with("NodePublishVolume"))
                    {
                        return Err(Refused { code: 13, message });
                    }
                    answer(path, body, &pod)
                });
                let registration = serve(registration, move |path: &str, body: &[u8]| {
                    if path.ends_with("GetInfo") {
                        let info = PluginInfo {
                            kind: "CSIPlugin".to_owned(),
                            name: NAME.to_owned(),
                            endpoint: format!("/var/lib/kubelet/plugins/{NAME}/csi.sock"),
                            supported_versions: vec!["1.0.0".to_owned()],
                        };
                        return Ok(info.encode_to_vec());
                    }
                    let status = RegistrationStatus::decode(body).unwrap();
                    heard.lock().unwrap().push(format!("{} {}", status.plugin_registered, status.error));
                    Ok(Vec::new())
                });
                tokio::select! {
                    () = node => {}
                    () = registration => {}
                    _ = stopped => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Driver { refuses, registered, sockets, stop: Some(stop), thread: Some(thread) }
    }

    fn refuse(&self, why: Option<&str>) {
        *self.refuses.lock().unwrap() = why.map(str::to_owned);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.sockets.iter().for_each(|socket| drop(std::fs::remove_file(socket)));
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Bind mounts of a directory for each volume, which outlives them; for a device, of a node of the one that the volume's attributes
/// tell.
fn answer(path: &str, body: &[u8], pod: &InPod) -> Result<Vec<u8>, Refused> {
    let bind = |from: &str, to: &str| {
        pod.run(&format!("mkdir -p {from} {to}; grep -q ' {to} ' /proc/mounts || mount --bind {from} {to}"))
    };
    let unbind = |from: &str| {
        pod.run(&format!("if grep -q ' {from} ' /proc/mounts; then umount {from}; fi; if test -d {from}; then rm -f {from}/node; rmdir {from}; else rm -f {from}; fi"))
    };
    let is_device = |of: Option<&VolumeCapability>| of.is_some_and(VolumeCapability::is_device);
    match path.rsplit('/').next().unwrap() {
        "NodeGetInfo" => {
            Ok(NodeInfo { node_id: "e2e-node".to_owned(), ..NodeInfo::default() }.encode_to_vec())
        }
        "NodeGetCapabilities" => Ok(NodeCapabilities::new(&[Rpc::StageUnstageVolume]).encode_to_vec()),
        "NodeStageVolume" => {
            let request = NodeStageRequest::decode(body).unwrap();
            if is_device(request.volume_capability.as_ref()) {
                let (node, number) =
                    (format!("{}/node", request.staging_target_path), &request.volume_context["number"]);
                return pod.run(&format!("test -b {node} || busybox mknod {node} b {number}"));
            }
            bind(&format!("/data/{}", request.volume_id), &request.staging_target_path)
        }
        "NodePublishVolume" => {
            let request = NodePublishRequest::decode(body).unwrap();
            if is_device(request.volume_capability.as_ref()) {
                let (node, to) = (format!("{}/node", request.staging_target_path), request.target_path);
                return pod
                    .run(&format!("touch {to}; grep -q ' {to} ' /proc/mounts || mount --bind {node} {to}"));
            }
            match request.staging_target_path.as_str() {
                "" => {
                    let from = format!("/data/{}", request.volume_id);
                    bind(&from, &request.target_path)?;
                    let name = &request.volume_context["csi.storage.k8s.io/pod.name"];
                    pod.run(&format!("echo {name} > {}/pod", request.target_path))
                }
                staging => bind(staging, &request.target_path),
            }
        }
        "NodeUnpublishVolume" => unbind(&NodeUnpublishRequest::decode(body).unwrap().target_path),
        "NodeUnstageVolume" => unbind(&NodeUnstageRequest::decode(body).unwrap().staging_target_path),
        other => Err(Refused { code: 12, message: format!("unknown method {other}") }),
    }
}

fn manifests(backend: &Path, attach: bool) -> String {
    format!(
        "
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {{name: {NAME}}}
spec: {{attachRequired: {attach}, podInfoOnMount: true, volumeLifecycleModes: [Persistent, Ephemeral]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: driver}}
spec:
  selector: {{matchLabels: {{app: driver}}}}
  template:
    metadata: {{labels: {{app: driver}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: driver
          image: busybox:1
          command: [sleep, '3600']
          securityContext: {{privileged: true}}
          volumeMounts:
            - {{name: pods, mountPath: /var/lib/kubelet/pods, mountPropagation: Bidirectional}}
            - {{name: plugins, mountPath: /var/lib/kubelet/plugins, mountPropagation: Bidirectional}}
            - {{name: data, mountPath: /data}}
      volumes:
        - {{name: pods, hostPath: {{path: /var/lib/kubelet/pods, type: Directory}}}}
        - {{name: plugins, hostPath: {{path: /var/lib/kubelet/plugins, type: Directory}}}}
        - {{name: data, hostPath: {{path: {}, type: DirectoryOrCreate}}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: pv}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: ''
  csi: {{driver: {NAME}, volumeHandle: vol-1}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec: {{accessModes: [ReadWriteOnce], storageClassName: '', volumeName: pv, resources: {{requests: {{storage: 1Gi}}}}}}
",
        backend.display()
    )
}

const OF_CLAIM: &str = "persistentVolumeClaim: {claimName: data}";

/// A driver that is installed, and its backend.
fn installed(profile: &str, attach: bool) -> Option<(Appliance, Driver, PathBuf)> {
    let at = appliance(profile)?;
    at.load_busybox();
    let backend = at.home().join("backend");
    at.kubectl_with(&["apply"], &manifests(&backend, attach)).ok("manifests");
    at.kubectl(&["rollout", "status", "ds/driver", "--timeout=60s"]).ok("driver");
    let driver = Driver::start(&at);
    at.until(&["get", "csinodes", "-o", "jsonpath={.items[*].spec.drivers[*].name}"], NAME);
    Some((at, driver, backend))
}

/// What is the node's alone, and no pod's, is unmounted a moment after the pod is gone.
fn until_unmounted(at: &Appliance) {
    let began = Instant::now();
    while !mounts(at).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", mounts(at));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Where something of the driver's is mounted on the machine.
fn mounts(at: &Appliance) -> Vec<String> {
    let root = at.places()[0].join("kubelet");
    let table = at.shell("cat /proc/self/mountinfo").ok("mounts");
    let targets = table.lines().filter_map(|line| line.split(' ').nth(4));
    let is_its = |target: &&str| {
        target.starts_with(root.to_str().unwrap())
            && ["kubernetes.io~csi", "/globalmount", "/volumeDevices/"]
                .iter()
                .any(|part| target.contains(part))
    };
    targets.filter(is_its).map(str::to_owned).collect()
}

#[test]
fn a_driver_mounts_what_pods_ask_for_and_takes_it_back() {
    let Some((at, driver, backend)) = installed("csi", false) else { return };
    // who registers hears of it when the node has its name already
    let began = Instant::now();
    while driver.registered.lock().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "the driver does not hear of it");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(driver.registered.lock().unwrap().as_slice(), ["true "]);
    let shown =
        at.kubectl(&["get", "csinodes", "-o", "jsonpath={.items[*].spec.drivers[*].nodeID}"]).ok("csinode");
    assert_eq!(shown, "e2e-node");
    at.until(&["get", "pvc", "data", "-o", "jsonpath={.status.phase}"], "Bound");
    at.kubectl_with(&["apply"], &pod("one", OF_CLAIM)).ok("pod");
    starts(&at, "one");
    at.kubectl(&["exec", "one", "--", "sh", "-c", "echo kept > /data/file"]).ok("write");
    assert_eq!(std::fs::read_to_string(backend.join("vol-1/file")).unwrap(), "kept\n");
    assert_eq!(mounts(&at).len(), 2, "{:?}", mounts(&at));
    at.kubectl(&["delete", "pod", "one"]).ok("delete");
    until_unmounted(&at);
    assert!(backend.join("vol-1/file").exists());

    // a driver that refuses is heard, and asked again
    driver.refuse(Some("out of order"));
    at.kubectl_with(&["apply"], &pod("two", OF_CLAIM)).ok("pod");
    let event =
        ["get", "events", "--field-selector", "reason=FailedMount", "-o", "jsonpath={.items[0].message}"];
    at.until(
        &event,
        "MountVolume.SetUp failed for volume \"pv\" : rpc error: code = Internal desc = out of order",
    );
    driver.refuse(None);
    starts(&at, "two");
    assert_eq!(at.kubectl(&["exec", "two", "--", "cat", "/data/file"]).ok("read"), "kept\n");

    // the program goes and comes; what is mounted stays
    at.monopod(&["stop"]).ok("stop");
    assert_eq!(mounts(&at).len(), 2);
    at.monopod(&["start"]).ok("start");
    at.until(&["get", "csinodes", "-o", "jsonpath={.items[*].spec.drivers[*].name}"], NAME);
    assert_eq!(at.kubectl(&["exec", "two", "--", "cat", "/data/file"]).ok("read"), "kept\n");

    // it is killed, and what it knew of the mounts is lost
    at.kill_daemon();
    let root = at.places()[0].join("kubelet");
    let lost = at.shell(&format!("find {} -name vol_data.json -print -delete", root.display())).ok("lose");
    assert_eq!(lost.lines().count(), 2, "{lost}");
    assert_eq!(mounts(&at).len(), 2);
    at.monopod(&["start"]).ok("start");
    at.until(&["get", "csinodes", "-o", "jsonpath={.items[*].spec.drivers[*].name}"], NAME);
    assert_eq!(at.kubectl(&["exec", "two", "--", "cat", "/data/file"]).ok("read"), "kept\n");
    at.kubectl(&["delete", "pod", "two"]).ok("delete");
    until_unmounted(&at);

    // one that lives with its pod
    at.kubectl_with(&["apply"], &pod("three", &format!("csi: {{driver: {NAME}}}"))).ok("pod");
    starts(&at, "three");
    assert_eq!(at.kubectl(&["exec", "three", "--", "cat", "/data/pod"]).ok("read"), "three\n");
    at.kubectl(&["delete", "pod", "three"]).ok("delete");
    until_unmounted(&at);

    drop(driver);
    at.until(&["get", "csinodes", "-o", "jsonpath={.items[*].spec.drivers[*].name}"], "");
    // without its driver nothing is mounted, and what is mounted goes with the profile
    let again = Driver::start(&at);
    at.kubectl_with(&["apply"], &pod("four", OF_CLAIM)).ok("pod");
    starts(&at, "four");
    drop(again);
    at.monopod(&["delete"]).ok("delete");
    until_unmounted(&at);
    at.nothing_is_left();
}

#[test]
fn what_must_be_attached_is_attached_first() {
    let Some((at, _driver, _)) = installed("csi-attach", true) else { return };
    at.kubectl_with(&["apply"], &pod("one", OF_CLAIM)).ok("pod");
    let name = at.until_some(&["get", "volumeattachments", "-o", "jsonpath={.items[*].metadata.name}"]);
    let shown = at.kubectl(&["get", "volumeattachments"]).ok("shown");
    assert!(shown.contains(&format!("{NAME}   pv")) && shown.contains("false"), "{shown}");
    let status = |status: &str| {
        let patch = format!("{{\"status\": {status}}}");
        let of = format!("volumeattachment/{name}");
        at.kubectl(&["patch", &of, "--subresource=status", "--type=merge", "-p", &patch]).ok("status");
    };
    // as an attacher says it
    status(
        r#"{"attached": false, "attachError": {"message": "no such disk", "time": "2026-01-01T00:00:00Z"}}"#,
    );
    let event = |reason: &str| {
        let of = format!("reason={reason}");
        at.until_some(&["get", "events", "--field-selector", &of, "-o", "jsonpath={.items[0].message}"])
    };
    assert_eq!(event("FailedAttachVolume"), "AttachVolume.Attach failed for volume \"pv\" : no such disk");
    until_unmounted(&at);
    status(r#"{"attached": true, "attachError": null}"#);
    starts(&at, "one");
    assert_eq!(event("SuccessfulAttachVolume"), "AttachVolume.Attach succeeded for volume \"pv\"");
    let of_node = |field: &str, want: &str| {
        at.until(&["get", "nodes", "-o", &format!("jsonpath={{.items[0].status.{field}}}")], want);
    };
    of_node("volumesInUse[*]", "kubernetes.io/csi/e2e.example^vol-1");
    of_node("volumesAttached[*].name", "kubernetes.io/csi/e2e.example^vol-1");
    at.kubectl(&["delete", "pod", "one"]).ok("delete");
    at.until(&["get", "volumeattachments", "-o", "name"], "");
    of_node("volumesInUse[*]", "");
    until_unmounted(&at);
}

const RAW: &str = "
apiVersion: v1
kind: PersistentVolume
metadata: {name: raw}
spec:
  capacity: {storage: 1Mi}
  volumeMode: Block
  accessModes: [ReadWriteOnce]
  storageClassName: ''
  csi: {driver: e2e.example, volumeHandle: vol-2, volumeAttributes: {number: 'NUMBER'}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: raw}
spec: {volumeMode: Block, accessModes: [ReadWriteOnce], storageClassName: '', volumeName: raw, resources: {requests: {storage: 1Mi}}}
";

fn device_pod(name: &str) -> String {
    pod(name, "persistentVolumeClaim: {claimName: raw}").replace(
        "volumeMounts: [{name: v, mountPath: /data}]",
        "volumeDevices: [{name: v, devicePath: /dev/xvda}]",
    )
}

/// Nothing is left of devices in the kubelet's directory, a moment after the last pod is gone.
fn until_nothing_is_left(at: &Appliance) {
    until_unmounted(at);
    let below = at.places()[0].join("kubelet/plugins/kubernetes.io/csi/volumeDevices");
    at.until_shell(&format!("find {} -mindepth 2", below.display()), "");
}

#[test]
fn a_driver_gives_pods_devices_and_takes_them_back() {
    if !has_loop_devices() {
        return;
    }
    let Some((at, driver, _)) = installed("csi-devices", false) else { return };
    let disk = Disk::new(&at.home().join("disk"), 1 << 20);
    at.kubectl_with(&["apply"], &RAW.replace("NUMBER", &disk.number())).ok("claim");
    let reads = |pod: &str| {
        at.kubectl(&["exec", pod, "--", "sh", "-c", "test -b /dev/xvda && head -n 1 /dev/xvda"]).ok(pod)
    };
    at.kubectl_with(&["apply"], &device_pod("one")).ok("pod");
    starts(&at, "one");
    at.kubectl(&["exec", "one", "--", "sh", "-c", "echo kept > /dev/xvda"]).ok("write");
    assert!(std::fs::read(&disk.path).unwrap().starts_with(b"kept\n"));
    at.kubectl_with(&["apply"], &device_pod("two")).ok("pod");
    starts(&at, "two");
    assert_eq!((reads("two").as_str(), mounts(&at).len()), ("kept\n", 2), "{:?}", mounts(&at));
    at.kubectl(&["delete", "pod", "one"]).ok("delete");
    assert_eq!((reads("two").as_str(), mounts(&at).len()), ("kept\n", 1), "{:?}", mounts(&at));

    // it is killed, and what it knew of the device is lost
    at.kill_daemon();
    let root = at.places()[0].join("kubelet");
    let lost = at.shell(&format!("find {} -name vol_data.json -print -delete", root.display())).ok("lose");
    assert_eq!(lost.lines().count(), 2, "{lost}");
    at.monopod(&["start"]).ok("start");
    at.until(&["get", "csinodes", "-o", "jsonpath={.items[*].spec.drivers[*].name}"], NAME);
    assert_eq!(reads("two"), "kept\n");
    at.kubectl(&["delete", "pod", "two"]).ok("delete");
    until_nothing_is_left(&at);

    // a driver that refuses is heard, and asked again
    driver.refuse(Some("out of order"));
    at.kubectl_with(&["apply"], &device_pod("three")).ok("pod");
    let event =
        ["get", "events", "--field-selector", "reason=FailedMapVolume", "-o", "jsonpath={.items[0].message}"];
    at.until(
        &event,
        "MapVolume.MapPodDevice failed for volume \"raw\" : rpc error: code = Internal desc = out of order",
    );
    driver.refuse(None);
    starts(&at, "three");
    assert_eq!(reads("three"), "kept\n");
    at.monopod(&["delete"]).ok("delete");
    until_unmounted(&at);
    at.nothing_is_left();
}
