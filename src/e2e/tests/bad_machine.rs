//! A machine that lacks something, state that is damaged, a disk that is full: one sentence of cause, one of cure, an exit code.

mod common;

use common::{Answer, Appliance, appliance, unstarted, volumes};

fn says(answer: &Answer, code: i32, words: &[&str]) {
    let said = answer.err();
    assert_eq!(answer.0.status.code(), Some(code), "{said}");
    for word in words.iter().chain(&["why: ", "cure: "]) {
        assert!(said.contains(word), "wanted {word:?} in {said}");
    }
}

fn state(at: &Appliance, file: &str) -> std::path::PathBuf {
    at.places()[0].join(file)
}

#[test]
fn a_missing_program_is_named_and_nothing_is_made() {
    let Some(at) = appliance("missing") else { return };
    at.monopod(&["delete"]).ok("delete");
    let program = std::env::var("MONOPOD_BIN").unwrap();
    let answer = at.shell(&format!("PATH=/nowhere {program} -p e2e-missing start"));
    says(&answer, 11, &["apt-get install nftables"]);
    at.nothing_is_left();
}

#[test]
fn a_check_says_what_is_missing_before_anything_is_started() {
    let Some(at) = appliance("check") else { return };
    let program = std::env::var("MONOPOD_BIN").unwrap();
    let all = at.monopod(&["check"]).ok("check");
    assert!(
        ["root", "cgroups", "overlay", "nft", "nf_tables"]
            .iter()
            .all(|name| all.contains(&format!("ok       {name}: "))),
        "{all}"
    );
    let lacking = at.shell(&format!("PATH=/nowhere {program} -p e2e-check check"));
    assert_eq!(lacking.0.status.code(), Some(11), "{}", lacking.out());
    assert!(
        lacking.out().contains("missing  nft") && lacking.out().contains("cure: install it with"),
        "{}",
        lacking.out()
    );
    let machine = at.monopod(&["check", "-o", "json"]).ok("check for a machine");
    let machine: serde_json::Value = serde_json::from_str(&machine).unwrap();
    assert!(
        machine.as_array().unwrap().iter().any(|one| one["name"] == "memory" && one["state"] == "ok"),
        "{machine}"
    );
}

#[test]
fn ctrl_c_takes_a_start_back() {
    let Some(at) = unstarted("interrupted") else { return };
    let program = std::env::var("MONOPOD_BIN").unwrap();
    // the daemon is still at work when the signal comes: this etcd takes connections, and says nothing
    let etcd = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", etcd.local_addr().unwrap());
    let mut start = at.command(&program);
    start.args(["-p", "e2e-interrupted", "start", "--datastore-endpoint", &endpoint]);
    let start = start.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let settings = state(&at, "settings.json");
    let began = std::time::Instant::now();
    while !settings.exists() {
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "no daemon has begun");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // to the program alone: the daemon has a session of its own by now
    at.shell(&format!("kill -INT {}", start.id())).ok("interrupt");
    says(&Answer(start.wait_with_output().unwrap()), 130, &["start e2e-interrupted", "INTERRUPTED"]);
    assert_eq!(at.monopod(&["status"]).0.status.code(), Some(3), "the daemon has ended");
    at.monopod(&["start"]).ok("and the next start is one as ever");
}

/// Of two starts at once the second finds the first one's daemon when its own daemon begins.
#[test]
fn a_daemon_that_finds_another_one_tells_whom_it_reports_to() {
    let Some(at) = appliance("second") else { return };
    let second = at.monopod(&["start", "--foreground", "--report"]);
    assert!(!second.0.status.success());
    let said = second.out();
    assert!(said.contains("state-in-use") && said.contains("e2e-second is running already"), "{said}");
    assert_eq!(at.monopod(&["status"]).0.status.code(), Some(0), "and leaves that one alone");
}

#[test]
fn damaged_state_is_named_and_left_alone() {
    let Some(at) = appliance("damaged") else { return };
    at.kubectl_with(&["create"], "{apiVersion: v1, kind: ConfigMap, metadata: {name: kept}, data: {a: b}}")
        .ok("create");
    at.monopod(&["stop"]).ok("stop");
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    // the second page is the root of the first table
    let scribbled = |bytes: &mut Vec<u8>| bytes[4096..4296].fill(0x5a);
    let damages: [(&str, &dyn Fn(&mut Vec<u8>)); 2] =
        [("settings.json", &cut), ("store/cluster.db", &scribbled)];
    for (file, damage) in damages {
        let path = state(&at, file);
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damage(&mut damaged);
        std::fs::write(&path, &damaged).unwrap();
        says(&at.monopod(&["start"]), 21, &[path.to_str().unwrap()]);
        assert!(std::fs::read(&path).unwrap() == damaged, "{file} was changed");
        std::fs::write(&path, &whole).unwrap();
    }
    at.monopod(&["start"]).ok("start with the files mended");
    let kept = at.kubectl(&["get", "configmap", "kept", "-o", "jsonpath={.data.a}"]).ok("get");
    assert_eq!(kept, "b");
}

#[test]
fn a_full_disk_is_said_and_what_was_acknowledged_stays() {
    let Some(at) = appliance("full") else { return };
    at.monopod(&["delete"]).ok("delete");
    let directory = at.places()[0].display().to_string();
    at.shell(&format!("mkdir -p {directory} && mount -t tmpfs -o size=6m none {directory}"))
        .ok("a small disk");
    at.monopod(&["start"]).ok("start on a small disk");
    let data = "x".repeat(500_000);
    let map = |n: usize| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: m{n}}}, data: {{a: {data}}}}}")
    };
    // more than it can hold, however much of the journal has been taken into the file by then
    let written = (0..16).take_while(|n| at.kubectl_with(&["create"], &map(*n)).0.status.success()).count();
    assert!((1..16).contains(&written), "{written} were written to a disk of 6 MB");
    let why = at.kubectl_with(&["create"], &map(written)).refused("no space");
    assert!(why.contains("no space left on the device"), "{why}");
    let all = at.kubectl(&["get", "configmaps", "-o", "name"]).ok("reads go on");
    assert_eq!(all.lines().filter(|name| name.contains("/m")).count(), written, "{all}");
    at.monopod(&["stop"]).ok("stop");
    at.shell(&format!("mount -o remount,size=200m {directory}")).ok("a larger disk");
    at.monopod(&["start"]).ok("start with room");
    let all = at.kubectl(&["get", "configmaps", "-o", "name"]).ok("everything is there");
    assert_eq!(all.lines().filter(|name| name.contains("/m")).count(), written, "{all}");
    at.kubectl_with(&["create"], &map(written)).ok("and there is room again");
    at.monopod(&["delete"]).ok("delete");
    at.shell(&format!("umount {directory} && rmdir {directory}")).ok("take the disk away");
}

/// Waits until that is told of the object.
fn told(at: &Appliance, of: &str, reason: &str, message: &str) {
    let selector = format!("involvedObject.name={of},reason={reason}");
    let messages = ["get", "events", "--field-selector", &selector, "-o", "jsonpath={.items[*].message}"];
    at.until_told(&messages, message);
}

/// With a volume of that source at /data, one of the pod's own at /scratch, and none that needs room for a token.
fn pod_with(name: &str, source: &str) -> String {
    let volumes = [("v", "/data", source), ("scratch", "/scratch", "emptyDir: {}")];
    volumes::pod_with(name, &volumes, "automountServiceAccountToken: false")
}

#[test]
fn a_full_disk_of_volumes_is_told_and_the_rest_goes_on() {
    let Some(at) = appliance("full-volumes") else { return };
    at.load_busybox();
    // room for two directories beside its root
    let volumes = volumes::disk(&at, "volumes", "size=1m,nr_inodes=3");
    let pods = volumes::disk(&at, "kubelet/pods", "size=1m");
    let claim = |name: &str| {
        let claim = format!(
            "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: {name}}}, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}"
        );
        at.kubectl_with(&["create"], &claim).ok(name);
    };
    let bound = |name: &str| at.until(&["get", "pvc", name, "-o", "jsonpath={.status.phase}"], "Bound");
    claim("one");
    bound("one");
    claim("two");
    bound("two");
    claim("three");
    let why = "failed to provision volume with StorageClass \"standard\": No space left on device";
    told(&at, "three", "ProvisioningFailed", why);
    at.kubectl(&["delete", "pvc", "two"]).ok("make room");
    bound("three");
    at.shell(&format!("mount -o remount,size=1m,nr_inodes=100 {volumes}")).ok("room for files");

    // who fills a volume hears of it, and goes on
    at.kubectl_with(&["create"], &pod_with("writer", "persistentVolumeClaim: {claimName: one}")).ok("writer");
    volumes::starts(&at, "writer");
    for directory in ["/data", "/scratch"] {
        let fill = format!("dd if=/dev/zero of={directory}/fill bs=64k count=100");
        let refused = at.kubectl(&["exec", "writer", "--", "sh", "-c", &fill]).refused(directory);
        assert!(refused.contains("No space left on device"), "{directory}: {refused}");
    }
    let large = "x".repeat(200_000);
    let large =
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: large}}, data: {{a: {large}}}}}");
    at.kubectl_with(&["create"], &large).ok("the store is on another disk");
    at.kubectl_with(&["create"], &pod_with("waits", "configMap: {name: large}")).ok("waits");
    told(&at, "waits", "FailedMount", "No space left on device");
    assert_eq!(at.kubectl(&["exec", "writer", "--", "echo", "on"]).ok("the writer goes on"), "on\n");
    at.kubectl(&["exec", "writer", "--", "rm", "/data/fill", "/scratch/fill"]).ok("make room");
    at.kubectl(&["wait", "--for=condition=ready", "pod/waits", "--timeout=60s"]).ok("it starts by itself");

    at.kubectl(&["delete", "pod", "writer", "waits"]).ok("pods");
    at.kubectl(&["delete", "pvc", "one", "three"]).ok("claims");
    at.until(&["get", "pv", "-o", "name"], "");
    at.monopod(&["stop"]).ok("stop");
    at.shell(&format!("umount {volumes} {pods}")).ok("take the disks away");
}

#[test]
fn a_cluster_that_was_stopped_starts_on_a_full_disk_and_images_can_be_removed() {
    let Some(at) = appliance("prune") else { return };
    at.monopod(&["delete"]).ok("delete");
    let directory = at.places()[0].display().to_string();
    at.shell(&format!("mkdir -p {directory} && mount -t tmpfs -o size=80m none {directory}"))
        .ok("a small disk");
    at.monopod(&["start"]).ok("start on a small disk");
    at.load_busybox();
    at.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]).ok("create");
    at.monopod(&["stop"]).ok("stop");
    let full = |how: &str| {
        at.shell(&format!("cat /dev/zero >{directory}/{how}; df --output=avail {directory} | tail -1"))
    };
    assert_eq!(full("filler").out().trim(), "0");
    at.monopod(&["start"]).ok("start without room");
    assert!(at.kubectl(&["get", "configmap", "kept", "-o", "name"]).ok("reads").contains("kept"));
    let pruned = at.monopod(&["image", "prune", "--all"]).ok("prune");
    assert!(!at.monopod(&["image", "ls"]).ok("ls").contains("busybox"), "{pruned}");
    at.kubectl(&["create", "configmap", "new", "--from-literal=a=b"]).ok("there is room again");
    at.monopod(&["stop"]).ok("stop");
    assert_eq!(full("filler2").out().trim(), "0");
    at.monopod(&["start"]).ok("start without room once more");
    at.monopod(&["delete"]).ok("delete on a full disk");
    at.shell(&format!("umount {directory} && rmdir {directory}")).ok("take the disk away");
}

#[test]
fn what_the_store_has_lost_is_said_and_nothing_goes_on_without_a_word() {
    let Some(at) = appliance("lost") else { return };
    at.kubectl(&["create", "configmap", "early", "--from-literal=a=b"]).ok("create");
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start");
    at.kubectl(&["create", "configmap", "late", "--from-literal=a=b"]).ok("create");
    at.kill_daemon();
    let log = state(&at, "store/cluster.db-wal");
    let whole = std::fs::read(&log).unwrap();
    std::fs::write(&log, &whole[..whole.len() / 8]).unwrap();
    let store = state(&at, "store/cluster.db");
    let refused = at.monopod(&["start"]);
    says(&refused, 21, &[store.to_str().unwrap(), "was acknowledged at the revisions", "--accept-loss"]);
    // with the log as it was nothing is lost
    std::fs::write(&log, &whole).unwrap();
    at.monopod(&["start"]).ok("start with the log mended");
    at.kubectl(&["get", "configmaps", "early", "late"]).ok("both are there");
    at.monopod(&["stop"]).ok("stop");

    std::fs::remove_file(&store).unwrap();
    says(&at.monopod(&["start"]), 21, &[store.to_str().unwrap(), "the file is missing, though it held"]);
    // neither is a whole directory that has gone taken for a first start
    std::fs::remove_dir_all(store.parent().unwrap()).unwrap();
    says(&at.monopod(&["start"]), 21, &["the file is missing, though the cluster had one"]);
    let accepted = at.monopod(&["start", "--accept-loss"]);
    assert!(accepted.0.status.success(), "{}", accepted.err());
    assert!(accepted.err().contains("went on with an empty cluster"), "{}", accepted.err());
    at.kubectl(&["get", "configmap", "early"]).refused("an empty cluster");
}

#[test]
fn a_start_on_a_disk_without_room_says_so() {
    let Some(at) = appliance("noroom") else { return };
    at.monopod(&["delete"]).ok("delete");
    let directory = at.places()[0].display().to_string();
    at.shell(&format!("mkdir -p {directory} && mount -t tmpfs -o size=64k none {directory}"))
        .ok("a tiny disk");
    says(&at.monopod(&["start"]), 23, &["no space left"]);
    at.monopod(&["delete"]).ok("delete");
    at.shell(&format!("umount {directory} && rmdir {directory}")).ok("take the disk away");
}

#[test]
fn a_body_that_is_too_large_is_413() {
    let Some(at) = appliance("large") else { return };
    let path = at.home().join("large.json");
    let data = "x".repeat(4 << 20);
    std::fs::write(
        &path,
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"m\"}},\"data\":{{\"a\":\"{data}\"}}}}"),
    )
    .unwrap();
    let why = at.kubectl(&["create", "--validate=false", "-f", path.to_str().unwrap()]).refused("too large");
    assert!(why.contains("too large") || why.contains("413"), "{why}");
}

#[test]
fn a_command_whose_reader_has_gone_ends_without_a_word() {
    let Some(at) = appliance("reader") else { return };
    let program = std::env::var("MONOPOD_BIN").unwrap();
    let pipe = at.home().join("pipe").display().to_string();
    // the only reader opens the pipe and has ended before the program begins
    let line = format!(
        "mkfifo {pipe}; true <{pipe} & exec 3>{pipe}; wait; {program} completion bash >&3; echo $? >&2"
    );
    assert_eq!(at.shell(&line).err(), "141\n");
}
