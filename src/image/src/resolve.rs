//! Where an image is: mirrors first, then the registry itself, with each of the credentials; and which of the manifests
//! behind its name is the one that is wanted.

use crate::error::{ImageError, Result};
use crate::manifest::{self, Document, MAX_CONFIG, Manifest};
use crate::registry::Repository;
use crate::store::{ImageStore, Inner};
use crate::{Digest, ImageRef, Platform};
use bytes::Bytes;
use cri::Credentials;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Indexes in indexes do exist; more of them are a loop or a joke.
pub(crate) const MAX_DEPTH: usize = 4;

/// A manifest for one platform, and whom to ask for what it names.
pub(crate) struct Found {
    pub(crate) repository: Arc<Repository>,
    pub(crate) manifest: Manifest,
    pub(crate) manifest_bytes: Bytes,
    /// What the registry has under the name: the index, where there is one.
    pub(crate) digest: Digest,
}

/// What a registry has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteImage {
    pub media_type: String,
    pub digest: Digest,
    /// Bytes of the manifest or the index.
    pub size: u64,
    pub platforms: Vec<Platform>,
}

impl ImageStore {
    /// Asks the registry what it has under the name, and fetches nothing but that.
    pub async fn remote(&self, name: &str, credentials: &[Credentials]) -> Result<RemoteImage> {
        let reference = ImageRef::parse(name)?;
        let version = reference.version().to_owned();
        let ask = move |at| describe(at, version.clone()).boxed();
        at_some_place(&self.inner, &reference, credentials, ask).await
    }
}

async fn describe(repository: Arc<Repository>, version: String) -> Result<RemoteImage> {
    let top = repository.manifest(&version).await?;
    let (media_type, platforms) = match manifest::parse(&top.bytes, top.content_type.as_deref())? {
        Document::Index(index) => {
            let platforms = index.manifests.into_iter().filter_map(|entry| entry.platform).collect();
            (index.media_type.unwrap_or_else(|| manifest::OCI_INDEX.to_owned()), platforms)
        }
        Document::Manifest(manifest) => {
            let config = repository.small_blob(&manifest.config.digest, MAX_CONFIG).await?;
            let platform = serde_json::from_slice::<Platform>(&config).ok();
            let media_type = manifest.media_type.unwrap_or_else(|| manifest::OCI_MANIFEST.to_owned());
            (media_type, platform.into_iter().collect())
        }
    };
    Ok(RemoteImage { media_type, digest: top.digest, size: top.bytes.len() as u64, platforms })
}

/// Finds the manifest for the platform: this machine's where none is named.
pub(crate) async fn find(
    store: &Inner,
    reference: &ImageRef,
    platform: Option<&Platform>,
    credentials: &[Credentials],
) -> Result<Found> {
    let platform = platform.cloned().unwrap_or_else(Platform::of_this_machine);
    let version = reference.version().to_owned();
    let ask = move |at| find_at(at, version.clone(), platform.clone()).boxed();
    at_some_place(store, reference, credentials, ask).await
}

async fn find_at(repository: Arc<Repository>, version: String, platform: Platform) -> Result<Found> {
    let top = repository.manifest(&version).await?;
    let digest = top.digest.clone();
    let mut fetched = top;
    for _ in 0..=MAX_DEPTH {
        match manifest::parse(&fetched.bytes, fetched.content_type.as_deref())? {
            Document::Manifest(manifest) => {
                return Ok(Found { repository, manifest, manifest_bytes: fetched.bytes, digest });
            }
            Document::Index(index) => {
                fetched = repository.manifest(index.serving(&platform)?.digest.as_str()).await?;
            }
        }
    }
    Err(ImageError::Refused(format!("more than {MAX_DEPTH} indexes inside of each other")))
}

/// Asks each endpoint with each of the credentials. What counts in the end is what the registry itself said. The question
/// borrows nothing: else whoever asks could not be spawned (rust-lang/rust#102211).
pub(crate) async fn at_some_place<T>(
    store: &Inner,
    reference: &ImageRef,
    credentials: &[Credentials],
    ask: impl Fn(Arc<Repository>) -> BoxFuture<'static, Result<T>>,
) -> Result<T> {
    let anonymous = [None];
    let given: Vec<Option<Credentials>> = credentials.iter().cloned().map(Some).collect();
    let mut last = ImageError::Registry(format!("no place to ask for {reference}"));
    for endpoint in store.transport.registries().endpoints(reference.domain()) {
        let tries = if endpoint.is_mirror || given.is_empty() { &anonymous[..] } else { &given };
        for credentials in tries {
            let repository =
                Repository::new(store.transport.clone(), endpoint.clone(), reference, credentials.clone());
            match ask(Arc::new(repository)).await {
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
