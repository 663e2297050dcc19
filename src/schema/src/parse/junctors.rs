//! The logical junctors (`allOf`, `anyOf`, `oneOf`, `not`) and the schemas within them: value validations only, of what is specified
//! outside.

use super::{Reading, checks, is_empty};
use crate::checks::Checks;
use crate::{DEEPEST, Schema, Type};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Keys that change an object or describe it; they have one place, outside of the junctors.
const ONLY_OUTSIDE: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "nullable",
    "title",
    "type",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// Whether there is one.
pub(super) fn stand_in(fields: &Map<String, Value>) -> bool {
    ["allOf", "anyOf", "oneOf", "not"].iter().any(|key| fields.contains_key(*key))
}

/// Those of a node, into its checks. `outer` is what is specified outside of them.
pub(super) fn read(
    into: &mut Checks,
    fields: &Map<String, Value>,
    outer: &Schema,
    at: &str,
    depth: usize,
    errors: &mut Reading,
) {
    let all = |key: &str, errors: &mut Reading| -> Vec<Checks> {
        let list = fields.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .enumerate()
            .map(|(index, below)| nested(below, outer, &format!("{at}.{key}[{index}]"), depth + 1, errors))
            .collect()
    };
    into.all_of = all("allOf", errors);
    into.any_of = all("anyOf", errors);
    into.one_of = all("oneOf", errors);
    into.not = fields
        .get("not")
        .filter(|not| !not.is_null())
        .map(|below| Box::new(nested(below, outer, &format!("{at}.not"), depth + 1, errors)));
}

/// A schema within a junctor: value validations only, of what `outer` specifies.
fn nested(schema: &Value, outer: &Schema, at: &str, depth: usize, errors: &mut Reading) -> Checks {
    let empty = Map::new();
    let fields = schema.as_object().unwrap_or(&empty);
    if depth > DEEPEST {
        errors.forbidden(at, format!("schemas may be at most {DEEPEST} levels deep"));
        return Checks::default();
    }
    errors.count_node();
    let int_or_string = outer.kind == Type::IntOrString;
    for key in ONLY_OUTSIDE {
        let may = int_or_string && *key == "type";
        if !may && fields.get(*key).is_some_and(|value| !is_empty(value)) {
            errors.forbidden(format!("{at}.{key}"), "must be empty to be structural");
        }
    }
    let mut parsed = checks(fields, at, errors);
    parsed.kind = match fields.get("type").and_then(Value::as_str) {
        Some("integer") => Some("integer"),
        Some("string") => Some("string"),
        _ => None,
    };
    if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
        parsed.fields = properties
            .iter()
            .map(|(name, below)| {
                let place = format!("{at}.properties[{name}]");
                let within = outer.field(name).cloned().unwrap_or_else(|| {
                    let implicit = matches!(name.as_str(), "metadata" | "apiVersion" | "kind");
                    if !implicit && !outer.preserve_unknown {
                        let specified = format!("{}.properties[{name}]", strip_junctor(at));
                        errors.required(specified, &format!("because it is defined in {place}"));
                    }
                    Schema { preserve_unknown: true, ..Schema::default() }
                });
                (name.clone(), nested(below, &within, &place, depth + 1, errors))
            })
            .collect::<BTreeMap<_, _>>();
    }
    if let Some(below) = fields.get("items").filter(|items| items.is_object()) {
        let within = outer.items.as_deref().cloned().unwrap_or_default();
        parsed.items = Some(Box::new(nested(below, &within, &format!("{at}.items"), depth + 1, errors)));
    }
    read(&mut parsed, fields, outer, at, depth, errors);
    parsed
}

/// The path without its last junctor: where the field should have been specified.
fn strip_junctor(at: &str) -> &str {
    let last = ["allOf[", "anyOf[", "oneOf["].iter().filter_map(|j| at.rfind(&format!(".{j}"))).max();
    let not = at.rfind(".not");
    last.max(not).map_or(at, |end| &at[..end])
}
