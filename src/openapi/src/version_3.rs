//! A document of version 3: one group and version.

use crate::definitions::{reached, references};
use crate::resource::Resource;
use crate::{VERSION, object_of, paths};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn json(resources: &[Arc<Resource>]) -> Vec<u8> {
    let paths = object_of(resources.iter().flat_map(|resource| paths::of(resource)));
    let schemas = object_of(reached(references(&paths), resources, |schema| Some(schema.clone())));
    let info = match resources.iter().all(|resource| resource.is_custom()) {
        true => json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}),
        false => json!({"title": "Kubernetes", "version": VERSION}),
    };
    format!(r#"{{"openapi":"3.0.0","info":{info},"paths":{paths},"components":{{"schemas":{schemas}}}}}"#)
        .into_bytes()
}
