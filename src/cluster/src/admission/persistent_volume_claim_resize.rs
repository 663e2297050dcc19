//! Upstream's PersistentVolumeClaimResize: a claim may ask for more when it is bound, and its class allows it.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::reservations::Reservations;
use crate::{Cluster, Target};
use ::api::{ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::{TypedKind, volume};
use store::Resource;

pub(super) struct PersistentVolumeClaimResize;

#[async_trait]
impl Plugin for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Validate
            && review.old_object().is_some()
            && review.writes_whole::<PersistentVolumeClaim>()
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let new = review.new_object().and_then(|new| new.downcast_ref());
        let old = review.old_object().and_then(|old| old.downcast_ref());
        match (new, old) {
            (Some(new), Some(old)) => may_grow(review.asked.cluster, review.asked.target, new, old),
            _ => Ok(()),
        }
    }
}

fn may_grow(
    cluster: &Cluster,
    target: &Target,
    new: &PersistentVolumeClaim,
    old: &PersistentVolumeClaim,
) -> Result<(), Status> {
    if volume::request(new) <= volume::request(old) {
        return Ok(());
    }
    let name = new.metadata.name.as_deref().unwrap_or_default();
    let refused = |why: &str| Err(Status::forbidden(&target.group_resource(), name, why));
    if volume::phase(old) != "Bound" {
        return refused("Only bound persistent volume claims can be expanded");
    }
    let resource = Resource::from(&StorageClass::info().storage);
    let key = ObjectKey::cluster(volume::class_of_claim(new));
    let class = cluster.store().snapshot().get(&resource, &key);
    let class = class.and_then(|object| object.decode::<StorageClass>().ok());
    let same_class = volume::class_of_claim(new) == volume::class_of_claim(old);
    if !same_class || class.and_then(|class| class.allow_volume_expansion) != Some(true) {
        return refused(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        );
    }
    Ok(())
}
