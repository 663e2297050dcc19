//! What a container is asked to be, and what is told of it.

use crate::{ContainerId, Resources, SandboxId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The exit code of a container whose first process could not be made; containerd's.
pub const CANNOT_START: i32 = 128;

/// All that makes one container. Whatever is `None` or empty comes from the image's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerConfig {
    pub name: String,
    /// How many times this name was made in this sandbox before.
    pub attempt: u32,
    /// An image id as [`crate::ImageService`] gives it.
    pub image: String,
    /// Replaces the image's ENTRYPOINT (and then also drops its CMD).
    pub command: Vec<String>,
    /// Replaces the image's CMD.
    pub args: Vec<String>,
    pub working_dir: Option<String>,
    /// Added to the image's, later ones win.
    pub env: Vec<(String, String)>,
    pub mounts: Vec<Mount>,
    pub devices: Vec<Device>,
    pub user: Option<String>,
    pub run_as_user: Option<i64>,
    pub run_as_group: Option<i64>,
    pub supplemental_groups: Vec<i64>,
    /// Refuse to start as uid 0.
    pub run_as_non_root: bool,
    pub privileged: bool,
    pub read_only_rootfs: bool,
    pub no_new_privileges: bool,
    /// Names without `CAP_`; `ALL` is allowed.
    pub add_capabilities: Vec<String>,
    pub drop_capabilities: Vec<String>,
    pub seccomp: Seccomp,
    /// Leave /proc unmasked.
    pub proc_unmasked: bool,
    /// What of /proc and /sys is hidden, and what can only be read; `None` is what is usual.
    #[serde(default)]
    pub masked_paths: Option<Vec<String>>,
    #[serde(default)]
    pub readonly_paths: Option<Vec<String>>,
    pub resources: Resources,
    pub stdin: bool,
    /// Close stdin after the first attached client went away.
    pub stdin_once: bool,
    pub tty: bool,
    /// Below the sandbox's log directory, `web/0.log`; the format is CRI's (`<RFC 3339> stdout F <line>`).
    pub log_path: PathBuf,
    /// A signal's name or number that overrides the image's STOPSIGNAL.
    pub stop_signal: Option<String>,
    /// The caller's own directories for what the container writes; without, they go with the container.
    #[serde(default)]
    pub root: Option<OverlayRootfs>,
    /// Targets of bind mounts whose empty source is first filled with what the image has there.
    #[serde(default)]
    pub copy_up: Vec<PathBuf>,
    #[serde(default)]
    pub rlimits: Vec<Rlimit>,
    /// More groups, by names that the image's /etc/group has, or numbers.
    #[serde(default)]
    pub group_names: Vec<String>,
    /// A process of the runtime's own comes first, which passes signals on and reaps orphans.
    #[serde(default)]
    pub init: bool,
    #[serde(default)]
    pub logging: Logging,
    /// Who may use which device nodes, beside [`ContainerConfig::devices`].
    #[serde(default)]
    pub device_rules: Vec<DeviceRule>,
    /// A first process that can not be made is no failure of `create_container` then: the container stays, as one that ended
    /// with [`CANNOT_START`] and the reason, and it is `start_container` that fails.
    #[serde(default)]
    pub keep_unstartable: bool,
    /// The PID namespace of another container of the sandbox, one that runs.
    #[serde(default)]
    pub pid_of: Option<ContainerId>,
    /// A cgroup namespace of its own; `None`: where the machine has cgroup v2 alone.
    #[serde(default)]
    pub cgroup_namespace: Option<bool>,
    /// Whether the container may write to its own cgroups; `None`: where it is privileged.
    #[serde(default)]
    pub writable_cgroups: Option<bool>,
    /// Columns and rows that its terminal begins with.
    #[serde(default)]
    pub terminal_size: Option<(u16, u16)>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    #[default]
    Unconfined,
    RuntimeDefault,
    /// A file in OCI runtime-spec JSON.
    Localhost(PathBuf),
    /// OCI runtime-spec JSON itself; also for a privileged container.
    Profile(String),
}

/// What is kept of the output of a container's first process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Logging {
    /// In one file, which the caller rotates.
    #[default]
    Kept,
    /// In so many files (at least one) of about so many bytes: `log`, `log.1`, …, the oldest last.
    Rotated { max_bytes: u64, max_files: u32 },
    /// Nothing.
    Dropped,
}

/// Where a container's root file system comes from and what it writes goes to. The caller keeps and removes the directories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayRootfs {
    /// Unpacked layers, topmost first, that the caller holds; empty for the image's own. With them no image is needed.
    pub layers: Vec<PathBuf>,
    /// Made where they are missing; on one file system.
    pub upper: PathBuf,
    pub work: PathBuf,
}

/// A limit of setrlimit(2) for the first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Lower case, without `RLIMIT_`: `nofile`.
    pub name: String,
    pub soft: u64,
    pub hard: u64,
}

/// A bind mount from the machine, or a tmpfs where neither `source` nor `image` is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub source: Option<PathBuf>,
    /// An image (name or id) instead of a source: all its layers, and nobody can write to them.
    #[serde(default)]
    pub image: Option<String>,
    /// Absolute, in the container.
    pub target: PathBuf,
    pub read_only: bool,
    pub propagation: Propagation,
    /// For a tmpfs: bytes.
    pub size_limit: Option<u64>,
    /// The OCI spec's options for it, where they are to be others than usual.
    #[serde(default)]
    pub options: Vec<String>,
    /// Only this part of the source, relative to it: the runtime opens it beneath the source and mounts what it opened
    /// ([`crate::subpath`]), so it may be in the hands of whoever writes there.
    #[serde(default)]
    pub subpath: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    #[default]
    Private,
    HostToContainer,
    Bidirectional,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub host_path: PathBuf,
    pub container_path: PathBuf,
    /// Some of `rwm`.
    pub permissions: String,
}

/// A rule of the device cgroup: `None` is any number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// `a`ll, `b`lock or `c`haracter devices.
    pub kind: char,
    pub major: Option<i64>,
    pub minor: Option<i64>,
    /// Some of `rwm`.
    pub access: String,
}

/// Where a container stands in its one way of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    Created,
    Running {
        pid: i32,
        started_at: jiff::Timestamp,
    },
    Exited {
        exit_code: i32,
        oom_killed: bool,
        started_at: Option<jiff::Timestamp>,
        finished_at: jiff::Timestamp,
        message: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerStatus {
    pub id: ContainerId,
    pub sandbox: SandboxId,
    pub name: String,
    pub attempt: u32,
    /// The image id, and what the user called it.
    pub image: String,
    pub image_ref: String,
    pub state: ContainerState,
    pub created_at: jiff::Timestamp,
    /// Absolute.
    pub log_path: PathBuf,
    pub tty: bool,
    pub stdin: bool,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}
