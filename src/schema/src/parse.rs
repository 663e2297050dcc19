//! From the OpenAPI v3 schema of a CustomResourceDefinition to a structural schema, or why it is none.
//!
//! The rules are those of upstream's `ValidateStructural` (KEP-1693): every node has a type; fields, items and what
//! changes an object stand outside of the logical junctors; what a junctor speaks of is specified outside of it.

mod junctors;
mod reading;

use crate::checks::{Bound, Checks};
use crate::formats::Format;
use crate::{DEEPEST, IDENTITY, Link, ListType, Rule, Schema, Type};
use reading::Reading;
pub use reading::{Allowance, from_openapi, from_openapi_within, from_stored};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Where a node stands; each place has words of its own in upstream's messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Field,
    Items,
}

/// Keys that a schema of a custom resource may not have (apiextensions' `ValidateCustomResourceDefinitionOpenAPISchema`).
const FORBIDDEN: &[(&str, &str)] = &[
    ("$ref", "$ref is not supported"),
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("deprecated", "deprecated is not supported"),
    ("discriminator", "discriminator is not supported"),
    ("id", "id is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("readOnly", "readOnly is not supported"),
    ("writeOnly", "writeOnly is not supported"),
    ("xml", "xml is not supported"),
];

fn node(schema: &Value, at: &str, level: Level, depth: usize, errors: &mut Reading) -> Schema {
    let empty = Map::new();
    let fields = schema.as_object().unwrap_or(&empty);
    if depth > DEEPEST {
        errors.forbidden(at, format!("schemas may be at most {DEEPEST} levels deep"));
        return Schema::default();
    }
    errors.count_node();
    for (key, why) in FORBIDDEN {
        if fields.get(*key).is_some_and(|value| !is_empty(value)) {
            errors.forbidden(format!("{at}.{key}"), why);
        }
    }
    let flag = |key: &str| fields.get(key).and_then(Value::as_bool).unwrap_or(false);
    let int_or_string = flag("x-kubernetes-int-or-string");
    let preserve_unknown = flag("x-kubernetes-preserve-unknown-fields");
    if fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        errors.invalid(
            format!("{at}.x-kubernetes-preserve-unknown-fields"),
            false,
            "must be true or undefined",
        );
    }
    let kind = type_of(fields, at, level, int_or_string, preserve_unknown, errors);
    let mut parsed = Schema {
        kind,
        nullable: flag("nullable"),
        default: fields.get("default").cloned().map(Box::new),
        preserve_unknown,
        embedded: flag("x-kubernetes-embedded-resource"),
        atomic: fields.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic"),
        rules: rules(fields),
        ..Schema::default()
    };
    children(&mut parsed, fields, at, level, depth, errors);
    parsed.list = list_type(&parsed, fields, at, errors);
    parsed.checks = checks(fields, at, errors).into();
    if level == Level::Root {
        let asked = identity(fields, at, depth, errors);
        parsed.identity = (!asked.is_empty()).then(|| Box::new(asked));
    }
    if junctors::stand_in(fields) {
        let outer = parsed.clone();
        junctors::read(&mut parsed.checks, fields, &outer, at, depth, errors);
    }
    if parsed.embedded && parsed.kind != Type::Object {
        errors.invalid(
            format!("{at}.type"),
            fields.get("type").cloned().unwrap_or_default(),
            "must be object if x-kubernetes-embedded-resource is true",
        );
    }
    if parsed.embedded && !parsed.preserve_unknown && parsed.properties.is_empty() {
        errors.required(format!("{at}.properties"), "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields");
    }
    parsed
}

fn type_of(
    fields: &Map<String, Value>,
    at: &str,
    level: Level,
    int_or_string: bool,
    preserve_unknown: bool,
    errors: &mut Reading,
) -> Type {
    let given = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    // where a type is named too, as in external-snapshotter's definitions, it is of that one
    if int_or_string && given.is_empty() {
        return Type::IntOrString;
    }
    match given {
        "object" => Type::Object,
        "array" => Type::Array,
        "string" => Type::String,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        "" if preserve_unknown && level != Level::Root => Type::Any,
        "" => {
            let place = match level {
                Level::Root => "at the root",
                Level::Field => "for specified object fields",
                Level::Items => "for specified array items",
            };
            errors.required(format!("{at}.type"), &format!("must not be empty {place}"));
            Type::Any
        }
        _ => {
            let known: Vec<Value> =
                ["array", "boolean", "integer", "number", "object", "string"].map(Value::from).into();
            errors.not_supported(format!("{at}.type"), given, &known);
            Type::Any
        }
    }
}

fn children(
    parsed: &mut Schema,
    fields: &Map<String, Value>,
    at: &str,
    level: Level,
    depth: usize,
    errors: &mut Reading,
) {
    if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
        let mut found = Vec::with_capacity(properties.len());
        for (name, below) in properties {
            let place = format!("{at}.properties[{name}]");
            if name == "metadata" && level == Level::Root {
                metadata(below, &place, errors);
                continue;
            }
            if matches!(name.as_str(), "apiVersion" | "kind") && (level == Level::Root || parsed.embedded) {
                if below.get("type").and_then(Value::as_str) != Some("string") {
                    errors.invalid(
                        format!("{place}.type"),
                        below["type"].clone(),
                        format!("must be string for {name}"),
                    );
                }
                continue;
            }
            found.push((name.clone(), Link::from(node(below, &place, Level::Field, depth + 1, errors))));
        }
        // a map that is made of all at once is half as large as one that grew
        parsed.properties = found.into_iter().collect();
    }
    match fields.get("additionalProperties") {
        None | Some(Value::Null) => {}
        Some(_) if level == Level::Root => {
            errors.forbidden(format!("{at}.additionalProperties"), "must not be used at the root");
        }
        Some(_) if !parsed.properties.is_empty() => errors.forbidden(
            format!("{at}.additionalProperties"),
            "additionalProperties and properties are mutual exclusive",
        ),
        Some(Value::Bool(true)) => parsed.preserve_unknown = true,
        Some(Value::Bool(false)) => errors
            .forbidden(format!("{at}.additionalProperties"), "additionalProperties cannot be set to false"),
        Some(below) => {
            let place = format!("{at}.additionalProperties");
            parsed.additional = Some(Link::from(node(below, &place, Level::Field, depth + 1, errors)));
        }
    }
    match fields.get("items") {
        None | Some(Value::Null) if parsed.kind == Type::Array => {
            errors.required(format!("{at}.items"), "must be specified");
        }
        None | Some(Value::Null) => {}
        Some(Value::Array(_)) => {
            errors.forbidden(format!("{at}.items"), "items must be a schema object and not an array")
        }
        Some(below) => {
            let place = format!("{at}.items");
            parsed.items = Some(Link::from(node(below, &place, Level::Items, depth + 1, errors)));
        }
    }
}

/// What the root asks of an object's type and names beyond their being there.
fn identity(
    fields: &Map<String, Value>,
    at: &str,
    depth: usize,
    errors: &mut Reading,
) -> BTreeMap<String, Checks> {
    let properties = fields.get("properties").and_then(Value::as_object);
    let mut asked = BTreeMap::new();
    for name in IDENTITY {
        let Some(below) = properties.and_then(|properties| properties.get(*name)) else { continue };
        // its type is judged where the other fields are
        let Some("object" | "string") = below.get("type").and_then(Value::as_str) else { continue };
        let parsed = node(below, &format!("{at}.properties[{name}]"), Level::Field, depth + 1, errors);
        let mut checks = parsed.checks.into_checks();
        checks.fields =
            parsed.properties.into_iter().map(|(name, field)| (name, Checks::clone(&field.checks))).collect();
        checks.fields.retain(|_, checks| !checks.is_empty());
        if !checks.is_empty() {
            asked.insert((*name).to_owned(), checks);
        }
    }
    asked
}

/// The metadata is the system's; a schema may narrow the name.
fn metadata(schema: &Value, at: &str, errors: &mut Reading) {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        errors.invalid(format!("{at}.type"), schema["type"].clone(), "must be object for metadata");
    }
    let only_names = schema["properties"]
        .as_object()
        .is_none_or(|fields| fields.keys().all(|name| matches!(name.as_str(), "name" | "generateName")));
    if !only_names {
        errors.forbidden(
            at,
            "must not specify anything other than name and generateName, but metadata is implicitly specified",
        );
    }
}

fn list_type(parsed: &Schema, fields: &Map<String, Value>, at: &str, errors: &mut Reading) -> ListType {
    let given = fields.get("x-kubernetes-list-type").and_then(Value::as_str).unwrap_or_default();
    let keys: Vec<String> = fields
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array)
        .map(|keys| keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    if !given.is_empty() && parsed.kind != Type::Array {
        errors.invalid(
            format!("{at}.type"),
            fields.get("type").cloned().unwrap_or_default(),
            "must be array if x-kubernetes-list-type is specified",
        );
    }
    if !keys.is_empty() && given != "map" {
        errors.invalid(
            format!("{at}.x-kubernetes-list-type"),
            given,
            "must be map if x-kubernetes-list-map-keys is non-empty",
        );
    }
    match given {
        "" | "atomic" => ListType::Atomic,
        "set" => ListType::Set,
        "map" => {
            if keys.is_empty() {
                errors.required(
                    format!("{at}.x-kubernetes-list-map-keys"),
                    "must not be empty if x-kubernetes-list-type is map",
                );
            }
            map_keys(parsed, &keys, at, errors);
            ListType::Map(keys)
        }
        _ => {
            let known = ["atomic", "map", "set"].map(Value::from);
            errors.not_supported(format!("{at}.x-kubernetes-list-type"), given, &known);
            ListType::Atomic
        }
    }
}

/// What tells the items apart is a plain value that every item has.
fn map_keys(parsed: &Schema, keys: &[String], at: &str, errors: &mut Reading) {
    let Some(items) = parsed.items.as_deref() else { return };
    for (index, key) in keys.iter().enumerate() {
        let Some(field) = items.properties.get(key) else {
            errors.invalid(
                format!("{at}.x-kubernetes-list-map-keys[{index}]"),
                key.as_str(),
                "must be a property of the items",
            );
            continue;
        };
        if matches!(field.kind, Type::Object | Type::Array) {
            errors.invalid(
                format!("{at}.items.properties[{key}].type"),
                if field.kind == Type::Object { "object" } else { "array" },
                "must be a scalar type if parent array's x-kubernetes-list-type is map",
            );
        }
    }
}

fn rules(fields: &Map<String, Value>) -> Vec<Rule> {
    let text = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_owned();
    let all = fields.get("x-kubernetes-validations").and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .map(|rule| Rule {
            rule: text(rule, "rule"),
            message: text(rule, "message"),
            message_expression: text(rule, "messageExpression"),
            reason: text(rule, "reason"),
            field_path: text(rule, "fieldPath"),
            optional_old_self: rule["optionalOldSelf"].as_bool().unwrap_or(false),
        })
        .collect()
}

fn checks(fields: &Map<String, Value>, at: &str, errors: &mut Reading) -> Checks {
    let number = |key: &str| fields.get(key).and_then(Value::as_f64);
    let count = |key: &str| fields.get(key).and_then(Value::as_u64);
    let flag = |key: &str| fields.get(key).and_then(Value::as_bool).unwrap_or(false);
    let bound =
        |key: &str, exclusive: &str| number(key).map(|value| Bound { value, exclusive: flag(exclusive) });
    let pattern = fields.get("pattern").and_then(Value::as_str).filter(|p| !p.is_empty());
    let pattern = pattern.and_then(|text| match errors.pattern(text)? {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            errors.invalid(
                format!("{at}.pattern"),
                text,
                format!("must be a valid regular expression, but isn't: {why}"),
            );
            None
        }
    });
    if flag("uniqueItems") {
        errors.forbidden(
            format!("{at}.uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        );
    }
    Checks {
        required: fields
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
        one_of_values: fields.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
        pattern,
        format: fields.get("format").and_then(Value::as_str).and_then(Format::named),
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        multiple_of: number("multipleOf").filter(|n| *n != 0.0),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        ..Checks::default()
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
