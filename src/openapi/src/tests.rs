mod custom;
mod protobuf;
mod table;

use super::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

static BUILT_IN: LazyLock<Documents> = LazyLock::new(|| Documents::of(&kinds::all(), None));

fn json_of(document: &Document) -> Value {
    serde_json::from_slice(&inflate(document.packed())).expect("a document is JSON")
}

fn v3(path: &str) -> Value {
    json_of(BUILT_IN.version_3(path).expect(path))
}

fn all_of_version_3() -> BTreeMap<String, Value> {
    BUILT_IN.hashes().map(|(path, _)| (path.to_owned(), v3(path))).collect()
}

fn path_of(info: &kinds::ResourceInfo) -> String {
    match info.gvr.group.as_ref() {
        "" => format!("api/{}", info.gvr.version),
        group => format!("apis/{group}/{}", info.gvr.version),
    }
}

fn collection_of(info: &kinds::ResourceInfo) -> String {
    let root = path_of(info);
    match info.scope {
        kinds::Scope::Namespaced => format!("/{root}/namespaces/{{namespace}}/{}", info.gvr.resource),
        kinds::Scope::Cluster => format!("/{root}/{}", info.gvr.resource),
    }
}

/// The build's list of types can not lag behind the kinds that are served.
#[test]
fn every_served_kind_has_its_paths_and_its_schema() {
    let (registry, documents) = (kinds::all(), all_of_version_3());
    // there are no Rust types of metrics
    let described =
        registry.resources().filter(|info| info.gvr.group != kinds::builtin::computed::METRICS_GROUP);
    for info in described {
        let document = &documents[&path_of(info)];
        let collection = collection_of(info);
        assert!(document["paths"][&collection].is_object(), "{collection}");
        let below = format!("{collection}/{{name}}/");
        let parts = document["paths"].as_object().unwrap().keys().filter_map(|p| p.strip_prefix(&below));
        // what is behind a proxy is published with it
        let published: BTreeSet<&str> =
            parts.map(|part| part.strip_suffix("/{path}").unwrap_or(part)).collect();
        assert_eq!(published, info.subresources.iter().map(|one| one.name()).collect(), "{collection}");
        let gvk = json!({"group": info.gvk.group, "version": info.gvk.version, "kind": info.gvk.kind});
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let found = schemas.values().filter_map(|s| s["x-kubernetes-group-version-kind"].as_array());
        assert_eq!(found.filter(|marks| marks.contains(&gvk)).count(), 1, "{gvk}");
    }
}

#[test]
fn every_stored_kind_says_how_it_is_patched() {
    let documents = all_of_version_3();
    for version in kinds::all().versions() {
        let info = version.info();
        let collection = collection_of(info);
        let patch = &documents[&path_of(info)]["paths"][format!("{collection}/{{name}}")]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], info.gvk.kind.as_ref(), "{collection}");
        assert!(
            patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object(),
            "{collection}"
        );
        let queries = patch["parameters"].as_array().expect("parameters");
        assert!(queries.iter().any(|p| p["name"] == "fieldValidation"), "{collection}");
    }
}

#[test]
fn methods_follow_from_verbs() {
    let all = "delete get head options patch post put";
    let cases = [
        ("api/v1", "/api/v1/pods", "get"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods", "delete get post"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}", "delete get patch put"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/binding", "post"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/exec", "get post"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/log", "get"),
        ("api/v1", "/api/v1/namespaces/{namespace}/pods/{name}/status", "get patch put"),
        ("api/v1", "/api/v1/namespaces", "get post"),
        ("api/v1", "/api/v1/nodes", "delete get post"),
        ("api/v1", "/api/v1/namespaces/{name}/finalize", "put"),
        ("api/v1", "/api/v1/nodes/{name}/proxy", all),
        ("api/v1", "/api/v1/nodes/{name}/proxy/{path}", all),
        ("api/v1", "/api/v1/namespaces/{namespace}/bindings", "post"),
        ("api/v1", "/api/v1/namespaces/{namespace}/bindings/{name}", ""),
        ("api/v1", "/api/v1/bindings", ""),
        ("api/v1", "/api/v1/componentstatuses", "get"),
        ("api/v1", "/api/v1/componentstatuses/{name}", "get"),
        ("apis/authentication.k8s.io/v1", "/apis/authentication.k8s.io/v1/tokenreviews", "post"),
        ("apis/authentication.k8s.io/v1", "/apis/authentication.k8s.io/v1/tokenreviews/{name}", ""),
        ("apis/apps/v1", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "get patch put"),
    ];
    for (document, path, want) in cases {
        let document = v3(document);
        let fields = document["paths"][path].as_object().into_iter().flatten();
        let methods: Vec<&str> =
            fields.map(|(name, _)| name.as_str()).filter(|name| *name != "parameters").collect();
        assert_eq!(methods.join(" "), want, "{path}");
    }
    let scale = &v3("apis/apps/v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"];
    let answer = &scale["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(answer, "#/components/schemas/io.k8s.api.autoscaling.v1.Scale");
}

#[test]
fn answers_are_declared_as_upstream_declares_them() {
    const MAP: &str = "io.k8s.api.core.v1.ConfigMap";
    const SERVICE: &str = "io.k8s.api.core.v1.Service";
    let maps = "/api/v1/namespaces/{namespace}/configmaps";
    let cases = [
        (maps.to_owned(), "get", "200 401", "io.k8s.api.core.v1.ConfigMapList"),
        (maps.to_owned(), "post", "200 201 202 401", MAP),
        (maps.to_owned(), "delete", "200 401", definitions::STATUS),
        (format!("{maps}/{{name}}"), "put", "200 201 401", MAP),
        (format!("{maps}/{{name}}"), "patch", "200 201 401", MAP),
        (format!("{maps}/{{name}}"), "delete", "200 202 401", definitions::STATUS),
        ("/api/v1/namespaces/{namespace}/services/{name}".into(), "delete", "200 202 401", SERVICE),
        ("/api/v1/namespaces/{namespace}/services".into(), "delete", "200 401", definitions::STATUS),
        ("/api/v1/namespaces/{namespace}/pods/{name}/exec".into(), "post", "200 401", ""),
    ];
    let document = v3("api/v1");
    for (path, method, codes, gives) in cases {
        let responses = document["paths"][&path][method]["responses"].as_object().expect(&path);
        let declared: Vec<&str> = responses.keys().map(String::as_str).collect();
        assert_eq!(declared.join(" "), codes, "{method} {path}");
        for (code, response) in responses {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            let schema = schema.as_str().map(|schema| schema.trim_start_matches("#/components/schemas/"));
            let want = if code == "401" { "" } else { gives };
            assert_eq!(schema.unwrap_or_default(), want, "{method} {path} {code}");
        }
    }
}

#[test]
fn references_lead_somewhere() {
    for (path, json) in all_of_version_3() {
        assert_references(&path, &json, "#/components/schemas/", &json["components"]["schemas"]);
    }
    let json = json_of(BUILT_IN.version_2());
    assert_references("version 2", &json, "#/definitions/", &json["definitions"]);
}

fn assert_references(of: &str, json: &Value, root: &str, schemas: &Value) {
    let mut names = BTreeSet::new();
    references(json, &mut names);
    assert!(!names.is_empty(), "{of}");
    for name in names {
        let name = name.strip_prefix(root).expect(&name);
        assert!(schemas[name].is_object(), "{of}: {name}");
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
    let hashes: BTreeMap<String, String> =
        BUILT_IN.hashes().map(|(path, hash)| (path.to_owned(), hash.to_owned())).collect();
    let index: Value = serde_json::from_str(&index(&hashes)).unwrap();
    assert_eq!(index["paths"].as_object().map(serde_json::Map::len), Some(hashes.len()));
    for path in hashes.keys() {
        let url = index["paths"][path]["serverRelativeURL"].as_str().expect(path);
        let hash = BUILT_IN.version_3(path).expect(path).hash();
        assert_eq!(url, format!("/openapi/v3/{path}?hash={hash}"));
    }
    assert!(BUILT_IN.version_3("apis/nothing/v1").is_none());
}

#[test]
fn a_hash_follows_from_the_registry_alone() {
    let again = Documents::of(&kinds::all(), None);
    assert!(BUILT_IN.hashes().eq(again.hashes()));
    assert_eq!(BUILT_IN.version_2().hash(), again.version_2().hash());
    let different: BTreeSet<&str> = again.hashes().map(|(_, hash)| hash).collect();
    assert_eq!(different.len(), again.hashes().count());
}
