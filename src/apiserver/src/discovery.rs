//! What is served: the documents by which clients find groups, versions and resources.

mod aggregated;
pub(crate) mod cache;
mod remote;

use crate::aggregator;
use crate::negotiate;
use crate::request::Request;
use crate::responses;
use crate::server_state::ServerState;
use api::{KUBERNETES_VERSION, VersionPriority};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cache::Which;
use http::header;
use kinds::{ApiPriority, Registry, ResourceInfo, Scope};
use remote::Remote;
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

fn remote(state: &ServerState) -> Vec<Remote> {
    aggregator::all_given_away(&state.cluster).iter().map(|service| Remote::of(service)).collect()
}

/// Of the documents.
pub(crate) fn paths(state: &ServerState) -> impl Iterator<Item = String> + use<> {
    let of_group = |Group { name, versions }: Group| {
        let versions: Vec<String> =
            versions.iter().map(|version| format!("/apis/{name}/{version}")).collect();
        std::iter::once(format!("/apis/{name}")).chain(versions)
    };
    let groups = groups(&state.cluster.registry(), &remote(state)).into_iter().flat_map(of_group);
    ["/api", "/api/v1", "/apis"].into_iter().map(str::to_owned).chain(groups)
}

/// `None` for a path that is no document.
pub(crate) fn answer(state: &ServerState, request: &Request) -> Option<Response> {
    let registry = &state.cluster.registry();
    let remote = remote(state);
    let aggregated = negotiate::aggregated(request.header(header::ACCEPT));
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let document = match (segments.as_slice(), aggregated) {
        (["api" | "apis"], Some((version, format))) => {
            let which = Which { is_core: segments == ["api"], version, format };
            return Some(aggregated::answer(state, request, registry, remote, which));
        }
        (["api"], None) => {
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        }
        (["apis"], None) => {
            let groups: Vec<Value> = groups(registry, &remote).iter().map(group_document).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        (["apis", group], _) => {
            let groups = groups(registry, &remote);
            let mut document = group_document(groups.iter().find(|known| known.name == *group)?);
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

/// A named group with its versions, the preferred one first.
#[derive(Debug, PartialEq)]
struct Group {
    name: String,
    versions: Vec<String>,
}

/// All named groups in the order in which clients look for a name: by the priorities of their APIServices, as upstream's
/// aggregator has them.
fn groups(registry: &Registry, remote: &[Remote]) -> Vec<Group> {
    let mut groups: BTreeMap<String, BTreeMap<String, ApiPriority>> = BTreeMap::new();
    for info in registry.resources().filter(|info| !info.gvr.group.is_empty()) {
        let (group, version) = (&info.gvr.group, &info.gvr.version);
        let versions = groups.entry(group.to_string()).or_default();
        versions
            .entry(version.to_string())
            .or_insert_with(|| ApiPriority::of_own(group, version, registry.is_custom(info)));
    }
    // what is given away has the place that its APIService says
    for remote in remote.iter().filter(|remote| !remote.group.is_empty()) {
        groups.entry(remote.group.clone()).or_default().insert(remote.version.clone(), remote.priority);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // stable: equals stay in the order of their names
    groups.sort_by_key(|(_, versions)| Reverse(versions.values().map(|priority| priority.of_group).max()));
    let sorted = |versions: BTreeMap<String, ApiPriority>| {
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_by_key(|(version, priority)| Reverse(priority.in_group(version)));
        versions.into_iter().map(|(version, _)| version).collect()
    };
    groups.into_iter().map(|(name, versions)| Group { name, versions: sorted(versions) }).collect()
}

fn group_document(group: &Group) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{}/{version}", group.name), "version": version}))
        .collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": versions[0]})
}

fn of_version<'r>(registry: &'r Registry, group: &str, version: &str) -> Vec<&'r ResourceInfo> {
    registry.resources().filter(|info| info.gvr.group == group && info.gvr.version == version).collect()
}

fn resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let served = of_version(registry, group, version);
    if served.is_empty() {
        return None;
    }
    let resources: Vec<Value> = served.into_iter().flat_map(|info| resources_of(registry, info)).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

/// The resource, then its subresources.
fn resources_of(registry: &Registry, info: &ResourceInfo) -> Vec<Value> {
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
    if let Some(hash) = storage_version_hash(registry, info) {
        resource["storageVersionHash"] = hash.into();
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

/// Of a kind whose objects are stored; it changes with the version in which they are (upstream's `StorageVersionHash`).
fn storage_version_hash(registry: &Registry, info: &ResourceInfo) -> Option<String> {
    let (served, kind) = (registry.by_gvr(&info.gvr)?, registry.kind(&info.storage)?);
    let newest = || {
        let of_group = kind.versions.iter().map(|version| &version.info().gvk);
        let of_group = of_group.filter(|gvk| gvk.group == kind.storage.group);
        Some(of_group.max_by_key(|gvk| VersionPriority::of(&gvk.version))?.api_version())
    };
    let stored = served.stored_version().map(str::to_owned).or_else(newest)?;
    // the core group's name is empty, and its slash is there
    let slash = if stored.contains('/') { "" } else { "/" };
    let named = format!("{slash}{stored}/{}", info.gvk.kind);
    let digest = ring::digest::digest(&ring::digest::SHA256, named.as_bytes());
    Some(STANDARD.encode(&digest.as_ref()[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(group: &str, version: &str, of_group: i32, of_version: i32) -> Remote {
        Remote {
            group: group.to_owned(),
            version: version.to_owned(),
            priority: ApiPriority { of_group, of_version },
            is_available: true,
        }
    }

    #[test]
    fn the_version_in_which_a_kind_is_stored_has_a_hash() {
        let registry = kinds::all();
        // each of them upstream's
        let cases = [
            ("", "v1", "pods", "xPOwRZ+Yhw8="),
            ("", "v1", "namespaces", "Q3oi5N2YM8M="),
            ("apps", "v1", "deployments", "8aSe+NMegvE="),
        ];
        for (group, version, resource, want) in cases {
            let list = resource_list(&registry, group, version).unwrap();
            let resources = list["resources"].as_array().unwrap();
            let found = resources.iter().find(|known| known["name"] == resource).unwrap();
            assert_eq!(found["storageVersionHash"], want, "{resource}");
        }
        let hash = |group: &str, version: &str, resource: &str| {
            let mut all = registry.resources();
            let info = all.find(|info| {
                let gvr = &info.gvr;
                gvr.group == group && gvr.version == version && gvr.resource == resource
            });
            storage_version_hash(&registry, info.unwrap())
        };
        // one object, whichever of them serves it
        assert_eq!(hash("", "v1", "events"), hash("events.k8s.io", "v1", "events"));
        let scalers = "horizontalpodautoscalers";
        assert_eq!(hash("autoscaling", "v1", scalers), hash("autoscaling", "v2", scalers));
        assert_eq!(hash("authorization.k8s.io", "v1", "selfsubjectaccessreviews"), None);
    }

    #[test]
    fn groups_come_in_the_order_of_their_priorities() {
        let remote = [
            remote("a.example.com", "v1", 1_000, 100),
            remote("z.example.com", "v1", 17_850, 10),
            remote("z.example.com", "v2", 50, 20),
            remote("metrics.k8s.io", "v1beta1", 50, 100),
        ];
        let groups = groups(&kinds::all(), &remote);
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let first = ["apiregistration.k8s.io", "z.example.com", "apps", "events.k8s.io"];
        assert_eq!(names[..4], first, "the highest of a group's priorities counts");
        let last = ["storagemigration.k8s.io", "a.example.com", "metrics.k8s.io"];
        assert_eq!(names[names.len() - 3..], last);
        let at = |name: &str| names.iter().position(|known| *known == name);
        assert!(at("admissionregistration.k8s.io") < at("apiextensions.k8s.io"), "equals go by their names");
        let versions_of = |name: &str| &groups[at(name).unwrap()].versions;
        assert_eq!(versions_of("autoscaling")[..], ["v2", "v1"]);
        assert_eq!(versions_of("z.example.com")[..], ["v2", "v1"], "each version has a place of its own");
    }
}
