//! The patch formats: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge patch.

mod strategic;

pub use strategic::{Schema, strategic_merge};

use crate::Status;
use serde_json::Value;

/// # Errors
/// `BadRequest` for what is no patch, `Invalid` for one that does not fit the target.
pub fn json_patch(mut target: Value, patch: &Value) -> Result<Value, Status> {
    let patch: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|e| Status::bad_request(format!("error decoding patch: {e}")))?;
    json_patch::patch(&mut target, &patch).map_err(|e| {
        let mut status = Status::new(
            crate::Reason::Invalid,
            "the server rejected our request due to an error in our request",
        );
        status.causes.push(crate::Cause { reason: "".into(), message: e.to_string(), field: String::new() });
        status
    })?;
    Ok(target)
}

pub fn merge_patch(mut target: Value, patch: &Value) -> Value {
    json_patch::merge(&mut target, patch);
    target
}
