//! A patch as a client sends it, and what it makes of an object.

use crate::body;
use crate::request::Request;
use api::patch::{self, JsonPatch};
use api::{Reason, Status};
use kinds::{FieldValidation, Instance, Version};
use serde_json::Value;

pub(crate) const APPLY_YAML: &str = "application/apply-patch+yaml";

pub(crate) enum Patch {
    Json(JsonPatch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// # Errors
    /// `UnsupportedMediaType`, `BadRequest`, `RequestEntityTooLarge`.
    pub(crate) async fn read(request: &mut Request) -> Result<Self, Status> {
        let media = request.media_type();
        let body = request.body().await?;
        body::count_values(&body)?;
        let value = || {
            serde_json::from_slice(&body)
                .map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))
        };
        match media.as_str() {
            "application/json-patch+json" => JsonPatch::parse(&body).map(Patch::Json),
            "application/merge-patch+json" => Ok(Patch::Merge(value()?)),
            "application/strategic-merge-patch+json" => Ok(Patch::Strategic(value()?)),
            other => Err(unknown_format(
                "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
                other,
            )),
        }
    }

    /// `keys` says how lists are merged, for kinds that take a strategic merge.
    ///
    /// # Errors
    /// `BadRequest` and `Invalid` for a patch that does not fit.
    pub(crate) fn apply_value(&self, current: Value, keys: Option<&schema::Schema>) -> Result<Value, Status> {
        match self {
            Patch::Json(patch) => patch.apply(current),
            Patch::Merge(patch) => Ok(patch::merge_patch(current, patch)),
            Patch::Strategic(patch) => match keys {
                Some(keys) => patch::strategic_merge(current, patch, keys),
                None => Err(unknown_format(
                    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                    "application/strategic-merge-patch+json",
                )),
            },
        }
    }

    /// The patched object. It carries a resourceVersion only where the patch itself sets one.
    pub(crate) fn apply(
        &self,
        version: &Version,
        current: &[u8],
        strictness: FieldValidation,
    ) -> Result<(Box<dyn Instance>, Vec<String>), Status> {
        let current: Value = serde_json::from_slice(current).map_err(Status::internal)?;
        let before = current.pointer("/metadata/resourceVersion").cloned();
        let patched = self.apply_value(current, version.merge_keys())?;
        let after = patched.pointer("/metadata/resourceVersion").cloned();
        let bytes = serde_json::to_vec(&patched).map_err(Status::internal)?;
        drop(patched);
        if bytes.len() > body::LARGEST_BODY {
            return Err(body::too_large());
        }
        let mut decoded = version.decode(&bytes, strictness)?;
        if before == after {
            decoded.instance.meta_mut().resource_version = None;
        }
        Ok((decoded.instance, decoded.warnings))
    }
}

fn unknown_format(accepted: &str, given: &str) -> Status {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {accepted} (got {given})"
    );
    Status::new(Reason::UnsupportedMediaType, message)
}
