//! The fields by which a definition lets its objects be selected: each is a plain value that the schema names.

use crate::ErrorList;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::SelectableField;
use serde_json::Value;
use std::collections::HashSet;

/// Upstream's `MaxSelectableFields`.
const MOST: usize = 8;
const NO_FIELD: &str = "does not refer to a valid field";

/// `schema` is the version's as it was written; `at` is the list's place in the definition.
pub(super) fn validate(fields: &[SelectableField], schema: &Value, at: &str, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for (index, field) in fields.iter().enumerate() {
        let at = format!("{at}[{index}].jsonPath");
        let path = field.json_path.as_str();
        if path.is_empty() {
            errors.required(at, "");
            continue;
        }
        let (names, found) = match resolve(path, schema) {
            Ok(resolved) => resolved,
            Err(why) => {
                errors.invalid(at, path, format!("is an invalid path: {why}"));
                continue;
            }
        };
        if names.first() == Some(&"metadata") {
            errors.invalid(&at, path, "must not point to fields in metadata");
        }
        if !matches!(found["type"].as_str(), Some("string" | "boolean" | "integer")) {
            errors.invalid(
                &at,
                path,
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
            );
        }
        if !seen.insert(names) {
            errors.duplicate(&at, path);
        }
    }
    if seen.len() > MOST {
        errors.too_many(at, seen.len(), MOST);
    }
}

/// Upstream's `ValidFieldPath`, without array notation: the names on the way, and the schema at its end.
fn resolve<'p, 's>(path: &'p str, schema: &'s Value) -> Result<(Vec<&'p str>, &'s Value), String> {
    let mut names = Vec::new();
    let mut found = schema;
    let mut rest = path;
    while !rest.is_empty() {
        let (token, after) = next(rest);
        match token {
            "." => {}
            "[" => return Err("array notation is not allowed".to_owned()),
            other => return Err(format!("expected [ or . but got: {other}")),
        }
        if after.is_empty() {
            return Err("unexpected end of JSON path".to_owned());
        }
        let (name, after) = next(after);
        found = below(found, name).ok_or(NO_FIELD)?;
        names.push(name);
        rest = after;
    }
    Ok((names, found))
}

fn below<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    match schema["properties"].as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => fields.get(name),
        None => schema.get("additionalProperties").filter(|of| of.is_object()),
    }
}

/// A delimiter, what is quoted, or what is before the next delimiter; and the rest.
fn next(text: &str) -> (&str, &str) {
    let is_delimiter = |character: char| matches!(character, '.' | '[' | ']');
    if text.starts_with(is_delimiter) {
        return text.split_at(1);
    }
    if let Some(quoted) = text.strip_prefix('\'') {
        let end = quoted.match_indices('\'').find(|(at, _)| !quoted[..*at].ends_with('\\'));
        return text.split_at(end.map_or(text.len(), |(at, _)| at + 2));
    }
    text.split_at(text.find(is_delimiter).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selectable_field_is_a_plain_value_of_the_schema() {
        let schema = json!({"type": "object", "properties": {
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": {"type": "object", "properties": {
                "host": {"type": "string"}, "port": {"type": "integer"}, "on": {"type": "boolean"},
                "part": {"type": "object"}, "list": {"type": "array", "items": {"type": "string"}},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}}}},
        }});
        let plain = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
        let invalid = |path: &str, why: &str| format!("f[0].jsonPath: Invalid value: {path:?}: {why}");
        let no_path = |path: &str, why: &str| invalid(path, &format!("is an invalid path: {why}"));
        let cases = [
            ("plain ones", vec![".spec.host", ".spec.port", ".spec.on", ".spec.tags.a"], vec![]),
            ("none", vec![""], vec!["f[0].jsonPath: Required value".to_owned()]),
            ("one that is not there", vec![".spec.x"], vec![no_path(".spec.x", NO_FIELD)]),
            ("below a plain one", vec![".spec.host.x"], vec![no_path(".spec.host.x", NO_FIELD)]),
            ("no dot", vec!["spec.host"], vec![no_path("spec.host", "expected [ or . but got: spec")]),
            ("an end too early", vec![".spec."], vec![no_path(".spec.", "unexpected end of JSON path")]),
            (
                "an item",
                vec![".spec.list[0]"],
                vec![no_path(".spec.list[0]", "array notation is not allowed")],
            ),
            ("an object", vec![".spec.part"], vec![invalid(".spec.part", plain)]),
            ("a list", vec![".spec.list"], vec![invalid(".spec.list", plain)]),
            (
                "metadata",
                vec![".metadata.name"],
                vec![invalid(".metadata.name", "must not point to fields in metadata")],
            ),
            (
                "twice",
                vec![".spec.host", ".spec.host"],
                vec!["f[1].jsonPath: Duplicate value: \".spec.host\"".to_owned()],
            ),
            (
                "too many",
                vec![
                    ".spec.tags.a",
                    ".spec.tags.b",
                    ".spec.tags.c",
                    ".spec.tags.d",
                    ".spec.tags.e",
                    ".spec.tags.f",
                    ".spec.tags.g",
                    ".spec.tags.h",
                    ".spec.tags.i",
                ],
                vec!["f: Too many: 9: must have at most 8 items".to_owned()],
            ),
        ];
        for (name, paths, want) in cases {
            let fields: Vec<SelectableField> =
                paths.into_iter().map(|path| SelectableField { json_path: path.to_owned() }).collect();
            let mut errors = ErrorList::default();
            validate(&fields, &schema, "f", &mut errors);
            let told: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(told, want, "{name}");
        }
    }
}
