//! Definitions to be judged, and what is said of them.

use crate::ErrorList;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

/// A definition of things, of which this is the schema.
pub(super) fn definition_with(schema: Value) -> CustomResourceDefinition {
    serde_json::from_value(json!({
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}}))
    .unwrap()
}

/// Fields and messages.
pub(super) fn told_by(validate: impl FnOnce(&mut ErrorList)) -> Vec<String> {
    let mut errors = ErrorList::default();
    validate(&mut errors);
    errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}
