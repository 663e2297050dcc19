//! The patch formats: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge patch.

mod json;
mod strategic;

pub use json::JsonPatch;
pub use strategic::{Schema, strategic_merge};

use serde_json::Value;

pub fn merge_patch(mut target: Value, patch: &Value) -> Value {
    json_patch::merge(&mut target, patch);
    target
}
