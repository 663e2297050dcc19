//! ValidatingWebhookConfigurations. What they have in common with the mutating ones is in `webhooks.rs`.

use super::name_of;
use super::webhooks::{self, Hook};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;

impl TypedKind for ValidatingWebhookConfiguration {
    const SINGULAR: &'static str = "validatingwebhookconfiguration";
    const PLURAL: &'static str = "validatingwebhookconfigurations";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const CATEGORIES: &'static [&'static str] = &["api-extensions"];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = webhooks::COLUMNS;

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.webhooks != old.webhooks
    }
    fn set_defaults(&mut self) {
        for hook in self.webhooks.iter_mut().flatten() {
            webhooks::set_defaults!(hook);
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        let hooks: Vec<Hook<'_>> = self.webhooks.iter().flatten().map(|hook| webhooks::view!(hook)).collect();
        webhooks::validate(&hooks, errors);
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![
            name_of(&self.metadata),
            self.webhooks.as_ref().map_or(0, Vec::len).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
