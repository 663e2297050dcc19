use super::name_of;
use super::replica_set::{selected_template, selector_stays};
use super::replication_controller::{at_least_zero, container_cells};
use crate::{Cell, Column, Errors, Kind, age, selectors};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const HISTORY: i32 = 10;
const PROGRESS_SECONDS: i32 = 600;
const QUARTER: &str = "25%";

impl Kind for Deployment {
    const SINGULAR: &'static str = "deployment";
    const PLURAL: &'static str = "deployments";
    const SHORT_NAMES: &'static [&'static str] = &["deploy"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [&'static str] = &["scale", "status"];
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
        let spec = self.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        spec.revision_history_limit.get_or_insert(HISTORY);
        spec.progress_deadline_seconds.get_or_insert(PROGRESS_SECONDS);
        let strategy = spec.strategy.get_or_insert_default();
        let kind = strategy.type_.get_or_insert_with(|| "RollingUpdate".to_owned());
        if kind == "RollingUpdate" {
            let rolling = strategy.rolling_update.get_or_insert_with(RollingUpdateDeployment::default);
            rolling.max_surge.get_or_insert_with(|| IntOrString::String(QUARTER.to_owned()));
            rolling.max_unavailable.get_or_insert_with(|| IntOrString::String(QUARTER.to_owned()));
        }
        super::pod_defaults::template(&mut spec.template);
    }

    super::spec_and_status!(DeploymentStatus);

    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("spec.template", &self.spec.as_ref()?.template))
    }
    fn validate(&self, errors: &mut Errors) {
        let none = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        at_least_zero("spec.replicas", spec.replicas, errors);
        at_least_zero("spec.minReadySeconds", spec.min_ready_seconds, errors);
        at_least_zero("spec.revisionHistoryLimit", spec.revision_history_limit, errors);
        selected_template(&spec.selector, Some(&spec.template), errors);
        let Some(strategy) = &spec.strategy else { return };
        match strategy.type_.as_deref() {
            Some("RollingUpdate") => {
                if let Some(rolling) = &strategy.rolling_update {
                    rolling_update(rolling, errors);
                }
            }
            Some("Recreate") if strategy.rolling_update.is_some() => errors.forbidden(
                "spec.strategy.rollingUpdate",
                "may not be specified when strategy `type` is 'Recreate'",
            ),
            Some("Recreate") => {}
            other => {
                errors.not_supported(
                    "spec.strategy.type",
                    other.unwrap_or_default(),
                    &["Recreate", "RollingUpdate"],
                );
            }
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        selector_stays(
            self.spec.as_ref().map(|s| &s.selector),
            old.spec.as_ref().map(|s| &s.selector),
            errors,
        );
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let none = Default::default();
        let spec = self.spec.as_ref();
        let status = self.status.as_ref().unwrap_or(&none);
        let wanted = spec.and_then(|s| s.replicas).unwrap_or(0);
        let containers = spec.and_then(|s| s.template.spec.as_ref()).map(|s| &s.containers);
        let mut cells = vec![
            name_of(&self.metadata),
            format!("{}/{wanted}", status.ready_replicas.unwrap_or(0)).into(),
            status.updated_replicas.unwrap_or(0).into(),
            status.available_replicas.unwrap_or(0).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ];
        cells.extend(container_cells(containers));
        cells.push(selectors::print(spec.map(|s| &s.selector)).into());
        cells
    }
}

fn rolling_update(rolling: &RollingUpdateDeployment, errors: &mut Errors) {
    let field = "spec.strategy.rollingUpdate";
    let zero = |of: &Option<IntOrString>| match of {
        Some(IntOrString::Int(n)) => *n == 0,
        Some(IntOrString::String(s)) => s == "0%",
        None => false,
    };
    for (name, value) in [("maxSurge", &rolling.max_surge), ("maxUnavailable", &rolling.max_unavailable)] {
        match value {
            Some(IntOrString::Int(n)) if *n < 0 => {
                errors.invalid(format!("{field}.{name}"), *n, "must be greater than or equal to 0");
            }
            Some(IntOrString::String(s)) if s.strip_suffix('%').is_none_or(|p| p.parse::<u32>().is_err()) => {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                errors.invalid(format!("{field}.{name}"), s.as_str(), why);
            }
            _ => {}
        }
    }
    if zero(&rolling.max_surge) && zero(&rolling.max_unavailable) {
        errors.invalid(format!("{field}.maxUnavailable"), 0, "may not be 0 when `maxSurge` is 0");
    }
}
