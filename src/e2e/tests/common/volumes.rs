//! Pods of tests about volumes, and the disks that those lie on.

use super::Appliance;

/// With a volume `v` at /data, whose source `volume` is: `emptyDir: {}`.
pub fn pod(name: &str, volume: &str) -> String {
    pod_with(name, &[("v", "/data", volume)], "")
}

/// With volumes of these names, mount paths and sources; `more`: further fields of the spec.
pub fn pod_with(name: &str, volumes: &[(&str, &str, &str)], more: &str) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    let mounts =
        joined(volumes.iter().map(|(name, at, _)| format!("{{name: {name}, mountPath: {at}}}")).collect());
    let sources =
        joined(volumes.iter().map(|(name, _, source)| format!("{{name: {name}, {source}}}")).collect());
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: c, image: 'busybox:1', command: [sleep, '3600'], volumeMounts: [{mounts}]}}]
  volumes: [{sources}]
  {more}
"
    )
}

pub fn starts(at: &Appliance, pod: &str) {
    at.kubectl(&["wait", "--for=condition=ready", &format!("pod/{pod}"), "--timeout=60s"]).ok(pod);
}

/// A tmpfs with these options at a directory of the state; its path. It is the test's to unmount.
pub fn disk(at: &Appliance, directory: &str, options: &str) -> String {
    let path = at.places()[0].join(directory).display().to_string();
    at.shell(&format!("mkdir -p {path} && mount -t tmpfs -o {options},mode=700 none {path}")).ok("a disk");
    path
}
