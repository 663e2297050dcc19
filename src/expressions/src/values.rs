//! JSON becomes values of CEL, by the schema where there is one; how much a value weighs.

use crate::constructed::Constructed;
use crate::functions::call_named;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use schema::{Schema, Type};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;

/// Words of CEL: no variable may be called so, and a field that is, is written `__namespace__`.
pub const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
/// So many letters are looked at in one step: upstream's price of 0.1 for a letter.
const LETTERS_IN_A_STEP: u64 = 10;

/// The name under which an expression has a field.
pub(crate) fn escaped(field: &str) -> String {
    if RESERVED.contains(&field) {
        return format!("__{field}__");
    }
    if !field.contains("__") && !field.contains(['.', '-', '/']) {
        return field.to_owned();
    }
    let text = field.replace("__", "__underscores__");
    text.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

pub(crate) fn of_json(value: &Json) -> Value {
    by_schema(value, None)
}

/// A whole number of a schema's `number` is a double; text of a format is what the format says. Keys of a map are the
/// user's and stay as they are, and so do all names where no schema says which of them are fields.
pub(crate) fn by_schema(value: &Json, schema: Option<&Schema>) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(of) => Value::Bool(*of),
        Json::Number(of) => match (of.as_i64(), of.as_u64()) {
            _ if schema.is_some_and(|schema| schema.kind == Type::Number) => {
                Value::Float(of.as_f64().unwrap_or(f64::NAN))
            }
            (Some(of), _) => Value::Int(of),
            (None, Some(of)) => Value::UInt(of),
            _ => whole(of.as_f64().unwrap_or(f64::NAN), schema),
        },
        Json::String(text) => text_of(text, schema),
        Json::Array(items) => {
            let of = schema.and_then(|schema| schema.items.as_deref());
            Value::List(Arc::new(items.iter().map(|item| by_schema(item, of)).collect()))
        }
        Json::Object(fields) => {
            let is_map = schema.is_some_and(|schema| schema.additional.is_some());
            let named = fields.iter().map(|(name, value)| {
                let key = if is_map || schema.is_none() { name.clone() } else { escaped(name) };
                (key, by_schema(value, schema.and_then(|schema| schema.field(name))))
            });
            map_of(named)
        }
    }
}

/// `1e3` is an integer where the schema wants one.
fn whole(number: f64, schema: Option<&Schema>) -> Value {
    match schema.map(|schema| schema.kind) {
        Some(Type::Integer | Type::IntOrString) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Value::Int(number as i64)
        }
        _ => Value::Float(number),
    }
}

fn text_of(text: &str, schema: Option<&Schema>) -> Value {
    let plain = || Value::String(Arc::new(text.to_owned()));
    let format = schema.filter(|schema| schema.kind == Type::String).and_then(Schema::format);
    let (function, text) = match format {
        Some("date-time") => ("timestamp", text.to_owned()),
        Some("date") => ("timestamp", format!("{text}T00:00:00Z")),
        Some("duration") => ("duration", text.to_owned()),
        Some("byte") => {
            return BASE64_STANDARD
                .decode(text)
                .map_or_else(|_| plain(), |bytes| Value::Bytes(Arc::new(bytes)));
        }
        _ => return plain(),
    };
    call_named(function, Value::String(Arc::new(text))).unwrap_or_else(|_| plain())
}

pub(crate) fn map_of(entries: impl Iterator<Item = (String, Value)>) -> Value {
    let map: HashMap<Key, Value> =
        entries.map(|(name, value)| (Key::String(Arc::new(name)), value)).collect();
    Value::Map(Map { map: Arc::new(map) })
}

pub(crate) fn optional(value: Option<Value>) -> Value {
    Value::Opaque(Arc::new(value.map_or_else(OptionalValue::none, OptionalValue::of)))
}

/// What an optional holds; `None` where the value is no optional.
pub(crate) fn as_optional(value: &Value) -> Option<Option<Value>> {
    <&OptionalValue>::try_from(value).ok().map(|optional| optional.value().cloned())
}

/// A type is a value too; nothing else is of this form.
pub(crate) fn type_value(name: &str) -> Value {
    Value::Function(Arc::new(name.to_owned()), None)
}

pub(crate) fn type_name(value: &Value) -> &str {
    match value {
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Function(..) => "type",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "bool",
        Value::Null => "null_type",
        Value::Opaque(of) => of.runtime_type_name(),
        Value::Duration(_) => "google.protobuf.Duration",
        Value::Timestamp(_) => "google.protobuf.Timestamp",
    }
}

/// How many steps it takes to look at all of a value; no more than a little over `most`, as parts may be shared.
pub(crate) fn weight(value: &Value, most: u64) -> u64 {
    let mut left = vec![value];
    let mut sum: u64 = 0;
    while let Some(value) = left.pop() {
        sum += 1;
        match value {
            Value::String(text) => sum += text.len() as u64 / LETTERS_IN_A_STEP,
            Value::Bytes(bytes) => sum += bytes.len() as u64 / LETTERS_IN_A_STEP,
            Value::List(items) => left.extend(items.iter().take(most as usize)),
            Value::Map(map) => left.extend(map.map.values().take(most as usize)),
            Value::Opaque(of) => {
                left.extend(
                    of.downcast_ref::<Constructed>().into_iter().flat_map(|made| made.fields.values()),
                );
            }
            _ => {}
        }
        if sum > most {
            break;
        }
    }
    sum
}
