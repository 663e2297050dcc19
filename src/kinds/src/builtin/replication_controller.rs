//! ReplicationControllers: as ReplicaSets, with a selector that is a map and is taken from the template where it is left out.

use super::checks::not_negative;
use super::pod_validation::template;
use super::workloads::{REPLICAS_COLUMNS, at_least_zero, counts, finds_template, replicas_row};
use crate::{Cell, Column, ErrorList, ScaleNumbers, Subresource, TypedKind, selectors};
use k8s_openapi::api::core::v1::{PodTemplateSpec, ReplicationController, ReplicationControllerStatus};

impl TypedKind for ReplicationController {
    const SINGULAR: &'static str = "replicationcontroller";
    const PLURAL: &'static str = "replicationcontrollers";
    const SHORT_NAMES: &'static [&'static str] = &["rc"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Scale, Subresource::Status];
    /// As upstream, for those who wrote their clients before there was a garbage collector.
    const ORPHANS_BY_DEFAULT: bool = true;
    const FIELDS: &'static [&'static str] = &["status.replicas"];
    const COLUMNS: &'static [Column] = REPLICAS_COLUMNS;

    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        let labels = spec.template.as_ref().and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.clone());
        if let Some(labels) = labels {
            if spec.selector.as_ref().is_none_or(|s| s.is_empty()) {
                spec.selector = Some(labels.clone());
            }
            if self.metadata.labels.as_ref().is_none_or(|l| l.is_empty()) {
                self.metadata.labels = Some(labels);
            }
        }
        if let Some(template) = spec.template.as_mut() {
            super::pod_defaults::template(template);
        }
    }

    super::spec_and_status!(ReplicationControllerStatus);

    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("spec.template", self.spec.as_ref()?.template.as_ref()?))
    }
    fn scale(&self) -> Option<ScaleNumbers> {
        let spec = self.spec.as_ref();
        let labels = spec.and_then(|spec| spec.selector.as_ref());
        Some(ScaleNumbers {
            wanted: spec.and_then(|spec| spec.replicas),
            current: self.status.as_ref().map(|status| status.replicas),
            selector: labels.map(|labels| selectors::from_map(labels).to_string()),
        })
    }
    fn set_replicas(&mut self, replicas: i32) {
        self.spec.get_or_insert_default().replicas = Some(replicas);
    }
    fn validate(&self, errors: &mut ErrorList) {
        let none = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        at_least_zero("spec.minReadySeconds", spec.min_ready_seconds, errors);
        let selector = spec.selector.clone().unwrap_or_default();
        if selector.is_empty() {
            errors.required("spec.selector", "");
        }
        at_least_zero("spec.replicas", spec.replicas, errors);
        let Some(given) = &spec.template else {
            return errors.required("spec.template", "");
        };
        finds_template(given, |labels| selectors::from_map(&selector).matches(labels), errors);
        template(given, "spec.template", "ReplicationController", errors);
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
    }
    fn field(&self, path: &str) -> String {
        match path {
            "status.replicas" => self.status.as_ref().map_or(0, |s| s.replicas).to_string(),
            _ => String::new(),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = Default::default();
        let spec = self.spec.as_ref();
        let status = self.status.as_ref().unwrap_or(&none);
        replicas_row(
            &self.metadata,
            [spec.and_then(|s| s.replicas), Some(status.replicas), status.ready_replicas],
            spec.and_then(|s| s.template.as_ref()),
            selectors::print_map(spec.and_then(|s| s.selector.as_ref())),
            now,
        )
    }
}
