//! What an embedded object needs beside what its schema asks for: upstream's `validateEmbeddedResource`, without the forms of names.

use crate::ErrorList;
use serde_json::{Map, Value};

/// Of its metadata, what is a map of texts, and what is a text.
const MAPS: [&str; 2] = ["labels", "annotations"];
const TEXTS: [&str; 4] = ["name", "generateName", "namespace", "uid"];

/// `path` is the object's own.
pub(crate) fn validate(object: &Map<String, Value>, path: &str, errors: &mut ErrorList) {
    for field in ["apiVersion", "kind"] {
        let at = format!("{path}.{field}");
        match object.get(field) {
            None => errors.required(at, ""),
            Some(Value::String(text)) if text.is_empty() => errors.required(at, ""),
            Some(Value::String(text)) if field == "apiVersion" && text.matches('/').count() > 1 => {
                errors.invalid(at, text.as_str(), format_args!("unexpected GroupVersion string: {text}"));
            }
            Some(Value::String(_)) => {}
            Some(other) => errors.invalid(at, other.clone(), "must be a string"),
        }
    }
    match object.get("metadata") {
        Some(Value::Object(metadata)) => validate_metadata(metadata, path, errors),
        None | Some(Value::Null) => {}
        Some(other) => errors.invalid(format!("{path}.metadata"), other.clone(), "must be an object"),
    }
}

fn validate_metadata(metadata: &Map<String, Value>, path: &str, errors: &mut ErrorList) {
    let is_text = |value: &Value| value.is_string() || value.is_null();
    for field in TEXTS {
        if let Some(other) = metadata.get(field).filter(|value| !is_text(value)) {
            errors.invalid(format!("{path}.metadata.{field}"), other.clone(), "must be a string");
        }
    }
    for field in MAPS {
        let at = format!("{path}.metadata.{field}");
        match metadata.get(field) {
            Some(Value::Object(all)) => {
                for (key, other) in all.iter().filter(|(_, value)| !is_text(value)) {
                    errors.invalid(format!("{at}.{key}"), other.clone(), "must be a string");
                }
            }
            None | Some(Value::Null) => {}
            Some(other) => errors.invalid(at, other.clone(), "must be an object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Schema, from_openapi, validate as judge, validate_update};
    use serde_json::json;

    fn schema() -> Schema {
        let pod = json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
        let fields = json!({"pod": pod, "pods": {"type": "array", "items": pod}});
        let spec = json!({"type": "object", "properties": fields});
        from_openapi(&json!({"type": "object", "properties": {"spec": spec}}), "schema").unwrap()
    }

    fn told(errors: ErrorList) -> Vec<String> {
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn an_embedded_object_has_a_kind_and_metadata_as_any_object() {
        let good = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "creationTimestamp": null, "labels": {"a": "b"}, "annotations": null}});
        let labels = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 5, "labels": {"a": 5}, "annotations": []}});
        for (name, spec, want) in [
            ("whole", json!({"pod": good, "pods": [good]}), vec![]),
            (
                "nothing",
                json!({"pod": {}}),
                vec!["spec.pod.apiVersion: Required value", "spec.pod.kind: Required value"],
            ),
            (
                "in a list",
                json!({"pods": [good, {"apiVersion": "a/b/c", "kind": 5}]}),
                vec![
                    "spec.pods[1].apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
                    "spec.pods[1].kind: Invalid value: 5: must be a string",
                ],
            ),
            (
                "metadata of other types",
                json!({"pod": labels}),
                vec![
                    "spec.pod.metadata.name: Invalid value: 5: must be a string",
                    "spec.pod.metadata.labels.a: Invalid value: 5: must be a string",
                    "spec.pod.metadata.annotations: Invalid value: []: must be an object",
                ],
            ),
        ] {
            let mut errors = ErrorList::default();
            judge(&json!({"spec": spec}), &schema(), &mut errors);
            assert_eq!(told(errors), want, "{name}");
        }
        let (bad, mut errors) = (json!({"spec": {"pod": {}}}), ErrorList::default());
        validate_update(&bad, &bad, &schema(), &mut errors);
        assert!(errors.is_empty(), "what was stored before stays");
    }
}
