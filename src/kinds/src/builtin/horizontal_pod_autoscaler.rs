//! HorizontalPodAutoscalers in `autoscaling/v2`, the version that is stored: upstream's defaults for what is measured and how
//! fast is scaled. `v1` is converted in a file of its own.

use super::{hpa_columns, hpa_validation};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind};
use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus, MetricSpec,
    MetricTarget, ResourceMetricSource,
};

impl TypedKind for HorizontalPodAutoscaler {
    const SINGULAR: &'static str = "horizontalpodautoscaler";
    const PLURAL: &'static str = "horizontalpodautoscalers";
    const SHORT_NAMES: &'static [&'static str] = &["hpa"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = hpa_columns::COLUMNS;

    fn set_defaults(&mut self) {
        let spec = &mut self.spec;
        spec.min_replicas.get_or_insert(1);
        if spec.metrics.as_ref().is_none_or(Vec::is_empty) {
            spec.metrics = Some(vec![utilization("cpu", 80)]);
        }
        if let Some(behavior) = spec.behavior.as_mut() {
            with_defaults(behavior.scale_up.get_or_insert_default(), Some(0), &SCALE_UP);
            with_defaults(behavior.scale_down.get_or_insert_default(), None, &SCALE_DOWN);
        }
    }

    super::spec_and_status!(HorizontalPodAutoscalerStatus);

    fn validate(&self, errors: &mut ErrorList) {
        hpa_validation::validate(self, errors);
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        let Some(status) = &self.status else { return };
        for (field, count) in [
            ("currentReplicas", status.current_replicas.unwrap_or(0)),
            ("desiredReplicas", status.desired_replicas),
        ] {
            super::checks::not_negative(count.into(), format_args!("status.{field}"), errors);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        hpa_columns::row(self, now)
    }
}

/// A target for the average over all pods, in percent of what they request.
pub(super) fn utilization(resource: &str, percent: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: resource.to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(percent),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

/// Type, value, seconds.
type Policy = (&'static str, i32, i32);

const SCALE_UP: [Policy; 2] = [("Pods", 4, 15), ("Percent", 100, 15)];
const SCALE_DOWN: [Policy; 1] = [("Percent", 100, 15)];

/// How long recommendations are looked back at is the controller's to say, where it is left out.
fn with_defaults(rules: &mut HPAScalingRules, window: Option<i32>, policies: &[Policy]) {
    rules.select_policy.get_or_insert_with(|| "Max".to_owned());
    if rules.stabilization_window_seconds.is_none() {
        rules.stabilization_window_seconds = window;
    }
    rules.policies.get_or_insert_with(|| {
        let policy = |(type_, value, period_seconds): &Policy| HPAScalingPolicy {
            type_: (*type_).to_owned(),
            value: *value,
            period_seconds: *period_seconds,
        };
        policies.iter().map(policy).collect()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_out_is_upstream_s() {
        let mut autoscaler: HorizontalPodAutoscaler = serde_json::from_value(json!({
            "metadata": {"name": "h"},
            "spec": {
                "maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
            },
        }))
        .unwrap();
        TypedKind::set_defaults(&mut autoscaler);
        let spec = serde_json::to_value(autoscaler.spec).unwrap();
        assert_eq!(spec["minReplicas"], 1);
        assert_eq!(
            spec["metrics"],
            json!([{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}])
        );
        assert_eq!(
            spec["behavior"],
            json!({
                "scaleUp": {"selectPolicy": "Max", "stabilizationWindowSeconds": 0, "policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]},
                "scaleDown": {"selectPolicy": "Max", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
            })
        );
    }
}
