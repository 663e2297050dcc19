//! Volumes that outlive their pods, seen through kubectl.

mod common;

use common::loops::{Disk, has_loop_devices};
use common::volumes::{disk, pod, starts};
use common::{Appliance, appliance};
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};
use std::path::Path;

fn ready(profile: &str) -> Option<Appliance> {
    let at = appliance(profile)?;
    at.load_busybox();
    Some(at)
}

const CLAIM: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

const OF_CLAIM: &str = "persistentVolumeClaim: {claimName: data}";

/// The directory behind a claim.
fn directory(at: &Appliance, claim: &str) -> String {
    let volume = at.until_some(&["get", "pvc", claim, "-o", "jsonpath={.spec.volumeName}"]);
    at.kubectl(&["get", "pv", &volume, "-o", "jsonpath={.spec.hostPath.path}"]).ok("path")
}

#[test]
fn a_claim_is_bound_at_once_and_its_data_outlives_pods_and_the_program() {
    let Some(at) = ready("claims") else { return };
    let shown = at.kubectl(&["get", "sc"]).ok("sc");
    let (head, row) = shown.split_once('\n').unwrap();
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        ["NAME", "PROVISIONER", "RECLAIMPOLICY", "VOLUMEBINDINGMODE", "ALLOWVOLUMEEXPANSION", "AGE"]
    );
    assert!(
        row.starts_with(
            "standard (default)   k8s.io/minikube-hostpath   Delete          Immediate           false"
        ),
        "{row}"
    );
    at.kubectl_with(&["apply"], CLAIM).ok("claim");
    at.until(&["get", "pvc", "data", "-o", "jsonpath={.status.phase}"], "Bound");
    let shown = at.kubectl(&["get", "pvc"]).ok("pvc");
    assert!(
        shown.starts_with("NAME   STATUS   VOLUME")
            && shown.contains("ACCESS MODES   STORAGECLASS   VOLUMEATTRIBUTESCLASS   AGE"),
        "{shown}"
    );
    assert!(
        shown.contains("data   Bound    pvc-")
            && shown.contains("1Gi        RWO            standard       <unset>"),
        "{shown}"
    );
    let shown = at.kubectl(&["get", "pv"]).ok("pv");
    assert!(shown.contains("RECLAIM POLICY   STATUS   CLAIM          STORAGECLASS"), "{shown}");
    assert!(shown.contains("RWO            Delete           Bound    default/data   standard"), "{shown}");
    let path = directory(&at, "data");
    assert!(path.starts_with(at.places()[0].join("volumes").to_str().unwrap()), "{path}");

    at.kubectl_with(&["apply"], &pod("one", OF_CLAIM)).ok("pod");
    starts(&at, "one");
    at.kubectl(&["exec", "one", "--", "sh", "-c", "echo kept > /data/file"]).ok("write");
    // a claim in use waits for its pod
    at.kubectl(&["delete", "pvc", "data", "--wait=false"]).ok("delete");
    let shown = at.kubectl(&["get", "pvc"]).ok("pvc");
    assert!(shown.contains("data   Terminating"), "{shown}");
    at.kubectl(&["delete", "pod", "one"]).ok("pod goes");
    at.until(&["get", "pvc,pv", "-o", "name"], "");
    assert!(!std::path::Path::new(&path).exists(), "the directory goes with the volume");

    at.kubectl_with(&["apply"], CLAIM).ok("another");
    at.kubectl_with(&["apply"], &pod("two", OF_CLAIM)).ok("pod");
    starts(&at, "two");
    at.kubectl(&["exec", "two", "--", "sh", "-c", "echo kept > /data/file"]).ok("write");
    at.kubectl(&["delete", "pod", "two"]).ok("pod goes");
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start");
    at.kubectl_with(&["apply"], &pod("three", OF_CLAIM)).ok("pod");
    starts(&at, "three");
    assert_eq!(at.kubectl(&["exec", "three", "--", "cat", "/data/file"]).ok("read"), "kept\n");
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}

const DATABASE: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsUser: 1001, runAsNonRoot: true, fsGroup: 1001, fsGroupChangePolicy: OnRootMismatch}
      containers:
        - name: db
          image: busybox:1
          command: [sh, -c, 'hostname >> /bitnami/db/names && sleep 3600']
          volumeMounts: [{name: data, mountPath: /bitnami/db, subPath: db}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 8Gi}}}
";

/// Directories in each other, deeper than any path can say, for whoever is `user`.
fn deepen(top: &Path, levels: usize, user: u32) {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut at = nix::fcntl::open(top, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
        at = nix::fcntl::openat(&at, "d", flags, Mode::empty()).unwrap();
        std::os::unix::fs::fchown(&at, Some(user), Some(user)).unwrap();
    }
}

/// What any pod may do that may write to a volume.
#[test]
fn directories_without_an_end_do_not_end_the_program() {
    let Some(at) = ready("deep") else { return };
    let daemon = at.pid();
    // on memory: a journal takes most of a minute for each of them, and on a slow disk longer than kubectl waits
    let disks = ["kubelet/pods", "volumes"].map(|directory| disk(&at, directory, "size=100m,nr_inodes=100k"));
    at.kubectl_with(&["apply"], &pod("deep", "emptyDir: {}")).ok("pod");
    starts(&at, "deep");
    let uid = at.kubectl(&["get", "pod", "deep", "-o", "jsonpath={.metadata.uid}"]).ok("uid");
    let of_pod = at.places()[0].join("kubelet/pods").join(&uid);
    deepen(&of_pod.join("volumes/kubernetes.io~empty-dir/v"), 30_000, 1000);
    at.kubectl(&["delete", "pod", "deep", "--timeout=120s"]).ok("delete");
    assert!(!of_pod.exists());
    // a claim, and what gives all of it to a group
    at.kubectl_with(&["apply"], CLAIM).ok("claim");
    let claimed = directory(&at, "data");
    deepen(Path::new(&claimed), 30_000, 1000);
    let grouped = pod("grouped", OF_CLAIM).replace("spec:\n", "spec:\n  securityContext: {fsGroup: 2000}\n");
    at.kubectl_with(&["apply"], &grouped).ok("a pod with a group");
    told(&at, "grouped", "FailedMount", "more than 256 directories in each other");
    at.kubectl(&["delete", "pod/grouped", "pvc/data", "--timeout=120s"]).ok("delete");
    at.until(&["get", "pvc,pv", "-o", "name"], "");
    assert!(!Path::new(&claimed).exists());
    assert_eq!(at.pid(), daemon, "it is the same program");
    at.monopod(&["stop"]).ok("stop");
    at.shell(&format!("umount {}", disks.join(" "))).ok("take the disks away");
}

#[test]
fn a_database_keeps_its_claims() {
    let Some(at) = ready("database") else { return };
    at.kubectl_with(&["apply"], DATABASE).ok("apply");
    at.kubectl(&["rollout", "status", "sts/db", "--timeout=60s"]).ok("rollout");
    let claims = ["get", "pvc", "-l", "app=db", "-o", "jsonpath={.items[*].metadata.name}"];
    assert_eq!(at.kubectl(&claims).ok("claims"), "data-db-0 data-db-1");
    let path = directory(&at, "data-db-1");
    at.until(&["exec", "db-1", "--", "cat", "/bitnami/db/names"], "db-1");
    let shown =
        at.shell(&format!("stat -c '%u %g %a' {path}/db {path}/db/names; cat {path}/db/names")).ok("stat");
    assert_eq!(shown, "0 1001 2777\n1001 1001 644\ndb-1\n");
    at.kubectl(&["scale", "sts/db", "--replicas=1"]).ok("scale");
    at.until(&["get", "pods", "-o", "name"], "pod/db-0");
    assert_eq!(at.kubectl(&claims).ok("claims"), "data-db-0 data-db-1");
    at.kubectl(&["scale", "sts/db", "--replicas=2"]).ok("scale");
    at.kubectl(&["rollout", "status", "sts/db", "--timeout=60s"]).ok("rollout");
    at.until(&["exec", "db-1", "--", "cat", "/bitnami/db/names"], "db-1\ndb-1");
    // with a policy the claims go with the set
    let policy =
        r#"{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete","whenScaled":"Retain"}}}"#;
    at.kubectl(&["patch", "sts", "db", "-p", policy]).ok("patch");
    at.until(
        &["get", "pvc", "data-db-1", "-o", "jsonpath={.metadata.ownerReferences[*].kind}"],
        "StatefulSet",
    );
    at.kubectl(&["delete", "sts", "db"]).ok("delete");
    at.until(&["get", "pvc,pv", "-o", "name"], "");
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn volumes_by_hand_claims_that_wait_and_claims_of_a_pod() {
    let Some(at) = ready("volumes") else { return };
    let own = at.home().join("own");
    let by_hand = format!(
        "
apiVersion: v1
kind: PersistentVolume
metadata: {{name: by-hand}}
spec:
  capacity: {{storage: 5Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  hostPath: {{path: {}}}
",
        own.display()
    );
    at.kubectl_with(&["apply"], &by_hand).ok("volume");
    at.until(&["get", "pv", "by-hand", "-o", "jsonpath={.status.phase}"], "Available");
    let manual = CLAIM.replace("spec: {", "spec: {storageClassName: manual, ");
    at.kubectl_with(&["apply"], &pod("one", OF_CLAIM)).ok("pod");
    at.until(
        &["get", "pod", "one", "-o", "jsonpath={.status.conditions[?(@.type=='PodScheduled')].message}"],
        "0/1 nodes are available: persistentvolumeclaim \"data\" not found. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    );
    at.kubectl_with(&["apply"], &manual).ok("claim");
    starts(&at, "one");
    at.kubectl(&["exec", "one", "--", "sh", "-c", "echo kept > /data/file"]).ok("write");
    at.kubectl(&["delete", "pod/one", "pvc/data"]).ok("delete");
    at.until(&["get", "pv", "by-hand", "-o", "jsonpath={.status.phase}"], "Released");
    assert_eq!(std::fs::read_to_string(own.join("file")).unwrap(), "kept\n");
    at.kubectl(&["delete", "pv", "by-hand"]).ok("delete");
    assert!(own.join("file").exists(), "what is a user's stays");

    let waits = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: later}
provisioner: k8s.io/minikube-hostpath
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
";
    at.kubectl_with(&["apply"], waits).ok("class");
    at.kubectl_with(&["apply"], &CLAIM.replace("spec: {", "spec: {storageClassName: later, ")).ok("claim");
    at.until_some(&["get", "events", "--field-selector", "reason=WaitForFirstConsumer", "-o", "name"]);
    at.kubectl_with(&["apply"], &pod("two", OF_CLAIM)).ok("pod");
    starts(&at, "two");
    let node = at.kubectl(&["get", "pv", "-o", "jsonpath={.items[0].spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}"]).ok("affinity");
    assert_eq!(node, at.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok("node"));
    let more = r#"{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}"#;
    at.kubectl(&["patch", "pvc", "data", "-p", more]).ok("grow");
    at.until(&["get", "pvc", "data", "-o", "jsonpath={.status.capacity.storage}"], "2Gi");
    let less = at.kubectl(&["patch", "pvc", "data", "-p", &more.replace("2Gi", "1Gi")]).refused("less");
    assert!(less.contains("field can not be less than status.capacity"), "{less}");
    at.kubectl(&["delete", "pod/two", "pvc/data"]).ok("delete");

    let ephemeral = "ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}";
    at.kubectl_with(&["apply"], &pod("own", ephemeral)).ok("pod");
    starts(&at, "own");
    at.kubectl(&["exec", "own", "--", "touch", "/data/file"]).ok("write");
    assert_eq!(at.kubectl(&["get", "pvc", "-o", "name"]).ok("claims"), "persistentvolumeclaim/own-v\n");
    at.kubectl(&["delete", "pod", "own"]).ok("delete");
    at.until(&["get", "pvc,pv", "-o", "name"], "");
}

fn claim(name: &str, source: &str) -> String {
    format!(
        "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}, dataSource: {{{source}}}}}
"
    )
}

const SNAPSHOT: &str = "
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: yesterday}
spec: {source: {persistentVolumeClaimName: data}}
";

#[test]
fn a_claim_begins_with_what_another_holds_or_a_snapshot_has_kept() {
    let Some(at) = ready("snapshots") else { return };
    at.monopod(&["addons", "enable", "volumesnapshots"]).ok("enable");
    at.kubectl_with(&["apply"], CLAIM).ok("claim");
    at.kubectl_with(&["apply"], &pod("one", OF_CLAIM)).ok("pod");
    starts(&at, "one");
    let write =
        "echo old > /data/file; ln -s /etc/passwd /data/link; mkdir -m 1770 /data/d; chown 7:8 /data/d";
    at.kubectl(&["exec", "one", "--", "sh", "-c", write]).ok("write");

    at.kubectl_with(&["apply"], SNAPSHOT).ok("snapshot");
    at.kubectl(&["wait", "vs/yesterday", "--for=jsonpath={.status.readyToUse}=true", "--timeout=60s"])
        .ok("ready");
    let shown = at.kubectl(&["get", "vs"]).ok("vs");
    let (head, row) = shown.split_once('\n').unwrap();
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        [
            "NAME",
            "READYTOUSE",
            "SOURCEPVC",
            "SOURCESNAPSHOTCONTENT",
            "RESTORESIZE",
            "SNAPSHOTCLASS",
            "SNAPSHOTCONTENT",
            "CREATIONTIME",
            "AGE"
        ]
    );
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[..5], ["yesterday", "true", "data", "1Gi", "standard"], "{row}");
    assert!(cells[5].starts_with("snapcontent-"), "{row}");
    at.kubectl(&["exec", "one", "--", "sh", "-c", "echo new > /data/file"]).ok("change");

    let restored =
        claim("restored", "apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: yesterday");
    at.kubectl_with(&["apply"], &restored).ok("restored");
    at.kubectl_with(&["apply"], &claim("clone", "kind: PersistentVolumeClaim, name: data")).ok("clone");
    for (name, want) in [("restored", "old"), ("clone", "new")] {
        at.kubectl_with(&["apply"], &pod(name, &format!("persistentVolumeClaim: {{claimName: {name}}}")))
            .ok(name);
        starts(&at, name);
        let read = "cat /data/file; readlink /data/link; stat -c '%u %g %a' /data/d";
        let seen = at.kubectl(&["exec", name, "--", "sh", "-c", read]).ok(name);
        assert_eq!(seen, format!("{want}\n/etc/passwd\n7 8 1770\n"), "{name}");
    }
    // too small, and of nothing that is there: both are told
    let small = claim("small", "kind: PersistentVolumeClaim, name: data").replace("1Gi", "1Mi");
    at.kubectl_with(&["apply"], &small).ok("small");
    at.kubectl_with(&["apply"], &claim("none", "kind: PersistentVolumeClaim, name: nobody")).ok("none");
    for name in ["small", "none"] {
        let of = format!("involvedObject.name={name},reason=ProvisioningFailed");
        at.until_some(&["get", "events", "--field-selector", &of, "-o", "name"]);
    }
    at.kubectl(&["delete", "pvc", "small", "none"]).ok("delete");

    // all that was made goes with what it was made for, or with the kinds of it
    at.kubectl(&["delete", "pod", "one", "restored", "clone"]).ok("pods");
    at.kubectl(&["delete", "vs", "yesterday"]).ok("snapshot");
    at.until(&["get", "vs,vsc", "-o", "name"], "");
    at.kubectl_with(&["apply"], &SNAPSHOT.replace("yesterday", "today")).ok("another");
    at.kubectl(&["wait", "vs/today", "--for=jsonpath={.status.readyToUse}=true", "--timeout=60s"])
        .ok("ready");
    let state = at.places()[0].clone();
    let list = format!("ls -A {0}/volumes {0}/snapshots", state.display());
    assert!(at.shell(&list).ok("ls").contains("\nsnapshot-"));
    at.monopod(&["addons", "disable", "volumesnapshots"]).ok("disable");
    at.until(&["get", "crd", "-o", "name"], "");
    at.kubectl(&["delete", "pvc", "data", "restored", "clone"]).ok("claims");
    at.until(&["get", "pvc,pv", "-o", "name"], "");
    at.until_shell(&list, &format!("{0}/snapshots:\n\n{0}/volumes:\n", state.display()));
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}

const GROWING: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: growing}
provisioner: k8s.io/minikube-hostpath
allowVolumeExpansion: true
";

/// `more`: what else its spec says.
fn device_claim(name: &str, more: &str) -> String {
    format!(
        "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec: {{volumeMode: Block, accessModes: [ReadWriteOnce], storageClassName: growing, resources: {{requests: {{storage: 16Mi}}}}{more}}}
"
    )
}

/// Has the claim as a device, which its init container has written to where `writes` says what.
fn device_pod(name: &str, claim: &str, writes: &str) -> String {
    let init = match writes {
        "" => String::new(),
        what => format!(
            "initContainers: [{{name: i, image: 'busybox:1', command: [sh, -c, 'echo {what} > /mnt/disk'], volumeDevices: [{{name: v, devicePath: /mnt/disk}}]}}]"
        ),
    };
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  {init}
  containers: [{{name: c, image: 'busybox:1', command: [sleep, '3600'], volumeDevices: [{{name: v, devicePath: /dev/xvda}}]}}]
  volumes: [{{name: v, persistentVolumeClaim: {{{claim}}}}}]
"
    )
}

fn reads(at: &Appliance, pod: &str) -> String {
    at.kubectl(&["exec", pod, "--", "sh", "-c", "test -b /dev/xvda && head -n 1 /dev/xvda"]).ok(pod)
}

fn size(at: &Appliance, pod: &str) -> String {
    at.kubectl(&["exec", pod, "--", "sh", "-c", "wc -c < /dev/xvda"]).ok(pod).trim().to_owned()
}

/// Waits until that is told of the object.
fn told(at: &Appliance, of: &str, reason: &str, message: &str) {
    let selector = format!("involvedObject.name={of},reason={reason}");
    at.until_told(
        &["get", "events", "--field-selector", &selector, "-o", "jsonpath={.items[*].message}"],
        message,
    );
}

#[test]
fn a_claim_is_a_device_as_long_as_a_pod_has_it() {
    if !has_loop_devices() {
        return;
    }
    let Some(at) = ready("devices") else { return };
    at.kubectl_with(&["apply"], GROWING).ok("class");
    at.kubectl_with(&["apply"], &device_claim("raw", "")).ok("claim");
    at.until(&["get", "pvc", "raw", "-o", "jsonpath={.status.phase}"], "Bound");
    let file = directory(&at, "raw");
    assert!(std::path::Path::new(&file).is_file() && at.loop_devices().is_empty());
    at.kubectl_with(&["apply"], &device_pod("one", "claimName: raw", "kept")).ok("pod");
    starts(&at, "one");
    assert_eq!(at.loop_devices(), [file.as_str()]);
    assert_eq!((reads(&at, "one").as_str(), size(&at, "one").as_str()), ("kept\n", "16777216"));
    let more = r#"{"spec":{"resources":{"requests":{"storage":"32Mi"}}}}"#;
    at.kubectl(&["patch", "pvc", "raw", "-p", more]).ok("grow");
    at.until(&["get", "pvc", "raw", "-o", "jsonpath={.status.capacity.storage}"], "32Mi");
    assert_eq!(size(&at, "one"), "33554432");

    // one that may only read has the same device
    at.kubectl_with(&["apply"], &device_pod("reader", "claimName: raw, readOnly: true", "")).ok("pod");
    starts(&at, "reader");
    assert_eq!(reads(&at, "reader"), "kept\n");
    at.kubectl(&["exec", "reader", "--", "sh", "-c", "echo x > /dev/xvda"]).refused("a write");
    assert_eq!(at.loop_devices(), [file.as_str()]);

    // a claim is used as what it is
    at.kubectl_with(&["apply"], CLAIM).ok("claim");
    at.kubectl_with(&["apply"], &pod("mounts", "persistentVolumeClaim: {claimName: raw}")).ok("pod");
    at.kubectl_with(&["apply"], &device_pod("maps", "claimName: data", "")).ok("pod");
    told(&at, "mounts", "FailedMount", "volume v has volumeMode Block, but is specified in volumeMounts");
    told(&at, "maps", "FailedMount", "volume v has volumeMode Filesystem, but is specified in volumeDevices");
    at.kubectl(&["delete", "pod", "mounts", "maps", "reader"]).ok("delete");
    assert_eq!(at.loop_devices(), [file.as_str()], "one has it still");
    // a pod can let it go, and has it all the same: its number would be the next claim's
    at.kubectl(&["exec", "one", "--", "busybox", "losetup", "-d", "/dev/xvda"]).ok("let it go");
    assert_eq!(at.loop_devices(), [file.as_str()]);

    // the program is killed, and the pod does not notice
    at.kill_daemon();
    assert_eq!(at.loop_devices(), [file.as_str()], "the pod's shim has it open");
    at.monopod(&["start"]).ok("start");
    at.kubectl_with(&["apply"], &device_pod("two", "claimName: raw", "")).ok("pod");
    starts(&at, "two");
    assert_eq!((reads(&at, "one"), reads(&at, "two")), ("kept\n".to_owned(), "kept\n".to_owned()));
    at.kubectl(&["delete", "pod", "one", "two"]).ok("delete");
    at.until_no_loop_devices();

    // what it held is there for the next, and goes with the claim
    at.kubectl_with(&["apply"], &device_pod("three", "claimName: raw", "")).ok("pod");
    starts(&at, "three");
    assert_eq!((reads(&at, "three").as_str(), size(&at, "three").as_str()), ("kept\n", "33554432"));
    at.kubectl(&["delete", "pod/three", "pvc/raw"]).ok("delete");
    at.until(&["get", "pv", "-o", "jsonpath={.items[?(@.spec.volumeMode=='Block')].metadata.name}"], "");
    assert!(!std::path::Path::new(&file).exists());

    // a cluster that goes takes its devices along
    at.kubectl_with(&["apply"], &device_claim("last", "")).ok("claim");
    at.kubectl_with(&["apply"], &device_pod("last", "claimName: last", "x")).ok("pod");
    starts(&at, "last");
    assert_eq!(at.loop_devices().len(), 1);
    at.monopod(&["stop", "--pods"]).ok("stop");
    at.until_no_loop_devices();
    at.monopod(&["start"]).ok("start");
    at.until(&["exec", "last", "--", "sh", "-c", "head -n 1 /dev/xvda"], "x");
    assert_eq!(at.loop_devices().len(), 1);
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}

#[test]
fn a_device_is_cloned_and_restored_as_a_device() {
    if !has_loop_devices() {
        return;
    }
    let Some(at) = ready("device-copies") else { return };
    at.monopod(&["addons", "enable", "volumesnapshots"]).ok("enable");
    at.kubectl_with(&["apply"], GROWING).ok("class");
    at.kubectl_with(&["apply"], &device_claim("data", "")).ok("claim");
    at.kubectl_with(&["apply"], &device_pod("one", "claimName: data", "old")).ok("pod");
    starts(&at, "one");
    at.kubectl_with(&["apply"], SNAPSHOT).ok("snapshot");
    at.kubectl(&["wait", "vs/yesterday", "--for=jsonpath={.status.readyToUse}=true", "--timeout=60s"])
        .ok("ready");
    at.kubectl(&["exec", "one", "--", "sh", "-c", "echo new > /dev/xvda"]).ok("change");
    let snapshot = "dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: yesterday}";
    let clone = "dataSource: {kind: PersistentVolumeClaim, name: data}";
    for (name, source, want) in [("restored", snapshot, "old\n"), ("clone", clone, "new\n")] {
        at.kubectl_with(&["apply"], &device_claim(name, &format!(", {source}"))).ok(name);
        at.kubectl_with(&["apply"], &device_pod(name, &format!("claimName: {name}"), "")).ok(name);
        starts(&at, name);
        assert_eq!((reads(&at, name).as_str(), size(&at, name).as_str()), (want, "16777216"), "{name}");
    }
    for (name, source, want) in [
        (
            "snapshot-files",
            snapshot,
            "modifies the mode of the source volume but does not have permission to do so",
        ),
        ("clone-files", clone, "Source is Block, but new PVC requested Filesystem"),
    ] {
        let files = device_claim(name, &format!(", {source}")).replace("volumeMode: Block, ", "");
        at.kubectl_with(&["apply"], &files).ok(name);
        told(&at, name, "ProvisioningFailed", want);
    }
    at.kubectl(&["delete", "pod", "one", "restored", "clone"]).ok("pods");
    at.kubectl(&["delete", "pvc", "snapshot-files", "clone-files", "data", "restored", "clone"]).ok("claims");
    at.kubectl(&["delete", "vs", "yesterday"]).ok("snapshot");
    at.until(&["get", "vs,vsc,pvc,pv", "-o", "name"], "");
    let state = at.places()[0].clone();
    let list = format!("ls -A {0}/volumes {0}/snapshots", state.display());
    at.until_shell(&list, &format!("{0}/snapshots:\n\n{0}/volumes:\n", state.display()));
    at.until_no_loop_devices();
}

#[test]
fn a_device_of_the_machine_is_a_volume_by_hand() {
    if !has_loop_devices() {
        return;
    }
    let Some(at) = ready("device-by-hand") else { return };
    let disk = Disk::new(&at.home().join("disk"), 1 << 20);
    let node = at.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok("node");
    let volume = |name: &str, source: &str| {
        format!(
            "
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 1Mi}}
  volumeMode: Block
  accessModes: [ReadWriteOnce]
  storageClassName: ''
  {source}
  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{node}]}}]}}]}}}}
"
        )
    };
    let claim = |name: &str| {
        let claim = device_claim(name, &format!(", volumeName: {name}"));
        claim.replace("storageClassName: growing", "storageClassName: ''").replace("16Mi", "1Mi")
    };
    let path = disk.path.display();
    for (name, source) in
        [("by-path", format!("hostPath: {{path: {path}}}")), ("local", format!("local: {{path: {path}}}"))]
    {
        at.kubectl_with(&["apply"], &volume(name, &source)).ok(name);
        at.kubectl_with(&["apply"], &claim(name)).ok(name);
        at.kubectl_with(&["apply"], &device_pod(name, &format!("claimName: {name}"), name)).ok(name);
        starts(&at, name);
        assert_eq!((reads(&at, name), size(&at, name).as_str()), (format!("{name}\n"), "1048576"));
    }
    // what is none is told, and nothing is made in its place
    let none = at.home().join("none");
    at.kubectl_with(&["apply"], &volume("none", &format!("local: {{path: {}}}", none.display()))).ok("none");
    at.kubectl_with(&["apply"], &claim("none")).ok("none");
    at.kubectl_with(&["apply"], &device_pod("none", "claimName: none", "")).ok("none");
    let want = format!(
        "MapVolume.MapPodDevice failed for volume \"none\" : path \"{}\" does not exist",
        none.display()
    );
    told(&at, "none", "FailedMapVolume", &want);
    assert!(!none.exists());
    // a device is no file system
    at.kubectl_with(&["apply"], &volume("other", &format!("hostPath: {{path: {path}}}"))).ok("other");
    let files =
        claim("files").replace("volumeMode: Block, ", "").replace("volumeName: files", "volumeName: other");
    at.kubectl_with(&["apply"], &files).ok("files");
    let why = "Cannot bind to requested volume \"other\": incompatible volumeMode";
    told(&at, "files", "VolumeMismatch", why);
    at.kubectl(&["delete", "pod", "by-path", "local", "none"]).ok("delete");
    // it is not ours to let go
    assert!(disk.number().starts_with("7 "));
    assert!(std::fs::read(&disk.path).unwrap().starts_with(b"local\n"));
}
