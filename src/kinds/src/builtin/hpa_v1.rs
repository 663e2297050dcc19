//! Autoscalers under their older name, `autoscaling/v1`: the same objects, with one target for CPU in the spec and the rest in
//! annotations, where upstream puts it; there it is written in the words of v2.

use crate::typed::with_facts_of;
use crate::{
    Decoded, FieldValidation, Instance, ResourceInfo, SchemaRef, Strategy, TypedKind, Version, decode,
};
use api::{Gvk, Gvr, Object, Status};
use bytes::Bytes;
use k8s_openapi::api::autoscaling::{v1, v2};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The conversion between `autoscaling/v1`, as clients have it, and v2, as autoscalers are stored.
struct AutoscalingV1(Gvk);

pub(super) fn autoscaling_v1() -> Arc<Version> {
    let gvk = Gvk::new("autoscaling", "v1", "HorizontalPodAutoscaler");
    let gvr = Gvr::new("autoscaling", "v1", "horizontalpodautoscalers");
    let (schema, strategy) = (SchemaRef::of(&gvk), Box::new(AutoscalingV1(gvk.clone())));
    let info = ResourceInfo { gvk, gvr, ..v2::HorizontalPodAutoscaler::info() };
    Arc::new(with_facts_of::<v2::HorizontalPodAutoscaler>(info, schema, &[], strategy))
}

impl Strategy for AutoscalingV1 {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        <v2::HorizontalPodAutoscaler as TypedKind>::validate_name(name)
    }
    fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        let (old, warnings) = decode::decode::<v1::HorizontalPodAutoscaler>(
            &self.0,
            &SchemaRef::of(&self.0),
            json,
            strictness,
        )?;
        Ok(Decoded { instance: Box::new(to_v2(old)), warnings })
    }
    fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status> {
        let stored: v2::HorizontalPodAutoscaler = object.decode().map_err(Status::internal)?;
        Ok(Box::new(stored))
    }
    fn present(&self, bytes: &Bytes) -> Bytes {
        let shown = serde_json::from_slice::<v2::HorizontalPodAutoscaler>(bytes)
            .and_then(|stored| serde_json::to_vec(&to_v1(stored)));
        shown.map_or_else(|_| bytes.clone(), Bytes::from)
    }
}

fn is_cpu(metric: &v2::MetricSpec) -> bool {
    metric.resource.as_ref().is_some_and(|r| r.name == "cpu" && r.target.average_utilization.is_some())
}

fn to_v1(new: v2::HorizontalPodAutoscaler) -> v1::HorizontalPodAutoscaler {
    let mut metadata = new.metadata;
    let (cpu, others) = first(new.spec.metrics.unwrap_or_default(), is_cpu);
    put(&mut metadata, METRICS, &others);
    if let Some(behavior) = &new.spec.behavior {
        put(&mut metadata, BEHAVIOR, std::slice::from_ref(behavior));
    }
    let status = new.status.map(|status| {
        put(&mut metadata, CONDITIONS, status.conditions.as_deref().unwrap_or_default());
        let is_cpu = |metric: &v2::MetricStatus| {
            metric
                .resource
                .as_ref()
                .is_some_and(|r| r.name == "cpu" && r.current.average_utilization.is_some())
        };
        let current = status.current_metrics.unwrap_or_default();
        put(&mut metadata, CURRENT_METRICS, &current);
        v1::HorizontalPodAutoscalerStatus {
            observed_generation: status.observed_generation,
            last_scale_time: status.last_scale_time,
            current_replicas: status.current_replicas.unwrap_or(0),
            desired_replicas: status.desired_replicas,
            current_cpu_utilization_percentage: first(current, is_cpu)
                .0
                .and_then(|metric| metric.resource?.current.average_utilization),
        }
    });
    let target = new.spec.scale_target_ref;
    v1::HorizontalPodAutoscaler {
        metadata,
        spec: v1::HorizontalPodAutoscalerSpec {
            scale_target_ref: v1::CrossVersionObjectReference {
                api_version: target.api_version,
                kind: target.kind,
                name: target.name,
            },
            min_replicas: new.spec.min_replicas,
            max_replicas: new.spec.max_replicas,
            target_cpu_utilization_percentage: cpu
                .and_then(|metric| metric.resource?.target.average_utilization),
        },
        status,
    }
}

fn to_v2(old: v1::HorizontalPodAutoscaler) -> v2::HorizontalPodAutoscaler {
    let mut metadata = old.metadata;
    let cpu = old.spec.target_cpu_utilization_percentage;
    let cpu = cpu.map(|percent| super::horizontal_pod_autoscaler::utilization("cpu", percent));
    let metrics: Vec<v2::MetricSpec> = cpu.into_iter().chain(take(&mut metadata, METRICS)).collect();
    let behavior = take(&mut metadata, BEHAVIOR).into_iter().next();
    let conditions: Vec<v2::HorizontalPodAutoscalerCondition> = take(&mut metadata, CONDITIONS);
    let mut current: Vec<v2::MetricStatus> = take(&mut metadata, CURRENT_METRICS);
    let told = old.status.as_ref().and_then(|status| status.current_cpu_utilization_percentage);
    if let Some(percent) = told.filter(|_| current.is_empty()) {
        current.push(of_cpu(percent));
    }
    let status = old.status.map(|status| v2::HorizontalPodAutoscalerStatus {
        observed_generation: status.observed_generation,
        last_scale_time: status.last_scale_time,
        current_replicas: Some(status.current_replicas),
        desired_replicas: status.desired_replicas,
        current_metrics: (!current.is_empty()).then_some(current),
        conditions: (!conditions.is_empty()).then_some(conditions),
    });
    let target = old.spec.scale_target_ref;
    v2::HorizontalPodAutoscaler {
        metadata,
        spec: v2::HorizontalPodAutoscalerSpec {
            scale_target_ref: v2::CrossVersionObjectReference {
                api_version: target.api_version,
                kind: target.kind,
                name: target.name,
            },
            min_replicas: old.spec.min_replicas,
            max_replicas: old.spec.max_replicas,
            metrics: (!metrics.is_empty()).then_some(metrics),
            behavior,
        },
        status,
    }
}

fn of_cpu(percent: i32) -> v2::MetricStatus {
    let current =
        v2::MetricValueStatus { average_utilization: Some(percent), ..v2::MetricValueStatus::default() };
    v2::MetricStatus {
        type_: "Resource".to_owned(),
        resource: Some(v2::ResourceMetricStatus { name: "cpu".to_owned(), current }),
        ..v2::MetricStatus::default()
    }
}

/// The first such, and all the others.
fn first<T>(mut all: Vec<T>, is_it: impl Fn(&T) -> bool) -> (Option<T>, Vec<T>) {
    let at = all.iter().position(is_it);
    (at.map(|at| all.remove(at)), all)
}

fn put<T: Serialize>(metadata: &mut ObjectMeta, name: &str, values: &[T]) {
    // a behaviour is one, the others are lists
    let text = match values {
        [] => return,
        [one] if name == BEHAVIOR => serde_json::to_string(one),
        all => serde_json::to_string(all),
    };
    if let Ok(text) = text {
        metadata.annotations.get_or_insert_default().insert(name.to_owned(), text);
    }
}

/// What can not be read is left out, as upstream does.
fn take<T: DeserializeOwned>(metadata: &mut ObjectMeta, name: &str) -> Vec<T> {
    let Some(annotations) = metadata.annotations.as_mut() else { return Vec::new() };
    let text = annotations.remove(name).unwrap_or_default();
    if annotations.is_empty() {
        metadata.annotations = None;
    }
    let one = || serde_json::from_str::<T>(&text).map(|one| vec![one]);
    if name == BEHAVIOR { one() } else { serde_json::from_str(&text) }.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_faces_tell_the_same() {
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}});
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}});
        let stored = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h", "annotations": {"mine": "x"}},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 5,
                "metrics": [cpu, memory], "behavior": {"scaleUp": {"stabilizationWindowSeconds": 9}},
            },
            "status": {
                "currentReplicas": 2, "desiredReplicas": 3,
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 55}}}],
                "conditions": [{"type": "AbleToScale", "status": "True"}],
            },
        });
        let bytes = Bytes::from(stored.to_string());
        let face = autoscaling_v1();
        let shown: serde_json::Value = serde_json::from_slice(&face.present(&bytes)).unwrap();
        assert_eq!(shown["apiVersion"], "autoscaling/v1");
        assert_eq!(shown["spec"]["targetCPUUtilizationPercentage"], 70);
        assert_eq!(shown["status"]["currentCPUUtilizationPercentage"], 55);
        let back = face.decode(shown.to_string().as_bytes(), FieldValidation::Strict).unwrap().instance;
        let back = back.downcast_ref::<v2::HorizontalPodAutoscaler>().unwrap();
        assert_eq!(serde_json::to_value(back).unwrap(), stored);
    }
}
