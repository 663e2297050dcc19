//! Pruning: what the schema does not name is dropped (KEP-2337), and said.

use crate::check::has_room;
use crate::{Schema, table};
use serde_json::{Map, Value};

/// Drops the fields that the schema does not name, and returns the paths of the first (`spec.replica`, `spec.list[0].x`). The root's
/// `apiVersion`, `kind` and `metadata` stay, and so do those of embedded objects, whose metadata is pruned as every object's.
pub fn prune(value: &mut Value, schema: &Schema) -> Vec<String> {
    let mut dropped = Vec::new();
    object(value, schema, true, &mut String::new(), &mut dropped);
    dropped
}

/// As [`prune`], of a part of an object.
pub(crate) fn walk(value: &mut Value, schema: &Schema, path: &mut String, dropped: &mut Vec<String>) {
    match value {
        Value::Object(_) => object(value, schema, schema.embedded, path, dropped),
        Value::Array(items) => {
            let Some(of) = schema.items.as_deref() else { return };
            for (index, item) in items.iter_mut().enumerate() {
                within(path, &format!("[{index}]"), |path| walk(item, of, path, dropped));
            }
        }
        _ => {}
    }
}

fn object(
    value: &mut Value,
    schema: &Schema,
    is_resource: bool,
    path: &mut String,
    dropped: &mut Vec<String>,
) {
    let Value::Object(fields) = value else { return };
    let stays = |name: &str| {
        schema.preserve_unknown
            || schema.field(name).is_some()
            || (is_resource && matches!(name, "apiVersion" | "kind" | "metadata"))
    };
    let unknown: Vec<String> = fields.keys().filter(|name| !stays(name)).cloned().collect();
    for name in unknown {
        fields.remove(&name);
        if has_room(dropped) {
            dropped.push(format!("{path}{}{name}", if path.is_empty() { "" } else { "." }));
        }
    }
    for (name, value) in fields.iter_mut() {
        // the metadata of a resource is as such, whatever the schema says of it; the root's is checked elsewhere
        let of = match name.as_str() {
            "metadata" if is_resource && path.is_empty() => None,
            "metadata" if is_resource => table::named("meta.v1.ObjectMeta"),
            name => schema.field(name),
        };
        if let Some(of) = of {
            let step = if path.is_empty() { name.clone() } else { format!(".{name}") };
            within(path, &step, |path| walk(value, of, path, dropped));
        }
    }
}

pub(crate) fn within(path: &mut String, step: &str, then: impl FnOnce(&mut String)) {
    let before = path.len();
    path.push_str(step);
    then(path);
    path.truncate(before);
}

/// Drops the fields of features that are off, as upstream's strategies do before anybody looks at an object
/// (`dropDisabledFields`). Nobody is told: the fields are known.
pub fn drop_off(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !schema.field(name).is_some_and(|field| field.off));
            for (name, value) in fields.iter_mut() {
                if let Some(of) = schema.field(name).or(schema.additional.as_deref()) {
                    drop_off(value, of);
                }
            }
        }
        Value::Array(items) => {
            if let Some(of) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| drop_off(item, of));
            }
        }
        _ => {}
    }
}

/// A `null` where the schema allows none, and has a default, is as if it were not there: upstream drops it before it
/// sets defaults.
pub fn drop_unset_nulls(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => drop_from(fields, schema),
        Value::Array(items) => {
            if let Some(of) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| drop_unset_nulls(item, of));
            }
        }
        _ => {}
    }
}

fn drop_from(fields: &mut Map<String, Value>, schema: &Schema) {
    fields.retain(|name, value| {
        let Some(of) = schema.properties.get(name) else { return true };
        !(value.is_null() && !of.nullable && of.default.is_some())
    });
    for (name, value) in fields.iter_mut() {
        if let Some(of) = schema.field(name) {
            drop_unset_nulls(value, of);
        }
    }
}
