//! What the store tells of its images: to `inspect`, `history` and `prune`.

use super::index::Index;
use super::{ImageStore, LayerRef, State};
use crate::document::{HistoryItem, ImageDocument};
use crate::error::{ImageError, Result};
use crate::{Digest, ImageRef};
use cri::ImageInfo;
use jiff::Timestamp;

/// All that `docker inspect` shows of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDetails {
    pub info: ImageInfo,
    pub document: ImageDocument,
    /// Bottom first; sizes in bytes, unpacked.
    pub layers: Vec<(Digest, u64)>,
    pub added_at: Timestamp,
}

/// One line of `docker history`.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryLine {
    /// Only the image itself has one.
    pub id: Option<String>,
    pub item: HistoryItem,
    /// Bytes, unpacked.
    pub size: u64,
    pub tags: Vec<String>,
}

/// What [`ImageStore::prune`] removed: names and ids, and the bytes that it freed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    pub removed: Vec<String>,
    pub freed: u64,
}

impl ImageStore {
    pub fn details(&self, name_or_id: &str) -> Result<ImageDetails> {
        let state = self.inner.state();
        let id = state.index.resolve(name_or_id)?;
        self.details_of(&state, &id)
    }

    /// All images, with the steps of builds where they are wanted; those that are broken on disk are left out. Each is read as
    /// it is asked for: together they take as much memory as their authors like. Blocks.
    pub fn list(&self, with_steps: bool) -> impl Iterator<Item = ImageDetails> {
        let state = self.inner.state();
        let shown = state.index.images.iter().filter(|(_, image)| with_steps || !image.hidden);
        let ids: Vec<Digest> = shown.map(|(id, _)| id.clone()).collect();
        drop(state);
        ids.into_iter().filter_map(move |id| self.details_of(&self.inner.state(), &id).ok())
    }

    fn details_of(&self, state: &State, id: &Digest) -> Result<ImageDetails> {
        let missing = || ImageError::NotFound(id.to_string());
        let (record, info) = state.index.images.get(id).zip(state.index.info(id)).ok_or_else(missing)?;
        let layers = record.layers.iter().map(|layer| (layer.diff_id.clone(), layer.size)).collect();
        let document = serde_json::from_slice(&self.inner.blobs.read(id)?)
            .map_err(|e| ImageError::Refused(format!("image configuration {id}: {e}")))?;
        Ok(ImageDetails { info, document, layers, added_at: record.added_at })
    }

    /// Newest first.
    pub fn history(&self, name_or_id: &str) -> Result<Vec<HistoryLine>> {
        let details = self.details(name_or_id)?;
        let mut sizes = details.layers.iter().map(|(_, size)| *size);
        let line = |item, size| HistoryLine { id: None, item, size, tags: Vec::new() };
        let told = details.document.history.iter().filter(|item| !item.empty_layer).count();
        // the lowest layers may come from an image that told nothing of itself
        let untold = sizes.by_ref().take(details.layers.len().saturating_sub(told));
        let mut lines: Vec<HistoryLine> = untold.map(|size| line(HistoryItem::default(), size)).collect();
        for item in details.document.history {
            let size = if item.empty_layer { 0 } else { sizes.next().unwrap_or(0) };
            lines.push(line(item, size));
        }
        lines.reverse();
        if let Some(newest) = lines.first_mut() {
            newest.id = Some(details.info.id);
            newest.tags = details.info.repo_tags;
        }
        Ok(lines)
    }

    /// Removes images that have no tag; with `all` every one that nothing holds. Blocks.
    pub fn prune(&self, all: bool) -> Result<Pruned> {
        self.prune_chosen(all, |_| true)
    }

    /// The same, of those that are `chosen`. Blocks.
    pub fn prune_chosen(&self, all: bool, chosen: impl Fn(&ImageDocument) -> bool) -> Result<Pruned> {
        self.prune_where(|index, id| {
            let is_tag = |name: &String| ImageRef::parse(name).is_ok_and(|name| name.tag().is_some());
            let is_step = index.images.get(id).is_some_and(|image| image.hidden);
            let unnamed = !is_step && !index.names_of(id).any(is_tag);
            let document = || serde_json::from_slice(&self.inner.blobs.read(id).ok()?).ok();
            (all || unnamed) && document().is_some_and(|document| chosen(&document))
        })
    }

    pub(crate) fn prune_where(&self, unwanted: impl Fn(&Index, &Digest) -> bool) -> Result<Pruned> {
        let mut removed = self.inner.change(|state| {
            let free = state.index.images.keys().filter(|id| state.leases.count(id) == 0);
            let unwanted: Vec<Digest> = free.filter(|id| unwanted(&state.index, id)).cloned().collect();
            let mut removed = Vec::new();
            for id in unwanted {
                removed.extend(state.index.names_of(&id).cloned());
                state.index.names.retain(|_, named| *named != id);
                state.index.images.remove(&id);
                removed.push(id.to_string());
            }
            Ok(removed)
        })?;
        let collected = self.inner.collect();
        removed.extend(collected.told());
        let freed = collected.freed;
        // outside of the lock: deleting large layers takes a while
        drop(collected);
        Ok(Pruned { removed, freed })
    }
}

impl super::Inner {
    /// The layers of an image, bottom first.
    pub(crate) fn layers_of(&self, id: &Digest) -> Result<Vec<LayerRef>> {
        let state = self.state();
        let image = state.index.images.get(id).ok_or_else(|| ImageError::NotFound(id.to_string()))?;
        Ok(image.layers.clone())
    }
}
