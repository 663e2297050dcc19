//! `/openapi/v2` and `/openapi/v3`: which of the embedded documents a client gets, packed or not, and for how long it
//! may keep it.

use crate::negotiate;
use crate::request::Request;
use crate::responses;
use crate::router::not_found;
use api::{Reason, Status};
use http::{HeaderValue, StatusCode, header};
use warp::reply::{Reply, Response};

const JSON: &str = "application/json";
/// The deprecated spelling is no valid media type, and is what clients of Go send; upstream answers with the new one.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// # Errors
/// `NotFound` for a group that is not served, `NotAcceptable` for a format that there is not.
pub(crate) fn answer(request: &Request, version: &str, path: &[&str]) -> Result<Response, Status> {
    match (version, path) {
        ("v2", []) => version_2(request),
        ("v3", []) => {
            negotiate::first_of(request.header(header::ACCEPT), &[JSON]).ok_or_else(not_acceptable)?;
            Ok(responses::json_bytes(200, openapi::index()))
        }
        ("v3", path) => version_3(request, &path.join("/")),
        _ => Err(not_found()),
    }
}

fn not_acceptable() -> Status {
    Status::new(Reason::NotAcceptable, "only the following media types are accepted: application/json")
}

fn version_2(request: &Request) -> Result<Response, Status> {
    let offers = [JSON, PROTOBUF, openapi::PROTOBUF];
    let chosen = negotiate::first_of(request.header(header::ACCEPT), &offers).ok_or_else(not_acceptable)?;
    let response = match chosen {
        JSON => packed(request, JSON, openapi::document_v2_json(), openapi::hash_v2()),
        _ => packed(request, PROTOBUF, openapi::document_v2_protobuf(), openapi::hash_v2()),
    };
    Ok(vary(response))
}

fn version_3(request: &Request, path: &str) -> Result<Response, Status> {
    let (Some(gz), Some(hash)) = (openapi::document_v3(path), openapi::hash_v3(path)) else {
        return Err(not_found());
    };
    negotiate::first_of(request.header(header::ACCEPT), &[JSON]).ok_or_else(not_acceptable)?;
    let asked = request.parameter("hash");
    if asked.is_some_and(|asked| asked != hash) {
        return Ok(moved(&format!("/openapi/v3/{path}?hash={hash}")));
    }
    let mut response = packed(request, JSON, gz, hash);
    if asked.is_some() {
        // an address with a hash never shows anything else
        let headers = response.headers_mut();
        headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable, max-age=31536000"));
    }
    Ok(vary(response))
}

/// As it is embedded where the client takes gzip, else inflated; nothing where the client has it already.
fn packed(request: &Request, content_type: &'static str, gz: &'static [u8], hash: &str) -> Response {
    // the same document in two formats is two entities
    let suffix = if content_type == JSON { "" } else { "-pb" };
    let etag = format!("\"{hash}{suffix}\"");
    let known = request.header(header::IF_NONE_MATCH).split(',').any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    });
    let mut response = match known {
        true => responses::typed(304, content_type, ""),
        false if negotiate::takes_gzip(request.header(header::ACCEPT_ENCODING)) => {
            let mut response = responses::typed(200, content_type, gz);
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        false => responses::typed(200, content_type, openapi::inflate(gz)),
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn moved(to: &str) -> Response {
    let mut response = Vec::new().into_response();
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

fn vary(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}
