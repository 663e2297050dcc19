//! Columns that are told by a path, and the cells of an object.

use super::json_path::JsonPath;
use crate::{Cell, Column, age};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

/// The name of the object comes first; the age comes where there are no other columns.
pub struct Printer {
    columns: Vec<Column>,
    paths: Vec<JsonPath>,
}

impl Printer {
    /// Each column, and where its cells are.
    pub fn new(further: impl IntoIterator<Item = (Column, JsonPath)>) -> Self {
        let mut columns = vec![Column::NAME];
        let mut paths = Vec::new();
        for (column, path) in further {
            columns.push(column);
            paths.push(path);
        }
        if paths.is_empty() {
            columns.push(Column { kind: "date".into(), ..Column::AGE });
            paths.extend(JsonPath::parse(".metadata.creationTimestamp"));
        }
        Printer { columns, paths }
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn row(&self, object: &Value, now: jiff::Timestamp) -> Vec<Cell> {
        let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
        let cells = self.columns.iter().skip(1).zip(&self.paths);
        std::iter::once(name)
            .chain(cells.map(|(column, path)| cell(column, &path.find(object), now)))
            .collect()
    }
}

fn cell(column: &Column, found: &[&Value], now: jiff::Timestamp) -> Cell {
    let Some(first) = found.first() else { return Value::Null };
    match column.kind.as_ref() {
        "integer" => match first {
            Value::Number(n) => n.as_i64().or(n.as_f64().map(|f| f as i64)).map_or(Value::Null, Value::from),
            Value::String(text) => text.parse::<i64>().map_or(Value::Null, Value::from),
            _ => Value::Null,
        },
        "number" => match first {
            Value::Number(_) => (*first).clone(),
            Value::String(text) => text.parse::<f64>().map_or(Value::Null, Value::from),
            _ => Value::Null,
        },
        "boolean" => match first {
            Value::Bool(_) => (*first).clone(),
            Value::String(text) => text.parse::<bool>().map_or(Value::Null, Value::from),
            _ => Value::Null,
        },
        "date" => match first.as_str().map(str::parse::<jiff::Timestamp>) {
            Some(Ok(at)) => age(Some(&Time(at)), now),
            Some(Err(_)) => "<invalid>".into(),
            None => Value::Null,
        },
        _ => found.iter().map(|value| text(value)).collect::<Vec<_>>().join(" ").into(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
