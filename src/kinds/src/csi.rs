//! Volumes of storage drivers: the names that the kubelet and the attach/detach controller know them by, and what a CSIDriver
//! says of its volumes. Pure.

use crate::volume;
use k8s_openapi::api::core::v1::{
    CSIPersistentVolumeSource, Node, PersistentVolume, PersistentVolumeClaim, Pod,
};
use k8s_openapi::api::storage::v1::CSIDriver;
use sha2::{Digest, Sha256};

/// On a node: what each driver calls it, as JSON.
pub const NODE_ID: &str = "csi.volume.kubernetes.io/nodeid";
/// Before the name of a volume on a node: the plugin that it is of.
const OF_DRIVERS: &str = "kubernetes.io/csi/";

pub fn source(of: &PersistentVolume) -> Option<&CSIPersistentVolumeSource> {
    of.spec.as_ref()?.csi.as_ref()
}

/// As `status.volumesInUse` and `status.volumesAttached` of a node have it.
pub fn unique_name(driver: &str, handle: &str) -> String {
    format!("{OF_DRIVERS}{driver}^{handle}")
}

/// Driver and handle of such a name; `None` for one of another plugin.
pub fn parts_of(unique_name: &str) -> Option<(&str, &str)> {
    // a driver's name has no caret
    unique_name.strip_prefix(OF_DRIVERS)?.split_once('^')
}

/// The VolumeAttachment of a volume on a node: upstream's `getAttachmentName`.
pub fn attachment_name(driver: &str, handle: &str, node: &str) -> String {
    format!("csi-{}", hex(&[handle, driver, node]))
}

/// What a driver is told is the id of a volume that lives with its pod: upstream's `makeVolumeHandle`.
pub fn ephemeral_handle(pod_uid: &str, volume: &str) -> String {
    format!("csi-{}", hex(&[pod_uid, volume]))
}

/// The sum that names a volume's directory on a node.
pub fn handle_sum(handle: &str) -> String {
    hex(&[handle])
}

fn hex(parts: &[&str]) -> String {
    let mut sum = Sha256::new();
    parts.iter().for_each(|part| sum.update(part));
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether volumes are attached before a node mounts them; so it is where a driver does not say.
pub fn is_attached(driver: Option<&CSIDriver>) -> bool {
    driver.and_then(|driver| driver.spec.attach_required) != Some(false)
}

/// Whether a node says that it has the volume of the VolumeAttachment mounted, or is about to. Which volume that is need not be
/// known: it may be gone already.
pub fn is_in_use(node: &Node, attachment: &str) -> bool {
    let on = node.metadata.name.as_deref().unwrap_or_default();
    let used = node.status.iter().flat_map(|status| status.volumes_in_use.iter().flatten());
    let mut used = used.filter_map(|name| parts_of(name));
    used.any(|(driver, handle)| attachment_name(driver, handle, on) == attachment)
}

/// The pod uses the claim, and the claim has this very volume.
pub fn uses(pod: &Pod, claim: &PersistentVolumeClaim, of: &PersistentVolume) -> bool {
    volume::is_used_by(claim, pod)
        && of.metadata.name.as_deref() == Some(volume::volume_name(claim))
        && volume::is_bound_to(of, claim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn names_are_upstreams() {
        assert_eq!(unique_name("d.example", "h"), "kubernetes.io/csi/d.example^h");
        assert_eq!(parts_of("kubernetes.io/csi/d.example^a^b"), Some(("d.example", "a^b")));
        assert_eq!(parts_of("kubernetes.io/nfs/x"), None);
        // sha256 of "handledrivernode", by sha256sum
        assert_eq!(
            attachment_name("driver", "handle", "node"),
            "csi-fdef298eb16db6fa42906ef1ff09a93a7f3028f8290cc9d71628ff91c237bfa7"
        );
        assert_eq!(
            ephemeral_handle("uid", "volume"),
            "csi-92e46516884a4883ad0afc376551bf6070771b111d05a35f85671e53699885cc"
        );
        assert_eq!(handle_sum("handle"), "c2a116aa910d147bd5bdacc2f1cc4430148955f450654ed756e9c93de1b1e1d2");
    }

    #[test]
    fn a_volume_in_use_is_known_by_its_attachment() {
        let node: Node = serde_json::from_value(json!({"metadata": {"name": "n"},
            "status": {"volumesInUse": ["kubernetes.io/other/x", unique_name("d.example", "a^b")]}}))
        .unwrap();
        let cases = [
            ("d.example", "a^b", "n", true),
            ("d.example", "a", "n", false),
            ("d.example", "a^b", "m", false),
        ];
        for (driver, handle, on, want) in cases {
            assert_eq!(is_in_use(&node, &attachment_name(driver, handle, on)), want, "{handle} on {on}");
        }
    }

    #[test]
    fn who_does_not_say_otherwise_attaches() {
        let driver =
            |spec: Value| serde_json::from_value::<CSIDriver>(json!({"metadata": {}, "spec": spec})).unwrap();
        let cases = [
            ("no object", None, true),
            ("silent", Some(driver(json!({}))), true),
            ("yes", Some(driver(json!({"attachRequired": true}))), true),
            ("no", Some(driver(json!({"attachRequired": false}))), false),
        ];
        for (name, driver, want) in cases {
            assert_eq!(is_attached(driver.as_ref()), want, "{name}");
        }
    }

    #[test]
    fn a_pod_uses_what_its_claim_is_bound_to() {
        let pod = |volumes: Value| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "d", "uid": "p1"},
                "spec": {"containers": [], "volumes": volumes}}))
            .unwrap()
        };
        let of = |uid: &str| -> PersistentVolume {
            serde_json::from_value(json!({"metadata": {"name": "v"},
                "spec": {"claimRef": {"name": "data", "namespace": "d", "uid": uid}}}))
            .unwrap()
        };
        let claim: PersistentVolumeClaim = serde_json::from_value(json!({
            "metadata": {"name": "data", "namespace": "d", "uid": "u"}, "spec": {"volumeName": "v"}}))
        .unwrap();
        let named = json!([{"name": "x", "persistentVolumeClaim": {"claimName": "data"}}]);
        let cases = [
            ("its claim", named.clone(), "u", true),
            (
                "another claim's",
                json!([{"name": "x", "persistentVolumeClaim": {"claimName": "other"}}]),
                "u",
                false,
            ),
            ("an older claim's volume", named, "before", false),
            ("none", json!([]), "u", false),
        ];
        for (name, volumes, uid, want) in cases {
            assert_eq!(uses(&pod(volumes), &claim, &of(uid)), want, "{name}");
        }
    }
}
