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
mod tests;
