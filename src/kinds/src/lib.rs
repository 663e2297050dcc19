//! Every built-in kind, one file each: its names, defaults, validation, columns and merge keys.
//!
//! A kind is a k8s-openapi type with [`Kind`] implemented for it, or, where no logic needs a type, a [`SchemaKind`]: names,
//! a schema and columns as data, as custom ones are. [`Handler`] is the same with the type erased, for
//! those who serve any kind; [`all`] is the list. Nothing here does I/O or knows who calls. Read [`Kind`] first.

#![forbid(unsafe_code)]

mod columns;
mod decode;
pub mod endpoints;
mod errors;
mod handler;
mod indexes;
mod kind;
mod meta;
pub mod node_affinity;
pub mod pod;
pub mod quota;
mod registry;
pub mod scale;
pub mod schedule;
pub mod selectors;
mod unstructured;
pub mod volume;

pub mod builtin;

pub use columns::{Cell, Column, age};
pub use decode::{FieldValidation, cannot_be_handled, told};
pub use errors::Errors;
pub use handler::{Conversion, Decoded, Handler, Instance, handler_of};
pub use indexes::Indexes;
pub use kind::{Durability, Kind, ResourceInfo, Scope};
pub use meta::{keep_all_metadata, key_of, validate_meta, validate_meta_update};
pub use registry::{Registry, all};
pub use unstructured::{Cells, JsonPath, Origin, Printer, ScalePaths, SchemaKind, Strategy, Unstructured};
