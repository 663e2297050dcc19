//! Makes volumes for claims: a directory on this machine for each, or a file where it is to be a device (`volumeMode: Block`),
//! below one that is ours, and removes it again.
//!
//! It answers to the name that minikube's provisioner has, so that people's storage classes fit. The binder asks (an
//! annotation on the claim), this makes a directory and a PersistentVolume that is promised to the claim, and the binder
//! binds the two. `plan.rs` (pure) says what a claim or a volume needs, `directories.rs` and `files.rs` touch the disk: they only
//! know names that we gave, whatever the objects say. How large a directory grows nobody watches. A file becomes a loop device
//! by the kubelet, while a pod has it; here it is only made larger with its file, and never removed before it was let go.
//!
//! A claim may begin with what another one holds: `source.rs` (pure) says of which directory its own is a copy, `copy.rs`
//! copies, and `copies.rs` does so beside the rest. A snapshot is such a copy, too: `snapshots.rs` (pure) says what a
//! VolumeSnapshotContent needs of its driver. Where snapshots are not defined, there are none.
//!
//! Read [`run`] first, then `plan.rs`.

#![forbid(unsafe_code)]

mod copies;
mod copy;
mod directories;
mod files;
mod parent;
mod plan;
mod run;
mod snapshots;
mod source;
#[cfg(test)]
mod tests;
mod waiting;

pub use run::{role, run};

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionerConfig {
    /// Where the directories of volumes are; made when the first is.
    pub directory: PathBuf,
    /// Where those of their snapshots are.
    pub snapshots: PathBuf,
}

/// As whom it writes; the role is `system:persistent-volume-provisioner`.
const NAME: &str = "storage-provisioner";
