//! What is asked of token servers (distribution specification, "Token Authentication"), and their answers.

use super::exchange::{MAX_ANSWER, basic, read_small, request};
use super::transport::{Body, body, parse_uri};
use crate::error::{ImageError, Result};
use crate::registries::is_loopback;
use bytes::Bytes;
use cri::Credentials;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

/// What Docker calls the user whose password is an identity token, given out by a login elsewhere.
const IDENTITY: &str = "<token>";

pub(super) fn token_request(
    realm: &str,
    service: Option<String>,
    scopes: &[String],
    from: &Uri,
    credentials: Option<&Credentials>,
) -> Result<Request<Body>> {
    if let Some(Credentials::Basic { username, password }) = credentials
        && username == IDENTITY
    {
        return refresh(realm, service, scopes, from, password);
    }
    let service = service.iter().map(|service| ("service", service.as_str()));
    let fields: Vec<(&str, &str)> =
        service.chain(scopes.iter().map(|scope| ("scope", scope.as_str()))).collect();
    let mark = if realm.contains('?') { '&' } else { '?' };
    let uri = parse_uri(&format!("{realm}{mark}{}", form(&fields)))?;
    let mut request = request(Method::GET, &uri, body(Bytes::new()))?;
    if let Some(Credentials::Basic { username, password }) = credentials {
        check_realm(&uri, from)?;
        request.headers_mut().insert(header::AUTHORIZATION, basic(username, password)?);
    }
    Ok(request)
}

/// A token for a token (distribution specification, "OAuth2 Token Authentication").
fn refresh(
    realm: &str,
    service: Option<String>,
    scopes: &[String],
    from: &Uri,
    token: &str,
) -> Result<Request<Body>> {
    let uri = parse_uri(realm)?;
    check_realm(&uri, from)?;
    let (service, scopes) = (service.unwrap_or_default(), scopes.join(" "));
    let fields = [
        ("grant_type", "refresh_token"),
        ("service", &service),
        ("client_id", "monopod"),
        ("scope", &scopes),
        ("refresh_token", token),
    ];
    let mut request = request(Method::POST, &uri, body(form(&fields)))?;
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(request)
}

fn form(fields: &[(&str, &str)]) -> String {
    let field =
        |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

pub(super) async fn read_token(realm: &str, response: Response<Incoming>) -> Result<String> {
    let bytes = read_small(response, MAX_ANSWER).await?;
    let answer: TokenAnswer = serde_json::from_slice(&bytes)
        .map_err(|e| ImageError::Registry(format!("broken answer of the token server {realm}: {e}")))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    token.ok_or_else(|| ImageError::Registry(format!("the token server {realm} gave no token")))
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
