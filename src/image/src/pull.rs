//! From a name to an image in the store: find the manifest, bring what is missing, name it.

mod jobs;

pub(crate) use jobs::LayerJobs;

use crate::digest::chain_ids;
use crate::error::{ImageError, Result, doing};
use crate::manifest::{self, Document, MAX_CONFIG, Manifest};
use crate::progress::{Progress, PullEvent};
use crate::registry::Repository;
use crate::store::{ImageRecord, ImageStore, Inner, LayerRef};
use crate::{Digest, ImageRef};
use bytes::Bytes;
use cri::{Credentials, ImageInfo};
use futures::future::try_join_all;
use jobs::LayerJob;
use std::sync::Arc;

/// A manifest for this machine, and whom to ask for what it names.
struct Found {
    repository: Arc<Repository>,
    manifest: Manifest,
    manifest_bytes: Bytes,
    /// What the registry has under the name: the index, where there is one.
    digest: Digest,
}

impl ImageStore {
    /// Brings the image, its layers in parallel. The credentials are tried in turn; without any, it is asked for without.
    /// Dropping the future stops the pull, unless another one waits for the same layers.
    pub async fn pull_with(
        &self,
        name: &str,
        credentials: &[Credentials],
        progress: Arc<dyn Progress>,
    ) -> Result<ImageInfo> {
        let reference = ImageRef::parse(name)?;
        if let Some(pulled) = self.pull_embedded(&reference, &progress).await {
            return pulled;
        }
        let pulled = pull(&self.inner, &reference, credentials, progress).await;
        pulled.map_err(|e| e.within(format!("pull {}", reference.familiar())))
    }
}

async fn pull(
    store: &Arc<Inner>,
    reference: &ImageRef,
    credentials: &[Credentials],
    progress: Arc<dyn Progress>,
) -> Result<ImageInfo> {
    let (version, repository) = (reference.version().to_owned(), reference.path().to_owned());
    progress.event(PullEvent::Pulling { version, repository });
    let found = find(store, reference, credentials).await?;
    let id = found.manifest.config.digest.clone();
    let known = store.state().index.images.contains_key(&id);

    let blobs = store.pin(vec![id.clone(), Digest::of(&found.manifest_bytes)]);
    let (config, diff_ids) = manifest::parse_config(&config_bytes(store, &found).await?)?;
    if diff_ids.len() != found.manifest.layers.len() {
        return Err(ImageError::Refused(format!(
            "the manifest has {} layers, the configuration {}",
            found.manifest.layers.len(),
            diff_ids.len()
        )));
    }
    let chains = chain_ids(&diff_ids);
    let layers = store.pin(chains.clone());
    let sizes = try_join_all(layer_jobs(store, &found, &diff_ids, &chains, &progress)).await?;

    let layer_refs = chains.into_iter().zip(diff_ids).zip(sizes);
    let record = ImageRecord {
        layers: layer_refs.map(|((chain, diff_id), size)| LayerRef { chain, diff_id, size }).collect(),
        manifest: Some(Digest::of(&found.manifest_bytes)),
        user: config.config().as_ref().and_then(|c| c.user().clone()).filter(|user| !user.is_empty()),
        added_at: jiff::Timestamp::now(),
        step: None,
        hidden: false,
        unsynced: Some(crate::store::boot_id()),
    };
    let mut names = vec![reference.with_digest(&found.digest)];
    names.extend(reference.tag().is_some().then(|| reference.clone()));
    let (store, bytes) = (store.clone(), found.manifest_bytes);
    let info = in_background(move || {
        store.blobs.write(&bytes)?;
        store.add_image(&id, record, &names)
    })
    .await?;
    drop((blobs, layers));
    progress.event(PullEvent::Resolved { digest: found.digest });
    progress.event(PullEvent::Done { name: reference.familiar(), newer: !known });
    Ok(info)
}

/// Runs what blocks on a disk where it may block.
pub(crate) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ImageError::io("work in the background", e))?
}

/// Asks each endpoint with each of the credentials. What counts in the end is what the registry itself said.
async fn find(store: &Inner, reference: &ImageRef, credentials: &[Credentials]) -> Result<Found> {
    let anonymous = [None];
    let given: Vec<Option<Credentials>> = credentials.iter().cloned().map(Some).collect();
    let mut last = ImageError::Registry(format!("no place to ask for {reference}"));
    for endpoint in store.transport.registries().endpoints(reference.domain()) {
        let tries = if endpoint.is_mirror || given.is_empty() { &anonymous[..] } else { &given };
        for credentials in tries {
            let repository =
                Repository::new(store.transport.clone(), endpoint.clone(), reference, credentials.clone());
            match find_at(repository, reference).await {
                Ok(found) => return Ok(found),
                Err(error) => {
                    tracing::debug!(host = endpoint.host, %error, "not found here");
                    let another_may_do = matches!(error.root(), ImageError::Unauthorized(_));
                    last = error;
                    if !another_may_do {
                        break;
                    }
                }
            }
        }
    }
    Err(last)
}

async fn find_at(repository: Repository, reference: &ImageRef) -> Result<Found> {
    let top = repository.manifest(reference.version()).await?;
    let (manifest, manifest_bytes) = match manifest::parse(&top.bytes, top.content_type.as_deref())? {
        Document::Manifest(manifest) => (manifest, top.bytes),
        Document::Index(index) => {
            let wanted = index.for_this_machine()?;
            let fetched = repository.manifest(wanted.digest.as_str()).await?;
            match manifest::parse(&fetched.bytes, fetched.content_type.as_deref())? {
                Document::Manifest(manifest) => (manifest, fetched.bytes),
                Document::Index(_) => return Err(ImageError::Refused("an index inside an index".into())),
            }
        }
    };
    Ok(Found { repository: Arc::new(repository), manifest, manifest_bytes, digest: top.digest })
}

async fn config_bytes(store: &Arc<Inner>, found: &Found) -> Result<Vec<u8>> {
    let descriptor = &found.manifest.config;
    if descriptor.size > MAX_CONFIG {
        return Err(ImageError::Refused(format!("image configuration of {} bytes", descriptor.size)));
    }
    if let Ok(held) = store.blobs.read(&descriptor.digest) {
        return Ok(held);
    }
    let bytes = found.repository.small_blob(&descriptor.digest, MAX_CONFIG).await?;
    let (store, written) = (store.clone(), bytes.clone());
    in_background(move || store.blobs.write(&written)).await.map_err(doing("keep the configuration"))?;
    Ok(bytes.to_vec())
}

/// One job a layer, bottom first, each knowing the one below.
fn layer_jobs(
    store: &Arc<Inner>,
    found: &Found,
    diff_ids: &[Digest],
    chains: &[Digest],
    progress: &Arc<dyn Progress>,
) -> Vec<jobs::SharedJob> {
    let mut jobs: Vec<jobs::SharedJob> = Vec::with_capacity(chains.len());
    for (at, (blob, diff_id)) in found.manifest.layers.iter().zip(diff_ids).enumerate() {
        let job = LayerJob {
            store: store.clone(),
            repository: found.repository.clone(),
            blob: blob.clone(),
            diff_id: diff_id.clone(),
            chain: chains[at].clone(),
            below: chains[..at].iter().rev().cloned().collect(),
            below_done: jobs.last().cloned(),
        };
        jobs.push(job.start(progress.clone()));
    }
    jobs
}

#[cfg(test)]
mod tests;
