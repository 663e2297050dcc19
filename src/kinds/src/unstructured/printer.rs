//! Columns that are told by a path, and the cells of an object.

use super::json_path::JsonPath;
use crate::{Cell, Column, age};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

/// Where the cells of a column come from.
pub enum Cells {
    Path(JsonPath),
    Age,
    /// From the whole object.
    Made(fn(&Value) -> Cell),
}

/// The name of the object comes first; the age comes where there are no other columns.
pub struct Printer {
    columns: Vec<Column>,
    cells: Vec<Cells>,
}

impl Printer {
    /// Each column, and where its cells are.
    pub fn new(further: impl IntoIterator<Item = (Column, JsonPath)>) -> Self {
        let paths = further.into_iter().map(|(column, path)| (column, Cells::Path(path)));
        let mut printer = Printer::of(paths);
        if printer.cells.is_empty() {
            printer.columns.push(Column { kind: "date".into(), ..Column::AGE });
            printer.cells.push(Cells::Age);
        }
        printer
    }

    /// The same, with nothing where there is nothing.
    pub fn of(further: impl IntoIterator<Item = (Column, Cells)>) -> Self {
        let (mut columns, mut cells) = (vec![Column::NAME], Vec::new());
        for (column, from) in further {
            columns.push(column);
            cells.push(from);
        }
        Printer { columns, cells }
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn row(&self, object: &Value, now: jiff::Timestamp) -> Vec<Cell> {
        let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
        let cells = self.columns.iter().skip(1).zip(&self.cells).map(|(column, from)| match from {
            Cells::Path(path) => cell(column, &path.find(object), now),
            Cells::Age => age_of(object, now),
            Cells::Made(make) => make(object),
        });
        std::iter::once(name).chain(cells).collect()
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

fn age_of(object: &Value, now: jiff::Timestamp) -> Cell {
    let created = object.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    age(created.and_then(|text| text.parse().ok()).map(Time).as_ref(), now)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
