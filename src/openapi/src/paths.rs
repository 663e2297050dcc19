//! The paths of a resource, as documents of version 3 have them: what kubectl looks up to learn a path's kind, its patch formats
//! and whether the server checks fields. What there is follows from the verbs of the resource and of its subresources.

use crate::definitions::{DELETE_OPTIONS, PATCH, STATUS, reference};
use crate::resource::{Resource, mark};
use api::Gvk;
use kinds::{Scope, Subresource};
use serde_json::{Map, Value, json};

const JSON: &[&str] = &["application/json"];
const PATCHES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];
const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];

const OF_COLLECTION: &[&str] = &["create", "deletecollection", "list"];
const OF_OBJECT: &[&str] = &["delete", "get", "patch", "update"];

const DELETE_QUERIES: &[&str] =
    &["dryRun", "gracePeriodSeconds", "orphanDependents", "pretty", "propagationPolicy"];
const DELETE_COLLECTION_QUERIES: &[&str] = &[
    "continue",
    "dryRun",
    "fieldSelector",
    "gracePeriodSeconds",
    "labelSelector",
    "limit",
    "orphanDependents",
    "pretty",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
];
const LIST_QUERIES: &[&str] = &[
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
const PATCH_QUERIES: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force", "pretty"];
const WRITE_QUERIES: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "pretty"];

/// A method and its operation.
type Operation = (&'static str, Value);

pub(crate) fn of(resource: &Resource) -> Vec<(String, Value)> {
    let (info, root) = (&resource.info, resource.root());
    let everywhere = format!("/{root}/{}", info.gvr.resource);
    let (collection, scope): (String, &[&str]) = match info.scope {
        Scope::Namespaced => {
            (format!("/{root}/namespaces/{{namespace}}/{}", info.gvr.resource), &["namespace"])
        }
        Scope::Cluster => (everywhere.clone(), &[]),
    };
    let object = format!("{collection}/{{name}}");
    let of_object = [scope, &["name"]].concat();
    let target = Target {
        gvk: &info.gvk,
        definition: &resource.definition,
        is_custom: resource.is_custom(),
        shows_deleted: info.shows_deleted(),
    };
    let operations = |of: &[&str]| {
        let verbs = info.verbs.iter().filter(|verb| of.contains(verb));
        verbs.filter_map(|verb| target.operation(verb)).collect::<Vec<_>>()
    };
    let mut paths = vec![
        (collection, scope.to_vec(), operations(OF_COLLECTION)),
        (object.clone(), of_object.clone(), operations(OF_OBJECT)),
    ];
    if info.scope == Scope::Namespaced {
        paths.push((everywhere, Vec::new(), operations(&["list"])));
    }
    for subresource in &info.subresources {
        let path = format!("{object}/{subresource}");
        if *subresource == Subresource::Proxy {
            let behind = [&of_object[..], &["path"]].concat();
            paths.push((format!("{path}/{{path}}"), behind, below(resource, *subresource)));
        }
        paths.push((path, of_object.clone(), below(resource, *subresource)));
    }
    let there = paths.into_iter().filter(|(.., operations)| !operations.is_empty());
    there.map(|(path, parameters, operations)| (path, item(&parameters, operations))).collect()
}

/// Streams and text have no schema.
fn below(resource: &Resource, subresource: Subresource) -> Vec<Operation> {
    use Subresource::{Attach, Exec, Log, PortForward, Proxy};
    let gvk = &subresource.kind(&resource.info.gvk);
    let bare = |methods: &[&'static str], action: &str| {
        methods.iter().map(|method| (*method, operation(gvk, action, &[], None, None))).collect()
    };
    match subresource {
        Attach | Exec | PortForward => bare(&["get", "post"], "connect"),
        Log => bare(&["get"], "get"),
        Proxy => bare(METHODS, "connect"),
        _ => {
            let Some(definition) = resource.definition_of(gvk) else { return Vec::new() };
            let target = Target { gvk, definition, is_custom: resource.is_custom(), shows_deleted: false };
            subresource.verbs().iter().filter_map(|verb| target.operation(verb)).collect()
        }
    }
}

/// What is sent and answered at a path.
struct Target<'a> {
    gvk: &'a Gvk,
    definition: &'a str,
    is_custom: bool,
    shows_deleted: bool,
}

impl Target<'_> {
    /// `None` for a watch, which is a list.
    fn operation(&self, verb: &str) -> Option<Operation> {
        let own = self.definition;
        let list = format!("{own}List");
        // as upstream: only custom kinds say that a revision can be asked for
        let get: &[&str] = if self.is_custom { &["pretty", "resourceVersion"] } else { &["pretty"] };
        // strategic merge needs to know the type
        let patches = if self.is_custom { &PATCHES[..3] } else { PATCHES };
        let options = Some((DELETE_OPTIONS, JSON));
        let deleted = if self.shows_deleted { own } else { STATUS };
        let (method, action, queries, takes, gives) = match verb {
            "create" => ("post", "post", WRITE_QUERIES, Some((own, JSON)), own),
            "delete" => ("delete", "delete", DELETE_QUERIES, options, deleted),
            "deletecollection" => ("delete", "deletecollection", DELETE_COLLECTION_QUERIES, options, STATUS),
            "get" => ("get", "get", get, None, own),
            "list" => ("get", "list", LIST_QUERIES, None, list.as_str()),
            "patch" => ("patch", "patch", PATCH_QUERIES, Some((PATCH, patches)), own),
            "update" => ("put", "put", WRITE_QUERIES, Some((own, JSON)), own),
            _ => return None,
        };
        Some((method, operation(self.gvk, action, queries, takes, Some(gives))))
    }
}

fn item(parameters: &[&str], operations: Vec<Operation>) -> Value {
    let mut fields: Map<String, Value> =
        operations.into_iter().map(|(method, operation)| (method.to_owned(), operation)).collect();
    if !parameters.is_empty() {
        fields.insert("parameters".into(), parameters.iter().map(|name| parameter(name, "path")).collect());
    }
    fields.into()
}

/// `takes` is a definition and in what formats it may come.
fn operation(
    gvk: &Gvk,
    action: &str,
    queries: &[&str],
    takes: Option<(&str, &[&str])>,
    gives: Option<&str>,
) -> Value {
    let content = |name: &str, formats: &[&str]| -> Value {
        let each = formats.iter().map(|format| ((*format).to_owned(), json!({"schema": reference(name)})));
        Value::Object(each.collect())
    };
    let answer = |(code, description): &(&str, &str)| {
        let mut response = json!({"description": description});
        if let Some(gives) = gives {
            response["content"] = content(gives, JSON);
        }
        ((*code).to_owned(), response)
    };
    let mut responses: Map<String, Value> = codes(action).iter().map(answer).collect();
    // upstream declares no other refusal
    responses.insert("401".into(), json!({"description": "Unauthorized"}));
    let mut operation = json!({
        "parameters": queries.iter().map(|name| parameter(name, "query")).collect::<Value>(),
        "responses": responses,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": mark(gvk),
    });
    if let Some((takes, formats)) = takes {
        operation["requestBody"] = json!({"content": content(takes, formats)});
        if takes != DELETE_OPTIONS {
            operation["requestBody"]["required"] = true.into();
        }
    }
    operation
}

/// The codes of success that upstream declares, whatever the kind: a change may create, a creation or a deletion take its time.
fn codes(action: &str) -> &'static [(&'static str, &'static str)] {
    const OK: (&str, &str) = ("200", "OK");
    const CREATED: (&str, &str) = ("201", "Created");
    const ACCEPTED: (&str, &str) = ("202", "Accepted");
    match action {
        "delete" => &[OK, ACCEPTED],
        "patch" | "put" => &[OK, CREATED],
        "post" => &[OK, CREATED, ACCEPTED],
        _ => &[OK],
    }
}

fn parameter(name: &str, place: &str) -> Value {
    let kind = match name {
        "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
        "watch" | "allowWatchBookmarks" | "sendInitialEvents" | "force" | "orphanDependents" => "boolean",
        _ => "string",
    };
    let mut parameter = json!({"name": name, "in": place, "schema": {"type": kind, "uniqueItems": true}});
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}
