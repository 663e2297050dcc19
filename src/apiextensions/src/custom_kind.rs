//! One served version of a definition, as the registry serves it.

use api::{GroupResource, Gvk, Gvr};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionVersion,
    CustomResourceSubresourceScale,
};
use kinds::{
    Column, Conversion, Durability, JsonPath, Origin, Printer, ResourceInfo, ScalePaths, SchemaKind,
    SchemaRef, Scope, Subresource, VERBS, Version,
};
use schema::Schema;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A version for each version that is served.
///
/// # Errors
/// In words: a schema that is not structural, which the definition's validation refuses, may still be stored.
pub fn kinds_of(definition: &CustomResourceDefinition) -> Result<Vec<Arc<Version>>, String> {
    Ok(measured_kinds_of(definition)?.0)
}

/// The same, and about how many bytes they hold for as long as they are served.
///
/// # Errors
/// As [`kinds_of`].
pub fn measured_kinds_of(
    definition: &CustomResourceDefinition,
) -> Result<(Vec<Arc<Version>>, usize), String> {
    measured(definition, |_, version| parsed(version))
}

/// The same of a definition as it is stored. Its schemas are not made their type, of which each node takes a kilobyte and a half.
///
/// # Errors
/// As [`kinds_of`].
pub fn measured_kinds_of_stored(json: &[u8]) -> Result<(Vec<Arc<Version>>, usize), String> {
    let (definition, schemas) = without_schemas(json).map_err(|e| e.to_string())?;
    measured(&definition, |index, version| match schemas.get(index).copied().flatten() {
        Some(schema) => read(schema),
        None => Err(no_schema(version)),
    })
}

/// A schema as it was written, and what it says.
type Parsed = Result<(Arc<str>, Arc<Schema>), String>;

fn measured(
    definition: &CustomResourceDefinition,
    parse: impl Fn(usize, &CustomResourceDefinitionVersion) -> Parsed,
) -> Result<(Vec<Arc<Version>>, usize), String> {
    let spec = &definition.spec;
    let mut read_schemas = BTreeMap::new();
    let mut served = Vec::new();
    let mut bytes = 0;
    for (index, version) in spec.versions.iter().enumerate() {
        let parsed = parse(index, version);
        // of all versions, for objects may be stored in one that is served no more
        if let Ok((_, schema)) = &parsed
            && schema.has_defaults()
        {
            read_schemas.insert(format!("{}/{}", spec.group, version.name), schema.clone());
        }
        if version.served {
            let (published, schema) = parsed?;
            // once more in the documents that show it
            bytes += 2 * published.len() + schema.footprint();
            served.push((version, published, schema));
        } else if let Ok((_, schema)) = parsed.as_ref()
            && schema.has_defaults()
        {
            bytes += schema.footprint();
        }
    }
    let read_schemas = Arc::new(read_schemas);
    let kinds = served.into_iter().map(|(version, published, schema)| {
        kind_of(definition, version, published, schema, &read_schemas).into_version()
    });
    Ok((kinds.collect(), bytes))
}

/// The kinds of a definition whose schemas are not looked at: whoever deletes it must find its objects, however large it is.
pub fn kinds_without_schemas(definition: &CustomResourceDefinition) -> Vec<Arc<Version>> {
    let anything = Schema { kind: schema::Type::Object, preserve_unknown: true, ..Schema::default() };
    let (published, anything): (Arc<str>, _) = (ANYTHING.into(), Arc::new(anything));
    let served = definition.spec.versions.iter().filter(|version| version.served);
    let kinds = served.map(|version| {
        kind_of(definition, version, published.clone(), anything.clone(), &Arc::default()).into_version()
    });
    kinds.collect()
}

const ANYTHING: &str = r#"{"type":"object","x-kubernetes-preserve-unknown-fields":true}"#;

type Unread<'j> = BTreeMap<String, &'j RawValue>;

/// What a definition says beside its schemas, and these as they are written, one for each version.
fn without_schemas(json: &[u8]) -> serde_json::Result<(CustomResourceDefinition, Vec<Option<&RawValue>>)> {
    let whole: Unread<'_> = serde_json::from_slice(json)?;
    let mut spec = whole.get("spec").copied().map_or_else(|| Ok(Unread::new()), fields)?;
    let versions = spec.remove("versions").map_or("null", RawValue::get);
    let versions: Option<Vec<Unread<'_>>> = serde_json::from_str(versions)?;
    let (mut rests, mut schemas) = (Vec::new(), Vec::new());
    for mut version in versions.unwrap_or_default() {
        let mut schema = version.remove("schema").map_or_else(|| Ok(Unread::new()), fields)?;
        schemas.push(schema.remove("openAPIV3Schema").filter(|schema| schema.get() != "null"));
        rests.push(version);
    }
    let rests = to_raw_value(&rests)?;
    let mut rest: BTreeMap<&str, &RawValue> =
        spec.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    rest.insert("versions", &rests);
    let definition = serde_json::to_vec(&BTreeMap::from([("spec", rest)]))?;
    Ok((serde_json::from_slice(&definition)?, schemas))
}

fn fields(object: &RawValue) -> serde_json::Result<Unread<'_>> {
    Ok(serde_json::from_str::<Option<Unread<'_>>>(object.get())?.unwrap_or_default())
}

fn read(schema: &RawValue) -> Parsed {
    let tree: Value = serde_json::from_str(schema.get()).map_err(|e| e.to_string())?;
    Ok((schema.get().into(), Arc::new(structural(&tree)?)))
}

fn no_schema(version: &CustomResourceDefinitionVersion) -> String {
    format!("version {} has no schema", version.name)
}

fn parsed(version: &CustomResourceDefinitionVersion) -> Parsed {
    let published = published(version)?;
    let schema = structural(&published)?;
    Ok((published.to_string().into(), Arc::new(schema)))
}

fn published(version: &CustomResourceDefinitionVersion) -> Result<Value, String> {
    match version.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref()) {
        Some(schema) => api::json::to_value(schema).map_err(|e| e.to_string()),
        None => Err(no_schema(version)),
    }
}

fn structural(published: &Value) -> Result<Schema, String> {
    schema::from_stored(published, "openAPIV3Schema").map_err(|errors| {
        let first = errors.into_causes().into_iter().next();
        first.map_or_else(String::new, |cause| format!("{}: {}", cause.field, cause.message))
    })
}

fn conversion_of(definition: &CustomResourceDefinition, stored_version: &str) -> Option<Conversion> {
    let how = definition.spec.conversion.as_ref().filter(|how| how.strategy == "Webhook")?;
    let webhook = how.webhook.as_ref()?;
    Some(Conversion {
        client: webhook.client_config.clone()?,
        review_versions: webhook.conversion_review_versions.clone(),
        stored_version: stored_version.to_owned(),
    })
}

fn kind_of(
    definition: &CustomResourceDefinition,
    version: &CustomResourceDefinitionVersion,
    published: Arc<str>,
    schema: Arc<Schema>,
    read_schemas: &Arc<BTreeMap<String, Arc<Schema>>>,
) -> SchemaKind {
    let spec = &definition.spec;
    let stored = spec.versions.iter().find(|v| v.storage).unwrap_or(version);
    let (rules, _) = expressions::Rules::compile(&schema, "openAPIV3Schema");
    let parts = version.subresources.clone().unwrap_or_default();
    let mut subresources = Vec::new();
    if parts.scale.is_some() {
        subresources.push(Subresource::Scale);
    }
    if parts.status.is_some() {
        subresources.push(Subresource::Status);
    }
    let owned = |text: &str| Cow::Owned::<str>(text.to_owned());
    let list = |texts: &Option<Vec<String>>| texts.iter().flatten().map(|t| owned(t)).collect::<Vec<_>>();
    let singular = spec.names.singular.clone().unwrap_or_else(|| spec.names.kind.to_lowercase());
    let info = ResourceInfo {
        gvk: Gvk { group: owned(&spec.group), version: owned(&version.name), kind: owned(&spec.names.kind) },
        gvr: Gvr {
            group: owned(&spec.group),
            version: owned(&version.name),
            resource: owned(&spec.names.plural),
        },
        singular: singular.into(),
        short_names: list(&spec.names.short_names),
        categories: list(&spec.names.categories),
        scope: if spec.scope == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        verbs: VERBS,
        subresources,
        durability: Durability::Sync,
        storage: GroupResource { group: owned(&spec.group), resource: owned(&spec.names.plural) },
    };
    // a path that can not be read was stored before the definition's validation refused it
    let selectable = version
        .selectable_fields
        .iter()
        .flatten()
        .filter_map(|field| {
            let path = JsonPath::parse(&field.json_path).ok()?;
            Some((field.json_path.trim_start_matches('.').to_owned(), path))
        })
        .collect();
    let deprecated = version.deprecated.unwrap_or(false).then(|| {
        version
            .deprecation_warning
            .clone()
            .unwrap_or_else(|| format!("{}/{} {} is deprecated", spec.group, version.name, spec.names.kind))
    });
    let stored_version = format!("{}/{}", spec.group, stored.name);
    SchemaKind {
        conversion: conversion_of(definition, &stored_version),
        info,
        schema: SchemaRef::Own(schema),
        rules,
        stored_version,
        read_schemas: read_schemas.clone(),
        scale: parts.scale.as_ref().and_then(scale_paths),
        printer: printer(version.additional_printer_columns.as_deref().unwrap_or_default()),
        selectable,
        origin: Origin::Definition { published },
        deprecation: deprecated,
    }
}

fn scale_paths(scale: &CustomResourceSubresourceScale) -> Option<ScalePaths> {
    Some(ScalePaths {
        wanted: JsonPath::parse(&scale.spec_replicas_path).ok()?,
        current: JsonPath::parse(&scale.status_replicas_path).ok()?,
        selector: scale.label_selector_path.as_deref().and_then(|path| JsonPath::parse(path).ok()),
    })
}

/// The columns before the first whose path can not be read, as upstream has it.
fn printer(definitions: &[CustomResourceColumnDefinition]) -> Printer {
    Printer::new(definitions.iter().map_while(|definition| {
        let path = JsonPath::parse(&definition.json_path).ok()?;
        let described = definition.description.clone().filter(|description| !description.is_empty());
        let by_path =
            || format!("Custom resource definition column (in JSONPath format): {}", definition.json_path);
        let column = Column {
            name: definition.name.clone().into(),
            kind: definition.type_.clone().into(),
            format: definition.format.clone().unwrap_or_default().into(),
            description: described.unwrap_or_else(by_path).into(),
            priority: definition.priority.unwrap_or(0),
        };
        Some((column, path))
    }))
}
