//! One OpenAPI v3 document for one group and version.

use crate::merge_keys;
use crate::served::Served;
use serde_json::{Map, Value, json};

const REFERENCE: &str = "#/components/schemas/";

pub fn v3(path: &str, resources: &[Served], definitions: &Map<String, Value>) -> Value {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for served in resources {
        collect(&served.schema, definitions, &mut schemas);
        if let Some(schema) = schemas.get_mut(&served.schema) {
            schema["x-kubernetes-group-version-kind"] = json!([gvk(served)]);
        }
        add_paths(path, served, &mut paths);
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths, "components": {"schemas": schemas},
    })
}

fn gvk(served: &Served) -> Value {
    json!({"group": served.group, "version": served.version, "kind": served.kind})
}

/// The schema and all that it refers to.
fn collect(name: &str, definitions: &Map<String, Value>, into: &mut Map<String, Value>) {
    if into.contains_key(name) {
        return;
    }
    let Some(schema) = definitions.get(name) else { return };
    let mut schema = schema.clone();
    mend(&mut schema);
    merge_keys::annotate(name, &mut schema);
    let mut references = Vec::new();
    find_references(&schema, &mut references);
    into.insert(name.to_owned(), schema);
    for reference in references {
        collect(&reference, definitions, into);
    }
}

/// What the types say more strictly than the API: upstream requires no metadata, and `null` is nothing.
fn mend(schema: &mut Value) {
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|field| field != "metadata" && field != "apiVersion" && field != "kind");
    }
    if schema.get("required").and_then(Value::as_array).is_some_and(Vec::is_empty)
        && let Some(schema) = schema.as_object_mut()
    {
        schema.remove("required");
    }
    unwrap_nullable(schema);
}

/// `anyOf: [{$ref}], nullable` becomes `allOf: [{$ref}]`, which clients follow.
fn unwrap_nullable(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("nullable");
            if let Some(Value::Array(options)) = object.remove("anyOf") {
                let kept: Vec<Value> = options
                    .into_iter()
                    .filter(|option| {
                        option.get("$ref").is_some() || option.get("type").is_some_and(|t| t != "null")
                    })
                    .collect();
                object.insert("allOf".to_owned(), kept.into());
            }
            object.values_mut().for_each(unwrap_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_nullable),
        _ => {}
    }
}

fn find_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                found.extend(reference.strip_prefix(REFERENCE).map(str::to_owned));
            }
            object.values().for_each(|value| find_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| find_references(value, found)),
        _ => {}
    }
}

fn add_paths(path: &str, served: &Served, paths: &mut Map<String, Value>) {
    let base = match served.namespaced {
        true => format!("/{path}/namespaces/{{namespace}}/{}", served.plural),
        false => format!("/{path}/{}", served.plural),
    };
    let schema = json!({"$ref": format!("{REFERENCE}{}", served.schema)});
    let answer = json!({"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}});
    let operation = |action: &str, body: Option<Value>| {
        let mut operation = json!({
            "responses": answer, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(served),
            "parameters": parameters(),
        });
        if let Some(content) = body {
            operation["requestBody"] = json!({"content": content});
        }
        operation
    };
    let whole =
        || Some(json!({"application/json": {"schema": schema}, "application/yaml": {"schema": schema}}));
    let patch = json!({"type": "object"});
    let patches = json!({
        "application/json-patch+json": {"schema": patch}, "application/merge-patch+json": {"schema": patch},
        "application/strategic-merge-patch+json": {"schema": patch},
    });
    paths.insert(base.clone(), json!({"get": operation("list", None), "post": operation("post", whole())}));
    paths.insert(
        format!("{base}/{{name}}"),
        json!({
            "get": operation("get", None), "put": operation("put", whole()), "patch": operation("patch", Some(patches)),
            "delete": operation("delete", None),
        }),
    );
}

fn parameters() -> Value {
    let query =
        |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    json!([query("dryRun"), query("fieldManager"), query("fieldValidation"), query("pretty")])
}
