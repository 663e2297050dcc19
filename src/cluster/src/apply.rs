//! Server-side apply, and the managed fields: who set which field.
//!
//! Upstream keeps them of whatever is written. Here they are kept of what clients write, from the first write on. What the
//! components of this process make (pods of a ReplicaSet, events, leases) carries none, as upstream's objects do that were
//! asked to have none; of an object that has some, what components change is theirs, but for its status, which is written
//! many times and which nobody else sets.

use crate::clock::now;
use crate::{Actor, Attributes, Cluster, Target, WriteOptions};
use ::api::apply::{ApplyError, Conflict, Who, apply, create, undeclared, update};
use ::api::{Cause, Object, Reason, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kinds::{FieldValidation, Instance, Subresource};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How often it is tried again when somebody creates or deletes the object in between.
const MOST_RACES: usize = 8;

/// What becomes of `metadata.managedFields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ManagedFields {
    /// They follow what changed.
    Follow,
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
                self.create_authorized(actor, target, change(None)?, options, ManagedFields::Written).await
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
    let undeclared = undeclared(config, target.version.schema());
    match undeclared.as_slice() {
        [] => {}
        [one] => return Err(malformed(config, target, one)),
        many => return Err(malformed(config, target, &format!("errors:\n  {}", many.join("\n  ")))),
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

/// The entries of a new object that somebody creates.
pub(crate) fn of_created(
    manager: &str,
    target: &Target,
    new: &dyn Instance,
) -> Result<Option<Vec<ManagedFieldsEntry>>, Status> {
    let stamp = Stamp::of(target);
    let mut object = json_of(target, new)?;
    // the system's: a creator's was dropped
    if let (true, Some(fields)) =
        (target.version.info().has_subresource(Subresource::Status), object.as_object_mut())
    {
        fields.remove("status");
    }
    let made = create(&object, stamp.who(manager, target), target.version.schema());
    kept(made)
}

/// Who writes in another way than by applying.
pub(crate) struct Updater<'u> {
    pub(crate) manager: &'u str,
    pub(crate) is_component: bool,
}

/// The entries of an object that was updated. `written` are those that the new version brought along: a client may edit
/// them, and throw them away.
pub(crate) fn of_updated(
    by: &Updater<'_>,
    target: &Target,
    written: Option<Vec<ManagedFieldsEntry>>,
    new: &dyn Instance,
    current: &Object,
    old: &dyn Instance,
) -> Result<Option<Vec<ManagedFieldsEntry>>, Status> {
    if asks_for_none(written.as_deref()) {
        return Ok(None);
    }
    let entries = match written {
        Some(written) if target.subresource.is_none() => Some(written),
        _ => old.meta().managed_fields.clone(),
    };
    let Some(entries) = entries.filter(|entries| !entries.is_empty()) else { return Ok(None) };
    if by.is_component && is_only_the_systems(target, &entries) {
        return Ok(Some(entries));
    }
    let stamp = Stamp::of(target);
    let who = stamp.who(by.manager, target);
    let before: Value =
        serde_json::from_slice(&target.version.present(current.bytes())).map_err(Status::internal)?;
    let entries = serde_json::to_value(entries).map_err(Status::internal)?;
    let after = json_of(target, new)?;
    kept(update(&before, &after, &entries, who, target.version.schema()))
}

/// A subresource that components write, and of which no client has a field.
fn is_only_the_systems(target: &Target, entries: &[ManagedFieldsEntry]) -> bool {
    let Some(subresource) = target.subresource else { return false };
    matches!(subresource, Subresource::Status | Subresource::Binding)
        && !entries.iter().any(|entry| entry.subresource.as_deref() == Some(subresource.name()))
}

/// Upstream's way to throw them away: an empty list, or an empty entry.
fn asks_for_none(written: Option<&[ManagedFieldsEntry]>) -> bool {
    matches!(written, Some([])) || matches!(written, Some([entry]) if *entry == ManagedFieldsEntry::default())
}

/// Of what has no fields to own (a list that names a key twice) none are kept, as by upstream's `UpdateNoErrors`: whether it may be
/// so is for validation to say, in its words.
fn kept(entries: Result<Value, ApplyError>) -> Result<Option<Vec<ManagedFieldsEntry>>, Status> {
    let Ok(entries) = entries else { return Ok(None) };
    serde_json::from_value(entries).map(Some).map_err(Status::internal)
}

/// As the target's version has it.
fn json_of(target: &Target, object: &dyn Instance) -> Result<Value, Status> {
    let stored = object.encode()?.stamp(::api::ResourceVersion(0));
    serde_json::from_slice(&target.version.present(stored.bytes())).map_err(Status::internal)
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
