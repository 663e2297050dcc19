//! `/metrics`: of the kubelet itself, what dashboards and alerts for nodes ask first.

use crate::measure::{Measured, VolumeMeasured};
use crate::pod;
use crate::work_counts::WorkCounts;
use cluster::metrics::{Exposition, unix};
use std::collections::BTreeMap;

/// Name, what it is, and where it stands.
type VolumeMetric = (&'static str, &'static str, fn(&VolumeMeasured) -> Option<u64>);

/// Of each volume behind a claim.
const OF_VOLUMES: [VolumeMetric; 6] = [
    ("capacity_bytes", "Capacity in bytes of the volume", |of| of.bytes.map(|of| of.total)),
    ("available_bytes", "Number of available bytes in the volume", |of| of.bytes.map(|of| of.available)),
    ("used_bytes", "Number of used bytes in the volume", |of| of.bytes.map(|of| of.used)),
    ("inodes", "Maximum number of inodes in the volume", |of| of.inodes.map(|of| of.total)),
    ("inodes_free", "Number of free inodes in the volume", |of| of.inodes.map(|of| of.available)),
    ("inodes_used", "Number of used inodes in the volume", |of| of.inodes.map(|of| of.used)),
];

pub fn page(measured: &Measured, work: &WorkCounts) -> String {
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
    volumes(&mut out, measured);
    work.collect(&mut out);
    out.into_text()
}

fn volumes(out: &mut Exposition, measured: &Measured) {
    // a claim that several pods use is told of once
    let mut claims: BTreeMap<(&str, &str), &VolumeMeasured> = BTreeMap::new();
    for pod in &measured.pods {
        for volume in &pod.volumes {
            if let Some(claim) = &volume.claim {
                claims.entry((pod::namespace(&pod.pod), claim.as_str())).or_insert(volume);
            }
        }
    }
    for (name, help, value) in OF_VOLUMES {
        let all: Vec<_> = claims.iter().filter_map(|(claim, of)| Some((claim, value(of)?))).collect();
        if all.is_empty() {
            continue;
        }
        let name = format!("kubelet_volume_stats_{name}");
        out.metric(&name, "gauge", &format!("[ALPHA] {help}"));
        for (&(namespace, claim), value) in all {
            out.value(&name, &[("namespace", namespace), ("persistentvolumeclaim", claim)], value, None);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn volumes_are_told_of_by_their_claims() {
        let text = super::page(&crate::measure::example(), &super::WorkCounts::default());
        let of_volumes: Vec<&str> =
            text.lines().filter(|line| line.starts_with("kubelet_volume_stats_")).collect();
        let labels = r#"{namespace="shop",persistentvolumeclaim="data-web-0"}"#;
        let want = [
            ("capacity_bytes", 1000),
            ("available_bytes", 650),
            ("used_bytes", 300),
            ("inodes", 64),
            ("inodes_free", 61),
            ("inodes_used", 3),
        ];
        let want = want.map(|(name, value)| format!("kubelet_volume_stats_{name}{labels} {value}"));
        assert_eq!(of_volumes, want);
        assert!(text.contains("# HELP kubelet_volume_stats_used_bytes [ALPHA] Number of used bytes in the volume\n# TYPE kubelet_volume_stats_used_bytes gauge\n"));
    }
}
