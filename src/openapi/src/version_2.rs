//! The one document of version 2: what version 3 says of each group, in the words of a version that knows less.

use crate::definitions::{self, SCHEMAS, references};
use crate::extension::{self, Extension};
use crate::resource::Resource;
use crate::{VERSION, gnostic, object_of, paths};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const PRESERVES: &str = "x-kubernetes-preserve-unknown-fields";

pub(crate) fn json(resources: &[Arc<Resource>], extensions: &[Arc<Extension>]) -> Vec<u8> {
    let (paths, definitions) = whole(resources, extensions);
    let (info, paths, definitions) = (info(), object_of(paths), object_of(definitions));
    format!(r#"{{"swagger":"2.0","info":{info},"paths":{paths},"definitions":{definitions}}}"#).into_bytes()
}

/// See [`crate::PROTOBUF`].
pub(crate) fn protobuf(resources: &[Arc<Resource>], extensions: &[Arc<Extension>]) -> Vec<u8> {
    let (paths, definitions) = whole(resources, extensions);
    gnostic::document(&info(), paths, definitions)
}

/// Paths and definitions, ours first.
fn whole(
    resources: &[Arc<Resource>],
    extensions: &[Arc<Extension>],
) -> (impl Iterator<Item = (String, Value)>, impl Iterator<Item = (String, Value)>) {
    let own = reached(resources);
    let (other_paths, other_definitions) = extension::beside(&own, shown, extensions);
    let own = own.into_iter().map(|(name, schema)| (name, shown(&schema)));
    (paths(resources).chain(other_paths), own.chain(other_definitions))
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": VERSION})
}

fn paths(resources: &[Arc<Resource>]) -> impl Iterator<Item = (String, Value)> {
    let each = resources.iter().flat_map(|resource| paths::of(resource));
    each.map(|(path, item)| (path, rename_references(path_item(item))))
}

/// The definitions, as version 3 has them.
fn reached(resources: &[Arc<Resource>]) -> BTreeMap<String, String> {
    let items = resources.iter().flat_map(|resource| paths::of(resource));
    let wanted = items.flat_map(|(_, item)| references(&item.to_string()));
    definitions::reached(wanted, resources, structural)
}

fn shown(schema: &str) -> Value {
    rename_references(definition(schema))
}

/// The schema of a custom kind, without what version 2 does not know, as upstream's `ToStructuralOpenAPIV2` leaves it. `None` for one that
/// keeps unknown fields: kubectl of old would refuse them beside the few that were named, type and metadata among those.
fn structural(schema: &Value) -> Option<Value> {
    (schema.get(PRESERVES) != Some(&Value::Bool(true))).then(|| lesser(schema))
}

/// Below what may be null, and below what keeps unknown fields, nothing is said: kubectl of old would refuse what the server takes.
fn lesser(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let is = |name: &str| fields.get(name) == Some(&Value::Bool(true));
    let is_nullable = |schema: &Value| schema.get("nullable") == Some(&Value::Bool(true));
    let preserves = is(PRESERVES);
    let mut lesser_fields = Map::new();
    for (name, value) in fields {
        let value = match name.as_str() {
            "allOf" | "anyOf" | "oneOf" | "not" | "nullable" | "default" => continue,
            "type" if is("nullable") => continue,
            // kubectl takes it for a structure without fields, or a list of nothing
            "type" if preserves && (value == "object" || value == "array") => continue,
            "properties" | "items" | "additionalProperties" if is("nullable") => continue,
            "properties" | "items" if preserves => continue,
            "properties" => match value.as_object() {
                Some(all) => all.iter().map(|(name, value)| (name.clone(), lesser(value))).collect(),
                None => continue,
            },
            "required" => {
                let properties = fields.get("properties");
                let may_be_null = |name: &Value| {
                    let property = name.as_str().and_then(|name| properties?.get(name));
                    property.is_some_and(is_nullable)
                };
                value.as_array().into_iter().flatten().filter(|name| !may_be_null(name)).cloned().collect()
            }
            "items" | "additionalProperties" => lesser(value),
            _ => value.clone(),
        };
        lesser_fields.insert(name.clone(), value);
    }
    Value::Object(lesser_fields)
}

/// There are no alternatives: quantities, and what is a number or a string, are called strings, of others nothing is said.
fn definition(schema: &str) -> Value {
    let mut schema: Value = serde_json::from_str(schema).expect("definitions are JSON");
    if let Some(fields) = schema.as_object_mut()
        && let Some(Value::Array(alternatives)) = fields.remove("oneOf")
        && alternatives.iter().all(|one| one.get("type").is_some())
    {
        fields.insert("type".into(), "string".into());
    }
    schema
}

/// To where definitions are in version 2, and without what version 3 wraps them in.
fn rename_references(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let each = fields.into_iter().map(|(name, value)| match (name.as_str(), definition_at(&value)) {
                ("$ref", Some(to)) | ("allOf", Some(to)) => {
                    ("$ref".to_owned(), format!("#/definitions/{to}").into())
                }
                _ => (name, rename_references(value)),
            });
            each.collect()
        }
        Value::Array(items) => items.into_iter().map(rename_references).collect(),
        other => other,
    }
}

/// What a reference leads to, wrapped or not.
fn definition_at(reference: &Value) -> Option<&str> {
    reference.as_str().or_else(|| reference.get(0)?.get("$ref")?.as_str())?.strip_prefix(SCHEMAS)
}

/// The operations of a path, whose bodies are parameters here.
fn path_item(item: Value) -> Value {
    let Value::Object(fields) = item else { return item };
    let each = fields.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "parameters" => parameters(&value),
            _ => operation(value),
        };
        (name, value)
    });
    each.collect()
}

fn parameters(all: &Value) -> Value {
    let each = all.as_array().into_iter().flatten().map(|parameter| {
        let mut parameter = parameter.clone();
        if let Some(fields) = parameter.as_object_mut()
            && let Some(Value::Object(schema)) = fields.remove("schema")
        {
            fields.extend(schema);
        }
        parameter
    });
    each.collect()
}

fn operation(mut operation: Value) -> Value {
    let Some(fields) = operation.as_object_mut() else { return operation };
    let mut parameters = parameters(&fields["parameters"]);
    if let Some(mut body) = fields.remove("requestBody") {
        let content: BTreeMap<String, Value> =
            serde_json::from_value(body["content"].take()).unwrap_or_default();
        let schema = content.values().next().map(|first| first["schema"].clone());
        let required = body["required"] == true;
        if let Some(all) = parameters.as_array_mut() {
            all.push(json!({"name": "body", "in": "body", "required": required, "schema": schema}));
        }
        fields.insert("consumes".into(), content.into_keys().collect());
    }
    fields.insert("produces".into(), json!(["application/json"]));
    fields.insert("parameters".into(), parameters);
    for response in fields["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        let content = response.as_object_mut().and_then(|response| response.remove("content"));
        if let Some(mut content) = content {
            response["schema"] = content["application/json"]["schema"].take();
        }
    }
    operation
}
