//! The managed fields of what is created and updated: who set which field.
//!
//! A pod's status is written several times while it starts, so an update reads no more of an object than what differs.

use super::replicas::ReplicasPaths;
use crate::Target;
use crate::clock::now;
use ::api::Status;
use ::api::apply::{ApplyError, Entry, Operation, Who, create, update};
use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use kinds::{Instance, Registry, Subresource};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const METADATA: &str = "metadata";
const REVISION: &str = "resourceVersion";

/// What becomes of `metadata.managedFields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ManagedFields {
    /// They follow what changed.
    Follow,
    /// What changes is nobody's, and stays whose it was.
    Kept,
    /// The new version brings them along.
    Written,
}

/// The entries of a new object that somebody creates. Of those that he has written (an object of elsewhere brings them) what remains is
/// of fields that he does not set, as of a status: everything else he has set now.
pub(crate) fn of_created(
    manager: &str,
    target: &Target,
    written: Option<Vec<ManagedFieldsEntry>>,
    new: &dyn Instance,
) -> Result<Option<Vec<ManagedFieldsEntry>>, Status> {
    let stamp = Stamp::of(target);
    let mut object: Value = serde_json::from_slice(&bytes_of(target, new)?).map_err(Status::internal)?;
    // the system's: a creator's was dropped
    if let (true, Some(fields)) =
        (target.version.info().has_subresource(Subresource::Status), object.as_object_mut())
    {
        fields.remove("status");
    }
    let written = written.filter(|written| !asks_for_none(Some(written.as_slice()))).and_then(read_written);
    let who = stamp.who(manager, target);
    Ok(kept(match written {
        Some(written) => update(&json!({}), &object, written, who, target.version.schema()),
        None => create(&object, who, target.version.schema()),
    }))
}

/// The entries of an object that was updated. `written` are those that the new version brought along: a client may edit
/// them, and throw them away. What components read and write brings none.
pub(crate) fn of_updated(
    manager: &str,
    target: &Target,
    registry: &Registry,
    written: Option<Vec<ManagedFieldsEntry>>,
    new: &dyn Instance,
    old: &dyn Instance,
) -> Result<Option<Vec<ManagedFieldsEntry>>, Status> {
    // who writes a part of the object writes none, whatever he sends
    let written = written.filter(|_| target.subresource.is_none());
    if asks_for_none(written.as_deref()) {
        return Ok(None);
    }
    let stored = old.meta().managed_fields.as_ref().filter(|entries| !entries.is_empty());
    let edited = written.filter(|written| Some(written) != stored).and_then(read_written);
    let mut entries = match (edited, stored) {
        (Some(edited), _) => edited,
        // a component that finds all as it should be costs a comparison
        (None, Some(stored)) if new.same_as(old) => return Ok(Some(stored.clone())),
        (None, Some(stored)) => stored.iter().cloned().filter_map(read_entry).collect(),
        (None, None) => return Ok(None),
    };
    let paths = ReplicasPaths::of(registry, target, entries.iter().map(|entry| entry.api_version.as_str()));
    let each = |entries: &mut [Entry], change: fn(&ReplicasPaths, &str, &mut Value)| {
        if let Some(paths) = &paths {
            entries.iter_mut().for_each(|entry| change(paths, &entry.api_version, &mut entry.fields_v1));
        }
    };
    each(&mut entries, ReplicasPaths::to_own);
    let stamp = Stamp::of(target);
    let who = stamp.who(manager, target);
    // not what is stored: that may lack a default of today's, which is nobody's change
    let (before, after) = (bytes_of(target, old)?, bytes_of(target, new)?);
    let (before, after) = differing(&before, &after).map_err(Status::internal)?;
    let mut updated = update(&before, &after, entries, who, target.version.schema());
    if let Ok(entries) = &mut updated {
        each(entries, ReplicasPaths::to_theirs);
    }
    Ok(kept(updated))
}

/// The fields of an object, unread.
type Unread<'b> = BTreeMap<String, &'b RawValue>;

/// Two versions without what is letter for letter the same in both, which nobody has changed: a new status is found without reading
/// the spec. Of the object itself and of its metadata only, where the revision stays in any case: what has lost all its fields would
/// look like an empty value, which somebody has set.
fn differing(old: &[u8], new: &[u8]) -> serde_json::Result<(Value, Value)> {
    let (mut old, mut new): (Unread<'_>, Unread<'_>) =
        (serde_json::from_slice(old)?, serde_json::from_slice(new)?);
    let (mut old_meta, mut new_meta) = (metadata_of(&mut old)?, metadata_of(&mut new)?);
    drop_same(&mut old, &mut new);
    drop_same(&mut old_meta, &mut new_meta);
    Ok((read(old, old_meta)?, read(new, new_meta)?))
}

fn metadata_of<'b>(object: &mut Unread<'b>) -> serde_json::Result<Unread<'b>> {
    object.remove(METADATA).map_or_else(|| Ok(BTreeMap::new()), |raw| serde_json::from_str(raw.get()))
}

fn drop_same(old: &mut Unread<'_>, new: &mut Unread<'_>) {
    old.retain(|name, before| {
        let is_same = name != REVISION && new.get(name).is_some_and(|after| after.get() == before.get());
        if is_same {
            new.remove(name);
        }
        !is_same
    });
}

fn read(object: Unread<'_>, metadata: Unread<'_>) -> serde_json::Result<Value> {
    let fields = |of: Unread<'_>| -> serde_json::Result<Map<String, Value>> {
        of.into_iter().map(|(name, raw)| Ok((name, serde_json::from_str::<Value>(raw.get())?))).collect()
    };
    let mut whole = fields(object)?;
    whole.insert(METADATA.to_owned(), Value::Object(fields(metadata)?));
    Ok(Value::Object(whole))
}

/// Upstream's way to throw them away: an empty list, or an empty entry.
fn asks_for_none(written: Option<&[ManagedFieldsEntry]>) -> bool {
    matches!(written, Some([])) || matches!(written, Some([entry]) if *entry == ManagedFieldsEntry::default())
}

/// Of what has no fields to own (an item of a list without its key) none are kept, as by upstream's `UpdateNoErrors`: whether it may be
/// so is for validation to say, in its words.
fn kept(entries: Result<Vec<Entry>, ApplyError>) -> Option<Vec<ManagedFieldsEntry>> {
    Some(entries.ok()?.into_iter().map(write_entry).collect())
}

/// What a client has made of them. `None` where one of them is no entry: then they stay what they were, as by upstream's
/// `decodeLiveOrNew`, so that who does not understand them loses none.
fn read_written(written: Vec<ManagedFieldsEntry>) -> Option<Vec<Entry>> {
    written.into_iter().map(|entry| read_entry(entry)?.normalized()).collect()
}

/// `None` for one of an operation that is none.
fn read_entry(written: ManagedFieldsEntry) -> Option<Entry> {
    let operation = match written.operation.as_deref() {
        Some("Apply") => Operation::Apply,
        Some("Update") => Operation::Update,
        _ => return None,
    };
    Some(Entry {
        manager: written.manager.unwrap_or_default(),
        operation,
        api_version: written.api_version.unwrap_or_default(),
        time: written.time.map(|time| kinds::whole_second(time.0).0.to_string()),
        fields_type: written.fields_type.unwrap_or_default(),
        fields_v1: written.fields_v1.map_or(Value::Null, |fields| fields.0),
        subresource: written.subresource.unwrap_or_default(),
    })
}

fn write_entry(entry: Entry) -> ManagedFieldsEntry {
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    let operation = match entry.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    ManagedFieldsEntry {
        manager: said(entry.manager),
        operation: Some(operation.to_owned()),
        api_version: Some(entry.api_version),
        time: entry.time.and_then(|time| time.parse().ok()).map(Time),
        fields_type: Some(entry.fields_type),
        fields_v1: Some(FieldsV1(entry.fields_v1)),
        subresource: said(entry.subresource),
    }
}

/// As the target's version has it.
fn bytes_of(target: &Target, object: &dyn Instance) -> Result<Bytes, Status> {
    Ok(target.version.present(&object.to_json()?.into()))
}

/// What an entry says beside its fields.
pub(super) struct Stamp {
    api_version: String,
    now: String,
}

impl Stamp {
    pub(super) fn of(target: &Target) -> Stamp {
        Stamp { api_version: target.version.info().gvk.api_version(), now: now().0.to_string() }
    }

    pub(super) fn who<'w>(&'w self, manager: &'w str, target: &'w Target) -> Who<'w> {
        Who {
            manager,
            subresource: target.subresource.map(Subresource::name),
            api_version: &self.api_version,
            now: &self.now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_versions_what_differs_is_read() {
        let version = |labels: &str, status: &str| {
            let metadata = format!(r#"{{{labels}"managedFields":[{{}}],"name":"p","resourceVersion":"7"}}"#);
            format!(r#"{{"kind":"Pod","metadata":{metadata},"spec":{{"x":1}},"status":{status}}}"#)
        };
        let (b, c) = (r#""labels":{"a":"b"},"#, r#""labels":{"a":"c"},"#);
        let of_b = || json!({"metadata": {"labels": {"a": "b"}}});
        let cases = [
            (
                "a status",
                (version(b, r#"{"y":1}"#), version(b, r#"{"y":2}"#)),
                (json!({"status": {"y": 1}}), json!({"status": {"y": 2}})),
            ),
            (
                "a label",
                (version(b, "{}"), version(c, "{}")),
                (of_b(), json!({"metadata": {"labels": {"a": "c"}}})),
            ),
            ("the labels go", (version(b, "{}"), version("", "{}")), (of_b(), json!({}))),
            ("nothing", (version(b, "{}"), version(b, "{}")), (json!({}), json!({}))),
        ];
        for (name, (old, new), (mut left, mut right)) in cases {
            for metadata in [&mut left, &mut right] {
                metadata["metadata"][REVISION] = "7".into();
            }
            assert_eq!(differing(old.as_bytes(), new.as_bytes()).unwrap(), (left, right), "{name}");
        }
    }
}
