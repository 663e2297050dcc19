//! Aggregated discovery (`APIGroupDiscoveryList`): everything in one document, so that a client asks twice and not twenty times. Most ask
//! whether it is still the one that they have: a document and its hash are made once for each state of what they follow from.

use super::{Remote, groups, of_version};
use crate::negotiate;
use crate::request::Request;
use crate::responses;
use crate::server_state::ServerState;
use api::Gvk;
use bytes::Bytes;
use http::{HeaderValue, header};
use kinds::{Registry, ResourceInfo, Scope};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use warp::reply::Response;

/// Which of the four documents: of `/api` or of `/apis`, and in which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Which {
    pub(super) is_core: bool,
    pub(super) version: &'static str,
}

/// The documents of what is served now, as far as somebody has asked for them.
#[derive(Default)]
pub(crate) struct AggregatedDiscovery(Mutex<Option<Kept>>);

struct Kept {
    of: State,
    documents: BTreeMap<Which, Arc<Document>>,
}

/// What the documents follow from.
struct State {
    registry: Arc<Registry>,
    remote: Vec<Remote>,
    /// How often extension API servers have told something else.
    told: u64,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.registry, &other.registry)
            && (&self.remote, self.told) == (&other.remote, other.told)
    }
}

struct Document {
    text: Bytes,
    etag: HeaderValue,
}

impl AggregatedDiscovery {
    /// Who asks while it is made waits for it.
    fn document(&self, of: State, which: Which, make: impl FnOnce(&State) -> Value) -> Arc<Document> {
        let mut kept = self.0.lock();
        let current = kept.take().filter(|kept| kept.of == of);
        let kept = kept.insert(current.unwrap_or(Kept { of, documents: BTreeMap::new() }));
        let made = || Arc::new(Document::new(&make(&kept.of)));
        kept.documents.entry(which).or_insert_with(made).clone()
    }
}

impl Document {
    fn new(document: &Value) -> Self {
        let text = document.to_string();
        let digest = ring::digest::digest(&ring::digest::SHA512, text.as_bytes());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("digits are ASCII");
        Document { text: text.into(), etag }
    }
}

/// Nothing where the client has it already.
pub(super) fn answer(
    edge: &ServerState,
    request: &Request,
    registry: &Arc<Registry>,
    remote: Vec<Remote>,
    which: Which,
) -> Response {
    // before they are read: what changes meanwhile is another state
    let told = edge.aggregated.changes();
    let state = State { registry: registry.clone(), remote, told };
    let document = edge.discovery.document(state, which, |state| all_in_one(edge, state, which));
    let content_type = match which.version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    let etag = document.etag.to_str().unwrap_or_default();
    let mut response = match negotiate::is_known(request.header(header::IF_NONE_MATCH), etag) {
        true => responses::typed(304, content_type, ""),
        false => responses::typed(200, content_type, document.text.clone()),
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, document.etag.clone());
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    response
}

fn all_in_one(edge: &ServerState, state: &State, which: Which) -> Value {
    let State { registry, remote, .. } = state;
    let kinds_of = |group: &str, of: &str| {
        let remote = remote.iter().find(|remote| remote.group == group && remote.version == of);
        if let Some(remote) = remote.filter(|_| !which.is_core) {
            return edge.aggregated.of_version(group, of, remote.is_available);
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

#[cfg(test)]
mod tests {
    use super::*;
    use kinds::ApiPriority;

    #[test]
    fn a_document_is_made_once_for_each_state() {
        let (kept, registry) = (AggregatedDiscovery::default(), Arc::new(kinds::all()));
        let remote = |is_available| Remote {
            group: "example.com".to_owned(),
            version: "v1".to_owned(),
            priority: ApiPriority { of_group: 1, of_version: 1 },
            is_available,
        };
        let apis = Which { is_core: false, version: "v2" };
        let made = std::cell::Cell::new(0);
        let ask = |registry: &Arc<Registry>, remote: Vec<Remote>, told, which| {
            let state = State { registry: registry.clone(), remote, told };
            let document = kept.document(state, which, |_| {
                made.set(made.get() + 1);
                json!(made.get())
            });
            (document.text.clone(), document.etag.clone())
        };
        let first = ask(&registry, vec![remote(true)], 0, apis);
        assert_eq!(ask(&registry, vec![remote(true)], 0, apis), first);
        let beta = Which { version: "v2beta1", ..apis };
        assert_ne!(ask(&registry, vec![remote(true)], 0, beta), first);
        assert_eq!(ask(&registry, vec![remote(true)], 0, apis), first, "both are kept");
        assert_eq!(made.get(), 2);
        for (name, registry, remote, told) in [
            ("a server that does not answer", registry.clone(), vec![remote(false)], 0),
            ("one that is not there", registry.clone(), Vec::new(), 0),
            ("one that has told something else", registry, Vec::new(), 1),
            ("other kinds", Arc::new(kinds::all()), Vec::new(), 1),
        ] {
            let before = made.get();
            let asked = ask(&registry, remote, told, apis);
            assert_eq!((made.get(), asked.0), (before + 1, Bytes::from((before + 1).to_string())), "{name}");
        }
    }
}
