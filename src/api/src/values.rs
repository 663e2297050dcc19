//! How many values an object has: each of them is some hundred bytes of memory where the object is decoded, whatever its text is long.

use crate::{Reason, Status};
use serde_json::Value;

/// Values in one body: the definition of a custom resource of a megabyte, the richest object that people have, is below. A volume
/// takes two values of twelve bytes together, and 3.3 kB in memory, twice while its list grows.
pub const MOST_VALUES: usize = 100_000;
/// What may become of a body, and of those that change the object later: defaults come to it, and what the cluster writes down.
const MOST_STORED: usize = MOST_VALUES * 3 / 2;

/// Those of an object without its managed fields, which its size bounds.
pub fn count(object: &Value) -> usize {
    let all = count_all(object);
    all - object.pointer("/metadata/managedFields").map_or(0, count_all)
}

fn count_all(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count_all).sum::<usize>(),
        Value::Object(fields) => fields.values().map(count_all).sum::<usize>(),
        _ => 0,
    }
}

/// Many small changes make no object that no body could bring. One that has too many already may be made smaller.
///
/// # Errors
/// `RequestEntityTooLarge` for what has become larger than that.
pub fn check_growth(before: usize, changed: &Value) -> Result<(), Status> {
    let after = count(changed);
    match after > MOST_STORED && after > before {
        true => {
            let why = format!("Request entity too large: limit is {MOST_STORED} values of an object");
            Err(Status::new(Reason::RequestEntityTooLarge, why))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_counted_without_managed_fields() {
        for (name, object, want) in [
            ("plain", json!(1), 1),
            ("empty", json!({}), 1),
            ("nested", json!({"a": [1, 2, {"b": null}]}), 6),
            ("managed", json!({"metadata": {"name": "a", "managedFields": [{"f:a": {}}]}}), 3),
        ] {
            assert_eq!(count(&object), want, "{name}");
        }
    }

    #[test]
    fn an_object_grows_to_a_bound_and_may_always_shrink() {
        let of = |values: usize| Value::from(vec![0; values - 1]);
        for (name, before, after, fits) in [
            ("small", 1, 2, true),
            ("to the bound", 1, MOST_STORED, true),
            ("beyond", MOST_STORED, MOST_STORED + 1, false),
            ("one that was larger stays", MOST_STORED + 2, MOST_STORED + 2, true),
            ("one that was larger shrinks", MOST_STORED + 2, MOST_STORED + 1, true),
            ("one that was larger grows", MOST_STORED + 1, MOST_STORED + 2, false),
        ] {
            assert_eq!(check_growth(before, &of(after)).is_ok(), fits, "{name}");
        }
        let refused = check_growth(1, &of(MOST_STORED + 1)).unwrap_err();
        assert_eq!((refused.code, refused.reason), (413, Reason::RequestEntityTooLarge));
    }
}
