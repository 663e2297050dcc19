//! What somebody hears who means an object that is gone, or another of the same name.

use crate::Target;
use ::api::Status;

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
