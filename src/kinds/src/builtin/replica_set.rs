use super::name_of;
use super::pod_validation::template;
use super::replication_controller::{at_least_zero, container_cells};
use crate::{Cell, Column, Errors, Kind, age, selectors};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

impl Kind for ReplicaSet {
    const SINGULAR: &'static str = "replicaset";
    const PLURAL: &'static str = "replicasets";
    const SHORT_NAMES: &'static [&'static str] = &["rs"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [&'static str] = &["scale", "status"];
    const FIELDS: &'static [&'static str] = &["status.replicas"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Desired", "integer", "Wanted pods"),
        Column::new("Current", "integer", "Pods there are"),
        Column::new("Ready", "integer", "Pods that are ready"),
        Column::AGE,
        Column::wide("Containers", "string", "Names of the containers"),
        Column::wide("Images", "string", "Images of the containers"),
        Column::wide("Selector", "string", "Which pods are counted"),
    ];

    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        if let Some(template) = spec.template.as_mut() {
            super::pod_defaults::template(template);
        }
    }
    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        self.status = Some(ReplicaSetStatus::default());
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
    fn validate(&self, errors: &mut Errors) {
        let none = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        at_least_zero("spec.replicas", spec.replicas, errors);
        at_least_zero("spec.minReadySeconds", spec.min_ready_seconds, errors);
        selected_template(&spec.selector, spec.template.as_ref(), errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        selector_stays(
            self.spec.as_ref().map(|s| &s.selector),
            old.spec.as_ref().map(|s| &s.selector),
            errors,
        );
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
        let containers =
            spec.and_then(|s| s.template.as_ref()).and_then(|t| t.spec.as_ref()).map(|s| &s.containers);
        let mut cells = vec![
            name_of(&self.metadata),
            spec.and_then(|s| s.replicas).unwrap_or(0).into(),
            status.replicas.into(),
            status.ready_replicas.unwrap_or(0).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ];
        cells.extend(container_cells(containers));
        cells.push(selectors::print(spec.map(|s| &s.selector)).into());
        cells
    }
}

/// The selector is there, says something, and finds the template's pods.
pub(super) fn selected_template(
    selector: &LabelSelector,
    given: Option<&PodTemplateSpec>,
    errors: &mut Errors,
) {
    let parsed = match selectors::from_object(selector) {
        Ok(parsed) => parsed,
        Err(why) => {
            errors.invalid("spec.selector", serde_json::json!(selector), why);
            return;
        }
    };
    if parsed.requirements.is_empty() {
        errors.invalid(
            "spec.selector",
            serde_json::json!(selector),
            "empty selector is invalid for deployment",
        );
    }
    let Some(given) = given else {
        errors.required("spec.template", "");
        return;
    };
    let labels = given.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    if !parsed.requirements.is_empty() && !parsed.matches(&labels) {
        errors.invalid(
            "spec.template.metadata.labels",
            serde_json::json!(labels),
            "`selector` does not match template `labels`",
        );
    }
    template(given, "spec.template", errors);
}

pub(super) fn selector_stays(new: Option<&LabelSelector>, old: Option<&LabelSelector>, errors: &mut Errors) {
    if new != old {
        errors.invalid("spec.selector", serde_json::json!(new), "field is immutable");
    }
}
