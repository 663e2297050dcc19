//! What is read from a repository: tags, manifests and blobs. Manifests and small blobs are held against their digests here;
//! of a large blob, which is streamed, the receiver does that.

use super::exchange::read_small;
use super::refusals::Wanted;
use super::session::{Actions, Session, bad_header, resolve};
use super::transport::Transport;
use crate::error::{ImageError, Result};
use crate::manifest::{ACCEPTED, MAX_MANIFEST};
use crate::registries::Endpoint;
use crate::{Digest, ImageRef};
use bytes::Bytes;
use cri::Credentials;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use serde::Deserialize;
use std::sync::Arc;

/// Of a list of tags; a registry that never ends must not keep us for ever.
const MAX_PAGES: usize = 1000;
/// Of one repository: the largest have some tens of thousands.
const MAX_TAGS: usize = 100_000;
/// Characters of one (distribution specification, "Pulling manifests").
const MAX_TAG: usize = 128;

#[derive(Deserialize)]
struct Tags {
    /// Null where there is none.
    tags: Option<Vec<String>>,
}

/// What is read from a repository.
pub(crate) struct Repository(Session);

pub(crate) struct FetchedManifest {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: Option<String>,
    pub(crate) digest: Digest,
}

impl Repository {
    pub(crate) fn new(
        transport: Arc<Transport>,
        endpoint: Endpoint,
        reference: &ImageRef,
        credentials: Option<Credentials>,
    ) -> Repository {
        Repository(Session::new(transport, endpoint, reference, credentials, Actions::Pull))
    }

    /// The credentials that it is asked with, where the registry wanted some. To be called after an answer that is no refusal.
    pub(crate) fn accepted(&self) -> Option<&Credentials> {
        self.0.accepted()
    }

    /// `reg.example/team/app`, as images of it are called: mirrors have no name.
    pub(crate) fn name(&self) -> String {
        self.0.reference.repository()
    }

    pub(crate) fn domain(&self) -> &str {
        self.0.reference.domain()
    }

    /// All tags, over as many pages as the registry makes of them.
    pub(crate) async fn tags(&self) -> Result<Vec<String>> {
        let mut uri = self.0.uri("tags/list").await?;
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let response = self.0.ask(Method::GET, &uri, &HeaderMap::new(), Bytes::new()).await?;
            let response = self.0.expect_ok(Wanted::Manifest, response).await?;
            let next = next_page(response.headers());
            let page: Tags = serde_json::from_slice(&read_small(response, MAX_MANIFEST as usize).await?)
                .map_err(|e| ImageError::Registry(format!("broken list of tags: {e}")))?;
            tags.extend(page.tags.unwrap_or_default());
            check_tags(&tags)?;
            match next {
                Some(next) => uri = resolve(&uri, &next)?,
                None => return Ok(tags),
            }
        }
        Err(ImageError::Registry(format!("the list of tags has more than {MAX_PAGES} pages")))
    }

    async fn get(&self, tail: &str, headers: &HeaderMap) -> Result<Response<Incoming>> {
        self.0.ask(Method::GET, &self.0.uri(tail).await?, headers, Bytes::new()).await
    }

    /// `version` is a tag or a digest. The digest is of the bytes that came.
    pub(crate) async fn manifest(&self, version: &str) -> Result<FetchedManifest> {
        let mut headers = HeaderMap::new();
        for accepted in ACCEPTED {
            headers.append(header::ACCEPT, HeaderValue::from_static(accepted));
        }
        let response = self.get(&format!("manifests/{version}"), &headers).await?;
        let response = self.0.expect_ok(Wanted::Manifest, response).await?;
        let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (content_type, promised) = (text("content-type"), text("docker-content-digest"));
        let bytes = read_small(response, MAX_MANIFEST as usize).await?;
        let digest = Digest::of(&bytes);
        let promised = if version.starts_with("sha256:") { Some(version.to_owned()) } else { promised };
        match promised {
            Some(promised) if promised.starts_with("sha256:") && promised != digest.as_str() => {
                Err(ImageError::Refused(format!(
                    "manifest verification failed for digest {promised}: got {digest}"
                )))
            }
            _ => Ok(FetchedManifest { bytes, content_type, digest }),
        }
    }

    /// A small blob, whole and verified.
    pub(crate) async fn small_blob(&self, digest: &Digest, max: u64) -> Result<Bytes> {
        let response = self.get(&format!("blobs/{digest}"), &HeaderMap::new()).await?;
        let response = self.0.expect_ok(Wanted::Blob, response).await?;
        let bytes = read_small(response, max as usize).await?;
        let got = Digest::of(&bytes);
        if got != *digest {
            return Err(ImageError::Refused(format!(
                "blob verification failed for digest {digest}: got {got}"
            )));
        }
        Ok(bytes)
    }

    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let uri = self.0.uri(&format!("blobs/{digest}")).await?;
        let response = self.0.ask(Method::HEAD, &uri, &HeaderMap::new(), Bytes::new()).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self.0.expect_ok(Wanted::Blob, response).await.map(|_| true),
        }
    }

    /// The answer that carries the blob, from byte `offset` on (206) or from its start (200). Who asks has a patience of
    /// its own.
    pub(crate) async fn blob(&self, digest: &Digest, offset: u64) -> Result<Response<Incoming>> {
        let mut headers = HeaderMap::new();
        if offset > 0 {
            headers.insert(
                header::RANGE,
                HeaderValue::from_str(&format!("bytes={offset}-")).map_err(bad_header)?,
            );
        }
        let uri = self.0.uri(&format!("blobs/{digest}")).await?;
        let response = self.0.ask_once(Method::GET, &uri, &headers, Bytes::new()).await?;
        self.0.expect_ok(Wanted::Blob, response).await
    }
}

fn check_tags(tags: &[String]) -> Result<()> {
    let why = if tags.len() > MAX_TAGS {
        format!("the list of tags has more than {MAX_TAGS}")
    } else if tags.iter().any(|tag| tag.len() > MAX_TAG) {
        format!("a tag has more than {MAX_TAG} characters")
    } else {
        return Ok(());
    };
    Err(ImageError::Refused(why))
}

/// What RFC 8288 calls the link that follows: `</v2/a/tags/list?last=b&n=100>; rel="next"`.
fn next_page(headers: &HeaderMap) -> Option<HeaderValue> {
    let link = headers.get(header::LINK)?.to_str().ok()?;
    let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
    relation.contains("next").then(|| HeaderValue::from_str(target).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_over_all_pages() {
        let tags = |count: usize, length: usize| vec!["a".repeat(length); count];
        for (name, tags, want) in [
            ("none", tags(0, 0), None),
            ("many", tags(MAX_TAGS, 1), None),
            ("too many", tags(MAX_TAGS + 1, 1), Some("the list of tags has more than 100000")),
            ("as long as they may be", tags(2, MAX_TAG), None),
            ("a longer one", tags(1, MAX_TAG + 1), Some("a tag has more than 128 characters")),
        ] {
            let why = check_tags(&tags).err().map(|why| why.to_string());
            assert_eq!(why.as_deref(), want, "{name}");
        }
    }
}
