//! Claims and volumes: what the binder, the scheduler, the kubelet and provisioners ask of them alike. Pure.

use crate::annotations::STORAGE_CLASS;
use crate::builtin::is_default_storage_class;
use crate::{node_affinity, selectors};
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// On a claim: it was bound, once and for all.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On either side: the binder chose the other, not a user.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim: the node that its first pod will run on.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// On a claim: who is asked to make a volume for it.
pub const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// The same, for provisioners that know the old name only.
pub const OLD_PROVISIONER: &str = "volume.beta.kubernetes.io/storage-provisioner";
/// A provisioner of volumes that are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
/// Holds a claim as long as a pod uses it, and a volume as long as it is bound.
pub const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
pub const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
/// `volumeMode` of a device.
pub const BLOCK: &str = "Block";

/// Whether it can be a server of an NFS volume: a name or an address. It becomes an argument of the host's `mount`, which must not
/// take it for an option, a label or a path.
pub fn is_nfs_server(server: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%' | '[' | ']');
    !server.is_empty() && !server.starts_with('-') && server.chars().all(of_name)
}
const FILESYSTEM: &str = "Filesystem";
const STORAGE: &str = "storage";

pub fn annotation<'m>(meta: &'m ObjectMeta, key: &str) -> Option<&'m str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

pub fn annotate(meta: &mut ObjectMeta, key: &str, value: &str) {
    meta.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

pub fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|known| known == finalizer)
}

/// The class that a claim asks for; `""` for none.
pub fn class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    let field = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    annotation(&claim.metadata, STORAGE_CLASS).or(field).unwrap_or_default()
}

/// Whether a claim says of which class it is to be, were it that it is of none.
pub fn names_class(claim: &PersistentVolumeClaim) -> bool {
    annotation(&claim.metadata, STORAGE_CLASS).is_some()
        || claim.spec.as_ref().is_some_and(|spec| spec.storage_class_name.is_some())
}

pub fn class_of_volume(volume: &PersistentVolume) -> &str {
    let field = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    annotation(&volume.metadata, STORAGE_CLASS).or(field).unwrap_or_default()
}

/// The newest of those that are the default, by name where they are of the same second.
pub fn default_class(classes: impl IntoIterator<Item = Arc<StorageClass>>) -> Option<Arc<StorageClass>> {
    let is_default = |class: &Arc<StorageClass>| is_default_storage_class(&class.metadata);
    let mut defaults: Vec<Arc<StorageClass>> = classes.into_iter().filter(is_default).collect();
    defaults.sort_by_key(|class| {
        (std::cmp::Reverse(class.metadata.creation_timestamp.clone()), class.metadata.name.clone())
    });
    defaults.into_iter().next()
}

/// Whether its volumes are only bound when a pod wants them.
pub fn waits_for_consumer(class: Option<&StorageClass>) -> bool {
    class.and_then(|class| class.volume_binding_mode.as_deref()) == Some("WaitForFirstConsumer")
}

pub fn request(claim: &PersistentVolumeClaim) -> Quantity {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    crate::pod::quantity(resources.and_then(|r| r.requests.as_ref()), STORAGE).unwrap_or_default()
}

pub fn capacity(volume: &PersistentVolume) -> Quantity {
    let amounts = volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref());
    crate::pod::quantity(amounts, STORAGE).unwrap_or_default()
}

pub fn volume_name(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default()
}

pub fn phase(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// The claim has its volume, and the binder has said so.
pub fn is_fully_bound(claim: &PersistentVolumeClaim) -> bool {
    !volume_name(claim).is_empty() && annotation(&claim.metadata, BIND_COMPLETED).is_some()
}

/// The volume's reference is to this claim; one that a user wrote has no uid, and is to any of its name.
pub fn is_bound_to(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let Some(reference) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else { return false };
    let uid = reference.uid.as_deref().unwrap_or_default();
    reference.name == claim.metadata.name
        && reference.namespace == claim.metadata.namespace
        && (uid.is_empty() || Some(uid) == claim.metadata.uid.as_deref())
}

fn volume_mode(mode: Option<&String>) -> &str {
    mode.map_or(FILESYSTEM, String::as_str)
}

/// What pods have its volume as.
pub fn mode_of_claim(claim: &PersistentVolumeClaim) -> &str {
    volume_mode(claim.spec.as_ref().and_then(|spec| spec.volume_mode.as_ref()))
}

pub fn mode_of_volume(volume: &PersistentVolume) -> &str {
    volume_mode(volume.spec.as_ref().and_then(|spec| spec.volume_mode.as_ref()))
}

/// Whether pods have the volume as a device.
pub fn is_block(volume: &PersistentVolume) -> bool {
    mode_of_volume(volume) == BLOCK
}

fn modes_of(volume: &PersistentVolume) -> &[String] {
    volume.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default()
}

fn has_modes(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let wanted = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
    wanted.iter().all(|mode| modes_of(volume).contains(mode))
}

fn same_volume_mode(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    mode_of_volume(volume) == mode_of_claim(claim)
}

/// What a claim that names a volume lacks of it: upstream's `checkVolumeSatisfyClaim`.
pub fn mismatch(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<&'static str> {
    if capacity(volume) < request(claim) {
        Some("requested PV is too small")
    } else if class_of_volume(volume) != class_of_claim(claim) {
        Some("storageClassName does not match")
    } else if !same_volume_mode(volume, claim) {
        Some("incompatible volumeMode")
    } else if !has_modes(volume, claim) {
        Some("incompatible accessMode")
    } else {
        None
    }
}

/// Whether the volume can be reached from the node.
pub fn reaches(volume: &PersistentVolume, node: &Node) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    required.is_none_or(|s| s.node_selector_terms.iter().any(|term| node_affinity::matches_term(term, node)))
}

/// Who looks for a volume.
#[derive(Debug, Clone, Copy)]
pub enum Seeker<'n> {
    /// The binder; of a class whose volumes wait for a pod, it takes only what was promised to the claim.
    Binder { is_delayed: bool },
    /// The scheduler, for a pod on this node.
    Scheduler { node: &'n Node, taken: &'n BTreeSet<String> },
}

/// The volume that is promised to the claim, or the smallest of those that are free and fit: with as few access modes
/// beyond those asked for as can be. Upstream's `FindMatchingVolume`.
pub fn find_match<'v>(
    claim: &PersistentVolumeClaim,
    volumes: &'v [Arc<PersistentVolume>],
    seeker: Seeker<'_>,
) -> Option<&'v Arc<PersistentVolume>> {
    let reachable = |volume: &PersistentVolume| match seeker {
        Seeker::Binder { .. } => true,
        Seeker::Scheduler { node, .. } => reaches(volume, node),
    };
    let is_taken = |volume: &PersistentVolume| match seeker {
        Seeker::Binder { .. } => false,
        Seeker::Scheduler { taken, .. } => volume.metadata.name.as_ref().is_some_and(|n| taken.contains(n)),
    };
    let candidates = || {
        volumes.iter().filter(|volume| {
            !is_taken(volume)
                && volume.metadata.deletion_timestamp.is_none()
                && same_volume_mode(volume, claim)
                && has_modes(volume, claim)
                && capacity(volume) >= request(claim)
        })
    };
    if let Some(promised) = candidates().find(|volume| is_bound_to(volume, claim)) {
        // it is this one or none
        return reachable(promised).then_some(promised);
    }
    if matches!(seeker, Seeker::Binder { is_delayed: true }) {
        return None;
    }
    let selector = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = selector.map(|selector| selectors::from_object(selector).ok());
    let selected = |volume: &PersistentVolume| match &selector {
        None => true,
        // a selector that is none finds nothing
        Some(None) => false,
        Some(Some(selector)) => {
            let none = BTreeMap::new();
            selector.matches(volume.metadata.labels.as_ref().unwrap_or(&none))
        }
    };
    let free = candidates().filter(|volume| {
        volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_none())
            && selected(volume)
            && class_of_volume(volume) == class_of_claim(claim)
            && reachable(volume)
    });
    free.min_by_key(|volume| {
        let modes: BTreeSet<&String> = modes_of(volume).iter().collect();
        (modes.len(), capacity(volume), volume.metadata.name.clone())
    })
}

/// The claim that stands behind a pod's volume, and whether the pod itself had it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimOfVolume {
    pub name: String,
    pub is_ephemeral: bool,
    pub read_only: bool,
}

pub fn claim_of(pod: &Pod, volume: &Volume) -> Option<ClaimOfVolume> {
    if let Some(source) = &volume.persistent_volume_claim {
        let read_only = source.read_only == Some(true);
        return Some(ClaimOfVolume { name: source.claim_name.clone(), is_ephemeral: false, read_only });
    }
    volume.ephemeral.as_ref()?;
    let pod = pod.metadata.name.as_deref().unwrap_or_default();
    let name = format!("{pod}-{}", volume.name);
    Some(ClaimOfVolume { name, is_ephemeral: true, read_only: false })
}

/// The claims of a pod, in the order of its volumes.
pub fn claims_of(pod: &Pod) -> Vec<ClaimOfVolume> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| claim_of(pod, volume)).collect()
}

/// A claim of a pod's own must be that pod's: else it is somebody's who has a like name.
///
/// # Errors
/// Upstream's words.
pub fn is_for_pod(pod: &Pod, claim: &PersistentVolumeClaim) -> Result<(), String> {
    let owner = claim.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if owner.is_some_and(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref()) {
        return Ok(());
    }
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Err(format!(
        "PVC {}/{} was not created for pod {}/{} (pod is not owner)",
        text(&claim.metadata.namespace),
        text(&claim.metadata.name),
        text(&pod.metadata.namespace),
        text(&pod.metadata.name),
    ))
}

/// Whether a pod has the claim among its volumes. One that was made for a pod of its own is used by that pod only, also where
/// the claim of another would have the same name.
pub fn is_used_by(claim: &PersistentVolumeClaim, pod: &Pod) -> bool {
    let is_it = |used: &ClaimOfVolume| {
        claim.metadata.name.as_ref() == Some(&used.name)
            && (!used.is_ephemeral || is_for_pod(pod, claim).is_ok())
    };
    pod.metadata.namespace == claim.metadata.namespace && claims_of(pod).iter().any(is_it)
}

#[cfg(test)]
mod tests;
