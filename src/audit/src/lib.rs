//! Who did what, and when: upstream's audit log (`audit.k8s.io/v1`). What is told of a request is for a policy to say.
//!
//! It knows policies, events and the file that they are written to; it knows neither HTTP nor the cluster: whoever answers
//! requests makes the events. Read [`Policy::decide`] first.

#![forbid(unsafe_code)]

mod event;
mod log;
mod policy;

pub use event::{Event, ObjectReference, ResponseStatus, UserInfo};
pub use log::{AuditLog, Rotation};
pub use policy::{Decision, Level, Policy, PolicyError, ResourceOf, Stage, Subject};
