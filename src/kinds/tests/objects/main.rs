//! Whole objects through defaults and validation, in tables.

mod common;
mod coverage;
mod defaults;
mod updates;
mod validation;
mod warnings;
