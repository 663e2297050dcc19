//! Upstream's DefaultStorageClass: a claim that names no class is of the default one.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::Cluster;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::{TypedKind, volume};
use std::sync::Arc;
use store::Resource;

/// Of the classes that are the default one.
pub(crate) const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) struct DefaultStorageClass;

#[async_trait]
impl Plugin for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit && review.creates::<PersistentVolumeClaim>()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        if let Some(claim) = review.draft.new_mut().and_then(|new| new.downcast_mut()) {
            give_class(cluster, claim);
        }
        Ok(())
    }
}

fn give_class(cluster: &Cluster, claim: &mut PersistentVolumeClaim) {
    if volume::names_class(claim) {
        return;
    }
    let snapshot = cluster.store().snapshot();
    let resource = Resource::from(&StorageClass::info().storage);
    let classes =
        snapshot.list(&resource, None, None).filter_map(|object| object.decode::<StorageClass>().ok());
    let default = volume::default_class(classes.map(Arc::new));
    let name = default.and_then(|class| class.metadata.name.clone());
    claim.spec.get_or_insert_default().storage_class_name = name;
}
