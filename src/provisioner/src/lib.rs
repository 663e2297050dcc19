//! Makes volumes for claims: a directory on this machine for each, below one that is ours, and removes it again.
//!
//! It answers to the name that minikube's provisioner has, so that people's storage classes fit. The binder asks (an
//! annotation on the claim), this makes a directory and a PersistentVolume that is promised to the claim, and the binder
//! binds the two. `plan.rs` (pure) says what a claim or a volume needs, `directories.rs` touches the disk: it only knows
//! directories whose names we gave, whatever the objects say. How large a directory grows nobody watches.
//!
//! Read [`run`] first, then `plan.rs`.

#![forbid(unsafe_code)]

mod directories;
mod plan;
mod run;
#[cfg(test)]
mod tests;

pub use run::{role, run};

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionerConfig {
    /// Where the directories of volumes are; made when the first is.
    pub directory: PathBuf,
}

/// As whom it writes; the role is `system:persistent-volume-provisioner`.
const NAME: &str = "storage-provisioner";
