//! `/metrics`: of the kubelet itself, what dashboards and alerts for nodes ask first.

use super::exposition::{Exposition, unix};
use crate::measure::Measured;

pub fn page(measured: &Measured) -> String {
    let mut out = Exposition::default();
    let version = api::KUBERNETES_VERSION;
    let name = "kubernetes_build_info";
    out.metric(name, "gauge", "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.");
    out.value(
        name,
        &[("git_version", version.git), ("major", version.major), ("minor", version.minor)],
        1,
        None,
    );
    let name = "kubelet_node_name";
    out.metric(name, "gauge", "[ALPHA] The node's name. The count is always 1.");
    out.value(name, &[("node", &measured.node)], 1, None);
    let name = "kubelet_running_pods";
    out.metric(name, "gauge", "[ALPHA] Number of pods that have a running pod sandbox");
    out.value(name, &[], measured.pods.len(), None);
    let name = "kubelet_running_containers";
    out.metric(name, "gauge", "[ALPHA] Number of containers currently running");
    let running: usize = measured.pods.iter().map(|pod| pod.containers.len()).sum();
    out.value(name, &[("container_state", "running")], running, None);
    let name = "node_boot_time_seconds";
    out.metric(name, "gauge", "Node boot time, in unixtime.");
    out.value(name, &[], unix(measured.booted_at), None);
    out.into_text()
}
