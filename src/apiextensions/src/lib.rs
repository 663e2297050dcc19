//! A CustomResourceDefinition becomes kinds that the registry serves, or conditions that say why not.
//!
//! [`kinds_of`] makes a [`kinds::Handler`] of each served version; [`conditions`] says what `status` tells of the
//! definition; [`names`] finds who has a name already. Pure: the controller that follows the definitions is elsewhere, and
//! so is what is done with the objects. Read [`kinds_of`] first.

#![forbid(unsafe_code)]

pub mod conditions;
mod custom_kind;
mod json_path;
pub mod names;
mod printer;
#[cfg(test)]
mod tests;
mod unstructured;

pub use custom_kind::{CustomKind, kinds_of};
pub use json_path::JsonPath;
pub use unstructured::Unstructured;
