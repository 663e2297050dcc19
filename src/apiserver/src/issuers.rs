//! Who somebody is by a token of an OpenID Connect issuer that is not ours. Its keys are fetched when the first token of it
//! comes, and again when one comes that none of them signed: issuers change them.

use crate::client_tls::{self, Trust};
use crate::exchange::ask;
use ::authentication::{Configuration, Identity, Issuer, Keys, Token, TokenError};
use api::{Reason, Status};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use cluster::Actor;
use http::{Method, StatusCode, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// A client whose key is not known waits for this with its request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Strangers can make up tokens as they like: after an answer, or none, an issuer is asked again no sooner, whatever came of it.
const LEAST_BETWEEN: Duration = Duration::from_secs(10);

/// Those that are believed.
#[derive(Default)]
pub(crate) struct Issuers {
    all: Vec<(Arc<Issuer>, Arc<Known>)>,
    pub(crate) anonymous: ::authentication::Anonymous,
}

/// What an issuer's keys were when it was asked last. They are read without a lock: whoever has a token that one of them signed does
/// not wait for an issuer that is being asked about the token of a stranger.
#[derive(Default)]
struct Known {
    keys: ArcSwapOption<Keys>,
    /// When it was asked last. Who holds it is asking.
    asked: Arc<Mutex<Option<Instant>>>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Issuers {
    /// What `before` knows of the keys of those that stay goes on being known: an issuer that does not answer now would lock everybody out.
    pub(crate) fn new(configuration: Configuration, before: &Issuers) -> Self {
        let known = |issuer: &Issuer| {
            let same = before.all.iter().find(|(known, _)| known.has_keys_of(issuer));
            same.map(|(_, known)| known.clone()).unwrap_or_default()
        };
        let all = configuration.issuers.into_iter().map(|issuer| {
            let known = known(&issuer);
            (Arc::new(issuer), known)
        });
        Issuers { all: all.collect(), anonymous: configuration.anonymous }
    }

    /// `None` for a token of nobody who is believed.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub(crate) async fn authenticate(&self, token: &str) -> Option<Result<Actor, Status>> {
        if self.all.is_empty() {
            return None;
        }
        let token = Token::parse(token)?;
        let url = token.issuer()?;
        let (issuer, known) = self.all.iter().find(|(issuer, _)| issuer.url() == url)?;
        let identity = identify(issuer, known, &token).await;
        Some(identity.map(actor).map_err(|why| {
            tracing::info!(issuer = issuer.url(), %why, "a token is refused");
            Status::new(Reason::Unauthorized, "Unauthorized")
        }))
    }
}

async fn identify(issuer: &Arc<Issuer>, known: &Arc<Known>, token: &Token<'_>) -> Result<Identity, String> {
    let now = || jiff::Timestamp::now().as_second() as f64;
    let keys = current(issuer, known, None).await?;
    match issuer.identify(token, &keys, now()) {
        Err(TokenError::UnknownKey) => {
            let keys = current(issuer, known, Some(&keys)).await?;
            issuer.identify(token, &keys, now()).map_err(|why| why.to_string())
        }
        identity => identity.map_err(|why| why.to_string()),
    }
}

/// The keys; others than `outdated`, where there are some by now. Who needs them while they are fetched waits for the same answer.
async fn current(
    issuer: &Arc<Issuer>,
    known: &Arc<Known>,
    outdated: Option<&Arc<Keys>>,
) -> Result<Arc<Keys>, String> {
    let is_outdated = |keys: &Arc<Keys>| outdated.is_some_and(|outdated| Arc::ptr_eq(outdated, keys));
    let usable = || known.keys.load_full().filter(|keys| !is_outdated(keys));
    if let Some(keys) = usable() {
        return Ok(keys);
    }
    let mut asked = known.asked.clone().lock_owned().await;
    if let Some(keys) = usable() {
        return Ok(keys);
    }
    if asked.is_some_and(|asked| asked.elapsed() < LEAST_BETWEEN) {
        let none = || "oidc: its keys could not be fetched a moment ago".to_owned();
        return known.keys.load_full().ok_or_else(none);
    }
    let (issuer, known) = (issuer.clone(), known.clone());
    // in a task of its own: a stranger who hangs up at once would have nobody's keys fetched, as often as he likes
    let fetching = tokio::spawn(async move {
        let fetched = timeout(PATIENCE, fetch(&issuer)).await;
        let fetched =
            fetched.unwrap_or_else(|_| Err("oidc: fetching keys: context deadline exceeded".to_owned()));
        // those who waited do not ask one after the other
        *asked = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                let keys = Arc::new(keys);
                known.keys.store(Some(keys.clone()));
                Ok(keys)
            }
            // what is known goes on being believed
            Err(why) => known.keys.load_full().ok_or(why),
        }
    });
    fetching.await.unwrap_or_else(|why| Err(format!("oidc: fetching keys: {why}")))
}

async fn fetch(issuer: &Issuer) -> Result<Keys, String> {
    let authority = issuer.certificate_authority.as_bytes();
    let told = get(&issuer.discovery_url(), authority).await?;
    let told: Discovery = serde_json::from_slice(&told)
        .map_err(|why| format!("oidc: failed to decode provider discovery object: {why}"))?;
    if told.issuer != issuer.url() {
        let (wanted, got) = (issuer.url(), told.issuer);
        return Err(format!(
            "oidc: issuer did not match the issuer returned by provider, expected {wanted:?} got {got:?}"
        ));
    }
    Keys::parse(&get(&told.jwks_uri, authority).await?).map_err(|why| format!("oidc: {why}"))
}

async fn get(url: &str, authority: &[u8]) -> Result<Bytes, String> {
    let failed = |why: String| format!("oidc: Get {url:?}: {why}");
    let uri: Uri = url.parse().map_err(|why: http::uri::InvalidUri| failed(why.to_string()))?;
    if uri.scheme_str() != Some("https") {
        return Err(failed("only https is asked".to_owned()));
    }
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let stream = client_tls::dial(&host, uri.port_u16().unwrap_or(443)).await.map_err(failed)?;
    let config = client_tls::config(&Trust::Bundle(authority), None).map_err(failed)?;
    let stream = client_tls::connect(stream, config, &host).await.map_err(failed)?;
    let request = http::Request::builder()
        .method(Method::GET)
        .uri(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::ACCEPT, "application/json")
        .body(Full::default())
        .map_err(|why| failed(why.to_string()))?;
    match ask(stream, request).await.map_err(failed)? {
        (StatusCode::OK, body) => Ok(body),
        (status, _) => Err(failed(format!("it answers {status}"))),
    }
}

fn actor(identity: Identity) -> Actor {
    let Identity { username, uid, mut groups, extra } = identity;
    if !groups.iter().any(|group| group == Actor::AUTHENTICATED) {
        groups.push(Actor::AUTHENTICATED.to_owned());
    }
    Actor::known(username, uid, groups, extra)
}
