//! From a client's JSON to a typed object, with upstream's three grades of strictness.

use api::{Gvk, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;

/// The query parameter `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// Unknown fields that are told; upstream's decoder gathers as many.
const MOST_UNKNOWN: usize = 100;

/// The object, and the unknown fields in it as warnings (`unknown field "spec.replica"`).
///
/// # Errors
/// `BadRequest` for JSON that is none, wrong types, and under `Strict` unknown fields.
pub(crate) fn decode<K: DeserializeOwned>(
    gvk: &Gvk,
    json: &[u8],
    strictness: FieldValidation,
) -> Result<(K, Vec<String>), Status> {
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let value: Result<K, _> = serde_ignored::deserialize(tracked, |path| {
        if unknown.len() < MOST_UNKNOWN {
            unknown.push(field_path(&path));
        }
    });
    let value = value.map_err(|error| wrong_type(gvk, &track.path().to_string(), &error))?;
    let warnings: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    match strictness {
        FieldValidation::Ignore => Ok((value, Vec::new())),
        FieldValidation::Warn => Ok((value, warnings)),
        FieldValidation::Strict if warnings.is_empty() => Ok((value, warnings)),
        FieldValidation::Strict => Err(Status::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {what}",
            kind = gvk.kind,
            version = gvk.version,
            what = warnings.join(", ")
        ))),
    }
}

/// For a fault that has its own words.
pub(crate) fn refused(gvk: &Gvk, why: &dyn std::fmt::Display) -> Status {
    Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}",
        kind = gvk.kind,
        version = gvk.version,
    ))
}

/// The metadata of an object whose kind has no type, and the fields in it that there are not (`metadata.label`).
///
/// # Errors
/// In words: a wrong type.
pub fn decode_metadata(value: serde_json::Value) -> Result<(ObjectMeta, Vec<String>), String> {
    let mut unknown = Vec::new();
    let meta =
        serde_ignored::deserialize(value, |path| unknown.push(format!("metadata.{}", field_path(&path))));
    meta.map(|meta| (meta, unknown))
        .map_err(|e: serde_json::Error| format!("json: cannot unmarshal field .metadata: {e}"))
}

fn wrong_type(gvk: &Gvk, path: &str, error: &serde_json::Error) -> Status {
    let place = if path.is_empty() || path == "." { String::new() } else { format!(" field .{path}") };
    Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: json: cannot unmarshal{place}: {error}",
        kind = gvk.kind,
        version = gvk.version,
    ))
}

/// `spec.containers[0].image`
fn field_path(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", field_path(parent)),
        Path::Map { parent, key } => match field_path(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            field_path(parent)
        }
    }
}
