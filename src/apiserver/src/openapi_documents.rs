//! `/openapi/v2` and `/openapi/v3`: which of the documents a client gets, packed or not, and for how long it may keep it.

use crate::aggregator;
use crate::negotiate;
use crate::request::Request;
use crate::responses;
use crate::responses::not_found;
use crate::server_state::ServerState;
use api::{Reason, Status};
use http::{HeaderValue, StatusCode, header};
use openapi::{Document, Documents};
use std::sync::Arc;
use warp::reply::{Reply, Response};

const JSON: &str = "application/json";
/// The deprecated spelling is no valid media type, and is what clients of Go send; upstream answers with the new one.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The same of version 3.
const PROTOBUF_3: &str = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";

/// # Errors
/// `NotFound` for a group that is not served, `NotAcceptable` for a format that there is not.
pub(crate) async fn answer(
    state: &ServerState,
    request: &Request,
    version: &str,
    path: &[&str],
) -> Result<Response, Status> {
    let documents = state.openapi.of(state.cluster.registry(), &state.aggregated);
    match (version, path) {
        ("v2", []) => version_2(&documents, request).await,
        ("v3", []) => {
            negotiate::first_of(request.header(header::ACCEPT), &[JSON]).ok_or_else(not_acceptable)?;
            Ok(responses::json_bytes(200, index(state, &documents)))
        }
        ("v3", path) => version_3(&documents, request, &path.join("/")).await,
        _ => Err(not_found()),
    }
}

/// Those who serve a group for the cluster have their own documents.
fn index(state: &ServerState, documents: &Documents) -> String {
    let aggregated = aggregator::all_given_away(&state.cluster).into_iter().filter_map(|service| {
        let spec = service.spec.as_ref()?;
        let (group, version) = (spec.group.as_deref()?, spec.version.as_deref()?);
        Some((format!("apis/{group}/{version}"), state.aggregated.openapi_hash(group, version)?))
    });
    let own = documents.hashes().map(|(path, hash)| (path.to_owned(), hash.to_owned()));
    openapi::index(&own.chain(aggregated).collect())
}

fn not_acceptable() -> Status {
    Status::new(Reason::NotAcceptable, "only the following media types are accepted: application/json")
}

async fn version_2(documents: &Documents, request: &Request) -> Result<Response, Status> {
    let offers = [JSON, PROTOBUF, openapi::PROTOBUF];
    let chosen = negotiate::first_of(request.header(header::ACCEPT), &offers).ok_or_else(not_acceptable)?;
    match chosen {
        JSON => entity(request, JSON, documents.version_2()).await,
        _ => entity(request, PROTOBUF, documents.version_2_protobuf()).await,
    }
}

async fn version_3(documents: &Documents, request: &Request, path: &str) -> Result<Response, Status> {
    let offers = [JSON, PROTOBUF_3, openapi::PROTOBUF_3];
    let chosen = negotiate::first_of(request.header(header::ACCEPT), &offers);
    let (content_type, document) = match chosen {
        Some(JSON) | None => (JSON, documents.version_3(path)),
        Some(_) => (PROTOBUF_3, documents.version_3_protobuf(path)),
    };
    let document = document.ok_or_else(not_found)?;
    chosen.ok_or_else(not_acceptable)?;
    let hash = document.hash();
    let asked = request.parameter("hash");
    if asked.is_some_and(|asked| asked != hash) {
        return Ok(moved(&format!("/openapi/v3/{path}?hash={hash}")));
    }
    let mut response = entity(request, content_type, document).await?;
    if asked.is_some() {
        // an address with a hash never shows anything else
        let headers = response.headers_mut();
        headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable, max-age=31536000"));
    }
    Ok(response)
}

/// Packed where the client takes gzip; nothing where the client has it already.
async fn entity(
    request: &Request,
    content_type: &'static str,
    document: &Arc<Document>,
) -> Result<Response, Status> {
    // the same document in two formats is two entities
    let suffix = if content_type == JSON { "" } else { "-pb" };
    let etag = format!("\"{}{suffix}\"", document.hash());
    let known = negotiate::is_known(request.header(header::IF_NONE_MATCH), &etag);
    let takes_gzip = negotiate::takes_gzip(request.header(header::ACCEPT_ENCODING));
    let mut response = if known {
        responses::typed(304, content_type, "")
    } else {
        let document = document.clone();
        // milliseconds of work where nobody has asked before, and where it is to be inflated
        let body = cri::blocking_while_wanted(move |_| match takes_gzip {
            true => document.packed().to_vec(),
            false => openapi::inflate(document.packed()),
        });
        responses::typed(200, content_type, body.await.map_err(Status::internal)?)
    };
    let headers = response.headers_mut();
    if takes_gzip && !known {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    Ok(response)
}

fn moved(to: &str) -> Response {
    let mut response = Vec::new().into_response();
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}
