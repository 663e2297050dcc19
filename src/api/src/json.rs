//! Between a type and its JSON as a value, through bytes.
//!
//! serde compiles each reader and each writer anew for every type that is below the one in question, and below a pod is a third of
//! Kubernetes. So those types have one of each, which is that of bytes; a value costs a few microseconds more by this way.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Result, Value};

/// # Errors
/// A map whose keys are no strings; Kubernetes' types have none.
pub fn to_value(typed: &impl Serialize) -> Result<Value> {
    serde_json::from_slice(&serde_json::to_vec(typed)?)
}

/// # Errors
/// It does not fit the type.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}
