//! What a value must satisfy beyond its type.

use crate::formats::Format;
use crate::re2::Pattern;
use serde_json::Value;
use std::collections::BTreeMap;

/// The value validations of one schema node, and those within its logical junctors (`allOf`, `anyOf`, `oneOf`, `not`),
/// where they also look at fields and items.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    pub(crate) required: Vec<String>,
    pub(crate) one_of_values: Vec<Value>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) format: Option<Format>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) all_of: Vec<Checks>,
    pub(crate) any_of: Vec<Checks>,
    pub(crate) one_of: Vec<Checks>,
    pub(crate) not: Option<Box<Checks>>,
    /// Only within a junctor: a node's own fields and items are schema nodes of their own.
    pub(crate) fields: BTreeMap<String, Checks>,
    pub(crate) items: Option<Box<Checks>>,
    /// Only within the junctors of an int-or-string.
    pub(crate) kind: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) exclusive: bool,
}
