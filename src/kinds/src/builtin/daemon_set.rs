//! DaemonSets: one pod on each node.

use super::checks::{label_selector, not_negative};
use super::name_of;
use super::pod_validation::template;
use super::workloads::{at_least_zero, collisions, container_cells, finds_template, selector_stays};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age, selectors};
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetStatus, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const HISTORY: i32 = 10;
/// Where v1 keeps what was a field once; its pods bear it as a label.
const GENERATION: &str = "deprecated.daemonset.template.generation";

impl TypedKind for DaemonSet {
    const SINGULAR: &'static str = "daemonset";
    const PLURAL: &'static str = "daemonsets";
    const SHORT_NAMES: &'static [&'static str] = &["ds"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Desired", "integer", "Nodes that should run it"),
        Column::new("Current", "integer", "Nodes that have its pod"),
        Column::new("Ready", "integer", "Nodes whose pod is ready"),
        Column::new("Up-to-date", "integer", "Nodes whose pod is of the newest template"),
        Column::new("Available", "integer", "Nodes whose pod is ready for long enough"),
        Column::new("Node Selector", "string", "Which nodes should run it"),
        Column::AGE,
        Column::wide("Containers", "string", "Names of the containers"),
        Column::wide("Images", "string", "Images of the containers"),
        Column::wide("Selector", "string", "Which pods are counted"),
    ];

    fn set_defaults(&mut self) {
        let spec = &mut self.spec;
        spec.revision_history_limit.get_or_insert(HISTORY);
        let strategy = spec.update_strategy.get_or_insert_default();
        let kind = strategy.type_.get_or_insert_with(|| "RollingUpdate".to_owned());
        if kind == "RollingUpdate" {
            let rolling = strategy.rolling_update.get_or_insert_with(RollingUpdateDaemonSet::default);
            rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
            rolling.max_surge.get_or_insert(IntOrString::Int(0));
        }
        super::pod_defaults::template(&mut spec.template);
    }

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        self.status = Some(DaemonSetStatus::default());
        set_generation(self, 1);
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
        let changed = i64::from(self.spec.template != old.spec.template);
        set_generation(self, generation(old) + changed);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }

    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("spec.template", &self.spec.template))
    }
    fn validate(&self, errors: &mut ErrorList) {
        let spec = &self.spec;
        label_selector(Some(&spec.selector), "spec.selector", errors);
        if let Ok(selector) = selectors::from_object(&spec.selector) {
            finds_template(&spec.template, |labels| selector.matches(labels), errors);
            if selector.requirements.is_empty() {
                let value = serde_json::json!(spec.selector);
                errors.invalid("spec.selector", value, "empty selector is invalid for daemonset");
            }
        }
        template(&spec.template, "spec.template", "DaemonSet", errors);
        at_least_zero("spec.minReadySeconds", spec.min_ready_seconds, errors);
        at_least_zero("spec.revisionHistoryLimit", spec.revision_history_limit, errors);
        strategy(spec, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        selector_stays(&self.spec.selector, &old.spec.selector, errors);
    }

    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        let Some(status) = &self.status else { return };
        for (field, count) in [
            ("currentNumberScheduled", status.current_number_scheduled),
            ("numberMisscheduled", status.number_misscheduled),
            ("desiredNumberScheduled", status.desired_number_scheduled),
            ("numberReady", status.number_ready),
            ("updatedNumberScheduled", status.updated_number_scheduled.unwrap_or(0)),
            ("numberAvailable", status.number_available.unwrap_or(0)),
            ("numberUnavailable", status.number_unavailable.unwrap_or(0)),
        ] {
            not_negative(count.into(), format_args!("status.{field}"), errors);
        }
        not_negative(status.observed_generation.unwrap_or(0), "status.observedGeneration", errors);
        let before = old.status.as_ref().and_then(|status| status.collision_count);
        collisions(status.collision_count, before, errors);
    }

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = DaemonSetStatus::default();
        let spec = &self.spec;
        let status = self.status.as_ref().unwrap_or(&none);
        let pod = spec.template.spec.as_ref();
        let mut cells = vec![
            name_of(&self.metadata),
            status.desired_number_scheduled.into(),
            status.current_number_scheduled.into(),
            status.number_ready.into(),
            status.updated_number_scheduled.unwrap_or(0).into(),
            status.number_available.unwrap_or(0).into(),
            selectors::print_map(pod.and_then(|pod| pod.node_selector.as_ref())).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ];
        cells.extend(container_cells(pod.map(|pod| &pod.containers)));
        cells.push(selectors::print(Some(&spec.selector)).into());
        cells
    }
}

fn generation(set: &DaemonSet) -> i64 {
    let annotations = set.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(GENERATION)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What a client writes there makes it higher at most.
fn set_generation(set: &mut DaemonSet, at_least: i64) {
    let number = generation(set).max(at_least);
    set.metadata.annotations.get_or_insert_default().insert(GENERATION.to_owned(), number.to_string());
}

fn strategy(spec: &DaemonSetSpec, errors: &mut ErrorList) {
    let field = "spec.updateStrategy";
    let strategy = spec.update_strategy.clone().unwrap_or_default();
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errors.required(format!("{field}.rollingUpdate"), ""),
        ("RollingUpdate", Some(rolling)) => rolling_update(rolling, errors),
        _ => errors.not_supported(field, serde_json::json!(strategy), &["RollingUpdate", "OnDelete"]),
    }
}

fn rolling_update(rolling: &RollingUpdateDaemonSet, errors: &mut ErrorList) {
    let field = "spec.updateStrategy.rollingUpdate";
    let both = [("maxUnavailable", &rolling.max_unavailable), ("maxSurge", &rolling.max_surge)];
    for (name, value) in both {
        super::deployment::count_or_percent(value.as_ref(), &format!("{field}.{name}"), errors);
    }
    for (name, value) in both {
        super::deployment::at_most_all(value.as_ref(), &format!("{field}.{name}"), errors);
    }
    let is_some = |value: &Option<IntOrString>| super::deployment::amount(value.as_ref()) != Some(0);
    match (is_some(&rolling.max_unavailable), is_some(&rolling.max_surge)) {
        (true, true) => {
            let value = serde_json::json!(rolling.max_surge);
            errors.invalid(
                format!("{field}.maxSurge"),
                value,
                "may not be set when maxUnavailable is non-zero",
            );
        }
        (false, false) => {
            errors.required(format!("{field}.maxUnavailable"), "cannot be 0 when maxSurge is 0")
        }
        _ => {}
    }
}
