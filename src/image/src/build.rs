//! Images from Dockerfiles. `lines.rs`, `words.rs`, `runmount.rs` and `instruction.rs` read the text, `plan.rs` finds the
//! stages that count, `configuration.rs` does what an image says of how it runs; all of that is pure. `stage.rs` carries the stages
//! out side by side, `steps.rs` and its neighbours each kind of step, which is looked up by its key (`cache.rs`) before it is done;
//! `copy.rs` makes layers out of files without any mount. What a RUN needs of containers is behind [`BuildRunner`]; what happens is told as [`BuildEvent`]s,
//! which `classic.rs` makes a text of. Who only asks about a Dockerfile is answered by `check.rs` and `outline.rs`.
//!
//! Read [`ImageStore::build`] first.

mod archive;
mod bases;
mod cache;
mod caches;
mod check;
mod classic;
mod configuration;
mod configuring;
mod context;
mod copy;
mod copying;
mod delivery;
mod directory;
mod epoch;
mod fetching;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod git;
mod glob;
mod heredoc;
mod ignore;
mod instruction;
mod lines;
mod mounts;
mod options;
mod outline;
mod output;
mod owner;
mod pending;
mod plan;
mod planned;
mod progress;
mod remote;
mod runmount;
mod running;
mod stage;
mod steps;
mod suggest;
#[cfg(test)]
mod tests;
mod values;
mod view;
mod wanted;
mod words;

use crate::document::ImageDocument;
use crate::error::{ImageError, Result};
use crate::store::ImageStore;
use crate::{Digest, ImageRef};
pub use check::{CheckInput, Checked, Finding, Rule};
pub use classic::Classic;
pub use configuration::apply_changes;
use cri::blocking;
pub use delivery::FoundPath;
pub use options::{
    BuildContext, BuildCredentials, BuildOptions, BuildResult, BuildRunner, BuildSecrets, BuildSsh, Dialect,
    MountSource, NamedContext, Removal, RunMount, RunSettings, RunSpec, SshAgent,
};
pub use outline::{Outline, OutlineItem, TargetStage};
pub use output::{BuildOutput, Channel};
pub use progress::{BuildEvent, BuildProgress, PlannedStep};
pub use remote::is_remote as is_remote_context;
use std::sync::Arc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

const GIVEN_UP: &str = "the build was given up";

#[derive(Debug, Clone, thiserror::Error)]
pub enum BuildError {
    #[error("dockerfile parse error on line {line}: {why}")]
    Parse { line: usize, why: String },
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Run { command: String, code: i32 },
    /// `--target` names none of the stages.
    #[error("target stage {0:?} could not be found")]
    NoTarget(String),
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Runtime(#[from] cri::CriError),
}

impl From<JoinError> for BuildError {
    fn from(error: JoinError) -> Self {
        ImageError::from(error).into()
    }
}

impl BuildError {
    fn parse(line: usize, why: impl Into<String>) -> BuildError {
        BuildError::Parse { line, why: why.into() }
    }

    /// Whoever waited for the build has left, or the daemon ends.
    fn given_up() -> BuildError {
        BuildError::Failed(GIVEN_UP.into())
    }
}

impl ImageStore {
    /// Builds an image. Everything made on the way is a cache for the next build; a failure tags nothing.
    pub async fn build(
        &self,
        context: BuildContext,
        options: BuildOptions,
        runner: Arc<dyn BuildRunner>,
        progress: Arc<dyn BuildProgress>,
    ) -> Result<BuildResult, BuildError> {
        let built = self.build_from(context, options, runner, progress).await;
        built.map_err(|error| match error {
            BuildError::Image(why) => self.inner.say_if_full(why).into(),
            other => other,
        })
    }

    async fn build_from(
        &self,
        context: BuildContext,
        options: BuildOptions,
        runner: Arc<dyn BuildRunner>,
        progress: Arc<dyn BuildProgress>,
    ) -> Result<BuildResult, BuildError> {
        let tags = options.tags.iter().map(|tag| ImageRef::parse(tag)).collect::<Result<Vec<_>>>()?;
        // whoever gives the build up drops it: what works in the background hears of it
        let gone = CancellationToken::new();
        let _left = gone.clone().drop_guard();
        let ssh = options.ssh.as_deref();
        let context = context::Context::open(&self.inner, context, &options.dockerfile, ssh, &gone).await?;
        let text = match &options.dockerfile_text {
            Some(text) => text.clone(),
            None => context.dockerfile(&options.dockerfile)?,
        };
        let name = options.dockerfile.clone();
        // who sends the Dockerfile apart has left out what is ignored
        let context = match options.dockerfile_text {
            Some(_) => context,
            None => {
                let gone = gone.clone();
                blocking(move || context.without_ignored(&name, &gone)).await?
            }
        };
        let until = gone.clone();
        let planned = blocking(move || plan::plan(&text, &options, &until).map(|plan| (plan, options)));
        let (plan, options) = planned.await?;
        let (hidden, epoch) = (options.hidden, epoch::of(&options)?);
        let builder = stage::Builder::new(self, &plan, context, options, runner, progress, gone);
        let mut built = builder.build().await?;
        if let Some(at) = epoch {
            let store = self.inner.clone();
            built = blocking(move || epoch::dated(&store, &built, at)).await?;
        }
        let (store, id) = (self.inner.clone(), built.id.clone());
        let names = tags.iter().map(ImageRef::to_string).collect();
        let image = blocking(move || store.publish(&id, &tags, hidden)).await?;
        // it may have others: a build that changes nothing makes the image that it begins with
        let image = cri::ImageInfo { repo_tags: names, ..image };
        Ok(BuildResult { image, hold: built.hold })
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
    hold: crate::Lease,
}
