//! Server-side apply, and the managed fields: who set which field.
//!
//! As upstream keeps them: of whatever is written, by clients and by the components of this process, from the first write on,
//! events and leases as well. What upstream writes below its API has nobody's name here either: what it adds to a new object, a
//! binding, the condition of a pod that is evicted, the mark of a deletion. An object that was stored without any goes on without
//! them until it is applied.

mod managed_fields;
mod refusals;
mod replicas;

pub(crate) use managed_fields::{ManagedFields, of_created, of_updated};

use crate::identity::check_name;
use crate::{Actor, Attributes, Cluster, Target, WriteOptions};
use ::api::apply::{apply, misfits};
use ::api::{Object, Reason, Status, values};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{FieldValidation, Instance, Registry, Subresource};
use managed_fields::Stamp;
use refusals::{malformed, refusal};
use replicas::ReplicasPaths;
use serde_json::{Value, json};

/// How often it is tried again when somebody creates or deletes the object in between.
const MOST_RACES: usize = 8;

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
        let registry = self.registry();
        let change = |current: Option<&Object>| {
            let (instance, unknown_fields) = put_over(current, &wanted, target, &registry, options)?;
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

/// Who names a uid wants that object and no new one, and a new one has the name that it says. A revision is compared with that of what is there, and holds up nobody where
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
    check_name(meta, target)?;
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
    registry: &Registry,
    options: &WriteOptions,
) -> Result<(Box<dyn Instance>, Vec<String>), Status> {
    let live = current.map(|object| target.version.present(object.bytes()));
    let mut live: Value = match live {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(Status::internal)?,
        None => json!({}),
    };
    let paths = ReplicasPaths::of(registry, target, versions_of_entries(&live));
    if let Some(paths) = &paths {
        paths.each_entry(&mut live, ReplicasPaths::to_own);
    }
    if target.subresource == Some(Subresource::Scale) {
        is_of(&wanted.config, &live, target)?;
    }
    let stamp = Stamp::of(target);
    let who = stamp.who(&options.field_manager, target);
    let mut applied = apply(&live, &wanted.config, who, wanted.force, target.version.schema())
        .map_err(|error| refusal(error, &wanted.config, target))?;
    values::check_growth(values::count(&live), &applied)?;
    if let Some(paths) = &paths {
        paths.each_entry(&mut applied, ReplicasPaths::to_theirs);
    }
    let doubled = doubled_keys(wanted)?;
    let bytes = serde_json::to_vec(&applied).map_err(Status::internal)?;
    let mut decoded = target.version.decode(&bytes, wanted.validation)?;
    if wanted.config.pointer("/metadata/resourceVersion").is_none() {
        decoded.instance.meta_mut().resource_version = None;
    }
    decoded.warnings.extend(doubled.iter().cloned());
    Ok((decoded.instance, decoded.warnings))
}

fn versions_of_entries(object: &Value) -> impl Iterator<Item = &str> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(|entry| entry["apiVersion"].as_str())
}

/// Who names a uid applies the scale of that object.
fn is_of(config: &Value, live: &Value, target: &Target) -> Result<(), Status> {
    let text = |object: &Value, at: &str| object.pointer(at).and_then(Value::as_str).map(str::to_owned);
    let [name, uid] = ["/metadata/name", "/metadata/uid"].map(|at| text(live, at));
    let of = ObjectMeta { name, uid, ..ObjectMeta::default() };
    kinds::scale::is_of(&target.group_resource(), &of, text(config, "/metadata/uid").as_deref())
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
