//! The values that an expression is evaluated with.

use crate::json::of_json;
use crate::list_types::ListTypes;
use kube_cel::cel::Value;
use std::sync::Arc;

/// What an expression may name.
#[derive(Clone, Default)]
pub struct Variables {
    pub(crate) values: Vec<(&'static str, Value)>,
    /// Of the lists in them.
    pub(crate) list_types: Arc<ListTypes>,
}

impl Variables {
    #[must_use]
    pub fn json(self, name: &'static str, value: &serde_json::Value) -> Self {
        self.value(name, of_json(value))
    }

    #[must_use]
    pub(crate) fn value(mut self, name: &'static str, value: Value) -> Self {
        self.values.push((name, value));
        self
    }

    #[must_use]
    pub(crate) fn list_types(mut self, of: &Arc<ListTypes>) -> Self {
        self.list_types = of.clone();
        self
    }
}
