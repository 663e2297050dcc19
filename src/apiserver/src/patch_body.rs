//! A patch as a client sends it, and what it makes of an object.

use crate::body;
use crate::request::Request;
use api::patch::{self, JsonPatch};
use api::{Gvk, Reason, Status, values};
use kinds::{ErrorList, FieldValidation, Instance, Version};
use serde_json::Value;

pub(crate) const APPLY_YAML: &str = "application/apply-patch+yaml";

pub(crate) struct Patch {
    change: Change,
    /// Keys that stand twice in its text: `duplicate field "spec.paused"`.
    doubled: Vec<String>,
}

enum Change {
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
        // what is no JSON is refused below
        let mut doubled = schema::doubled_fields(&body).unwrap_or_default();
        let change = match media.as_str() {
            "application/json-patch+json" => JsonPatch::parse(&body).map(Change::Json)?,
            "application/merge-patch+json" => Change::Merge(value()?),
            "application/strategic-merge-patch+json" => Change::Strategic(value()?),
            other => {
                return Err(unknown_format(
                    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
                    other,
                ));
            }
        };
        if let Change::Json(_) = change {
            doubled.iter_mut().for_each(|fault| fault.insert_str(0, "json patch "));
        }
        Ok(Patch { change, doubled })
    }

    /// `keys` says how lists are merged, for kinds that take a strategic merge.
    ///
    /// # Errors
    /// `BadRequest` and `Invalid` for a patch that does not fit.
    pub(crate) fn apply_value(&self, current: Value, keys: Option<&schema::Schema>) -> Result<Value, Status> {
        match &self.change {
            Change::Json(patch) => patch.apply(current),
            Change::Merge(patch) => Ok(patch::merge_patch(current, patch)),
            Change::Strategic(patch) => match keys {
                Some(keys) => merge_by_keys(current, patch, keys),
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
        let values = values::count(&current);
        let patched = self.apply_value(current, version.merge_keys())?;
        values::check_growth(values, &patched)?;
        let after = patched.pointer("/metadata/resourceVersion").cloned();
        let bytes = serde_json::to_vec(&patched).map_err(Status::internal)?;
        drop(patched);
        if bytes.len() > body::LARGEST_BODY {
            return Err(body::too_large());
        }
        let (mut instance, faults) = self.decode(version, &bytes, strictness)?;
        if before == after {
            instance.meta_mut().resource_version = None;
        }
        Ok((instance, faults))
    }

    /// What came of the patch. Of what is wrong with it upstream says that the patch is invalid, where a body is a bad request.
    fn decode(
        &self,
        version: &Version,
        patched: &[u8],
        strictness: FieldValidation,
    ) -> Result<(Box<dyn Instance>, Vec<String>), Status> {
        let gvk = &version.info().gvk;
        let told = match strictness {
            FieldValidation::Ignore => FieldValidation::Ignore,
            FieldValidation::Warn | FieldValidation::Strict => FieldValidation::Warn,
        };
        let decoded = version.decode(patched, told).map_err(|refusal| {
            let why = kinds::why_not_handled(gvk, &refusal).map(|why| self.invalid(patched, why));
            why.unwrap_or(refusal)
        })?;
        if strictness == FieldValidation::Ignore {
            return Ok((decoded.instance, Vec::new()));
        }
        let faults: Vec<String> = self.doubled.iter().cloned().chain(decoded.warnings).collect();
        match strictness {
            FieldValidation::Strict if !faults.is_empty() => {
                Err(self.invalid(patched, &format!("strict decoding error: {}", faults.join(", "))))
            }
            _ => Ok((decoded.instance, faults)),
        }
    }

    /// Upstream names no kind here, and shows a strategic patch itself, as Go prints a map.
    fn invalid(&self, patched: &[u8], why: &str) -> Status {
        let shown = match &self.change {
            Change::Json(_) | Change::Merge(_) => String::from_utf8_lossy(patched).into_owned(),
            Change::Strategic(patch) => as_go_prints(patch),
        };
        let mut errors = ErrorList::default();
        errors.invalid("patch", shown, why);
        Status::invalid(&Gvk::new("", "", ""), "", errors.into_causes())
    }
}

/// Upstream reads what comes of it as the type that is patched, whatever kind and version it names: ansible's `k8s_scale` patches a
/// Scale with `kind: Deployment`. What the other patches make is read by the kind that it names, and refused.
fn merge_by_keys(current: Value, patch: &Value, keys: &schema::Schema) -> Result<Value, Status> {
    let own = ["apiVersion", "kind"].map(|field| (field, current.get(field).cloned()));
    let mut patched = patch::strategic_merge(current, patch, keys)?;
    for (field, own) in own {
        let (Some(own), Some(fields)) = (own, patched.as_object_mut()) else { continue };
        // of another type it is no name, and is refused where it is read
        if fields.get(field).is_none_or(Value::is_string) {
            fields.insert(field.to_owned(), own);
        }
    }
    Ok(patched)
}

/// `map[spec:map[paused:true]]`
fn as_go_prints(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(as_go_prints).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, value)| format!("{name}:{}", as_go_prints(value)));
            format!("map[{}]", each.collect::<Vec<_>>().join(" "))
        }
        plain => plain.to_string(),
    }
}

fn unknown_format(accepted: &str, given: &str) -> Status {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {accepted} (got {given})"
    );
    Status::new(Reason::UnsupportedMediaType, message)
}
