//! The operations of a resource: what kubectl looks up to learn a path's kind, its patch formats and whether the
//! server checks fields.

use crate::schemas::{self, DELETE_OPTIONS, PATCH, STATUS};
use crate::table::{Gvk, Resource, Subresource, Verbs};
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    V2,
    V3,
}

const JSON: &str = "application/json";
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

struct Operation<'a> {
    action: &'static str,
    gvk: Gvk,
    queries: &'static [&'static str],
    takes: Option<&'a str>,
    gives: Option<&'a str>,
    code: &'static str,
}

const LIST: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "pretty",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "pretty"];
const PATCH_QUERIES: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force", "pretty"];
const DELETE: &[&str] = &["dryRun", "gracePeriodSeconds", "orphanDependents", "pretty", "propagationPolicy"];

pub fn of(resource: &Resource, dialect: Dialect) -> Vec<(String, Value)> {
    let root = format!("/{}", resource.prefix());
    let (collection, path_parameters): (String, &[&str]) = match resource.namespaced {
        true => (format!("{root}/namespaces/{{namespace}}/{}", resource.plural), &["namespace"]),
        false => (format!("{root}/{}", resource.plural), &[]),
    };
    let mut paths =
        vec![(collection.clone(), item(collection_operations(resource), path_parameters, dialect))];
    if resource.create_only {
        return paths;
    }
    if resource.namespaced {
        let everywhere = format!("{root}/{}", resource.plural);
        paths.push((everywhere, item(vec![("get", list(resource, "list"))], &[], dialect)));
    }
    let named = format!("{collection}/{{name}}");
    if resource.read_only {
        let read = object(resource.gvk, &resource.definition).into_iter().filter(|(m, _)| *m == "get");
        paths.push((named, item(read.collect(), &[path_parameters, &["name"]].concat(), dialect)));
        return paths;
    }
    let mut path_parameters = path_parameters.to_vec();
    path_parameters.push("name");
    let own = object(resource.gvk, &resource.definition);
    let delete = Operation {
        action: "delete",
        gvk: resource.gvk,
        queries: DELETE,
        takes: Some(DELETE_OPTIONS),
        gives: Some(STATUS),
        code: "200",
    };
    let operations = own.into_iter().chain([("delete", delete)]).collect();
    paths.push((named.clone(), item(operations, &path_parameters, dialect)));
    for sub in &resource.subresources {
        let path = format!("{named}/{}", sub.name);
        if sub.verbs == Verbs::Proxy {
            let behind = [&path_parameters[..], &["path"]].concat();
            paths.push((format!("{path}/{{path}}"), item(sub_operations(sub), &behind, dialect)));
        }
        paths.push((path, item(sub_operations(sub), &path_parameters, dialect)));
    }
    paths
}

fn list<'a>(resource: &Resource, action: &'static str) -> Operation<'a> {
    // the name outlives the build script: there are two dozen of them
    let gives: &'static str = Box::leak(resource.list_definition().into_boxed_str());
    Operation { action, gvk: resource.gvk, queries: LIST, takes: None, gives: Some(gives), code: "200" }
}

fn create(gvk: Gvk, definition: &str) -> Operation<'_> {
    Operation {
        action: "post",
        gvk,
        queries: WRITE,
        takes: Some(definition),
        gives: Some(definition),
        code: "201",
    }
}

fn collection_operations(resource: &Resource) -> Vec<(&'static str, Operation<'_>)> {
    if resource.read_only {
        return vec![("get", list(resource, "list"))];
    }
    let mut operations = vec![("post", create(resource.gvk, &resource.definition))];
    if !resource.create_only {
        operations.push(("get", list(resource, "list")));
        let gone = Operation {
            takes: Some(DELETE_OPTIONS),
            gives: Some(STATUS),
            ..list(resource, "deletecollection")
        };
        operations.push(("delete", gone));
    }
    operations
}

fn object(gvk: Gvk, definition: &str) -> Vec<(&'static str, Operation<'_>)> {
    let gives = Some(definition);
    let operation = |action, queries, takes| Operation { action, gvk, queries, takes, gives, code: "200" };
    vec![
        ("get", operation("get", &["pretty"][..], None)),
        ("put", operation("put", WRITE, Some(definition))),
        ("patch", operation("patch", PATCH_QUERIES, Some(PATCH))),
    ]
}

fn sub_operations(sub: &Subresource) -> Vec<(&'static str, Operation<'_>)> {
    let definition = sub.definition.as_deref();
    let bare =
        |action| Operation { action, gvk: sub.gvk, queries: &[], takes: None, gives: None, code: "200" };
    match (sub.verbs, definition) {
        (Verbs::Object, Some(definition)) => object(sub.gvk, definition),
        (Verbs::Replace, Some(definition)) => {
            object(sub.gvk, definition).into_iter().filter(|(m, _)| *m == "put").collect()
        }
        (Verbs::Create, Some(definition)) => vec![("post", create(sub.gvk, definition))],
        (Verbs::Proxy, _) => METHODS.into_iter().map(|method| (method, bare("connect"))).collect(),
        (Verbs::Connect, _) => vec![("get", bare("connect")), ("post", bare("connect"))],
        _ => vec![("get", bare("get"))],
    }
}

fn item(operations: Vec<(&'static str, Operation<'_>)>, path_parameters: &[&str], dialect: Dialect) -> Value {
    let mut fields: Map<String, Value> =
        operations.into_iter().map(|(method, o)| (method.to_owned(), operation(&o, dialect))).collect();
    let parameters: Vec<Value> =
        path_parameters.iter().map(|name| parameter(name, "path", dialect)).collect();
    if !parameters.is_empty() {
        fields.insert("parameters".into(), parameters.into());
    }
    fields.into()
}

fn operation(of: &Operation<'_>, dialect: Dialect) -> Value {
    let mut parameters: Vec<Value> =
        of.queries.iter().map(|name| parameter(name, "query", dialect)).collect();
    let mut fields = Map::new();
    let formats: &[&str] = if of.action == "patch" { &PATCHES } else { &[JSON] };
    match (of.takes, dialect) {
        (Some(takes), Dialect::V2) => {
            let required = of.takes != Some(DELETE_OPTIONS);
            let schema = json!({"$ref": format!("#/definitions/{takes}")});
            parameters.push(json!({"name": "body", "in": "body", "required": required, "schema": schema}));
            fields.insert("consumes".into(), json!(formats));
        }
        (Some(takes), Dialect::V3) => {
            let schema = json!({"schema": {"$ref": format!("#/components/schemas/{takes}")}});
            let content: Map<String, Value> =
                formats.iter().map(|f| ((*f).to_owned(), schema.clone())).collect();
            fields.insert("requestBody".into(), json!({"content": content}));
        }
        (None, _) => {}
    }
    fields.insert("parameters".into(), parameters.into());
    fields.insert("responses".into(), json!({of.code: response(of.gives, dialect)}));
    fields.insert("x-kubernetes-action".into(), of.action.into());
    fields.insert("x-kubernetes-group-version-kind".into(), schemas::gvk(of.gvk));
    if dialect == Dialect::V2 {
        fields.insert("produces".into(), json!([JSON]));
    }
    fields.into()
}

fn response(gives: Option<&str>, dialect: Dialect) -> Value {
    let mut response = json!({"description": "OK"});
    match (gives, dialect) {
        (Some(gives), Dialect::V2) => response["schema"] = json!({"$ref": format!("#/definitions/{gives}")}),
        (Some(gives), Dialect::V3) => {
            let schema = json!({"$ref": format!("#/components/schemas/{gives}")});
            response["content"] = json!({JSON: {"schema": schema}});
        }
        (None, _) => {}
    }
    response
}

fn parameter(name: &str, place: &str, dialect: Dialect) -> Value {
    let kind = match name {
        "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
        "watch" | "allowWatchBookmarks" | "sendInitialEvents" | "force" | "orphanDependents" => "boolean",
        _ => "string",
    };
    let mut parameter = json!({"name": name, "in": place});
    if place == "path" {
        parameter["required"] = true.into();
    }
    match dialect {
        Dialect::V2 => {
            parameter["type"] = kind.into();
            parameter["uniqueItems"] = true.into();
        }
        Dialect::V3 => parameter["schema"] = json!({"type": kind, "uniqueItems": true}),
    }
    parameter
}
