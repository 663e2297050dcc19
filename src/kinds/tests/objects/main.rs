//! Whole objects through defaults and validation, in tables.

mod common;
mod coverage;
mod defaults;
mod pod_status;
mod statuses;
mod updates;
mod validation;
mod warnings;
