//! Pods of tests about volumes.

use super::Appliance;

/// With a volume `v` at /data, whose source `volume` is: `emptyDir: {}`.
pub fn pod(name: &str, volume: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: c, image: 'busybox:1', command: [sleep, '3600'], volumeMounts: [{{name: v, mountPath: /data}}]}}]
  volumes: [{{name: v, {volume}}}]
"
    )
}

pub fn starts(at: &Appliance, pod: &str) {
    at.kubectl(&["wait", "--for=condition=ready", &format!("pod/{pod}"), "--timeout=60s"]).ok(pod);
}
