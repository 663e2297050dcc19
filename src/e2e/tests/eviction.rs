//! Pods that write more to the disk than they may.

mod common;

use common::{Appliance, appliance};

/// Writes so many MiB to a file, and goes on running.
fn pod(name: &str, file: &str, mib: u32, more: &str, volumes: &str) -> String {
    let fill = format!("dd if=/dev/zero of={file} bs=1M count={mib}; sync; exec sleep 3600");
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
  - {{name: c, image: 'busybox:1', imagePullPolicy: Never, command: [sh, -c, '{fill}'], {more}}}
  volumes: {volumes}
"
    )
}

fn until_evicted(at: &Appliance, pod: &str, why: &str) {
    let status = "jsonpath={.status.phase} {.status.reason}: {.status.message}";
    at.until(&["get", "pod", pod, "-o", status], &format!("Failed Evicted: {why}"));
    let events = format!("involvedObject.name={pod},reason=Evicted");
    let told = "jsonpath={.items[*].type}: {.items[*].message}";
    at.until(&["get", "events", "--field-selector", &events, "-o", told], &format!("Warning: {why}"));
}

#[test]
fn a_pod_that_writes_more_than_it_may_is_evicted_and_gives_back_what_it_has() {
    let Some(at) = appliance("eviction") else { return };
    at.load_busybox();
    let mounts = "volumeMounts: [{name: cache, mountPath: /cache}]";
    let cache = "[{name: cache, emptyDir: {sizeLimit: 10Mi}}]";
    at.kubectl_with(&["apply"], &pod("volume", "/cache/too-much", 16, mounts, cache)).ok("a volume");
    at.kubectl_with(&["apply"], &pod("modest", "/cache/enough", 4, mounts, cache)).ok("a smaller one");
    let limit = "resources: {limits: {ephemeral-storage: 10Mi}}";
    at.kubectl_with(&["apply"], &pod("layer", "/too-much", 16, limit, "[]")).ok("a layer");
    until_evicted(&at, "volume", "Usage of EmptyDir volume \"cache\" exceeds the limit \"10Mi\".");
    let total = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi.";
    until_evicted(&at, "layer", total);
    // both were looked at after it had written all that it writes
    let phase = ["get", "pod", "modest", "-o", "jsonpath={.status.phase}"];
    assert_eq!(at.kubectl(&phase).ok("the modest one"), "Running");
    let state = at.places()[0].display().to_string();
    at.until_shell(&format!("find {state} -name too-much | wc -l"), "0\n");
    assert_eq!(at.shell(&format!("find {state} -name enough | wc -l")).ok("what is kept"), "1\n");
}
