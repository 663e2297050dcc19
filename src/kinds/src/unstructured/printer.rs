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

/// Of several values the first, and of another type than the column's nothing, as upstream has it.
fn cell(column: &Column, found: &[&Value], now: jiff::Timestamp) -> Cell {
    let Some(first) = found.first() else { return Value::Null };
    match (column.kind.as_ref(), first) {
        ("integer", Value::Number(n)) => {
            n.as_i64().or(n.as_f64().map(|f| f as i64)).map_or(Value::Null, Value::from)
        }
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => (*first).clone(),
        ("date", Value::String(text)) if text.is_empty() => age(None, now),
        ("date", Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(at) => age(Some(&Time(at)), now),
            Err(_) => "<invalid>".into(),
        },
        ("integer" | "number" | "boolean" | "date", _) => Value::Null,
        _ => text(first).into(),
    }
}

fn age_of(object: &Value, now: jiff::Timestamp) -> Cell {
    let created = object.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    age(created.and_then(|text| text.parse().ok()).map(Time).as_ref(), now)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cell_is_the_first_value_if_it_is_of_the_columns_type() {
        let now: jiff::Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let object = json!({"texts": ["a", "b"], "whole": 5, "part": 1.5, "text": "12", "yes": true, "none": null, "map": {"a": 1},
            "at": "2026-01-01T00:00:00Z", "never": "", "words": "soon"});
        let cases = [
            ("string", ".texts[*]", json!("a")),
            ("string", ".texts", json!(r#"["a","b"]"#)),
            ("string", ".map", json!(r#"{"a":1}"#)),
            ("string", ".whole", json!("5")),
            ("string", ".yes", json!("true")),
            ("string", ".none", json!("<no value>")),
            ("string", ".missing", json!(null)),
            ("integer", ".whole", json!(5)),
            ("integer", ".part", json!(1)),
            ("integer", ".text", json!(null)),
            ("number", ".part", json!(1.5)),
            ("number", ".text", json!(null)),
            ("boolean", ".yes", json!(true)),
            ("boolean", ".text", json!(null)),
            ("date", ".at", json!("60m")),
            ("date", ".never", json!("<unknown>")),
            ("date", ".words", json!("<invalid>")),
            ("date", ".whole", json!(null)),
        ];
        for (kind, path, want) in cases {
            let column = Column { kind: kind.into(), ..Column::AGE };
            let path = JsonPath::parse(path).unwrap();
            assert_eq!(cell(&column, &path.find(&object), now), want, "{kind} {path:?}");
        }
    }
}
