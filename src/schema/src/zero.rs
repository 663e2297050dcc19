//! What says nothing: `null` where there must be a value, in the place of which Go's decoder puts the zero of the type, and zeros, which
//! Go leaves out of what it writes.

use crate::table::Link;
use crate::{Schema, Type};
use serde_json::{Value, json};

/// Makes each `null` that is a map's value or a list's item the zero of its type, as `encoding/json` does: a
/// `map[string]string` and a `[]string` have nothing else for it. A field of `null` stays: it is as if it were not there.
pub fn zero_nulls(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (schema.properties.get(name), schema.additional.as_deref()) {
                    (Some(field), _) => zero_nulls(value, field),
                    (None, Some(of)) => zero_element(value, of),
                    (None, None) => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(of) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| zero_element(item, of));
            }
        }
        _ => {}
    }
}

fn zero_element(value: &mut Value, of: &Schema) {
    if !value.is_null() {
        zero_nulls(value, of);
    } else if let Some(zero) = zero_of(of) {
        *value = zero;
    }
}

/// `None` where null is a value: of what is raw. Go's zero of a time is written as null too.
pub(crate) fn zero_of(schema: &Schema) -> Option<Value> {
    let zero = match schema.kind {
        Type::String | Type::Bytes => json!(""),
        Type::Integer | Type::Int32 | Type::Number | Type::IntOrString => json!(0),
        Type::Boolean => json!(false),
        Type::Quantity => json!("0"),
        Type::Array => json!([]),
        Type::Object if !schema.preserve_unknown => json!({}),
        Type::Any | Type::Object | Type::Time | Type::MicroTime | Type::Duration => return None,
    };
    Some(zero)
}

/// Leaves out each field that Go leaves out when it writes the object: `hostNetwork: false`, `tolerations: []`. A list's items and a map's
/// values stay what they are, and so does what Go points to (`replicas: 0`).
pub fn drop_zeros(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            if let Some(link) = schema.properties.get(name) {
                drop_zeros(value, link);
                return !(link.omits_zero() && is_zero(value, link));
            }
            if let Some(of) = schema.additional.as_deref() {
                drop_zeros(value, of);
            }
            true
        }),
        Value::Array(items) => {
            if let Some(of) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| drop_zeros(item, of));
            }
        }
        _ => {}
    }
}

/// Times, amounts and what is either a number or a text are structs, which are never left out.
fn is_zero(value: &Value, of: &Link) -> bool {
    match (value, of.kind) {
        (Value::String(text), Type::String | Type::Bytes) => text.is_empty(),
        (Value::Bool(flag), Type::Boolean) => !flag,
        (Value::Number(number), Type::Integer | Type::Int32 | Type::Number) => number.as_f64() == Some(0.0),
        (Value::Array(items), Type::Array) => items.is_empty(),
        (Value::Object(fields), Type::Object) => of.additional.is_some() && fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check, table};

    #[test]
    fn a_null_in_a_map_or_a_list_is_the_zero_of_its_type() {
        let cases = [
            (
                "labels",
                "core.v1.ConfigMap",
                json!({"metadata": {"labels": {"a": null, "b": "c"}}}),
                json!({"metadata": {"labels": {"a": "", "b": "c"}}}),
            ),
            (
                "data",
                "core.v1.Secret",
                json!({"data": {"a": null}, "stringData": {"b": null}}),
                json!({"data": {"a": ""}, "stringData": {"b": ""}}),
            ),
            (
                "deep in a pod",
                "core.v1.Pod",
                json!({"spec": {"nodeSelector": {"a": null}, "securityContext": {"supplementalGroups": [null]}, "containers": [
                    {"args": [null, "a"], "resources": {"limits": {"cpu": null}}, "env": [null], "command": null}]}}),
                json!({"spec": {"nodeSelector": {"a": ""}, "securityContext": {"supplementalGroups": [0]}, "containers": [
                    {"args": ["", "a"], "resources": {"limits": {"cpu": "0"}}, "env": [{}], "command": null}]}}),
            ),
            (
                "lists in a map",
                "authorization.v1.SubjectAccessReview",
                json!({"spec": {"extra": {"a": null, "b": [null]}}}),
                json!({"spec": {"extra": {"a": [], "b": [""]}}}),
            ),
            (
                "a schema, whose values may be null",
                "apiextensions.v1.JSONSchemaProps",
                json!({"properties": {"a": null, "b": {"enum": [null], "default": null}}}),
                json!({"properties": {"a": {}, "b": {"enum": [null], "default": null}}}),
            ),
        ];
        for (name, kind, mut given, want) in cases {
            let schema = table::named(kind).unwrap();
            assert!(check(given.to_string().as_bytes(), schema).unwrap().nulls, "{name}");
            zero_nulls(&mut given, schema);
            assert_eq!(given, want, "{name}");
            assert!(!check(given.to_string().as_bytes(), schema).unwrap().nulls, "{name}: none are left");
        }
    }

    #[test]
    fn a_field_of_null_and_what_is_raw_stay() {
        let cases = [
            ("core.v1.Pod", json!({"metadata": null, "spec": {"nodeSelector": null, "containers": null}})),
            ("apps.v1.ControllerRevision", json!({"data": {"a": null, "b": [null]}})),
            ("core.v1.Pod", json!({"spec": {"unknown": {"a": null}, "more": [null]}})),
        ];
        for (kind, mut given) in cases {
            let (schema, before) = (table::named(kind).unwrap(), given.clone());
            assert!(!check(given.to_string().as_bytes(), schema).unwrap().nulls, "{before}");
            zero_nulls(&mut given, schema);
            assert_eq!(given, before);
        }
    }

    #[test]
    fn what_go_leaves_out_is_left_out() {
        for (name, given, want) in [
            (
                "core.v1.Pod",
                json!({"metadata": {"labels": {}, "annotations": {"a": ""}, "finalizers": []}, "spec": {
                    "hostNetwork": false, "nodeName": "", "tolerations": [], "nodeSelector": {}, "priority": 0, "securityContext": {},
                    "volumes": [{"name": "v", "emptyDir": {}}], "automountServiceAccountToken": false,
                    "containers": [{"name": "", "args": ["", "a"], "env": [{"name": "A", "value": ""}], "tty": false,
                        "ports": [{"containerPort": 0, "hostPort": 0}], "resources": {"limits": {"cpu": "0"}, "requests": {}},
                        "readinessProbe": {"initialDelaySeconds": 0, "httpGet": {"port": 0, "path": ""}}}]}}),
                json!({"metadata": {"annotations": {"a": ""}}, "spec": {
                    "priority": 0, "securityContext": {},
                    "volumes": [{"name": "v", "emptyDir": {}}], "automountServiceAccountToken": false,
                    "containers": [{"name": "", "args": ["", "a"], "env": [{"name": "A"}],
                        "ports": [{"containerPort": 0}], "resources": {"limits": {"cpu": "0"}},
                        "readinessProbe": {"httpGet": {"port": 0}}}]}}),
            ),
            (
                "apps.v1.Deployment",
                json!({"spec": {"replicas": 0, "paused": false, "minReadySeconds": 0, "selector": {"matchLabels": {}},
                    "strategy": {"rollingUpdate": {"maxSurge": 0}}}}),
                json!({"spec": {"replicas": 0, "selector": {}, "strategy": {"rollingUpdate": {"maxSurge": 0}}}}),
            ),
            (
                "core.v1.PersistentVolumeClaim",
                json!({"spec": {"storageClassName": "", "volumeName": ""}}),
                json!({"spec": {"storageClassName": ""}}),
            ),
            ("core.v1.Secret", json!({"data": {"a": ""}, "stringData": {}}), json!({"data": {"a": ""}})),
            ("rbac.v1.Role", json!({"rules": []}), json!({"rules": []})),
            (
                "apiextensions.v1.JSONSchemaProps",
                json!({"minimum": 0, "nullable": false, "properties": {"a": {"default": "", "enum": []}}, "required": []}),
                json!({"minimum": 0, "properties": {"a": {"default": ""}}}),
            ),
            (
                "apps.v1.ControllerRevision",
                json!({"data": {"a": [], "b": 0}}),
                json!({"data": {"a": [], "b": 0}}),
            ),
            (
                "core.v1.Pod",
                json!({"spec": {"unknown": {"a": []}, "more": 0}}),
                json!({"spec": {"unknown": {"a": []}, "more": 0}}),
            ),
        ] {
            let schema = table::named(name).unwrap();
            let mut left = given.clone();
            drop_zeros(&mut left, schema);
            assert_eq!(left, want, "{name}");
            assert_eq!(check(given.to_string().as_bytes(), schema).unwrap().zeros, given != want, "{name}");
            assert!(!check(want.to_string().as_bytes(), schema).unwrap().zeros, "{name}: none are left");
        }
    }
}
