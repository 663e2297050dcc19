//! A pod's volume of a driver, and what the driver is told of it: upstream's words and rules. Pure.

use super::layout::Form;
use crate::pod;
use crate::sources::Sources;
use csi::{Mode, NodeCapabilities, Rpc, VolumeCapability};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, SecretReference, Volume};
use k8s_openapi::api::storage::v1::CSIDriver;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use kinds::volume;
use std::collections::{BTreeMap, HashMap};

const EPHEMERAL: &str = "Ephemeral";
const PERSISTENT: &str = "Persistent";

/// A secret's namespace and name.
pub type SecretKey = (String, String);

#[derive(Debug, Clone, PartialEq)]
pub struct CsiVolume {
    /// As the pod calls it.
    pub name: String,
    /// The PersistentVolume's name; for a volume that lives with its pod, the same as `name`.
    pub spec_name: String,
    pub driver: String,
    pub handle: String,
    pub fs_type: String,
    pub attributes: BTreeMap<String, String>,
    pub access_modes: Option<Vec<String>>,
    pub mount_options: Vec<String>,
    pub read_only: bool,
    pub is_ephemeral: bool,
    pub form: Form,
    pub stage_secret: Option<SecretKey>,
    pub publish_secret: Option<SecretKey>,
    pub expand_secret: Option<SecretKey>,
    /// The volume holds more by now than its claim says.
    pub growth: Option<Growth>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    pub claim: api::ObjectKey,
    /// As the volume writes it.
    pub to: Amount,
    pub bytes: i64,
}

impl CsiVolume {
    /// A volume that lives with its pod; `None` for another kind.
    pub fn of_pod(pod: &Pod, of: &Volume) -> Option<Self> {
        let source = of.csi.as_ref()?;
        let namespace = pod::namespace(pod).to_owned();
        let secret = source.node_publish_secret_ref.as_ref();
        Some(CsiVolume {
            name: of.name.clone(),
            spec_name: of.name.clone(),
            driver: source.driver.clone(),
            handle: kinds::csi::ephemeral_handle(pod::uid(pod), &of.name),
            fs_type: source.fs_type.clone().unwrap_or_default(),
            attributes: source.volume_attributes.clone().unwrap_or_default(),
            access_modes: None,
            mount_options: Vec::new(),
            read_only: source.read_only == Some(true),
            is_ephemeral: true,
            form: Form::Filesystem,
            stage_secret: None,
            publish_secret: secret.map(|secret| (namespace, secret.name.clone())),
            expand_secret: None,
            growth: None,
        })
    }

    /// What a claim of the pod's is bound to; `None` where that is no driver's.
    pub fn of_claim(
        of: &Volume,
        found: &PersistentVolume,
        claim: &PersistentVolumeClaim,
        read_only: bool,
    ) -> Option<Self> {
        let (spec, source) = (found.spec.as_ref()?, kinds::csi::source(found)?);
        Some(CsiVolume {
            name: of.name.clone(),
            spec_name: found.metadata.name.clone().unwrap_or_default(),
            driver: source.driver.clone(),
            handle: source.volume_handle.clone(),
            fs_type: source.fs_type.clone().unwrap_or_default(),
            attributes: source.volume_attributes.clone().unwrap_or_default(),
            access_modes: spec.access_modes.clone(),
            mount_options: spec.mount_options.clone().unwrap_or_default(),
            read_only,
            is_ephemeral: false,
            form: match volume::is_block(found) {
                true => Form::Block,
                false => Form::Filesystem,
            },
            stage_secret: source.node_stage_secret_ref.as_ref().map(key_of),
            publish_secret: source.node_publish_secret_ref.as_ref().map(key_of),
            expand_secret: source.node_expand_secret_ref.as_ref().map(key_of),
            growth: growth(found, claim).filter(|_| !read_only),
        })
    }

    pub fn lifecycle(&self) -> &'static str {
        if self.is_ephemeral { EPHEMERAL } else { PERSISTENT }
    }

    /// # Errors
    /// The driver does not do such volumes, as upstream says it.
    pub fn check_lifecycle(&self, driver: Option<&CSIDriver>) -> Result<(), String> {
        let Some(known) = driver else {
            return match self.is_ephemeral {
                true => Err(format!(
                    "volume mode {EPHEMERAL:?} not supported by driver {} (no CSIDriver object)",
                    self.driver
                )),
                false => Ok(()),
            };
        };
        let modes = known.spec.volume_lifecycle_modes.as_deref().unwrap_or_default();
        let has = |mode: &str| modes.iter().any(|known| known == mode);
        if has(self.lifecycle()) || (modes.is_empty() && !self.is_ephemeral) {
            return Ok(());
        }
        let modes: Vec<String> = modes.iter().map(|mode| format!("{mode:?}")).collect();
        let wanted = self.lifecycle();
        let driver = &self.driver;
        Err(format!(
            "volume mode {wanted:?} not supported by driver {driver} (only supports [{}])",
            modes.join(" ")
        ))
    }

    /// `group`: the pod's fsGroup, for a driver that sees to it itself.
    pub fn capability(&self, can: &NodeCapabilities, group: Option<u32>) -> VolumeCapability {
        if self.form == Form::Block {
            return VolumeCapability::device(self.mode(can));
        }
        let group = group.filter(|_| can.has(Rpc::VolumeMountGroup));
        VolumeCapability::mounted(&self.fs_type, &self.mount_options, group, self.mode(can))
    }

    fn mode(&self, can: &NodeCapabilities) -> Mode {
        let first = self.access_modes.as_ref().and_then(|modes| modes.first());
        let many = can.has(Rpc::SingleNodeMultiWriter);
        match first.map(String::as_str) {
            None | Some("ReadWriteOnce") if many => Mode::SingleNodeMultiWriter,
            None | Some("ReadWriteOnce") => Mode::SingleNodeWriter,
            Some("ReadWriteOncePod") if many => Mode::SingleNodeSingleWriter,
            Some("ReadWriteOncePod") => Mode::SingleNodeWriter,
            Some("ReadOnlyMany") => Mode::MultiNodeReaderOnly,
            Some("ReadWriteMany") => Mode::MultiNodeMultiWriter,
            Some(_) => Mode::Unknown,
        }
    }

    /// Whether the volume's files become the pod's group, and it is for us to see to that. A device has none.
    pub fn is_given(&self, driver: Option<&CSIDriver>, can: &NodeCapabilities) -> bool {
        if self.form == Form::Block || self.read_only || can.has(Rpc::VolumeMountGroup) {
            return false;
        }
        let policy = driver.and_then(|driver| driver.spec.fs_group_policy.as_deref());
        match policy.unwrap_or("ReadWriteOnceWithFSType") {
            "None" => false,
            "File" => true,
            _ if self.fs_type.is_empty() => false,
            _ if self.is_ephemeral => true,
            _ => {
                let mut modes = self.access_modes.iter().flatten();
                modes.any(|mode| matches!(mode.as_str(), "ReadWriteOnce" | "ReadWriteOncePod"))
            }
        }
    }

    /// The volume's own attributes, and the pod's where the driver wants to know them.
    pub fn context(&self, pod: &Pod, driver: Option<&CSIDriver>) -> HashMap<String, String> {
        let mut context: HashMap<String, String> = self.attributes.clone().into_iter().collect();
        if driver.and_then(|driver| driver.spec.pod_info_on_mount) != Some(true) {
            return context;
        }
        let account = pod::spec(pod).service_account_name.as_deref().unwrap_or_default();
        let ephemeral = self.is_ephemeral.to_string();
        context.extend(
            [
                ("pod.name", pod::name(pod)),
                ("pod.namespace", pod::namespace(pod)),
                ("pod.uid", pod::uid(pod)),
                ("serviceAccount.name", account),
                ("ephemeral", &ephemeral),
            ]
            .map(|(key, value)| (format!("csi.storage.k8s.io/{key}"), value.to_owned())),
        );
        context
    }
}

/// The driver of a pod's volume, where it is known already which that is.
pub fn driver_of(pod: &Pod, of: &Volume, sources: &dyn Sources) -> Option<String> {
    if let Some(source) = &of.csi {
        return Some(source.driver.clone());
    }
    let claim = sources.claim(pod::namespace(pod), &volume::claim_of(pod, of)?.name)?;
    let found = sources.volume(volume::volume_name(&claim))?;
    Some(kinds::csi::source(&found)?.driver.clone())
}

fn key_of(reference: &SecretReference) -> SecretKey {
    (reference.namespace.clone().unwrap_or_default(), reference.name.clone().unwrap_or_default())
}

/// Where a resizer waits for the node, or does not say how far it is: nothing is tried again that its driver can not do.
fn growth(found: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<Growth> {
    let statuses = claim.status.as_ref().and_then(|status| status.allocated_resource_statuses.as_ref());
    match statuses.and_then(|statuses| statuses.get("storage")).map(String::as_str) {
        None | Some("" | "NodeResizePending" | "NodeResizeInProgress") => {}
        Some(_) => return None,
    }
    let now = claim.status.as_ref().and_then(|status| status.capacity.as_ref());
    let now = kinds::pod::quantity(now, "storage")?;
    let to = found.spec.as_ref()?.capacity.as_ref()?.get("storage")?.clone();
    let more = volume::capacity(found);
    (more > now).then(|| Growth { claim: kinds::key_of(&claim.metadata), to, bytes: more.value() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod() -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"},
            "spec": {"containers": [], "serviceAccountName": "sa"}}))
        .unwrap()
    }

    fn driver(spec: Value) -> CSIDriver {
        serde_json::from_value(json!({"metadata": {"name": "d.example"}, "spec": spec})).unwrap()
    }

    fn persistent(spec: Value, csi: Value) -> CsiVolume {
        let mut source = json!({"driver": "d.example", "volumeHandle": "h"});
        source.as_object_mut().unwrap().extend(csi.as_object().unwrap().clone());
        let mut whole = json!({"csi": source, "capacity": {"storage": "2Gi"}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let found: PersistentVolume =
            serde_json::from_value(json!({"metadata": {"name": "pv"}, "spec": whole})).unwrap();
        let claim: PersistentVolumeClaim = serde_json::from_value(
            json!({"metadata": {"name": "data", "namespace": "d"}, "status": {"capacity": {"storage": "1Gi"}}}),
        )
        .unwrap();
        let of: Volume = serde_json::from_value(json!({"name": "x"})).unwrap();
        CsiVolume::of_claim(&of, &found, &claim, false).unwrap()
    }

    fn ephemeral(csi: Value) -> CsiVolume {
        let of: Volume = serde_json::from_value(json!({"name": "x", "csi": csi})).unwrap();
        CsiVolume::of_pod(&pod(), &of).unwrap()
    }

    #[test]
    fn what_a_volume_is() {
        let secret = json!({"nodeStageSecretRef": {"name": "s", "namespace": "n"}});
        let of_claim = persistent(json!({}), secret);
        assert_eq!((of_claim.name.as_str(), of_claim.spec_name.as_str()), ("x", "pv"));
        assert_eq!(of_claim.stage_secret, Some(("n".to_owned(), "s".to_owned())));
        let growth = of_claim.growth.unwrap();
        assert_eq!((growth.to.0.as_str(), growth.bytes, &*growth.claim.name), ("2Gi", 2 << 30, "data"));
        let own = ephemeral(json!({"driver": "d.example", "nodePublishSecretRef": {"name": "s"}}));
        assert_eq!(own.publish_secret, Some(("d".to_owned(), "s".to_owned())));
        assert_eq!(own.handle, kinds::csi::ephemeral_handle("u", "x"));
    }

    #[test]
    fn a_node_grows_what_waits_for_it() {
        let cases = [
            (None, true),
            (Some("NodeResizePending"), true),
            (Some("NodeResizeInProgress"), true),
            (Some("NodeResizeInfeasible"), false),
            (Some("ControllerResizeInProgress"), false),
        ];
        let found: PersistentVolume = serde_json::from_value(
            json!({"metadata": {"name": "pv"}, "spec": {"capacity": {"storage": "2Gi"}}}),
        )
        .unwrap();
        for (status, want) in cases {
            let mut claim: PersistentVolumeClaim = serde_json::from_value(
                json!({"metadata": {"name": "data"}, "status": {"capacity": {"storage": "1Gi"}}}),
            )
            .unwrap();
            claim.status.as_mut().unwrap().allocated_resource_statuses =
                status.map(|status| [("storage".to_owned(), status.to_owned())].into());
            assert_eq!(growth(&found, &claim).is_some(), want, "{status:?}");
        }
    }

    #[test]
    fn access_modes_are_the_interfaces_own() {
        let none = NodeCapabilities::new(&[]);
        let many = NodeCapabilities::new(&[Rpc::SingleNodeMultiWriter]);
        let cases = [
            (json!(["ReadWriteOnce"]), &none, Mode::SingleNodeWriter),
            (json!(["ReadWriteOnce", "ReadOnlyMany"]), &many, Mode::SingleNodeMultiWriter),
            (json!(["ReadWriteOncePod"]), &none, Mode::SingleNodeWriter),
            (json!(["ReadWriteOncePod"]), &many, Mode::SingleNodeSingleWriter),
            (json!(["ReadOnlyMany"]), &none, Mode::MultiNodeReaderOnly),
            (json!(["ReadWriteMany"]), &many, Mode::MultiNodeMultiWriter),
            (json!(null), &none, Mode::SingleNodeWriter),
        ];
        for (modes, can, want) in cases {
            let volume = persistent(json!({"accessModes": modes}), json!({"fsType": "ext4"}));
            let capability = volume.capability(can, Some(7));
            assert_eq!((capability.mode(), capability.fs_type()), (want, "ext4"), "{modes}");
            assert!(!capability.is_device(), "{modes}");
            let device = json!({"accessModes": modes, "volumeMode": "Block"});
            let device = persistent(device, json!({"fsType": "ext4"})).capability(can, Some(7));
            assert_eq!((device.mode(), device.fs_type(), device.is_device()), (want, "", true), "{modes}");
        }
    }

    #[test]
    fn whose_files_become_the_groups() {
        let none = NodeCapabilities::new(&[]);
        let itself = NodeCapabilities::new(&[Rpc::VolumeMountGroup]);
        let rwo = || persistent(json!({"accessModes": ["ReadWriteOnce"]}), json!({"fsType": "ext4"}));
        let bare = || persistent(json!({"accessModes": ["ReadWriteOnce"]}), json!({}));
        let rwop = || persistent(json!({"accessModes": ["ReadWriteOncePod"]}), json!({"fsType": "ext4"}));
        let rwx = || persistent(json!({"accessModes": ["ReadWriteMany"]}), json!({"fsType": "ext4"}));
        let read = || CsiVolume { read_only: true, ..rwo() };
        let inline = || ephemeral(json!({"driver": "d", "fsType": "ext4"}));
        let device = || CsiVolume { form: Form::Block, ..rwo() };
        let default = "ReadWriteOnceWithFSType";
        let cases = [
            ("one writer", rwo(), default, &none, true),
            ("one pod", rwop(), default, &none, true),
            ("the driver does it", rwo(), default, &itself, false),
            ("no type", bare(), default, &none, false),
            ("many writers", rwx(), default, &none, false),
            ("lives with its pod", inline(), default, &none, true),
            ("never", rwo(), "None", &none, false),
            ("always", rwx(), "File", &none, true),
            ("read only", read(), "File", &none, false),
            ("a device", device(), "File", &none, false),
        ];
        for (name, volume, policy, can, want) in cases {
            let driver = driver(json!({"fsGroupPolicy": policy}));
            assert_eq!(volume.is_given(Some(&driver), can), want, "{name}");
        }
    }

    #[test]
    fn a_driver_is_told_of_the_pod_where_it_asks() {
        let volume = persistent(json!({}), json!({"volumeAttributes": {"a": "b"}}));
        assert_eq!(volume.context(&pod(), None), HashMap::from([("a".to_owned(), "b".to_owned())]));
        let told = volume.context(&pod(), Some(&driver(json!({"podInfoOnMount": true}))));
        let mut told: Vec<String> = told.iter().map(|(key, value)| format!("{key}={value}")).collect();
        told.sort();
        assert_eq!(
            told,
            [
                "a=b",
                "csi.storage.k8s.io/ephemeral=false",
                "csi.storage.k8s.io/pod.name=p",
                "csi.storage.k8s.io/pod.namespace=d",
                "csi.storage.k8s.io/pod.uid=u",
                "csi.storage.k8s.io/serviceAccount.name=sa"
            ]
        );
    }

    #[test]
    fn how_long_a_volume_lives_is_the_drivers_to_say() {
        let modes = |modes: Value| Some(driver(json!({"volumeLifecycleModes": modes})));
        let cases = [
            ("persistent", persistent(json!({}), json!({})), modes(json!(["Persistent"])), None),
            ("persistent, unknown", persistent(json!({}), json!({})), None, None),
            (
                "ephemeral, unknown",
                ephemeral(json!({"driver": "d.example"})),
                None,
                Some("volume mode \"Ephemeral\" not supported by driver d.example (no CSIDriver object)"),
            ),
            (
                "not ephemeral",
                ephemeral(json!({"driver": "d.example"})),
                modes(json!(["Persistent"])),
                Some(
                    "volume mode \"Ephemeral\" not supported by driver d.example (only supports [\"Persistent\"])",
                ),
            ),
            (
                "both",
                ephemeral(json!({"driver": "d.example"})),
                modes(json!(["Ephemeral", "Persistent"])),
                None,
            ),
        ];
        for (name, volume, driver, want) in cases {
            assert_eq!(volume.check_lifecycle(driver.as_ref()).err().as_deref(), want, "{name}");
        }
    }
}
