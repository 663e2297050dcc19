//! Fields that a kind does not have, in what somebody applies.

use super::compare::element_of;
use super::{ListType, Structure};
use serde_json::Value;

/// `.spec.containers[name="web"].imag: field not declared in schema`; of each object the first, for there upstream's typed walk
/// (structured-merge-diff, `visitMapItems`) leaves it.
pub fn undeclared(value: &Value, structure: &dyn Structure) -> Vec<String> {
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
            assert_eq!(undeclared(&value, &Sample), want, "{name}");
        }
    }
}
