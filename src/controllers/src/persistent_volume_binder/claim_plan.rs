//! What becomes of a claim: upstream's `syncUnboundClaim` and `syncBoundClaim`. Pure.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::volume::{self, Seeker};
use std::sync::Arc;

/// What is known of the cluster when a claim is looked at.
pub(super) struct Seen<'s> {
    pub claim: &'s PersistentVolumeClaim,
    /// The class that the claim names, where there is one.
    pub class: Option<&'s StorageClass>,
    pub default_class: Option<&'s StorageClass>,
    pub volumes: &'s [Arc<PersistentVolume>],
    /// The volume that the claim names, where there is one.
    pub named: Option<&'s PersistentVolume>,
    /// Pods that use the claim and have no node yet.
    pub waiting_pods: &'s [String],
}

/// An event about the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub is_warning: bool,
    pub reason: &'static str,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Claim and volume name each other, and say so.
    Bind(String),
    /// A default class came after the claim.
    SetClass(String),
    /// Somebody who makes volumes is asked for one.
    Provision {
        provisioner: String,
        said: Said,
    },
    Wait(Said),
    /// It waits, and everybody knows why.
    WaitSilently,
    Lost(Said),
}

pub(super) fn plan(seen: &Seen<'_>) -> Step {
    if volume::annotation(&seen.claim.metadata, volume::BIND_COMPLETED).is_some() {
        bound(seen)
    } else if volume::volume_name(seen.claim).is_empty() {
        unbound(seen)
    } else {
        named(seen)
    }
}

fn bound(seen: &Seen<'_>) -> Step {
    let lost = |reason, message: &str| Step::Lost(warning(reason, message));
    if volume::volume_name(seen.claim).is_empty() {
        return lost(
            "ClaimLost",
            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
        );
    }
    let Some(of) = seen.named else {
        return lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    };
    let reference = of.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    let uid = reference.and_then(|reference| reference.uid.as_deref());
    if reference.is_none() || uid == seen.claim.metadata.uid.as_deref() {
        return Step::Bind(name_of(of));
    }
    lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
}

fn unbound(seen: &Seen<'_>) -> Step {
    let is_delayed = volume::waits_for_consumer(seen.class);
    if let Some(found) = volume::find_match(seen.claim, seen.volumes, Seeker::Binder { is_delayed }) {
        return Step::Bind(name_of(found));
    }
    if let Some(default) = seen.default_class.filter(|_| !volume::names_class(seen.claim)) {
        return Step::SetClass(default.metadata.name.clone().unwrap_or_default());
    }
    if is_delayed && volume::annotation(&seen.claim.metadata, volume::SELECTED_NODE).is_none() {
        return Step::Wait(for_a_pod(seen.waiting_pods));
    }
    match (volume::class_of_claim(seen.claim), seen.class) {
        ("", _) => Step::Wait(normal(
            "FailedBinding",
            "no persistent volumes available for this claim and no storage class is set",
        )),
        (name, None) => {
            let message = format!("storageclass.storage.k8s.io \"{name}\" not found");
            Step::Wait(warning("ProvisioningFailed", &message))
        }
        (_, Some(class)) => provision(&class.provisioner),
    }
}

fn for_a_pod(pods: &[String]) -> Said {
    let message = match pods {
        [] => {
            return normal("WaitForFirstConsumer", "waiting for first consumer to be created before binding");
        }
        [one] => format!("waiting for pod {one} to be scheduled"),
        more => format!("waiting for pods {} to be scheduled", more.join(",")),
    };
    normal("WaitForPodScheduled", &message)
}

fn provision(provisioner: &str) -> Step {
    // upstream's own are built in, and none of them is here
    if provisioner.starts_with("kubernetes.io/") {
        let message = format!("no volume plugin matched name: {provisioner}");
        return Step::Wait(warning("ProvisioningFailed", &message));
    }
    let message = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    Step::Provision { provisioner: provisioner.to_owned(), said: normal("ExternalProvisioning", &message) }
}

/// A claim that names a volume, by its user's wish or because the binder was interrupted.
fn named(seen: &Seen<'_>) -> Step {
    let Some(of) = seen.named else { return Step::WaitSilently };
    let is_free = of.spec.as_ref().is_none_or(|spec| spec.claim_ref.is_none());
    if !is_free && volume::is_bound_to(of, seen.claim) {
        return Step::Bind(name_of(of));
    }
    let name = name_of(of);
    if !is_free {
        return Step::Wait(warning(
            "FailedBinding",
            &format!("volume \"{name}\" already bound to a different claim."),
        ));
    }
    match volume::mismatch(of, seen.claim) {
        Some(why) => {
            let message = format!("Cannot bind to requested volume \"{name}\": {why}");
            Step::Wait(warning("VolumeMismatch", &message))
        }
        None => Step::Bind(name),
    }
}

fn name_of(volume: &PersistentVolume) -> String {
    volume.metadata.name.clone().unwrap_or_default()
}

fn normal(reason: &'static str, message: &str) -> Said {
    Said { is_warning: false, reason, message: message.to_owned() }
}

fn warning(reason: &'static str, message: &str) -> Said {
    Said { is_warning: true, reason, message: message.to_owned() }
}
