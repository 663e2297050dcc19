//! What is wrong with a value, in the words of upstream's schema validation.

use crate::checks::Checks;
use crate::formats::Format;
use crate::prune::{self, within};
use crate::{ErrorList, IDENTITY, ListType, Schema, Type, embedded, numbers};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// After so many faults nobody reads on.
const MOST_FAULTS: usize = 100;
/// Upstream tells of a junctor without a field: the message has it.
const NOWHERE: &str = "<nil>";

/// The form of the root's `apiVersion`, `kind` and `metadata` is checked by others. They may be left out of `value` unless the
/// schema [judges](Schema::judges_identity) them.
pub fn validate(value: &Value, schema: &Schema, errors: &mut ErrorList) {
    walk(value, None, schema, true, &mut String::new(), errors);
}

/// As [`validate`], of what differs from `old`: a fault that was there before the schema forbade it stays (KEP-4008). Items
/// of a list are known again by their key where the list is a map; any other list counts as a whole.
pub fn validate_update(value: &Value, old: &Value, schema: &Schema, errors: &mut ErrorList) {
    walk(value, Some(old), schema, true, &mut String::new(), errors);
}

/// What is wrong with a default: it must be able to stand where it is put, and nothing of it may be pruned. `at` is its own place
/// in the definition, for the messages.
pub fn validate_default(default: &Value, schema: &Schema, at: &str, errors: &mut ErrorList) {
    let mut dropped = Vec::new();
    prune::walk(&mut default.clone(), schema, &mut String::new(), &mut dropped);
    if !dropped.is_empty() {
        errors.invalid(at, default.clone(), "must not have unknown fields");
    }
    walk(default, None, schema, schema.embedded, &mut at.to_owned(), errors);
}

fn walk(
    value: &Value,
    old: Option<&Value>,
    schema: &Schema,
    is_resource: bool,
    path: &mut String,
    errors: &mut ErrorList,
) {
    if errors.len() >= MOST_FAULTS || old == Some(value) {
        return;
    }
    if value.is_null() && schema.nullable {
        return;
    }
    if !has_type(value, schema) {
        let wanted = type_name(schema.kind);
        let place = if path.is_empty() { "" } else { path.as_str() };
        errors.wrong_type(
            place,
            found_type(value),
            format!("{place} in body must be of type {wanted}: \"{}\"", found_type(value)),
        );
        return;
    }
    check(value, &schema.checks, path, errors);
    match value {
        Value::Object(fields) => {
            // the root's own is checked by others
            if schema.embedded && !path.is_empty() {
                embedded::validate(fields, path, errors);
            }
            for (name, value) in fields {
                let old = old.and_then(|old| old.get(name));
                if is_resource && IDENTITY.contains(&name.as_str()) {
                    if let Some(of) =
                        schema.identity.as_ref().and_then(|all| all.get(name)).filter(|_| old != Some(value))
                    {
                        within(path, &step(path, name), |path| check(value, of, path, errors));
                    }
                    continue;
                }
                if let Some(of) = schema.field(name) {
                    within(path, &step(path, name), |path| walk(value, old, of, of.embedded, path, errors));
                }
            }
        }
        Value::Array(items) => {
            list(items, schema, path, errors);
            let Some(of) = schema.items.as_deref() else { return };
            let before = ItemsByKey::of(old, &schema.list);
            for (index, item) in items.iter().enumerate() {
                let old = before.get(item);
                within(path, &format!("[{index}]"), |path| walk(item, old, of, of.embedded, path, errors));
            }
        }
        _ => {}
    }
}

/// The items of the list that was there before, where it is a map: each is found by its key, of those with the same key the first. A
/// list may be as long as a body.
struct ItemsByKey<'o> {
    keys: &'o [String],
    items: HashMap<String, &'o Value>,
}

impl<'o> ItemsByKey<'o> {
    fn of(old: Option<&'o Value>, list: &'o ListType) -> Self {
        let ListType::Map(keys) = list else { return ItemsByKey { keys: &[], items: HashMap::new() } };
        let mut items = HashMap::new();
        for item in old.and_then(Value::as_array).into_iter().flatten() {
            items.entry(key_of(item, keys)).or_insert(item);
        }
        ItemsByKey { keys, items }
    }

    fn get(&self, item: &Value) -> Option<&'o Value> {
        // where there is nothing, no key needs to be written
        if self.items.is_empty() {
            return None;
        }
        self.items.get(&key_of(item, self.keys)).copied()
    }
}

/// What is left out is told from `null`, and no text from another value.
fn key_of(item: &Value, keys: &[String]) -> String {
    let each = keys.iter().map(|key| item.get(key).map(Value::to_string).unwrap_or_default());
    each.collect::<Vec<_>>().join(",")
}

fn step(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!(".{name}") }
}

fn has_type(value: &Value, schema: &Schema) -> bool {
    match schema.kind {
        Type::Any => true,
        Type::Object => value.is_object(),
        Type::Array => value.is_array(),
        Type::String | Type::Bytes | Type::Time | Type::MicroTime | Type::Duration => value.is_string(),
        Type::Quantity => value.is_string() || value.is_number(),
        Type::Integer | Type::Int32 => matches!(value, Value::Number(n) if numbers::is_integer(n)),
        Type::Number => value.is_number(),
        Type::Boolean => value.is_boolean(),
        Type::IntOrString => value.is_string() || matches!(value, Value::Number(n) if numbers::is_integer(n)),
    }
}

fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Any => "any",
        Type::Object => "object",
        Type::Array => "array",
        Type::String | Type::Bytes | Type::Time | Type::MicroTime | Type::Duration => "string",
        Type::Quantity => "string,number",
        Type::Integer | Type::Int32 => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::IntOrString => "integer,string",
    }
}

fn found_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if numbers::is_integer(n) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Items that are the same, where each may be there once.
fn list(items: &[Value], schema: &Schema, path: &str, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    match &schema.list {
        ListType::Atomic => {}
        ListType::Set => {
            for (index, item) in items.iter().enumerate() {
                if !seen.insert(item.to_string()) {
                    errors.duplicate(format!("{path}[{index}]"), item.clone());
                }
            }
        }
        ListType::Map(keys) => {
            for (index, item) in items.iter().enumerate() {
                let key: Map<String, Value> =
                    keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone()))).collect();
                if !seen.insert(Value::Object(key.clone()).to_string()) {
                    errors.duplicate(format!("{path}[{index}]"), Value::Object(key));
                }
            }
        }
    }
}

fn check(value: &Value, checks: &Checks, path: &mut String, errors: &mut ErrorList) {
    if let Some(kind) = checks.kind
        && found_type(value) != kind
    {
        errors.wrong_type(
            &path,
            found_type(value),
            format!("{path} in body must be of type {kind}: \"{}\"", found_type(value)),
        );
        return;
    }
    if !checks.one_of_values.is_empty() && !checks.one_of_values.contains(value) {
        errors.not_supported(&path, value.clone(), &checks.one_of_values);
    }
    match value {
        Value::String(text) => string(text, checks, path, errors),
        Value::Number(number) => self::number(value, numbers::value(number), checks, path, errors),
        Value::Array(items) => {
            if checks.min_items.is_some_and(|least| (items.len() as u64) < least) {
                let least = checks.min_items.unwrap_or_default();
                errors.invalid(
                    &path,
                    items.len(),
                    format!("{path} in body should have at least {least} items"),
                );
            }
            if let Some(most) = checks.max_items.filter(|most| items.len() as u64 > *most) {
                errors.too_many(&path, items.len(), most);
            }
            if let Some(of) = checks.items.as_deref() {
                for (index, item) in items.iter().enumerate() {
                    within(path, &format!("[{index}]"), |path| check(item, of, path, errors));
                }
            }
        }
        Value::Object(fields) => object(fields, checks, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
    junctors(value, checks, path, errors);
}

fn string(text: &str, checks: &Checks, path: &str, errors: &mut ErrorList) {
    let value = || Value::from(text);
    let length = text.chars().count() as u64;
    if let Some(most) = checks.max_length.filter(|most| length > *most) {
        errors.too_long(path, most);
    }
    if let Some(least) = checks.min_length.filter(|least| length < *least) {
        errors.invalid(path, value(), format!("{path} in body should be at least {least} chars long"));
    }
    if let Some(pattern) = checks.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        errors.invalid(path, value(), format!("{path} in body should match '{pattern}'"));
    }
    if let Some(format) = checks.format.filter(|format| !format.allows(text)) {
        let name = format.name();
        errors.invalid(path, value(), format!("{path} in body must be of type {name}: {}", value()));
    }
}

fn number(value: &Value, number: f64, checks: &Checks, path: &str, errors: &mut ErrorList) {
    if let Some((least, most)) = checks.format.and_then(Format::range)
        && !(least..=most).contains(&number)
    {
        errors.invalid(path, value.clone(), format!("{path} in body must be of type int32: {value}"));
    }
    if let Some(bound) = checks.maximum {
        let fits = if bound.exclusive { number < bound.value } else { number <= bound.value };
        let or = if bound.exclusive { "less than" } else { "less than or equal to" };
        if !fits {
            errors.invalid(
                path,
                value.clone(),
                format!("{path} in body should be {or} {}", numbers::shown(bound.value)),
            );
        }
    }
    if let Some(bound) = checks.minimum {
        let fits = if bound.exclusive { number > bound.value } else { number >= bound.value };
        let or = if bound.exclusive { "greater than" } else { "greater than or equal to" };
        if !fits {
            errors.invalid(
                path,
                value.clone(),
                format!("{path} in body should be {or} {}", numbers::shown(bound.value)),
            );
        }
    }
    if let Some(of) = checks.multiple_of.filter(|of| !numbers::is_multiple(number, *of)) {
        errors.invalid(
            path,
            value.clone(),
            format!("{path} in body should be a multiple of {}", numbers::shown(of)),
        );
    }
}

fn object(fields: &Map<String, Value>, checks: &Checks, path: &mut String, errors: &mut ErrorList) {
    for name in &checks.required {
        if !fields.contains_key(name) {
            errors.required(format!("{path}{}", step(path, name)), "");
        }
    }
    if let Some(least) = checks.min_properties.filter(|least| (fields.len() as u64) < *least) {
        errors.invalid(
            &path,
            fields.len(),
            format!("{path} in body should have at least {least} properties"),
        );
    }
    if let Some(most) = checks.max_properties.filter(|most| fields.len() as u64 > *most) {
        errors.too_many(&path, fields.len(), most);
    }
    for (name, of) in &checks.fields {
        if let Some(value) = fields.get(name) {
            within(path, &step(path, name), |path| check(value, of, path, errors));
        }
    }
}

fn junctors(value: &Value, checks: &Checks, path: &mut String, errors: &mut ErrorList) {
    if !checks.has_junctors() {
        return;
    }
    let any = Alternatives::of(value, &checks.any_of, 1, path);
    if !checks.any_of.is_empty() && any.passed == 0 {
        errors.invalid(NOWHERE, "", format!("{path:?} must validate at least one schema (anyOf)"));
        errors.append(any.closest);
    }
    let one = Alternatives::of(value, &checks.one_of, usize::MAX, path);
    if !checks.one_of.is_empty() && one.passed != 1 {
        let found = match one.passed {
            0 => "Found none valid".to_owned(),
            many => format!("Found {many} valid alternatives"),
        };
        let why = format!("{path:?} must validate one and only one schema (oneOf). {found}");
        errors.invalid(NOWHERE, "", why);
        errors.append(one.closest);
    }
    let mut failed = 0;
    // one after the other: a definition may have thousands, and what is wrong by each may fill a list
    for below in &checks.all_of {
        let found = tried(value, below, path);
        failed += usize::from(!found.is_empty());
        errors.append(found);
    }
    if failed > 0 {
        let none = if failed == checks.all_of.len() { ". None validated" } else { "" };
        errors.invalid(NOWHERE, "", format!("{path:?} must validate all the schemas (allOf){none}"));
    }
    if checks.not.as_deref().is_some_and(|below| tried(value, below, path).is_empty()) {
        errors.invalid(NOWHERE, "", format!("{path:?} must not validate the schema (not)"));
    }
}

/// What is wrong by one schema of several.
fn tried(value: &Value, checks: &Checks, path: &mut String) -> ErrorList {
    let mut found = ErrorList::default();
    check(value, checks, path, &mut found);
    found
}

/// What a value is by each of several schemas.
struct Alternatives {
    /// So many it passes.
    passed: usize,
    /// What is wrong by the closest one, where it passes none.
    closest: ErrorList,
}

impl Alternatives {
    /// No more are tried when it has passed `enough`. The closest is upstream's `bestFailures`: the first of those that have looked at
    /// most.
    fn of(value: &Value, all: &[Checks], enough: usize, path: &mut String) -> Alternatives {
        let (mut passed, mut closest, mut most) = (0, ErrorList::default(), 0);
        for below in all {
            let found = tried(value, below, path);
            if found.is_empty() {
                passed += 1;
                closest = ErrorList::default();
                if passed == enough {
                    break;
                }
                continue;
            }
            let looked_at = looked_at(value, below);
            if passed == 0 && looked_at > most {
                (closest, most) = (found, looked_at);
            }
        }
        Alternatives { passed, closest }
    }
}

/// How many values the checks look at, about upstream's `MatchCount`.
fn looked_at(value: &Value, checks: &Checks) -> usize {
    let below: usize = match value {
        Value::Object(fields) => {
            let known = checks.fields.iter().filter_map(|(name, of)| Some((fields.get(name)?, of)));
            known.map(|(value, of)| looked_at(value, of)).sum()
        }
        Value::Array(items) => {
            let of = checks.items.as_deref();
            of.map_or(0, |of| items.iter().map(|item| looked_at(item, of)).sum())
        }
        _ => 0,
    };
    1 + below
}
