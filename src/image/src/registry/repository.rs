use super::auth::{Challenge, challenges};
use super::refusals::{Wanted, refusal};
use super::transport::{Body, Transport, empty, parse_uri};
use crate::error::{ImageError, Result};
use crate::manifest::{ACCEPTED, MAX_MANIFEST};
use crate::registries::{Endpoint, is_loopback};
use crate::{Digest, ImageRef};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use cri::Credentials;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Registries send blobs to their storage, which may send them on once; more is a loop.
const MAX_REDIRECTS: usize = 5;
/// Error pages and tokens are small; what is longer is cut off.
const MAX_ANSWER: usize = 1 << 20;
/// For small bodies as a whole.
const SMALL_BODY: Duration = Duration::from_secs(60);

/// One repository at one endpoint, asked with one set of credentials.
pub(crate) struct Repository {
    transport: Arc<Transport>,
    endpoint: Endpoint,
    reference: ImageRef,
    credentials: Option<Credentials>,
    /// What the last challenge made of the credentials.
    authorization: Mutex<Option<HeaderValue>>,
}

pub(crate) struct FetchedManifest {
    pub(crate) bytes: Bytes,
    pub(crate) content_type: Option<String>,
    pub(crate) digest: Digest,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Repository {
    pub(crate) fn new(
        transport: Arc<Transport>,
        endpoint: Endpoint,
        reference: &ImageRef,
        credentials: Option<Credentials>,
    ) -> Repository {
        Repository {
            transport,
            endpoint,
            reference: reference.clone(),
            credentials,
            authorization: Mutex::default(),
        }
    }

    /// `version` is a tag or a digest. The digest is of the bytes that came.
    pub(crate) async fn manifest(&self, version: &str) -> Result<FetchedManifest> {
        let mut headers = HeaderMap::new();
        for accepted in ACCEPTED {
            headers.append(header::ACCEPT, HeaderValue::from_static(accepted));
        }
        let response = self.get(&format!("manifests/{version}"), &headers).await?;
        let response = self.expect_ok(Wanted::Manifest, response).await?;
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
        let response = self.blob(digest, 0).await?;
        let bytes = read_small(response, max as usize).await?;
        let got = Digest::of(&bytes);
        if got != *digest {
            return Err(ImageError::Refused(format!(
                "blob verification failed for digest {digest}: got {got}"
            )));
        }
        Ok(bytes)
    }

    /// The answer that carries the blob, from byte `offset` on (206) or from its start (200).
    pub(crate) async fn blob(&self, digest: &Digest, offset: u64) -> Result<Response<Incoming>> {
        let mut headers = HeaderMap::new();
        if offset > 0 {
            headers.insert(
                header::RANGE,
                HeaderValue::from_str(&format!("bytes={offset}-")).map_err(bad_header)?,
            );
        }
        let response = self.get(&format!("blobs/{digest}"), &headers).await?;
        self.expect_ok(Wanted::Blob, response).await
    }

    async fn expect_ok(&self, wanted: Wanted, response: Response<Incoming>) -> Result<Response<Incoming>> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read_small(response, MAX_ANSWER).await.unwrap_or_default();
        Err(refusal(wanted, &self.reference, status, &body))
    }

    async fn get(&self, tail: &str, headers: &HeaderMap) -> Result<Response<Incoming>> {
        let scheme = self.transport.scheme(&self.endpoint).await?;
        let uri =
            parse_uri(&format!("{scheme}://{}/v2/{}/{tail}", self.endpoint.host, self.reference.path()))?;
        let response = self.follow(&uri, headers).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.authorize(&response, &uri).await? {
            return Ok(response);
        }
        self.follow(&uri, headers).await
    }

    /// GETs, and goes where the registry sends. Only the registry itself sees the credentials.
    async fn follow(&self, start: &Uri, headers: &HeaderMap) -> Result<Response<Incoming>> {
        let mut uri = start.clone();
        for _ in 0..=MAX_REDIRECTS {
            let is_home = uri.authority() == start.authority() && uri.scheme() == start.scheme();
            let mut request = request(Method::GET, &uri, empty())?;
            request.headers_mut().extend(headers.clone());
            let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(value) = authorization.filter(|_| is_home) {
                request.headers_mut().insert(header::AUTHORIZATION, value);
            }
            let response = self.transport.send(request).await?;
            match redirect(&response) {
                Some(location) => uri = resolve(&uri, location)?,
                None => return Ok(response),
            }
        }
        Err(ImageError::Registry(format!("{start}: stopped after {MAX_REDIRECTS} redirects")))
    }

    /// Answers a challenge; false where there is nothing (new) to answer it with.
    async fn authorize(&self, response: &Response<Incoming>, uri: &Uri) -> Result<bool> {
        for challenge in challenges(response.headers()) {
            let value = match (challenge, &self.credentials) {
                (Challenge::Basic, Some(Credentials::Basic { username, password })) => {
                    basic(username, password)?
                }
                (Challenge::Basic, _) => continue,
                (Challenge::Bearer { .. }, Some(Credentials::Bearer(token))) => bearer(token)?,
                (Challenge::Bearer { realm, service, scope }, _) => {
                    bearer(&self.token(&realm, service, scope, uri).await?)?
                }
            };
            let mut authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = authorization.as_ref() != Some(&value);
            *authorization = Some(value);
            return Ok(is_new);
        }
        Ok(false)
    }

    /// Asks the token server (distribution specification, "Token Authentication").
    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
        from: &Uri,
    ) -> Result<String> {
        let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.path()));
        let mut query = format!("scope={}", utf8_percent_encode(&scope, NON_ALPHANUMERIC));
        if let Some(service) = service {
            query = format!("service={}&{query}", utf8_percent_encode(&service, NON_ALPHANUMERIC));
        }
        let uri = parse_uri(&format!("{realm}{}{query}", if realm.contains('?') { '&' } else { '?' }))?;
        let mut request = request(Method::GET, &uri, empty())?;
        if let Some(Credentials::Basic { username, password }) = &self.credentials {
            check_realm(&uri, from)?;
            request.headers_mut().insert(header::AUTHORIZATION, basic(username, password)?);
        }
        let response = self.expect_ok(Wanted::Manifest, self.transport.send(request).await?).await?;
        let bytes = read_small(response, MAX_ANSWER).await?;
        let answer: TokenAnswer = serde_json::from_slice(&bytes)
            .map_err(|e| ImageError::Registry(format!("broken answer of the token server {realm}: {e}")))?;
        let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
        token.ok_or_else(|| ImageError::Registry(format!("the token server {realm} gave no token")))
    }
}

/// A password goes in the clear only where the registry itself is spoken to in the clear, or stays on this machine.
fn check_realm(realm: &Uri, registry: &Uri) -> Result<()> {
    let host = realm.host().unwrap_or_default();
    let fine =
        realm.scheme_str() == Some("https") || registry.scheme_str() == Some("http") || is_loopback(host);
    if fine {
        Ok(())
    } else {
        Err(ImageError::Registry(format!("will not send a password in the clear to {host}")))
    }
}

fn request(method: Method, uri: &Uri, body: Body) -> Result<Request<Body>> {
    let request = Request::builder().method(method).uri(uri.clone()).body(body);
    request.map_err(|e| ImageError::Registry(format!("{uri}: {e}")))
}

fn redirect(response: &Response<Incoming>) -> Option<&HeaderValue> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    response.headers().get(header::LOCATION).filter(|_| is_redirect)
}

fn resolve(from: &Uri, location: &HeaderValue) -> Result<Uri> {
    let text = location.to_str().map_err(|e| ImageError::Registry(format!("redirect from {from}: {e}")))?;
    let uri = if text.starts_with('/') && !text.starts_with("//") {
        let authority = from.authority().map(|a| a.as_str()).unwrap_or_default();
        parse_uri(&format!("{}://{authority}{text}", from.scheme_str().unwrap_or("https")))?
    } else {
        parse_uri(text)?
    };
    let host = uri.host().unwrap_or_default();
    if uri.scheme_str() == Some("http") && from.scheme_str() == Some("https") && !is_loopback(host) {
        return Err(ImageError::Registry(format!(
            "{from}: will not follow a redirect from https to http at {host}"
        )));
    }
    Ok(uri)
}

async fn read_small(response: Response<Incoming>, max: usize) -> Result<Bytes> {
    let limited = http_body_util::Limited::new(response.into_body(), max);
    match tokio::time::timeout(SMALL_BODY, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(e)) => Err(ImageError::Registry(format!("read answer of the registry: {e}"))),
        Err(_) => Err(ImageError::Registry(format!(
            "read answer of the registry: not whole after {} s",
            SMALL_BODY.as_secs()
        ))),
    }
}

fn basic(username: &str, password: &str) -> Result<HeaderValue> {
    secret(&format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        // the value stays out of the error
        ImageError::Unauthorized("credentials hold characters that no header can carry".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn bad_header(e: http::header::InvalidHeaderValue) -> ImageError {
    ImageError::Registry(e.to_string())
}
