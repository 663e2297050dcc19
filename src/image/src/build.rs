//! Images from Dockerfiles. `lines.rs`, `words.rs` and `instruction.rs` read the text, `plan.rs` finds the stages that
//! count; all of that is pure. `stage.rs` carries the steps out, each looked up by its key before it is done; `copy.rs`
//! makes layers out of files without any mount. What a RUN needs of containers is behind [`BuildRunner`].
//!
//! Read [`ImageStore::build`] first.

mod archive;
mod cache;
mod context;
mod copy;
mod copying;
mod ignore;
mod instruction;
mod lines;
mod mounts;
mod output;
mod plan;
mod running;
mod stage;
mod steps;
#[cfg(test)]
mod tests;
mod view;
mod words;

use crate::document::ImageDocument;
use crate::error::{ImageError, Result};
use crate::pull::in_background;
use crate::store::ImageStore;
use crate::{Digest, ImageRef};
use async_trait::async_trait;
use cri::{Credentials, ImageInfo};
pub use output::{BuildOutput, Channel};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncRead;

/// What `docker build` was told beside the context.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// In the context; `Dockerfile` where empty.
    pub dockerfile: String,
    /// `--build-arg`; `None` takes nothing, as the daemon has no environment to take it from.
    pub args: BTreeMap<String, Option<String>>,
    /// A stage's name or number; the last one where empty.
    pub target: String,
    pub no_cache: bool,
    /// Ask the registry also where the base image is here.
    pub pull: bool,
    pub labels: BTreeMap<String, String>,
    pub tags: Vec<String>,
    /// For `RUN --mount=type=secret`, by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// By registry.
    pub credentials: BTreeMap<String, Vec<Credentials>>,
}

/// One command to be run in a container of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSpec {
    /// 64 hex digits, unique.
    pub id: String,
    /// overlayfs' lower folders, topmost first.
    pub layers: Vec<PathBuf>,
    /// Empty folders for overlayfs; what is in `upper` afterwards becomes the layer.
    pub upper: PathBuf,
    pub work: PathBuf,
    /// `NAME=value`
    pub env: Vec<String>,
    /// As USER has it, perhaps empty.
    pub user: String,
    pub cwd: String,
    pub argv: Vec<String>,
    pub mounts: Vec<RunMount>,
    /// `none` or `host` where the instruction says so.
    pub network: Option<String>,
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
    /// A folder or file of the machine.
    Host(PathBuf),
    /// A path inside of other layers, topmost first.
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

#[derive(Debug, Clone, thiserror::Error)]
pub enum BuildError {
    #[error("dockerfile parse error on line {line}: {why}")]
    Parse { line: usize, why: String },
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Run { command: String, code: i32 },
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Runtime(#[from] cri::CriError),
}

impl BuildError {
    fn parse(line: usize, why: impl Into<String>) -> BuildError {
        BuildError::Parse { line, why: why.into() }
    }
}

impl ImageStore {
    /// Builds an image from a context, a tar that may be packed. Everything made on the way is a cache for the next build;
    /// a failure tags nothing.
    pub async fn build(
        &self,
        context: impl AsyncRead + Send + Unpin + 'static,
        options: BuildOptions,
        runner: Arc<dyn BuildRunner>,
        output: Arc<dyn BuildOutput>,
    ) -> Result<ImageInfo, BuildError> {
        let store = self.inner.clone();
        let reader = tokio_util::io::SyncIoBridge::new(context);
        let context = in_background(move || context::Context::unpack(&store, reader)).await?;
        self.build_context(context, options, runner, output).await
    }

    /// The same with a folder of this machine as the context. It is read once, at the beginning.
    pub async fn build_folder(
        &self,
        folder: &Path,
        options: BuildOptions,
        runner: Arc<dyn BuildRunner>,
        output: Arc<dyn BuildOutput>,
    ) -> Result<ImageInfo, BuildError> {
        let (store, folder) = (self.inner.clone(), folder.to_owned());
        let context = in_background(move || context::Context::copy(&store, &folder)).await?;
        self.build_context(context, options, runner, output).await
    }

    async fn build_context(
        &self,
        context: context::Context,
        options: BuildOptions,
        runner: Arc<dyn BuildRunner>,
        output: Arc<dyn BuildOutput>,
    ) -> Result<ImageInfo, BuildError> {
        let tags = options.tags.iter().map(|tag| ImageRef::parse(tag)).collect::<Result<Vec<_>>>()?;
        let text = context.dockerfile(&options.dockerfile)?;
        let context = Arc::new(context.without_ignored(&options.dockerfile)?);
        let plan = plan::plan(&text, &options.args, &options.target)?;
        let builder = stage::Builder::new(self, &plan, context, options, runner, output.clone());
        let id = builder.build().await?;
        let store = self.inner.clone();
        let info = in_background(move || store.publish(&id, &tags)).await?;
        output.say(&format!("Successfully built {}\n", short(&info.id)));
        for tag in &info.repo_tags {
            if let Ok(tag) = ImageRef::parse(tag) {
                output.say(&format!("Successfully tagged {}\n", tag.familiar()));
            }
        }
        Ok(info)
    }
}

fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}

/// A finished step: an image by all means, but for its name.
#[derive(Debug, Clone)]
struct Built {
    id: Digest,
    document: ImageDocument,
    /// Nobody takes it away while it is built upon.
    _hold: crate::Hold,
}
