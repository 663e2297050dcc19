//! Requests to one registry for one repository: challenges answered, redirects followed, refusals put into words.

use super::auth::{Challenge, challenges};
use super::exchange::{MAX_ANSWER, basic, bearer, read_small, request};
use super::refusals::{Wanted, refusal};
use super::retry_policy::{RetryPolicy, retry_after};
use super::token::{read_token, token_request};
use super::transport::{Body, Transport, body, parse_uri};
use crate::ImageRef;
use crate::error::{ImageError, Result};
use crate::registries::{Endpoint, is_loopback};
use bytes::Bytes;
use cri::Credentials;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::sync::Arc;

/// Registries send blobs to their storage, which may send them on once; more is a loop.
const MAX_REDIRECTS: usize = 5;
/// What may be done with the repository; asked for with the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actions {
    Pull,
    Push,
}

/// One repository at one endpoint, asked with one set of credentials.
pub(crate) struct Session {
    transport: Arc<Transport>,
    endpoint: Endpoint,
    pub(super) reference: ImageRef,
    credentials: Option<Credentials>,
    actions: Actions,
    /// What the last challenge made of the credentials.
    authorization: Mutex<Option<HeaderValue>>,
}

impl Session {
    pub(super) fn new(
        transport: Arc<Transport>,
        endpoint: Endpoint,
        reference: &ImageRef,
        credentials: Option<Credentials>,
        actions: Actions,
    ) -> Session {
        let reference = reference.clone();
        Session { transport, endpoint, reference, credentials, actions, authorization: Mutex::default() }
    }

    /// The credentials, where the registry has asked for them.
    pub(super) fn accepted(&self) -> Option<&Credentials> {
        let was_asked = self.authorization.lock().is_some();
        self.credentials.as_ref().filter(|_| was_asked)
    }

    /// `tail` is what follows the repository's name.
    pub(super) async fn uri(&self, tail: &str) -> Result<Uri> {
        let scheme = self.transport.scheme(&self.endpoint).await?;
        parse_uri(&format!("{scheme}://{}/v2/{}/{tail}", self.endpoint.host, self.reference.path()))
    }

    /// Whether the registry itself is at `uri`: credentials are shown only there, and only its challenges are answered,
    /// wherever it sends.
    async fn is_home(&self, uri: &Uri) -> Result<bool> {
        let scheme = self.transport.scheme(&self.endpoint).await?;
        Ok(is_same_server(&parse_uri(&format!("{scheme}://{}/", self.endpoint.host))?, uri))
    }

    /// Asks as often as a busy registry makes it necessary.
    pub(super) async fn ask(
        &self,
        method: Method,
        uri: &Uri,
        headers: &HeaderMap,
        content: Bytes,
    ) -> Result<Response<Incoming>> {
        let mut patience = RetryPolicy::default();
        loop {
            let response = self.ask_once(method.clone(), uri, headers, content.clone()).await?;
            let Some(pause) = patience.pause(response.status(), response.headers()) else {
                return Ok(response);
            };
            tracing::debug!(%method, %uri, status = %response.status(), ?pause, "the registry is busy");
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks, and once more where the first answer is a challenge of the registry that can be met.
    pub(super) async fn ask_once(
        &self,
        method: Method,
        uri: &Uri,
        headers: &HeaderMap,
        content: Bytes,
    ) -> Result<Response<Incoming>> {
        let shown = self.authorization();
        let (response, from) = self.follow(method.clone(), uri, headers, content.clone()).await?;
        if response.status() != StatusCode::UNAUTHORIZED
            || !self.is_home(&from).await?
            || !self.authorize(&response, &from, shown).await?
        {
            return Ok(response);
        }
        Ok(self.follow(method, uri, headers, content).await?.0)
    }

    /// Goes where the registry sends; tells who answered.
    async fn follow(
        &self,
        method: Method,
        start: &Uri,
        headers: &HeaderMap,
        content: Bytes,
    ) -> Result<(Response<Incoming>, Uri)> {
        let may_be_sent_on = matches!(method, Method::GET | Method::HEAD);
        let mut uri = start.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(method.clone(), &uri, headers, body(content.clone())).await?;
            match redirect(&response).filter(|_| may_be_sent_on) {
                Some(location) => uri = resolve(&uri, location)?,
                None => return Ok((response, uri)),
            }
        }
        Err(ImageError::Registry(format!("{start}: stopped after {MAX_REDIRECTS} redirects")))
    }

    /// One request, as it is. Only the registry itself sees the credentials.
    pub(super) async fn send(
        &self,
        method: Method,
        uri: &Uri,
        headers: &HeaderMap,
        content: Body,
    ) -> Result<Response<Incoming>> {
        let mut request = request(method, uri, content)?;
        request.headers_mut().extend(headers.clone());
        if let Some(value) = self.authorization()
            && self.is_home(uri).await?
        {
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        self.transport.send(request, &self.endpoint.host).await
    }

    /// The answer, if it is a success; else what it says.
    pub(super) async fn expect_ok(
        &self,
        wanted: Wanted,
        response: Response<Incoming>,
    ) -> Result<Response<Incoming>> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let later = retry_after(response.headers());
        let said = read_small(response, MAX_ANSWER).await.unwrap_or_default();
        Err(match (refusal(wanted, &self.reference, status, &said), later) {
            (ImageError::Registry(why), Some(later)) => {
                ImageError::Registry(format!("{why} (it says to try again in {} s)", later.as_secs()))
            }
            (refused, _) => refused,
        })
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.lock().clone()
    }

    /// Answers a challenge; false where there is nothing to answer it with but what was `shown` already. Another request
    /// of the same session may have met the same challenge meanwhile.
    async fn authorize(
        &self,
        response: &Response<Incoming>,
        uri: &Uri,
        shown: Option<HeaderValue>,
    ) -> Result<bool> {
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
            let is_new = shown.as_ref() != Some(&value);
            *self.authorization.lock() = Some(value);
            return Ok(is_new);
        }
        Ok(false)
    }

    /// What the challenge names, and all that this session will need: a push asks for more than its first request does.
    fn scope(&self, challenged: Option<String>) -> Vec<String> {
        let actions = if self.actions == Actions::Push { "pull,push" } else { "pull" };
        let own = format!("repository:{}:", self.reference.path());
        let others =
            challenged.iter().flat_map(|scope| scope.split(' ')).filter(|one| !one.starts_with(&own));
        let others: Vec<String> = others.filter(|one| !one.is_empty()).map(str::to_owned).collect();
        [format!("{own}{actions}")].into_iter().chain(others).collect()
    }

    /// Asks the token server (distribution specification, "Token Authentication").
    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
        from: &Uri,
    ) -> Result<String> {
        let credentials = self.credentials.as_ref();
        let request = token_request(realm, service, &self.scope(scope), from, credentials)?;
        let wanted = if self.actions == Actions::Push { Wanted::Push } else { Wanted::Manifest };
        let response =
            self.expect_ok(wanted, self.transport.send(request, &self.endpoint.host).await?).await?;
        read_token(realm, response).await
    }
}

/// By scheme, host and port.
fn is_same_server(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

pub(super) fn redirect(response: &Response<Incoming>) -> Option<&HeaderValue> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    response.headers().get(header::LOCATION).filter(|_| is_redirect)
}

pub(super) fn resolve(from: &Uri, location: &HeaderValue) -> Result<Uri> {
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

pub(super) fn bad_header(e: http::header::InvalidHeaderValue) -> ImageError {
    ImageError::Registry(e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_from_another() {
        for (name, other, want) in [
            ("another path", "https://registry.test/v2/b", true),
            ("its port is said", "https://registry.test:443/", true),
            ("in capitals", "https://Registry.Test/", true),
            ("another port", "https://registry.test:5002/", false),
            ("another scheme", "http://registry.test/", false),
            ("another scheme at its port", "http://registry.test:443/", false),
            ("a name below it", "https://a.registry.test/", false),
            ("its name for a user", "https://registry.test@other.test/", false),
        ] {
            let home = parse_uri("https://registry.test/v2/a").unwrap();
            assert_eq!(is_same_server(&home, &parse_uri(other).unwrap()), want, "{name}");
        }
    }
}
