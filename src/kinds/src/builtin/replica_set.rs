use super::checks::{immutable, is_empty, label_selector, not_negative};
use super::pod_validation::template;
use super::replication_controller::{REPLICAS_COLUMNS, at_least_zero, replicas_row};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, scale, selectors};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

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
        counts(status.replicas, &each, errors);
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

/// The selector is there, says something, and finds the template's pods. Left out and empty are the same here; upstream's
/// words are those for the first, which is by far the more frequent.
pub(super) fn selected_template(
    selector: &LabelSelector,
    given: Option<&PodTemplateSpec>,
    errors: &mut ErrorList,
) {
    if is_empty(selector) {
        errors.required("spec.selector", "");
    }
    label_selector(Some(selector), "spec.selector", errors);
    let Ok(parsed) = selectors::from_object(selector) else {
        return errors.invalid("spec.selector", serde_json::json!(selector), "invalid label selector");
    };
    let Some(given) = given else {
        return errors.required("spec.template", "");
    };
    let labels = given.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    if is_empty(selector) || !parsed.matches(&labels) {
        errors.invalid(
            "spec.template.metadata.labels",
            serde_json::json!(labels),
            "`selector` does not match template `labels`",
        );
    }
    template(given, "spec.template", "ReplicaSet", errors);
}

pub(super) fn selector_stays(new: &LabelSelector, old: &LabelSelector, errors: &mut ErrorList) {
    immutable(new, old, "spec.selector", errors);
}

/// What a controller counts can not be less than nothing, nor more than there are.
pub(super) fn counts(replicas: i32, each: &[(&str, Option<i32>)], errors: &mut ErrorList) {
    not_negative(replicas.into(), "status.replicas", errors);
    for (field, count) in each {
        let count = count.unwrap_or(0);
        not_negative(count.into(), format_args!("status.{field}"), errors);
        if count > replicas {
            let why = "cannot be greater than status.replicas";
            errors.invalid(format_args!("status.{field}"), count, why);
        }
    }
    let of =
        |name: &str| each.iter().find(|(field, _)| *field == name).and_then(|(_, count)| *count).unwrap_or(0);
    let (available, ready) = (of("availableReplicas"), of("readyReplicas"));
    if available > ready {
        errors.invalid("status.availableReplicas", available, "cannot be greater than readyReplicas");
    }
}
