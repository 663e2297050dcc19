//! What the status of a claim may become (`ValidatePersistentVolumeClaimStatusUpdate`). What was written before there were rules for
//! it may stay.

use super::checks::{NOT_NEGATIVE, judged};
use super::names;
use super::volume_checks::STORAGE;
use crate::ErrorList;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::PersistentVolumeClaimStatus;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;

/// How far a growth has come.
const RESIZES: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizePending",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
];

pub(super) fn update(
    new: &PersistentVolumeClaimStatus,
    old: &PersistentVolumeClaimStatus,
    errors: &mut ErrorList,
) {
    for (name, amount) in new.capacity.iter().flatten() {
        not_negative(amount, &format!("status.capacity[{name}]"), errors);
    }
    if new.allocated_resource_statuses != old.allocated_resource_statuses {
        let at = "status.allocatedResourceStatus";
        for (name, resize) in new.allocated_resource_statuses.iter().flatten() {
            resource(name, at, errors);
            if !RESIZES.contains(&resize.as_str()) {
                // upstream names what is resized
                errors.not_supported(at, name.as_str(), &RESIZES);
            }
        }
    }
    if new.allocated_resources != old.allocated_resources {
        let at = "status.allocatedResources";
        for (name, amount) in new.allocated_resources.iter().flatten() {
            if resource(name, at, errors) {
                not_negative(amount, &format!("{at}[{name}]"), errors);
            }
        }
    }
}

/// Of Kubernetes' own resources a volume has one; others have a prefix.
fn resource(name: &str, at: &str, errors: &mut ErrorList) -> bool {
    let before = errors.len();
    judged(names::qualified, name, at, errors);
    let is_native = !name.contains('/') || name.contains("kubernetes.io/");
    if errors.len() == before && is_native && name != STORAGE {
        errors.not_supported(at, name, &[STORAGE]);
    }
    errors.len() == before
}

fn not_negative(amount: &Amount, at: &str, errors: &mut ErrorList) {
    if amount.0.parse::<Quantity>().ok().is_none_or(Quantity::is_negative) {
        errors.invalid(at, amount.0.as_str(), NOT_NEGATIVE);
    }
}
