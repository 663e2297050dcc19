//! What is said to who asks for something that nobody serves.

use crate::backends::NoBackend;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use std::error::Error;

pub(crate) type Body = BoxBody<Bytes, Box<dyn Error + Send + Sync>>;

pub(crate) fn text(status: StatusCode, words: String) -> Response<Body> {
    let body = Full::new(Bytes::from(words + "\n")).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

pub(crate) fn nobody(host: &str, path: &str) -> Response<Body> {
    text(StatusCode::NOT_FOUND, format!("no ingress has a rule for http://{host}{path}"))
}

pub(crate) fn unavailable(why: &NoBackend) -> Response<Body> {
    let words = match why {
        NoBackend::Service(name) => format!("the ingress leads to the service {name}, which does not exist"),
        NoBackend::Port(name) => format!("the ingress leads to a port that the service {name} does not have"),
        NoBackend::Endpoint(name) => format!("no pod of the service {name} is ready"),
    };
    text(StatusCode::SERVICE_UNAVAILABLE, words)
}

pub(crate) fn too_long() -> Response<Body> {
    text(StatusCode::URI_TOO_LONG, "the path is too long".to_owned())
}

/// Without the port; that of IPv6 stands behind brackets.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Permanent, and the method and body stay (RFC 9110, 15.4.9).
pub(crate) fn to_https(host: &str, path_and_query: &str) -> Response<Body> {
    let mut response = text(StatusCode::PERMANENT_REDIRECT, String::new());
    match HeaderValue::from_str(&format!("https://{}{path_and_query}", name_of(host))) {
        Ok(location) => drop(response.headers_mut().insert(header::LOCATION, location)),
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_https_has_no_port_of_http() {
        for (host, want) in [
            ("a.example", "https://a.example/x?y"),
            ("a.example:80", "https://a.example/x?y"),
            ("[fd00::1]:80", "https://[fd00::1]/x?y"),
            ("[fd00::1]", "https://[fd00::1]/x?y"),
        ] {
            let response = to_https(host, "/x?y");
            assert_eq!(response.headers()[header::LOCATION], want, "{host}");
        }
    }
}
