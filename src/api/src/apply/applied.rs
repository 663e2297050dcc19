//! The fields that a configuration says: what its applier has.

use super::Structure;
use super::element::Element;
use super::fields::Fields;
use super::parts::{Item, Parts};
use serde_json::Value;

/// As upstream's `ToFieldSet` finds them: values, items of lists, keys of maps, and what is empty. An object whose kind has its fields
/// counts by what is in it, and a list by its items.
///
/// # Errors
/// Two items with one key, and items without one.
pub(super) fn fields_of<'v>(
    value: &'v Value,
    path: &mut Vec<&'v str>,
    structure: &dyn Structure,
) -> Result<Fields, String> {
    let mut fields = Fields::default();
    match Parts::of(value, path, structure)? {
        Parts::Whole => fields.member = true,
        Parts::Empty => fields.member = !value.is_array(),
        Parts::Named(named) => {
            for (name, value) in named {
                path.push(name);
                let mut below = fields_of(value, path, structure)?;
                below.member |= !structure.is_field(path);
                path.pop();
                fields.put(Element::Field(name.clone()), below);
            }
        }
        Parts::Items(items) => {
            for (element, item) in items {
                let Item::One(item) = item else {
                    return Err(format!(".{}: duplicate entries for key {element}", path.join(".")));
                };
                let below = fields_of(item, path, structure)?;
                fields.children.insert(element, Fields { member: true, ..below });
            }
        }
    }
    Ok(fields)
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
            ("no items are nobody's", json!({"a": 1, "env": []}), json!({"f:a": {}})),
            (
                "an object counts by its fields",
                json!({"a": {"b": {"c": 1}}}),
                json!({"f:a": {"f:b": {"f:c": {}}}}),
            ),
            (
                "a key of a map counts itself",
                json!({"free": {"b": {"c": 1}}}),
                json!({"f:free": {"f:b": {".": {}, "f:c": {}}}}),
            ),
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
}
