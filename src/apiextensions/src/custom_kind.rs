//! One served version of a definition, as the registry serves it.

use crate::json_path::JsonPath;
use crate::printer::Printer;
use crate::unstructured::Unstructured;
use api::{GroupResource, Gvk, Gvr, Object, Status};
use bytes::Bytes;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, CustomResourceSubresourceScale,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{
    Column, Decoded, Durability, FieldValidation, Handler, Instance, ResourceInfo, Scope, cannot_be_handled,
    told,
};
use schema::Schema;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

pub struct CustomKind {
    pub(crate) info: ResourceInfo,
    /// Of the whole object; `apiVersion`, `kind` and `metadata` are the system's.
    pub(crate) schema: Schema,
    /// `GROUP/VERSION` in which the objects are stored, whichever they are sent in.
    pub(crate) stored_version: String,
    pub(crate) has_status: bool,
    pub(crate) scale: Option<ScalePaths>,
    pub(crate) printer: Printer,
    selectable: Vec<(String, JsonPath)>,
    /// What is published: the schema as it was written.
    published: Value,
    /// Told to whoever uses the version.
    deprecation: Option<String>,
}

pub(crate) struct ScalePaths {
    pub(crate) wanted: JsonPath,
    pub(crate) current: JsonPath,
    pub(crate) selector: Option<JsonPath>,
}

/// A handler for each version that is served. Where a webhook converts between them only the stored one is: nobody is
/// shown an object of another version that was not converted.
///
/// # Errors
/// In words: a schema that is not structural, which the definition's validation refuses, may still be stored.
pub fn kinds_of(definition: &CustomResourceDefinition) -> Result<Vec<Arc<dyn Handler>>, String> {
    let by_webhook = definition.spec.conversion.as_ref().is_some_and(|how| how.strategy == "Webhook");
    let served =
        definition.spec.versions.iter().filter(|version| version.served && (version.storage || !by_webhook));
    served
        .map(|version| CustomKind::new(definition, version).map(|kind| Arc::new(Served(Arc::new(kind))) as _))
        .collect()
}

impl CustomKind {
    fn new(
        definition: &CustomResourceDefinition,
        version: &CustomResourceDefinitionVersion,
    ) -> Result<Self, String> {
        let spec = &definition.spec;
        let stored = spec.versions.iter().find(|v| v.storage).unwrap_or(version);
        let published = match version.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref()) {
            Some(schema) => serde_json::to_value(schema).map_err(|e| e.to_string())?,
            None => return Err(format!("version {} has no schema", version.name)),
        };
        let schema = schema::from_openapi(&published, "openAPIV3Schema").map_err(|errors| {
            let first = errors.into_causes().into_iter().next();
            first.map_or_else(String::new, |cause| format!("{}: {}", cause.field, cause.message))
        })?;
        let parts = version.subresources.clone().unwrap_or_default();
        let mut subresources = Vec::new();
        if parts.scale.is_some() {
            subresources.push(Cow::Borrowed("scale"));
        }
        if parts.status.is_some() {
            subresources.push(Cow::Borrowed("status"));
        }
        let owned = |text: &str| Cow::Owned::<str>(text.to_owned());
        let list = |texts: &Option<Vec<String>>| texts.iter().flatten().map(|t| owned(t)).collect::<Vec<_>>();
        let singular = spec.names.singular.clone().unwrap_or_else(|| spec.names.kind.to_lowercase());
        let info = ResourceInfo {
            gvk: Gvk {
                group: owned(&spec.group),
                version: owned(&version.name),
                kind: owned(&spec.names.kind),
            },
            gvr: Gvr {
                group: owned(&spec.group),
                version: owned(&version.name),
                resource: owned(&spec.names.plural),
            },
            singular: singular.into(),
            short_names: list(&spec.names.short_names),
            categories: list(&spec.names.categories),
            scope: if spec.scope == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
            subresources,
            durability: Durability::Sync,
            storage: GroupResource { group: owned(&spec.group), resource: owned(&spec.names.plural) },
        };
        let selectable = version
            .selectable_fields
            .iter()
            .flatten()
            .filter_map(|field| {
                let path = JsonPath::parse(&field.json_path).ok()?;
                Some((field.json_path.trim_start_matches('.').to_owned(), path))
            })
            .collect();
        let deprecated = version.deprecated.unwrap_or(false).then(|| {
            version.deprecation_warning.clone().unwrap_or_else(|| {
                format!("{}/{} {} is deprecated", spec.group, version.name, spec.names.kind)
            })
        });
        Ok(CustomKind {
            info,
            schema,
            stored_version: format!("{}/{}", spec.group, stored.name),
            has_status: parts.status.is_some(),
            scale: parts.scale.as_ref().and_then(ScalePaths::new),
            printer: Printer::new(version.additional_printer_columns.as_deref().unwrap_or_default()),
            selectable,
            published,
            deprecation: deprecated,
        })
    }

    pub(crate) fn selectable(&self, path: &str) -> Option<&JsonPath> {
        self.selectable.iter().find(|(known, _)| known == path).map(|(_, path)| path)
    }

    fn instance(self: &Arc<Self>, mut object: Map<String, Value>) -> serde_json::Result<Unstructured> {
        let meta = match object.remove("metadata") {
            Some(metadata) => serde_json::from_value(metadata)?,
            None => ObjectMeta::default(),
        };
        object.remove("apiVersion");
        object.remove("kind");
        let fields = Value::Object(object);
        Ok(Unstructured { meta, fields, before: None, kind: self.clone() })
    }
}

impl ScalePaths {
    fn new(scale: &CustomResourceSubresourceScale) -> Option<Self> {
        Some(ScalePaths {
            wanted: JsonPath::parse(&scale.spec_replicas_path).ok()?,
            current: JsonPath::parse(&scale.status_replicas_path).ok()?,
            selector: scale.label_selector_path.as_deref().and_then(|path| JsonPath::parse(path).ok()),
        })
    }
}

/// The kind as a handler; the objects hold the kind itself.
struct Served(Arc<CustomKind>);

impl Handler for Served {
    fn info(&self) -> &ResourceInfo {
        &self.0.info
    }
    fn columns(&self) -> &[Column] {
        self.0.printer.columns()
    }
    fn selects_by(&self, path: &str) -> bool {
        self.0.selectable(path).is_some()
    }
    fn deprecation(&self) -> Option<&str> {
        self.0.deprecation.as_deref()
    }
    fn graceful_deletion(&self) -> bool {
        false
    }
    fn orphans_by_default(&self) -> bool {
        false
    }
    fn validate_name(&self, name: &str) -> Result<(), String> {
        kinds::builtin::names::dns_subdomain(name)
    }
    fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        let gvk = &self.0.info.gvk;
        let checked = schema::check_custom(json).map_err(|wrong| cannot_be_handled(gvk, &wrong))?;
        let instance = serde_json::from_slice(json).and_then(|object| self.0.instance(object));
        let mut instance = instance.map_err(|e| cannot_be_handled(gvk, &format_args!("json: {e}")))?;
        let unknown = schema::prune(&mut instance.fields, &self.0.schema);
        let unknown = unknown.iter().map(|path| format!("unknown field \"{path}\""));
        let mut faults: Vec<String> = checked.faults.into_iter().chain(unknown).collect();
        faults.sort();
        let warnings = told(gvk, faults, strictness)?;
        Ok(Decoded { instance: Box::new(instance), warnings })
    }
    fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status> {
        let fields: Map<String, Value> =
            object.decode().map_err(|e| Status::internal(format!("stored {}: {e}", object.key())))?;
        let mut instance = self.0.instance(fields).map_err(Status::internal)?;
        instance.set_defaults();
        Ok(Box::new(instance))
    }
    /// Versions differ in their name only: without a webhook there is no other conversion.
    fn present(&self, bytes: &Bytes) -> Bytes {
        let own = self.0.info.gvk.api_version();
        if own == self.0.stored_version {
            return bytes.clone();
        }
        let shown = serde_json::from_slice::<Map<String, Value>>(bytes).and_then(|mut object| {
            object.insert("apiVersion".to_owned(), own.into());
            serde_json::to_vec(&object)
        });
        shown.map_or_else(|_| bytes.clone(), Bytes::from)
    }
    fn schema(&self) -> &Schema {
        &self.0.schema
    }
    fn merge_keys(&self) -> Option<&Schema> {
        None
    }
    fn published_schema(&self) -> Option<&Value> {
        Some(&self.0.published)
    }
}
