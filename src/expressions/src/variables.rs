//! The values that an expression is evaluated with.

use crate::json::of_json;
use kube_cel::cel::Value;

/// What an expression may name.
#[derive(Clone, Default)]
pub struct Variables(pub(crate) Vec<(&'static str, Value)>);

impl Variables {
    #[must_use]
    pub fn json(self, name: &'static str, value: &serde_json::Value) -> Self {
        self.value(name, of_json(value))
    }

    #[must_use]
    pub(crate) fn value(mut self, name: &'static str, value: Value) -> Self {
        self.0.push((name, value));
        self
    }
}
