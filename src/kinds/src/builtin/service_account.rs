//! ServiceAccounts. All that this kind itself says is a warning about an annotation; tokens are made by `cluster`.

use super::name_of;
use crate::{Cell, Column, Subresource, TypedKind, age};
use k8s_openapi::api::core::v1::ServiceAccount;

const ENFORCE_MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

impl TypedKind for ServiceAccount {
    const SINGULAR: &'static str = "serviceaccount";
    const PLURAL: &'static str = "serviceaccounts";
    const SHORT_NAMES: &'static [&'static str] = &["sa"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Token];
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Secrets", "string", "Number of secrets"), Column::AGE];

    fn warnings(&self, old: Option<&Self>) -> Vec<String> {
        let enforces = |account: &Self| {
            let annotations = account.metadata.annotations.as_ref();
            annotations.and_then(|all| all.get(ENFORCE_MOUNTABLE)).is_some_and(|value| value == "true")
        };
        if !enforces(self) || old.is_some_and(enforces) {
            return Vec::new();
        }
        let why = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
        vec![format!("metadata.annotations[{ENFORCE_MOUNTABLE}]: {why}")]
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let secrets = self.secrets.as_ref().map_or(0, Vec::len);
        vec![name_of(&self.metadata), secrets.into(), age(self.metadata.creation_timestamp.as_ref(), now)]
    }
}
