//! What a value must satisfy beyond its type.

use crate::formats::Format;
use crate::re2::KeptPattern;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// The value validations of one schema node, and those within its logical junctors (`allOf`, `anyOf`, `oneOf`, `not`),
/// where they also look at fields and items.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    pub(crate) required: Vec<String>,
    pub(crate) one_of_values: Vec<Value>,
    pub(crate) pattern: Option<KeptPattern>,
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
    /// Only where there are no schema nodes to say it: within a junctor, and of the metadata.
    pub(crate) fields: BTreeMap<String, Checks>,
    pub(crate) items: Option<Box<Checks>>,
    /// Only within the junctors of an int-or-string.
    pub(crate) kind: Option<&'static str>,
}

impl Checks {
    /// Whether everything passes.
    pub(crate) fn is_empty(&self) -> bool {
        let limits = [
            self.min_length,
            self.max_length,
            self.min_items,
            self.max_items,
            self.min_properties,
            self.max_properties,
        ];
        self.required.is_empty()
            && self.one_of_values.is_empty()
            && self.pattern.is_none()
            && self.format.is_none()
            && self.minimum.is_none()
            && self.maximum.is_none()
            && self.multiple_of.is_none()
            && limits.iter().all(Option::is_none)
            && !self.has_junctors()
            && self.fields.is_empty()
            && self.items.is_none()
            && self.kind.is_none()
    }

    pub(crate) fn has_junctors(&self) -> bool {
        self.not.is_some() || [&self.all_of, &self.any_of, &self.one_of].iter().any(|list| !list.is_empty())
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) exclusive: bool,
}

/// The checks of a schema node. Most nodes have none, and then take the room of a pointer.
#[derive(Debug, Clone, Default)]
pub struct NodeChecks(Option<Box<Checks>>);

static NONE: Checks = Checks {
    required: Vec::new(),
    one_of_values: Vec::new(),
    pattern: None,
    format: None,
    minimum: None,
    maximum: None,
    multiple_of: None,
    min_length: None,
    max_length: None,
    min_items: None,
    max_items: None,
    min_properties: None,
    max_properties: None,
    all_of: Vec::new(),
    any_of: Vec::new(),
    one_of: Vec::new(),
    not: None,
    fields: BTreeMap::new(),
    items: None,
    kind: None,
};

impl NodeChecks {
    pub(crate) fn into_checks(self) -> Checks {
        self.0.map_or_else(Checks::default, |checks| *checks)
    }
}

impl From<Checks> for NodeChecks {
    fn from(checks: Checks) -> Self {
        NodeChecks((!checks.is_empty()).then(|| Box::new(checks)))
    }
}

impl Deref for NodeChecks {
    type Target = Checks;

    fn deref(&self) -> &Checks {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for NodeChecks {
    fn deref_mut(&mut self) -> &mut Checks {
        self.0.get_or_insert_default()
    }
}
