//! The document of version 2 with the custom kinds in it: the embedded one, and what their definitions say, as upstream puts
//! it into a version that knows less (`ToStructuralOpenAPIV2`).

use crate::custom::{CustomDocument, CustomResource};
use crate::gnostic;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;

/// Of version 3, and what version 2 puts in its place.
const DEFINITIONS: (&str, &str) = ("#/components/schemas/", "#/definitions/");

/// Both forms, gzip-compressed, with their hash.
#[derive(Debug)]
pub struct Version2 {
    pub hash: String,
    pub json: Vec<u8>,
    /// See [`crate::PROTOBUF`].
    pub protobuf: Vec<u8>,
}

/// The document of the built-in kinds and of these. It takes some tens of milliseconds: keep it.
pub fn version_2(custom: &[CustomDocument]) -> Version2 {
    let mut document: Value =
        serde_json::from_slice(&crate::inflate(crate::document_v2_json())).unwrap_or_default();
    for resource in custom.iter().flat_map(|document| &document.resources) {
        add(&mut document, resource);
    }
    let mut hasher = DefaultHasher::new();
    crate::hash_v2().hash(&mut hasher);
    custom.iter().for_each(|document| (&document.path, &document.hash).hash(&mut hasher));
    Version2 {
        hash: format!("{:016X}", hasher.finish()),
        json: gzip(document.to_string().as_bytes()),
        protobuf: gzip(&gnostic::document(&document)),
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes every byte")
}

fn add(document: &mut Value, resource: &CustomResource) {
    let name = resource.definition();
    let list = format!("{name}List");
    let schemas =
        [(name, lesser(&resource.own_schema(), true)), (list, lesser(&resource.list_schema(), true))];
    if let Some(definitions) = document["definitions"].as_object_mut() {
        definitions.extend(schemas);
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.extend(resource.paths().into_iter().map(|(path, item)| (path, path_item(item))));
    }
}

/// A schema without what version 2 does not know. Below what may be null, and below what keeps unknown fields, nothing is said:
/// kubectl of old would refuse what the server takes.
fn lesser(schema: &Value, is_resource: bool) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    if let Some(to) = reference_of(fields) {
        let mut reference = Map::from_iter([("$ref".to_owned(), to.into())]);
        reference
            .extend(fields.get_key_value("description").map(|(name, said)| (name.clone(), said.clone())));
        return Value::Object(reference);
    }
    let is = |name: &str| fields.get(name) == Some(&Value::Bool(true));
    let is_nullable = |schema: &Value| schema.get("nullable") == Some(&Value::Bool(true));
    let preserves = is("x-kubernetes-preserve-unknown-fields") && !is_resource;
    let mut lesser_fields = Map::new();
    for (name, value) in fields {
        let value = match name.as_str() {
            "allOf" | "anyOf" | "oneOf" | "not" | "nullable" | "default" => continue,
            "type" if is("nullable") => continue,
            "properties" | "items" | "additionalProperties" if is("nullable") => continue,
            "properties" | "items" if preserves => continue,
            "properties" => match value.as_object() {
                Some(all) => all.iter().map(|(name, value)| (name.clone(), lesser(value, false))).collect(),
                None => continue,
            },
            "required" => {
                let properties = fields.get("properties");
                let may_be_null = |name: &Value| {
                    let property = name.as_str().and_then(|name| properties?.get(name));
                    property.is_some_and(is_nullable)
                };
                value.as_array().into_iter().flatten().filter(|name| !may_be_null(name)).cloned().collect()
            }
            "items" | "additionalProperties" => lesser(value, false),
            _ => value.clone(),
        };
        lesser_fields.insert(name.clone(), value);
    }
    Value::Object(lesser_fields)
}

/// Version 3 wraps a reference.
fn reference_of(fields: &Map<String, Value>) -> Option<String> {
    let to = fields.get("$ref").or_else(|| fields.get("allOf")?.get(0)?.get("$ref"))?.as_str()?;
    to.strip_prefix(DEFINITIONS.0).map(|name| format!("{}{name}", DEFINITIONS.1))
}

/// The operations of a path, whose bodies are parameters here.
fn path_item(item: Value) -> Value {
    let Value::Object(fields) = item else { return item };
    let each = fields.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "parameters" => parameters(&value),
            _ => operation(&value),
        };
        (name, value)
    });
    Value::Object(each.collect())
}

fn parameters(all: &Value) -> Value {
    let each = all.as_array().into_iter().flatten().map(|parameter| {
        let mut parameter = parameter.clone();
        if let Some(fields) = parameter.as_object_mut() {
            let schema = fields.remove("schema").unwrap_or_default();
            fields.insert("type".into(), schema["type"].clone());
            fields.insert("uniqueItems".into(), true.into());
        }
        parameter
    });
    each.collect()
}

fn operation(of: &Value) -> Value {
    let mut operation = of.as_object().cloned().unwrap_or_default();
    let mut parameters = parameters(&of["parameters"]);
    if let Some(body) = operation.remove("requestBody") {
        let content: BTreeMap<String, Value> =
            body["content"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        if let (Some(all), Some(first)) = (parameters.as_array_mut(), content.values().next()) {
            all.push(json!({"name": "body", "in": "body", "required": true, "schema": lesser(&first["schema"], false)}));
        }
        operation.insert("consumes".into(), content.into_keys().collect());
    }
    operation.insert("produces".into(), json!(["application/json"]));
    operation.insert("parameters".into(), parameters);
    let responses = of["responses"].as_object().into_iter().flatten().map(|(code, response)| {
        let schema = lesser(&response["content"]["application/json"]["schema"], false);
        (code.clone(), json!({"description": response["description"], "schema": schema}))
    });
    operation.insert("responses".into(), Value::Object(responses.collect()));
    Value::Object(operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom_documents;
    use std::io::Read as _;

    fn plain(gz: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(gz).read_to_end(&mut plain).unwrap();
        plain
    }

    #[test]
    fn custom_kinds_are_in_the_one_document_of_version_2() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "description": "What is wanted.", "required": ["cron", "when"], "properties": {
                "cron": {"type": "string", "pattern": "x", "default": "y"},
                "when": {"type": "object", "nullable": true, "properties": {"a": {"type": "string"}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {"type": "string"}}},
                "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            }},
        }});
        let resource = CustomResource {
            group: "stable.example.com".into(),
            version: "v1".into(),
            kind: "CronTab".into(),
            plural: "crontabs".into(),
            namespaced: true,
            subresources: vec!["status".into()],
            schema,
        };
        let without = version_2(&[]);
        let made = version_2(&custom_documents(vec![resource]));
        assert_ne!(made.hash, without.hash);
        let document: Value = serde_json::from_slice(&plain(&made.json)).unwrap();
        let kind = &document["definitions"]["com.example.stable.v1.CronTab"];
        assert_eq!(
            kind["properties"]["spec"],
            json!({"type": "object", "description": "What is wanted.", "required": ["cron"], "properties": {
                "cron": {"type": "string", "pattern": "x"}, "when": {},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "port": {"x-kubernetes-int-or-string": true},
            }})
        );
        assert_eq!(
            kind["properties"]["metadata"]["$ref"],
            "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
        );
        assert_eq!(kind["properties"]["metadata"]["description"], crate::custom::OBJECT_META);
        let path = &document["paths"]["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"];
        let put = &path["put"];
        assert_eq!(put["parameters"][4]["schema"]["$ref"], "#/definitions/com.example.stable.v1.CronTab");
        assert_eq!(put["responses"]["200"]["schema"]["$ref"], "#/definitions/com.example.stable.v1.CronTab");
        assert_eq!(path["patch"]["consumes"].as_array().map(Vec::len), Some(3));
        assert_eq!(path["parameters"][0]["type"], "string");
        assert!(document["definitions"]["io.k8s.api.core.v1.Pod"].is_object());
        let text = plain(&made.protobuf);
        let named = |text: &[u8], name: &[u8]| text.windows(name.len()).any(|part| part == name);
        assert!(named(&text, b"com.example.stable.v1.CronTab"));
        assert!(!document.to_string().contains("#/components/"));
        // nothing is lost by the way through JSON
        assert_eq!(plain(&without.protobuf), crate::inflate(crate::document_v2_protobuf()));
    }
}
