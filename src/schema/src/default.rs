//! Defaults of a schema, put where nothing was said.

use crate::Schema;
use serde_json::{Map, Value};

/// Fills in the schema's defaults, from the outside in: the default of an object can have gaps that its fields' defaults
/// fill. The root's metadata is left alone.
pub fn set_defaults(value: &mut Value, schema: &Schema) {
    crate::prune::drop_unset_nulls(value, schema);
    set_defaults_in(value, schema);
}

/// As [`set_defaults`], for a part of an object.
pub fn set_defaults_in(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => in_object(fields, schema),
        Value::Array(items) => {
            let Some(of) = schema.items.as_deref() else { return };
            for item in items {
                // a null item that may not be null takes the default of the items
                if let (true, false, Some(default)) = (item.is_null(), of.nullable, &of.default) {
                    *item = default.clone();
                }
                set_defaults_in(item, of);
            }
        }
        _ => {}
    }
}

fn in_object(fields: &mut Map<String, Value>, schema: &Schema) {
    for (name, of) in &schema.properties {
        if let Some(default) = &of.default
            && !fields.contains_key(name)
        {
            fields.insert(name.clone(), default.clone());
        }
    }
    for (name, value) in fields.iter_mut() {
        if let Some(of) = schema.field(name) {
            if let (true, false, Some(default)) = (value.is_null(), of.nullable, &of.default) {
                *value = default.clone();
            }
            set_defaults_in(value, of);
        }
    }
}
