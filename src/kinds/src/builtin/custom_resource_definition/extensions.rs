//! What Kubernetes' extensions of a schema may say together: what tells the items of a list apart each of them has (upstream's
//! `validateMapListKeysMapSet`), what is told apart as a whole is changed as a whole, and a number or a text is nothing else beside.

use crate::ErrorList;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// A definition that was stored with such a schema can be changed all the same.
pub(super) fn validate(
    definition: &CustomResourceDefinition,
    old: Option<&CustomResourceDefinition>,
    errors: &mut ErrorList,
) {
    let before = old.map(found).unwrap_or_default();
    if before.is_empty() {
        errors.append(found(definition));
    }
}

fn found(definition: &CustomResourceDefinition) -> ErrorList {
    let mut errors = ErrorList::default();
    for (index, version) in definition.spec.versions.iter().enumerate() {
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        if let Some(schema) = schema {
            node(schema, &format!("spec.versions[{index}].schema.openAPIV3Schema"), &mut errors);
        }
    }
    errors
}

fn node(schema: &JSONSchemaProps, at: &str, errors: &mut ErrorList) {
    together(schema, at, errors);
    for (name, field) in schema.properties.iter().flatten() {
        node(field, &format!("{at}.properties[{name}]"), errors);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(of)) = &schema.additional_properties {
        node(of, &format!("{at}.additionalProperties"), errors);
    }
    let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else { return };
    node(items, &format!("{at}.items"), errors);
    let kind = schema.x_kubernetes_list_type.as_deref().unwrap_or_default();
    if !matches!(kind, "map" | "set") {
        return;
    }
    if items.nullable == Some(true) {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {kind}");
        errors.forbidden(format!("{at}.items.nullable"), why);
    }
    if kind == "set" {
        is_atomic(items, &format!("{at}.items"), errors);
    }
    let keys = schema.x_kubernetes_list_map_keys.iter().flatten().filter(|_| kind == "map");
    for key in keys {
        // that it is a field of the items is seen to elsewhere
        let Some(field) = items.properties.as_ref().and_then(|fields| fields.get(key)) else { continue };
        let is_required = items.required.iter().flatten().any(|required| required == key);
        if !is_required && field.default.is_none() {
            errors.required(
                format!("{at}.items.properties[{key}].default"),
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            );
        }
        if field.nullable == Some(true) {
            errors.forbidden(
                format!("{at}.items.properties[{key}].nullable"),
                "this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
            );
        }
    }
}

fn together(schema: &JSONSchemaProps, at: &str, errors: &mut ErrorList) {
    if schema.x_kubernetes_int_or_string == Some(true) {
        let why = "must be false if x-kubernetes-int-or-string is true";
        for (field, given) in [
            ("x-kubernetes-preserve-unknown-fields", schema.x_kubernetes_preserve_unknown_fields),
            ("x-kubernetes-embedded-resource", schema.x_kubernetes_embedded_resource),
        ] {
            if given == Some(true) {
                errors.invalid(format!("{at}.{field}"), true, why);
            }
        }
    }
    let Some(map_type) = schema.x_kubernetes_map_type.as_deref() else { return };
    let why = "must be object if x-kubernetes-map-type is specified";
    match schema.type_.as_deref() {
        Some("object") => {}
        None | Some("") => errors.required(format!("{at}.type"), why),
        Some(other) => errors.invalid(format!("{at}.type"), other, why),
    }
    if !matches!(map_type, "atomic" | "granular") {
        errors.not_supported(format!("{at}.x-kubernetes-map-type"), map_type, &["atomic", "granular"]);
    }
}

fn is_atomic(item: &JSONSchemaProps, at: &str, errors: &mut ErrorList) {
    let (field, given, is_atomic) = match item.type_.as_deref() {
        Some("object") => {
            let given = item.x_kubernetes_map_type.as_deref();
            ("x-kubernetes-map-type", given, given == Some("atomic"))
        }
        Some("array") => {
            let given = item.x_kubernetes_list_type.as_deref();
            ("x-kubernetes-list-type", given, given.is_none_or(|given| given == "atomic"))
        }
        _ => return,
    };
    if !is_atomic {
        let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
        // Go shows what is not said so, as a text
        errors.invalid(format!("{at}.{field}"), given.unwrap_or("null"), why);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{definition_with, told_by};
    use super::*;
    use serde_json::{Value, json};

    fn with(list: Value) -> CustomResourceDefinition {
        let fields = json!({"spec": {"type": "object", "properties": {"l": list}}});
        definition_with(json!({"type": "object", "properties": fields}))
    }

    fn list(key: Value, required: Value) -> Value {
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
               "items": {"type": "object", "required": required, "properties": {"k": key}}})
    }

    fn told(new: &CustomResourceDefinition, old: Option<&CustomResourceDefinition>) -> Vec<String> {
        told_by(|errors| validate(new, old, errors))
    }

    #[test]
    fn extensions_that_say_different_things_are_refused() {
        let at = "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[l]";
        let either = "must be false if x-kubernetes-int-or-string is true";
        let whole = "must be object if x-kubernetes-map-type is specified";
        for (name, given, want) in [
            ("a number or a text", json!({"x-kubernetes-int-or-string": true}), vec![]),
            (
                "or anything",
                json!({"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true}),
                vec![format!("{at}.x-kubernetes-preserve-unknown-fields: Invalid value: true: {either}")],
            ),
            ("a whole map", json!({"type": "object", "x-kubernetes-map-type": "atomic"}), vec![]),
            (
                "a list that is a map",
                json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-map-type": "atomic"}),
                vec![format!("{at}.type: Invalid value: \"array\": {whole}")],
            ),
            (
                "a map of an unknown sort",
                json!({"type": "object", "x-kubernetes-map-type": "whole"}),
                vec![format!(
                    "{at}.x-kubernetes-map-type: Unsupported value: \"whole\": supported values: \"atomic\", \"granular\""
                )],
            ),
        ] {
            assert_eq!(told(&with(given), None), want, "{name}");
        }
    }

    #[test]
    fn every_item_has_what_tells_it_apart() {
        let at = "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[l].items";
        let missing = format!(
            "{at}.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a \
             default or be a required property"
        );
        let text = || json!({"type": "string"});
        let set = |items: Value| json!({"type": "array", "x-kubernetes-list-type": "set", "items": items});
        let map_type = format!(
            "{at}.x-kubernetes-map-type: Invalid value: \"null\": must be atomic as item of a list with x-kubernetes-list-type=set"
        );
        for (name, given, want) in [
            ("required", list(text(), json!(["k"])), vec![]),
            ("with a default", list(json!({"type": "string", "default": "TCP"}), json!([])), vec![]),
            ("neither", list(text(), json!([])), vec![missing.clone()]),
            (
                "null",
                list(json!({"type": "string", "nullable": true}), json!(["k"])),
                vec![format!(
                    "{at}.properties[k].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be \
                     nullable"
                )],
            ),
            (
                "a set of what may be null",
                set(json!({"type": "string", "nullable": true})),
                vec![format!(
                    "{at}.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set"
                )],
            ),
            ("a set of objects", set(json!({"type": "object"})), vec![map_type]),
            (
                "a set of whole objects",
                set(json!({"type": "object", "x-kubernetes-map-type": "atomic"})),
                vec![],
            ),
            ("a set of lists", set(json!({"type": "array", "items": text()})), vec![]),
        ] {
            assert_eq!(told(&with(given), None), want, "{name}");
        }
        let (bad, good) = (with(list(text(), json!([]))), with(list(text(), json!(["k"]))));
        assert_eq!(told(&bad, Some(&good)), [missing]);
        assert_eq!(told(&bad, Some(&bad)), [""; 0], "one that was stored can be changed");
    }
}
