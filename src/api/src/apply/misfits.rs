//! What of an applied configuration does not fit its kind: fields that there are not, items of null.

use super::parts::element_of;
use super::{ListType, Structure};
use serde_json::Value;

/// `.spec.containers[name="web"].imag: field not declared in schema`; of each object the first, for there upstream's typed walk
/// (structured-merge-diff, `visitMapItems`) leaves it. An item of null has no owner where each item has: `.spec.containers: element
/// 0: associative list with keys may not have a null element`.
pub fn misfits(value: &Value, structure: &dyn Structure) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, &mut Vec::new(), "", structure, &mut found);
    found
}

fn walk<'v>(
    value: &'v Value,
    path: &mut Vec<&'v str>,
    shown: &str,
    structure: &dyn Structure,
    found: &mut Vec<String>,
) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let here = format!("{shown}.{name}");
                path.push(name);
                let is_declared = structure.declares(path);
                if is_declared {
                    walk(value, path, &here, structure, found);
                }
                path.pop();
                if !is_declared {
                    found.push(format!("{here}: field not declared in schema"));
                    return;
                }
            }
        }
        Value::Array(items) => {
            let list = structure.list(path);
            for (index, item) in items.iter().enumerate() {
                if let (Value::Null, Some(why)) = (item, refuses_null(&list)) {
                    found.push(format!("{shown}: element {index}: {why}"));
                    return;
                }
                let element = match list {
                    ListType::Atomic => None,
                    // an item without its key is refused elsewhere
                    _ => element_of(item, &list, path, structure).ok(),
                };
                let element = element.map_or_else(|| format!("[{index}]"), |element| element.to_string());
                walk(item, path, &format!("{shown}{element}"), structure, found);
            }
        }
        _ => {}
    }
}

fn refuses_null(list: &ListType) -> Option<&'static str> {
    match list {
        ListType::Atomic => None,
        ListType::Set => Some("associative list without keys has an element that's an explicit null"),
        ListType::Map(_) => Some("associative list with keys may not have a null element"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sample;
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_that_a_kind_does_not_have_are_named() {
        for (name, value, want) in [
            ("none", json!({"spec": {"env": [{"name": "a"}]}}), &[][..]),
            ("at the root", json!({"other": 1}), &[".other"]),
            ("below it nothing is known", json!({"other": {"undeclared": 1}}), &[".other"]),
            ("the first of an object", json!({"a": {"other": 1, "undeclared": 1}}), &[".a.other"]),
            ("of an item", json!({"env": [{"name": "a", "other": 1}]}), &[".env[name=\"a\"].other"]),
            ("of an item of an atomic list", json!({"args": [1, {"other": 1}]}), &[".args[1].other"]),
            (
                "of several objects",
                json!({"env": [{"name": "a", "other": 1}, {"name": "b", "other": 1}], "spec": {"other": 1}}),
                &[".env[name=\"a\"].other", ".env[name=\"b\"].other", ".spec.other"],
            ),
        ] {
            let want: Vec<String> =
                want.iter().map(|path| format!("{path}: field not declared in schema")).collect();
            assert_eq!(misfits(&value, &Sample), want, "{name}");
        }
    }

    #[test]
    fn an_item_that_has_an_owner_is_not_null() {
        for (name, value, want) in [
            ("a field", json!({"env": null}), &[][..]),
            ("an item of an atomic list", json!({"args": [null]}), &[]),
            (
                "an item with a key",
                json!({"env": [{"name": "a"}, null, null]}),
                &[".env: element 1: associative list with keys may not have a null element"],
            ),
            (
                "an item of a set",
                json!({"metadata": {"finalizers": [null]}}),
                &[
                    ".metadata.finalizers: element 0: associative list without keys has an element that's an explicit null",
                ],
            ),
        ] {
            assert_eq!(misfits(&value, &Sample), want, "{name}");
        }
    }
}
