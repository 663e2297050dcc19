//! What lies in a value: its fields, its items, what stands under a key.

use super::no_overload;
use crate::constructed;
use crate::outcome::{Answer, Fault};
use crate::values::{as_optional, optional};
use kube_cel::cel::Value;
use kube_cel::cel::objects::Key;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn as_key(value: Value) -> Option<Key> {
    match value {
        Value::Int(of) => Some(Key::Int(of)),
        Value::UInt(of) => Some(Key::Uint(of)),
        Value::Bool(of) => Some(Key::Bool(of)),
        Value::String(of) => Some(Key::String(of)),
        _ => None,
    }
}

/// # Errors
/// A key that is there already, in cel-go's words, also as a number of another type.
pub(super) fn insert(map: &mut HashMap<Key, Value>, key: Option<Key>, value: Value) -> Result<(), Fault> {
    let Some(key) = key else { return no_overload() };
    if find(map, &Value::from(&key)).is_some() {
        let shown = match &key {
            Key::Int(of) => of.to_string(),
            Key::Uint(of) => of.to_string(),
            Key::Bool(of) => of.to_string(),
            Key::String(of) => of.as_str().to_owned(),
        };
        return Err(Fault::Error(format!("insert failed: key {shown} already exists")));
    }
    map.insert(key, value);
    Ok(())
}

pub(super) fn find<'m>(map: &'m HashMap<Key, Value>, key: &Value) -> Option<&'m Value> {
    let found = |key: Key| map.get(&key);
    match key {
        Value::Int(of) => found(Key::Int(*of)).or_else(|| found(Key::Uint(u64::try_from(*of).ok()?))),
        Value::UInt(of) => found(Key::Uint(*of)).or_else(|| found(Key::Int(i64::try_from(*of).ok()?))),
        Value::Bool(of) => found(Key::Bool(*of)),
        Value::String(of) => found(Key::String(of.clone())),
        _ => None,
    }
}

fn field_of(value: &Value, field: &str) -> Result<Option<Value>, Fault> {
    match value {
        Value::Map(map) => Ok(map.map.get(&Key::String(Arc::new(field.to_owned()))).cloned()),
        _ => match constructed::as_constructed(value) {
            Some(made) => Ok(made.fields.get(field).cloned()),
            None => no_overload(),
        },
    }
}

pub(super) fn select(operand: &Value, field: &str, is_optional: bool) -> Answer {
    match as_optional(operand) {
        Some(None) => Ok(optional(None)),
        Some(Some(inner)) => Ok(optional(field_of(&inner, field)?)),
        None if is_optional => Ok(optional(field_of(operand, field)?)),
        None => field_of(operand, field)?.ok_or_else(|| Fault::Error(format!("no such key: {field}"))),
    }
}

pub(super) fn has(operand: &Value, field: &str) -> Answer {
    let found = match as_optional(operand) {
        Some(None) => false,
        Some(Some(inner)) => field_of(&inner, field)?.is_some(),
        None => field_of(operand, field)?.is_some(),
    };
    Ok(Value::Bool(found))
}

pub(super) fn at(operand: &Value, index: &Value, is_optional: bool) -> Answer {
    if let Some(inner) = as_optional(operand) {
        return Ok(optional(inner.and_then(|inner| at(&inner, index, false).ok())));
    }
    let found = match (operand, index) {
        (Value::Map(map), key) => find(&map.map, key).cloned(),
        (Value::List(items), Value::Int(index)) => {
            usize::try_from(*index).ok().and_then(|index| items.get(index)).cloned()
        }
        (Value::List(items), Value::UInt(index)) => {
            usize::try_from(*index).ok().and_then(|index| items.get(index)).cloned()
        }
        _ => return no_overload(),
    };
    if is_optional {
        return Ok(optional(found));
    }
    found.ok_or_else(|| {
        Fault::Error(match (operand, index) {
            (Value::List(_), Value::Int(index)) => format!("index out of bounds: {index}"),
            (_, Value::String(key)) => format!("no such key: {key}"),
            (_, key) => format!("no such key: {key:?}"),
        })
    })
}
