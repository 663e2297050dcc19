//! What the system has of an object's metadata, and what of it a client may say.

use crate::Target;
use crate::clock::now;
use crate::identity::{other_name, uid_conflict};
use crate::name_suffix::{self, name_suffix};
use ::api::{ResourceVersion, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kinds::{ErrorList, Instance};

/// The path says where the object is; the body may repeat it, but not contradict. Upstream has one wording where the path names
/// the object (`checkName`), and another where it names the collection (`EnsureObjectNamespaceMatchesRequestNamespace`).
pub(super) fn reconcile_with_url(meta: &mut ObjectMeta, target: &Target) -> Result<(), Status> {
    if let Some(name) = target.name.as_deref() {
        match meta.name.as_deref().unwrap_or_default() {
            "" => meta.name = Some(name.to_owned()),
            given if given == name => {}
            given => return Err(other_name(given, name)),
        }
    }
    let given = meta.namespace.as_deref().unwrap_or_default();
    match target.namespace.as_deref() {
        Some(namespace) if given.is_empty() || given == namespace => {
            meta.namespace = Some(namespace.to_owned())
        }
        Some(namespace) if target.name.is_some() => {
            return Err(Status::bad_request(format!(
                "the namespace of the object ({given}) does not match the namespace on the request ({namespace})"
            )));
        }
        Some(namespace) => {
            return Err(Status::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request: {given} != {namespace}"
            )));
        }
        None => meta.namespace = None,
    }
    Ok(())
}

/// Whether the name was generated.
pub(super) fn generate_name(meta: &mut ObjectMeta) -> Result<bool, Status> {
    if meta.name.as_deref().is_some_and(|name| !name.is_empty()) {
        return Ok(false);
    }
    if meta.generate_name.as_deref().unwrap_or_default().is_empty() {
        // validation words it: "name or generateName is required"
        meta.name = Some(String::new());
        return Ok(false);
    }
    generate_name_again(meta);
    Ok(true)
}

/// So that what many names may be, a DNS label, this one is with its suffix.
const LONGEST_BASE: usize = 63 - name_suffix::LENGTH;

/// Another one, where somebody has the first.
pub(super) fn generate_name_again(meta: &mut ObjectMeta) {
    let base = meta.generate_name.clone().unwrap_or_default();
    let cut =
        base.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= LONGEST_BASE).last();
    meta.name = Some(format!("{}{}", &base[..cut.unwrap_or(0)], name_suffix()));
}

/// What the system says of every new object.
pub(super) fn fill_system_fields(meta: &mut ObjectMeta) {
    meta.uid = Some(uuid::Uuid::new_v4().to_string());
    meta.creation_timestamp = Some(now());
    meta.deletion_timestamp = None;
    meta.deletion_grace_period_seconds = None;
    meta.self_link = None;
    meta.resource_version = None;
}

/// Empty lists and maps of the metadata are the same as none; upstream leaves them out.
pub(super) fn drop_empty(meta: &mut ObjectMeta) {
    meta.owner_references.take_if(|owners| owners.is_empty());
    meta.finalizers.take_if(|finalizers| finalizers.is_empty());
    meta.labels.take_if(|labels| labels.is_empty());
    meta.annotations.take_if(|annotations| annotations.is_empty());
}

/// Whether it was read from somewhere, and is no new one. What is no revision at all says nothing: upstream's storage looks at
/// numbers only.
pub(super) fn was_stored_before(meta: &ObjectMeta) -> bool {
    let revision = meta.resource_version.as_deref().unwrap_or_default();
    revision.parse::<u64>().is_ok_and(|revision| revision != 0)
}

/// The revision that the client has seen, where it says one.
pub(super) fn asked_revision(meta: &ObjectMeta) -> Result<Option<ResourceVersion>, Status> {
    match meta.resource_version.as_deref() {
        None | Some("" | "0") => Ok(None),
        Some(text) => {
            text.parse().map(Some).map_err(|e: ::api::ParseRevisionError| Status::bad_request(e.to_string()))
        }
    }
}

/// That a uid in the body is the object's. Of a PUT it is a precondition ([`is_asked_for`]); what a patch makes of it is a change of what
/// does not change, as upstream's `ValidateObjectMetaAccessorUpdate` has it.
pub(super) fn keeps_uid(target: &Target, new: &ObjectMeta, old: &ObjectMeta) -> Result<(), Status> {
    let Some(asked) = other_uid(new, old.uid.as_deref().unwrap_or_default()) else { return Ok(()) };
    let mut errors = ErrorList::default();
    errors.invalid("metadata.uid", asked, "field is immutable");
    let name = new.name.as_deref().unwrap_or_default();
    Err(Status::invalid(&target.version.info().gvk, name, errors.into_causes()))
}

/// That it is the object of the uid that a PUT names.
pub(super) fn is_asked_for(target: &Target, new: &ObjectMeta, stored: &str) -> Result<(), Status> {
    match other_uid(new, stored) {
        Some(asked) => Err(uid_conflict(target, asked, stored)),
        None => Ok(()),
    }
}

fn other_uid<'m>(new: &'m ObjectMeta, stored: &str) -> Option<&'m str> {
    new.uid.as_deref().filter(|asked| !asked.is_empty() && *asked != stored)
}

/// Nobody changes these by an update.
pub(super) fn keep_system_fields(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.uid.clone_from(&old.uid);
    new.creation_timestamp.clone_from(&old.creation_timestamp);
    new.generation = old.generation;
    new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    new.generate_name.clone_from(&old.generate_name);
    new.self_link = None;
    new.managed_fields.clone_from(&old.managed_fields);
    new.resource_version.clone_from(&old.resource_version);
}

/// When somebody last wrote his fields is no change alone, as upstream's `IgnoreManagedFieldsTimestampsTransformer` has it. Who applies
/// the same in other words than it is stored in (`0.5Gi`, a Secret's `stringData`, items of a list without their defaults) would else
/// wake whoever watches it each second: an operator that applies what it watches never rested.
pub(super) fn keep_times(new: &mut dyn Instance, old: &dyn Instance) {
    let (said, until_now) = (&new.meta().managed_fields, &old.meta().managed_fields);
    if said == until_now || !same_but_for_times(said.as_deref(), until_now.as_deref()) {
        return;
    }
    let until_now = until_now.clone();
    let said = std::mem::replace(&mut new.meta_mut().managed_fields, until_now);
    if !new.same_as(old) {
        new.meta_mut().managed_fields = said;
    }
}

fn same_but_for_times(new: Option<&[ManagedFieldsEntry]>, old: Option<&[ManagedFieldsEntry]>) -> bool {
    let (new, old) = (new.unwrap_or_default(), old.unwrap_or_default());
    let is_same = |new: &ManagedFieldsEntry, old: &ManagedFieldsEntry| {
        by_whom(new) == by_whom(old) && new.fields_v1 == old.fields_v1
    };
    new.len() == old.len() && new.iter().zip(old).all(|(new, old)| is_same(new, old))
}

fn by_whom(entry: &ManagedFieldsEntry) -> [Option<&str>; 5] {
    [
        entry.manager.as_deref(),
        entry.operation.as_deref(),
        entry.subresource.as_deref(),
        entry.api_version.as_deref(),
        entry.fields_type.as_deref(),
    ]
}
