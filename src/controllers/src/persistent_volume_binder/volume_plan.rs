//! What becomes of a volume: upstream's `syncVolume` and `reclaimVolume`. Pure.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kinds::volume;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Phase(&'static str),
    /// It can not be made free again; why, as an event and in its status.
    Fail {
        reason: &'static str,
        message: String,
    },
    /// Its claim has found another: it is free again.
    Unbind,
    /// Its claim has not named it yet.
    LookAtClaim,
    /// Its claim never will: the one is a file system, and the other a device. What is said of each.
    Mismatch {
        of_volume: String,
        of_claim: String,
    },
    /// It stays as it is.
    Nothing,
}

/// `claim`: the one that the volume's reference names, whatever its uid.
pub(super) fn plan(of: &PersistentVolume, claim: Option<&PersistentVolumeClaim>) -> Step {
    let Some(reference) = of.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) else {
        return Step::Phase("Available");
    };
    let uid = reference.uid.as_deref().unwrap_or_default();
    if uid.is_empty() {
        return Step::Phase("Available");
    }
    // a claim of the same name that came later is another one
    let Some(claim) = claim.filter(|claim| claim.metadata.uid.as_deref() == Some(uid)) else {
        return released(of);
    };
    let name = of.metadata.name.as_deref().unwrap_or_default();
    match volume::volume_name(claim) {
        "" if volume::mode_of_volume(of) != volume::mode_of_claim(claim) => {
            let claim = claim.metadata.name.as_deref().unwrap_or_default();
            let why = format!("requested PersistentVolumeClaim {claim:?} due to incompatible volumeMode.");
            Step::Mismatch {
                of_volume: format!("Cannot bind PersistentVolume to {why}"),
                of_claim: format!("Cannot bind PersistentVolume {name:?} to {why}"),
            }
        }
        "" => Step::LookAtClaim,
        named if named == name => Step::Phase("Bound"),
        _ if is_made(of) && policy(of) == "Delete" => released(of),
        _ => Step::Unbind,
    }
}

fn policy(of: &PersistentVolume) -> &str {
    let policy = of.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy.unwrap_or("Retain")
}

/// By a provisioner, which removes it too.
fn is_made(of: &PersistentVolume) -> bool {
    volume::annotation(&of.metadata, volume::PROVISIONED_BY).is_some()
}

fn released(of: &PersistentVolume) -> Step {
    let phase = of.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if phase == "Failed" {
        return Step::Nothing;
    }
    if phase != "Released" {
        return Step::Phase("Released");
    }
    let name = of.metadata.name.as_deref().unwrap_or_default();
    match policy(of) {
        "Delete" if !is_made(of) => Step::Fail {
            reason: "VolumeFailedDelete",
            message: format!(
                "error getting deleter volume plugin for volume \"{name}\": no deletable volume plugin matched"
            ),
        },
        "Recycle" => Step::Fail {
            reason: "VolumeFailedRecycle",
            message: "No recycler plugin found for the volume!".to_owned(),
        },
        _ => Step::Nothing,
    }
}
