//! Aggregated discovery (`APIGroupDiscoveryList`): everything in one document, so that a client asks twice and not twenty times. Most ask
//! whether it is still the one that they have: a document and its hash are made once for each state of what they follow from.

use super::cache::{State, Which};
use super::remote::Remote;
use super::{groups, of_version};
use crate::negotiate;
use crate::request::Request;
use crate::responses;
use crate::server_state::ServerState;
use api::{Gvk, Status};
use bytes::Bytes;
use http::{HeaderValue, header};
use kinds::{Registry, ResourceInfo, Scope};
use serde_json::{Value, json};
use std::sync::Arc;
use warp::reply::Response;

/// Nothing where the client has it already.
pub(super) fn answer(
    server: &ServerState,
    request: &Request,
    registry: &Arc<Registry>,
    remote: Vec<Remote>,
    which: Which,
) -> Response {
    // before they are read: what changes meanwhile is another state
    let told = server.aggregated.changes();
    let state = State { registry: registry.clone(), remote, told };
    let document = match server.discovery.document(state, which, |state| all_in_one(server, state, which)) {
        Ok(document) => document,
        Err(error) => return responses::refusal(&Status::internal(error)),
    };
    let etag = document.etag.to_str().unwrap_or_default();
    let (code, body) = match negotiate::is_known(request.header(header::IF_NONE_MATCH), etag) {
        true => (304, Bytes::new()),
        false => (200, document.body.clone()),
    };
    let kind = ("apidiscovery.k8s.io", which.version, "APIGroupDiscoveryList");
    let mut response = responses::of_kind(code, which.format.media(), kind, body);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, document.etag.clone());
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    response
}

fn all_in_one(server: &ServerState, state: &State, which: Which) -> Value {
    let State { registry, remote, .. } = state;
    let kinds_of = |group: &str, of: &str| {
        let remote = remote.iter().find(|remote| remote.group == group && remote.version == of);
        if let Some(remote) = remote.filter(|_| !which.is_core) {
            return server.aggregated.of_version(group, of, remote.is_available);
        }
        let resources: Vec<Value> =
            of_version(registry, group, of).into_iter().map(aggregated_resource).collect();
        json!({"version": of, "resources": resources, "freshness": "Current"})
    };
    let items: Vec<Value> = match which.is_core {
        true => vec![json!({"metadata": {}, "versions": [kinds_of("", "v1")]})],
        false => groups(registry, remote)
            .iter()
            .map(|group| {
                let versions: Vec<Value> =
                    group.versions.iter().map(|of| kinds_of(&group.name, of)).collect();
                json!({"metadata": {"name": group.name}, "versions": versions})
            })
            .collect(),
    };
    let api_version = format!("apidiscovery.k8s.io/{}", which.version);
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": api_version, "metadata": {}, "items": items})
}

/// The resource with its subresources.
fn aggregated_resource(info: &ResourceInfo) -> Value {
    let response = |kind: &Gvk| json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let mut resource = json!({
        "resource": info.gvr.resource, "responseKind": response(&info.gvk),
        "scope": if info.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": info.singular, "verbs": info.verbs, "shortNames": info.short_names,
        "categories": info.categories,
    });
    let subresources = info.subresources.iter().map(|subresource| {
        let kind = subresource.kind(&info.gvk);
        json!({"subresource": subresource.name(), "responseKind": response(&kind), "verbs": subresource.verbs()})
    });
    resource["subresources"] = subresources.collect();
    resource
}
