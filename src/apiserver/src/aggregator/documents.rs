//! What extension API servers told of themselves when they were last asked: their part of discovery and of OpenAPI.

use openapi::Extension;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Documents {
    told: Mutex<BTreeMap<(String, String), Told>>,
    changes: AtomicU64,
}

#[derive(Clone, PartialEq)]
pub(super) struct Told {
    /// An `APIResourceList`.
    pub(super) resources: Value,
    /// Of its OpenAPI v3, where it has one.
    pub(super) openapi_hash: Option<String>,
    /// Its part of OpenAPI v2.
    pub(super) openapi_v2: Option<Arc<Extension>>,
}

impl Documents {
    pub(super) fn keep(&self, group: &str, version: &str, told: Told) {
        let (of, mut all) = ((group.to_owned(), version.to_owned()), self.lock());
        // they are asked all the time, and mostly tell the same
        if all.get(&of) != Some(&told) {
            all.insert(of, told);
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    pub(super) fn forget(&self, group: &str, version: &str) {
        if self.lock().remove(&(group.to_owned(), version.to_owned())).is_some() {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// How often something else was told than before.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(crate) fn openapi_hash(&self, group: &str, version: &str) -> Option<String> {
        self.lock().get(&(group.to_owned(), version.to_owned()))?.openapi_hash.clone()
    }

    pub(super) fn openapi_v2_of(&self, group: &str, version: &str) -> Option<Arc<Extension>> {
        self.lock().get(&(group.to_owned(), version.to_owned()))?.openapi_v2.clone()
    }

    /// All parts of OpenAPI v2.
    pub(crate) fn openapi_v2(&self) -> Vec<Arc<Extension>> {
        self.lock().values().filter_map(|told| told.openapi_v2.clone()).collect()
    }

    /// The version as `APIGroupDiscoveryList` has it. What is not known, or of one who does not answer now, is stale.
    pub(crate) fn of_version(&self, group: &str, version: &str, is_available: bool) -> Value {
        let told = self.lock().get(&(group.to_owned(), version.to_owned())).cloned();
        let freshness = if is_available && told.is_some() { "Current" } else { "Stale" };
        let resources = told.map(|told| resources(group, version, &told.resources)).unwrap_or_default();
        json!({"version": version, "resources": resources, "freshness": freshness})
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, BTreeMap<(String, String), Told>> {
        self.told.lock()
    }
}

/// Of a list that somebody else has made, what is a text.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// From an `APIResourceList` to the form of aggregated discovery.
fn resources(group: &str, version: &str, list: &Value) -> Vec<Value> {
    let all: Vec<&Value> = list["resources"].as_array().into_iter().flatten().collect();
    let named = |resource: &Value| resource["name"].as_str().unwrap_or_default().to_owned();
    let kind_of = |resource: &Value| {
        let or = |field: &str, own: &str| {
            resource[field].as_str().filter(|t| !t.is_empty()).unwrap_or(own).to_owned()
        };
        let kind = resource["kind"].as_str().unwrap_or_default();
        json!({"group": or("group", group), "version": or("version", version), "kind": kind})
    };
    let parts = |of: &str| -> Vec<Value> {
        let below = |resource: &&Value| {
            let name = named(resource);
            let part = name.strip_prefix(of)?.strip_prefix('/')?;
            let verbs = texts(&resource["verbs"]);
            Some(json!({"subresource": part, "responseKind": kind_of(resource), "verbs": verbs}))
        };
        all.iter().filter_map(below).collect()
    };
    let whole = all.iter().filter(|resource| !named(resource).contains('/'));
    whole
        .map(|resource| {
            let name = named(resource);
            let scope = if resource["namespaced"] == true { "Namespaced" } else { "Cluster" };
            let mut shown = json!({
                "resource": name, "responseKind": kind_of(resource), "scope": scope,
                "verbs": texts(&resource["verbs"]),
                "singularResource": resource["singularName"].as_str().unwrap_or_default(),
            });
            for field in ["shortNames", "categories"] {
                if resource[field].is_array() {
                    shown[field] = json!(texts(&resource[field]));
                }
            }
            let parts = parts(&name);
            if !parts.is_empty() {
                shown["subresources"] = parts.into();
            }
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_resources_becomes_a_part_of_discovery() {
        let documents = Documents::default();
        let unknown = json!({"version": "v1", "resources": [], "freshness": "Stale"});
        assert_eq!(documents.of_version("example.com", "v1", true), unknown);
        let resources = json!({"resources": [
            {"name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder", "verbs": ["get"], "shortNames": ["fl"]},
            {"name": "flunders/scale", "singularName": "", "namespaced": true, "kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get"]},
        ]});
        documents.keep("example.com", "v1", Told { resources, openapi_hash: None, openapi_v2: None });
        let want = json!({"version": "v1", "freshness": "Current", "resources": [{
            "resource": "flunders", "responseKind": {"group": "example.com", "version": "v1", "kind": "Flunder"}, "scope": "Namespaced",
            "singularResource": "flunder", "verbs": ["get"], "shortNames": ["fl"],
            "subresources": [{"subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}, "verbs": ["get"]}],
        }]});
        assert_eq!(documents.of_version("example.com", "v1", true), want);
        assert_eq!(documents.of_version("example.com", "v1", false)["freshness"], "Stale");
    }

    #[test]
    fn what_is_told_again_is_no_change() {
        let documents = Documents::default();
        let told = |name: &str| Told {
            resources: json!({"resources": [{"name": name}]}),
            openapi_hash: None,
            openapi_v2: None,
        };
        let mut changes = Vec::new();
        for (version, name) in [("v1", "a"), ("v1", "a"), ("v1", "b"), ("v2", "b")] {
            documents.keep("example.com", version, told(name));
            changes.push(documents.changes());
        }
        documents.forget("example.com", "v3");
        changes.push(documents.changes());
        documents.forget("example.com", "v1");
        changes.push(documents.changes());
        assert_eq!(changes, [1, 1, 2, 3, 3, 4]);
    }
}
