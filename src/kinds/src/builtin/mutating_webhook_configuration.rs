//! MutatingWebhookConfigurations: what validating ones have, and whether a webhook is asked again after others have changed
//! the object.

use super::checks::among_if_set;
use super::webhooks::{self, Hook};
use super::{fill, name_of};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;

impl TypedKind for MutatingWebhookConfiguration {
    const SINGULAR: &'static str = "mutatingwebhookconfiguration";
    const PLURAL: &'static str = "mutatingwebhookconfigurations";
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
            fill::text(&mut hook.reinvocation_policy, "Never");
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        let hooks: Vec<Hook<'_>> = self.webhooks.iter().flatten().map(|hook| webhooks::view!(hook)).collect();
        webhooks::validate(&hooks, errors);
        for (index, hook) in self.webhooks.iter().flatten().enumerate() {
            let at = format!("webhooks[{index}].reinvocationPolicy");
            among_if_set(hook.reinvocation_policy.as_deref(), &["IfNeeded", "Never"], at, errors);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![
            name_of(&self.metadata),
            self.webhooks.as_ref().map_or(0, Vec::len).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
