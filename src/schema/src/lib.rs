//! Structural schemas: what the fields of an object are, as data.
//!
//! It owns what a schema is ([`Schema`]), where one comes from (the table of the built-in types: [`table::named`]; the OpenAPI of
//! a CustomResourceDefinition: [`from_openapi`], which says why one is not structural, and [`from_stored`] for one that was
//! accepted), and the walks over a value beside its schema node: [`check()`] reads a client's bytes, [`zero_nulls`] makes values
//! of nulls as Go's decoder does, [`drop_zeros`] leaves out what its encoder does, [`prune()`] drops unknown fields and names
//! them, [`set_defaults`] fills in what was left out, [`validate()`] says what is wrong in upstream's words; server-side apply
//! and strategic merge ask the same nodes. [`re2`] reads the patterns that schemas and expressions have. Pure: JSON in, JSON out.
//! It knows no kinds, no versions and no store.
//!
//! Every walk is as deep as the schema and not as deep as the value: a hostile value can not make it recurse further than
//! [`DEEPEST`] levels, which a schema may not pass.

#![forbid(unsafe_code)]

pub mod base64_fields;
mod check;
mod checks;
mod default;
mod embedded;
mod errors;
mod footprint;
mod formats;
mod merge_keys;
mod numbers;
mod parse;
mod prune;
pub mod re2;
pub mod rows;
mod structure;
pub mod table;
#[cfg(test)]
mod tests;
mod validate;
mod zero;

pub use check::{Checked, WrongType, check, check_custom, doubled_fields};
pub use checks::{Checks, NodeChecks};
pub use default::{set_defaults, set_defaults_in};
pub use errors::ErrorList;
pub use parse::{Allowance, from_openapi, from_openapi_within, from_stored};
pub use prune::{drop_off, drop_unset_nulls, prune};
pub use table::Link;
pub use validate::{validate, validate_default, validate_update};
pub use zero::{drop_zeros, zero_nulls};

use serde_json::Value;
use std::collections::BTreeMap;

/// More levels than any schema in use has; a schema with more is refused, so that no walk can exhaust the stack.
pub const DEEPEST: usize = 128;

/// The fields of every object that no schema describes, though the root of one may ask for them and narrow the names.
const IDENTITY: &[&str] = &["apiVersion", "kind", "metadata"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Type {
    /// Whatever it is: `x-kubernetes-preserve-unknown-fields` without a type.
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    /// `x-kubernetes-int-or-string`
    IntOrString,
    // What follows only the built-in types have: each is a type of its own in Go.
    Int32,
    /// Bytes, as base64.
    Bytes,
    /// RFC 3339, in whole seconds; what a client sends may be finer.
    Time,
    MicroTime,
    Quantity,
    Duration,
}

/// How a list is merged, and whose its items may be: `x-kubernetes-list-type`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListType {
    /// One value as a whole.
    #[default]
    Atomic,
    /// Plain values, each once.
    Set,
    /// Objects that are told apart by these fields.
    Map(Vec<String>),
}

/// Upstream's `patchStrategy: merge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Plain values, each once.
    Values,
    /// Objects that are told apart by this field.
    By(&'static str),
}

/// One `x-kubernetes-validations` rule, as it was written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rule {
    pub rule: String,
    pub message: String,
    pub message_expression: String,
    pub reason: String,
    pub field_path: String,
    pub optional_old_self: bool,
}

/// What bounds how much there may be of a value: a limit that is not set is `None`.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'s> {
    /// In characters.
    pub max_length: Option<u64>,
    pub max_items: Option<u64>,
    pub max_properties: Option<u64>,
    /// The fields that must be there.
    pub required: &'s [String],
    /// The only values that there may be, unless it is empty.
    pub values: &'s [Value],
}

/// A node of a structural schema.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub kind: Type,
    pub nullable: bool,
    /// Held apart, as all that few nodes have: a definition has thousands of nodes.
    pub default: Option<Box<Value>>,
    pub properties: BTreeMap<String, Link>,
    /// The values of an object whose keys are the user's.
    pub additional: Option<Link>,
    pub items: Option<Link>,
    /// Fields that are not named here stay.
    pub preserve_unknown: bool,
    /// The object has a kind, a version and metadata of its own.
    pub embedded: bool,
    pub list: ListType,
    /// How a strategic merge patch merges the list here; `None`: it replaces it. A custom resource takes no such patch.
    pub merge: Option<Merge>,
    /// The name of a built-in type, in the table (`core.v1.Container`).
    pub name: &'static str,
    /// `x-kubernetes-map-type: atomic`
    pub atomic: bool,
    /// Of a feature that is off by default: the field is published, and [`drop_off`] takes it from what a client sends.
    pub off: bool,
    pub checks: NodeChecks,
    /// Only at the root: what it asks of the type and the names, which are the system's and no nodes.
    pub identity: Option<Box<BTreeMap<String, Checks>>>,
    pub rules: Vec<Rule>,
}

impl Schema {
    /// The node below, by a field of an object.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(self.additional.as_ref()).map(|link| &**link)
    }

    /// What the text here must look like, by upstream's name of it: `date-time`, `duration`.
    pub fn format(&self) -> Option<&'static str> {
        self.checks.format.map(|format| format.name())
    }

    /// Of the node itself, whatever its junctors say, as upstream counts them where it estimates what a rule may cost.
    pub fn bounds(&self) -> Bounds<'_> {
        Bounds {
            max_length: self.checks.max_length,
            max_items: self.checks.max_items,
            max_properties: self.checks.max_properties,
            required: &self.checks.required,
            values: &self.checks.one_of_values,
        }
    }

    /// Whether the root looks at an object's type or metadata, so that its other fields are not all that [`validate()`] needs.
    pub fn judges_identity(&self) -> bool {
        let checks = &self.checks;
        self.identity.is_some()
            || checks.has_junctors()
            || checks.min_properties.is_some()
            || checks.max_properties.is_some()
            || checks.required.iter().any(|name| IDENTITY.contains(&name.as_str()))
    }

    /// Whether something is filled in here or below.
    pub fn has_defaults(&self) -> bool {
        self.default.is_some()
            || self.properties.values().chain(&self.additional).chain(&self.items).any(|s| s.has_defaults())
    }

    /// Whether there is a rule here or below: those who evaluate rules need not look at the rest.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
            || self.properties.values().chain(&self.additional).chain(&self.items).any(|s| s.has_rules())
    }
}
