//! From objects to the fields that they have, and that differ between two of them.

use super::element::Element;
use super::fields::Fields;
use super::{ListType, Structure};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is different in a new version of an object.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: Fields,
    pub(super) changed: Fields,
    pub(super) removed: Fields,
}

/// What has parts that may have different owners.
enum Parts<'v> {
    Whole,
    Named(BTreeMap<Element, (&'v Value, &'v str)>),
    Items(BTreeMap<Element, &'v Value>),
}

/// # Errors
/// Two items with one key, and items without one.
fn parts<'v>(value: &'v Value, path: &[&str], structure: &dyn Structure) -> Result<Parts<'v>, String> {
    match value {
        Value::Object(fields) if !fields.is_empty() && !structure.is_atomic(path) => Ok(Parts::Named(
            fields
                .iter()
                .map(|(name, value)| (Element::Field(name.clone()), (value, name.as_str())))
                .collect(),
        )),
        Value::Array(items) if !items.is_empty() => {
            let list = structure.list(path);
            if list == ListType::Atomic {
                return Ok(Parts::Whole);
            }
            let mut found = BTreeMap::new();
            for (index, item) in items.iter().enumerate() {
                let element = element_at(index, item, &list, path, structure)?;
                let twice = format!(".{}: duplicate entries for key {element}", path.join("."));
                if found.insert(element, item).is_some() {
                    return Err(twice);
                }
            }
            Ok(Parts::Items(found))
        }
        _ => Ok(Parts::Whole),
    }
}

/// What an item is known by; the name of the key that it lacks where it has none.
pub(super) fn element_of<'k>(
    item: &Value,
    list: &'k ListType,
    path: &[&str],
    structure: &dyn Structure,
) -> Result<Element, &'k str> {
    match list {
        ListType::Map(keys) => Element::key(item, keys, path, structure),
        ListType::Set | ListType::Atomic => Ok(Element::value(item)),
    }
}

/// # Errors
/// An item without its key, in upstream's words.
pub(super) fn element_at(
    index: usize,
    item: &Value,
    list: &ListType,
    path: &[&str],
    structure: &dyn Structure,
) -> Result<Element, String> {
    element_of(item, list, path, structure).map_err(|key| {
        format!(
            ".{}: element {index}: associative list with keys has an element that omits key field {key:?} (and doesn't have default value)",
            path.join(".")
        )
    })
}

/// All fields of a value. Objects count by what is in them, items of lists also themselves.
pub(super) fn fields_of<'v>(
    value: &'v Value,
    path: &mut Vec<&'v str>,
    structure: &dyn Structure,
) -> Result<Fields, String> {
    let mut fields = Fields::default();
    match parts(value, path, structure)? {
        Parts::Whole => fields.member = true,
        Parts::Named(named) => {
            for (element, (value, name)) in named {
                path.push(name);
                let below = fields_of(value, path, structure)?;
                path.pop();
                fields.put(element, below);
            }
        }
        Parts::Items(items) => {
            for (element, item) in items {
                fields.children.insert(element, fields_of_item(item, path, structure)?);
            }
        }
    }
    Ok(fields)
}

fn fields_of_item<'v>(
    item: &'v Value,
    path: &mut Vec<&'v str>,
    structure: &dyn Structure,
) -> Result<Fields, String> {
    let below = if item.is_object() { fields_of(item, path, structure)? } else { Fields::default() };
    Ok(Fields { member: true, ..below })
}

pub(super) fn compare<'v>(
    old: &'v Value,
    new: &'v Value,
    path: &mut Vec<&'v str>,
    structure: &dyn Structure,
) -> Result<Difference, String> {
    let mut difference = Difference::default();
    match (parts(old, path, structure)?, parts(new, path, structure)?) {
        (Parts::Named(old), Parts::Named(new)) => {
            for (element, (value, name)) in &old {
                if !new.contains_key(element) {
                    path.push(name);
                    difference.removed.put(element.clone(), fields_of(value, path, structure)?);
                    path.pop();
                }
            }
            for (element, (value, name)) in new {
                path.push(name);
                match old.get(&element) {
                    // as most of an object is: two values are compared sooner than they are taken apart
                    Some((before, _)) if *before == value => {}
                    Some((before, _)) => difference.put(element, compare(before, value, path, structure)?),
                    None => difference.added.put(element, fields_of(value, path, structure)?),
                }
                path.pop();
            }
        }
        (Parts::Items(old), Parts::Items(new)) => {
            for (element, item) in &old {
                if !new.contains_key(element) {
                    difference.removed.put(element.clone(), fields_of_item(item, path, structure)?);
                }
            }
            for (element, item) in new {
                match old.get(&element) {
                    Some(before) if *before == item => {}
                    Some(before) => difference.put(element, compare(before, item, path, structure)?),
                    None => difference.added.put(element, fields_of_item(item, path, structure)?),
                }
            }
        }
        (Parts::Whole, Parts::Whole) => difference.changed.member = old != new,
        // what was one value has parts now, or the other way round
        _ => {
            difference.removed = fields_of(old, path, structure)?;
            difference.added = fields_of(new, path, structure)?;
        }
    }
    Ok(difference)
}

impl Difference {
    fn put(&mut self, element: Element, below: Difference) {
        self.added.put(element.clone(), below.added);
        self.changed.put(element.clone(), below.changed);
        self.removed.put(element, below.removed);
    }

    pub(super) fn set(&self) -> Fields {
        let mut set = self.added.clone();
        set.unite(&self.changed);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sample;
    use super::*;
    use serde_json::json;

    fn of(value: &Value) -> Value {
        fields_of(value, &mut Vec::new(), &Sample).unwrap().encode()
    }

    #[test]
    fn the_fields_of_a_value() {
        let cases = [
            ("plain", json!({"a": 1}), json!({"f:a": {}})),
            ("what is empty is a value", json!({"a": {}, "b": []}), json!({"f:a": {}, "f:b": {}})),
            ("an atomic object", json!({"selector": {"app": "x"}}), json!({"f:selector": {}})),
            ("an atomic list", json!({"args": ["a"]}), json!({"f:args": {}})),
            ("a set", json!({"finalizers": ["a"]}), json!({"f:finalizers": {"v:\"a\"": {}}})),
            (
                "a default in a key",
                json!({"ports": [{"containerPort": 80}]}),
                json!({"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}),
            ),
        ];
        for (name, value, want) in cases {
            assert_eq!(of(&value), want, "{name}");
        }
    }

    #[test]
    fn two_items_with_one_key_are_refused() {
        let value = json!({"env": [{"name": "a"}, {"name": "a", "value": "x"}]});
        let error = fields_of(&value, &mut Vec::new(), &Sample).unwrap_err();
        assert_eq!(error, ".env: duplicate entries for key [name=\"a\"]");
        for (name, env, want) in [
            ("the first", json!([{"value": "x"}]), "element 0"),
            ("another", json!([{"name": "a"}, {"name": "b"}, {"value": "x"}]), "element 2"),
        ] {
            let error = fields_of(&json!({"env": env}), &mut Vec::new(), &Sample).unwrap_err();
            let rest = "associative list with keys has an element that omits key field \"name\" (and doesn't have default value)";
            assert_eq!(error, format!(".env: {want}: {rest}"), "{name}");
        }
    }

    #[test]
    fn what_is_left_alone_is_not_judged() {
        let env = json!([{"name": "a"}, {"name": "a", "value": "x"}]);
        let (old, new) = (json!({"replicas": 1, "env": env}), json!({"replicas": 2, "env": env}));
        let difference = compare(&old, &new, &mut Vec::new(), &Sample).unwrap();
        assert_eq!(difference.set().encode(), json!({"f:replicas": {}}));
    }

    #[test]
    fn what_differs() {
        let old = json!({"replicas": 1, "paused": true, "env": [{"name": "a", "value": "1"}, {"name": "b"}], "one": "x"});
        let new =
            json!({"replicas": 2, "env": [{"name": "a", "value": "2"}, {"name": "c"}], "one": {"y": 1}});
        let difference = compare(&old, &new, &mut Vec::new(), &Sample).unwrap();
        assert_eq!(
            difference.changed.encode(),
            json!({"f:replicas": {}, "f:env": {"k:{\"name\":\"a\"}": {"f:value": {}}}})
        );
        assert_eq!(
            difference.added.encode(),
            json!({"f:env": {"k:{\"name\":\"c\"}": {".": {}, "f:name": {}}}, "f:one": {"f:y": {}}})
        );
        assert_eq!(
            difference.removed.encode(),
            json!({"f:paused": {}, "f:env": {"k:{\"name\":\"b\"}": {".": {}, "f:name": {}}}, "f:one": {}})
        );
    }
}
