//! The images that a build begins with, or takes files of.

use super::stage::Builder;
use super::{BuildError, BuildEvent, BuildProgress, Built, NamedContext};
use crate::{Digest, ImageRef, Platform, Progress, PullEvent};
use std::sync::Arc;

impl Builder<'_> {
    /// The image that FROM or `--from` names: one that `--build-context` gave, one that is here, or one to be pulled.
    pub(super) async fn base_image(
        &self,
        step: usize,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<Built, BuildError> {
        let name = match self.options.named_contexts.get(name) {
            Some(NamedContext::Image(image)) => image.strip_prefix("docker-image://").unwrap_or(image),
            Some(NamedContext::Directory(_)) => {
                return Err(BuildError::Failed(format!("build context {name} is a directory, and no image")));
            }
            None => name,
        };
        // an id names what is here, and nothing in a registry
        let is_id = name.starts_with("sha256:");
        if !is_id && (self.options.pull || !self.has(name, platform)?) {
            platform.map_or(Ok(()), Platform::check)?;
            let reference = ImageRef::parse(name)?;
            let credentials = match &self.options.credentials {
                Some(known) => known.credentials(reference.domain()).await,
                None => Vec::new(),
            };
            let told = Arc::new(Pulling { step, progress: self.progress.clone() });
            self.store.pull_for(name, platform, &credentials, told).await?;
        }
        let rootfs = self.store.rootfs(name)?;
        let document = self.store.details(&rootfs.id)?.document;
        Ok(Built { id: Digest::parse(&rootfs.id)?, document, hold: rootfs.hold })
    }

    /// Whether the image is here, and for this platform.
    fn has(&self, name: &str, platform: Option<&Platform>) -> Result<bool, BuildError> {
        if self.store.image(name)?.is_none() {
            return Ok(false);
        }
        let Some(wanted) = platform else { return Ok(true) };
        let document = self.store.details(name)?.document;
        let own = Platform { architecture: document.architecture, os: document.os, variant: None };
        Ok(wanted.is_served_by(&own))
    }
}

struct Pulling {
    step: usize,
    progress: Arc<dyn BuildProgress>,
}

impl Progress for Pulling {
    fn event(&self, event: PullEvent) {
        self.progress.tell(BuildEvent::Pull { step: self.step, event: &event });
    }
}
