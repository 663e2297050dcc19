//! Pod sandboxes and their containers on this machine, as `cri::Runtime` wants them.
//!
//! It owns the records on the state disk, the live directories in the run directory, the cgroups of the profile, the OCI
//! specs, and the conversation with each sandbox's shim. It may know the image store (root file systems) and
//! `cri::Networks` (attachments), and nothing of Kubernetes or Docker. It deliberately runs no container itself: that is the
//! shim's, so that no container notices when this process ends. Read [`ShimRuntime`] first, then `spec::build`.

mod account;
mod capabilities;
mod cgroups;
mod client;
mod connection;
mod container;
mod container_prep;
mod containers;
mod create;
mod daemon_cgroup;
mod dismantle;
mod exec;
mod host;
mod launch;
mod memory;
mod mountpoints;
mod networks;
mod paths;
mod pid_namespace;
mod port_forward;
mod process;
mod program;
mod purge;
mod records;
mod recover;
mod rootfs;
mod runtime;
mod sandbox;
mod sandboxes;
mod shim_events;
mod signals;
mod spec;
mod starts;
mod stats;
mod streams;
mod unread;

pub use daemon_cgroup::{DaemonCgroup, cgroup_controllers};
pub use memory::{give_back_memory, let_go_of_code};
pub use purge::{Ended, end_recorded, purge, switch_off};
pub use runtime::ShimRuntime;
pub use unread::unread;

use std::path::PathBuf;

/// Where a profile's runtime keeps what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// On a disk: records, and what containers write. It is the runtime's alone: [`purge`] removes it.
    pub state_dir: PathBuf,
    /// On a tmpfs that a reboot empties: sockets, bundles. The runtime's alone as well.
    pub run_dir: PathBuf,
    /// The profile's cgroup, `monopod/dev`: everything is below it, in every hierarchy.
    pub cgroup: String,
    /// The program that is a shim when called as `<program> shim`.
    pub program: PathBuf,
}
