//! Who sent the request: the client's certificate, a bearer token, or nobody known.

use crate::bearer_protocol;
use crate::request::Request;
use crate::server_state::ServerState;
use api::{Reason, Status};
use cluster::Actor;

/// Common name and organisations of a certificate that TLS has checked already, and when it ends, in seconds since 1970.
pub(crate) fn actor_of_certificate(der: &[u8]) -> Option<(Actor, i64)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let mut groups: Vec<&str> = subject.iter_organization().filter_map(|o| o.as_str().ok()).collect();
    groups.push(Actor::AUTHENTICATED);
    Some((Actor::user(name, &groups), certificate.validity().not_after.timestamp()))
}

/// # Errors
/// `Unauthorized` for a token that is none, and for one without where nobody may be unknown.
pub(crate) async fn authenticate(state: &ServerState, request: &Request) -> Result<Actor, Status> {
    match (&request.peer.certified, bearer(request)) {
        (_, Some(token)) => {
            let actor = whose(state, &token).await?;
            request.peer.vouch(&actor);
            request.is_no_strangers();
            Ok(actor)
        }
        (Some(actor), None) => {
            // it may have been another's, who had a token
            request.peer.vouch(actor);
            if let Some(ends) = request.peer.certified_until {
                state.metrics.count_certificate(ends);
            }
            Ok(actor.clone())
        }
        (None, None) if state.issuers.load().anonymous.allows(&request.path) => Ok(Actor::anonymous()),
        (None, None) => Err(Status::new(Reason::Unauthorized, "Unauthorized")),
    }
}

/// Our own tokens first: to look at one costs nothing.
///
/// # Errors
/// `Unauthorized`.
pub(crate) async fn whose(state: &ServerState, token: &str) -> Result<Actor, Status> {
    match state.cluster.authenticate_token(token) {
        Ok(actor) => Ok(actor),
        Err(status) => state.issuers.load_full().authenticate(token).await.unwrap_or(Err(status)),
    }
}

/// `None` where no token is given; what is given and can be none is given back as it is, and refused by whoever reads it.
fn bearer(request: &Request) -> Option<String> {
    if let Some(header) = request.headers.get(http::header::AUTHORIZATION) {
        let header = String::from_utf8_lossy(header.as_bytes());
        let mut words = header.split_whitespace();
        let scheme = words.next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") {
            return words.next().map(str::to_owned);
        }
    }
    let offered = request.headers.get_all(http::header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let encoded = offered.find_map(|protocol| bearer_protocol::token_in(protocol.trim()))?;
    let token = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, encoded).ok()?;
    String::from_utf8(token).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_token_is_found_where_clients_put_it() {
        for (name, value, want) in [
            ("authorization", &b"Bearer abc"[..], Some("abc")),
            ("authorization", b"bEARER   abc ", Some("abc")),
            ("authorization", b"Bearer", None),
            ("authorization", b"Basic abc", None),
            // what is no text is no token of ours, but it was meant as one
            ("authorization", b"Bearer \xff", Some("\u{fffd}")),
            (
                "sec-websocket-protocol",
                b"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.YWJj",
                Some("abc"),
            ),
        ] {
            let mut request = Request::for_tests("GET", "/", "", Vec::new());
            request.headers.insert(name, HeaderValue::from_bytes(value).unwrap());
            assert_eq!(bearer(&request).as_deref(), want, "{name}: {}", value.escape_ascii());
        }
    }
}
