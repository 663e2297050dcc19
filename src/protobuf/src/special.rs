//! The types whose JSON is not that of their fields.

use crate::field::{Field, Special};
use crate::wire::{self, Reader, Wire, put_bytes, put_varint};
use crate::{ProtobufError, invalid};
use serde_json::Value;

impl Special {
    /// `None` for what says nothing.
    pub(crate) fn decode(self, at: &Field, bytes: &[u8]) -> Result<Option<Value>, ProtobufError> {
        let (mut numbers, mut texts) = ([0u64; 4], Vec::new());
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match value {
                Wire::Varint(value) => numbers[number.min(3) as usize] = value,
                Wire::Bytes(text) => texts.push(text),
                _ => {}
            }
        }
        let last = texts.last().copied().unwrap_or_default();
        match self {
            Special::Time | Special::MicroTime if bytes.is_empty() => Ok(None),
            Special::Time | Special::MicroTime => {
                self.time(at, numbers[1] as i64, numbers[2] as i32).map(Some)
            }
            Special::Quantity if last.is_empty() => Ok(None),
            Special::Quantity => Ok(Some(wire::text(at.json, last)?.into())),
            Special::IntOrString => int_or_string(at, numbers[1], numbers[2] as i32, last),
            Special::Json if last.is_empty() => Ok(None),
            Special::Json => serde_json::from_slice(last).map(Some).map_err(|e| invalid(at, e)),
            Special::Strings => {
                let texts: Result<Vec<String>, _> =
                    texts.iter().map(|text| wire::text(at.json, text)).collect();
                Ok(Some(texts?.into()))
            }
        }
    }

    fn time(self, at: &Field, seconds: i64, nanos: i32) -> Result<Value, ProtobufError> {
        let time = jiff::Timestamp::new(seconds, nanos).map_err(|e| invalid(at, e))?;
        Ok(match self {
            Special::MicroTime => format!("{time:.6}"),
            _ => format!("{time:.0}"),
        }
        .into())
    }

    pub(crate) fn encode(self, at: &Field, value: &Value) -> Result<Vec<u8>, ProtobufError> {
        let mut out = Vec::new();
        let text = || value.as_str().ok_or_else(|| invalid(at, "not a string"));
        match self {
            Special::Time | Special::MicroTime => {
                let time: jiff::Timestamp = text()?.parse().map_err(|e| invalid(at, e))?;
                put_varint(&mut out, 1, time.as_second() as u64);
                put_varint(&mut out, 2, time.subsec_nanosecond() as u64);
            }
            Special::Quantity => match value {
                Value::Number(number) => put_bytes(&mut out, 1, number.to_string().as_bytes()),
                _ => put_bytes(&mut out, 1, text()?.as_bytes()),
            },
            Special::IntOrString => {
                put_varint(&mut out, 1, u64::from(value.is_string()));
                put_varint(&mut out, 2, value.as_i64().unwrap_or_default() as u64);
                put_bytes(&mut out, 3, value.as_str().unwrap_or_default().as_bytes());
            }
            Special::Json => put_bytes(&mut out, 1, value.to_string().as_bytes()),
            Special::Strings => {
                for item in value.as_array().into_iter().flatten() {
                    let item = item.as_str().ok_or_else(|| invalid(at, "not a list of strings"))?;
                    put_bytes(&mut out, 1, item.as_bytes());
                }
            }
        }
        Ok(out)
    }
}

fn int_or_string(at: &Field, kind: u64, number: i32, text: &[u8]) -> Result<Option<Value>, ProtobufError> {
    match kind {
        0 if number == 0 && !at.keeps_zero => Ok(None),
        0 => Ok(Some(number.into())),
        1 => Ok(Some(wire::text(at.json, text)?.into())),
        other => Err(invalid(at, format!("type {other} is neither a number nor a string"))),
    }
}
