//! ReplicaSets: the selector stays and selects the template, and the status counts no more pods than there are.

use super::checks::not_negative;
use super::workloads::{
    REPLICAS_COLUMNS, at_least_zero, counts, replicas_row, selected_template, selector_stays,
};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, scale, selectors};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;

impl TypedKind for ReplicaSet {
    const SINGULAR: &'static str = "replicaset";
    const PLURAL: &'static str = "replicasets";
    const SHORT_NAMES: &'static [&'static str] = &["rs"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Scale, Subresource::Status];
    const FIELDS: &'static [&'static str] = &["status.replicas"];
    const COLUMNS: &'static [Column] = REPLICAS_COLUMNS;

    fn set_defaults(&mut self) {
        let spec = &mut self.spec;
        spec.replicas.get_or_insert(1);
        if let Some(template) = spec.template.as_mut() {
            super::pod_defaults::template(template);
        }
    }

    super::spec_and_status!(ReplicaSetStatus);

    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("spec.template", self.spec.template.as_ref()?))
    }
    super::scaled!(|spec| scale::told(&spec.selector), |status| Some(status.replicas));
    fn validate(&self, errors: &mut ErrorList) {
        let spec = &self.spec;
        at_least_zero("spec.replicas", spec.replicas, errors);
        at_least_zero("spec.minReadySeconds", spec.min_ready_seconds, errors);
        selected_template(&spec.selector, spec.template.as_ref(), errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        selector_stays(&self.spec.selector, &old.spec.selector, errors);
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        let Some(status) = &self.status else { return };
        let each = [
            ("fullyLabeledReplicas", status.fully_labeled_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        counts(status.replicas, &each, "readyReplicas", errors);
        not_negative(status.observed_generation.unwrap_or(0), "status.observedGeneration", errors);
        let terminating = status.terminating_replicas.unwrap_or(0).into();
        not_negative(terminating, "status.terminatingReplicas", errors);
    }
    fn field(&self, path: &str) -> String {
        match path {
            "status.replicas" => self.status.as_ref().map_or(0, |s| s.replicas).to_string(),
            _ => String::new(),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = Default::default();
        let spec = &self.spec;
        let status = self.status.as_ref().unwrap_or(&none);
        replicas_row(
            &self.metadata,
            [spec.replicas, Some(status.replicas), status.ready_replicas],
            spec.template.as_ref(),
            selectors::print(Some(&spec.selector)),
            now,
        )
    }
}
