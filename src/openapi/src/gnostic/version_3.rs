//! A document of version 3 as gnostic's protobuf (`openapi.v3.Document` in its `OpenAPIv3.proto`, whose field numbers these are).
//! Schemas are written with all that a custom kind may say, of the rest only what our own documents hold.

use super::{Message, extensions, list, named, pair};
use serde_json::Value;

pub(crate) fn document(
    info: &Value,
    paths: impl Iterator<Item = (String, Value)>,
    schemas: impl Iterator<Item = (String, Value)>,
) -> Vec<u8> {
    let paths = paths.map(|(path, item)| pair(&path, path_item(&item)));
    let schemas = schemas.map(|(name, schema)| pair(&name, schema_or_reference(&schema)));
    let components = Message::default().message(1, Some(Message::default().messages(1, schemas)));
    Message::default()
        .text(1, Some(&"3.0.0".into()))
        .message(2, Some(Message::default().text(1, info.get("title")).text(6, info.get("version"))))
        .message(4, Some(Message::default().messages(1, paths)))
        .message(5, Some(components))
        .0
}

fn path_item(item: &Value) -> Message {
    let methods = ["get", "put", "post", "delete", "options", "head", "patch"].into_iter().zip(4..);
    let with_methods = methods.fold(Message::default(), |message, (method, field)| {
        message.message(field, item.get(method).map(operation))
    });
    with_methods.messages(13, list(item.get("parameters"), parameter))
}

fn operation(operation: &Value) -> Message {
    let responses = Message::default().messages(2, named(&operation["responses"], response));
    Message::default()
        .messages(6, list(operation.get("parameters"), parameter))
        .message(7, operation.get("requestBody").map(request_body))
        .message(8, Some(responses))
        .messages(13, extensions(operation))
}

/// `ParameterOrReference`
fn parameter(parameter: &Value) -> Message {
    let parameter = Message::default()
        .text(1, parameter.get("name"))
        .text(2, parameter.get("in"))
        .flag(4, parameter.get("required"))
        .message(10, parameter.get("schema").map(schema_or_reference));
    Message::default().message(1, Some(parameter))
}

/// `RequestBodyOrReference`
fn request_body(body: &Value) -> Message {
    let body = Message::default().message(2, Some(content(body))).flag(3, body.get("required"));
    Message::default().message(1, Some(body))
}

/// `ResponseOrReference`
fn response(response: &Value) -> Message {
    let has_content = response.get("content").is_some();
    let response = Message::default()
        .text(1, response.get("description"))
        .message(3, has_content.then(|| content(response)));
    Message::default().message(1, Some(response))
}

/// `MediaTypes`
fn content(of: &Value) -> Message {
    let media_type =
        |media: &Value| Message::default().message(1, media.get("schema").map(schema_or_reference));
    Message::default().messages(1, named(&of["content"], media_type))
}

fn schema_or_reference(of: &Value) -> Message {
    match of.get("$ref") {
        Some(to) => Message::default().message(2, Some(Message::default().text(1, Some(to)))),
        None => Message::default().message(1, Some(schema(of))),
    }
}

fn schema(of: &Value) -> Message {
    let schemas = |field: &str| list(of.get(field), schema_or_reference);
    let items = of.get("items").map(|items| Message::default().message(1, Some(schema_or_reference(items))));
    let properties =
        of.get("properties").map(|all| Message::default().messages(1, named(all, schema_or_reference)));
    let additional = of.get("additionalProperties").map(|of| match of {
        Value::Bool(_) => Message::default().boolean(2, of),
        of => Message::default().message(1, Some(schema_or_reference(of))),
    });
    Message::default()
        .flag(1, of.get("nullable"))
        .message(6, of.get("externalDocs").map(external_docs))
        .message(7, of.get("example").map(any))
        .text(9, of.get("title"))
        .number(10, of.get("multipleOf"))
        .number(11, of.get("maximum"))
        .flag(12, of.get("exclusiveMaximum"))
        .number(13, of.get("minimum"))
        .flag(14, of.get("exclusiveMinimum"))
        .count(15, of.get("maxLength"))
        .count(16, of.get("minLength"))
        .text(17, of.get("pattern"))
        .count(18, of.get("maxItems"))
        .count(19, of.get("minItems"))
        .flag(20, of.get("uniqueItems"))
        .count(21, of.get("maxProperties"))
        .count(22, of.get("minProperties"))
        .texts(23, of.get("required"))
        .messages(24, list(of.get("enum"), any))
        .text(25, of.get("type"))
        .messages(26, schemas("allOf"))
        .messages(27, schemas("oneOf"))
        .messages(28, schemas("anyOf"))
        .message(29, of.get("not").map(schema))
        .message(30, items)
        .message(31, properties)
        .message(32, additional)
        .message(33, of.get("default").and_then(default))
        .text(34, of.get("description"))
        .text(35, of.get("format"))
        .messages(36, extensions(of))
}

fn external_docs(of: &Value) -> Message {
    Message::default().text(1, of.get("description")).text(2, of.get("url"))
}

/// The value as YAML, of which JSON is a part.
fn any(value: &Value) -> Message {
    let mut any = Message::default();
    any.bytes(2, value.to_string().as_bytes());
    any
}

/// `DefaultType` has no objects and no lists.
fn default(value: &Value) -> Option<Message> {
    let default = Message::default();
    match value {
        Value::Number(_) => Some(default.number(1, Some(value))),
        Value::Bool(_) => Some(default.boolean(2, value)),
        Value::String(_) => Some(default.text(3, Some(value))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
