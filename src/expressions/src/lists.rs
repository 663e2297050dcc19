//! Functions that make a list of a list, and that count: cel-go's library of lists in its third version (`ext/lists.go`), as
//! Kubernetes has it since 1.34, and what makes optionals of a list or takes them out of one. The library's own say other words,
//! and do not ask whether items can be compared.

use crate::outcome::Fault;
use crate::stack::enough;
use crate::values::{as_optional, optional, weight};
use kube_cel::cel::Value;
use std::cmp::Ordering;
use std::mem::discriminant;
use std::sync::Arc;

/// cel-go's `maxRangeSize`.
const LONGEST_RANGE: i64 = 10_000_000;

/// Whether the library has it not.
pub(crate) fn is_own(prefix: Option<&str>, name: &str, is_method: bool) -> bool {
    match prefix {
        Some(prefix) => prefix == "optional" && name == "unwrap",
        None => is_method && matches!(name, "first" | "last" | "unwrapOpt"),
    }
}

/// The target is the first of the arguments. `None` where it is no function of these, or not of such arguments.
pub(crate) fn call(function: &str, arguments: &[Value]) -> Option<Result<Value, Fault>> {
    let list_of = |items: Vec<Value>| Value::List(Arc::new(items));
    Some(match (function, arguments) {
        ("slice", [Value::List(items), Value::Int(start), Value::Int(end)]) => {
            slice(items, *start, *end).map(list_of)
        }
        ("flatten", [Value::List(items)]) => Ok(list_of(flat(items, 1))),
        ("flatten", [Value::List(items), Value::Int(depth)]) => match u64::try_from(*depth) {
            Ok(depth) => Ok(list_of(flat(items, depth))),
            Err(_) => fault("level must be non-negative".to_owned()),
        },
        ("distinct", [Value::List(items)]) => Ok(list_of(distinct(items))),
        ("reverse", [Value::List(items)]) => Ok(list_of(items.iter().rev().cloned().collect())),
        ("sort", [Value::List(items)]) => sorted(items, items),
        ("range", [Value::Int(count)]) => match *count {
            count if count < 0 => fault(format!("lists.range: size must be non-negative, got {count}")),
            count if count > LONGEST_RANGE => {
                fault(format!("lists.range: size {count} exceeds maximum allowed ({LONGEST_RANGE})"))
            }
            count => Ok(list_of((0..count).map(Value::Int).collect())),
        },
        ("first", [Value::List(items)]) => Ok(optional(items.first().cloned())),
        ("last", [Value::List(items)]) => Ok(optional(items.last().cloned())),
        ("unwrap" | "unwrapOpt", [Value::List(items)]) => unwrapped(items).map(list_of),
        _ => return None,
    })
}

/// What a call costs beside looking at its arguments, in steps: upstream's price, and more where the items are large ones.
/// `most` bounds the work of telling it.
pub(crate) fn extra_cost(function: &str, arguments: &[Value], most: u64) -> u64 {
    match (function, arguments) {
        ("sort", [Value::List(items)]) => compared_with_itself(items),
        ("distinct", [list @ Value::List(items)]) => {
            let is_nested =
                items.iter().any(|item| matches!(item, Value::List(_) | Value::Map(_) | Value::Opaque(_)));
            let looked_at = if is_nested { weight(list, most).saturating_mul(items.len() as u64) } else { 0 };
            compared_with_itself(items).saturating_add(looked_at)
        }
        ("range", [Value::Int(count)]) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}

/// Each with each, there and back.
pub(crate) fn compared_with_itself(items: &[Value]) -> u64 {
    let count = items.len() as u64;
    count.saturating_mul(count).saturating_mul(2)
}

/// The items in the order of their keys; those with the same key stay as they are.
///
/// # Errors
/// Keys that can not be compared, or not with one another.
pub(crate) fn sorted(items: &Arc<Vec<Value>>, keys: &[Value]) -> Result<Value, Fault> {
    if items.len() != keys.len() {
        return fault(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and {} elements \
             respectively",
            items.len(),
            keys.len()
        ));
    }
    let Some(first) = keys.first() else { return Ok(Value::List(items.clone())) };
    if !is_comparable(first) {
        return fault("list elements must be comparable".to_owned());
    }
    if keys.iter().any(|key| discriminant(key) != discriminant(first)) {
        return fault("list elements must have the same type".to_owned());
    }
    let mut pairs: Vec<(&Value, &Value)> = keys.iter().zip(items.iter()).collect();
    pairs.sort_by(|(one, _), (other, _)| order(one, other));
    Ok(Value::List(Arc::new(pairs.into_iter().map(|(_, item)| item.clone()).collect())))
}

fn is_comparable(key: &Value) -> bool {
    matches!(
        key,
        Value::Int(_)
            | Value::UInt(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Duration(_)
            | Value::Timestamp(_)
            | Value::String(_)
            | Value::Bytes(_)
    )
}

/// Of two of the same type, whole also where one is no number.
fn order(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => one.total_cmp(other),
        (Value::Bytes(one), Value::Bytes(other)) => one.cmp(other),
        _ => one.partial_cmp(other).unwrap_or(Ordering::Equal),
    }
}

fn slice(items: &[Value], start: i64, end: i64) -> Result<Vec<Value>, Fault> {
    let why = match (usize::try_from(start), usize::try_from(end)) {
        (Ok(from), Ok(to)) => match items.get(from..to) {
            Some(part) => return Ok(part.to_vec()),
            None if from > to => "start index must be less than or equal to end index".to_owned(),
            None => format!("list is length {}", items.len()),
        },
        _ => "negative indexes not supported".to_owned(),
    };
    fault(format!("cannot slice({start}, {end}), {why}"))
}

fn flat(items: &[Value], depth: u64) -> Vec<Value> {
    let mut all = Vec::with_capacity(items.len());
    flatten(items, depth, &mut all);
    all
}

/// Goes down with the value, which a policy's named expressions can make deep.
fn flatten(items: &[Value], depth: u64, all: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::List(below) if depth > 0 => enough(|| flatten(below, depth - 1, all)),
            other => all.push(other.clone()),
        }
    }
}

fn distinct(items: &[Value]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for item in items {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
    all
}

/// What those hold that hold something.
fn unwrapped(items: &[Value]) -> Result<Vec<Value>, Fault> {
    let mut all = Vec::new();
    for item in items {
        match as_optional(item) {
            Some(inner) => all.extend(inner),
            None => return fault("no such overload".to_owned()),
        }
    }
    Ok(all)
}

fn fault<T>(why: String) -> Result<T, Fault> {
    Err(Fault::Error(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: impl IntoIterator<Item = i64>) -> Value {
        Value::List(Arc::new(items.into_iter().map(Value::Int).collect()))
    }

    #[test]
    fn items_are_sorted_by_their_keys() {
        let items = Arc::new(["a", "b", "c"].map(|text| Value::String(Arc::new(text.to_owned()))).to_vec());
        let texts = |order: [usize; 3]| Ok(Value::List(Arc::new(order.map(|at| items[at].clone()).to_vec())));
        let float = Value::Float;
        let refused = |why: &str| Err(Fault::Error(why.to_owned()));
        let cases = [
            ("numbers", vec![Value::Int(3), Value::Int(1), Value::Int(2)], texts([1, 2, 0])),
            ("truths", vec![Value::Bool(true), Value::Bool(false), Value::Bool(true)], texts([1, 0, 2])),
            (
                "bytes",
                [b"b", b"a", b"c"].map(|of| Value::Bytes(Arc::new(of.to_vec()))).to_vec(),
                texts([1, 0, 2]),
            ),
            ("no number", vec![float(f64::NAN), float(1.0), float(-1.0)], texts([2, 1, 0])),
            ("alike", vec![Value::UInt(1), Value::UInt(1), Value::UInt(0)], texts([2, 0, 1])),
            (
                "of two types",
                vec![Value::Int(1), Value::UInt(1), Value::Int(0)],
                refused("list elements must have the same type"),
            ),
            ("lists", vec![list([]), list([]), list([])], refused("list elements must be comparable")),
            (
                "too few",
                vec![Value::Int(1)],
                refused(
                    "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got 3 and 1 \
                     elements respectively",
                ),
            ),
        ];
        for (name, keys, want) in cases {
            assert_eq!(sorted(&items, &keys), want, "{name}");
        }
    }
}
