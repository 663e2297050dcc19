//! Kubernetes' own patch format: lists are merged by a key of their items.

use crate::Status;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// By which key the items of a list are told apart, and whether lists of plain values are merged; found by the field's
/// path from the object's root, list items left out: `spec.template.spec.containers`.
pub trait Schema {
    /// `None` for a list that is replaced whole; `Some(None)` for a list of plain values that is merged.
    fn merge_key(&self, path: &[&str]) -> Option<Option<&'static str>>;
}

const DIRECTIVE: &str = "$patch";
const DELETE_VALUES: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";
const RETAIN: &str = "$retainKeys";

/// Upstream's `StrategicMergePatch`.
///
/// # Errors
/// `BadRequest` for a patch that is not an object, or whose list items lack the key they are merged by.
pub fn strategic_merge(target: Value, patch: &Value, schema: &dyn Schema) -> Result<Value, Status> {
    let (Value::Object(target), Value::Object(patch)) = (target, patch) else {
        return Err(Status::bad_request("a strategic merge patch must be a JSON object"));
    };
    merge_object(target, patch, schema, &mut Vec::new()).map(Value::Object)
}

fn merge_object<'p>(
    mut target: Map<String, Value>,
    patch: &'p Map<String, Value>,
    schema: &dyn Schema,
    path: &mut Vec<&'p str>,
) -> Result<Map<String, Value>, Status> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => return Ok(without_directives(patch)),
        Some("delete") => return Ok(Map::new()),
        Some("merge") | None => {}
        Some(other) => return Err(Status::bad_request(format!("unknown patch type: {other}"))),
    }
    if let Some(Value::Array(kept)) = patch.get(RETAIN) {
        let kept: HashSet<&str> = kept.iter().filter_map(Value::as_str).collect();
        target.retain(|key, _| kept.contains(key.as_str()));
    }
    // the lists that the patch puts in order, with the order that they have before
    let mut ordered = Vec::new();
    for (key, order) in patch {
        if let (Some(list), Value::Array(order)) = (key.strip_prefix(ORDER), order) {
            path.push(list);
            let by = schema.merge_key(path).flatten();
            path.pop();
            let before = places(target.get(list).and_then(Value::as_array).into_iter().flatten(), by);
            ordered.push((list, order, by, before));
        }
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix(DELETE_VALUES) {
            delete_values(&mut target, list, value);
        } else if !key.starts_with('$') {
            path.push(key);
            merge_field(&mut target, key, value, schema, path)?;
            path.pop();
        }
    }
    for (list, order, by, before) in ordered {
        if let Some(Value::Array(items)) = target.get_mut(list) {
            *items = in_order(std::mem::take(items), order, &before, by);
        }
    }
    Ok(target)
}

fn merge_field<'p>(
    target: &mut Map<String, Value>,
    key: &'p str,
    value: &'p Value,
    schema: &dyn Schema,
    path: &mut Vec<&'p str>,
) -> Result<(), Status> {
    match value {
        Value::Null => {
            target.remove(key);
        }
        Value::Object(patch) => {
            let before = match target.remove(key) {
                Some(Value::Object(before)) => before,
                _ => Map::new(),
            };
            let deleted = patch.get(DIRECTIVE).and_then(Value::as_str) == Some("delete");
            let merged = merge_object(before, patch, schema, path)?;
            if !deleted {
                target.insert(key.to_owned(), Value::Object(merged));
            }
        }
        Value::Array(patch) => {
            let before = match target.remove(key) {
                Some(Value::Array(before)) => before,
                _ => Vec::new(),
            };
            let merged = match schema.merge_key(path) {
                Some(Some(by)) => merge_list(before, patch, by, schema, path)?,
                Some(None) => merge_values(before, patch),
                None => patch.clone(),
            };
            target.insert(key.to_owned(), Value::Array(merged));
        }
        plain => {
            target.insert(key.to_owned(), plain.clone());
        }
    }
    Ok(())
}

/// Items are found by an index: a list of a patch may be as long as its body, and so may be the one that it meets.
fn merge_list<'p>(
    mut target: Vec<Value>,
    patch: &'p [Value],
    by: &'static str,
    schema: &dyn Schema,
    path: &mut Vec<&'p str>,
) -> Result<Vec<Value>, Status> {
    let directive = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
    if patch.iter().any(|item| directive(item).as_deref() == Some("replace") && item.get(by).is_none()) {
        let plain = patch.iter().filter(|item| directive(item).as_deref() != Some("replace"));
        return Ok(plain.cloned().collect());
    }
    let mut known: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, item) in target.iter().enumerate() {
        if let Some(id) = item.get(by) {
            known.entry(id.to_string()).or_default().push(at);
        }
    }
    let before = places(&target, Some(by));
    let mut deleted: HashSet<usize> = HashSet::new();
    for item in patch {
        let Value::Object(fields) = item else {
            return Err(Status::bad_request("unable to merge: list item is not an object"));
        };
        let id = fields.get(by).ok_or_else(|| {
            Status::bad_request(format!("map: {item} does not contain declared merge key: {by}"))
        })?;
        let id = id.to_string();
        if directive(item).as_deref() == Some("delete") {
            deleted.extend(known.remove(&id).into_iter().flatten());
        } else if let Some(&at) = known.get(&id).and_then(|all| all.first()) {
            let before = match target[at].take() {
                Value::Object(before) => before,
                _ => Map::new(),
            };
            target[at] = Value::Object(merge_object(before, fields, schema, path)?);
        } else {
            known.insert(id, vec![target.len()]);
            target.push(Value::Object(merge_object(Map::new(), fields, schema, path)?));
        }
    }
    let mut at = 0..;
    target.retain(|_| at.next().is_some_and(|at| !deleted.contains(&at)));
    Ok(in_order(target, patch, &before, Some(by)))
}

fn merge_values(mut target: Vec<Value>, patch: &[Value]) -> Vec<Value> {
    let before = places(&target, None);
    let mut known: HashSet<String> = target.iter().map(Value::to_string).collect();
    target.extend(patch.iter().filter(|value| known.insert(value.to_string())).cloned());
    in_order(target, patch, &before, None)
}

fn delete_values(target: &mut Map<String, Value>, list: &str, values: &Value) {
    if let (Some(Value::Array(items)), Value::Array(values)) = (target.get_mut(list), values) {
        let values: HashSet<String> = values.iter().map(Value::to_string).collect();
        items.retain(|item| !values.contains(&item.to_string()));
    }
}

/// Where each item first stands in a list.
type Places = HashMap<String, usize>;

fn id(item: &Value, by: Option<&str>) -> String {
    match by {
        None => item.to_string(),
        Some(by) => item.get(by).unwrap_or(&Value::Null).to_string(),
    }
}

fn places<'v>(items: impl IntoIterator<Item = &'v Value>, by: Option<&str>) -> Places {
    let mut places = Places::new();
    for (place, item) in items.into_iter().enumerate() {
        places.entry(id(item, by)).or_insert(place);
    }
    places
}

/// Upstream's `normalizeElementOrder`: items that `order` names come in that order; one of the others comes before the next of
/// them only where it stood before that already, so what is new comes first.
fn in_order(items: Vec<Value>, order: &[Value], before: &Places, by: Option<&str>) -> Vec<Value> {
    let wanted = places(order, by);
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let id = id(&item, by);
        let stood = before.get(&id).copied();
        match wanted.get(&id) {
            Some(place) => named.push((*place, stood, item)),
            None => others.push((stood, item)),
        }
    }
    named.sort_by_key(|(place, ..)| *place);
    let mut all = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, stood, item) in named {
        let is_before =
            |other: &(Option<usize>, Value)| other.0.zip(stood).is_some_and(|(other, own)| other < own);
        while let Some((_, other)) = others.next_if(is_before) {
            all.push(other);
        }
        all.push(item);
    }
    all.extend(others.map(|(_, item)| item));
    all
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    patch.iter().filter(|(key, _)| !key.starts_with('$')).map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Containers;
    impl Schema for Containers {
        fn merge_key(&self, path: &[&str]) -> Option<Option<&'static str>> {
            match path {
                ["containers"] => Some(Some("name")),
                ["finalizers"] => Some(None),
                _ => None,
            }
        }
    }

    #[test]
    fn strategic_merges() {
        let cases = [
            ("null deletes", json!({"a": 1, "b": 2}), json!({"a": null}), json!({"b": 2})),
            (
                "items by key",
                json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "image": "y"}]}),
                json!({"containers": [{"name": "a", "image": "y"}, {"name": "b"}]}),
            ),
            (
                "an item is deleted",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "$patch": "delete"}]}),
                json!({"containers": [{"name": "b"}]}),
            ),
            ("plain list is replaced", json!({"args": [1, 2]}), json!({"args": [3]}), json!({"args": [3]})),
            (
                "plain list is merged",
                json!({"finalizers": ["a"]}),
                json!({"finalizers": ["b"]}),
                json!({"finalizers": ["b", "a"]}),
            ),
            (
                "a new item comes first, and known ones in the order of the patch",
                json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
                json!({"containers": [{"name": "new"}, {"name": "c"}, {"name": "a", "image": "x"}]}),
                json!({"containers": [{"name": "new"}, {"name": "b"}, {"name": "c"}, {"name": "a", "image": "x"}]}),
            ),
            (
                "values are deleted",
                json!({"finalizers": ["a", "b"]}),
                json!({"$deleteFromPrimitiveList/finalizers": ["a"]}),
                json!({"finalizers": ["b"]}),
            ),
            (
                "object is replaced",
                json!({"s": {"a": 1}}),
                json!({"s": {"$patch": "replace", "b": 2}}),
                json!({"s": {"b": 2}}),
            ),
            (
                "keys are retained",
                json!({"s": {"a": 1, "b": 2}}),
                json!({"s": {"$retainKeys": ["b"], "b": 3}}),
                json!({"s": {"b": 3}}),
            ),
            (
                "order is set",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}], "containers": [{"name": "c"}]}),
                json!({"containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
            ),
        ];
        for (name, target, patch, want) in cases {
            assert_eq!(strategic_merge(target, &patch, &Containers).unwrap(), want, "{name}");
        }
        assert!(strategic_merge(json!({}), &json!({"containers": [{"image": "x"}]}), &Containers).is_err());
    }

    /// One by one it would be ten thousand million comparisons.
    #[test]
    fn long_lists_are_merged_in_time_that_grows_with_their_length() {
        let names = |from: u32| (from..from + 100_000).map(|n| json!({"name": n.to_string()}));
        let values = |from: u32| Value::from((from..from + 100_000).collect::<Vec<u32>>());
        let data: Map<String, Value> = (0..150_000).map(|n| (n.to_string(), Value::Null)).collect();
        let target =
            json!({"containers": names(0).collect::<Vec<_>>(), "finalizers": values(0), "data": data});
        let patch = json!({
            "containers": names(50_000).collect::<Vec<_>>(), "$setElementOrder/containers": names(0).rev().collect::<Vec<_>>(),
            "finalizers": values(50_000), "$deleteFromPrimitiveList/finalizers": values(100_000),
            "data": {"$retainKeys": (100_000..200_000).rev().map(|n| n.to_string()).collect::<Vec<_>>()},
        });
        let begun = std::time::Instant::now();
        let merged = strategic_merge(target, &patch, &Containers).unwrap();
        assert_eq!(merged["containers"].as_array().unwrap().len(), 150_000);
        assert_eq!(merged["containers"][0]["name"], "99999");
        assert_eq!(merged["data"].as_object().unwrap().len(), 50_000);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
