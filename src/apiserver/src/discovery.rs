//! What is served: the documents by which clients find groups, versions and resources.

use crate::aggregator;
use crate::negotiate;
use crate::request::Request;
use crate::responses;
use crate::server_state::ServerState;
use crate::unstored::{self, Unstored};
use api::KUBERNETES_VERSION;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kinds::builtin::api_service::condition;
use kinds::{Handler, Registry, Scope};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use warp::reply::Response;

pub(crate) const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const PART_VERBS: [&str; 3] = ["get", "patch", "update"];

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
    let own = registry.iter().map(|handler| {
        let gvr = &handler.info().gvr;
        (gvr.group.to_string(), gvr.version.to_string())
    });
    let unstored = unstored::GROUP_VERSIONS.map(|(group, version)| (group.to_owned(), version.to_owned()));
    let remote = remote.iter().map(|remote| (remote.group.clone(), remote.version.clone()));
    for (group, version) in own.chain(unstored).chain(remote).filter(|(group, _)| !group.is_empty()) {
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

fn of_version<'r>(registry: &'r Registry, group: &str, version: &str) -> Vec<&'r Arc<dyn Handler>> {
    registry.iter().filter(|h| h.info().gvr.group == group && h.info().gvr.version == version).collect()
}

fn resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let unstored = unstored::of(group, version);
    let handlers = of_version(registry, group, version);
    if handlers.is_empty() && unstored.is_empty() {
        return None;
    }
    let mut resources = Vec::new();
    for handler in handlers {
        let info = handler.info();
        let namespaced = info.scope == Scope::Namespaced;
        let mut resource = json!({
            "name": info.gvr.resource, "singularName": info.singular, "namespaced": namespaced,
            "kind": info.gvk.kind, "verbs": VERBS,
        });
        if !info.short_names.is_empty() {
            resource["shortNames"] = json!(info.short_names);
        }
        if !info.categories.is_empty() {
            resource["categories"] = json!(info.categories);
        }
        resources.push(resource);
        for part in &info.subresources {
            let (kind, gv, verbs) = part_of(handler, part);
            let mut entry = json!({"name": format!("{}/{part}", info.gvr.resource), "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs});
            if let Some((group, version)) = gv {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            resources.push(entry);
        }
    }
    for Unstored { resource, kind, singular, namespaced, verbs, short_names } in unstored {
        let mut entry = json!({"name": resource, "singularName": singular, "namespaced": namespaced, "kind": kind, "verbs": verbs});
        if !short_names.is_empty() {
            entry["shortNames"] = json!(short_names);
        }
        resources.push(entry);
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

type Part = (String, Option<(&'static str, &'static str)>, Vec<&'static str>);

/// Kind, group and version where they are other than the object's, verbs.
fn part_of(handler: &Arc<dyn Handler>, part: &str) -> Part {
    let of = |kind: &str, gv, verbs: &[&'static str]| (kind.to_owned(), gv, verbs.to_vec());
    match part {
        "scale" => of("Scale", Some(("autoscaling", "v1")), &PART_VERBS),
        "binding" => of("Binding", None, &["create"]),
        "eviction" => of("Eviction", Some(("policy", "v1")), &["create"]),
        "token" => of("TokenRequest", Some(("authentication.k8s.io", "v1")), &["create"]),
        "exec" => of("PodExecOptions", None, &["create", "get"]),
        "attach" => of("PodAttachOptions", None, &["create", "get"]),
        "portforward" => of("PodPortForwardOptions", None, &["create", "get"]),
        "log" => of("Pod", None, &["get"]),
        "proxy" => of(
            &format!("{}ProxyOptions", handler.info().gvk.kind),
            None,
            &["create", "delete", "get", "patch", "update"],
        ),
        "finalize" => of("Namespace", None, &["update"]),
        _ => of(&handler.info().gvk.kind, None, &PART_VERBS),
    }
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
        let response = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
        let mut resources = Vec::new();
        for handler in of_version(registry, group, of) {
            let info = handler.info();
            let parts: Vec<Value> = info
                .subresources
                .iter()
                .map(|part| {
                    let (kind, gv, verbs) = part_of(handler, part);
                    let (g, v) = gv.unwrap_or((group, of));
                    json!({"subresource": part, "responseKind": response(g, v, &kind), "verbs": verbs})
                })
                .collect();
            resources.push(json!({
                "resource": info.gvr.resource, "responseKind": response(group, of, &info.gvk.kind),
                "scope": if info.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": info.singular, "verbs": VERBS, "shortNames": info.short_names,
                "categories": info.categories, "subresources": parts,
            }));
        }
        for Unstored { resource, kind, singular, namespaced, verbs, short_names } in unstored::of(group, of) {
            resources.push(json!({
                "resource": resource, "responseKind": response(group, of, kind), "scope": if *namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": singular, "verbs": verbs, "shortNames": short_names,
            }));
        }
        json!({"version": of, "resources": resources, "freshness": "Current"})
    };
    let items: Vec<Value> = match core {
        true => vec![json!({"metadata": {"creationTimestamp": null}, "versions": [kinds_of("", "v1")]})],
        false => groups(registry, remote)
            .iter()
            .map(|(group, versions)| {
                let versions: Vec<Value> = versions.iter().map(|of| kinds_of(group, of)).collect();
                json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
            })
            .collect(),
    };
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items})
}

fn aggregated_response(document: &Value, version: &str) -> Response {
    let content_type = match version {
        "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    responses::typed(200, content_type, document.to_string())
}
