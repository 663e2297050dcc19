//! What is served: the documents by which clients find groups, versions and resources.

use crate::aggregator;
use crate::negotiate;
use crate::request::Request;
use crate::responses;
use crate::server_state::ServerState;
use api::{Gvk, KUBERNETES_VERSION};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kinds::builtin::api_service::condition;
use kinds::{Registry, ResourceInfo, Scope};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use warp::reply::Response;

pub(crate) fn version() -> Value {
    json!({
        "major": KUBERNETES_VERSION.major, "minor": KUBERNETES_VERSION.minor, "gitVersion": KUBERNETES_VERSION.git,
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("linux/{}", api::architecture()),
    })
}

/// A version of a group that somebody else serves.
struct Remote {
    group: String,
    version: String,
    is_available: bool,
}

impl Remote {
    fn of(service: &APIService) -> Self {
        let spec = service.spec.clone().unwrap_or_default();
        Remote {
            group: spec.group.unwrap_or_default(),
            version: spec.version.unwrap_or_default(),
            is_available: condition(service).is_some_and(|condition| condition.status == "True"),
        }
    }
}

/// `None` for a path that is no document.
pub(crate) fn answer(edge: &ServerState, request: &Request) -> Option<Response> {
    let registry = &*edge.cluster.registry();
    let remote: Vec<Remote> =
        aggregator::all_given_away(&edge.cluster).iter().map(|service| Remote::of(service)).collect();
    let remote = remote.as_slice();
    let aggregated = negotiate::aggregated(request.header(http::header::ACCEPT));
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let document = match (segments.as_slice(), aggregated) {
        (["api"], Some(version)) => {
            return Some(aggregated_response(&all_in_one(edge, registry, &[], true, version), version));
        }
        (["apis"], Some(version)) => {
            return Some(aggregated_response(&all_in_one(edge, registry, remote, false, version), version));
        }
        (["api"], None) => {
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        }
        (["apis"], None) => {
            let groups: Vec<Value> = groups(registry, remote)
                .iter()
                .map(|(group, versions)| group_document(group, versions))
                .collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        (["apis", group], _) => {
            let mut document = group_document(group, groups(registry, remote).get(*group)?);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            document
        }
        (["api", "v1"], _) => resource_list(registry, "", "v1")?,
        (["apis", group, version], _) => resource_list(registry, group, version)?,
        _ => return None,
    };
    Some(responses::json(200, &document))
}

/// The versions of each named group, the preferred one first.
fn groups(registry: &Registry, remote: &[Remote]) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let own = registry.resources().map(|info| (info.gvr.group.to_string(), info.gvr.version.to_string()));
    let remote = remote.iter().map(|remote| (remote.group.clone(), remote.version.clone()));
    for (group, version) in own.chain(remote).filter(|(group, _)| !group.is_empty()) {
        let versions = groups.entry(group).or_default();
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    groups
        .values_mut()
        .for_each(|versions| versions.sort_by_key(|version| Reverse(api::VersionPriority::of(version))));
    groups
}

fn group_document(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
}

fn of_version<'r>(registry: &'r Registry, group: &str, version: &str) -> Vec<&'r ResourceInfo> {
    registry.resources().filter(|info| info.gvr.group == group && info.gvr.version == version).collect()
}

fn resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let served = of_version(registry, group, version);
    if served.is_empty() {
        return None;
    }
    let resources: Vec<Value> = served.into_iter().flat_map(resources_of).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

/// The resource, then its subresources.
fn resources_of(info: &ResourceInfo) -> Vec<Value> {
    let namespaced = info.scope == Scope::Namespaced;
    let mut resource = json!({
        "name": info.gvr.resource, "singularName": info.singular, "namespaced": namespaced,
        "kind": info.gvk.kind, "verbs": info.verbs,
    });
    if !info.short_names.is_empty() {
        resource["shortNames"] = json!(info.short_names);
    }
    if !info.categories.is_empty() {
        resource["categories"] = json!(info.categories);
    }
    let mut resources = vec![resource];
    resources.extend(info.subresources.iter().map(|subresource| {
        let kind = subresource.kind(&info.gvk);
        let mut entry = json!({
            "name": format!("{}/{subresource}", info.gvr.resource), "singularName": "", "namespaced": namespaced,
            "kind": kind.kind, "verbs": subresource.verbs(),
        });
        if (&kind.group, &kind.version) != (&info.gvk.group, &info.gvk.version) {
            entry["group"] = kind.group.as_ref().into();
            entry["version"] = kind.version.as_ref().into();
        }
        entry
    }));
    resources
}

/// `APIGroupDiscoveryList`: everything in one document, so that a client asks twice and not twenty times.
fn all_in_one(
    edge: &ServerState,
    registry: &Registry,
    remote: &[Remote],
    core: bool,
    version: &str,
) -> Value {
    let kinds_of = |group: &str, of: &str| {
        if let Some(remote) = remote.iter().find(|remote| remote.group == group && remote.version == of) {
            return edge.aggregated.of_version(group, of, remote.is_available);
        }
        let resources: Vec<Value> =
            of_version(registry, group, of).into_iter().map(aggregated_resource).collect();
        json!({"version": of, "resources": resources, "freshness": "Current"})
    };
    let items: Vec<Value> = match core {
        true => vec![json!({"metadata": {}, "versions": [kinds_of("", "v1")]})],
        false => groups(registry, remote)
            .iter()
            .map(|(group, versions)| {
                let versions: Vec<Value> = versions.iter().map(|of| kinds_of(group, of)).collect();
                json!({"metadata": {"name": group}, "versions": versions})
            })
            .collect(),
    };
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items})
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

fn aggregated_response(document: &Value, version: &str) -> Response {
    let content_type = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    responses::typed(200, content_type, document.to_string())
}
