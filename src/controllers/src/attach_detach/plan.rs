//! Where a volume is to be attached, and from where detached. Pure.

use super::node_of;
use crate::out_of_service::is_out_of_service;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, Pod};
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kinds::csi;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is known of one volume.
pub(super) struct Seen<'s> {
    /// `None` where it is gone, or was never there.
    pub volume: Option<&'s PersistentVolume>,
    /// Whether its driver's volumes are attached at all.
    pub is_attached: bool,
    /// Those that use it, and have not ended.
    pub pods: &'s [Arc<Pod>],
    /// Those of the volume, whoever made them.
    pub attachments: &'s [Arc<VolumeAttachment>],
    pub nodes: &'s [Arc<Node>],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Attach {
        name: String,
        driver: String,
        node: String,
    },
    /// The name of the VolumeAttachment.
    Detach(String),
}

pub(super) fn plan(seen: &Seen<'_>) -> Vec<Step> {
    let source = seen.volume.and_then(csi::source);
    let wanted: BTreeSet<&str> = match source {
        Some(_) if seen.is_attached => seen.pods.iter().map(|pod| node_of(pod)).collect(),
        _ => BTreeSet::new(),
    };
    let mut steps = Vec::new();
    if let Some(source) = source {
        for node in wanted.iter().filter(|node| find_node(seen, node).is_some()) {
            let name = csi::attachment_name(&source.driver, &source.volume_handle, node);
            // one that is going is made anew when it is gone
            if !seen.attachments.iter().any(|of| of.metadata.name.as_deref() == Some(&name)) {
                let (driver, node) = (source.driver.clone(), (*node).to_owned());
                steps.push(Step::Attach { name, driver, node });
            }
        }
    }
    let unwanted = seen.attachments.iter().filter(|of| {
        is_ours(of)
            && of.metadata.deletion_timestamp.is_none()
            && !wanted.contains(of.spec.node_name.as_str())
    });
    for attachment in unwanted {
        let name = attachment.metadata.name.clone().unwrap_or_default();
        let node = find_node(seen, &attachment.spec.node_name);
        // one that is off has it mounted no longer, whatever it said last
        if node.is_none_or(|node| !csi::is_in_use(node, &name) || is_out_of_service(node)) {
            steps.push(Step::Detach(name));
        }
    }
    steps
}

fn find_node<'s>(seen: &Seen<'s>, name: &str) -> Option<&'s Node> {
    seen.nodes.iter().find(|node| node.metadata.name.as_deref() == Some(name)).map(|node| &**node)
}

/// Those that others made have other names, and are theirs.
fn is_ours(attachment: &VolumeAttachment) -> bool {
    let name = attachment.metadata.name.as_deref().unwrap_or_default();
    let sum = name.strip_prefix("csi-").unwrap_or_default();
    sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn pod(node: Option<&str>) -> Arc<Pod> {
        object(json!({"metadata": {"name": "p"}, "spec": {"containers": [], "nodeName": node}}))
    }

    fn node(name: &str, in_use: &[&str]) -> Arc<Node> {
        object(json!({"metadata": {"name": name}, "status": {"volumesInUse": in_use}}))
    }

    fn attachment(name: &str, node: &str, more: Value) -> Arc<VolumeAttachment> {
        let mut metadata = json!({"name": name});
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object(
            json!({"metadata": metadata, "spec": {"attacher": "d", "nodeName": node, "source": {"persistentVolumeName": "pv"}}}),
        )
    }

    #[test]
    fn where_a_volume_is_attached() {
        let volume: Arc<PersistentVolume> = object(
            json!({"metadata": {"name": "pv"}, "spec": {"csi": {"driver": "d", "volumeHandle": "h"}}}),
        );
        let directory: Arc<PersistentVolume> =
            object(json!({"metadata": {"name": "pv"}, "spec": {"hostPath": {"path": "/x"}}}));
        let name = csi::attachment_name("d", "h", "n");
        let used = csi::unique_name("d", "h");
        let attach = || Step::Attach { name: name.clone(), driver: "d".to_owned(), node: "n".to_owned() };
        let detach = || Step::Detach(name.clone());
        let ours = || attachment(&name, "n", json!({}));
        let going = || attachment(&name, "n", json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}));
        let theirs = || attachment("by-hand", "n", json!({}));
        let idle = || vec![node("n", &[])];
        let busy = || vec![node("n", &[&used])];
        let off = || {
            let taint = json!({"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"});
            vec![object::<Node>(json!({"metadata": {"name": "n"}, "spec": {"taints": [taint]},
                "status": {"volumesInUse": [used]}}))]
        };
        let on = || vec![pod(Some("n"))];
        let cases = [
            ("a pod", Some(&volume), true, on(), vec![], idle(), vec![attach()]),
            (
                "two pods",
                Some(&volume),
                true,
                vec![pod(Some("n")), pod(Some("n"))],
                vec![],
                idle(),
                vec![attach()],
            ),
            ("a pod without a node", Some(&volume), true, vec![pod(None)], vec![], idle(), vec![]),
            ("a node that is gone", Some(&volume), true, on(), vec![], vec![], vec![]),
            ("attached", Some(&volume), true, on(), vec![ours()], idle(), vec![]),
            ("still going", Some(&volume), true, on(), vec![going()], idle(), vec![]),
            ("not attachable", Some(&volume), false, on(), vec![], idle(), vec![]),
            ("a directory", Some(&directory), true, on(), vec![], idle(), vec![]),
            ("no pod", Some(&volume), true, vec![], vec![ours()], idle(), vec![detach()]),
            ("no pod, and mounted", Some(&volume), true, vec![], vec![ours()], busy(), vec![]),
            ("no pod, mounted, and off", Some(&volume), true, vec![], vec![ours()], off(), vec![detach()]),
            ("a pod, and off", Some(&volume), true, on(), vec![ours()], off(), vec![]),
            ("no pod, and no node", Some(&volume), true, vec![], vec![ours()], vec![], vec![detach()]),
            ("no volume", None, true, vec![], vec![ours()], idle(), vec![detach()]),
            ("no volume, and mounted", None, true, vec![], vec![ours()], busy(), vec![]),
            ("going already", Some(&volume), true, vec![], vec![going()], idle(), vec![]),
            ("another's", Some(&volume), true, vec![], vec![theirs()], idle(), vec![]),
        ];
        for (case, volume, is_attached, pods, attachments, nodes, want) in cases {
            let volume = volume.map(|volume| &**volume);
            let seen = Seen { volume, is_attached, pods: &pods, attachments: &attachments, nodes: &nodes };
            assert_eq!(plan(&seen), want, "{case}");
        }
    }
}
