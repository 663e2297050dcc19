//! Kinds of CustomResourceDefinitions.

use super::protobuf::{only, pair_names};
use super::*;
use crate::definitions::{API_VERSION, KIND, LIST_METADATA, METADATA};

/// A kind of `stable.example.com/v1` with a status and a scale.
fn cron_tabs(spec: &Value) -> kinds::Registry {
    cron_tabs_of(&json!({"type": "object", "properties": {"spec": spec}}))
}

fn cron_tabs_of(schema: &Value) -> kinds::Registry {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com", "scope": "Namespaced", "names": {"kind": "CronTab", "plural": "crontabs"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema},
                "subresources": {
                    "status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
            }],
        },
    });
    let definition = serde_json::from_value(definition).unwrap();
    kinds::all().with(apiextensions::kinds_of(&definition).unwrap())
}

const ROOT: &str = "apis/stable.example.com/v1";
const OBJECT: &str = "/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}";

#[test]
fn a_document_of_a_custom_kind_is_whole() {
    let registry = cron_tabs(&json!({"type": "object", "description": "What is wanted."}));
    let document = json_of(Documents::of(&registry, None).version_3(ROOT).unwrap());
    let named = &document["paths"][OBJECT];
    assert_eq!(named["patch"]["x-kubernetes-group-version-kind"]["kind"], "CronTab");
    let formats = named["patch"]["requestBody"]["content"].as_object().unwrap();
    assert_eq!(formats.len(), 3, "{formats:?}");
    assert!(document["paths"][format!("{OBJECT}/status")]["put"].is_object());
    let scale = &document["paths"][format!("{OBJECT}/scale")]["get"];
    assert_eq!(scale["x-kubernetes-group-version-kind"]["group"], "autoscaling");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert_eq!(
        schemas["com.example.stable.v1.CronTab"]["properties"]["spec"]["description"],
        "What is wanted."
    );
    for (name, field, want) in [
        ("CronTab", "apiVersion", API_VERSION),
        ("CronTab", "kind", KIND),
        ("CronTab", "metadata", METADATA),
        ("CronTabList", "metadata", LIST_METADATA),
    ] {
        let properties = &schemas[&format!("com.example.stable.v1.{name}")]["properties"];
        assert_eq!(properties[field]["description"], want, "{name}.{field}");
    }
    assert_references(ROOT, &document, "#/components/schemas/", &document["components"]["schemas"]);
}

#[test]
fn custom_kinds_are_in_the_one_document_of_version_2() {
    let documents = Documents::of(
        &cron_tabs(
            &json!({"type": "object", "description": "What is wanted.", "required": ["cron", "when"], "properties": {
                "cron": {"type": "string", "pattern": "x", "default": "y"},
                "when": {"type": "object", "nullable": true, "properties": {"a": {"type": "string"}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {"type": "string"}}},
                "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            }}),
        ),
        None,
    );
    assert_ne!(documents.version_2().hash(), BUILT_IN.version_2().hash());
    let document = json_of(documents.version_2());
    let kind = &document["definitions"]["com.example.stable.v1.CronTab"];
    assert_eq!(
        kind["properties"]["spec"],
        json!({"type": "object", "description": "What is wanted.", "required": ["cron"], "properties": {
            "cron": {"type": "string", "pattern": "x"}, "when": {},
            "free": {"x-kubernetes-preserve-unknown-fields": true},
            "port": {"x-kubernetes-int-or-string": true},
        }})
    );
    assert_eq!(
        kind["properties"]["metadata"]["$ref"],
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    assert_eq!(kind["properties"]["metadata"]["description"], METADATA);
    let path = &document["paths"][OBJECT];
    let put = &path["put"];
    assert_eq!(put["parameters"][4]["schema"]["$ref"], "#/definitions/com.example.stable.v1.CronTab");
    assert_eq!(put["parameters"][4]["required"], true);
    assert_eq!(put["responses"]["200"]["schema"]["$ref"], "#/definitions/com.example.stable.v1.CronTab");
    assert_eq!(path["patch"]["consumes"].as_array().map(Vec::len), Some(3));
    assert_eq!(path["parameters"][0]["type"], "string");
    assert!(document["definitions"]["io.k8s.api.core.v1.Pod"].is_object());
    let protobuf = inflate(documents.version_2_protobuf().packed());
    assert!(pair_names(only(&protobuf, 9), 1).contains("com.example.stable.v1.CronTab"));
    assert!(!document.to_string().contains("#/components/"));
}

#[test]
fn version_2_names_no_field_of_a_kind_that_keeps_unknown_ones() {
    let properties = json!({"spec": {"type": "object"}, "status": {"type": "object"}});
    let schema =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": properties});
    let documents = Documents::of(&cron_tabs_of(&schema), None);
    let name = "com.example.stable.v1.CronTab";
    let kind = json!([{"group": "stable.example.com", "version": "v1", "kind": "CronTab"}]);
    let shown = &json_of(documents.version_2())["definitions"][name];
    assert_eq!(shown, &json!({"type": "object", "x-kubernetes-group-version-kind": kind}));
    let shown = &json_of(documents.version_3(ROOT).unwrap())["components"]["schemas"][name];
    assert_eq!(shown["x-kubernetes-preserve-unknown-fields"], true);
    assert!(shown["properties"]["metadata"].is_object(), "{shown}");
}

#[test]
fn what_a_definition_does_not_change_is_not_rendered_again() {
    let first = Documents::of(&kinds::all(), None);
    let registry = cron_tabs(&json!({"type": "object"}));
    let second = Documents::of(&registry, Some(&first));
    assert!(Arc::ptr_eq(first.version_3("api/v1").unwrap(), second.version_3("api/v1").unwrap()));
    assert!(!Arc::ptr_eq(first.version_2(), second.version_2()));
    let changed = cron_tabs(&json!({"type": "object", "description": "something else"}));
    let third = Documents::of(&changed, Some(&second));
    assert_ne!(third.version_3(ROOT).unwrap().hash(), second.version_3(ROOT).unwrap().hash());
    assert!(json_of(third.version_3(ROOT).unwrap()).to_string().contains("something else"));
    assert!(Documents::of(&kinds::all(), Some(&third)).version_3(ROOT).is_none());
}
