//! A document of version 3: one group and version.

use crate::definitions::{reached, references};
use crate::resource::Resource;
use crate::{VERSION, gnostic, object_of, paths};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn json(resources: &[Arc<Resource>]) -> Vec<u8> {
    let paths = object_of(paths(resources));
    let schemas = object_of(reached(references(&paths), resources, whole));
    let info = info(resources);
    format!(r#"{{"openapi":"3.0.0","info":{info},"paths":{paths},"components":{{"schemas":{schemas}}}}}"#)
        .into_bytes()
}

/// See [`crate::PROTOBUF_3`].
pub(crate) fn protobuf(resources: &[Arc<Resource>]) -> Vec<u8> {
    let wanted = paths(resources).flat_map(|(_, item)| references(&item.to_string()));
    let schemas = reached(wanted, resources, whole).into_iter();
    let schemas =
        schemas.map(|(name, schema)| (name, serde_json::from_str(&schema).expect("definitions are JSON")));
    gnostic::version_3::document(&info(resources), paths(resources), schemas)
}

/// Version 3 knows all that a structural schema may say.
fn whole(schema: &Value) -> Option<Value> {
    Some(schema.clone())
}

fn paths(resources: &[Arc<Resource>]) -> impl Iterator<Item = (String, Value)> {
    resources.iter().flat_map(|resource| paths::of(resource))
}

fn info(resources: &[Arc<Resource>]) -> Value {
    match resources.iter().all(|resource| resource.is_custom()) {
        true => json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}),
        false => json!({"title": "Kubernetes", "version": VERSION}),
    }
}
