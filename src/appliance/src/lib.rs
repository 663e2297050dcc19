//! The one composition root: it makes the rooms, hands each what it needs, starts them in order and stops them in reverse.
//!
//! It owns the profile's places on disk, the certificates, the control socket and the shutdown; it decides nothing about
//! pods or services. Read [`run`] first.

#![forbid(unsafe_code)]

mod answers;
mod certs;
mod check;
mod claim;
mod control;
mod control_server;
mod daemon;
mod daemon_memory;
mod docker_only;
mod legacy;
mod lock;
mod log;
mod memory;
mod node;
mod node_address;
mod open_files;
mod places;
mod preflight;
mod purge;
mod scheduled_stop;
mod settings;
mod signer;

pub use certs::{AdminCredentials, Certificates};
pub use check::{Finding, State, check};
pub use control::{
    BuildContextAt, BuildRequest, ControlReply, ControlRequest, ControlStatus, Login, PullProgress, Refusal,
    ServiceAddress, ServicePort,
};
pub use cri::ImageInfo;
pub use daemon::{StartError, StartOptions, Step, run};
pub use daemon_memory::{DaemonMemory, DaemonMemoryError, ended_for_memory};
pub use kubelet::Paused;
pub use places::{Places, ProfileName, ProfileNameError};
pub use preflight::{Missing, preflight};
pub use purge::purge;
pub use settings::{Settings, SettingsError};

/// The image that the binary carries.
pub const SAMPLE_IMAGE: &str = sample::IMAGE;
/// The version of Kubernetes that is served.
pub const KUBERNETES: &str = api::KUBERNETES_VERSION.git;
