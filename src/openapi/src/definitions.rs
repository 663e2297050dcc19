//! The definitions that paths refer to: those of built-in types come with the program, lists and custom kinds are described here.

use crate::resource::{Resource, mark};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(crate) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(crate) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// Where version 3 has its definitions.
pub(crate) const SCHEMAS: &str = "#/components/schemas/";

// what upstream says of them in every definition: `kubectl explain` shows it
pub(crate) const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
pub(crate) const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
pub(crate) const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
pub(crate) const LIST_METADATA: &str = "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const CONVENTIONS: &str =
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/// By name, in JSON, each definition that those `wanted` lead to, and those that every document has. `custom` says how the schema
/// of a custom kind is shown; `None`: nothing of its fields. The built-in definitions are unpacked for as long as this takes.
pub(crate) fn reached(
    wanted: impl IntoIterator<Item = String>,
    resources: &[Arc<Resource>],
    custom: fn(&Value) -> Option<Value>,
) -> BTreeMap<String, String> {
    let unpacked = crate::inflate(include_bytes!(concat!(env!("OUT_DIR"), "/definitions.json.gz")));
    let built_in: BTreeMap<&str, &RawValue> =
        serde_json::from_slice(&unpacked).expect("the build wrote definitions");
    let made: BTreeMap<String, String> = resources.iter().flat_map(|resource| of(resource, custom)).collect();
    let mut reached = BTreeMap::new();
    let mut open: Vec<String> = [STATUS, DELETE_OPTIONS, PATCH].map(str::to_owned).into();
    open.extend(wanted);
    while let Some(name) = open.pop() {
        if reached.contains_key(&name) {
            continue;
        }
        let known = made.get(&name).map(String::as_str);
        if let Some(json) = known.or_else(|| built_in.get(name.as_str()).map(|raw| raw.get())) {
            open.extend(references(json));
            reached.insert(name, json.to_owned());
        }
    }
    reached
}

/// In a text, which is quicker than in its values. A quotation mark within a string has a backslash before it.
pub(crate) fn references(json: &str) -> Vec<String> {
    let each = json.split("\"$ref\":\"#/components/schemas/").skip(1);
    each.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

/// What the program does not bring along of a resource.
fn of(resource: &Resource, custom: fn(&Value) -> Option<Value>) -> Vec<(String, String)> {
    let own = resource.schema().map(|schema| {
        let schema: Option<Value> = serde_json::from_str(schema).ok();
        let mut shown = schema
            .as_ref()
            .and_then(custom)
            .map_or_else(|| json!({"type": "object"}), with_type_and_metadata);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("x-kubernetes-group-version-kind".into(), json!([mark(&resource.info.gvk)]));
        }
        (resource.definition.clone(), shown.to_string())
    });
    let has_list = resource.info.verbs.contains(&"list");
    let list = has_list.then(|| (format!("{}List", resource.definition), list(resource).to_string()));
    own.into_iter().chain(list).collect()
}

fn with_type_and_metadata(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        let properties = fields.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("apiVersion".into(), text(API_VERSION));
            properties.insert("kind".into(), text(KIND));
            properties.insert("metadata".into(), described(OBJECT_META, METADATA));
        }
    }
    schema
}

fn list(resource: &Resource) -> Value {
    let (info, kind) = (&resource.info, format!("{}List", resource.info.gvk.kind));
    let items = format!("List of {}. More info: {CONVENTIONS}", info.gvr.resource);
    json!({
        "type": "object", "required": ["items"], "description": format!("{kind} is a list of {}", info.gvk.kind),
        "properties": {
            "apiVersion": text(API_VERSION),
            "kind": text(KIND),
            "items": {
                "type": "array", "items": reference(&resource.definition), "description": items,
                "x-kubernetes-list-type": "atomic",
            },
            "metadata": described(LIST_META, LIST_METADATA),
        },
        "x-kubernetes-group-version-kind": [{"group": info.gvk.group, "kind": kind, "version": info.gvk.version}],
    })
}

pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("{SCHEMAS}{name}")})
}

/// A reference takes nothing beside it in version 3, so it is wrapped.
fn described(name: &str, description: &str) -> Value {
    json!({"allOf": [reference(name)], "description": description})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}
