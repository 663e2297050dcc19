//! The documents of custom kinds, made when somebody asks: their schemas come with their definitions.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
/// What every document refers to; they stand in the embedded one of this path.
const COMMON_IN: &str = "api/v1";
pub(crate) const PATCHES: [&str; 3] =
    ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
// what upstream says of them in every definition: `kubectl explain` shows it
const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
pub(crate) const OBJECT_META: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const LIST_META: &str = "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const CONVENTIONS: &str =
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "pretty"];
const PATCH: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force", "pretty"];
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
const DELETE: &[&str] = &["dryRun", "gracePeriodSeconds", "orphanDependents", "pretty", "propagationPolicy"];

/// A served version of a custom kind.
#[derive(Debug, Clone)]
pub struct CustomResource {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub namespaced: bool,
    /// `status`, `scale`
    pub subresources: Vec<String>,
    /// As the definition has it.
    pub schema: Value,
}

/// One document of version 3, for a group and version.
#[derive(Debug, Clone)]
pub struct CustomDocument {
    /// `apis/stable.example.com/v1`
    pub path: String,
    pub hash: String,
    pub(crate) resources: Vec<CustomResource>,
}

/// A document for each group and version, in the order of their paths.
pub fn custom_documents(resources: Vec<CustomResource>) -> Vec<CustomDocument> {
    let mut by_path: BTreeMap<String, Vec<CustomResource>> = BTreeMap::new();
    for resource in resources {
        by_path.entry(format!("apis/{}/{}", resource.group, resource.version)).or_default().push(resource);
    }
    let documents = by_path.into_iter().map(|(path, resources)| {
        let mut hasher = DefaultHasher::new();
        for resource in &resources {
            format!("{resource:?}").hash(&mut hasher);
        }
        CustomDocument { path, hash: format!("{:016X}", hasher.finish()), resources }
    });
    documents.collect()
}

impl CustomDocument {
    /// Plain JSON.
    pub fn render(&self) -> Vec<u8> {
        let mut schemas = common();
        let mut paths = Map::new();
        for resource in &self.resources {
            let name = resource.definition();
            schemas.insert(name.clone(), resource.own_schema());
            schemas.insert(format!("{name}List"), resource.list_schema());
            paths.extend(resource.paths());
        }
        let document = json!({
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"},
            "paths": paths,
            "components": {"schemas": schemas},
        });
        document.to_string().into_bytes()
    }
}

/// Metadata, statuses and options, with all that they refer to.
fn common() -> Map<String, Value> {
    let embedded = crate::document_v3(COMMON_IN).map(crate::inflate).unwrap_or_default();
    let mut document: Value = serde_json::from_slice(&embedded).unwrap_or_default();
    let Value::Object(all) = document["components"]["schemas"].take() else { return Map::new() };
    let mut wanted = BTreeSet::new();
    let mut open: Vec<String> = ["ObjectMeta", "ListMeta", "Status", "DeleteOptions", "Patch"]
        .map(|name| format!("{META}{name}"))
        .into();
    while let Some(name) = open.pop() {
        if let Some(schema) = all.get(&name)
            && wanted.insert(name)
        {
            references(schema, &mut open);
        }
    }
    all.into_iter().filter(|(name, _)| wanted.contains(name)).collect()
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let to = fields.get("$ref").and_then(Value::as_str);
            found.extend(to.and_then(|to| to.strip_prefix("#/components/schemas/")).map(str::to_owned));
            fields.values().for_each(|below| references(below, found));
        }
        Value::Array(items) => items.iter().for_each(|below| references(below, found)),
        _ => {}
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A reference takes nothing beside it in version 3, so it is wrapped.
fn described(meta: &str, description: &str) -> Value {
    json!({"allOf": [reference(&format!("{META}{meta}"))], "description": description})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

impl CustomResource {
    /// `com.example.stable.v1.CronTab`
    pub(crate) fn definition(&self) -> String {
        let reversed: Vec<&str> = self.group.rsplit('.').collect();
        format!("{}.{}.{}", reversed.join("."), self.version, self.kind)
    }

    fn gvk(&self) -> Value {
        json!({"group": self.group, "kind": self.kind, "version": self.version})
    }

    pub(crate) fn own_schema(&self) -> Value {
        let mut schema = self.schema.clone();
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("x-kubernetes-group-version-kind".into(), json!([self.gvk()]));
            let properties = fields.entry("properties").or_insert_with(|| json!({}));
            if let Some(properties) = properties.as_object_mut() {
                properties.insert("apiVersion".into(), text(API_VERSION));
                properties.insert("kind".into(), text(KIND));
                properties.insert("metadata".into(), described("ObjectMeta", OBJECT_META));
            }
        }
        schema
    }

    pub(crate) fn list_schema(&self) -> Value {
        let kind = format!("{}List", self.kind);
        let items = format!("List of {}. More info: {CONVENTIONS}", self.plural);
        json!({
            "type": "object", "required": ["items"], "description": format!("{kind} is a list of {}", self.kind),
            "properties": {
                "apiVersion": text(API_VERSION),
                "kind": text(KIND),
                "items": {"type": "array", "items": reference(&self.definition()), "description": items},
                "metadata": described("ListMeta", LIST_META),
            },
            "x-kubernetes-group-version-kind": [{"group": self.group, "kind": kind, "version": self.version}],
        })
    }

    pub(crate) fn paths(&self) -> Vec<(String, Value)> {
        let root = format!("/apis/{}/{}", self.group, self.version);
        let (collection, of_collection): (String, &[&str]) = match self.namespaced {
            true => (format!("{root}/namespaces/{{namespace}}/{}", self.plural), &["namespace"]),
            false => (format!("{root}/{}", self.plural), &[]),
        };
        let named = format!("{collection}/{{name}}");
        let of_named: Vec<&str> = of_collection.iter().copied().chain(["name"]).collect();
        let own = self.definition();
        let list = format!("{own}List");
        let (status, options) = (format!("{META}Status"), format!("{META}DeleteOptions"));
        let mut paths = vec![
            (
                collection,
                item(
                    of_collection,
                    [
                        ("get", self.operation("list", LIST, None, &list, "200")),
                        ("post", self.operation("post", WRITE, Some(&own), &own, "201")),
                        (
                            "delete",
                            self.operation("deletecollection", DELETE, Some(&options), &status, "200"),
                        ),
                    ],
                ),
            ),
            (
                named.clone(),
                item(
                    &of_named,
                    self.object_operations(&own).into_iter().chain([(
                        "delete",
                        self.operation("delete", DELETE, Some(&options), &status, "200"),
                    )]),
                ),
            ),
        ];
        if self.namespaced {
            let everywhere = self.operation("list", LIST, None, &list, "200");
            paths.push((format!("{root}/{}", self.plural), item(&[], [("get", everywhere)])));
        }
        // a scale's own schema is in the documents of autoscaling
        if self.subresources.iter().any(|part| part == "status") {
            paths.push((format!("{named}/status"), item(&of_named, self.object_operations(&own))));
        }
        paths
    }

    fn object_operations(&self, own: &str) -> Vec<(&'static str, Value)> {
        let mut patch = self.operation("patch", PATCH, None, own, "200");
        let body: Map<String, Value> = PATCHES
            .map(|media| (media.to_owned(), json!({"schema": reference(&format!("{META}Patch"))})))
            .into_iter()
            .collect();
        patch["requestBody"] = json!({"content": body, "required": true});
        vec![
            ("get", self.operation("get", &["pretty", "resourceVersion"], None, own, "200")),
            ("put", self.operation("put", WRITE, Some(own), own, "200")),
            ("patch", patch),
        ]
    }

    fn operation(
        &self,
        action: &str,
        queries: &[&str],
        takes: Option<&str>,
        gives: &str,
        code: &str,
    ) -> Value {
        let parameters: Vec<Value> = queries
            .iter()
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
            .collect();
        let content = |name: &str| json!({"application/json": {"schema": reference(name)}});
        let mut operation = json!({
            "parameters": parameters,
            "responses": {code: {"description": "OK", "content": content(gives)}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": self.gvk(),
        });
        if let Some(takes) = takes {
            operation["requestBody"] = json!({"content": content(takes)});
        }
        operation
    }
}

fn item(parameters: &[&str], operations: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut item: Map<String, Value> =
        operations.into_iter().map(|(method, operation)| (method.to_owned(), operation)).collect();
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    item.insert("parameters".into(), parameters.into());
    item.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_a_custom_kind_is_whole() {
        let resource = CustomResource {
            group: "stable.example.com".into(),
            version: "v1".into(),
            kind: "CronTab".into(),
            plural: "crontabs".into(),
            namespaced: true,
            subresources: vec!["status".into()],
            schema: json!({"type": "object", "properties": {"spec": {"type": "object", "description": "What is wanted."}}}),
        };
        let documents = custom_documents(vec![resource]);
        assert_eq!(documents[0].path, "apis/stable.example.com/v1");
        let document: Value = serde_json::from_slice(&documents[0].render()).unwrap();
        let named = &document["paths"]["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"];
        assert_eq!(named["patch"]["x-kubernetes-group-version-kind"]["kind"], "CronTab");
        let schemas = document["components"]["schemas"].as_object().unwrap();
        assert_eq!(
            schemas["com.example.stable.v1.CronTab"]["properties"]["spec"]["description"],
            "What is wanted."
        );
        for (name, field, want) in [
            ("CronTab", "apiVersion", API_VERSION),
            ("CronTab", "kind", KIND),
            ("CronTab", "metadata", OBJECT_META),
            ("CronTabList", "metadata", LIST_META),
        ] {
            let properties = &schemas[&format!("com.example.stable.v1.{name}")]["properties"];
            assert_eq!(properties[field]["description"], want, "{name}.{field}");
        }
        let mut found = Vec::new();
        references(&document, &mut found);
        let missing: Vec<&String> = found.iter().filter(|name| !schemas.contains_key(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
