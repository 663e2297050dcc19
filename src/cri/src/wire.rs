//! What the runtime and a sandbox's shim say to each other on the shim's unix socket.
//!
//! A frame is a big-endian `u32` length and that many bytes of JSON. The runtime sends [`Call`]s, the shim answers each
//! with one [`Message::Reply`] of the same `seq`, in any order, and sends [`Message::Event`]s to every client. File
//! descriptors that belong to a reply travel (SCM_RIGHTS) with the first byte of its frame, in the order that the reply
//! names. Both ends are the same binary or an older one of it: add fields with `#[serde(default)]`, take none away.

use crate::{ContainerId, Logging, Propagation, SandboxId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// No frame is larger: a length above it is a peer that speaks something else.
pub const MAX_FRAME: usize = 4 << 20;

/// What a shim has in its directory ([`ShimConfig::dir`]): the socket that it serves,
pub const SOCKET: &str = "shim.sock";
/// the directory that is the sandbox's /dev/shm (a tmpfs, seen in the shim's mount namespace only),
pub const SHM: &str = "shm";
/// and, where the sandbox shares one, a link to its PID namespace: a `path` for a container's OCI spec.
pub const PID_NAMESPACE: &str = "pidns";

/// All that a shim needs to begin with; the runtime gives it to the new process on its standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShimConfig {
    pub id: SandboxId,
    /// The sandbox's directory in the run directory: the socket, mount points and libcontainer's state are in it.
    pub dir: PathBuf,
    pub hostname: String,
    pub host_network: bool,
    pub host_pid: bool,
    pub host_ipc: bool,
    pub share_pid: bool,
    pub sysctls: BTreeMap<String, String>,
    /// `cgroup.procs` files of the cgroups that the shim itself moves to.
    pub cgroup_procs: Vec<PathBuf>,
    /// Of the sandbox's /dev/shm; without one (the host's IPC namespace) there is none.
    pub shm_size: Option<u64>,
    #[serde(default)]
    pub domainname: String,
    #[serde(default)]
    pub host_uts: bool,
    /// Another sandbox's IPC, instead of a new one.
    #[serde(default)]
    pub shared_ipc: Option<SharedIpc>,
    /// Another sandbox's network namespace, instead of a new one.
    #[serde(default)]
    pub shared_network: Option<PathBuf>,
    /// Directories of cgroups that it enters before anything else, so that what it needs is counted there.
    #[serde(default)]
    pub cgroups: Vec<PathBuf>,
}

impl ShimConfig {
    /// Of a sandbox that has all namespaces to itself, no name, no /dev/shm and no cgroup.
    pub fn new(id: SandboxId, dir: PathBuf) -> Self {
        ShimConfig {
            id,
            dir,
            hostname: String::new(),
            host_network: false,
            host_pid: false,
            host_ipc: false,
            share_pid: false,
            sysctls: BTreeMap::new(),
            cgroup_procs: Vec::new(),
            shm_size: None,
            domainname: String::new(),
            host_uts: false,
            shared_ipc: None,
            shared_network: None,
            cgroups: Vec::new(),
        }
    }
}

/// Where a shim finds the IPC namespace and the /dev/shm of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedIpc {
    /// `/proc/<pid>/ns/ipc` and `…/mnt` of the other shim.
    pub namespace: PathBuf,
    pub mounts: PathBuf,
    /// Its directory [`SHM`], as that mount namespace has it.
    pub shm: PathBuf,
}

/// The shim's one line on its standard output before it lets go of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShimReady {
    Serving { pid: i32, start_time: u64 },
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub seq: u64,
    pub request: Request,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// What the shim has; the answer is [`Reply::Containers`].
    Hello,
    /// Mounts the container's root file system in the shim's mount namespace.
    Mount(MountRequest),
    /// Makes the container with its first process waiting to be started.
    Create(CreateRequest),
    Start {
        container: ContainerId,
    },
    /// To the first process, or to every process of the container's cgroup.
    Signal {
        container: ContainerId,
        signal: i32,
        all: bool,
    },
    /// Answers [`Reply::Streams`].
    Exec(ExecRequest),
    SignalExec {
        exec: u64,
        signal: i32,
    },
    /// Answers [`Reply::Streams`].
    Attach {
        container: ContainerId,
        stdin: bool,
        stdout: bool,
        stderr: bool,
    },
    Resize {
        container: ContainerId,
        width: u16,
        height: u16,
    },
    ReopenLog {
        container: ContainerId,
    },
    /// Unmounts and forgets a container that has ended or never was made.
    Remove {
        container: ContainerId,
    },
    /// Kills what runs and ends the shim; the connection's end is the answer.
    Shutdown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    pub container: ContainerId,
    /// Unpacked layers, topmost first.
    pub layers: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub target: PathBuf,
    /// Whether this kernel's overlayfs takes its layers one by one; where it is not said the shim tries.
    #[serde(default)]
    pub stacks: Option<bool>,
    /// Directories of the machine whose mounts must reach the machine again (`Bidirectional`), or must not reach the container.
    #[serde(default)]
    pub shared: Vec<SharedMount>,
    /// Before the parts, which may be of them. A shim that is too old to know them makes none, and the container's create fails.
    #[serde(default)]
    pub images: Vec<ImageMount>,
    /// A shim that is too old to know them makes none, and the container's create fails for the lack of them: never is the
    /// whole volume mounted instead.
    #[serde(default)]
    pub parts: Vec<PartMount>,
}

/// Unpacked layers, topmost first and at least two, as one file system that nobody writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageMount {
    pub layers: Vec<PathBuf>,
    pub target: PathBuf,
}

/// Takes what is at `subpath` beneath `source`, by the descriptor that it was found with, to `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartMount {
    pub source: PathBuf,
    pub subpath: PathBuf,
    pub target: PathBuf,
    pub propagation: Propagation,
}

/// Takes the mount at `source` from the machine's mount namespace, peer group and all, to `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMount {
    pub source: PathBuf,
    pub target: PathBuf,
    /// Out of every peer group instead: what is mounted on the machine later does not come in.
    #[serde(default)]
    pub private: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRequest {
    pub container: ContainerId,
    /// Holds `config.json`, the OCI spec; the shim writes `status.json` into it.
    pub bundle: PathBuf,
    /// Absolute.
    pub log_path: PathBuf,
    pub tty: bool,
    /// Columns and rows.
    #[serde(default)]
    pub terminal_size: Option<(u16, u16)>,
    pub stdin: bool,
    pub stdin_once: bool,
    #[serde(default)]
    pub logging: Logging,
    pub cgroup: CgroupFiles,
    /// In the order in which they are made.
    #[serde(default)]
    pub late: Vec<LateMount>,
    /// What asks its first process to end where the shim itself is told to; SIGTERM where it is not said.
    #[serde(default)]
    pub stop_signal: Option<i32>,
    /// Files that the shim has open as long as it runs: a loop device that is open keeps its file, and the container could let
    /// it go. In the shim's mount namespace.
    #[serde(default)]
    pub held: Vec<PathBuf>,
    /// Where volumes are mounted in the container that have something inside of them: until it is made no link in them leads
    /// anywhere.
    #[serde(default)]
    pub guarded: Vec<PathBuf>,
    /// Where it is said, the shim puts the container into its cgroups and shows them to it, and the spec says nothing of either.
    #[serde(default)]
    pub cgroup_view: Option<CgroupView>,
}

/// What a container sees of its cgroups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupView {
    /// Directories of cgroups, and where they are in the container.
    pub shown: Vec<(PathBuf, PathBuf)>,
    pub writable: bool,
}

/// A bind onto /dev, or below such a one: made when all else of the container is, and before anything runs in it. Nothing
/// is made for it: what it is mounted on must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateMount {
    /// In the shim's mount namespace.
    pub source: PathBuf,
    pub target: PathBuf,
    pub recursive: bool,
    pub read_only: bool,
    /// What is mounted below it as well.
    pub read_only_below: bool,
    pub propagation: Propagation,
}

/// Where the kernel keeps a container's cgroups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupFiles {
    /// One directory a hierarchy (v1), or the one directory (v2).
    pub dirs: Vec<PathBuf>,
    /// The one whose `cgroup.procs` tells the members.
    pub members: Option<PathBuf>,
    /// The one with the memory controller's files.
    pub memory: Option<PathBuf>,
    pub unified: bool,
}

/// A process in a container, resolved: numbers instead of names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    pub exec: u64,
    pub container: Option<ContainerId>,
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    pub cwd: PathBuf,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Bit n is capability n. A process that is not root has them as bounding set only.
    pub capabilities: u64,
    pub no_new_privileges: bool,
    /// Apply the filter of the container's own spec.
    pub seccomp: bool,
    pub tty: bool,
    pub terminal_size: Option<(u16, u16)>,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    Reply { seq: u64, result: Result<Reply, String> },
    Event(ShimEvent),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    Done,
    Created {
        pid: i32,
    },
    Containers(Vec<(ContainerId, ContainerRecord)>),
    /// The descriptors sent along, in this order.
    Streams {
        pid: i32,
        fds: Vec<StreamFd>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamFd {
    Stdin,
    Stdout,
    Stderr,
    /// A terminal's master: input, output and window size in one.
    Terminal,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ShimEvent {
    Exited { container: ContainerId, exit: ExitRecord },
    OutOfMemory { container: ContainerId },
    ExecExited { exec: u64, exit_code: i32 },
}

/// `status.json` in a container's bundle: how far it came. Written by the shim, whole, before it tells anyone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    pub pid: Option<i32>,
    pub started_at: Option<jiff::Timestamp>,
    pub exit: Option<ExitRecord>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitRecord {
    pub exit_code: i32,
    pub oom_killed: bool,
    pub finished_at: jiff::Timestamp,
    pub message: String,
}

/// One frame, ready to be written.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut frame = vec![0; 4];
    // these types have no map with keys that are no strings, and writing to a Vec does not fail
    serde_json::to_writer(&mut frame, message).unwrap_or_default();
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Takes the first whole frame off `buffer`; `None` while it is not all there.
pub fn decode<T: DeserializeOwned>(buffer: &mut Vec<u8>) -> Result<Option<T>, String> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*head) as usize;
    if length > MAX_FRAME {
        return Err(format!("frame of {length} bytes: the most is {MAX_FRAME}"));
    }
    let Some(body) = buffer.get(4..4 + length) else {
        return Ok(None);
    };
    let message = serde_json::from_slice(body).map_err(|e| format!("frame: {e}"));
    buffer.drain(..4 + length);
    message.map(Some)
}

#[cfg(test)]
mod tests;
