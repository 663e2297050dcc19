//! Upstream's StorageObjectInUseProtection: claims and volumes that are in use do not go, for controllers take these finalizers away.

use super::plugin::{Plugin, Step};
use super::review::Review;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kinds::{Instance, volume};

pub(super) struct StorageObjectInUseProtection;

#[async_trait]
impl Plugin for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit
            && (review.creates::<PersistentVolumeClaim>() || review.creates::<PersistentVolume>())
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        if let Some(new) = review.draft.new_mut() {
            protect(new);
        }
        Ok(())
    }
}

fn protect(object: &mut dyn Instance) {
    let finalizer = match () {
        () if object.downcast_ref::<PersistentVolumeClaim>().is_some() => volume::CLAIM_FINALIZER,
        () if object.downcast_ref::<PersistentVolume>().is_some() => volume::VOLUME_FINALIZER,
        () => return,
    };
    if !volume::has_finalizer(object.meta(), finalizer) {
        object.meta_mut().finalizers.get_or_insert_default().push(finalizer.to_owned());
    }
}
