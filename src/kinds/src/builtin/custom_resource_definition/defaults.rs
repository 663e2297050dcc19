//! The defaults of a definition's schema: each must be what its own schema allows, or nothing could be created.

use crate::ErrorList;
use schema::Schema;
use serde_json::Value;

/// `at` is the schema's own path in the definition. Values of a map take no defaults, and are not looked at.
pub(super) fn validate(schema: &Schema, at: &str, errors: &mut ErrorList) {
    if !schema.has_defaults() {
        return;
    }
    if let Some(default) = schema.default.as_deref().filter(|default| !default.is_null()) {
        one(default, schema, &format!("{at}.default"), errors);
    }
    for (name, below) in &schema.properties {
        validate(below, &format!("{at}.properties[{name}]"), errors);
    }
    if let Some(below) = &schema.items {
        validate(below, &format!("{at}.items"), errors);
    }
}

fn one(default: &Value, schema: &Schema, at: &str, errors: &mut ErrorList) {
    let mut found = ErrorList::default();
    schema::validate_default(default, schema, at, &mut found);
    if found.is_empty() && schema.has_rules() {
        let (rules, _) = expressions::Rules::compile(schema, at);
        // as one that stays, for rules that speak of what was, and as one that is new
        rules.validate_part(default, Some(default), schema, at, &mut found);
        if found.is_empty() {
            rules.validate_part(default, None, schema, at, &mut found);
        }
    }
    errors.append(found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_default_is_what_its_schema_allows() {
        let rule = |rule: &str| json!([{"rule": rule, "message": "not so"}]);
        let cases = [
            ("right", json!({"type": "integer", "default": 3}), vec![]),
            (
                "of another type",
                json!({"type": "integer", "default": "three"}),
                vec![
                    "at.properties[x].default: Invalid value: \"string\": at.properties[x].default in body must be of type integer: \"string\"",
                ],
            ),
            (
                "out of bounds",
                json!({"type": "integer", "maximum": 2, "default": 3}),
                vec![
                    "at.properties[x].default: Invalid value: 3: at.properties[x].default in body should be less than or equal to 2",
                ],
            ),
            (
                "what would be pruned",
                json!({"type": "object", "properties": {"a": {"type": "string"}}, "default": {"b": "c"}}),
                vec!["at.properties[x].default: Invalid value: {\"b\":\"c\"}: must not have unknown fields"],
            ),
            (
                "what its part lacks",
                json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "default": {}}),
                vec!["at.properties[x].default.a: Required value"],
            ),
            (
                "of items",
                json!({"type": "array", "items": {"type": "string", "default": 1}}),
                vec![
                    "at.properties[x].items.default: Invalid value: \"integer\": at.properties[x].items.default in body must be of type string: \"integer\"",
                ],
            ),
            (
                "against a rule",
                json!({"type": "integer", "default": 3, "x-kubernetes-validations": rule("self < 3")}),
                vec!["at.properties[x].default: Invalid value: \"integer\": not so"],
            ),
            (
                "against a rule below",
                json!({"type": "object", "default": {"a": 3}, "properties": {
                    "a": {"type": "integer", "x-kubernetes-validations": rule("self < 3")}}}),
                vec!["at.properties[x].default.a: Invalid value: \"integer\": not so"],
            ),
            (
                "with a rule that holds",
                json!({"type": "integer", "default": 3, "x-kubernetes-validations": rule("self >= oldSelf")}),
                vec![],
            ),
        ];
        for (name, field, want) in cases {
            let whole = json!({"type": "object", "properties": {"x": field}});
            let schema = schema::from_openapi(&whole, "at").expect(name);
            let mut errors = ErrorList::default();
            validate(&schema, "at", &mut errors);
            let told: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(told, want, "{name}");
        }
    }
}
