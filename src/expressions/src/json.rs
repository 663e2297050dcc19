//! JSON becomes values of CEL, by the schema where there is one.

use crate::functions::call_named;
use crate::list_types::ListTypes;
use crate::values::{escaped, map_of};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube_cel::cel::Value;
use schema::{Schema, Type};
use serde_json::Value as Json;
use std::sync::Arc;

pub(crate) fn of_json(value: &Json) -> Value {
    by_schema(value, None, &mut ListTypes::default())
}

/// A whole number of a schema's `number` is a double; text of a format is what the format says. Keys of a map are the
/// user's and stay as they are, and so do all names where no schema says which of them are fields. `lists` learns which of the lists are
/// sets or maps.
pub(crate) fn by_schema(value: &Json, schema: Option<&Schema>, lists: &mut ListTypes) -> Value {
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
            let items: Arc<Vec<Value>> =
                Arc::new(items.iter().map(|item| by_schema(item, of, lists)).collect());
            if let Some(schema) = schema {
                lists.note(&items, &schema.list);
            }
            Value::List(items)
        }
        Json::Object(fields) => {
            let is_map = schema.is_some_and(|schema| schema.additional.is_some());
            let named = fields.iter().map(|(name, value)| {
                let key = if is_map || schema.is_none() { name.clone() } else { escaped(name) };
                (key, by_schema(value, schema.and_then(|schema| schema.field(name)), lists))
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
