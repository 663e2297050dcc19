//! Kubernetes' protobuf, as Go clients write and read it, to and from the JSON of the same object.
//!
//! It owns a reader and a writer that go by the facts of `schema`'s table (which message has which fields under which numbers
//! and JSON names); it knows no kinds and generates no types. What the table does not name is skipped, as any reader of
//! protobuf does. Read [`decode`] first.

#![forbid(unsafe_code)]

mod decode;
mod encode;
mod field;
mod special;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod whole;
mod wire;

use serde_json::{Map, Value};
use table::Table;

pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// Before every object; what follows is a `runtime.Unknown`.
const MAGIC: &[u8] = b"k8s\0";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    #[error("provided data does not appear to be a protobuf message, expected prefix {MAGIC:?}")]
    Magic,
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\" in protobuf")]
    UnknownKind { api_version: String, kind: String },
    #[error("unexpected EOF in field {0}")]
    Short(u32),
    #[error("proto: illegal tag {0}")]
    Tag(u64),
    #[error("proto: wrong wire type of {0}")]
    WireType(String),
    #[error("{0} is nested too deeply")]
    Depth(String),
    #[error("there are too many values")]
    TooMany,
    #[error("{field}: {why}")]
    Value { field: String, why: String },
}

/// The object of a request's body, with its `apiVersion` and `kind`.
///
/// # Errors
/// Bytes that are no such object or have more values than that, and kinds that the table does not name.
pub fn decode(body: &[u8], most_values: usize) -> Result<Value, ProtobufError> {
    let unknown = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut reader = wire::Reader::new(unknown);
    while let Some((number, value)) = reader.next()? {
        match (number, value) {
            (1, wire::Wire::Bytes(meta)) => (api_version, kind) = type_meta(meta)?,
            (2, wire::Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let table = Table::get();
    let Some(message) = table.of_kind(&api_version, &kind) else {
        return Err(ProtobufError::UnknownKind { api_version, kind });
    };
    let mut object = Map::new();
    object.insert("kind".into(), kind.into());
    object.insert("apiVersion".into(), api_version.into());
    decode::message(&decode::Decoder::new(table, most_values), message, raw, 0, &mut object)?;
    Ok(object.into())
}

fn type_meta(bytes: &[u8]) -> Result<(String, String), ProtobufError> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut reader = wire::Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match (number, value) {
            (1, wire::Wire::Bytes(text)) => api_version = wire::text("apiVersion", text)?,
            (2, wire::Wire::Bytes(text)) => kind = wire::text("kind", text)?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

/// Whether objects of the kind have such a form; Tables and custom ones have none.
pub fn has_form(api_version: &str, kind: &str) -> bool {
    Table::get().of_kind(api_version, kind).is_some()
}

/// An object for a client that reads nothing else.
///
/// # Errors
/// A kind that the table does not name; a field that is not of its type.
pub fn encode(object: &Value) -> Result<Vec<u8>, ProtobufError> {
    let name = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (name("apiVersion"), name("kind"));
    let table = Table::get();
    let (Some(message), Some(fields)) = (table.of_kind(&api_version, &kind), object.as_object()) else {
        return Err(ProtobufError::UnknownKind { api_version, kind });
    };
    let mut raw = Vec::new();
    encode::message(table, message, fields, 0, &mut raw)?;
    let mut meta = Vec::new();
    wire::put_bytes(&mut meta, 1, api_version.as_bytes());
    wire::put_bytes(&mut meta, 2, kind.as_bytes());
    let mut out = MAGIC.to_vec();
    wire::put_bytes(&mut out, 1, &meta);
    wire::put_bytes(&mut out, 2, &raw);
    // contentEncoding and contentType, which Go always writes
    wire::put_bytes(&mut out, 3, b"");
    wire::put_bytes(&mut out, 4, b"");
    Ok(out)
}

/// What stands before the object in an event of a watch: the event's length, and a `WatchEvent` as far as to its object, which is of
/// so many bytes and the last of it, so that nobody copies it.
pub fn watch_event_head(kind: &str, object: usize) -> Vec<u8> {
    let mut raw = Vec::new();
    wire::put_length(&mut raw, 1, object);
    let mut head = vec![0; 4];
    wire::put_bytes(&mut head, 1, kind.as_bytes());
    wire::put_length(&mut head, 2, raw.len() + object);
    head.extend_from_slice(&raw);
    let length = u32::try_from(head.len() - 4 + object).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&length.to_be_bytes());
    head
}

fn invalid(at: &field::Field, why: impl std::fmt::Display) -> ProtobufError {
    ProtobufError::Value { field: at.json.to_owned(), why: why.to_string() }
}
