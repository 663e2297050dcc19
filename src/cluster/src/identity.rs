//! What somebody hears who names no object, one that is gone, or another of the same name.

use crate::Target;
use ::api::Status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Upstream's `checkName`: a body that leaves the name out has none, whatever the path says.
pub(crate) fn check_name(meta: &ObjectMeta, target: &Target) -> Result<(), Status> {
    let on_url = target.name.as_deref().unwrap_or_default();
    match meta.name.as_deref().unwrap_or_default() {
        "" => Err(Status::bad_request(format!(
            "the name of the object ({on_url} based on URL) was undeterminable: name must be provided"
        ))),
        given if given != on_url => Err(other_name(given, on_url)),
        _ => Ok(()),
    }
}

pub(crate) fn other_name(given: &str, on_url: &str) -> Status {
    Status::bad_request(format!(
        "the name of the object ({given}) does not match the name on the URL ({on_url})"
    ))
}

/// Upstream's `InvalidObjError` of a storage precondition, which names the object by its key in etcd.
pub(crate) fn uid_conflict(target: &Target, asked: &str, stored: &str) -> Status {
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
         precondition: {asked}, UID in object meta: {stored}",
        key(target)
    );
    Status::conflict(&target.group_resource(), target.name.as_deref().unwrap_or_default(), why)
}

/// Of custom kinds the group stands there as well.
fn key(target: &Target) -> String {
    let resource = target.group_resource();
    let mut parts = vec!["/registry"];
    if target.version.published_schema().is_some() {
        parts.push(&resource.group);
    }
    parts.push(&resource.resource);
    parts.extend(target.namespace.as_deref());
    parts.extend(target.name.as_deref());
    parts.join("/")
}
