use super::*;
use serde_json::Value;
use std::collections::BTreeSet;

fn v3(path: &str) -> Value {
    serde_json::from_slice(&inflate(document_v3(path).expect(path))).expect(path)
}

fn path_of(info: &kinds::ResourceInfo) -> String {
    match info.gvr.group.as_ref() {
        "" => format!("api/{}", info.gvr.version),
        group => format!("apis/{group}/{}", info.gvr.version),
    }
}

/// The build's own table can not lag behind the kinds that are served.
#[test]
fn every_served_kind_has_its_paths_and_its_schema() {
    for handler in kinds::all().iter() {
        let info = handler.info();
        let root = path_of(info);
        let document = v3(&root);
        let collection = match info.scope {
            kinds::Scope::Namespaced => format!("/{root}/namespaces/{{namespace}}/{}", info.gvr.resource),
            kinds::Scope::Cluster => format!("/{root}/{}", info.gvr.resource),
        };
        let patch = &document["paths"][format!("{collection}/{{name}}")]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], info.gvk.kind.as_ref(), "{collection}");
        assert!(
            patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object(),
            "{collection}"
        );
        let queries = patch["parameters"].as_array().expect("parameters");
        assert!(queries.iter().any(|p| p["name"] == "fieldValidation"), "{collection}");
        let below = format!("{collection}/{{name}}/");
        let parts = document["paths"].as_object().unwrap().keys().filter_map(|p| p.strip_prefix(&below));
        // what is behind a proxy is published with it
        let published: BTreeSet<&str> =
            parts.map(|part| part.strip_suffix("/{path}").unwrap_or(part)).collect();
        assert_eq!(published, info.subresources.iter().map(AsRef::as_ref).collect(), "{collection}");
        let gvk =
            serde_json::json!({"group": info.gvk.group, "version": info.gvk.version, "kind": info.gvk.kind});
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let found = schemas.values().filter_map(|s| s["x-kubernetes-group-version-kind"].as_array());
        assert_eq!(found.filter(|marks| marks.contains(&gvk)).count(), 1, "{gvk}");
    }
}

#[test]
fn references_lead_somewhere() {
    for document in V3 {
        let json = v3(document.path);
        let mut names = BTreeSet::new();
        references(&json, &mut names);
        assert!(!names.is_empty(), "{}", document.path);
        for name in names {
            let name = name.strip_prefix("#/components/schemas/").expect(&name);
            assert!(json["components"]["schemas"][name].is_object(), "{}: {name}", document.path);
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[test]
fn lists_say_how_they_are_merged() {
    let schemas = v3("api/v1")["components"]["schemas"].clone();
    let cases = [
        ("PodSpec", "containers", "x-kubernetes-patch-merge-key", "name"),
        ("PodSpec", "volumes", "x-kubernetes-patch-strategy", "merge,retainKeys"),
        ("Container", "ports", "x-kubernetes-patch-merge-key", "containerPort"),
        ("Container", "env", "x-kubernetes-list-type", "map"),
        ("ServiceSpec", "ports", "x-kubernetes-patch-merge-key", "port"),
    ];
    for (kind, field, extension, want) in cases {
        let found = &schemas[format!("io.k8s.api.core.v1.{kind}")]["properties"][field][extension];
        assert_eq!(found, want, "{kind}.{field}");
    }
    let required = &schemas["io.k8s.api.core.v1.ConfigMap"]["required"];
    assert!(required.is_null(), "metadata may be left out: {required}");
}

#[test]
fn the_index_names_every_document() {
    let index: Value = serde_json::from_str(&index(&[])).unwrap();
    for document in V3 {
        let url = index["paths"][document.path]["serverRelativeURL"].as_str().expect(document.path);
        assert_eq!(url, format!("/openapi/v3/{}?hash={}", document.path, document.hash));
    }
    assert!(document_v3("apis/nothing/v1").is_none());
}
