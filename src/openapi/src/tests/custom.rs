//! Kinds of CustomResourceDefinitions.

use super::protobuf::{messages, only, pair_names};
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

#[test]
fn an_extension_is_in_the_one_document_of_version_2() {
    let path = "/apis/wardle.example.com/v1alpha1/flunders";
    let foreign = |root: &str| {
        let document = json!({
            "paths": {(format!("/{root}/flunders")): {"get": {"responses": {"200": {"description": "OK",
                "schema": {"$ref": "#/definitions/com.example.wardle.FlunderList"}}}}}},
            "definitions": {"com.example.wardle.FlunderList": {"type": "object", "description": "Flunders."}},
        });
        Arc::new(Extension::of(document.to_string().as_bytes(), root).unwrap())
    };
    let before = Documents::of(&kinds::all(), None);
    let parts = [foreign("apis/wardle.example.com/v1alpha1"), foreign("apis/apps/v1")];
    let documents = Documents::with_extensions(&kinds::all(), &parts, Some(&before));
    assert_ne!(documents.version_2().hash(), before.version_2().hash());
    let document = json_of(documents.version_2());
    let schema = &document["paths"][path]["get"]["responses"]["200"]["schema"]["$ref"];
    assert_eq!(schema, "#/definitions/com.example.wardle.FlunderList");
    assert_eq!(document["definitions"]["com.example.wardle.FlunderList"]["description"], "Flunders.");
    assert!(document["paths"]["/apis/apps/v1/deployments"].is_object());
    assert!(document["paths"]["/apis/apps/v1/flunders"].is_null(), "what is ours is described by us");
    let protobuf = inflate(documents.version_2_protobuf().packed());
    assert!(pair_names(only(&protobuf, 8), 2).contains(path));
    assert!(pair_names(only(&protobuf, 9), 1).contains("com.example.wardle.FlunderList"));
    let again = Documents::with_extensions(&kinds::all(), &parts, Some(&documents));
    assert!(Arc::ptr_eq(again.version_2(), documents.version_2()), "what is the same is kept");
}

#[test]
fn what_a_schema_says_is_in_its_protobuf_of_version_3() {
    let spec = json!({
        "type": "object", "required": ["size"], "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "size": {"type": "integer", "format": "int32", "minimum": -1.5, "maximum": 9, "default": 0, "exclusiveMaximum": true},
            "mode": {"type": "string", "pattern": "^a+$", "maxLength": 300, "enum": ["a", "aa"], "default": "a", "nullable": true},
            "on": {"type": "boolean", "default": false},
            "tags": {"type": "array", "minItems": 1, "items": {"type": "string", "title": "T"}, "default": ["x"]},
            "map": {"type": "object", "additionalProperties": {"type": "integer", "multipleOf": 2.0}},
            "either": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
    });
    let documents = Documents::of(&cron_tabs(&spec), None);
    let protobuf = inflate(documents.version_3_protobuf(ROOT).unwrap().packed());
    assert_eq!(documents.version_3_protobuf(ROOT).unwrap().hash(), documents.version_3(ROOT).unwrap().hash());
    let schemas = only(only(&protobuf, 5), 1);
    let named = |of: &[u8], name: &str| -> Vec<u8> {
        let mut pairs = messages(of, 1).filter(|pair| only(pair, 1) == name.as_bytes());
        only(only(pairs.next().expect(name), 2), 1).to_vec()
    };
    let spec = named(only(&named(schemas, "com.example.stable.v1.CronTab"), 31), "spec");
    assert_eq!((only(&spec, 23), only(&spec, 25)), (&b"size"[..], &b"object"[..]));
    assert_eq!(pair_names(&spec, 36), ["x-kubernetes-preserve-unknown-fields".to_owned()].into());
    let property = |name: &str| named(only(&spec, 31), name);
    let size = property("size");
    let double = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
    assert_eq!((double(only(&size, 13)), double(only(&size, 11))), (-1.5, 9.0));
    assert_eq!((only(&size, 35), double(only(only(&size, 33), 1))), (&b"int32"[..], 0.0));
    assert_eq!(messages(&size, 12).count(), 1);
    let mode = property("mode");
    assert_eq!((only(&mode, 17), only(only(&mode, 33), 3)), (&b"^a+$"[..], &b"a"[..]));
    let values: Vec<&[u8]> = messages(&mode, 24).map(|any| only(any, 2)).collect();
    assert_eq!(values, [b"\"a\"".as_slice(), b"\"aa\""]);
    assert_eq!((messages(&mode, 1).count(), messages(&mode, 15).count()), (1, 1));
    // one of several is there though it is false
    assert_eq!(only(&property("on"), 33), [2 << 3, 0]);
    let tags = property("tags");
    assert_eq!(only(only(only(only(&tags, 30), 1), 1), 9), b"T");
    assert_eq!((messages(&tags, 19).count(), messages(&tags, 33).count()), (1, 0));
    let map = property("map");
    assert_eq!(double(only(only(only(only(&map, 32), 1), 1), 10)), 2.0);
    assert_eq!(messages(&property("either"), 28).count(), 2);
}
