//! What a Rust type says of the kind that it is.

use crate::{Cell, Column, Durability, ErrorList, ResourceInfo, ScaleNumbers, Scope, Subresource, VERBS};
use api::{Gvk, Gvr};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

fn borrowed(names: &[&'static str]) -> Vec<Cow<'static, str>> {
    names.iter().map(|name| Cow::Borrowed(*name)).collect()
}

/// What makes a k8s-openapi type a kind that can be served. The order on a create: `set_defaults`, `prepare_create`,
/// admission, `validate`, `validate_create`; on an update `set_defaults`, `prepare_update`, admission, `validate`,
/// `validate_update`; on an update of the status `prepare_status_update`, `validate_status_update`.
pub trait TypedKind:
    k8s_openapi::Resource
    + k8s_openapi::Metadata<Ty = ObjectMeta>
    + Serialize
    + DeserializeOwned
    + Clone
    + Default
    + PartialEq
    + Send
    + Sync
    + 'static
{
    const SINGULAR: &'static str;
    const SHORT_NAMES: &'static [&'static str] = &[];
    const CATEGORIES: &'static [&'static str] = &[];
    const SCOPE: Scope = Scope::Namespaced;
    /// What can be done with the object itself, sorted.
    const VERBS: &'static [&'static str] = VERBS;
    const SUBRESOURCES: &'static [Subresource] = &[];
    const DURABILITY: Durability = Durability::Sync;
    /// The plural, as in the path.
    const PLURAL: &'static str;
    const COLUMNS: &'static [Column];
    /// Field paths that a field selector may name, besides `metadata.name` and `metadata.namespace`.
    const FIELDS: &'static [&'static str] = &[];
    /// Upstream's rule for a graceful deletion: only pods have one.
    const GRACEFUL_DELETION: bool = false;
    /// What it owns stays when a deletion does not say what shall become of it.
    const ORPHANS_BY_DEFAULT: bool = false;
    /// A PUT of what is not there creates it (upstream's `AllowCreateOnUpdate`).
    const CREATED_BY_UPDATE: bool = false;
    /// A PUT may leave out which revision it replaces (upstream's `AllowUnconditionalUpdate`).
    const UPDATED_UNCONDITIONALLY: bool = true;
    /// What every client that touches the kind hears: upstream's lifecycle of API versions.
    const DEPRECATION: Option<&'static str> = None;

    /// Fills in what the user left out, as upstream's `SetDefaults_…` do.
    fn set_defaults(&mut self) {}
    /// Drops what only the system may set (status), sets what a new object starts with.
    fn prepare_create(&mut self) {}
    /// Puts back what a plain update may not change (status).
    fn prepare_update(&mut self, _old: &Self) {}
    /// Puts back everything but metadata that an update of `status` may not change.
    fn prepare_status_update(&mut self, _old: &Self) {}
    /// What of labels, annotations, finalizers and owners an update of `status` does not change; it differs from kind to
    /// kind, as upstream's strategies do. All else of the metadata nobody changes.
    fn keep_metadata(_new: &mut ObjectMeta, _old: &ObjectMeta) {}
    /// Puts back everything that an update of this subresource, which is not `status`, may not change.
    fn prepare_subresource_update(&mut self, _subresource: Subresource, old: &Self) {
        self.prepare_update(old);
    }
    /// Whether `metadata.generation` must rise: the desired state differs.
    fn generation_changes(&self, _old: &Self) -> bool {
        false
    }
    /// What upstream's `Validate…` checks; metadata is checked by the caller.
    fn validate(&self, _errors: &mut ErrorList) {}
    /// What is forbidden to a new object only.
    fn validate_create(&self, _errors: &mut ErrorList) {}
    fn validate_update(&self, _old: &Self, _errors: &mut ErrorList) {}
    /// The pods that this kind has made, and where in it they are described (`spec.template`).
    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        None
    }
    /// All that is checked when the status is written; the rest is what it was, under whatever rules it was stored.
    fn validate_status_update(&self, _old: &Self, _errors: &mut ErrorList) {}
    /// The same for an update of another subresource.
    fn validate_subresource_update(&self, _subresource: Subresource, old: &Self, errors: &mut ErrorList) {
        self.validate_update(old, errors);
    }
    /// What a client should hear of an object that is valid: upstream's `WarningsOnCreate` and `WarningsOnUpdate`. Of a kind
    /// that has pods made, what is odd about these.
    fn warnings(&self, old: Option<&Self>) -> Vec<String> {
        let Some((at, template)) = self.pod_template() else { return Vec::new() };
        match old {
            Some(old) if !self.generation_changes(old) => Vec::new(),
            old => crate::builtin::pod_warnings::of_workload(self.metadata(), at, template, old.is_none()),
        }
    }
    /// Whether `name` is a good name; most are DNS subdomains.
    fn validate_name(name: &str) -> Result<(), String> {
        crate::builtin::names::dns_subdomain(name)
    }
    /// Where the kind has a `scale`: its numbers, and the selector of its pods in words.
    fn scale(&self) -> Option<ScaleNumbers> {
        None
    }
    /// Wishes for so many; of a kind with a `scale`.
    fn set_replicas(&mut self, _replicas: i32) {}
    /// The value of one of [`TypedKind::FIELDS`].
    fn field(&self, _path: &str) -> String {
        String::new()
    }
    /// One cell for each of [`TypedKind::COLUMNS`].
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell>;

    fn info() -> ResourceInfo {
        let gvk = Gvk::new(Self::GROUP, Self::VERSION, Self::KIND);
        let gvr = Gvr::new(Self::GROUP, Self::VERSION, Self::PLURAL);
        ResourceInfo {
            storage: gvr.group_resource(),
            gvk,
            gvr,
            singular: Self::SINGULAR.into(),
            short_names: borrowed(Self::SHORT_NAMES),
            categories: borrowed(Self::CATEGORIES),
            scope: Self::SCOPE,
            verbs: Self::VERBS,
            subresources: Self::SUBRESOURCES.to_vec(),
            durability: Self::DURABILITY,
        }
    }
}
