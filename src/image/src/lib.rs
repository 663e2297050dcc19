//! The one image store: references, blobs, unpacked layers, and the ways in and out (pull, push, load, save, commit,
//! import, build).
//!
//! It owns its directory and everything in it, and what it asks of registries. It knows neither Kubernetes nor the Docker
//! API nor containers: who uses an image holds a [`Lease`], and mounts the directories of a [`Rootfs`] itself. It keeps no
//! compressed layers: a layer is its unpacked directory plus a recipe from which its tar comes back byte for byte.
//!
//! On disk: `blobs/sha256/<hex>` (manifests, configurations), `layers/<chain id>/` (`diff`, `recipe`, `layer.json`),
//! `images.json` (which names mean which image), `cache/` (of builds' cache mounts), `tmp/` (whatever is not
//! finished; swept on open), `ballast` and `ballast-inodes` (thrown away when the disk is full, so that images can be
//! removed). Everything comes into sight by a rename, so nothing half made is ever seen.
//!
//! Read [`ImageStore`] first, then `pull.rs` and `unpack.rs`, then `build.rs`.

#![forbid(unsafe_code)]

mod build;
mod cache_mounts;
mod commit;
mod config;
mod digest;
mod document;
mod document_bounds;
mod embedded;
mod error;
#[cfg(test)]
mod full_disk;
#[cfg(fuzzing)]
pub mod fuzzing;
mod layer_jobs;
mod links;
mod load;
mod manifest;
mod platform;
mod printable;
mod progress;
mod pull;
mod push;
mod reference;
mod registries;
mod registry;
mod resolve;
mod save;
mod service;
mod store;
mod tar_split;
#[cfg(test)]
mod testing;
mod turns;
mod unpack;
mod upper;

pub use build::{
    BuildContext, BuildCredentials, BuildError, BuildEvent, BuildOptions, BuildOutput, BuildProgress,
    BuildResult, BuildRunner, BuildSecrets, BuildSsh, Channel, CheckInput, Checked, Classic, Dialect,
    Finding, FoundPath, MountSource, NamedContext, Outline, OutlineItem, PlannedStep, Removal, Rule,
    RunMount, RunSettings, RunSpec, SshAgent, TargetStage, apply_changes, is_remote_context,
};
pub use cache_mounts::CacheMount;
pub use digest::Digest;
pub use document::{Empty, Healthcheck, HistoryItem, ImageDocument, RootfsList, RunConfig};
pub use embedded::Archive;
pub use error::ImageError;
pub use links::follow_links;
pub use platform::{Platform, architecture};
pub use printable::printable;
pub use progress::{LayerStatus, Progress, PullEvent, PushEvent, PushProgress, PushStatus, Silent};
pub use reference::ImageRef;
pub use registries::{Proxies, Registries};
pub use registry::registry_domain;
pub use resolve::RemoteImage;
pub use store::{DiskUsage, HistoryLine, ImageDetails, ImageStore, ImageUsage, Lease, Pruned, Rootfs};
pub use unpack::{BoundedHeaders, Content, HeaderBound, unpacked};
