//! What a claim's volume begins with: nothing, a copy of another claim's volume, or of a snapshot. Pure.

use crate::plan::is_ours;
use api::ObjectKey;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kinds::data_source::DataSource;
use kinds::{key_of, snapshot, volume};
use std::path::Path;

/// Holds a claim as long as another one is made of it; the name that upstream's provisioners use.
pub(crate) const CLONING: &str = "provisioner.storage.kubernetes.io/cloning-protection";
const CLAIM: &str = "PersistentVolumeClaim";
/// What upstream says of all that one finds out by looking at the volume.
const INVALID: &str = "claim in dataSource not bound or invalid";

/// An object of the claim's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Claim(ObjectKey),
    Snapshot(ObjectKey),
}

impl Source {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Source::Claim(_) => CLAIM,
            Source::Snapshot(_) => snapshot::KIND,
        }
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        match self {
            Source::Claim(key) | Source::Snapshot(key) => key,
        }
    }
}

/// What a claim says that it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    Copy(Source),
    /// Something that a populator fills volumes with: it makes the volume, too.
    Populator(String),
    /// In another namespace.
    Elsewhere(String),
}

pub(crate) fn asked(claim: &PersistentVolumeClaim) -> Asked {
    let Some(of) = DataSource::of(claim) else { return Asked::Nothing };
    if of.namespace != claim.metadata.namespace.as_deref() {
        return Asked::Elsewhere(format!(
            "accessing {} of {} dataSource from {} isn't allowed",
            of.key(),
            of.kind,
            key_of(&claim.metadata),
        ));
    }
    match (of.group, of.kind) {
        ("", CLAIM) => Asked::Copy(Source::Claim(of.key())),
        (snapshot::GROUP, snapshot::KIND) => Asked::Copy(Source::Snapshot(of.key())),
        _ => Asked::Populator(of.kind.to_owned()),
    }
}

/// The source, where there is one that a copy is made of.
pub(crate) fn of(claim: &PersistentVolumeClaim) -> Option<Source> {
    match asked(claim) {
        Asked::Copy(source) => Some(source),
        _ => None,
    }
}

/// The volume that a claim's is to be a copy of. `source` and `held` are the claim that it names, and that one's volume.
///
/// # Errors
/// Why it is not, in the words of upstream's external-provisioner.
pub(crate) fn volume_to_clone(
    claim: &PersistentVolumeClaim,
    name: &str,
    source: Option<&PersistentVolumeClaim>,
    held: Option<&PersistentVolume>,
    below: &Path,
) -> Result<String, String> {
    let Some(source) = source else {
        let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
        return Err(format!(
            "error getting PVC {name} (namespace {namespace:?}) from api server: persistentvolumeclaim {name:?} not found"
        ));
    };
    if volume::phase(source) != "Bound" {
        let phase = volume::phase(source);
        return Err(format!("the PVC DataSource {name} must have a status of Bound.  Got {phase}"));
    }
    if source.metadata.deletion_timestamp.is_some() {
        return Err(format!("the PVC DataSource {name} is currently being deleted"));
    }
    if volume::class_of_claim(source).is_empty() {
        return Err(format!("the source PVC ({name}) storageclass cannot be empty"));
    }
    let (wanted, has) = (volume::request(claim), volume::request(source));
    if wanted < has {
        return Err(format!(
            "error, new PVC request must be greater than or equal in size to the specified PVC data source, requested {} but source is {}",
            wanted.value(),
            has.value()
        ));
    }
    if volume::volume_name(source).is_empty() {
        return Err(format!("volume name is empty in source PVC {name}"));
    }
    let is_bound = |held: &&PersistentVolume| {
        let uid = held.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.as_deref());
        volume::is_bound_to(held, source) && uid == source.metadata.uid.as_deref()
    };
    let held = held.filter(is_bound).filter(|held| is_ours(held, below)).ok_or(INVALID)?;
    let phase = held.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase != Some("Bound") {
        return Err(INVALID.to_owned());
    }
    let (wanted, has) = (volume::mode_of_claim(claim), volume::mode_of_volume(held));
    if wanted != has {
        return Err(format!(
            "the source PVC and destination PVCs must have the same volume mode for cloning.  Source is {has}, but new PVC requested {wanted}"
        ));
    }
    held.metadata.name.clone().ok_or_else(|| INVALID.to_owned())
}

/// Whether one of these claims is still to be made of it.
pub(crate) fn is_being_cloned<'c>(
    source: &ObjectKey,
    mut claims: impl Iterator<Item = &'c PersistentVolumeClaim>,
) -> bool {
    claims.any(|claim| {
        volume::phase(claim) == "Pending" && matches!(of(claim), Some(Source::Claim(key)) if key == *source)
    })
}
