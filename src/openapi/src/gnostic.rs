//! The version 2 document as gnostic's protobuf (`openapi.v2.Document` in its `OpenAPIv2.proto`, whose field numbers
//! these are): kubectl before 1.28 reads nothing else. Only what our own documents hold is written. Those of version 3 have messages of
//! their own (`version_3.rs`).

pub(crate) mod version_3;

use serde_json::{Map, Value};

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn text(mut self, field: u32, value: Option<&Value>) -> Self {
        if let Some(value) = value.and_then(Value::as_str) {
            self.bytes(field, value.as_bytes());
        }
        self
    }

    fn texts(mut self, field: u32, values: Option<&Value>) -> Self {
        for value in values.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            self.bytes(field, value.as_bytes());
        }
        self
    }

    fn flag(mut self, field: u32, value: Option<&Value>) -> Self {
        if value.and_then(Value::as_bool) == Some(true) {
            self.varint(u64::from(field) << 3);
            self.varint(1);
        }
        self
    }

    /// Of several of which one is there: false says something.
    fn boolean(mut self, field: u32, value: &Value) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(u64::from(*value == Value::Bool(true)));
        self
    }

    fn count(mut self, field: u32, value: Option<&Value>) -> Self {
        if let Some(value) = value.and_then(Value::as_u64) {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
        self
    }

    fn number(mut self, field: u32, value: Option<&Value>) -> Self {
        const FIXED: u64 = 1;
        if let Some(value) = value.and_then(Value::as_f64) {
            self.varint(u64::from(field) << 3 | FIXED);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
        self
    }

    fn message(mut self, field: u32, value: Option<Message>) -> Self {
        if let Some(value) = value {
            self.bytes(field, &value.0);
        }
        self
    }

    fn messages(mut self, field: u32, values: impl IntoIterator<Item = Message>) -> Self {
        for value in values {
            self.bytes(field, &value.0);
        }
        self
    }

    fn bytes(&mut self, field: u32, value: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

pub(crate) fn document(
    info: &Value,
    paths: impl Iterator<Item = (String, Value)>,
    definitions: impl Iterator<Item = (String, Value)>,
) -> Vec<u8> {
    let paths = paths.map(|(path, item)| pair(&path, path_item(&item)));
    let definitions = definitions.map(|(name, definition)| pair(&name, schema(&definition)));
    Message::default()
        .text(1, Some(&"2.0".into()))
        .message(2, Some(Message::default().text(1, info.get("title")).text(2, info.get("version"))))
        .message(8, Some(Message::default().messages(2, paths)))
        .message(9, Some(Message::default().messages(1, definitions)))
        .0
}

fn named(values: &Value, of: fn(&Value) -> Message) -> Vec<Message> {
    let each = values.as_object().into_iter().flatten();
    each.map(|(name, value)| pair(name, of(value))).collect()
}

/// `NamedPathItem`, `NamedSchema` and the others are alike.
fn pair(name: &str, value: Message) -> Message {
    let mut pair = Message::default();
    pair.bytes(1, name.as_bytes());
    pair.message(2, Some(value))
}

fn path_item(item: &Value) -> Message {
    let methods = [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)];
    let item_with = methods.into_iter().fold(Message::default(), |message, (method, field)| {
        message.message(field, item.get(method).map(operation))
    });
    item_with.messages(9, list(item.get("parameters"), parameter))
}

fn operation(operation: &Value) -> Message {
    let responses = Message::default().messages(1, named(&operation["responses"], response));
    Message::default()
        .texts(6, operation.get("produces"))
        .texts(7, operation.get("consumes"))
        .messages(8, list(operation.get("parameters"), parameter))
        .message(9, Some(responses))
        .messages(13, extensions(operation))
}

fn list(values: Option<&Value>, of: fn(&Value) -> Message) -> Vec<Message> {
    values.and_then(Value::as_array).into_iter().flatten().map(of).collect()
}

/// `ParametersItem` → `Parameter` → the kind of its place.
fn parameter(parameter: &Value) -> Message {
    let common = |required, place, name, kind| {
        Message::default()
            .flag(required, parameter.get("required"))
            .text(place, parameter.get("in"))
            .text(name, parameter.get("name"))
            .text(kind, parameter.get("type"))
    };
    let inner = match parameter["in"].as_str() {
        Some("body") => {
            let body = Message::default()
                .text(2, parameter.get("name"))
                .text(3, parameter.get("in"))
                .flag(4, parameter.get("required"))
                .message(5, parameter.get("schema").map(schema));
            Message::default().message(1, Some(body))
        }
        Some("path") => {
            Message::default().message(2, Some(Message::default().message(4, Some(common(1, 2, 4, 5)))))
        }
        _ => Message::default().message(2, Some(Message::default().message(3, Some(common(1, 2, 4, 6))))),
    };
    Message::default().message(1, Some(inner))
}

fn response(response: &Value) -> Message {
    let item = response.get("schema").map(|s| Message::default().message(1, Some(schema(s))));
    let response = Message::default().text(1, response.get("description")).message(2, item);
    Message::default().message(1, Some(response))
}

fn schema(of: &Value) -> Message {
    let additional = of.get("additionalProperties").map(|a| match a {
        Value::Bool(_) => Message::default().flag(2, Some(a)),
        a => Message::default().message(1, Some(schema(a))),
    });
    let kind = of.get("type").filter(|t| t.is_string()).map(|t| Message::default().text(1, Some(t)));
    let items = of.get("items").map(|i| Message::default().message(1, Some(schema(i))));
    let properties = of.get("properties").map(|p| Message::default().messages(1, named(p, schema)));
    Message::default()
        .text(1, of.get("$ref"))
        .text(2, of.get("format"))
        .text(4, of.get("description"))
        .texts(19, of.get("required"))
        .message(21, additional)
        .message(22, kind)
        .message(23, items)
        .message(25, properties)
        .messages(31, extensions(of))
}

/// `NamedAny`: the value as YAML, of which JSON is a part.
fn extensions(of: &Value) -> Vec<Message> {
    let none = Map::new();
    let fields = of.as_object().unwrap_or(&none);
    let own = fields.iter().filter(|(name, _)| name.starts_with("x-"));
    own.map(|(name, value)| {
        let mut yaml = Message::default();
        yaml.bytes(2, value.to_string().as_bytes());
        pair(name, yaml)
    })
    .collect()
}
