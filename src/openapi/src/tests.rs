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
    for version in kinds::all().versions() {
        let info = version.info();
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
        assert_eq!(published, info.subresources.iter().map(|one| one.name()).collect(), "{collection}");
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

/// What is published is what a client's bytes are checked by, merged by and owned by: each field of each definition is the
/// same in the documents, which are made of Rust's types, and in the table, which all else goes by. A field that only the table
/// had would be taken from a client and lost.
#[test]
fn what_is_published_is_what_happens() {
    let mut compared = 0;
    for document in V3 {
        let json = v3(document.path);
        for (long, published) in json["components"]["schemas"].as_object().unwrap() {
            let name = table_name(long);
            let Some(schema) = schema::table::named(&name) else { continue };
            let Some(fields) = published["properties"].as_object() else { continue };
            let told: BTreeSet<&str> =
                fields.keys().map(String::as_str).filter(|field| !is_type_meta(&name, field)).collect();
            let known: BTreeSet<&str> = schema
                .properties
                .keys()
                .map(String::as_str)
                .filter(|field| !is_type_meta(&name, field))
                .collect();
            assert_eq!(told, known, "{name}");
            for field in told {
                let node = schema.field(field).unwrap();
                assert_eq!(published_type(&fields[field]), node_type(node), "{name}.{field}");
                assert_eq!(published_list(&fields[field]), node_list(node), "{name}.{field}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1_500, "{compared}");
}

/// What kind an object is belongs to every object, and to no field of the table.
fn is_type_meta(name: &str, field: &str) -> bool {
    matches!(field, "apiVersion" | "kind")
        && schema::table::named(name).is_some_and(|s| s.field("metadata").is_some())
        || matches!(name, "meta.v1.DeleteOptions" | "meta.v1.Status")
            && matches!(field, "apiVersion" | "kind")
}

fn table_name(long: &str) -> String {
    let roots = [
        "io.k8s.apimachinery.pkg.apis.",
        "io.k8s.apiextensions-apiserver.pkg.apis.",
        "io.k8s.kube-aggregator.pkg.apis.",
        "io.k8s.api.",
    ];
    roots.iter().find_map(|root| long.strip_prefix(root)).unwrap_or(long).to_owned()
}

fn published_type(field: &Value) -> &str {
    let to = field["$ref"].as_str().or(field["allOf"][0]["$ref"].as_str());
    match to.and_then(|to| to.rsplit('.').next()) {
        Some("Quantity") => "quantity",
        Some("IntOrString") => "int-or-string",
        Some("Time" | "MicroTime") => "string",
        Some(
            "JSON" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray",
        ) => "any",
        Some(_) => "object",
        None => field["type"].as_str().unwrap_or("any"),
    }
}

fn node_type(node: &schema::Schema) -> &'static str {
    use schema::Type;
    match node.kind {
        Type::Any => "any",
        Type::Object => "object",
        Type::Array => "array",
        Type::String | Type::Bytes | Type::Time | Type::MicroTime | Type::Duration => "string",
        Type::Integer | Type::Int32 => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::IntOrString => "int-or-string",
        Type::Quantity => "quantity",
    }
}

/// List type, keys, merge key, whether it is atomic as a map.
type Listed = (Option<String>, Vec<String>, Option<String>, bool);

fn published_list(field: &Value) -> Listed {
    let text = |key: &str| field[key].as_str().map(str::to_owned);
    let keys = field["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
    (
        text("x-kubernetes-list-type"),
        keys.filter_map(Value::as_str).map(str::to_owned).collect(),
        text("x-kubernetes-patch-merge-key"),
        field["x-kubernetes-map-type"] == "atomic",
    )
}

fn node_list(node: &schema::Schema) -> Listed {
    use schema::{ListType, Merge, Type};
    let (list, keys) = match (&node.list, node.kind) {
        (ListType::Map(keys), _) => (Some("map"), keys.clone()),
        (ListType::Set, _) => (Some("set"), Vec::new()),
        (ListType::Atomic, Type::Array) => (Some("atomic"), Vec::new()),
        (ListType::Atomic, _) => (None, Vec::new()),
    };
    let merge = match &node.merge {
        Some(Merge::By(key)) => Some((*key).to_owned()),
        _ => None,
    };
    // of a type that is atomic wherever it stands, the type says so
    let atomic = node.atomic && !node.name.contains(".v");
    (list.map(str::to_owned), keys, merge, atomic)
}
