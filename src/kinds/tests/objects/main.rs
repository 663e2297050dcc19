//! Whole objects through defaults and validation, in tables.

mod common;
mod coverage;
mod defaults;
mod validation;
mod warnings;
