//! Whole objects through defaults and validation, in tables.

mod common;
mod defaults;
mod validation;
