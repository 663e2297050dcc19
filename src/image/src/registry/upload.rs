//! What is written to a repository: blobs, taken over from another repository where the registry can, and manifests. An
//! upload goes on where its connection was cut.

use super::refusals::Wanted;
use super::session::{Actions, Session, bad_header, resolve};
use super::transport::{Body, Transport};
use crate::error::{ImageError, Result};
use crate::progress::PushStatus;
use crate::registries::Endpoint;
use crate::{Digest, ImageRef};
use bytes::Bytes;
use cri::Credentials;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;

/// Uploads that bring no new byte in so many tries are given up.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What is written to a repository.
pub(crate) struct Pushing(Session);

/// Makes a blob's bytes, from an offset on, as often as it takes; always the same ones. What it hashes them to is known
/// when they are all through.
pub(crate) trait Source: Send + Sync {
    fn body(&self, offset: u64) -> Result<Body>;
    /// Digest and length, after a whole body was read.
    fn sent(&self) -> Option<(Digest, u64)>;
}

impl Pushing {
    pub(crate) fn new(
        transport: Arc<Transport>,
        endpoint: Endpoint,
        reference: &ImageRef,
        credentials: Option<Credentials>,
    ) -> Pushing {
        Pushing(Session::new(transport, endpoint, reference, credentials, Actions::Push))
    }

    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let uri = self.0.uri(&format!("blobs/{digest}")).await?;
        let response = self.0.ask(Method::HEAD, &uri, &HeaderMap::new(), Bytes::new()).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self.0.expect_ok(Wanted::Push, response).await.map(|_| true),
        }
    }

    /// True where the registry took the blob over from another of its repositories.
    pub(crate) async fn mount(&self, digest: &Digest, from: &str) -> Result<bool> {
        let uri = self.0.uri(&format!("blobs/uploads/?mount={digest}&from={from}")).await?;
        let response = self.0.ask(Method::POST, &uri, &HeaderMap::new(), Bytes::new()).await?;
        match response.status() {
            StatusCode::CREATED => Ok(true),
            // it opened an upload instead, which is not needed: the registry forgets it, sooner when it is told
            StatusCode::ACCEPTED => {
                if let Ok(opened) = location(&uri, &response) {
                    _ = self.0.ask(Method::DELETE, &opened, &HeaderMap::new(), Bytes::new()).await;
                }
                Ok(false)
            }
            // not allowed to read there, or no such thing: then it is uploaded
            _ => Ok(false),
        }
    }

    pub(crate) async fn small_blob(&self, bytes: Bytes) -> Result<()> {
        let uri = self.open().await?;
        let uri = with_digest(&uri, &Digest::of(&bytes))?;
        let response = self.0.ask(Method::PUT, &uri, &octets(), bytes).await?;
        self.0.expect_ok(Wanted::Push, response).await.map(drop)
    }

    pub(crate) async fn manifest(&self, version: &str, media_type: &str, bytes: Bytes) -> Result<()> {
        let uri = self.0.uri(&format!("manifests/{version}")).await?;
        let value = HeaderValue::from_str(media_type).map_err(bad_header)?;
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
        let response = self.0.ask(Method::PUT, &uri, &headers, bytes).await?;
        self.0.expect_ok(Wanted::Push, response).await.map(drop)
    }

    /// Sends the blob in one stream, and goes on where a connection was cut. Gives its digest and length.
    pub(crate) async fn blob(&self, source: &dyn Source, tell: impl Fn(PushStatus)) -> Result<(Digest, u64)> {
        let mut uri = self.open().await?;
        let (mut offset, mut failures) = (0, 0);
        loop {
            let error = match self.stream(&uri, source, offset).await {
                Ok(next) => return self.finish(&next, source).await,
                // a token may run out in the middle: asking how far it came gets a new one
                Err(error)
                    if matches!(error.root(), ImageError::Registry(_) | ImageError::Unauthorized(_)) =>
                {
                    error
                }
                Err(error) => return Err(error),
            };
            failures += 1;
            if failures >= TRIES {
                return Err(error.within(format!("{TRIES} tries")));
            }
            let after = FIRST_PAUSE * 2u32.pow(failures - 1);
            tracing::debug!(offset, %error, "upload cut, will go on");
            tell(PushStatus::Retrying { after });
            tokio::time::sleep(after).await;
            let (next, reached) = self.reached(&uri).await?;
            if reached > offset {
                failures = 0;
            }
            (uri, offset) = (next, reached);
        }
    }

    async fn open(&self) -> Result<Uri> {
        let uri = self.0.uri("blobs/uploads/").await?;
        let response = self.0.ask(Method::POST, &uri, &HeaderMap::new(), Bytes::new()).await?;
        let response = self.0.expect_ok(Wanted::Push, response).await?;
        location(&uri, &response)
    }

    async fn stream(&self, uri: &Uri, source: &dyn Source, offset: u64) -> Result<Uri> {
        let body = source.body(offset)?;
        let response = self.0.send(Method::PATCH, uri, &octets(), body).await?;
        let response = self.0.expect_ok(Wanted::Push, response).await?;
        location(uri, &response)
    }

    async fn finish(&self, uri: &Uri, source: &dyn Source) -> Result<(Digest, u64)> {
        let missing = || ImageError::Registry("the registry answered before it had the whole layer".into());
        let (digest, length) = source.sent().ok_or_else(missing)?;
        let uri = with_digest(uri, &digest)?;
        let response = self.0.ask(Method::PUT, &uri, &octets(), Bytes::new()).await?;
        self.0.expect_ok(Wanted::Push, response).await?;
        Ok((digest, length))
    }

    /// How far an upload came (distribution specification, "Pushing a blob in chunks"). A registry that forgot it starts
    /// a new one.
    async fn reached(&self, uri: &Uri) -> Result<(Uri, u64)> {
        let response = self.0.ask(Method::GET, uri, &HeaderMap::new(), Bytes::new()).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok((self.open().await?, 0));
        }
        let response = self.0.expect_ok(Wanted::Push, response).await?;
        let range = response.headers().get(header::RANGE).and_then(|v| v.to_str().ok());
        let last =
            range.and_then(|range| range.rsplit_once('-')).and_then(|(_, last)| last.parse::<u64>().ok());
        // `0-0` is said both of nothing and of one byte: sending from the start is right for both
        let reached = last.filter(|last| *last > 0).map_or(0, |last| last + 1);
        if reached == 0 {
            return Ok((self.open().await?, 0));
        }
        Ok((location(uri, &response).unwrap_or_else(|_| uri.clone()), reached))
    }
}

fn octets() -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))])
}

fn location(uri: &Uri, response: &Response<Incoming>) -> Result<Uri> {
    match response.headers().get(header::LOCATION) {
        Some(location) => resolve(uri, location),
        None => Err(ImageError::Registry(format!("{uri}: the registry did not say where to upload"))),
    }
}

fn with_digest(uri: &Uri, digest: &Digest) -> Result<Uri> {
    let separator = if uri.query().is_some() { '&' } else { '?' };
    super::transport::parse_uri(&format!("{uri}{separator}digest={digest}"))
}
