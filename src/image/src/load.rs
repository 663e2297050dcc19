//! Images out of files: docker-archives, OCI archives, OCI layout directories. A tar is read once, front to back: what looks
//! like a layer is unpacked as it comes by, and found its place when the manifest, often the last entry, is known.

mod archive;
mod contents;
mod directory;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod images;
mod legacy;

use crate::digest::chain_ids;
use crate::error::{ImageError, Result, doing};
use crate::manifest;
use crate::store::{ImageRecord, ImageStore, Inner, LayerRef, Provenance};
use crate::tar_split::TarSplitReader;
use crate::unpack::{self, Feed, FeedSender, Unpacked};
use crate::{Digest, ImageRef, Platform};
use bytes::Bytes;
use contents::{Contents, Described};
use cri::{ImageInfo, blocking};
use images::describe;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncRead;
use tokio::task::JoinHandle;
use tokio_util::io::SyncIoBridge;

/// Bytes read and handed on at once.
const BLOCK: usize = 128 << 10;

impl ImageStore {
    /// Reads images from a docker-archive or an OCI archive, packed with whatever Docker takes.
    pub async fn load(&self, archive: impl AsyncRead + Send + Unpin + 'static) -> Result<Vec<ImageInfo>> {
        self.load_for(archive, None).await
    }

    /// The same, each image with the names that it has in the archive, only images for this platform; without one, what an index has for this machine.
    pub async fn load_for(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        platform: Option<Platform>,
    ) -> Result<Vec<ImageInfo>> {
        let store = self.inner.clone();
        let reader = SyncIoBridge::new(archive);
        let loaded = blocking(move || load(&store, archive::read(&store, reader)?, platform.as_ref()));
        loaded.await.map_err(|e| self.inner.say_if_full(e))
    }

    /// From a file, or from a directory in OCI layout.
    pub async fn load_path(&self, path: &Path) -> Result<Vec<ImageInfo>> {
        let what = format!("load {}", path.display());
        let (store, path) = (self.inner.clone(), path.to_owned());
        blocking(move || {
            if path.is_dir() {
                return load(&store, directory::Directory::open(&store, &path)?, None);
            }
            let file = std::fs::File::open(&path).map_err(doing("open it"))?;
            load(&store, archive::read(&store, file)?, None)
        })
        .await
        .map_err(|e: ImageError| self.inner.say_if_full(e).within(what))
    }
}

fn load(
    store: &Arc<Inner>,
    mut contents: impl Contents,
    platform: Option<&Platform>,
) -> Result<Vec<ImageInfo>> {
    let mut described = describe(&mut contents, platform)?;
    if described.is_empty() {
        return Err(ImageError::Refused("the archive holds no image".into()));
    }
    if let Some(platform) = platform {
        described.retain(|image| is_for(platform, &image.config));
        if described.is_empty() {
            return Err(ImageError::Refused(format!(
                "the archive holds no image for the platform {platform}"
            )));
        }
    }
    described.into_iter().map(|image| add(store, &mut contents, image)).collect()
}

/// Whether the configuration says so.
fn is_for(platform: &Platform, config: &[u8]) -> bool {
    let own = crate::config::read(config).ok().and_then(|config| serde_json::from_value(config).ok());
    own.is_some_and(|own| platform.is_served_by(&own))
}

fn add(store: &Arc<Inner>, contents: &mut impl Contents, image: Described) -> Result<ImageInfo> {
    let (config, diff_ids) = manifest::parse_config(&image.config)?;
    let user = manifest::user(config.config().as_ref().and_then(|c| c.user().as_deref()))?;
    if diff_ids.len() != image.layers.len() {
        return Err(ImageError::Refused(format!(
            "the manifest has {} layers, the configuration {}",
            image.layers.len(),
            diff_ids.len()
        )));
    }
    let chains = chain_ids(&diff_ids);
    let id = Digest::of(&image.config);
    let pinned = store.pin(
        chains.iter().chain([&id]).chain(&image.manifest.as_ref().map(|m| Digest::of(m))).cloned().collect(),
    );
    let mut layers = Vec::with_capacity(chains.len());
    for (at, (path, diff_id)) in image.layers.iter().zip(diff_ids).enumerate() {
        let below: Vec<Digest> = chains[..at].iter().rev().cloned().collect();
        let size = layer(store, contents, path, &diff_id, &chains[at], &below)?;
        layers.push(LayerRef { chain: chains[at].clone(), diff_id, size });
    }
    store.blobs.write(&image.config)?;
    let manifest = image.manifest.as_ref().map(|bytes| store.blobs.write(bytes)).transpose()?;
    let unsynced = Some(crate::store::boot_id());
    let record = ImageRecord {
        layers,
        manifest,
        user,
        added_at: jiff::Timestamp::now(),
        step: None,
        hidden: false,
        unsynced,
    };
    let names: Vec<ImageRef> = image.names;
    let info = store.add_image(&id, record, &names)?;
    drop(pinned);
    Ok(ImageInfo { repo_tags: names.iter().map(ImageRef::to_string).collect(), ..info })
}

fn layer(
    store: &Arc<Inner>,
    contents: &mut impl Contents,
    path: &str,
    diff_id: &Digest,
    chain: &Digest,
    below: &[Digest],
) -> Result<u64> {
    if let Some(facts) = store.layers.facts(chain) {
        return Ok(facts.size);
    }
    let unpacked = match store.layer_with(diff_id) {
        // the same layer on top of another one: it is here, but its place is not
        Some((twin, _pin)) => again(store, &twin)?,
        None => contents.layer(path)?,
    };
    if unpacked.diff_id != *diff_id {
        return Err(ImageError::Refused(format!(
            "layer {path} unpacks to {}, its configuration says {diff_id}",
            unpacked.diff_id
        )));
    }
    Ok(store.layers.place(unpacked, chain, below, Provenance::Anybody)?.size)
}

/// Unpacks a layer once more from the one in the store.
fn again(store: &Arc<Inner>, twin: &Digest) -> Result<Unpacked> {
    let mut unpacking = Unpacking::start(store)?;
    unpacking.feed(TarSplitReader::open(&store.layers.path(twin))?)?;
    unpacking.wait()
}

/// A layer that is being unpacked while it is read. Given up, it waits until the unpacker has ended and removed what it
/// wrote: whoever hears that a load failed finds nothing of it.
pub(crate) struct Unpacking {
    sender: Option<FeedSender>,
    result: Option<JoinHandle<Result<Unpacked>>>,
}

impl Unpacking {
    pub(crate) fn start(store: &Inner) -> Result<Unpacking> {
        let (sender, result) = unpack::start(store.layers.temporary()?, |_| {});
        Ok(Unpacking { sender: Some(sender), result: Some(result) })
    }

    /// Hands everything on. Where the unpacker stops listening, the rest is read over; [`Unpacking::wait`] says why.
    pub(crate) fn feed(&mut self, mut reader: impl Read) -> Result<()> {
        let sender = self.sender.take();
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            let got = reader.by_ref().take(BLOCK as u64).read_to_end(&mut block);
            let got = got.map_err(|e| crate::error::out_of_io("read archive", e))?;
            let feed = if got == 0 { Feed::End } else { Feed::Data(Bytes::from(block)) };
            let heard = sender.as_ref().is_some_and(|sender| sender.blocking_send(feed).is_ok());
            if got == 0 || !heard {
                return Ok(());
            }
        }
    }

    /// Takes what `write` writes. Where it fails, the layer does as well.
    pub(crate) fn write(mut self, write: impl FnOnce(FeedWriter) -> io::Result<()>) -> io::Result<Unpacking> {
        let Some(sender) = self.sender.take() else { return Ok(self) };
        match write(FeedWriter(sender.clone())) {
            Ok(()) => _ = sender.blocking_send(Feed::End),
            // the unpacker knows better why nobody listens
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            Err(e) => return Err(e),
        }
        Ok(self)
    }

    pub(crate) fn wait(mut self) -> Result<Unpacked> {
        self.join().unwrap_or_else(|| Err(ImageError::Refused("the layer was given up".into())))
    }

    /// Blocks until the unpacker has ended; `None` the second time.
    fn join(&mut self) -> Option<Result<Unpacked>> {
        drop(self.sender.take());
        let joined = tokio::runtime::Handle::current().block_on(self.result.take()?);
        Some(joined.unwrap_or_else(|e| Err(ImageError::io("unpack", e))))
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        // what it unpacked goes with its directory, and why it failed nobody asks any more
        drop(self.join());
    }
}

/// Hands on what is written.
pub(crate) struct FeedWriter(FeedSender);

impl Write for FeedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Feed::Data(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
