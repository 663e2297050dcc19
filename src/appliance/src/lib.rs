//! The one composition root: it makes the components, hands each what it needs, starts them in order and stops them all at once.
//!
//! It owns the profile's paths on disk, the certificates, the control socket and the shutdown; it decides nothing about
//! pods or services. Read [`run`] first.

#![forbid(unsafe_code)]

mod addons;
mod answers;
mod api_server_flags;
mod certs;
mod check;
mod claim;
mod clock;
mod config_files;
mod control;
mod control_server;
mod daemon;
mod daemon_memory;
mod datastore;
mod datastore_copy;
mod docker_only;
mod error;
mod files;
mod followed;
mod legacy;
mod lifecycle;
mod lock;
mod log;
mod max_pods;
mod memory;
mod node;
mod node_address;
mod open_files;
mod paths;
mod preflight;
mod purge;
mod run_directory;
mod scheduled_stop;
mod seen;
mod service_network;
mod settings;
mod signer;
mod socket_owner;
mod start_options;
mod subnets;

pub use addons::{Addon, AddonObject, is_bundled_addon};
pub use certs::{AdminCredentials, Certificates, is_server_name};
pub use check::{Finding, State, check};
pub use control::{
    BuildContextAt, BuildRequest, ControlReply, ControlRequest, ControlStatus, Login, NOT_UNDERSTOOD,
    PullProgress, Refusal, ServiceAddress, ServicePort, StoreFull,
};
pub use cri::ImageInfo;
pub use daemon::run;
pub use daemon_memory::{DaemonMemory, DaemonMemoryError, ended_for_memory};
pub use datastore::{Datastore, DatastoreEndpoint};
pub use datastore_copy::{CopyReport, copy_datastore};
pub use error::StartError;
pub use files::ApiServerFiles;
pub use image::ImageRef;
pub use kubelet::Paused;
pub use lifecycle::{Step, outlast_signals};
pub use max_pods::{MaxPods, MaxPodsError};
pub use paths::{Paths, ProfileName, ProfileNameError};
pub use preflight::{Missing, preflight};
pub use purge::{purge, switch_off};
pub use settings::{Settings, SettingsError};
pub use start_options::StartOptions;

/// The image that the binary carries.
pub const SAMPLE_IMAGE: &str = sample::IMAGE;
/// The version of Kubernetes that is served.
pub const KUBERNETES: &str = api::KUBERNETES_VERSION.git;

/// A registry that may be insecure, as it is kept of what was typed.
///
/// # Errors
/// What is neither a host, with or without a port, nor a network.
pub fn insecure_registry(text: &str) -> Result<String, String> {
    image::Registries::insecure_registry(text).map_err(|error| error.to_string())
}

/// The add-ons that were enabled from manifests, by name.
///
/// # Errors
/// Where what is remembered can not be read.
pub fn addons(paths: &Paths) -> std::io::Result<std::collections::BTreeMap<String, Addon>> {
    addons::EnabledAddons::at(paths.addons()).read()
}

/// Every profile that was started, in the order of their names.
///
/// # Errors
/// Where they can not be listed: the directory that they lie in is root's.
pub fn profiles() -> std::io::Result<Vec<ProfileName>> {
    let state = Paths::of(&ProfileName::default()).state;
    state.parent().map_or_else(|| Ok(Vec::new()), profiles_in)
}

fn profiles_in(directory: &std::path::Path) -> std::io::Result<Vec<ProfileName>> {
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<ProfileName> = names.filter_map(|name| name.parse().ok()).collect();
    found.retain(|profile| Paths::of(profile).settings().exists());
    found.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn that_profiles_can_not_be_listed_is_not_that_there_are_none() {
        let there = tempfile::tempdir().unwrap();
        assert!(super::profiles_in(&there.path().join("none")).unwrap().is_empty());
        let file = there.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(super::profiles_in(&file).is_err());
    }
}
