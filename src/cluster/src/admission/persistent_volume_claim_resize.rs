//! Upstream's DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize.

use crate::{Cluster, Target};
use ::api::{ObjectKey, Status};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::{Instance, TypedKind, volume};
use std::sync::Arc;
use store::Resource;

/// Of the classes that are the default one.
pub(crate) const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// A claim that names no class is of the default one.
pub(super) fn default_class(cluster: &Cluster, object: &mut dyn Instance) {
    let Some(claim) = object.downcast_mut::<PersistentVolumeClaim>() else { return };
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

/// What is in use does not go: controllers take these finalizers away.
pub(super) fn protect(object: &mut dyn Instance) {
    let finalizer = match () {
        () if object.downcast_ref::<PersistentVolumeClaim>().is_some() => volume::CLAIM_FINALIZER,
        () if object.downcast_ref::<PersistentVolume>().is_some() => volume::VOLUME_FINALIZER,
        () => return,
    };
    if !volume::has_finalizer(object.meta(), finalizer) {
        object.meta_mut().finalizers.get_or_insert_default().push(finalizer.to_owned());
    }
}

/// A claim may ask for more when it is bound, and its class allows it.
pub(super) fn may_grow(
    cluster: &Cluster,
    target: &Target,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<(), Status> {
    let new = new.downcast_ref::<PersistentVolumeClaim>();
    let old = old.and_then(|old| old.downcast_ref::<PersistentVolumeClaim>());
    let (None, Some(new), Some(old)) = (target.subresource, new, old) else { return Ok(()) };
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
