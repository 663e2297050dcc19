//! Upstream's NamespaceLifecycle.

use crate::{Cluster, Target};
use ::api::{Cause, GroupResource, ObjectKey, Status};
use k8s_openapi::api::core::v1::Namespace;
use kinds::TypedKind;
use store::Resource;

const PROTECTED: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Nothing is made in a namespace that is missing or on its way out.
pub(super) fn ensure_exists(cluster: &Cluster, target: &Target, object: &str) -> Result<(), Status> {
    let Some(name) = target.namespace.as_deref() else { return Ok(()) };
    let info = Namespace::info();
    let snapshot = cluster.store().snapshot();
    let namespace = snapshot
        .get(&Resource::from(&info.storage), &ObjectKey::cluster(name))
        .ok_or_else(|| Status::not_found(&info.gvr.group_resource(), name))?;
    if !namespace.meta().is_deleting() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {name} because it is being terminated");
    let mut status = Status::forbidden(&target.group_resource(), object, why);
    status.causes.push(Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {name} is being terminated"),
        field: "metadata.namespace".into(),
    });
    Err(status)
}

pub(super) fn check_delete(target: &Target) -> Result<(), Status> {
    let name = target.name.as_deref().unwrap_or_default();
    let resource = target.group_resource();
    if resource == GroupResource::new("", "namespaces") && PROTECTED.contains(&name) {
        return Err(Status::forbidden(&resource, name, "this namespace may not be deleted"));
    }
    Ok(())
}
