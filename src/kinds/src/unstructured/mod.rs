//! An object whose kind has no Rust type: its metadata, and the rest as JSON beside its schema.

mod json_path;
mod printer;
mod schema_kind;

pub use json_path::JsonPath;
pub use printer::{Cells, Printer};
pub use schema_kind::{Logic, Origin, ScalePaths, SchemaKind};

use crate::{Cell, ErrorList, Instance, ScaleNumbers};
use api::Status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schema::Schema;
use serde_json::{Map, Value};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

const STATUS: &str = "status";

#[derive(Clone)]
pub struct Unstructured {
    meta: ObjectMeta,
    /// Everything but `apiVersion`, `kind` and `metadata`.
    fields: Value,
    /// What the fields were before an update: what was wrong then and did not change is let be (KEP-4008).
    before: Option<Arc<Value>>,
    /// As it was found: what is wrong with it is told by `before`, part by part, and not of the whole again.
    is_stored: bool,
    kind: Arc<SchemaKind>,
}

impl Unstructured {
    /// Everything but its type and `metadata`.
    pub(crate) fn fields(&self) -> &Value {
        &self.fields
    }

    fn fields_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.fields.as_object_mut()
    }

    fn take_status_from(&mut self, old: &Unstructured) {
        let status = old.fields.get(STATUS).cloned();
        if let Some(fields) = self.fields_mut() {
            match status {
                Some(status) => drop(fields.insert(STATUS.to_owned(), status)),
                None => drop(fields.remove(STATUS)),
            }
        }
    }

    /// Whether the form is the schema's, and its rules hold; they are asked only of what has the right form.
    fn judge(&self, errors: &mut ErrorList) {
        let kind = &self.kind;
        if kind.rules.is_empty() && !kind.schema.judges_identity() {
            return judge_form(&self.fields, self.before.as_deref(), &kind.schema, errors);
        }
        let own = self.as_resource(&self.fields);
        let before = self.before.as_deref().map(|before| self.as_resource(before));
        judge_form(&own, before.as_ref(), &kind.schema, errors);
        if errors.is_empty() && !kind.rules.is_empty() {
            kind.rules.validate(&own, before.as_ref(), &kind.schema, errors);
        }
    }

    /// What the root of the schema and a rule there see: of the metadata the name.
    fn as_resource(&self, fields: &Value) -> Value {
        let mut whole = fields.as_object().cloned().unwrap_or_default();
        let gvk = &self.kind.info.gvk;
        whole.insert("apiVersion".to_owned(), gvk.api_version().into());
        whole.insert("kind".to_owned(), gvk.kind.clone().into());
        let mut metadata = Map::new();
        let names = [("name", &self.meta.name), ("generateName", &self.meta.generate_name)];
        for (field, name) in names {
            metadata.extend(name.clone().map(|name| (field.to_owned(), name.into())));
        }
        whole.insert("metadata".to_owned(), Value::Object(metadata));
        Value::Object(whole)
    }

    /// The whole object, in this version.
    fn whole(&self) -> Value {
        let mut whole = self.fields.as_object().cloned().unwrap_or_default();
        whole.insert("metadata".to_owned(), serde_json::to_value(&self.meta).unwrap_or_default());
        Value::Object(whole)
    }

    fn without_status(&self) -> Value {
        let mut fields = self.fields.clone();
        if let (true, Some(fields)) = (self.kind.has_status(), fields.as_object_mut()) {
            fields.remove(STATUS);
        }
        fields
    }
}

fn same_kind(other: &dyn Instance) -> &Unstructured {
    other.downcast_ref().expect("an update never changes the kind: the path chose the version for both")
}

fn judge_form(value: &Value, old: Option<&Value>, schema: &Schema, errors: &mut ErrorList) {
    match old {
        Some(old) => schema::validate_update(value, old, schema, errors),
        None => schema::validate(value, schema, errors),
    }
}

impl Instance for Unstructured {
    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
    fn set_defaults(&mut self) {
        schema::set_defaults(&mut self.fields, &self.kind.schema);
        if let Some(logic) = self.kind.logic() {
            (logic.set_defaults)(&mut self.fields);
        }
    }
    fn prepare_create(&mut self) {
        self.meta.generation = self.kind.counts_generations().then_some(1);
        if self.kind.has_status() {
            let built_in = self.kind.logic().is_some();
            if let Some(fields) = self.fields_mut() {
                fields.remove(STATUS);
                // a struct of Go's is always there
                fields.extend(built_in.then(|| (STATUS.to_owned(), Value::Object(Map::new()))));
            }
        }
    }
    fn prepare_update(&mut self, old: &dyn Instance) {
        let old = same_kind(old);
        if self.kind.has_status() {
            self.take_status_from(old);
        }
        self.before = Some(Arc::new(old.fields.clone()));
    }
    fn prepare_status_update(&mut self, old: &dyn Instance) {
        let old = same_kind(old);
        let status = self.fields.get(STATUS).cloned();
        self.fields = old.fields.clone();
        if let Some(fields) = self.fields_mut() {
            match status {
                Some(status) => drop(fields.insert(STATUS.to_owned(), status)),
                None => drop(fields.remove(STATUS)),
            }
        }
        self.before = Some(Arc::new(old.fields.clone()));
        // of a custom resource, an update of the status changes nothing else
        crate::keep_all_metadata(&mut self.meta, &old.meta);
    }
    fn generation_changes(&self, old: &dyn Instance) -> bool {
        self.kind.counts_generations() && self.without_status() != same_kind(old).without_status()
    }
    fn validate(&self, errors: &mut ErrorList) {
        if self.is_stored && self.before.is_none() {
            return;
        }
        let mut found = ErrorList::default();
        self.judge(&mut found);
        errors.append(found);
        if let Some(logic) = self.kind.logic() {
            (logic.validate)(&self.fields, errors);
        }
    }
    fn validate_update(&self, old: &dyn Instance, errors: &mut ErrorList) {
        let Some(logic) = self.kind.logic() else { return };
        for path in logic.immutable {
            let (new, old) = (self.fields.pointer(path), same_kind(old).fields.pointer(path));
            if new != old {
                let field = path.trim_start_matches('/').replace('/', ".");
                errors.invalid(field, new.cloned().unwrap_or_default(), crate::builtin::IMMUTABLE);
            }
        }
    }
    fn validate_status_update(&self, _old: &dyn Instance, errors: &mut ErrorList) {
        Instance::validate(self, errors);
    }
    fn pod_template(&self) -> Option<(&'static str, &k8s_openapi::api::core::v1::PodTemplateSpec)> {
        None
    }
    /// Of built-in kinds such finalizers are refused.
    fn warnings(&self, old: Option<&dyn Instance>) -> Vec<String> {
        match self.kind.logic() {
            Some(_) => Vec::new(),
            None => crate::meta::finalizer_warnings(&self.meta, old.map(|old| old.meta())),
        }
    }
    fn field(&self, path: &str) -> String {
        match path {
            "metadata.name" => self.meta.name.clone().unwrap_or_default(),
            "metadata.namespace" => self.meta.namespace.clone().unwrap_or_default(),
            path => match self.kind.selectable(path).map(|p| p.find(&self.fields).into_iter().next()) {
                Some(Some(Value::String(text))) => text.clone(),
                Some(Some(value)) if !value.is_null() => value.to_string(),
                _ => String::new(),
            },
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        self.kind.printer.row(&self.whole(), now)
    }
    fn same_as(&self, old: &dyn Instance) -> bool {
        let old = same_kind(old);
        let mut meta = self.meta.clone();
        meta.resource_version.clone_from(&old.meta.resource_version);
        meta == old.meta && self.fields == old.fields
    }
    fn to_json(&self) -> Result<Vec<u8>, Status> {
        // stored in one version, whichever it came in; where a webhook converts it has not done so yet
        let version = match self.kind.conversion {
            Some(_) => Value::from(self.kind.info.gvk.api_version()),
            None => Value::from(self.kind.stored_version.as_str()),
        };
        let kind = Value::from(&*self.kind.info.gvk.kind);
        let meta = serde_json::to_value(&self.meta).map_err(Status::internal)?;
        let mut object: BTreeMap<&str, &Value> =
            BTreeMap::from([("apiVersion", &version), ("kind", &kind), ("metadata", &meta)]);
        object.extend(
            self.fields.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value)),
        );
        serde_json::to_vec(&object).map_err(Status::internal)
    }
    fn clone_box(&self) -> Box<dyn Instance> {
        Box::new(self.clone())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn scale(&self) -> Option<ScaleNumbers> {
        let paths = self.kind.scale.as_ref()?;
        let number = |path: &JsonPath| {
            path.find(&self.fields).first().and_then(|n| n.as_i64()).and_then(|n| i32::try_from(n).ok())
        };
        let text =
            |path: &JsonPath| path.find(&self.fields).first().and_then(|s| s.as_str()).map(str::to_owned);
        Some(ScaleNumbers {
            wanted: number(&paths.wanted),
            current: number(&paths.current),
            selector: paths.selector.as_ref().and_then(text),
        })
    }
    fn set_replicas(&mut self, replicas: i32) {
        let kind = self.kind.clone();
        if let Some(paths) = &kind.scale {
            paths.wanted.set(&mut self.fields, replicas.into());
        }
    }
}
