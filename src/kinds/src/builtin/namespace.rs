//! Namespaces: they are `Active` until they are deleted, bear their name as a label, and go when `finalize` has taken the
//! last finalizer of their spec.

use super::checks::list;
use super::{fill, name_of};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use k8s_openapi::api::core::v1::{Namespace, NamespaceStatus};

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl TypedKind for Namespace {
    const SINGULAR: &'static str = "namespace";
    const PLURAL: &'static str = "namespaces";
    const SHORT_NAMES: &'static [&'static str] = &["ns"];
    const SCOPE: Scope = Scope::Cluster;
    /// Upstream has no deletion of them all at once.
    const VERBS: &'static [&'static str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Finalize, Subresource::Status];
    const FIELDS: &'static [&'static str] = &["status.phase"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Status", "string", "Whether it is in use or on its way out"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        if let Some(name) = self.metadata.name.clone().filter(|n| !n.is_empty()) {
            self.metadata.labels.get_or_insert_default().insert(NAME_LABEL.to_owned(), name);
        }
        if let Some(status) = &mut self.status {
            fill::text(&mut status.phase, "Active");
        }
    }
    fn prepare_create(&mut self) {
        self.status =
            Some(NamespaceStatus { phase: Some("Active".to_owned()), ..NamespaceStatus::default() });
        let finalizers = self.spec.get_or_insert_default().finalizers.get_or_insert_default();
        if !finalizers.iter().any(|f| f == "kubernetes") {
            finalizers.push("kubernetes".to_owned());
        }
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
        self.spec.clone_from(&old.spec);
    }
    /// Of `finalize`: the only way to change the finalizers, of which the spec consists.
    fn prepare_subresource_update(&mut self, _subresource: Subresource, old: &Self) {
        self.status.clone_from(&old.status);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn validate_name(name: &str) -> Result<(), String> {
        super::names::dns_label(name)
    }
    fn validate(&self, errors: &mut ErrorList) {
        if let Some(spec) = &self.spec {
            crate::meta::finalizers(list(&spec.finalizers), "spec.finalizers", errors);
            crate::meta::standard_finalizers(list(&spec.finalizers), "spec.finalizers", errors);
        }
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        let phase = self.field("status.phase");
        let (only, when) = match self.metadata.deletion_timestamp {
            None => ("Active", "empty"),
            Some(_) => ("Terminating", "not empty"),
        };
        if phase != only {
            let why = format!("may only be '{only}' if `deletionTimestamp` is {when}");
            errors.invalid("status.Phase", phase, why);
        }
    }
    fn field(&self, path: &str) -> String {
        match path {
            "status.phase" => self.status.as_ref().and_then(|s| s.phase.clone()).unwrap_or_default(),
            _ => String::new(),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![
            name_of(&self.metadata),
            self.field("status.phase").into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
