//! What is wanted, put over what is.

use super::element::Element;
use super::fields::Fields;
use super::parts::{element_at, element_of};
use super::{ListType, Structure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `live` with everything that `wanted` says; what it does not speak of stays.
pub(super) fn merge<'v>(
    live: &'v Value,
    wanted: &'v Value,
    path: &mut Vec<&'v str>,
    structure: &dyn Structure,
) -> Result<Value, String> {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) if !structure.is_atomic(path) => {
            let mut merged = live.clone();
            for (name, wanted) in wanted {
                path.push(name);
                let value = merge(live.get(name).unwrap_or(&Value::Null), wanted, path, structure)?;
                path.pop();
                merged.insert(name.clone(), value);
            }
            Ok(Value::Object(merged))
        }
        (Value::Array(live), Value::Array(wanted)) if structure.list(path) != ListType::Atomic => {
            merge_lists(live, wanted, path, structure).map(Value::Array)
        }
        _ => Ok(wanted.clone()),
    }
}

/// In upstream's order (structured-merge-diff's `visitListItems`): what both have is where it is wanted; what only `live` has stays
/// before whatever comes anew, so that the init containers of two managers run as they came.
fn merge_lists<'v>(
    live: &'v [Value],
    wanted: &'v [Value],
    path: &mut Vec<&'v str>,
    structure: &dyn Structure,
) -> Result<Vec<Value>, String> {
    let list = structure.list(path);
    let elements = |items: &[Value]| {
        let items = items.iter().enumerate();
        let elements = items.map(|(index, item)| element_at(index, item, &list, path, structure));
        elements.collect::<Result<Vec<Element>, _>>()
    };
    let (live_elements, wanted_elements) = (elements(live)?, elements(wanted)?);
    let mut places: BTreeMap<&Element, usize> = BTreeMap::new();
    for (at, element) in live_elements.iter().enumerate() {
        places.entry(element).or_insert(at);
    }
    let is_wanted: BTreeSet<&Element> = wanted_elements.iter().collect();
    let mut in_both = wanted_elements.iter().filter(|element| places.contains_key(element));
    let mut next_of_both = in_both.next();
    let mut taken = BTreeSet::new();
    let mut merged = Vec::with_capacity(live.len().max(wanted.len()));
    let (mut seen, mut done) = (0, 0);
    while seen < live.len() || done < wanted.len() {
        if let Some(element) = live_elements.get(seen) {
            if !is_wanted.contains(element) {
                merged.push(live[seen].clone());
                seen += 1;
                continue;
            }
            let is_next = wanted_elements.get(done) == Some(element);
            let is_another = next_of_both.is_some_and(|next| next != element);
            if !is_next && (is_another || taken.contains(element)) {
                // it has been taken, or comes where it is wanted
                seen += 1;
                continue;
            }
            // what is where it is wanted is passed with it
            seen += usize::from(is_next);
        }
        let Some(element) = wanted_elements.get(done) else { continue };
        let item = &wanted[done];
        merged.push(match (places.get(element), &list) {
            (Some(&at), ListType::Map(_)) => merge(&live[at], item, path, structure)?,
            _ => item.clone(),
        });
        taken.insert(element);
        done += 1;
        if next_of_both == Some(element) {
            next_of_both = in_both.next();
        }
    }
    Ok(merged)
}

/// Takes away what the manager had wanted before (`last`) and nobody wants now (`owned`, of all managers): with it goes
/// whatever nobody owns below it.
pub(super) fn prune(
    value: &mut Value,
    last: &Fields,
    owned: &Fields,
    path: &mut Vec<String>,
    structure: &dyn Structure,
) {
    match value {
        Value::Object(fields) => {
            for (element, below) in &last.children {
                let Element::Field(name) = element else { continue };
                match owned.children.get(element) {
                    None => drop(fields.remove(name)),
                    Some(still) => {
                        let Some(value) = fields.get_mut(name) else { continue };
                        path.push(name.clone());
                        prune(value, below, still, path, structure);
                        path.pop();
                    }
                }
            }
        }
        Value::Array(items) => {
            let path_now: Vec<&str> = path.iter().map(String::as_str).collect();
            let list = structure.list(&path_now);
            items.retain_mut(|item| {
                let Ok(element) = element_of(item, &list, &path_now, structure) else { return true };
                match (last.children.get(&element), owned.children.get(&element)) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(below), Some(still)) => {
                        prune(item, below, still, &mut path.clone(), structure);
                        true
                    }
                }
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sample;
    use super::*;
    use serde_json::json;

    #[test]
    fn merging() {
        let cases = [
            (
                "what is not spoken of stays",
                json!({"a": 1, "b": 2}),
                json!({"b": 3}),
                json!({"a": 1, "b": 3}),
            ),
            (
                "atomic lists are replaced",
                json!({"args": ["a", "b"]}),
                json!({"args": ["c"]}),
                json!({"args": ["c"]}),
            ),
            (
                "atomic objects are replaced",
                json!({"selector": {"a": "1"}}),
                json!({"selector": {"b": "2"}}),
                json!({"selector": {"b": "2"}}),
            ),
            (
                "sets grow",
                json!({"finalizers": ["a"]}),
                json!({"finalizers": ["b", "a"]}),
                json!({"finalizers": ["b", "a"]}),
            ),
            (
                "items are found by their keys",
                json!({"env": [{"name": "a", "value": "1"}, {"name": "b"}]}),
                json!({"env": [{"name": "c"}, {"name": "b", "value": "2"}]}),
                json!({"env": [{"name": "a", "value": "1"}, {"name": "c"}, {"name": "b", "value": "2"}]}),
            ),
            (
                "what comes anew comes after what is there",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "c"}, {"name": "d"}]}),
                json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}]}),
            ),
            (
                "what both have is in the order that is wanted",
                json!({"env": [{"name": "a"}, {"name": "x"}, {"name": "b"}, {"name": "y"}]}),
                json!({"env": [{"name": "b"}, {"name": "a"}, {"name": "z"}]}),
                json!({"env": [{"name": "x"}, {"name": "b"}, {"name": "y"}, {"name": "a"}, {"name": "z"}]}),
            ),
        ];
        for (name, live, wanted, want) in cases {
            assert_eq!(merge(&live, &wanted, &mut Vec::new(), &Sample).unwrap(), want, "{name}");
        }
    }

    #[test]
    fn pruning() {
        let mut value =
            json!({"a": 1, "b": {"c": 1, "default": 2}, "env": [{"name": "x"}, {"name": "y", "value": "1"}]});
        let last = json!({"f:a": {}, "f:b": {"f:c": {}}, "f:env": {"k:{\"name\":\"x\"}": {}, "k:{\"name\":\"y\"}": {".": {}, "f:value": {}}}});
        let owned = json!({"f:env": {"k:{\"name\":\"y\"}": {}}});
        prune(&mut value, &Fields::decode(&last), &Fields::decode(&owned), &mut Vec::new(), &Sample);
        assert_eq!(value, json!({"env": [{"name": "y"}]}));
    }
}
