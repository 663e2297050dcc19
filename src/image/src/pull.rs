//! From a name to an image in the store: find the manifest, bring what is missing, name it.

mod embedded;
mod jobs;

use crate::digest::chain_ids;
use crate::error::{ImageError, Result, doing};
use crate::layer_jobs::SharedJob;
use crate::manifest::{self, MAX_CONFIG};
use crate::printable::one_line;
use crate::progress::{Progress, PullEvent, Subscription};
use crate::registry::Repository;
use crate::resolve::{Found, at_some_place, find};
use crate::store::{ImageRecord, ImageStore, Inner, LayerRef};
use crate::{Digest, ImageRef, Platform};
use bytes::Bytes;
use cri::{Credentials, ImageInfo, Pulled, blocking};
use futures::FutureExt;
use futures::future::try_join_all;
use jobs::LayerJob;
use oci_spec::image::ImageConfiguration;
use std::sync::Arc;

impl ImageStore {
    /// Brings the image for this machine, its layers in parallel. The credentials are tried in turn; without any, it is
    /// asked for without. Dropping the future stops the pull, unless another one waits for the same layers.
    pub async fn pull_with(
        &self,
        name: &str,
        credentials: &[Credentials],
        progress: Arc<dyn Progress>,
    ) -> Result<ImageInfo> {
        self.pull_for(name, None, credentials, progress).await
    }

    /// The same for the platform that is named: for this machine where none is.
    pub async fn pull_for(
        &self,
        name: &str,
        platform: Option<&Platform>,
        credentials: &[Credentials],
        progress: Arc<dyn Progress>,
    ) -> Result<ImageInfo> {
        Ok(self.pull_tracked(name, platform, credentials, progress).await?.image)
    }

    /// The same; it says also which of the credentials were taken.
    pub async fn pull_tracked(
        &self,
        name: &str,
        platform: Option<&Platform>,
        credentials: &[Credentials],
        progress: Arc<dyn Progress>,
    ) -> Result<Pulled> {
        let reference = ImageRef::parse(name)?;
        if platform.is_none()
            && let Some(pulled) = self.pull_embedded(&reference, &progress).await
        {
            return pulled.map(|image| Pulled { image, by: None });
        }
        let wanted = Wanted { reference: &reference, platform, credentials };
        let pulled = pull(&self.inner, &wanted, &progress).await.map_err(|e| self.inner.say_if_full(e));
        let (pulled, newer) = pulled.map_err(|e| e.within(format!("pull {}", reference.familiar())))?;
        progress.event(PullEvent::Done { name: reference.familiar(), newer });
        Ok(pulled)
    }

    /// Brings every tag that the registry has of a repository, one after the other.
    pub async fn pull_all(
        &self,
        repository: &str,
        platform: Option<&Platform>,
        credentials: &[Credentials],
        progress: Arc<dyn Progress>,
    ) -> Result<Vec<ImageInfo>> {
        let repository = ImageRef::parse(repository)?;
        platform.map_or(Ok(()), Platform::check)?;
        let within = |e| self.inner.say_if_full(e).within(format!("pull {}", repository.familiar_name()));
        let tags = at_some_place(&self.inner, &repository, credentials, |at| tags(at).boxed());
        let mut pulled = Vec::new();
        let mut any_newer = false;
        for tag in tags.await.map_err(within)? {
            let reference = repository.with_tag(&tag).map_err(within)?;
            let wanted = Wanted { reference: &reference, platform, credentials };
            let (one, newer) = pull(&self.inner, &wanted, &progress).await.map_err(within)?;
            any_newer |= newer;
            pulled.push(one.image);
        }
        progress.event(PullEvent::Done { name: repository.familiar_name(), newer: any_newer });
        Ok(pulled)
    }
}

async fn tags(repository: Arc<Repository>) -> Result<Vec<String>> {
    repository.tags().await
}

/// What is asked for, and by whom.
struct Wanted<'a> {
    reference: &'a ImageRef,
    platform: Option<&'a Platform>,
    credentials: &'a [Credentials],
}

/// Gives the image, and whether its name has not meant it before.
async fn pull(
    store: &Arc<Inner>,
    wanted: &Wanted<'_>,
    progress: &Arc<dyn Progress>,
) -> Result<(Pulled, bool)> {
    let reference = wanted.reference;
    wanted.platform.map_or(Ok(()), Platform::check)?;
    let mut found = find(store, reference, wanted.platform, wanted.credentials).await?;
    let (version, repository) = (reference.version().to_owned(), reference.path().to_owned());
    progress.event(PullEvent::Pulling { version, repository });
    let id = found.manifest.config.digest.clone();
    // scripts restart what they run where a pull says that the name means something else by now
    let known = store.state().index.names.get(&reference.to_string()) == Some(&id);

    // layers may be on their way for hours, and many images at once: their documents are on the disk by then, and not in memory
    let manifest_bytes = std::mem::take(&mut found.manifest_bytes);
    let manifest_digest = Digest::of(&manifest_bytes);
    let blobs = store.pin(vec![id.clone(), manifest_digest.clone()]);
    let writer = store.clone();
    blocking(move || writer.blobs.write(&manifest_bytes)).await?;
    let (config, diff_ids) = manifest::parse_config(&config_bytes(store, reference, &found).await?)?;
    let user = manifest::user(config.config().as_ref().and_then(|c| c.user().as_deref()))?;
    if diff_ids.len() != found.manifest.layers.len() {
        return Err(ImageError::Refused(format!(
            "the manifest has {} layers, the configuration {}",
            found.manifest.layers.len(),
            diff_ids.len()
        )));
    }
    if let Some(warning) = wanted.platform.and_then(|platform| other_platform(reference, platform, &config)) {
        progress.event(PullEvent::Warning(warning));
    }
    drop(config);
    let chains = chain_ids(&diff_ids);
    let layers = store.pin(chains.clone());
    let told = Subscription::of(progress.clone());
    let jobs = layer_jobs(store, &found, &diff_ids, &chains, &told.subscriber());
    let sizes = try_join_all(jobs).await?;

    let layer_refs = chains.into_iter().zip(diff_ids).zip(sizes);
    let record = ImageRecord {
        layers: layer_refs.map(|((chain, diff_id), size)| LayerRef { chain, diff_id, size }).collect(),
        manifest: Some(manifest_digest),
        user,
        added_at: jiff::Timestamp::now(),
        step: None,
        hidden: false,
        unsynced: Some(crate::store::boot_id()),
    };
    let mut names = vec![reference.with_digest(&found.digest)];
    names.extend(reference.tag().is_some().then(|| reference.clone()));
    let accepted = found.repository.accepted();
    let by = accepted.and_then(|taken| wanted.credentials.iter().position(|given| given == taken));
    let store = store.clone();
    let image = blocking(move || store.add_image(&id, record, &names)).await?;
    drop((blobs, layers));
    progress.event(PullEvent::Resolved { digest: found.digest });
    Ok((Pulled { image, by }, !known))
}

/// As Docker does: an image that says of itself that it is for something else is taken, with a warning.
fn other_platform(reference: &ImageRef, wanted: &Platform, config: &ImageConfiguration) -> Option<String> {
    let own = Platform {
        os: config.os().to_string(),
        architecture: config.architecture().to_string(),
        variant: config.variant().clone(),
    };
    wanted.distance(&own).is_none().then(|| {
        let warning = format!(
            "image with reference {} was found but its platform ({own}) does not match the specified platform ({wanted})",
            reference.familiar()
        );
        one_line(&warning).into_owned()
    })
}

/// Of an image that is here by a name of this repository it is here as well. Of any other the registry has to show that it has it,
/// as of layers: its digest alone is the image's id, which many know.
async fn config_bytes(store: &Arc<Inner>, reference: &ImageRef, found: &Found) -> Result<Bytes> {
    let descriptor = &found.manifest.config;
    if descriptor.size > MAX_CONFIG {
        return Err(ImageError::Refused(format!("image configuration of {} bytes", descriptor.size)));
    }
    let repository = reference.repository();
    let is_of_it =
        |name: &String| name.strip_prefix(&repository).is_some_and(|version| version.starts_with([':', '@']));
    let is_own = store.state().index.names_of(&descriptor.digest).any(is_of_it);
    if is_own && let Ok(held) = store.blobs.read(&descriptor.digest) {
        return Ok(held.into());
    }
    let bytes = found.repository.small_blob(&descriptor.digest, MAX_CONFIG).await?;
    let (store, written) = (store.clone(), bytes.clone());
    blocking(move || store.blobs.write(&written)).await.map_err(doing("keep the configuration"))?;
    Ok(bytes)
}

/// One job a layer, bottom first, each knowing the one below.
fn layer_jobs(
    store: &Arc<Inner>,
    found: &Found,
    diff_ids: &[Digest],
    chains: &[Digest],
    progress: &Arc<dyn Progress>,
) -> Vec<SharedJob> {
    let mut jobs: Vec<SharedJob> = Vec::with_capacity(chains.len());
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
