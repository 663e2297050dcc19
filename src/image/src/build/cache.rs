//! Steps that were done before. Each is an image of its own, hidden, that knows the key it was made for: what it stood
//! on, what was to be done, and the files that went in.

use super::Built;
use crate::commit::Draft;
use crate::error::{ImageError, Result};
use crate::store::Inner;
use crate::{CacheMount, Digest, ImageRef, ImageStore, Pruned};
use cri::ImageInfo;
use std::sync::Arc;

pub(super) fn key(parent: Option<&Digest>, what: &str, files: Option<&Digest>) -> Digest {
    let parent = parent.map_or("scratch", Digest::as_str);
    let files = files.map_or("", Digest::as_str);
    Digest::of(format!("{parent}\n{files}\n{what}").as_bytes())
}

impl Inner {
    /// The step with this key, if it was done and is still whole.
    pub(super) fn step(self: &Arc<Self>, key: &Digest) -> Option<Built> {
        let id = {
            let state = self.state();
            let known = state.index.images.iter().filter(|(_, image)| image.step.as_ref() == Some(key));
            // done again without the cache, the later one counts
            known.max_by_key(|(_, image)| image.added_at).map(|(id, _)| id.clone())?
        };
        let document = crate::save::document(&self.blobs.read(&id).ok()?).ok()?;
        let hold = self.hold(&id).ok()?;
        Some(Built { id, document, hold })
    }

    pub(super) fn keep_step(self: &Arc<Self>, draft: &Draft, key: Digest) -> Result<Built> {
        let info = draft.finish_as(self, &[], Some(key))?;
        let id = Digest::parse(&info.id)?;
        let hold = self.hold(&id)?;
        Ok(Built { id, document: draft.document.clone(), hold })
    }

    /// Shows a built image, under its names.
    pub(super) fn publish(
        self: &Arc<Self>,
        id: &Digest,
        names: &[ImageRef],
        hidden: bool,
    ) -> Result<ImageInfo> {
        self.change(|state| {
            let missing = || ImageError::NotFound(id.to_string());
            state.index.images.get_mut(id).ok_or_else(missing)?.hidden &= hidden;
            state.index.names.extend(names.iter().map(|name| (name.to_string(), id.clone())));
            state.index.info(id).ok_or_else(missing)
        })
    }
}

impl ImageStore {
    /// Removes the steps of builds that no visible image is, and the caches of `RUN --mount=type=cache` that no step uses.
    /// Blocks.
    pub fn prune_build_cache(&self) -> Result<Pruned> {
        let mut pruned = self.prune_where(|index, id| {
            index.images.get(id).is_some_and(|image| image.hidden) && index.names_of(id).next().is_none()
        })?;
        let caches = self.prune_cache_mounts()?;
        pruned.removed.extend(caches.removed);
        pruned.freed += caches.freed;
        Ok(pruned)
    }

    /// Removes the caches of `RUN --mount=type=cache` that no step uses. Blocks.
    pub fn prune_cache_mounts(&self) -> Result<Pruned> {
        let trash = self.inner.layers.temporary()?;
        let gone = self.inner.cache_mounts.prune(&self.inner.cache_dir(), trash.path());
        let (removed, sizes): (Vec<String>, Vec<u64>) = gone.into_iter().unzip();
        Ok(Pruned { removed, freed: sizes.into_iter().sum() })
    }

    /// The caches of `RUN --mount=type=cache`. Blocks.
    pub fn cache_mounts(&self) -> Vec<CacheMount> {
        self.inner.cache_mounts.list(&self.inner.cache_dir())
    }
}
