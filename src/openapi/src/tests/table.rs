//! The documents and the table of types, field by field.

use super::*;

/// What is published is what a client's bytes are checked by, merged by and owned by: each field of each definition is the
/// same in the documents, which are made of Rust's types, and in the table, which all else goes by. A field that only the table
/// had would be taken from a client and lost.
#[test]
fn what_is_published_is_what_happens() {
    let mut compared = 0;
    for (_, json) in all_of_version_3() {
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
