//! What a caller hands to the builder.

use super::output::BuildOutput;
use async_trait::async_trait;
use cri::{Credentials, ImageInfo, Resources, Rlimit};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncRead;
use trees::TempDir;

/// The files that COPY and ADD may take.
pub enum BuildContext {
    /// A tar, which may be packed.
    Tar(Box<dyn AsyncRead + Send + Unpin>),
    /// A directory of this machine. It is copied once, at the beginning.
    Directory(PathBuf),
    /// The directory that a client sent; it goes with the build.
    Owned(TempDir),
    /// A repository, an archive, or a Dockerfile, somewhere else.
    Url(String),
    Empty,
}

/// Whose rules count where the classic builder and BuildKit differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    #[default]
    Classic,
    BuildKit,
}

/// What `docker build` was told beside the context.
#[derive(Clone, Default)]
pub struct BuildOptions {
    /// In the context; `Dockerfile` where empty.
    pub dockerfile: String,
    /// The Dockerfile itself, where it does not come with the context.
    pub dockerfile_text: Option<String>,
    /// `--build-arg`; `None` takes nothing, as the daemon has no environment to take it from.
    pub args: BTreeMap<String, Option<String>>,
    /// A stage's name or number; the last one where empty.
    pub target: String,
    pub no_cache: bool,
    /// `--no-cache-filter`: the names of stages that are made anew.
    pub no_cache_stages: Vec<String>,
    /// Ask the registry also where the base image is here.
    pub pull: bool,
    pub labels: BTreeMap<String, String>,
    pub tags: Vec<String>,
    /// The result is a step for the cache, and no image that is shown: for those who only export its files.
    pub hidden: bool,
    /// `os/arch[/variant]`; this machine's where empty.
    pub platform: String,
    /// `--build-context`: what FROM and `--from` mean by these names.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// For `RUN --mount=type=secret`.
    pub secrets: Option<Arc<dyn BuildSecrets>>,
    /// For `RUN --mount=type=ssh`.
    pub ssh: Option<Arc<dyn BuildSsh>>,
    pub credentials: Option<Arc<dyn BuildCredentials>>,
    pub run: RunSettings,
    pub dialect: Dialect,
    /// The client grants `network.host`: a Dockerfile is somebody else's, and may not have the machine's network by itself.
    pub may_use_host_network: bool,
}

#[derive(Debug, Clone)]
pub enum NamedContext {
    Directory(Arc<TempDir>),
    /// An image's name, with or without `docker-image://`.
    Image(String),
}

/// Asked only when a RUN needs one.
#[async_trait]
pub trait BuildSecrets: Send + Sync + 'static {
    /// `None` where nobody has it; the error says why it could not be asked for.
    async fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, String>;
}

#[async_trait]
impl BuildSecrets for BTreeMap<String, Vec<u8>> {
    async fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.get(id).cloned())
    }
}

/// Asked only when a registry is.
#[async_trait]
pub trait BuildCredentials: Send + Sync + 'static {
    /// To be tried in turn.
    async fn credentials(&self, registry: &str) -> Vec<Credentials>;
}

#[async_trait]
impl BuildCredentials for BTreeMap<String, Vec<Credentials>> {
    async fn credentials(&self, registry: &str) -> Vec<Credentials> {
        self.get(registry).cloned().unwrap_or_default()
    }
}

/// An agent of the client's, as a socket of this machine.
#[async_trait]
pub trait BuildSsh: Send + Sync + 'static {
    /// `id` is `default` where the Dockerfile says none. The socket lives as long as the agent.
    async fn agent(&self, id: &str) -> Result<Option<Box<dyn SshAgent>>, String>;
}

pub trait SshAgent: Send + Sync + 'static {
    fn socket(&self) -> PathBuf;
}

/// How all RUNs run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSettings {
    /// `none` or `host`; where the instruction says nothing itself.
    pub network: Option<String>,
    /// `name:address`
    pub extra_hosts: Vec<String>,
    /// Bytes of /dev/shm.
    pub shm_size: Option<u64>,
    pub rlimits: Vec<Rlimit>,
    pub resources: Resources,
}

/// What becomes of the containers that a classic build's RUNs ran in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Removal {
    /// Those of steps that failed stay, to be looked into.
    #[default]
    Successful,
    /// `--rm=false`
    Nothing,
    /// `--force-rm`
    All,
}

impl Removal {
    pub fn takes(self, has_failed: bool) -> bool {
        match self {
            Removal::Successful => !has_failed,
            Removal::Nothing => false,
            Removal::All => true,
        }
    }
}

/// One command to be run in a container of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSpec {
    /// 64 hex digits, unique.
    pub id: String,
    /// The id of the image that it runs on; empty upon nothing.
    pub image: String,
    /// overlayfs' lower directories, topmost first.
    pub layers: Vec<PathBuf>,
    /// Empty directories for overlayfs; what is in `upper` afterwards becomes the layer.
    pub upper: PathBuf,
    pub work: PathBuf,
    /// `NAME=value`
    pub env: Vec<String>,
    /// As USER has it, perhaps empty.
    pub user: String,
    pub cwd: String,
    pub argv: Vec<String>,
    pub mounts: Vec<RunMount>,
    /// `none` or `host` in `network` where the instruction says so.
    pub settings: RunSettings,
}

/// A mount that exists for one RUN only; the runner leaves no trace of its target in `upper` that was not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMount {
    /// Absolute.
    pub target: PathBuf,
    pub read_only: bool,
    pub source: MountSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A directory, file or socket of the machine.
    Host(PathBuf),
    /// What is at `part` beneath a directory that others write to: found by descriptors when it is mounted, as
    /// [`cri::subpath`] has it.
    Part {
        base: PathBuf,
        part: PathBuf,
    },
    /// A path inside of other layers, topmost first. What is written there is thrown away.
    Layers {
        layers: Vec<PathBuf>,
        path: PathBuf,
    },
    Tmpfs {
        size: Option<u64>,
    },
}

/// Runs the command to its end and gives its exit code. Dropping the future ends it.
#[async_trait]
pub trait BuildRunner: Send + Sync + 'static {
    async fn run(&self, spec: RunSpec, output: &dyn BuildOutput) -> cri::Result<i32>;
}

/// A finished build. The image stays as long as this lives, whoever removes its names.
#[derive(Debug)]
pub struct BuildResult {
    pub image: ImageInfo,
    pub hold: crate::Lease,
}
