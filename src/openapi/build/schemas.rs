//! The definitions: k8s-openapi's, with upstream's extensions put back.

use crate::rows::{Row, rows};
use crate::table::Resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const TYPES: &str = include_str!("../../../assets/kubernetes/types.tsv");

/// By name, with references as `#/$defs/…`.
pub fn all(resources: &[Resource]) -> BTreeMap<String, Value> {
    let mut generator = SchemaGenerator::new(SchemaSettings::default());
    for resource in resources {
        (resource.register)(&mut generator);
        resource.subresources.iter().for_each(|s| (s.register)(&mut generator));
    }
    generator.subschema_for::<meta::Status>();
    generator.subschema_for::<meta::DeleteOptions>();
    generator.subschema_for::<meta::ListMeta>();
    let mut all: BTreeMap<String, Value> = generator.take_definitions(false).into_iter().collect();
    all.insert(PATCH.to_owned(), json!({
        "type": "object",
        "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.",
    }));
    add_kinds(&mut all, resources);
    add_extensions(&mut all);
    all.values_mut().for_each(metadata_is_optional);
    all
}

fn add_kinds(all: &mut BTreeMap<String, Value>, resources: &[Resource]) {
    for resource in resources {
        if !resource.create_only {
            all.insert(resource.list_definition(), list(&all[&resource.definition], resource));
            let (group, version, kind) = resource.gvk;
            mark(all, &resource.list_definition(), group, version, &format!("{kind}List"));
        }
        let subs = resource.subresources.iter().filter_map(|s| Some((s.definition.clone()?, s.gvk)));
        for (name, (group, version, kind)) in subs.chain([(resource.definition.clone(), resource.gvk)]) {
            mark(all, &name, group, version, kind);
        }
    }
    mark(all, STATUS, "", "v1", "Status");
    let groups: BTreeSet<(&str, &str)> = resources.iter().map(|r| (r.gvk.0, r.gvk.1)).collect();
    for (group, version) in groups {
        mark(all, DELETE_OPTIONS, group, version, "DeleteOptions");
    }
}

fn list(item: &Value, resource: &Resource) -> Value {
    let text = |field: &str| item["properties"][field].clone();
    json!({
        "description": format!("{0}List is a list of {0}.", resource.gvk.2),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": text("apiVersion"),
            "kind": text("kind"),
            "items": {"type": "array", "items": {"$ref": format!("#/$defs/{}", resource.definition)}},
            "metadata": {"$ref": format!("#/$defs/{LIST_META}")},
        },
    })
}

fn mark(all: &mut BTreeMap<String, Value>, name: &str, group: &str, version: &str, kind: &str) {
    let Some(Value::Object(schema)) = all.get_mut(name) else { panic!("no schema {name}") };
    let marks = schema.entry("x-kubernetes-group-version-kind").or_insert_with(|| json!([]));
    let gvk = gvk((group, version, kind));
    if let Value::Array(marks) = marks
        && !marks.contains(&gvk)
    {
        marks.push(gvk);
    }
}

pub fn gvk((group, version, kind): (&str, &str, &str)) -> Value {
    json!({"group": group, "kind": kind, "version": version})
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

/// `name` and everything it refers to.
pub fn reach(all: &BTreeMap<String, Value>, name: &str, reached: &mut BTreeSet<String>) {
    if reached.insert(name.to_owned()) {
        let schema = all.get(name).unwrap_or_else(|| panic!("no schema {name}"));
        references(schema, &mut |to| reach(all, to, reached));
    }
}

fn references(value: &Value, found: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            if let Some(to) =
                fields.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"))
            {
                found(to);
            }
            fields.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

pub fn version_3(name: &str, schema: &Value) -> Value {
    let description = schema["description"].clone();
    match name {
        INT_OR_STRING => json!({
            "description": description, "format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}],
        }),
        QUANTITY => json!({"description": description, "oneOf": [{"type": "string"}, {"type": "number"}]}),
        _ => rewrite(schema, "#/components/schemas/", true),
    }
}

pub fn version_2(name: &str, schema: &Value) -> Value {
    let description = schema["description"].clone();
    match name {
        INT_OR_STRING => json!({"description": description, "type": "string", "format": "int-or-string"}),
        QUANTITY => json!({"description": description, "type": "string"}),
        _ => rewrite(schema, "#/definitions/", false),
    }
}

/// With references that point to `root`. Version 3 allows nothing beside a reference, so it is wrapped.
fn rewrite(value: &Value, root: &str, wrap: bool) -> Value {
    match value {
        Value::Object(fields) => {
            let mut new: Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), rewrite(value, root, wrap))).collect();
            if let Some(to) =
                fields.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"))
            {
                let to = format!("{root}{to}");
                if wrap {
                    new.remove("$ref");
                    new.insert("allOf".into(), json!([{"$ref": to}]));
                } else {
                    new.insert("$ref".into(), to.into());
                }
            }
            Value::Object(new)
        }
        Value::Array(items) => items.iter().map(|v| rewrite(v, root, wrap)).collect(),
        other => other.clone(),
    }
}
