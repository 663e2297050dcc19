//! A JSON object into a message's bytes.

use crate::field::{Field, Many, Type};
use crate::table::Table;
use crate::wire::{put_bytes, put_double, put_varint};
use crate::{ProtobufError, invalid};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

const DEEPEST: u8 = 48;

pub(crate) fn message(
    table: &Table,
    fields: &[Field],
    object: &Map<String, Value>,
    depth: u8,
    out: &mut Vec<u8>,
) -> Result<(), ProtobufError> {
    for field in fields {
        if field.is_inline() {
            let inner = nested(table, field, object, depth)?;
            put_bytes(out, field.number, &inner);
            continue;
        }
        let Some(value) = object.get(field.json).filter(|value| !value.is_null()) else { continue };
        match field.many {
            Many::One => put(table, field, field.number, value, depth, out)?,
            Many::Repeated => {
                for item in value.as_array().ok_or_else(|| invalid(field, "not a list"))? {
                    put(table, field, field.number, item, depth, out)?;
                }
            }
            Many::Map => {
                for (key, value) in value.as_object().ok_or_else(|| invalid(field, "not an object"))? {
                    let mut entry = Vec::new();
                    put_bytes(&mut entry, 1, key.as_bytes());
                    put(table, field, 2, value, depth, &mut entry)?;
                    put_bytes(out, field.number, &entry);
                }
            }
        }
    }
    Ok(())
}

fn nested(
    table: &Table,
    field: &Field,
    object: &Map<String, Value>,
    depth: u8,
) -> Result<Vec<u8>, ProtobufError> {
    let Type::Message(name) = field.of else { return Err(invalid(field, "not a message")) };
    if depth >= DEEPEST {
        return Err(ProtobufError::Depth(field.json.to_owned()));
    }
    let fields = table.message(name).ok_or_else(|| invalid(field, format!("no message {name}")))?;
    let mut inner = Vec::new();
    message(table, fields, object, depth + 1, &mut inner)?;
    Ok(inner)
}

fn put(
    table: &Table,
    field: &Field,
    number: u32,
    value: &Value,
    depth: u8,
    out: &mut Vec<u8>,
) -> Result<(), ProtobufError> {
    let wrong = |what: &str| invalid(field, format!("not {what}"));
    match field.of {
        Type::String => put_bytes(out, number, value.as_str().ok_or_else(|| wrong("a string"))?.as_bytes()),
        Type::Bytes => {
            let text = value.as_str().ok_or_else(|| wrong("a string"))?;
            put_bytes(out, number, &STANDARD.decode(text).map_err(|e| invalid(field, e))?);
        }
        Type::Integer => {
            let value = value.as_i64().ok_or_else(|| wrong("a whole number"))?;
            put_varint(out, number, value as u64);
        }
        Type::Bool => put_varint(out, number, value.as_bool().ok_or_else(|| wrong("a boolean"))?.into()),
        Type::Double => put_double(out, number, value.as_f64().ok_or_else(|| wrong("a number"))?),
        Type::Special(special) => put_bytes(out, number, &special.encode(field, value)?),
        Type::Message(_) => {
            let object = value.as_object().ok_or_else(|| wrong("an object"))?;
            put_bytes(out, number, &nested(table, field, object, depth)?);
        }
    }
    Ok(())
}
