//! The definitions: k8s-openapi's, with upstream's extensions put back.

use crate::rows::{Row, rows};
use crate::types::Kind;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const TYPES: &str = include_str!("../../../assets/kubernetes/types.tsv");

/// By name, as documents of version 3 have them.
pub fn definitions(made: Map<String, Value>, kinds: &[Kind]) -> BTreeMap<String, Value> {
    let mut all: BTreeMap<String, Value> = made.into_iter().collect();
    all.insert(PATCH.to_owned(), json!({
        "type": "object",
        "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.",
    }));
    for (group, version, kind, name) in kinds {
        mark(&mut all, name, (group, version, kind));
    }
    let groups: BTreeSet<(&str, &str)> = kinds.iter().map(|kind| (kind.0, kind.1)).collect();
    for (group, version) in groups {
        mark(&mut all, DELETE_OPTIONS, (group, version, "DeleteOptions"));
    }
    add_extensions(&mut all);
    all.values_mut().for_each(metadata_is_optional);
    all.into_iter().map(|(name, schema)| (name.clone(), version_3(&name, &schema))).collect()
}

fn mark(all: &mut BTreeMap<String, Value>, name: &str, (group, version, kind): (&str, &str, &str)) {
    let Some(Value::Object(schema)) = all.get_mut(name) else { panic!("no schema {name}") };
    let marks = schema.entry("x-kubernetes-group-version-kind").or_insert_with(|| json!([]));
    if let Value::Array(marks) = marks {
        marks.push(json!({"group": group, "kind": kind, "version": version}));
    }
}

/// What Rust's types do not know of upstream's: how lists are merged, and by what.
fn add_extensions(all: &mut BTreeMap<String, Value>) {
    let rows: Vec<Row<'_>> = rows(TYPES).collect();
    for (long, schema) in all.iter_mut() {
        extend_by(&rows, short(long), schema);
    }
}

/// A type may be made of another's fields, and that of a third's.
fn extend_by(rows: &[Row<'_>], name: &str, schema: &mut Value) {
    for row in rows.iter().filter(|row| row.of == name) {
        match row.field {
            "~" => extend_by(rows, row.kind, schema),
            _ => extend(schema, row),
        }
    }
}

fn extend(schema: &mut Value, row: &Row<'_>) {
    let place = match row.field {
        "-" => schema.as_object_mut(),
        field => schema["properties"].get_mut(field).and_then(Value::as_object_mut),
    };
    let Some(place) = place else { return };
    let list_type = match (row.get("map"), row.is("set")) {
        (Some(_), _) => Some("map"),
        (None, true) => Some("set"),
        (None, false) => row.items().map(|_| "atomic"),
    };
    if let Some(list_type) = list_type {
        place.insert("x-kubernetes-list-type".into(), list_type.into());
    }
    if let Some(keys) = row.get("map") {
        place.insert("x-kubernetes-list-map-keys".into(), keys.split(',').collect());
    }
    if row.is("atomic") {
        place.insert("x-kubernetes-map-type".into(), "atomic".into());
    }
    if let Some(key) = row.get("merge") {
        place.insert("x-kubernetes-patch-merge-key".into(), key.into());
    }
    let merges = row.is("merge") || row.get("merge").is_some();
    let strategy: Vec<&str> = [(merges, "merge"), (row.is("retainKeys"), "retainKeys")]
        .iter()
        .filter(|s| s.0)
        .map(|s| s.1)
        .collect();
    if !strategy.is_empty() {
        place.insert("x-kubernetes-patch-strategy".into(), strategy.join(",").into());
    }
    if let Some(Ok(default)) = row.get("default").map(serde_json::from_str::<Value>) {
        place.insert("default".into(), default);
    }
}

/// `io.k8s.api.core.v1.Pod` as the table calls it.
fn short(name: &str) -> &str {
    const ROOTS: &[&str] = &[
        "io.k8s.apimachinery.pkg.apis.",
        "io.k8s.apimachinery.pkg.",
        "io.k8s.apiextensions-apiserver.pkg.apis.",
        "io.k8s.kube-aggregator.pkg.apis.",
        "io.k8s.api.",
    ];
    ROOTS.iter().find_map(|root| name.strip_prefix(root)).unwrap_or(name)
}

/// The types always have metadata; what a client sends need not.
fn metadata_is_optional(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|field| field != "metadata");
        if required.is_empty() {
            schema.remove("required");
        }
    }
}

fn version_3(name: &str, schema: &Value) -> Value {
    let description = &schema["description"];
    match name {
        INT_OR_STRING => json!({
            "description": description, "format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}],
        }),
        QUANTITY => json!({"description": description, "oneOf": [{"type": "string"}, {"type": "number"}]}),
        _ => wrap_references(schema),
    }
}

/// Version 3 allows nothing beside a reference.
fn wrap_references(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let wrapped = fields.iter().map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(to)) => {
                    let to = to.replace("#/$defs/", "#/components/schemas/");
                    ("allOf".to_owned(), json!([{"$ref": to}]))
                }
                _ => (key.clone(), wrap_references(value)),
            });
            wrapped.collect()
        }
        Value::Array(items) => items.iter().map(wrap_references).collect(),
        other => other.clone(),
    }
}
