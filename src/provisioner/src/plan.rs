//! What a claim or a volume needs of us. Pure.

use cluster::{STORAGE_PROVISIONER, subject};
use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume,
    PersistentVolumeClaim, PersistentVolumeSpec, VolumeNodeAffinity,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use kinds::volume;
use std::path::Path;

/// Holds a volume until its directory is gone; the name that upstream's provisioners use.
pub(crate) const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";
const HOST_NAME: &str = "kubernetes.io/hostname";

/// Whether the claim waits for a volume of ours.
pub(crate) fn is_asked(claim: &PersistentVolumeClaim, class: Option<&StorageClass>) -> bool {
    let asked = |key| volume::annotation(&claim.metadata, key) == Some(STORAGE_PROVISIONER);
    let is_ours = class.is_some_and(|class| class.provisioner == STORAGE_PROVISIONER);
    let is_placed = !volume::waits_for_consumer(class)
        || volume::annotation(&claim.metadata, volume::SELECTED_NODE).is_some();
    is_ours
        && is_placed
        && volume::volume_name(claim).is_empty()
        && claim.metadata.deletion_timestamp.is_none()
        && (asked(volume::PROVISIONER) || asked(volume::OLD_PROVISIONER))
}

/// The name of the volume, and of its directory; `None` where the uid is none, which the API server gives.
pub(crate) fn name(claim: &PersistentVolumeClaim) -> Option<String> {
    let uid = claim.metadata.uid.as_deref()?;
    uuid::Uuid::parse_str(uid).ok().map(|uid| format!("pvc-{}", uid.hyphenated()))
}

/// Why no volume can be made for the claim, whatever is tried.
pub(crate) fn refusal(claim: &PersistentVolumeClaim) -> Option<&'static str> {
    let spec = claim.spec.as_ref()?;
    spec.selector.is_some().then_some("claim Selector is not supported")
}

/// What a volume is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    Directory,
    /// Of so many bytes: pods have it as a device.
    File(u64),
}

impl Medium {
    pub(crate) fn of_claim(claim: &PersistentVolumeClaim) -> Self {
        Medium::of(volume::mode_of_claim(claim), volume::request(claim).value())
    }

    pub(crate) fn of_volume(of: &PersistentVolume) -> Self {
        Medium::of(volume::mode_of_volume(of), volume::capacity(of).value())
    }

    fn of(mode: &str, bytes: i64) -> Self {
        match mode {
            volume::BLOCK => Medium::File(u64::try_from(bytes).unwrap_or_default()),
            _ => Medium::Directory,
        }
    }
}

/// The volume for the claim, promised to it; on a node, where the claim says on which.
pub(crate) fn volume(
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
    name: &str,
    path: &Path,
) -> PersistentVolume {
    let asked = claim.spec.clone().unwrap_or_default();
    let policy = class.reclaim_policy.clone().unwrap_or_else(|| "Delete".to_owned());
    let mut made = PersistentVolume::default();
    made.metadata.name = Some(name.to_owned());
    volume::annotate(&mut made.metadata, volume::PROVISIONED_BY, STORAGE_PROVISIONER);
    if policy == "Delete" {
        made.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    }
    let requested = asked.resources.and_then(|resources| resources.requests).unwrap_or_default();
    let node = volume::annotation(&claim.metadata, volume::SELECTED_NODE);
    made.spec = Some(PersistentVolumeSpec {
        access_modes: asked.access_modes,
        capacity: requested
            .get_key_value("storage")
            .map(|(key, value)| [(key.clone(), value.clone())].into()),
        claim_ref: Some(subject(claim)),
        host_path: Some(HostPathVolumeSource {
            path: path.to_string_lossy().into_owned(),
            type_: Some(String::new()),
        }),
        mount_options: class.mount_options.clone(),
        node_affinity: node.map(on_node),
        persistent_volume_reclaim_policy: Some(policy),
        storage_class_name: Some(volume::class_of_claim(claim).to_owned()),
        volume_mode: asked.volume_mode,
        ..PersistentVolumeSpec::default()
    });
    made
}

fn on_node(name: &str) -> VolumeNodeAffinity {
    let is_there = NodeSelectorRequirement {
        key: HOST_NAME.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![name.to_owned()]),
    };
    let term = NodeSelectorTerm { match_expressions: Some(vec![is_there]), match_fields: None };
    VolumeNodeAffinity { required: Some(NodeSelector { node_selector_terms: vec![term] }) }
}

/// Whether the volume is one that we made, where we make them: nothing else is ever removed, whatever its annotations say.
pub(crate) fn is_ours(of: &PersistentVolume, below: &Path) -> bool {
    let name = of.metadata.name.as_deref().unwrap_or_default();
    let is_named = name.strip_prefix("pvc-").is_some_and(|uid| uuid::Uuid::parse_str(uid).is_ok());
    let path = of.spec.as_ref().and_then(|spec| spec.host_path.as_ref()).map(|path| path.path.as_str());
    is_named
        && volume::annotation(&of.metadata, volume::PROVISIONED_BY) == Some(STORAGE_PROVISIONER)
        && path.is_some_and(|path| Path::new(path) == below.join(name))
}

/// What is to be done about a volume of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    /// The directory goes, then the object.
    Removed,
    /// The object goes, and the directory stays: its owner said so.
    LetGo,
}

pub(crate) fn fate(of: &PersistentVolume) -> Fate {
    let spec = of.spec.as_ref();
    let deletes = spec.and_then(|s| s.persistent_volume_reclaim_policy.as_deref()) == Some("Delete");
    let phase = of.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let is_going = of.metadata.deletion_timestamp.is_some();
    match (deletes, is_going) {
        (false, true) => Fate::LetGo,
        (false, false) => Fate::Stays,
        // a claim may still use it: another finalizer holds it so long
        (true, true) if !volume::has_finalizer(&of.metadata, volume::VOLUME_FINALIZER) => Fate::Removed,
        (true, _) if phase == "Released" || phase == "Failed" => Fate::Removed,
        _ => Fate::Stays,
    }
}

/// How large the claim's volume should be, as the claim writes it, where that is larger than it is.
pub(crate) fn growth(claim: &PersistentVolumeClaim) -> Option<Amount> {
    let status = claim.status.as_ref();
    let now = kinds::pod::quantity(status.and_then(|status| status.capacity.as_ref()), "storage")?;
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let wanted = resources.and_then(|resources| resources.requests.as_ref()?.get("storage"))?;
    (volume::is_fully_bound(claim) && volume::request(claim) > now).then(|| wanted.clone())
}
