//! Defaults of a schema, put where nothing was said.

use crate::Schema;
use serde_json::{Map, Value};

/// Of what is filled into one object, in bytes: a list has an item for each three bytes of a body, and each may lack a field whose default
/// is as large as a definition. What got so much is larger than any object that is stored, and is refused for that.
const MOST_FILLED: usize = 3 * 1024 * 1024;
/// Of a value beside its text.
const VALUE: usize = 32;

/// Fills in the schema's defaults, from the outside in: the default of an object can have gaps that its fields' defaults
/// fill. The root's metadata is left alone.
pub fn set_defaults(value: &mut Value, schema: &Schema) {
    crate::prune::drop_unset_nulls(value, schema);
    set_defaults_in(value, schema);
}

/// As [`set_defaults`], for a part of an object.
pub fn set_defaults_in(value: &mut Value, schema: &Schema) {
    Filler { left: MOST_FILLED }.fill(value, schema);
}

struct Filler {
    left: usize,
}

impl Filler {
    fn fill(&mut self, value: &mut Value, schema: &Schema) {
        match value {
            Value::Object(fields) => self.in_object(fields, schema),
            Value::Array(items) => {
                let Some(of) = schema.items.as_deref() else { return };
                for item in items {
                    // a null item that may not be null takes the default of the items
                    if let (true, false, Some(default)) = (item.is_null(), of.nullable, &of.default)
                        && let Some(default) = self.copy(default)
                    {
                        *item = default;
                    }
                    self.fill(item, of);
                }
            }
            _ => {}
        }
    }

    fn in_object(&mut self, fields: &mut Map<String, Value>, schema: &Schema) {
        for (name, of) in &schema.properties {
            if let Some(default) = &of.default
                && !fields.contains_key(name)
                && let Some(default) = self.copy(default)
            {
                fields.insert(name.clone(), default);
            }
        }
        for (name, value) in fields.iter_mut() {
            if let Some(of) = schema.field(name) {
                if let (true, false, Some(default)) = (value.is_null(), of.nullable, &of.default)
                    && let Some(default) = self.copy(default)
                {
                    *value = default;
                }
                self.fill(value, of);
            }
        }
    }

    /// `None` when there is too much already. The last one may go beyond: it is no larger than its definition.
    fn copy(&mut self, default: &Value) -> Option<Value> {
        if self.left == 0 {
            return None;
        }
        self.left = self.left.saturating_sub(size(default));
        Some(default.clone())
    }
}

fn size(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    VALUE + inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_not_multiplied_without_end() {
        let text = "x".repeat(100_000);
        let schema = json!({"type": "object", "properties": {"l": {"type": "array", "items":
            {"type": "object", "properties": {"d": {"type": "string", "default": text}}}}}});
        let schema = crate::from_openapi(&schema, "s").unwrap();
        let filled = |items: usize| {
            let mut object = json!({ "l": vec![json!({}); items] });
            set_defaults(&mut object, &schema);
            object["l"].as_array().unwrap().iter().filter(|item| item["d"] == *text).count()
        };
        assert_eq!(filled(10), 10);
        assert_eq!(filled(20_000), MOST_FILLED.div_ceil(text.len() + VALUE));
    }
}
