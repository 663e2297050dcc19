//! The object model: what an object, its key, its kind, its revision and a refusal are.
//!
//! Everything here is pure: no tokio, no I/O, no clock. It knows the metadata that every object has and nothing of any
//! particular kind (those live in `kinds`). Read [`Object`] first, then [`Status`].

#![forbid(unsafe_code)]

pub mod apply;
mod footprint;
mod gvk;
pub mod json;
mod key;
mod kubernetes_version;
mod object;
pub mod patch;
pub mod quantity;
pub mod selector;
mod status;
pub mod values;

pub use footprint::footprint;
pub use gvk::{GroupResource, Gvk, Gvr, VersionPriority};
pub use key::{ObjectKey, ParseRevisionError, ResourceVersion};
pub use kubernetes_version::{KUBERNETES_VERSION, KubernetesVersion};
pub use object::{Meta, Object, OwnerRef, REVISION_PLACEHOLDER, Unstamped};
pub use selector::{FieldSelector, LabelSelector};
pub use status::{Cause, Reason, Status};

/// This machine's processor, as Go calls it: that is how nodes and servers name theirs.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub type Result<T, E = Status> = std::result::Result<T, E>;
