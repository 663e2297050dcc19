//! The `scale` of those kinds that have one.

use crate::Instance;
use api::Status;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// `None` for a kind that can not be scaled.
pub fn of(object: &dyn Instance) -> Option<Scale> {
    let (wanted, current, selector) = if let Some(rc) = object.downcast_ref::<ReplicationController>() {
        let spec = rc.spec.as_ref();
        let selector =
            spec.and_then(|s| s.selector.as_ref()).map(|s| crate::selectors::from_map(s).to_string());
        (spec.and_then(|s| s.replicas), rc.status.as_ref().map(|s| s.replicas), selector)
    } else if let Some(rs) = object.downcast_ref::<ReplicaSet>() {
        let spec = rs.spec.as_ref();
        let selector =
            spec.and_then(|s| crate::selectors::from_object(&s.selector).ok()).map(|s| s.to_string());
        (spec.and_then(|s| s.replicas), rs.status.as_ref().map(|s| s.replicas), selector)
    } else if let Some(set) = object.downcast_ref::<StatefulSet>() {
        let spec = set.spec.as_ref();
        let selector =
            spec.and_then(|s| crate::selectors::from_object(&s.selector).ok()).map(|s| s.to_string());
        (spec.and_then(|s| s.replicas), set.status.as_ref().map(|s| s.replicas), selector)
    } else {
        let Some(deployment) = object.downcast_ref::<Deployment>() else { return object.scale_by_path() };
        let spec = deployment.spec.as_ref();
        let selector =
            spec.and_then(|s| crate::selectors::from_object(&s.selector).ok()).map(|s| s.to_string());
        (spec.and_then(|s| s.replicas), deployment.status.as_ref().and_then(|s| s.replicas), selector)
    };
    let meta = object.meta();
    Some(Scale {
        metadata: ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            creation_timestamp: meta.creation_timestamp.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(ScaleSpec { replicas: Some(wanted.unwrap_or(0)) }),
        status: Some(ScaleStatus { replicas: current.unwrap_or(0), selector }),
    })
}

/// Sets the wanted number, with the scale's resourceVersion as precondition.
///
/// # Errors
/// A negative number; a kind that can not be scaled.
pub fn set(object: &mut dyn Instance, scale: &Scale) -> Result<(), Status> {
    let replicas = scale.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0);
    if replicas < 0 {
        let mut errors = crate::Errors::default();
        errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0");
        let name = object.meta().name.clone().unwrap_or_default();
        return Err(Status::invalid(
            &api::Gvk::new("autoscaling", "v1", "Scale"),
            &name,
            errors.into_causes(),
        ));
    }
    object.meta_mut().resource_version.clone_from(&scale.metadata.resource_version);
    let wanted = Some(replicas);
    if let Some(rc) = object.downcast_mut::<ReplicationController>() {
        rc.spec.get_or_insert_default().replicas = wanted;
    } else if let Some(rs) = object.downcast_mut::<ReplicaSet>() {
        rs.spec.get_or_insert_default().replicas = wanted;
    } else if let Some(set) = object.downcast_mut::<StatefulSet>() {
        set.spec.get_or_insert_default().replicas = wanted;
    } else if let Some(deployment) = object.downcast_mut::<Deployment>() {
        deployment.spec.get_or_insert_default().replicas = wanted;
    } else if !object.set_scale_by_path(replicas) {
        return Err(Status::new(api::Reason::NotFound, "the server could not find the requested resource"));
    }
    Ok(())
}
