//! A message's bytes into a JSON object.

use crate::field::{Field, Many, Type};
use crate::table::Table;
use crate::wire::{Reader, Wire, text};
use crate::{ProtobufError, invalid};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::cell::Cell;

/// The deepest object that there is, a pod's affinity in a template, has a dozen.
const DEEPEST: u8 = 48;

/// What the messages are read by, and how many values may still come: two bytes make an object, which takes hundreds in memory.
pub(crate) struct Decoder<'t> {
    table: &'t Table,
    left: Cell<usize>,
}

impl<'t> Decoder<'t> {
    pub(crate) fn new(table: &'t Table, most_values: usize) -> Self {
        Decoder { table, left: Cell::new(most_values) }
    }

    fn count(&self, values: usize) -> Result<(), ProtobufError> {
        self.left.set(self.left.get().checked_sub(values).ok_or(ProtobufError::TooMany)?);
        Ok(())
    }
}

/// Its fields, put into `object`.
pub(crate) fn message(
    decoder: &Decoder<'_>,
    fields: &[Field],
    bytes: &[u8],
    depth: u8,
    object: &mut Map<String, Value>,
) -> Result<(), ProtobufError> {
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        decoder.count(1)?;
        let Some(field) = fields.iter().find(|field| field.number == number) else { continue };
        match (field.many, value) {
            (Many::One, _) if field.is_inline() => nested(decoder, field, value, depth, object)?,
            (Many::One, _) => one(decoder, field, value, depth, object)?,
            (Many::Repeated, Wire::Bytes(packed)) if field.of == Type::Integer => {
                decoder.count(packed.len())?;
                let numbers = Reader::new(packed).packed(number)?;
                list(object, field).extend(numbers.into_iter().map(|n| Value::from(n as i64)));
            }
            (Many::Repeated, value) => {
                let item = item(decoder, field, value, depth)?;
                list(object, field).push(item);
            }
            (Many::Map, Wire::Bytes(entry)) => {
                let (key, value) = map_entry(decoder, field, entry, depth)?;
                let slot = object.entry(field.json).or_insert_with(|| Map::new().into());
                slot.as_object_mut().map(|map| map.insert(key, value));
            }
            (Many::Map, _) => return Err(ProtobufError::WireType(field.json.to_owned())),
        }
    }
    Ok(())
}

fn list<'o>(object: &'o mut Map<String, Value>, field: &Field) -> &'o mut Vec<Value> {
    let slot = object.entry(field.json).or_insert_with(|| Vec::<Value>::new().into());
    if !slot.is_array() {
        *slot = Vec::<Value>::new().into();
    }
    match slot {
        Value::Array(items) => items,
        _ => unreachable!("it was made a list above"),
    }
}

/// A message that comes in two pieces is one message; of anything else the last counts.
fn one(
    decoder: &Decoder<'_>,
    field: &Field,
    value: Wire<'_>,
    depth: u8,
    object: &mut Map<String, Value>,
) -> Result<(), ProtobufError> {
    if matches!(field.of, Type::Message(_)) {
        let mut inner = match object.remove(field.json) {
            Some(Value::Object(inner)) => inner,
            _ => Map::new(),
        };
        nested(decoder, field, value, depth, &mut inner)?;
        object.insert(field.json.to_owned(), inner.into());
        return Ok(());
    }
    match scalar(field, value)? {
        Some(value) => object.insert(field.json.to_owned(), value),
        None => object.remove(field.json),
    };
    Ok(())
}

fn nested(
    decoder: &Decoder<'_>,
    field: &Field,
    value: Wire<'_>,
    depth: u8,
    object: &mut Map<String, Value>,
) -> Result<(), ProtobufError> {
    let (Type::Message(name), Wire::Bytes(bytes)) = (field.of, value) else {
        return Err(ProtobufError::WireType(field.json.to_owned()));
    };
    if depth >= DEEPEST {
        return Err(ProtobufError::Depth(field.json.to_owned()));
    }
    let fields = decoder.table.message(name).ok_or_else(|| invalid(field, format!("no message {name}")))?;
    message(decoder, fields, bytes, depth + 1, object)
}

/// One of many: it counts whatever its value.
fn item(decoder: &Decoder<'_>, field: &Field, value: Wire<'_>, depth: u8) -> Result<Value, ProtobufError> {
    if matches!(field.of, Type::Message(_)) {
        let mut inner = Map::new();
        nested(decoder, field, value, depth, &mut inner)?;
        return Ok(inner.into());
    }
    let keeping = Field { keeps_zero: true, many: Many::One, ..field.clone() };
    Ok(scalar(&keeping, value)?.unwrap_or(Value::Null))
}

fn map_entry(
    decoder: &Decoder<'_>,
    field: &Field,
    entry: &[u8],
    depth: u8,
) -> Result<(String, Value), ProtobufError> {
    let (mut key, mut value) = (String::new(), None);
    let mut reader = Reader::new(entry);
    while let Some((number, part)) = reader.next()? {
        match (number, part) {
            (1, Wire::Bytes(bytes)) => key = text(field.json, bytes)?,
            (2, part) => value = Some(item(decoder, field, part, depth)?),
            _ => {}
        }
    }
    // an entry without a value has an empty one
    let value = match value {
        Some(value) => value,
        None => item(decoder, field, Wire::Bytes(&[]), depth)?,
    };
    Ok((key, value))
}

/// `None` where Go would leave it out of JSON.
fn scalar(field: &Field, value: Wire<'_>) -> Result<Option<Value>, ProtobufError> {
    let keep = |zero: bool, value: Value| Ok((field.keeps_zero || !zero).then_some(value));
    match (field.of, value) {
        (Type::String, Wire::Bytes(bytes)) => {
            let text = text(field.json, bytes)?;
            keep(text.is_empty(), text.into())
        }
        (Type::Bytes, Wire::Bytes(bytes)) => keep(bytes.is_empty(), STANDARD.encode(bytes).into()),
        (Type::Integer, Wire::Varint(number)) => keep(number == 0, (number as i64).into()),
        (Type::Bool, Wire::Varint(number)) => keep(number == 0, (number != 0).into()),
        (Type::Double, Wire::Fixed64(bits)) => Ok(Some(f64::from_bits(bits).into())),
        (Type::Special(special), Wire::Bytes(bytes)) => special.decode(field, bytes),
        _ => Err(ProtobufError::WireType(field.json.to_owned())),
    }
}
