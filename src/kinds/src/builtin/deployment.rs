//! Deployments: upstream's defaults, and how far a rolling update may go. What reads a number or a percentage is here too,
//! for the kinds that have one.

use super::checks::{not_negative, text};
use super::workloads::{
    at_least_zero, collisions, container_cells, counts, selected_template, selector_stays,
};
use super::{fill, name_of};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age, scale, selectors};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

// the defaults of apps/v1
const HISTORY: i32 = 10;
const PROGRESS_SECONDS: i32 = 600;
const QUARTER: &str = "25%";

impl TypedKind for Deployment {
    const SINGULAR: &'static str = "deployment";
    const PLURAL: &'static str = "deployments";
    const SHORT_NAMES: &'static [&'static str] = &["deploy"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Scale, Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Ready", "string", "Ready and wanted pods"),
        Column::new("Up-to-date", "string", "Pods of the newest template"),
        Column::new("Available", "string", "Pods ready for long enough"),
        Column::AGE,
        Column::wide("Containers", "string", "Names of the containers"),
        Column::wide("Images", "string", "Images of the containers"),
        Column::wide("Selector", "string", "Which pods are counted"),
    ];

    fn set_defaults(&mut self) {
        let spec = &mut self.spec;
        spec.replicas.get_or_insert(1);
        spec.revision_history_limit.get_or_insert(HISTORY);
        spec.progress_deadline_seconds.get_or_insert(PROGRESS_SECONDS);
        let strategy = spec.strategy.get_or_insert_default();
        fill::text(&mut strategy.type_, "RollingUpdate");
        if text(&strategy.type_) == "RollingUpdate" {
            let rolling = strategy.rolling_update.get_or_insert_with(RollingUpdateDeployment::default);
            rolling.max_surge.get_or_insert_with(|| IntOrString::String(QUARTER.to_owned()));
            rolling.max_unavailable.get_or_insert_with(|| IntOrString::String(QUARTER.to_owned()));
        }
        super::pod_defaults::template(&mut spec.template);
    }

    super::spec_and_status!(DeploymentStatus);

    fn keep_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
        new.labels.clone_from(&old.labels);
    }

    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("spec.template", &self.spec.template))
    }
    super::scaled!(|spec| scale::told(&spec.selector), |status| status.replicas);
    fn validate(&self, errors: &mut ErrorList) {
        let spec = &self.spec;
        at_least_zero("spec.replicas", spec.replicas, errors);
        selected_template(&spec.selector, Some(&spec.template), errors);
        strategy(spec.strategy.as_ref(), "spec.strategy", errors);
        at_least_zero("spec.minReadySeconds", spec.min_ready_seconds, errors);
        at_least_zero("spec.revisionHistoryLimit", spec.revision_history_limit, errors);
        at_least_zero("spec.progressDeadlineSeconds", spec.progress_deadline_seconds, errors);
        if let Some(deadline) = spec.progress_deadline_seconds
            && deadline <= spec.min_ready_seconds.unwrap_or(0)
        {
            errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        selector_stays(&self.spec.selector, &old.spec.selector, errors);
    }
    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        let Some(status) = &self.status else { return };
        let each = [
            ("updatedReplicas", status.updated_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        counts(status.replicas.unwrap_or(0), &each, "readyReplicas", errors);
        for (field, count) in [
            ("observedGeneration", status.observed_generation.unwrap_or(0)),
            ("unavailableReplicas", status.unavailable_replicas.unwrap_or(0).into()),
            ("terminatingReplicas", status.terminating_replicas.unwrap_or(0).into()),
        ] {
            not_negative(count, format_args!("status.{field}"), errors);
        }
        let before = old.status.as_ref().and_then(|status| status.collision_count);
        collisions(status.collision_count, before, errors);
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = Default::default();
        let spec = &self.spec;
        let status = self.status.as_ref().unwrap_or(&none);
        let wanted = spec.replicas.unwrap_or(0);
        let containers = spec.template.spec.as_ref().map(|s| &s.containers);
        let mut cells = vec![
            name_of(&self.metadata),
            format!("{}/{wanted}", status.ready_replicas.unwrap_or(0)).into(),
            status.updated_replicas.unwrap_or(0).into(),
            status.available_replicas.unwrap_or(0).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ];
        cells.extend(container_cells(containers));
        cells.push(selectors::print(Some(&spec.selector)).into());
        cells
    }
}

fn strategy(strategy: Option<&DeploymentStrategy>, at: &str, errors: &mut ErrorList) {
    let none = DeploymentStrategy::default();
    let strategy = strategy.unwrap_or(&none);
    let field = format!("{at}.rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("RollingUpdate", Some(rolling)) => rolling_update(rolling, &field, errors),
        ("RollingUpdate", None) => {
            errors.required(field, "this should be defaulted and never be nil");
        }
        ("Recreate", Some(_)) => {
            errors.forbidden(field, "may not be specified when strategy `type` is 'Recreate'");
        }
        ("Recreate", None) => {}
        _ => {
            let value = serde_json::json!(strategy);
            errors.not_supported(at, value, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn rolling_update(rolling: &RollingUpdateDeployment, at: &str, errors: &mut ErrorList) {
    let (unavailable, surge) = (&rolling.max_unavailable, &rolling.max_surge);
    let unavailable_at = format!("{at}.maxUnavailable");
    count_or_percent(unavailable.as_ref(), &unavailable_at, errors);
    count_or_percent(surge.as_ref(), &format!("{at}.maxSurge"), errors);
    if amount(unavailable.as_ref()) == Some(0) && amount(surge.as_ref()) == Some(0) {
        let value = serde_json::json!(unavailable);
        errors.invalid(&unavailable_at, value, "may not be 0 when `maxSurge` is 0");
    }
    at_most_all(unavailable.as_ref(), &unavailable_at, errors);
}

/// Upstream's `IsNotMoreThan100Percent`.
pub(super) fn at_most_all(value: Option<&IntOrString>, at: &str, errors: &mut ErrorList) {
    if percent(value).is_some_and(|percent| percent > 100) {
        errors.invalid(at, serde_json::json!(value), "must not be greater than 100%");
    }
}

/// A number that is not negative, or a percentage.
pub(super) fn count_or_percent(value: Option<&IntOrString>, at: &str, errors: &mut ErrorList) {
    match value {
        Some(IntOrString::Int(count)) => not_negative((*count).into(), at, errors),
        Some(IntOrString::String(text)) if percent(value).is_none() => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
            errors.invalid(at, text.as_str(), why);
        }
        _ => {}
    }
}

/// Of either kind, as a number.
pub(super) fn amount(value: Option<&IntOrString>) -> Option<u64> {
    match value? {
        IntOrString::Int(count) => u64::try_from(*count).ok(),
        IntOrString::String(_) => percent(value),
    }
}

pub(super) fn percent(value: Option<&IntOrString>) -> Option<u64> {
    let Some(IntOrString::String(text)) = value else { return None };
    let digits = text.strip_suffix('%').filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))?;
    // more digits than fit are still a percentage, and more than any bound
    Some(digits.parse().unwrap_or(u64::MAX))
}
