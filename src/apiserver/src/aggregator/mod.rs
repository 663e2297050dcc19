//! API aggregation: a group and version that an APIService gives to a Service is answered by whoever is behind that.
//!
//! Whoever asks is authenticated and authorised here, and told in headers under the front proxy's certificate; nobody of the
//! cluster sees his credentials. `availability.rs` says in the APIService's status whether it can be asked, `documents.rs`
//! keeps what it told of itself for discovery, `extension.rs` has what all who ask one must know. Read [`asked`] first.

mod availability;
mod client;
pub(crate) mod documents;
mod extension;

pub(crate) use availability::run as follow_availability;
pub use client::AggregatedClient;
pub(crate) use extension::all_given_away;

use crate::authorization;
use crate::proxy;
use crate::request::Request;
use crate::request_info::ParsedPath;
use crate::responses::Verbatim;
use crate::server_state::ServerState;
use api::{Reason, Status};
use cluster::{Actor, Attributes};
use extension::{authorized_part, given_away, is_available, place, secured, tell_who};
use http::{HeaderValue, header};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use std::sync::Arc;
use warp::reply::Response;

/// Who is to answer, where that is somebody else: everything below the path of its version, and the version's part of OpenAPI.
pub(crate) fn asked(state: &ServerState, segments: &[String]) -> Option<Arc<APIService>> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["apis", group, version, ..] => given_away(&state.cluster, group, version),
        ["openapi", "v3", "apis", group, version] => {
            let service = given_away(&state.cluster, group, version)?;
            state.aggregated.openapi_hash(group, version).map(|_| service)
        }
        _ => None,
    }
}

/// # Errors
/// `Forbidden`; `ServiceUnavailable` where it is known that nobody answers, or nobody does.
pub(crate) async fn answer(
    state: &ServerState,
    actor: &Actor,
    request: &mut Request,
    service: &APIService,
) -> Result<Response, Status> {
    if !is_one_path(&request.segments) {
        return Err(Status::bad_request("the path leads out of itself"));
    }
    let attributes = match ParsedPath::parse(authorized_part(&request.segments)) {
        ParsedPath::Resource(info) => info.attributes(request),
        ParsedPath::Other => Attributes::non_resource(&request.method.as_str().to_lowercase(), &request.path),
    };
    if let Err(status) = authorization::authorize(state, actor, request, &attributes).await {
        request.discard_body().await;
        return Err(status);
    }
    if !is_available(service) {
        request.discard_body().await;
        let why = "the server is currently unable to handle the request";
        return Err(Status::new(Reason::ServiceUnavailable, why));
    }
    let spec = service.spec.clone().unwrap_or_default();
    let secured = secured(&spec, state.front_proxy.as_ref()).map_err(Status::internal)?;
    let (namespace, name, port) = place(&spec);
    let root = state.cluster.acting_as(Actor::root());
    let address = proxy::behind_service(&root, &namespace, &name, port)?;
    tell_who(&mut request.headers, actor);
    if let Ok(host) = HeaderValue::from_str(&secured.host) {
        request.headers.insert(header::HOST, host);
    }
    let mut response = proxy::pass_on(request, address, secured).await?;
    response.extensions_mut().insert(Verbatim);
    Ok(response)
}

/// Whether it means the same to whoever reads it: what is allowed here and what is answered there must be one thing. The segments
/// are decoded, and go on as they came: one with a slash in it is two to most servers.
fn is_one_path(segments: &[String]) -> bool {
    !segments.iter().any(|segment| matches!(segment.as_str(), "." | "..") || segment.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_to_all_who_read_it() {
        for (path, is_one) in [
            ("apis/g/v1/namespaces/n/things/a", true),
            ("apis/g/v1/namespaces/n/things/a/part", true),
            ("apis/g/v1/namespaces/n/things/..", false),
            ("apis/g/v1/namespaces/n/things/.", false),
            ("apis/g/v1/namespaces/n/things/a%2Fpart", false),
            ("apis/g/v1/namespaces/n/things/%2F", false),
            ("apis/g/v1/namespaces/n/things/a%2f..%2f..%2fvictim", false),
        ] {
            let decoded = |segment: &str| segment.replace("%2F", "/").replace("%2f", "/");
            let segments: Vec<String> = path.split('/').map(decoded).collect();
            assert_eq!(is_one_path(&segments), is_one, "{path}");
        }
    }
}
