//! One step of a field's path.

use super::Structure;
use serde_json::{Map, Value};
use std::fmt;

/// As `fieldsV1` writes it: `f:name`, `k:{"name":"web"}`, `v:"value"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    Field(String),
    /// The fields that tell an item of a list, as JSON with sorted names.
    Key(String),
    /// A plain item of a list, as JSON.
    Value(String),
}

impl Element {
    /// The item's key; the name of a key field that it lacks where it has none.
    pub(super) fn key<'k>(
        item: &Value,
        keys: &'k [String],
        path: &[&str],
        structure: &dyn Structure,
    ) -> Result<Element, &'k str> {
        let mut found = Map::new();
        let mut lacking = None;
        for key in keys {
            match item.get(key).cloned().or_else(|| structure.default_of(path, key)) {
                Some(value) => drop(found.insert(key.clone(), value)),
                None => lacking = Some(key.as_str()),
            }
        }
        // upstream takes an item that has at least one of several keys
        match lacking {
            Some(lacking) if found.is_empty() => Err(lacking),
            _ => Ok(Element::Key(Value::Object(found).to_string())),
        }
    }

    pub(super) fn value(item: &Value) -> Element {
        Element::Value(item.to_string())
    }

    /// `None` for what later versions may write: index elements are deprecated and never made.
    pub(super) fn parse(text: &str) -> Option<Element> {
        let (kind, rest) = text.split_once(':')?;
        // written by others: the same key may stand there with other spaces
        let json = || serde_json::from_str::<Value>(rest).ok().map(|value| value.to_string());
        match kind {
            "f" => Some(Element::Field(rest.to_owned())),
            "k" => json().map(Element::Key),
            "v" => json().map(Element::Value),
            _ => None,
        }
    }

    pub(super) fn encode(&self) -> String {
        match self {
            Element::Field(name) => format!("f:{name}"),
            Element::Key(key) => format!("k:{key}"),
            Element::Value(value) => format!("v:{value}"),
        }
    }
}

/// As messages have it: `.name`, `[name="web"]`, `[="value"]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Value(value) => write!(f, "[={value}]"),
            Element::Key(key) => {
                let fields: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let shown: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", shown.join(","))
            }
        }
    }
}
