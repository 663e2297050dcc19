//! Server-side apply, and the managed fields: who set which field.
//!
//! As upstream keeps them: of whatever is written, by clients and by the components of this process, from the first write on,
//! events and leases as well. What upstream writes below its API has nobody's name here either: what it adds to a new object, a
//! binding, the condition of a pod that is evicted, the mark of a deletion. An object that was stored without any goes on without
//! them until it is applied.
//!
//! A pod's status is written several times while it starts, so an update reads no more of an object than what differs.

use crate::clock::now;
use crate::{Actor, Attributes, Cluster, Target, WriteOptions};
use ::api::apply::{ApplyError, Conflict, Entry, Operation, Who, apply, create, misfits, update};
use ::api::{Cause, Object, Reason, Status};
use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, Time};
use kinds::{FieldValidation, Instance, Subresource};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const METADATA: &str = "metadata";
const REVISION: &str = "resourceVersion";
/// How often it is tried again when somebody creates or deletes the object in between.
const MOST_RACES: usize = 8;

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

/// What a client wants of an object, and how firmly.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub config: Value,
    /// Take the fields that others set to something else.
    pub force: bool,
    pub validation: FieldValidation,
    /// Keys that stood twice in the text of it, as a strict reader tells them: `line 3: key "paused" already set in map`.
    pub doubled_keys: Vec<String>,
}

/// What came of an apply, or of a replacement.
#[derive(Debug)]
pub struct Applied {
    pub object: Object,
    pub created: bool,
}

impl Cluster {
    /// Makes the object be as wanted, where nobody else wants it otherwise; creates it where there is none.
    ///
    /// # Errors
    /// `Conflict` with one cause for each field that others have; else as creating and changing.
    pub async fn apply(
        &self,
        actor: &Actor,
        target: &Target,
        mut wanted: Wanted,
        options: &WriteOptions,
    ) -> Result<Applied, Status> {
        self.authorize(actor, &Attributes::of("patch", target))?;
        prepare(&mut wanted.config, target)?;
        let change = |current: Option<&Object>| {
            let (instance, unknown_fields) = put_over(current, &wanted, target, options)?;
            options.remarks.warn_all(unknown_fields);
            Ok(instance)
        };
        let warned = options.remarks.mark();
        for _ in 0..MOST_RACES {
            options.remarks.back_to(warned);
            let is_new = self.read_stored(target).is_err();
            let outcome = if is_new && target.subresource.is_none() {
                let collection = Target { name: None, ..target.clone() };
                self.authorize(actor, &Attributes::of("create", &collection))?;
                let mut object = change(None)?;
                make_new(object.meta_mut(), target)?;
                self.create_authorized(actor, target, object, options, ManagedFields::Written).await
            } else {
                let change = |current: &Object| change(Some(current));
                self.modify_authorized(actor, target, options, ManagedFields::Written, &change).await
            };
            match outcome {
                Ok(object) => return Ok(Applied { object, created: is_new }),
                // somebody was faster
                Err(status) if is_new && status.is(Reason::AlreadyExists) => {}
                Err(status)
                    if !is_new && status.is(Reason::NotFound) && self.read_stored(target).is_err() => {}
                Err(status) => return Err(status),
            }
        }
        let why = "it is created and deleted all the time";
        Err(Status::conflict(&target.group_resource(), target.name.as_deref().unwrap_or_default(), why))
    }
}

/// Who names a uid wants that object and no new one. A revision is compared with that of what is there, and holds up nobody where
/// nothing is.
fn make_new(meta: &mut ObjectMeta, target: &Target) -> Result<(), Status> {
    if let Some(uid) = meta.uid.as_deref().filter(|uid| !uid.is_empty()) {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Status::conflict(
            &target.group_resource(),
            target.name.as_deref().unwrap_or_default(),
            why,
        ));
    }
    meta.resource_version = None;
    Ok(())
}

/// What may not be wanted is refused, and what this path does not write is left out.
fn prepare(config: &mut Value, target: &Target) -> Result<(), Status> {
    let info = target.version.info();
    for (field, want) in [("apiVersion", info.gvk.api_version()), ("kind", info.gvk.kind.to_string())] {
        match config.get(field).and_then(Value::as_str) {
            Some(given) if given == want => {}
            Some(given) => {
                return Err(Status::bad_request(format!(
                    "the {field} in the data ({given}) does not match the expected {field} ({want})"
                )));
            }
            None => {
                return Err(Status::bad_request(format!(
                    "Object '{field}' is missing in the applied configuration"
                )));
            }
        }
    }
    if config
        .pointer("/metadata/managedFields")
        .is_some_and(|entries| entries.as_array().is_none_or(|all| !all.is_empty()))
    {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let misfits = misfits(config, target.version.schema());
    match misfits.as_slice() {
        [] => {}
        [one] => return Err(malformed(config, target, one)),
        many => return Err(malformed(config, target, &format!("errors:\n  {}", many.join("\n  ")))),
    }
    if let Some(built_in) = target.version.merge_keys() {
        // as upstream converts what it has merged to the type of the kind; so what others have is compared with what it will be
        kinds::zero_nulls(config, built_in);
    }
    strip_nulls(config);
    let Some(fields) = config.as_object_mut() else { return Ok(()) };
    match target.subresource {
        Some(Subresource::Status) => drop(fields.remove("spec")),
        _ if info.has_subresource(Subresource::Status) => drop(fields.remove("status")),
        _ => {}
    }
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("managedFields");
    }
    Ok(())
}

/// In manifests, `null` is another way to say nothing.
fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

fn put_over(
    current: Option<&Object>,
    wanted: &Wanted,
    target: &Target,
    options: &WriteOptions,
) -> Result<(Box<dyn Instance>, Vec<String>), Status> {
    let live = current.map(|object| target.version.present(object.bytes()));
    let live: Value = match live {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(Status::internal)?,
        None => json!({}),
    };
    let stamp = Stamp::of(target);
    let who = stamp.who(&options.field_manager, target);
    let applied = apply(&live, &wanted.config, who, wanted.force, target.version.schema())
        .map_err(|error| refusal(error, &wanted.config, target))?;
    let doubled = doubled_keys(wanted)?;
    let bytes = serde_json::to_vec(&applied).map_err(Status::internal)?;
    let mut decoded = target.version.decode(&bytes, wanted.validation)?;
    if wanted.config.pointer("/metadata/resourceVersion").is_none() {
        decoded.instance.meta_mut().resource_version = None;
    }
    decoded.warnings.extend(doubled.iter().cloned());
    Ok((decoded.instance, decoded.warnings))
}

/// What is warned of.
///
/// # Errors
/// `BadRequest` under `Strict`, where there is any.
fn doubled_keys(wanted: &Wanted) -> Result<&[String], Status> {
    match wanted.validation {
        FieldValidation::Ignore => Ok(&[]),
        FieldValidation::Strict if !wanted.doubled_keys.is_empty() => Err(Status::bad_request(format!(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
            wanted.doubled_keys.join("\n  ")
        ))),
        FieldValidation::Warn | FieldValidation::Strict => Ok(&wanted.doubled_keys),
    }
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
    written: Option<Vec<ManagedFieldsEntry>>,
    new: &dyn Instance,
    current: &Object,
    old: &dyn Instance,
) -> Result<Option<Vec<ManagedFieldsEntry>>, Status> {
    // who writes a part of the object writes none, whatever he sends
    let written = written.filter(|_| target.subresource.is_none());
    if asks_for_none(written.as_deref()) {
        return Ok(None);
    }
    let stored = old.meta().managed_fields.as_ref().filter(|entries| !entries.is_empty());
    let edited = written.filter(|written| Some(written) != stored).and_then(read_written);
    let entries = match (edited, stored) {
        (Some(edited), _) => edited,
        // a component that finds all as it should be costs a comparison
        (None, Some(stored)) if new.same_as(old) => return Ok(Some(stored.clone())),
        (None, Some(stored)) => stored.iter().cloned().filter_map(read_entry).collect(),
        (None, None) => return Ok(None),
    };
    let stamp = Stamp::of(target);
    let who = stamp.who(manager, target);
    let (before, after) = (target.version.present(current.bytes()), bytes_of(target, new)?);
    let (before, after) = differing(&before, &after).map_err(Status::internal)?;
    Ok(kept(update(&before, &after, entries, who, target.version.schema())))
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
struct Stamp {
    api_version: String,
    now: String,
}

impl Stamp {
    fn of(target: &Target) -> Stamp {
        Stamp { api_version: target.version.info().gvk.api_version(), now: now().0.to_string() }
    }

    fn who<'w>(&'w self, manager: &'w str, target: &'w Target) -> Who<'w> {
        Who {
            manager,
            subresource: target.subresource.map(Subresource::name),
            api_version: &self.api_version,
            now: &self.now,
        }
    }
}

/// Upstream gives these errors no code of their own.
fn malformed(config: &Value, target: &Target, why: &str) -> Status {
    let named = |field: &str| config.pointer(field).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (named("/metadata/namespace"), named("/metadata/name"));
    let ::api::Gvk { group, version, kind } = &target.version.info().gvk;
    let what = format!("{namespace}/{name}; {group}/{version}, Kind={kind}");
    Status::new(Reason::Unknown, format!("failed to create typed patch object ({what}): {why}"))
}

fn refusal(error: ApplyError, config: &Value, target: &Target) -> Status {
    match error {
        ApplyError::Malformed(why) => malformed(config, target, &why),
        ApplyError::Conflicts(conflicts) => {
            let mut status = Status::new(Reason::Conflict, conflict_message(&conflicts));
            status.causes = conflicts
                .into_iter()
                .map(|Conflict { manager, path }| Cause {
                    reason: "FieldManagerConflict".to_owned(),
                    message: format!("conflict with {manager}"),
                    field: path,
                })
                .collect();
            status
        }
    }
}

/// kubectl shows it as it is.
fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [Conflict { manager, path }] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {manager}: {path}");
    }
    let mut by_manager: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Conflict { manager, path } in conflicts {
        by_manager.entry(manager).or_default().push(path);
    }
    let lines = by_manager.into_iter().map(|(manager, paths)| {
        let paths: Vec<String> = paths.into_iter().map(|path| format!("\n- {path}")).collect();
        format!("conflicts with {manager}:{}", paths.concat())
    });
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.collect::<Vec<_>>().join("\n"))
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
