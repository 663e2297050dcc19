//! A kind that is its schema: names, columns and paths as data.

use super::{JsonPath, Printer, Unstructured};
use crate::version::Custom;
use crate::{
    Conversion, Decoded, ErrorList, FieldValidation, Instance, ResourceInfo, SchemaRef, Strategy,
    Subresource, Version, cannot_be_handled, decode, told,
};
use api::{Gvk, Object, Status};
use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schema::Schema;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct SchemaKind {
    pub info: ResourceInfo,
    /// Of the whole object; `apiVersion`, `kind` and `metadata` are the system's.
    pub schema: SchemaRef,
    /// What the schema says in CEL, compiled.
    pub rules: expressions::Rules,
    /// `GROUP/VERSION` in which the objects are stored, whichever they are sent in.
    pub stored_version: String,
    /// The webhook that converts, where names alone do not make one version of another.
    pub conversion: Option<Conversion>,
    /// By `GROUP/VERSION`, the schemas of the kind that have defaults: what is stored is read with those of the version that
    /// it is stored in, as upstream does it. Without any, reading is free.
    pub read_schemas: Arc<BTreeMap<String, Arc<Schema>>>,
    pub scale: Option<ScalePaths>,
    pub printer: Printer,
    /// What a field selector may name, besides the name and the namespace.
    pub selectable: Vec<(String, JsonPath)>,
    pub origin: Origin,
    /// Told to whoever uses the version.
    pub deprecation: Option<String>,
}

/// Where a kind that has no type comes from.
pub enum Origin {
    /// A CustomResourceDefinition. The schema is published as it was written: JSON.
    Definition { published: Arc<str> },
    /// The program: its objects are read as upstream reads those of a Go type, and its OpenAPI definition is made at build time.
    Program(Logic),
}

/// What a built-in kind does beyond its schema.
#[derive(Clone, Copy)]
pub struct Logic {
    pub set_defaults: fn(&mut Value),
    pub validate: fn(&Value, &mut ErrorList),
    /// What an update may not change: `/spec/driver`.
    pub immutable: &'static [&'static str],
    /// Whether `metadata.generation` counts what is wished for.
    pub counts_generations: bool,
}

impl Logic {
    pub const PLAIN: Logic =
        Logic { set_defaults: |_| {}, validate: |_, _| {}, immutable: &[], counts_generations: false };
}

/// Where a kind has the numbers of its scale.
pub struct ScalePaths {
    pub wanted: JsonPath,
    pub current: JsonPath,
    pub selector: Option<JsonPath>,
}

impl SchemaKind {
    /// The version that this is; its objects hold the kind itself.
    pub fn into_version(self) -> Arc<Version> {
        let kind = Arc::new(self);
        let custom = match &kind.origin {
            Origin::Definition { published } => Some(Custom {
                published_schema: published.clone(),
                stored_version: kind.stored_version.clone(),
                conversion: kind.conversion.clone(),
            }),
            Origin::Program(_) => None,
        };
        Arc::new(Version {
            info: kind.info.clone(),
            schema: kind.schema.clone(),
            columns: Cow::Owned(kind.printer.columns().to_vec()),
            selectable_fields: kind.selectable.iter().map(|(path, _)| Cow::Owned(path.clone())).collect(),
            graceful_deletion: false,
            orphans_by_default: false,
            created_by_update: false,
            updated_unconditionally: matches!(kind.origin, Origin::Program(_)),
            deprecation: kind.deprecation.clone().map(Cow::Owned),
            custom,
            strategy: Box::new(Served(kind)),
        })
    }

    pub(super) fn has_status(&self) -> bool {
        self.info.has_subresource(Subresource::Status)
    }

    pub(super) fn selectable(&self, path: &str) -> Option<&JsonPath> {
        self.selectable.iter().find(|(known, _)| known == path).map(|(_, path)| path)
    }

    pub(super) fn logic(&self) -> Option<&Logic> {
        match &self.origin {
            Origin::Program(logic) => Some(logic),
            Origin::Definition { .. } => None,
        }
    }

    pub(super) fn counts_generations(&self) -> bool {
        self.logic().is_none_or(|logic| logic.counts_generations)
    }

    /// What a definition has come to say since the object was stored.
    fn complete(&self, object: &mut Value) {
        let version = object.get("apiVersion").and_then(Value::as_str);
        let Some(schema) = version.and_then(|version| self.read_schemas.get(version)) else { return };
        // the metadata is the system's
        let metadata = object.as_object_mut().and_then(|fields| fields.remove("metadata"));
        schema::prune(object, schema);
        schema::set_defaults(object, schema);
        if let (Some(fields), Some(metadata)) = (object.as_object_mut(), metadata) {
            fields.insert("metadata".to_owned(), metadata);
        }
    }

    fn instance(self: &Arc<Self>, mut object: Map<String, Value>) -> serde_json::Result<Unstructured> {
        let meta = match object.remove("metadata") {
            Some(metadata) => serde_json::from_value(metadata)?,
            None => ObjectMeta::default(),
        };
        object.remove("apiVersion");
        object.remove("kind");
        let fields = Value::Object(object);
        Ok(Unstructured { meta, fields, before: None, is_stored: false, kind: self.clone() })
    }
}

struct Served(Arc<SchemaKind>);

impl Strategy for Served {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        crate::builtin::names::dns_subdomain(name)
    }
    fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        match &self.0.origin {
            Origin::Program(_) => self.decode_built_in(json, strictness),
            Origin::Definition { .. } => self.decode_custom(json, strictness),
        }
    }
    fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status> {
        let unreadable = |e: serde_json::Error| Status::internal(format!("stored {}: {e}", object.key()));
        let mut whole: Value = object.decode().map_err(unreadable)?;
        self.0.complete(&mut whole);
        let fields = serde_json::from_value(whole).map_err(unreadable)?;
        let mut instance = self.0.instance(fields).map_err(Status::internal)?;
        instance.set_defaults();
        instance.is_stored = true;
        Ok(Box::new(instance))
    }
    /// Versions differ in their name only, but where a webhook converts: then the bytes are of the version already, and had
    /// their defaults before they were converted.
    fn present(&self, bytes: &Bytes) -> Bytes {
        let own = self.0.info.gvk.api_version();
        let (is_stored, is_renamed) = (own == self.0.stored_version, self.0.conversion.is_none());
        let as_it_is = if is_stored { self.0.read_schemas.is_empty() } else { !is_renamed };
        if as_it_is {
            return bytes.clone();
        }
        let shown = serde_json::from_slice::<Value>(bytes).and_then(|mut object| {
            self.0.complete(&mut object);
            if let (Some(fields), true) = (object.as_object_mut(), is_renamed) {
                fields.insert("apiVersion".to_owned(), own.into());
            }
            serde_json::to_vec(&object)
        });
        shown.map_or_else(|_| bytes.clone(), Bytes::from)
    }
    fn complete_stored(&self, object: &mut Value) {
        self.0.complete(object);
    }
    fn replicas_path(&self) -> Option<Vec<&str>> {
        self.0.scale.as_ref()?.wanted.fields()
    }
}

impl Served {
    /// As [`decode::decode`], into a value instead of a type.
    fn decode_built_in(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        let gvk = &self.0.info.gvk;
        let (json, warnings) = decode::read(gvk, &self.0.schema, json, strictness)?;
        let mut instance = self.instance(gvk, object(gvk, &json)?)?;
        // a typed decoder leaves both out
        schema::prune(&mut instance.fields, &self.0.schema);
        drop_nulls(&mut instance.fields);
        Ok(Decoded { instance: Box::new(instance), warnings })
    }

    fn decode_custom(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        let gvk = &self.0.info.gvk;
        let checked = schema::check_custom(json).map_err(|wrong| cannot_be_handled(gvk, &wrong))?;
        let mut object = object(gvk, json)?;
        let known = schema::table::named("meta.v1.ObjectMeta");
        if let (true, Some(metadata), Some(known)) = (checked.zeros, object.get_mut("metadata"), known) {
            schema::drop_zeros(metadata, known);
        }
        let mut instance = self.instance(gvk, object)?;
        let unknown = schema::prune(&mut instance.fields, &self.0.schema);
        let unknown = unknown.iter().map(|path| format!("unknown field \"{path}\""));
        let mut faults: Vec<String> = checked.faults.into_iter().chain(unknown).collect();
        faults.sort();
        let warnings = told(gvk, faults, strictness)?;
        Ok(Decoded { instance: Box::new(instance), warnings })
    }

    fn instance(&self, gvk: &Gvk, object: Map<String, Value>) -> Result<Unstructured, Status> {
        self.0.instance(object).map_err(|e| cannot_be_handled(gvk, &format_args!("json: {e}")))
    }
}

fn object(gvk: &Gvk, json: &[u8]) -> Result<Map<String, Value>, Status> {
    serde_json::from_slice(json).map_err(|e| cannot_be_handled(gvk, &format_args!("json: {e}")))
}

/// A field of `null` is one that is not there; what is null in a list is a value.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
