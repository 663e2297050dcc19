//! `Object{…}` and `JSONPatch{…}`: what an expression makes that is to change an object (KEP-3962).

use crate::outcome::Fault;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Opaque};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

const OBJECT: &str = "Object";
const PATCH: &str = "JSONPatch";
const PATCH_FIELDS: [&str; 4] = ["op", "path", "from", "value"];

/// One of them, with its fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constructed {
    pub(crate) type_name: String,
    pub(crate) fields: BTreeMap<String, Value>,
}

// the trait wants it; a number that is none differs from itself, as it should
impl Eq for Constructed {}

impl Opaque for Constructed {
    fn runtime_type_name(&self) -> &str {
        &self.type_name
    }
}

pub(crate) fn is_type(name: &str) -> bool {
    name == PATCH || name == OBJECT || name.strip_prefix("Object.").is_some_and(|path| !path.is_empty())
}

/// # Errors
/// `undefined field 'x'`.
pub(crate) fn check_field(type_name: &str, field: &str) -> Result<(), String> {
    match type_name == PATCH && !PATCH_FIELDS.contains(&field) {
        true => Err(format!("undefined field '{field}'")),
        false => Ok(()),
    }
}

pub(crate) fn of(type_name: &str, fields: BTreeMap<String, Value>) -> Value {
    Value::Opaque(Arc::new(Constructed { type_name: type_name.to_owned(), fields }))
}

pub(crate) fn as_constructed(value: &Value) -> Option<&Constructed> {
    match value {
        Value::Opaque(of) => of.downcast_ref(),
        _ => None,
    }
}

/// What is to be laid over an object.
///
/// # Errors
/// That it is no `Object`, or that a part of it is called otherwise than its field.
pub(crate) fn object(value: &Value) -> Result<Json, Fault> {
    let made = as_constructed(value).filter(|made| made.type_name == OBJECT);
    let made = made.ok_or_else(|| {
        Fault::Error("unsupported return type from ApplyConfiguration expression".to_owned())
    })?;
    check_names(value, OBJECT).map_err(|why| Fault::Error(format!("type mismatch: {why}")))?;
    fields(made).map_err(|why| Fault::Error(format!("invalid return type: {why}")))
}

/// The operations of a patch.
///
/// # Errors
/// That it is no list of `JSONPatch`.
pub(crate) fn patch(value: &Value) -> Result<Json, Fault> {
    let Value::List(items) = value else {
        return Err(Fault::Error(
            "type mismatch: JSONPatchType.expression should evaluate to array".to_owned(),
        ));
    };
    let operation = |item: &Value| {
        let made = as_constructed(item).filter(|made| made.type_name == PATCH);
        let made =
            made.ok_or("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")?;
        if let Some(value) = made.fields.get("value")
            && let Some(Constructed { type_name, .. }) = as_constructed(value)
        {
            check_names(value, type_name).map_err(|why| format!("type mismatch: {why}"))?;
        }
        fields(made).map_err(|why| {
            format!("JSONPath valueExpression evaluated to a type that could not marshal to JSON: {why}")
        })
    };
    let operations = items.iter().map(operation).collect::<Result<Vec<Json>, String>>();
    operations.map(Json::Array).map_err(Fault::Error)
}

/// Below `Object`, a field `spec` holds an `Object.spec`; lists and maps between them have no name.
fn check_names(value: &Value, expected: &str) -> Result<(), String> {
    match value {
        Value::Opaque(_) => {
            let Some(made) = as_constructed(value) else { return Ok(()) };
            if made.type_name != expected {
                return Err(format!(
                    "unexpected type name {:?}, expected {expected:?}, which matches field name path from root Object type",
                    made.type_name
                ));
            }
            made.fields
                .iter()
                .try_for_each(|(field, value)| check_names(value, &format!("{expected}.{field}")))
        }
        Value::List(items) => items.iter().try_for_each(|item| check_names(item, expected)),
        Value::Map(map) => map.map.values().try_for_each(|item| check_names(item, expected)),
        _ => Ok(()),
    }
}

fn fields(made: &Constructed) -> Result<Json, String> {
    let each = made.fields.iter().map(|(field, value)| Ok((field.clone(), json(value)?)));
    each.collect::<Result<Map<String, Json>, String>>().map(Json::Object)
}

fn json(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(of) => (*of).into(),
        Value::Int(of) => (*of).into(),
        Value::UInt(of) => (*of).into(),
        Value::Float(of) => serde_json::Number::from_f64(*of).map(Json::Number).ok_or("not a number")?,
        Value::String(of) => of.as_str().into(),
        Value::Bytes(of) => BASE64_STANDARD.encode(of.as_slice()).into(),
        Value::List(items) => Json::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Value::Map(map) => {
            let entry = |(key, value): (&Key, &Value)| match key {
                Key::String(name) => Ok((name.as_str().to_owned(), json(value)?)),
                other => Err(format!("map key {other:?} is not string")),
            };
            Json::Object(map.map.iter().map(entry).collect::<Result<_, _>>()?)
        }
        Value::Timestamp(at) => at.to_rfc3339().into(),
        Value::Opaque(of) => match of.downcast_ref::<Constructed>() {
            Some(made) => fields(made)?,
            None => return Err(format!("{} has no JSON", of.runtime_type_name())),
        },
        Value::Duration(of) => format!("{}s", of.num_milliseconds() as f64 / 1000.0).into(),
        Value::Function(name, _) => return Err(format!("{name} has no JSON")),
    })
}
