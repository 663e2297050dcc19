//! New images from what is here: the upper directory of a container, a tar, a changed configuration.

use crate::digest::chain_ids;
use crate::document::{HistoryItem, ImageDocument};
use crate::document_bounds::check_values;
use crate::error::{ImageError, Result, doing, out_of_io};
use crate::load::Unpacking;
use crate::manifest::{MAX_CONFIG, MAX_LAYERS};
use crate::store::{ImageRecord, ImageStore, Inner, LayerRef, Pin, Provenance};
use crate::upper;
use crate::{Digest, ImageRef};
use cri::{ImageInfo, blocking};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

/// An image in the making: layers that stay while it lives.
pub(crate) struct Draft {
    pub(crate) document: ImageDocument,
    /// Bottom first.
    pub(crate) layers: Vec<LayerRef>,
    pins: Vec<Pin>,
}

impl ImageStore {
    /// A new image: `parent`'s layers, what `upper` (an overlayfs upper directory) changed, and `document`'s configuration.
    /// The document's list of layers is not looked at; its history gets `step`. The container should not write meanwhile.
    pub async fn commit(
        &self,
        parent: Option<&str>,
        upper: &Path,
        document: ImageDocument,
        step: HistoryItem,
        name: Option<&str>,
    ) -> Result<ImageInfo> {
        let names = parse_name(name)?;
        let (store, parent, upper) = (self.inner.clone(), parent.map(str::to_owned), upper.to_owned());
        blocking(move || {
            let mut draft = match parent {
                Some(parent) => Draft::from_image(&store, &parent)?,
                None => Draft::scratch(),
            };
            draft.document = ImageDocument { rootfs: draft.document.rootfs, ..document };
            draft.add_upper(&store, &upper)?;
            draft.step(step);
            draft.finish(&store, &names)
        })
        .await
        .map_err(|e| self.inner.say_if_full(e))
    }

    /// A new image of one layer, a tar that may be packed.
    pub async fn import(
        &self,
        tar: impl AsyncRead + Send + Unpin + 'static,
        document: ImageDocument,
        step: HistoryItem,
        name: Option<&str>,
    ) -> Result<ImageInfo> {
        let names = parse_name(name)?;
        let (store, reader) = (self.inner.clone(), SyncIoBridge::new(tar));
        blocking(move || {
            let mut draft = Draft { document, ..Draft::scratch() };
            draft.add_tar(&store, reader)?;
            draft.step(step);
            draft.finish(&store, &names)
        })
        .await
        .map_err(|e| self.inner.say_if_full(e))
    }

    /// What a URL has, in a file that nobody else sees and that goes with its reader: for [`ImageStore::import`].
    pub async fn download(&self, url: &str) -> Result<impl AsyncRead + Send + Unpin + use<>> {
        let directory = self.inner.layers.temporary()?;
        let file = directory.path().join("download");
        crate::registry::fetch(&self.inner.transport, url, &file).await?;
        // the directory goes here; what is open stays
        tokio::fs::File::open(&file).await.map_err(doing(format!("read what {url} had")))
    }

    /// The tar of a directory tree as one layer would have it: what `docker export` gives.
    pub async fn export(
        &self,
        directory: &Path,
        out: impl tokio::io::AsyncWrite + Send + Unpin + 'static,
    ) -> Result<()> {
        let (directory, out) = (directory.to_owned(), SyncIoBridge::new(out));
        blocking(move || {
            upper::write_tar(&directory, out)
                .map_err(|e| out_of_io(&format!("read {}", directory.display()), e))
        })
        .await
    }
}

/// Of an image's configuration.
pub(crate) fn too_large() -> ImageError {
    ImageError::Refused(format!("the image configuration holds more than {MAX_CONFIG} bytes"))
}

fn parse_name(name: Option<&str>) -> Result<Vec<ImageRef>> {
    name.map(ImageRef::parse).transpose().map(|name| name.into_iter().collect())
}

impl Draft {
    pub(crate) fn scratch() -> Draft {
        Draft { document: ImageDocument::scratch(), layers: Vec::new(), pins: Vec::new() }
    }

    pub(crate) fn from_image(store: &Arc<Inner>, name_or_id: &str) -> Result<Draft> {
        let id = store.state().index.resolve(name_or_id)?;
        let layers = store.layers_of(&id)?;
        let pin = store.pin(layers.iter().map(|layer| layer.chain.clone()).collect());
        let document = crate::save::document(&store.blobs.read(&id)?)?;
        // removed between the two: then its layers may be gone
        store.layers_of(&id)?;
        Ok(Draft { document, layers, pins: vec![pin] })
    }

    /// Reads an overlayfs upper directory as the next layer.
    pub(crate) fn add_upper(&mut self, store: &Arc<Inner>, upper: &Path) -> Result<()> {
        let unpacking = Unpacking::start(store)?;
        let read = |sink| upper::write_tar(upper, sink);
        let written = unpacking.write(read).map_err(|e| out_of_io(&format!("read {}", upper.display()), e));
        self.add_unpacked(store, written?)
    }

    pub(crate) fn add_tar(&mut self, store: &Arc<Inner>, tar: impl Read) -> Result<()> {
        let mut unpacking = Unpacking::start(store)?;
        unpacking.feed(tar)?;
        self.add_unpacked(store, unpacking)
    }

    pub(crate) fn add_unpacked(&mut self, store: &Arc<Inner>, unpacking: Unpacking) -> Result<()> {
        let unpacked = unpacking.wait()?;
        if self.document.rootfs.diff_ids.len() >= MAX_LAYERS {
            return Err(ImageError::Refused("max depth exceeded".to_owned()));
        }
        let diff_id = unpacked.diff_id.clone();
        self.document.rootfs.diff_ids.push(diff_id.clone());
        let Some(chain) = chain_ids(&self.document.rootfs.diff_ids).pop() else { return Ok(()) };
        self.pins.push(store.pin(vec![chain.clone()]));
        let below: Vec<Digest> = self.layers.iter().rev().map(|layer| layer.chain.clone()).collect();
        let size = match store.layers.facts(&chain) {
            Some(facts) => facts.size,
            None => store.layers.place(unpacked, &chain, &below, Provenance::Anybody)?.size,
        };
        self.layers.push(LayerRef { chain, diff_id, size });
        Ok(())
    }

    pub(crate) fn step(&mut self, step: HistoryItem) {
        self.document.step(step);
    }

    /// Makes the image visible.
    pub(crate) fn finish(&self, store: &Arc<Inner>, names: &[ImageRef]) -> Result<ImageInfo> {
        self.finish_as(store, names, None)
    }

    /// With a step's key it becomes a hidden one, which a later build finds.
    pub(crate) fn finish_as(
        &self,
        store: &Arc<Inner>,
        names: &[ImageRef],
        step: Option<Digest>,
    ) -> Result<ImageInfo> {
        let bytes = serde_json::to_vec(&self.document).map_err(doing("write the image configuration"))?;
        // nobody could pull it, as with an archive of it
        if bytes.len() as u64 > MAX_CONFIG {
            return Err(too_large());
        }
        check_values("image configuration", &bytes)?;
        if self.layers.len() != self.document.rootfs.diff_ids.len() {
            return Err(ImageError::io("make image", "its layers and its configuration differ"));
        }
        let user = crate::manifest::user(Some(&self.document.config.user))?;
        let id = Digest::of(&bytes);
        let pin = store.pin(vec![id.clone()]);
        store.blobs.write(&bytes)?;
        let record = ImageRecord {
            layers: self.layers.clone(),
            manifest: None,
            user,
            added_at: jiff::Timestamp::now(),
            hidden: step.is_some(),
            step,
            unsynced: Some(crate::store::boot_id()),
        };
        let info = store.add_image(&id, record, names)?;
        drop(pin);
        Ok(info)
    }
}

#[cfg(test)]
mod tests;
