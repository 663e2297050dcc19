//! Values of CEL: how they are made and told apart, how their fields are called, how much one weighs.

use crate::constructed::Constructed;
use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map, OptionalValue};
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
