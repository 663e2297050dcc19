//! What discovery says of a kind as one of its versions serves it, and how its objects are kept.

use crate::Subresource;
use api::{GroupResource, Gvk, Gvr};
use std::borrow::Cow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Namespaced,
}

/// How soon a write must be safe on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before it is acknowledged.
    Sync,
    /// Within a second: events and leases, of which the newest few may be lost with the power.
    Lazy,
}

/// What discovery says of a kind, and where its objects are stored.
#[derive(Debug, Clone)]
pub struct ResourceInfo {
    pub gvk: Gvk,
    pub gvr: Gvr,
    pub singular: Cow<'static, str>,
    pub short_names: Vec<Cow<'static, str>>,
    pub categories: Vec<Cow<'static, str>>,
    pub scope: Scope,
    /// Of the object itself, sorted: `create`, `get`, …
    pub verbs: &'static [&'static str],
    /// Those that exist besides the object itself.
    pub subresources: Vec<Subresource>,
    pub durability: Durability,
    /// Whose objects these are; differs from the gvr's where one object is served in two groups (events).
    pub storage: GroupResource,
}

impl ResourceInfo {
    pub fn has_subresource(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }

    /// Whether who deletes an object is shown it, where of others he hears that it is done.
    pub fn shows_deleted(&self) -> bool {
        let name = (self.gvr.group.as_ref(), self.gvr.resource.as_ref());
        SHOWN_WHEN_DELETED.iter().any(|(group, resources)| *group == name.0 && resources.contains(&name.1))
    }
}

/// Where upstream's stores have `ReturnDeletedObject`. Clients made of the OpenAPI documents read the answer as these kinds.
const SHOWN_WHEN_DELETED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
    ),
    ("resource.k8s.io", &["deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices"]),
    (
        "storage.k8s.io",
        &["csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"],
    ),
];

/// What can be done with objects that are stored.
pub const VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
