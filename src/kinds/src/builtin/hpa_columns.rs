//! An autoscaler's row: where it stands beside what it aims at.

use super::name_of;
use crate::{Cell, Column, age};
use api::quantity::canonical;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

pub(super) const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("Reference", "string", "What is scaled"),
    Column::new("Targets", "string", "What is measured, and what it is to be"),
    Column::new("MinPods", "string", "The fewest pods"),
    Column::new("MaxPods", "string", "The most pods"),
    Column::new("Replicas", "string", "Pods there are"),
    Column::AGE,
];

/// More are counted only.
const MOST_METRICS: usize = 2;

pub(super) fn row(autoscaler: &HorizontalPodAutoscaler, now: jiff::Timestamp) -> Vec<Cell> {
    let (spec, unknown) = (&autoscaler.spec, Default::default());
    let status = autoscaler.status.as_ref().unwrap_or(&unknown);
    let metrics = spec.metrics.as_deref().unwrap_or_default();
    vec![
        name_of(&autoscaler.metadata),
        format!("{}/{}", spec.scale_target_ref.kind, spec.scale_target_ref.name).into(),
        targets(metrics, status.current_metrics.as_deref().unwrap_or_default()).into(),
        spec.min_replicas.map_or_else(|| "<unset>".to_owned(), |count| count.to_string()).into(),
        spec.max_replicas.into(),
        status.current_replicas.unwrap_or(0).into(),
        age(autoscaler.metadata.creation_timestamp.as_ref(), now),
    ]
}

fn targets(metrics: &[MetricSpec], current: &[MetricStatus]) -> String {
    if metrics.is_empty() {
        return "<none>".to_owned();
    }
    let each = metrics.iter().enumerate().map(|(at, metric)| one(metric, current.get(at)));
    let shown: Vec<String> = each.take(MOST_METRICS).collect();
    match metrics.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} + {more} more...", shown.join(", ")),
    }
}

fn one(metric: &MetricSpec, status: Option<&MetricStatus>) -> String {
    if let Some(of) = &metric.resource {
        let current = status.and_then(|s| s.resource.as_ref()).map(|r| &r.current);
        return format!("{}: {}", of.name, resource(&of.target, current));
    }
    if let Some(of) = &metric.container_resource {
        let current = status.and_then(|s| s.container_resource.as_ref()).map(|r| &r.current);
        return format!("{}: {}", of.name, resource(&of.target, current));
    }
    if let Some(of) = &metric.pods {
        let current = status.and_then(|s| s.pods.as_ref()).map(|p| &p.current);
        return average(&of.target, current);
    }
    if let Some(of) = &metric.object {
        let current = status.and_then(|s| s.object.as_ref()).map(|o| &o.current);
        return value_or_average(&of.target, current);
    }
    if let Some(of) = &metric.external {
        let current = status.and_then(|s| s.external.as_ref()).map(|e| &e.current);
        return value_or_average(&of.target, current);
    }
    "<unknown type>".to_owned()
}

fn resource(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    if target.average_value.is_some() {
        return average(target, current);
    }
    let percent =
        |of: Option<i32>, none: &str| of.map_or_else(|| none.to_owned(), |percent| format!("{percent}%"));
    let now = percent(current.and_then(|c| c.average_utilization), "<unknown>");
    format!("{now}/{}", percent(target.average_utilization, "<auto>"))
}

fn average(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    let now = amount(current.and_then(|c| c.average_value.as_ref()));
    format!("{now}/{}", amount(target.average_value.as_ref()))
}

fn value_or_average(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    match target.average_value {
        Some(_) => format!("{} (avg)", average(target, current)),
        None => {
            let now = amount(current.and_then(|c| c.value.as_ref()));
            format!("{now}/{}", amount(target.value.as_ref()))
        }
    }
}

fn amount(of: Option<&Quantity>) -> String {
    of.map_or_else(|| "<unknown>".to_owned(), |of| canonical(&of.0).unwrap_or_else(|_| of.0.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn targets_are_shown_as_kubectl_shows_them() {
        let resource =
            |target: Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        let is =
            |current: Value| json!({"type": "Resource", "resource": {"name": "cpu", "current": current}});
        let half = || resource(json!({"type": "Utilization", "averageUtilization": 50}));
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "0.5"}}});
        let object = json!({"type": "Object", "object": {"metric": {"name": "m"}, "describedObject": {"kind": "K", "name": "n"},
            "target": {"type": "AverageValue", "averageValue": "10"}}});
        let external = json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1k"}}});
        let cases = [
            ("none", json!([]), json!([]), "<none>"),
            ("not yet", json!([half()]), json!([]), "cpu: <unknown>/50%"),
            (
                "known",
                json!([half()]),
                json!([is(json!({"averageUtilization": 7, "averageValue": "7m"}))]),
                "cpu: 7%/50%",
            ),
            (
                "a value",
                json!([resource(json!({"type": "AverageValue", "averageValue": "1000m"}))]),
                json!([is(json!({"averageValue": "250m"}))]),
                "cpu: 250m/1",
            ),
            ("two", json!([pods, object]), json!([]), "<unknown>/500m, <unknown>/10 (avg)"),
            (
                "more",
                json!([half(), pods, external]),
                json!([]),
                "cpu: <unknown>/50%, <unknown>/500m + 1 more...",
            ),
        ];
        for (name, metrics, current, want) in cases {
            let metrics: Vec<MetricSpec> = serde_json::from_value(metrics).unwrap();
            let current: Vec<MetricStatus> = serde_json::from_value(current).unwrap();
            assert_eq!(targets(&metrics, &current), want, "{name}");
        }
    }
}
