//! From a client's JSON to a typed object, with upstream's three grades of strictness.

use api::{Gvk, Status};
use schema::{Schema, base64_fields};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt::Display;

/// The query parameter `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// The object, and as warnings what a strict reader refuses (`unknown field "spec.replica"`).
///
/// # Errors
/// `BadRequest` for JSON that is none, wrong types, and under `Strict` unknown and doubled fields.
pub(crate) fn decode<K: DeserializeOwned>(
    gvk: &Gvk,
    schema: &Schema,
    json: &[u8],
    strictness: FieldValidation,
) -> Result<(K, Vec<String>), Status> {
    let (json, warnings) = read(gvk, schema, json, strictness)?;
    let object =
        serde_json::from_slice(&json).map_err(|e| cannot_be_handled(gvk, &format_args!("json: {e}")))?;
    Ok((object, warnings))
}

/// The bytes as a typed decoder takes them.
pub(crate) fn read<'j>(
    gvk: &Gvk,
    schema: &Schema,
    json: &'j [u8],
    strictness: FieldValidation,
) -> Result<(Cow<'j, [u8]>, Vec<String>), Status> {
    let refused = |why: &dyn Display| cannot_be_handled(gvk, why);
    let checked = schema::check(json, schema).map_err(|wrong| refused(&wrong))?;
    let warnings = told(gvk, checked.faults, strictness)?;
    if !checked.loose_bytes && !checked.off && !checked.nulls && !checked.zeros {
        return Ok((Cow::Borrowed(json), warnings));
    }
    let mut value = serde_json::from_slice(json).map_err(|e| refused(&e))?;
    base64_fields::canonical(&mut value, schema).map_err(|e| refused(&e))?;
    schema::drop_off(&mut value, schema);
    schema::zero_nulls(&mut value, schema);
    schema::drop_zeros(&mut value, schema);
    Ok((Cow::Owned(serde_json::to_vec(&value).map_err(Status::internal)?), warnings))
}

/// What becomes of the unknown and doubled fields of a body.
///
/// # Errors
/// `BadRequest` under `Strict`, where there is any.
pub fn told(gvk: &Gvk, faults: Vec<String>, strictness: FieldValidation) -> Result<Vec<String>, Status> {
    match strictness {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Strict if !faults.is_empty() => {
            Err(cannot_be_handled(gvk, &format_args!("strict decoding error: {}", faults.join(", "))))
        }
        FieldValidation::Warn | FieldValidation::Strict => Ok(faults),
    }
}

/// A body that is no object of the kind.
pub fn cannot_be_handled(gvk: &Gvk, why: &dyn Display) -> Status {
    Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}",
        kind = gvk.kind,
        version = gvk.version,
    ))
}

/// What comes after `… cannot be handled as a KIND: ` in a refusal of [`cannot_be_handled`].
pub fn why_not_handled<'s>(gvk: &Gvk, refusal: &'s Status) -> Option<&'s str> {
    refusal.message.strip_prefix(&cannot_be_handled(gvk, &"").message)
}
