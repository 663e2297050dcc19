//! A CustomResourceDefinition becomes kinds that the registry serves, or conditions that say why not.
//!
//! [`kinds_of`] makes a [`kinds::Version`] of each version that is served; [`conditions`] says what `status` tells of the
//! definition; [`names`] finds who has a name already. Pure: the controller that follows the definitions is elsewhere, and
//! so is what is done with the objects. Read [`kinds_of`] first.

#![forbid(unsafe_code)]

pub mod conditions;
mod custom_kind;
pub mod names;
#[cfg(test)]
mod tests;

pub use custom_kind::{kinds_of, kinds_without_schemas, measured_kinds_of, measured_kinds_of_stored};
