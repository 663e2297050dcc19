//! Every built-in kind: its names, defaults, validation and columns. Its fields, and how lists of them are merged, are `schema`'s.
//!
//! A [`Kind`] is a value, and so is each [`Version`] that serves it: names, a schema, columns and subresources as data, and a
//! [`Strategy`] for what it does. A kind with logic is a k8s-openapi type with [`TypedKind`] implemented for it; where no
//! logic needs a type, it is a [`SchemaKind`], as custom ones are. [`all`] is the list. Nothing here does I/O or knows who
//! calls. Read [`Version`] and [`TypedKind`] first.

#![forbid(unsafe_code)]

pub mod annotations;
mod api_priority;
mod columns;
pub mod container_transitions;
pub mod csi;
pub mod data_source;
pub mod declared_features;
mod decode;
pub mod endpoints;
mod host_ports;
mod indexes;
mod instance;
pub mod job;
mod kind;
mod managed_fields;
mod meta;
pub mod node_affinity;
pub mod pod;
pub mod quota;
mod registry;
mod resource_info;
pub mod scale;
mod scale_numbers;
pub mod schedule;
pub mod selectors;
pub mod snapshot;
mod stored_kind;
mod strategy;
mod subresource;
mod typed;
mod typed_kind;
mod unstructured;
mod version;
pub mod volume;

pub mod builtin;

pub use api_priority::ApiPriority;
pub use columns::{Cell, Column, age};
pub use decode::{FieldValidation, cannot_be_handled, told, why_not_handled};
pub use host_ports::HostPorts;
pub use indexes::Indexes;
pub use instance::Instance;
pub use kind::Kind;
pub use managed_fields::{LONGEST_MANAGER, is_printable, validate_field_manager};
pub use meta::{keep_all_metadata, key_of, validate_meta, validate_meta_update, whole_second};
pub use registry::{Registry, all};
pub use resource_info::{Durability, ResourceInfo, Scope, VERBS};
pub use scale_numbers::ScaleNumbers;
pub use schema::{ErrorList, zero_nulls};
pub use stored_kind::{CustomKind, StoredKind};
pub use strategy::{Decoded, Strategy};
pub use subresource::Subresource;
pub use typed::version_of;
pub use typed_kind::TypedKind;
pub use unstructured::{Cells, JsonPath, Logic, Origin, Printer, ScalePaths, SchemaKind, Unstructured};
pub use version::{Conversion, SchemaRef, Version};
