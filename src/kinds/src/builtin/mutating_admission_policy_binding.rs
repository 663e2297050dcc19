//! MutatingAdmissionPolicyBindings: where a policy applies, and with which parameters.

use super::admission_policies as policies;
use super::checks::text;
use super::name_of;
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBinding;

impl TypedKind for MutatingAdmissionPolicyBinding {
    const SINGULAR: &'static str = "mutatingadmissionpolicybinding";
    const PLURAL: &'static str = "mutatingadmissionpolicybindings";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const CATEGORIES: &'static [&'static str] = &["api-extensions"];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("PolicyName", "string", "The policy that it puts to use"),
        Column::new("ParamRef", "string", "Where the policy's parameters are"),
        Column::AGE,
    ];

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
    fn set_defaults(&mut self) {
        policies::fill_in(self.spec.as_mut().and_then(|spec| spec.match_resources.as_mut()));
    }
    fn validate(&self, errors: &mut ErrorList) {
        let spec = self.spec.clone().unwrap_or_default();
        policies::validate_binding(
            text(&spec.policy_name),
            spec.param_ref.as_ref(),
            spec.match_resources.as_ref(),
            errors,
        );
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let spec = self.spec.as_ref();
        vec![
            name_of(&self.metadata),
            spec.map_or("", |spec| text(&spec.policy_name)).into(),
            policies::shown_ref(spec.and_then(|spec| spec.param_ref.as_ref())).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
