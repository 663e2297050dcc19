//! Drivers that want to be asked again and again while a pod has their volumes (CSIDriver's `requiresRepublish`).

use super::volume;
use crate::pod;
use crate::shared::Shared;
use k8s_openapi::api::core::v1::Pod;

/// Whether a driver of the pod's wants to be asked again and again.
pub(crate) fn is_republished(shared: &Shared, pod: &Pod) -> bool {
    let volumes = pod::spec(pod).volumes.iter().flatten();
    let drivers = volumes.filter_map(|volume| volume::driver_of(pod, volume, &shared.sources));
    drivers.filter_map(|driver| shared.csi.object(&driver)).any(|of| of.spec.requires_republish == Some(true))
}
