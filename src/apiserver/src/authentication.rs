//! Who sent the request: the client's certificate, a bearer token, or nobody known.

use crate::request::Request;
use api::{Reason, Status};
use cluster::{Actor, Attributes, Cluster};

/// What the connection says of its other end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// The name and groups of a certificate that our authority signed.
    pub(crate) certified: Option<Actor>,
}

const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Common name and organisations of a certificate that TLS has checked already.
pub(crate) fn actor_of_certificate(der: &[u8]) -> Option<Actor> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let mut groups: Vec<&str> = subject.iter_organization().filter_map(|o| o.as_str().ok()).collect();
    groups.push(Actor::AUTHENTICATED);
    Some(Actor::user(name, &groups))
}

/// # Errors
/// `Unauthorized` for a token that is none, `Forbidden` for an impersonation that is not allowed.
pub(crate) fn authenticate(cluster: &Cluster, request: &Request) -> Result<Actor, Status> {
    let actor = match (&request.peer.certified, bearer(request)) {
        (_, Some(token)) => cluster.authenticate_token(&token)?,
        (Some(actor), None) => actor.clone(),
        (None, None) => Actor::anonymous(),
    };
    impersonate(cluster, request, actor)
}

fn bearer(request: &Request) -> Option<String> {
    let header = request.header(http::header::AUTHORIZATION);
    if let Some(token) = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("bearer ")) {
        return Some(token.trim().to_owned());
    }
    // a browser can not set headers on a WebSocket
    let offered = request.header(http::header::SEC_WEBSOCKET_PROTOCOL).split(',').map(str::trim);
    let encoded = offered.into_iter().find_map(|protocol| protocol.strip_prefix(BEARER_PROTOCOL))?;
    let token = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, encoded).ok()?;
    String::from_utf8(token).ok()
}

fn impersonate(cluster: &Cluster, request: &Request, actor: Actor) -> Result<Actor, Status> {
    let header =
        |name: &str| request.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect::<Vec<_>>();
    let groups = header("Impersonate-Group");
    let Some(user) = header("Impersonate-User").first().copied() else {
        return match groups.is_empty() {
            true => Ok(actor),
            false => Err(Status::new(Reason::InternalError, "requested groups without impersonating a user")),
        };
    };
    let may = |resource: &str, name: &str| {
        cluster.authorize(
            &actor,
            &Attributes {
                verb: "impersonate".into(),
                resource: resource.into(),
                name: Some(name.into()),
                ..Attributes::default()
            },
        )
    };
    may("users", user)?;
    for group in &groups {
        may("groups", group)?;
    }
    let mut all = groups;
    if !all.contains(&Actor::AUTHENTICATED) && user != "system:anonymous" {
        all.push(Actor::AUTHENTICATED);
    }
    Ok(Actor::user(user, &all))
}
