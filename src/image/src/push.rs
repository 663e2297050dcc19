//! From the store to a registry: what it has is not sent again, what another of its repositories has is mounted, the rest
//! is packed on the fly from the unpacked layer.

mod packing;

use crate::error::{ImageError, Result};
use crate::manifest::{self, DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor, Document, Manifest};
use crate::progress::{PushEvent, PushProgress, PushStatus};
use crate::registries::is_loopback;
use crate::registry::{Pushing, Source};
use crate::store::{ImageStore, Inner, LayerRef, PackedLayer};
use crate::unpack::Compression;
use crate::{Digest, ImageRef};
use bytes::Bytes;
use cri::{Credentials, blocking};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use packing::{Effort, PackedStream};
use std::sync::Arc;

/// Layers that are sent at a time.
const PARALLEL: usize = 3;

/// One push: what goes where.
struct Push {
    store: Arc<Inner>,
    registry: Pushing,
    effort: Effort,
    /// Repositories of the same registry that may have the layers already.
    neighbours: Vec<String>,
    progress: Arc<dyn PushProgress>,
}

impl ImageStore {
    /// Sends the image to the registry that its name says. The credentials are tried in turn. Gives the manifest's digest.
    pub async fn push_with(
        &self,
        name: &str,
        credentials: &[Credentials],
        progress: Arc<dyn PushProgress>,
    ) -> Result<Digest> {
        let reference = ImageRef::parse(name)?;
        self.inner.state().index.resolve(&reference.to_string())?;
        progress.event(PushEvent::Repository(reference.repository()));
        let pushed = push(&self.inner, &reference, credentials, progress).await;
        pushed.map_err(|e| e.within(format!("push {}", reference.familiar())))
    }

    /// Sends every tag that the store has of a repository, one after the other.
    pub async fn push_all(
        &self,
        repository: &str,
        credentials: &[Credentials],
        progress: Arc<dyn PushProgress>,
    ) -> Result<Vec<Digest>> {
        let repository = ImageRef::parse(repository)?;
        let tags = self.inner.tags_of(&repository);
        if tags.is_empty() {
            return Err(ImageError::NotFound(repository.familiar_name()));
        }
        progress.event(PushEvent::Repository(repository.repository()));
        let mut pushed = Vec::new();
        for tag in tags {
            let done = push(&self.inner, &tag, credentials, progress.clone()).await;
            pushed.push(done.map_err(|e| e.within(format!("push {}", tag.familiar())))?);
        }
        Ok(pushed)
    }
}

impl Inner {
    fn tags_of(&self, repository: &ImageRef) -> Vec<ImageRef> {
        let state = self.state();
        let names = state.index.names.keys().filter_map(|name| ImageRef::parse(name).ok());
        names.filter(|n| n.tag().is_some() && n.repository() == repository.repository()).collect()
    }
}

async fn push(
    store: &Arc<Inner>,
    reference: &ImageRef,
    credentials: &[Credentials],
    progress: Arc<dyn PushProgress>,
) -> Result<Digest> {
    let Some(tag) = reference.tag() else {
        return Err(ImageError::InvalidName("cannot push a digest reference".into()));
    };
    let rootfs = store.rootfs(&reference.to_string())?;
    let id = Digest::parse(&rootfs.id)?;
    let given: Vec<Option<Credentials>> = credentials.iter().cloned().map(Some).collect();
    let tries = if given.is_empty() { vec![None] } else { given };
    let endpoint = store.transport.registries().endpoints(reference.domain()).pop();
    let endpoint = endpoint.ok_or_else(|| ImageError::Registry(format!("no registry for {reference}")))?;
    let effort = if is_loopback(&endpoint.host) { Effort::Loopback } else { Effort::Network };
    let mut last = ImageError::Unauthorized("no credentials".into());
    for credentials in tries {
        let registry = Pushing::new(store.transport.clone(), endpoint.clone(), reference, credentials);
        let neighbours = neighbours(store, &id, reference);
        let push = Push { store: store.clone(), registry, effort, neighbours, progress: progress.clone() };
        match push.image(&id, tag).await {
            Err(error) if matches!(error.root(), ImageError::Unauthorized(_)) => last = error,
            Err(other) => return Err(other),
            Ok((digest, size)) => {
                remember(store, &id, reference, &digest).await?;
                progress.event(PushEvent::Done { tag: tag.to_owned(), digest: digest.clone(), size });
                return Ok(digest);
            }
        }
    }
    Err(last)
}

/// Repositories of the same registry that some image with one of these layers is named in.
fn neighbours(store: &Inner, id: &Digest, reference: &ImageRef) -> Vec<String> {
    let state = store.state();
    let Some(image) = state.index.images.get(id) else { return Vec::new() };
    let shares = |other: &Digest| {
        let layers = state.index.images.get(other).map(|other| &other.layers);
        layers.is_some_and(|layers| {
            layers.iter().any(|l| image.layers.iter().any(|mine| mine.diff_id == l.diff_id))
        })
    };
    let names = state.index.names.iter().filter(|(_, other)| shares(other));
    let names = names.filter_map(|(name, _)| ImageRef::parse(name).ok());
    let same_registry =
        names.filter(|name| name.domain() == reference.domain() && name.path() != reference.path());
    let mut paths: Vec<String> = same_registry.map(|name| name.path().to_owned()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The image is now known by the digest that the registry has.
async fn remember(store: &Arc<Inner>, id: &Digest, reference: &ImageRef, digest: &Digest) -> Result<()> {
    let (store, id, name) = (store.clone(), id.clone(), reference.with_digest(digest).to_string());
    blocking(move || {
        store.change(|state| {
            if state.index.images.contains_key(&id) {
                state.index.names.insert(name, id);
            }
            Ok(())
        })
    })
    .await
}

impl Push {
    async fn image(&self, id: &Digest, tag: &str) -> Result<(Digest, u64)> {
        let (layers, original) = {
            let state = self.store.state();
            let image = state.index.images.get(id).ok_or_else(|| ImageError::NotFound(id.to_string()))?;
            (image.layers.clone(), image.manifest.clone())
        };
        layers.iter().for_each(|layer| self.tell(layer, PushStatus::Preparing));
        // boxed: else the whole push can not be spawned (rust-lang/rust#102211)
        let sends: Vec<BoxFuture<'_, _>> = layers.iter().map(|layer| self.layer(layer).boxed()).collect();
        let sent: Vec<PackedLayer> = futures::stream::iter(sends).buffered(PARALLEL).try_collect().await?;
        let config = Bytes::from(self.store.blobs.read(id)?);
        if !self.registry.has_blob(id).await? {
            self.registry.small_blob(config.clone()).await?;
        }
        let (media_type, manifest) = match original.and_then(|digest| self.unchanged(&digest, &sent)) {
            Some(unchanged) => unchanged,
            None => (DOCKER_MANIFEST.to_owned(), Bytes::from(describe(id, config.len() as u64, &sent)?)),
        };
        self.registry.manifest(tag, &media_type, manifest.clone()).await?;
        Ok((Digest::of(&manifest), manifest.len() as u64))
    }

    fn tell(&self, layer: &LayerRef, status: PushStatus) {
        self.progress.event(PushEvent::Layer { diff_id: layer.diff_id.clone(), status });
    }

    async fn layer(&self, layer: &LayerRef) -> Result<PackedLayer> {
        let facts = self.store.layers.facts(&layer.chain);
        let facts = facts.ok_or_else(|| ImageError::Refused(format!("layer {} is gone", layer.diff_id)))?;
        for packed in facts.packed() {
            if self.registry.has_blob(&packed.digest).await? {
                self.tell(layer, PushStatus::AlreadyExists);
                return Ok(packed);
            }
        }
        for packed in facts.packed() {
            for from in &self.neighbours {
                if self.registry.mount(&packed.digest, from).await? {
                    self.tell(layer, PushStatus::Mounted { from: from.clone() });
                    return Ok(packed);
                }
            }
        }
        self.upload(layer, facts.tar_size).await
    }

    async fn upload(&self, layer: &LayerRef, total: u64) -> Result<PackedLayer> {
        let (progress, diff_id) = (self.progress.clone(), layer.diff_id.clone());
        let told = move |current| {
            let status = PushStatus::Pushing { current, total };
            progress.event(PushEvent::Layer { diff_id: diff_id.clone(), status });
        };
        let stream = PackedStream::new(self.store.layers.path(&layer.chain), self.effort, told);
        let source: Box<dyn Source> = Box::new(stream);
        let sent = self.registry.blob(&*source, |status| self.tell(layer, status)).await;
        let (digest, size) = sent.map_err(|e| e.within(format!("layer {}", layer.diff_id.short())))?;
        let packed = PackedLayer { digest, size, compression: Compression::Gzip };
        let (store, chain, kept) = (self.store.clone(), layer.chain.clone(), packed.clone());
        blocking(move || store.layers.remember_pushed(&chain, kept)).await?;
        self.tell(layer, PushStatus::Pushed);
        Ok(packed)
    }

    /// The manifest that the image was pulled by, if the registry has the layers in the form that it names.
    fn unchanged(&self, digest: &Digest, sent: &[PackedLayer]) -> Option<(String, Bytes)> {
        let bytes = self.store.blobs.read(digest).ok()?;
        let Ok(Document::Manifest(manifest)) = manifest::parse(&bytes, None) else { return None };
        let same = manifest.layers.iter().map(|l| &l.digest).eq(sent.iter().map(|l| &l.digest));
        let media_type = manifest.media_type.unwrap_or_else(|| manifest::OCI_MANIFEST.to_owned());
        same.then(|| (media_type, Bytes::from(bytes)))
    }
}

fn describe(id: &Digest, config_size: u64, layers: &[PackedLayer]) -> Result<Vec<u8>> {
    let descriptor = |media_type: &str, digest: &Digest, size| Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.clone(),
        size,
        platform: None,
        annotations: None,
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(DOCKER_MANIFEST.to_owned()),
        config: descriptor(DOCKER_CONFIG, id, config_size),
        layers: layers
            .iter()
            .map(|l| descriptor(manifest::layer_media_type(l.compression), &l.digest, l.size))
            .collect(),
    };
    serde_json::to_vec_pretty(&manifest).map_err(crate::error::doing("write the manifest"))
}

#[cfg(test)]
mod tests;
