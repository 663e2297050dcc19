//! `/openapi/v2` and `/openapi/v3`: which of the embedded documents a client gets, packed or not, and for how long it
//! may keep it.

use crate::aggregator;
use crate::negotiate;
use crate::request::Request;
use crate::responses;
use crate::responses::not_found;
use crate::server_state::ServerState;
use api::{Reason, Status};
use http::{HeaderValue, StatusCode, header};
use kinds::{Registry, Scope};
use std::sync::{Arc, Mutex, PoisonError};
use warp::reply::{Reply, Response};

const JSON: &str = "application/json";
/// The deprecated spelling is no valid media type, and is what clients of Go send; upstream answers with the new one.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The documents of the custom kinds, made anew when those have changed.
#[derive(Default)]
pub(crate) struct CustomDocuments(Mutex<Option<Made>>);

struct Made {
    of: Arc<Registry>,
    version_3: Arc<Vec<openapi::CustomDocument>>,
    /// Where somebody has asked.
    version_2: Option<Arc<openapi::Version2>>,
}

impl CustomDocuments {
    fn of(&self, registry: &Arc<Registry>) -> Arc<Vec<openapi::CustomDocument>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current(&mut made, registry).version_3.clone()
    }

    /// `None` without custom kinds: then it is the embedded one. Who asks while it is made waits for it.
    fn version_2(&self, registry: &Arc<Registry>) -> Option<Arc<openapi::Version2>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = current(&mut made, registry);
        if made.version_3.is_empty() {
            return None;
        }
        let documents = made.version_3.clone();
        Some(made.version_2.get_or_insert_with(|| Arc::new(openapi::version_2(&documents))).clone())
    }
}

fn current<'m>(made: &'m mut Option<Made>, registry: &Arc<Registry>) -> &'m mut Made {
    if made.as_ref().is_some_and(|made| !Arc::ptr_eq(&made.of, registry)) {
        *made = None;
    }
    made.get_or_insert_with(|| Made {
        of: registry.clone(),
        version_3: Arc::new(openapi::custom_documents(custom_resources(registry))),
        version_2: None,
    })
}

fn custom_resources(registry: &Registry) -> Vec<openapi::CustomResource> {
    let described =
        registry.versions().filter_map(|version| Some((version.info(), version.published_schema()?)));
    described
        .map(|(info, schema)| openapi::CustomResource {
            group: info.gvk.group.to_string(),
            version: info.gvk.version.to_string(),
            kind: info.gvk.kind.to_string(),
            plural: info.gvr.resource.to_string(),
            namespaced: info.scope == Scope::Namespaced,
            subresources: info.subresources.iter().map(ToString::to_string).collect(),
            schema: schema.clone(),
        })
        .collect()
}

/// # Errors
/// `NotFound` for a group that is not served, `NotAcceptable` for a format that there is not.
pub(crate) fn answer(
    edge: &ServerState,
    request: &Request,
    version: &str,
    path: &[&str],
) -> Result<Response, Status> {
    match (version, path) {
        ("v2", []) => version_2(edge, request),
        ("v3", []) => {
            negotiate::first_of(request.header(header::ACCEPT), &[JSON]).ok_or_else(not_acceptable)?;
            let own = openapi::index(&edge.custom_documents.of(&edge.cluster.registry()));
            Ok(responses::json_bytes(200, with_aggregated(edge, own)?))
        }
        ("v3", path) => version_3(edge, request, &path.join("/")),
        _ => Err(not_found()),
    }
}

/// Those who serve a group for the cluster have their own documents.
fn with_aggregated(edge: &ServerState, own: String) -> Result<String, Status> {
    let mut others = Vec::new();
    for service in aggregator::all_given_away(&edge.cluster) {
        let spec = service.spec.clone().unwrap_or_default();
        let (group, version) = (spec.group.unwrap_or_default(), spec.version.unwrap_or_default());
        let hash = edge.aggregated.openapi_hash(&group, &version);
        others.extend(hash.map(|hash| (format!("apis/{group}/{version}"), hash)));
    }
    if others.is_empty() {
        return Ok(own);
    }
    let mut index: serde_json::Value = serde_json::from_str(&own).map_err(Status::internal)?;
    for (path, hash) in others {
        let url = format!("/openapi/v3/{path}?hash={hash}");
        index["paths"][path] = serde_json::json!({"serverRelativeURL": url});
    }
    Ok(index.to_string())
}

fn not_acceptable() -> Status {
    Status::new(Reason::NotAcceptable, "only the following media types are accepted: application/json")
}

fn version_2(edge: &ServerState, request: &Request) -> Result<Response, Status> {
    let offers = [JSON, PROTOBUF, openapi::PROTOBUF];
    let chosen = negotiate::first_of(request.header(header::ACCEPT), &offers).ok_or_else(not_acceptable)?;
    let with_custom = edge.custom_documents.version_2(&edge.cluster.registry());
    let response = match (chosen, &with_custom) {
        (JSON, Some(made)) => entity(request, JSON, &Body::Packed(&made.json), &made.hash),
        (_, Some(made)) => entity(request, PROTOBUF, &Body::Packed(&made.protobuf), &made.hash),
        (JSON, None) => entity(request, JSON, &Body::Packed(openapi::document_v2_json()), openapi::hash_v2()),
        (_, None) => {
            entity(request, PROTOBUF, &Body::Packed(openapi::document_v2_protobuf()), openapi::hash_v2())
        }
    };
    Ok(vary(response))
}

/// What a document is made of, packed or to be rendered.
enum Body<'b> {
    Packed(&'b [u8]),
    Custom(openapi::CustomDocument),
}

fn version_3(edge: &ServerState, request: &Request, path: &str) -> Result<Response, Status> {
    let built_in = openapi::document_v3(path).zip(openapi::hash_v3(path));
    let (body, hash) = match built_in {
        Some((gz, hash)) => (Body::Packed(gz), hash.to_owned()),
        None => {
            let custom = edge.custom_documents.of(&edge.cluster.registry());
            let document = custom.iter().find(|document| document.path == path).ok_or_else(not_found)?;
            (Body::Custom(document.clone()), document.hash.clone())
        }
    };
    let hash = hash.as_str();
    negotiate::first_of(request.header(header::ACCEPT), &[JSON]).ok_or_else(not_acceptable)?;
    let asked = request.parameter("hash");
    if asked.is_some_and(|asked| asked != hash) {
        return Ok(moved(&format!("/openapi/v3/{path}?hash={hash}")));
    }
    let mut response = entity(request, JSON, &body, hash);
    if asked.is_some() {
        // an address with a hash never shows anything else
        let headers = response.headers_mut();
        headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable, max-age=31536000"));
    }
    Ok(vary(response))
}

/// As it is embedded where the client takes gzip, else inflated; nothing where the client has it already.
fn entity(request: &Request, content_type: &'static str, body: &Body<'_>, hash: &str) -> Response {
    // the same document in two formats is two entities
    let suffix = if content_type == JSON { "" } else { "-pb" };
    let etag = format!("\"{hash}{suffix}\"");
    let known = request.header(header::IF_NONE_MATCH).split(',').any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    });
    let takes_gzip = negotiate::takes_gzip(request.header(header::ACCEPT_ENCODING));
    let mut response = match body {
        _ if known => responses::typed(304, content_type, ""),
        Body::Custom(document) => responses::typed(200, content_type, document.render()),
        Body::Packed(gz) if takes_gzip => {
            let mut response = responses::typed(200, content_type, gz.to_vec());
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        Body::Packed(gz) => responses::typed(200, content_type, openapi::inflate(gz)),
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
