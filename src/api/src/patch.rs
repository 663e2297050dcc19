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
        // no cause beside it: kubectl prints causes in the place of the message, each with the field that it has not
        let message = format!("the server rejected our request due to an error in our request: {e}");
        Status::new(crate::Reason::Invalid, message)
    })?;
    Ok(target)
}

pub fn merge_patch(mut target: Value, patch: &Value) -> Value {
    json_patch::merge(&mut target, patch);
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_that_does_not_fit_says_where() {
        let patch = json!([{"op": "test", "path": "/replicas", "value": 9}]);
        let status = json_patch(json!({"replicas": 2}), &patch).unwrap_err();
        assert_eq!((status.code, status.causes.len()), (422, 0));
        assert!(status.message.contains("'/replicas'"), "{status}");
    }
}
