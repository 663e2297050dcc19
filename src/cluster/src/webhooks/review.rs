//! `AdmissionReview`: the question, and what an answer says (admission.k8s.io/v1).

use crate::admission_request::question::Question;
use ::api::patch::JsonPatch;
use ::api::{Cause, Reason, Status};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// In which words it is asked; the fields are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V1beta1,
}

impl Version {
    /// The first that is spoken here.
    pub(super) fn of(wanted: &[String]) -> Self {
        let known = wanted.iter().find_map(|version| match version.as_str() {
            "v1" => Some(Version::V1),
            "v1beta1" => Some(Version::V1beta1),
            _ => None,
        });
        known.unwrap_or(Version::V1)
    }

    fn api_version(self) -> &'static str {
        match self {
            Version::V1 => "admission.k8s.io/v1",
            Version::V1beta1 => "admission.k8s.io/v1beta1",
        }
    }
}

pub(super) fn encode(question: &Question, version: Version) -> Vec<u8> {
    let mut request = question.request.clone();
    request["object"] = question.object.clone().unwrap_or_default();
    request["oldObject"] = question.old.clone().unwrap_or_default();
    let review = json!({"kind": "AdmissionReview", "apiVersion": version.api_version(), "request": request});
    review.to_string().into_bytes()
}

pub(super) struct Answer {
    /// The status of a refusal, as the webhook wrote it.
    pub(super) refusal: Option<Value>,
    /// As it came; empty where there is none.
    patch: Vec<u8>,
    pub(super) warnings: Vec<String>,
    /// For the audit log.
    pub(super) annotations: Vec<(String, String)>,
}

impl Answer {
    /// A webhook that only validates may have no patch.
    ///
    /// # Errors
    /// An answer that is none, in words.
    pub(super) fn read(body: &[u8], uid: &str, version: Version, may_patch: bool) -> Result<Answer, String> {
        let invalid = |why: String| format!("received invalid webhook response: {why}");
        let review: Value =
            serde_json::from_slice(body).map_err(|why| format!("failed to call webhook: {why}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let response = &review["response"];
        if !response.is_object() {
            return Err("failed to get response: webhook response was absent".to_owned());
        }
        if version == Version::V1 {
            let given = format!("{}, Kind={}", text(&review["apiVersion"]), text(&review["kind"]));
            let wanted = format!("{}, Kind=AdmissionReview", version.api_version());
            if given != wanted {
                return Err(invalid(format!("expected webhook response of {wanted}, got {given}")));
            }
            let answered = text(&response["uid"]);
            if answered != uid {
                return Err(invalid(format!("expected response.uid={uid:?}, got {answered:?}")));
            }
        }
        let warnings = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let warnings = warnings.map(str::to_owned).collect();
        let annotations = response["auditAnnotations"].as_object().into_iter().flatten();
        let annotations =
            annotations.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        if response["allowed"] != Value::Bool(true) {
            return Ok(Answer {
                refusal: Some(response["status"].clone()),
                patch: Vec::new(),
                warnings,
                annotations,
            });
        }
        let patch = bytes_of(&response["patch"]).map_err(invalid)?;
        if version == Version::V1 {
            let kind = response["patchType"].as_str();
            check_patch(!patch.is_empty(), kind, may_patch).map_err(invalid)?;
        }
        Ok(Answer { refusal: None, patch, warnings, annotations })
    }

    /// What is to be changed.
    ///
    /// # Errors
    /// `InternalError` for a patch that is none, as of one that does not fit: the webhook has not failed, it has answered, and so it does
    /// not matter whether its answer is needed.
    pub(super) fn patch(&self) -> Result<Option<JsonPatch>, Status> {
        if self.patch.is_empty() {
            return Ok(None);
        }
        let patch = JsonPatch::parse(&self.patch).map_err(|why| Status::internal(why.message))?;
        Ok(Some(patch).filter(|patch| !patch.is_empty()))
    }
}

/// Upstream's `VerifyAdmissionResponse`, in its words.
fn check_patch(has_patch: bool, kind: Option<&str>, may_patch: bool) -> Result<(), String> {
    let why = match (has_patch, kind) {
        (false, None) => return Ok(()),
        (true, _) if !may_patch => "validating webhook may not return response.patch",
        (false, Some(_)) if !may_patch => "validating webhook may not return response.patchType",
        (true, None) => "webhook returned response.patch but not response.patchType",
        (false, Some(_)) => "webhook returned response.patchType but not response.patch",
        (true, Some("JSONPatch")) => return Ok(()),
        (true, Some(kind)) => return Err(format!("response.patchType must be \"JSONPatch\", got {kind:?}")),
    };
    Err(why.to_owned())
}

/// Bytes as Go reads them from JSON: in base64, or a list of numbers, as webhooks in Rust write them.
///
/// # Errors
/// In words, for what is neither.
fn bytes_of(value: &Value) -> Result<Vec<u8>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => BASE64_STANDARD.decode(text).map_err(|why| why.to_string()),
        Value::Array(_) => Vec::deserialize(value).map_err(|why| why.to_string()),
        other => Err(format!("response.patch must be bytes in base64, got {other}")),
    }
}

/// Upstream's `ToStatusErr`: never less than a refusal, whatever code the webhook gave.
pub(super) fn refused(webhook: &str, status: Value) -> Status {
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    let denied = format!("admission webhook {webhook:?} denied the request");
    let message = match (text("message"), text("reason")) {
        ("", "") => format!("{denied} without explanation"),
        ("", reason) => format!("{denied}: {reason}"),
        (message, _) => format!("{denied}: {message}"),
    };
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
    let code = if code < 400 { 400 } else { code };
    let named: Option<Reason> = serde_json::from_value(status["reason"].clone()).ok();
    let by_code = || match code {
        401 => Reason::Unauthorized,
        403 => Reason::Forbidden,
        404 => Reason::NotFound,
        409 => Reason::Conflict,
        422 => Reason::Invalid,
        429 => Reason::TooManyRequests,
        500.. => Reason::InternalError,
        _ => Reason::BadRequest,
    };
    let mut refusal = Status::new(named.unwrap_or_else(by_code), message);
    refusal.code = code;
    // clients are shown the webhook's own word, and none where it gave none
    refusal.reason_text = named.is_none().then(|| text("reason").to_owned());
    let details = &status["details"];
    let detail = |field: &str| details[field].as_str().unwrap_or_default().to_owned();
    refusal.kind = detail("kind");
    refusal.group = detail("group");
    refusal.name = detail("name");
    refusal.uid = detail("uid");
    let causes = details["causes"].as_array().into_iter().flatten();
    refusal.causes = causes.filter_map(|cause| Cause::deserialize(cause).ok()).collect();
    let seconds = details["retryAfterSeconds"].as_i64().and_then(|seconds| i32::try_from(seconds).ok());
    refusal.retry_after_seconds = seconds.filter(|seconds| *seconds > 0);
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_what_the_webhook_told() {
        let details = json!({"kind": "Cluster", "group": "x.io", "name": "a", "uid": "u", "retryAfterSeconds": 5,
                             "causes": [{"reason": "FieldValueInvalid", "message": "no", "field": "spec.a"}, {"message": "b"}]});
        let whole = json!({"code": 422, "reason": "Invalid", "message": "no", "details": details});
        for (name, status, code, reason, want) in [
            ("the details of what is invalid", whole, 422, json!("Invalid"), details),
            (
                "a reason of its own",
                json!({"reason": "TooOld", "code": 403}),
                403,
                json!("TooOld"),
                Value::Null,
            ),
            ("no reason", json!({"message": "no", "code": 403}), 403, Value::Null, Value::Null),
            ("nothing", Value::Null, 400, Value::Null, Value::Null),
        ] {
            let told = refused("hook.example.com", status).to_json();
            assert_eq!((&told["code"], &told["reason"]), (&json!(code), &reason), "{name}");
            assert_eq!(told["details"], want, "{name}");
        }
        let refusal = refused("hook.example.com", json!({"message": "no", "code": 403}));
        assert!(refusal.is(Reason::Forbidden), "who asks within the program goes by the code");
    }

    #[test]
    fn a_patch_comes_in_base64_or_as_numbers() {
        let patch = json!([{"op": "add", "path": "/a", "value": 1}]).to_string();
        for (name, patch, is_taken) in [
            ("in base64", json!(BASE64_STANDARD.encode(&patch)), true),
            ("as numbers", json!(patch.as_bytes()), true),
            ("no base64", json!("{"), false),
            ("no bytes", json!([256]), false),
            ("itself", json!({"op": "add"}), false),
        ] {
            let response = json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": patch});
            let review =
                json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
            let read = Answer::read(review.to_string().as_bytes(), "u", Version::V1, true);
            let patch = read.ok().and_then(|answer| answer.patch().unwrap());
            let patched = patch.map(|patch| patch.apply(json!({})).unwrap());
            assert_eq!(patched, is_taken.then(|| json!({"a": 1})), "{name}");
        }
    }

    #[test]
    fn a_patch_has_a_type_and_comes_from_who_may_change() {
        let invalid = |why: &str| Some(format!("received invalid webhook response: {why}"));
        let patch = json!(BASE64_STANDARD.encode(json!([]).to_string()));
        for (given, version, may_patch, want) in [
            (json!({}), Version::V1, false, None),
            (json!({"patch": patch, "patchType": "JSONPatch"}), Version::V1, true, None),
            (
                json!({"patch": patch}),
                Version::V1,
                true,
                invalid("webhook returned response.patch but not response.patchType"),
            ),
            (
                json!({"patchType": "JSONPatch"}),
                Version::V1,
                true,
                invalid("webhook returned response.patchType but not response.patch"),
            ),
            (
                json!({"patch": patch, "patchType": "Merge"}),
                Version::V1,
                true,
                invalid("response.patchType must be \"JSONPatch\", got \"Merge\""),
            ),
            (
                json!({"patch": patch, "patchType": "JSONPatch"}),
                Version::V1,
                false,
                invalid("validating webhook may not return response.patch"),
            ),
            (
                json!({"patchType": "JSONPatch"}),
                Version::V1,
                false,
                invalid("validating webhook may not return response.patchType"),
            ),
            (json!({"patch": patch}), Version::V1beta1, false, None),
        ] {
            let mut response = given.clone();
            response["uid"] = json!("u");
            response["allowed"] = json!(true);
            let review =
                json!({"apiVersion": version.api_version(), "kind": "AdmissionReview", "response": response});
            let read = Answer::read(review.to_string().as_bytes(), "u", version, may_patch);
            assert_eq!(read.err(), want, "{given}");
        }
    }
}
