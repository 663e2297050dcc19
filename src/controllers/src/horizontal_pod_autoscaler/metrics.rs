//! What one metric of an autoscaler asks for, of what is measured now.

use super::adapters::Foreign;
use super::replicas::{
    Measured, Metrics, PodMetric, Proposal, Target, Tolerance, by_average, by_ratio, replicas,
};
use api::quantity::{Quantity, canonical};
use cluster::{Client, ListParams, PodUsage, Usage};
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, ExternalMetricStatus, HPAScalingRules, HorizontalPodAutoscalerBehavior,
    MetricSpec, MetricStatus, MetricTarget, MetricValueStatus, ObjectMetricStatus, PodsMetricStatus,
    ResourceMetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use std::sync::Arc;

/// The pods, and what they use.
pub(super) struct Source {
    pods: Vec<Arc<Pod>>,
    usage: Result<Vec<PodUsage>, String>,
}

pub(super) struct Proposed {
    pub replicas: i32,
    pub name: String,
    pub status: MetricStatus,
}

/// Reason of an event and a condition, and the words.
#[derive(Debug)]
pub(super) struct Failed {
    pub reason: &'static str,
    pub why: String,
}

/// How far from the target nothing is done, where the rules say it (KEP-4951).
pub(super) fn tolerance(behavior: Option<&HorizontalPodAutoscalerBehavior>) -> Tolerance {
    let of = |rules: Option<&HPAScalingRules>| {
        let given = rules.and_then(|rules| rules.tolerance.as_ref());
        given.and_then(|given| given.0.parse::<Quantity>().ok()).map(|given| given.milli() as f64 / 1000.0)
    };
    let default = Tolerance::default();
    Tolerance {
        up: of(behavior.and_then(|b| b.scale_up.as_ref())).unwrap_or(default.up),
        down: of(behavior.and_then(|b| b.scale_down.as_ref())).unwrap_or(default.down),
    }
}

impl Source {
    pub(super) async fn read(client: &Client, namespace: Option<&str>, pods: Vec<Arc<Pod>>) -> Self {
        let all = ListParams::default();
        let usage = client.cluster().pod_metrics(client.actor(), namespace, None, &all).await;
        let is_one_of = |used: &PodUsage| pods.iter().any(|pod| pod.metadata.uid.as_ref() == Some(&used.uid));
        let usage = usage.map_err(|status| status.message).and_then(|mut usage| {
            usage.retain(is_one_of);
            match usage.is_empty() {
                true => Err("no metrics returned from resource metrics API".to_owned()),
                false => Ok(usage),
            }
        });
        Source { pods, usage }
    }

    pub(super) fn proposal(
        &self,
        spec: &MetricSpec,
        foreign: Option<Result<Foreign, String>>,
        current: i32,
        tolerance: Tolerance,
        now: Timestamp,
    ) -> Result<Proposed, Failed> {
        if let Some(of) = &spec.resource {
            let measured = Measured { resource: &of.name, container: None };
            let (name, proposal) = self
                .of_resource(measured, &of.target, current, tolerance, now)
                .map_err(|why| Failed { reason: "FailedGetResourceMetric", why })?;
            let status = ResourceMetricStatus { name: of.name.clone(), current: value(&of.name, &proposal) };
            let status =
                MetricStatus { type_: spec.type_.clone(), resource: Some(status), ..MetricStatus::default() };
            return Ok(Proposed { replicas: proposal.replicas, name, status });
        }
        if let Some(of) = &spec.container_resource {
            let measured = Measured { resource: &of.name, container: Some(&of.container) };
            let (name, proposal) = self
                .of_resource(measured, &of.target, current, tolerance, now)
                .map_err(|why| Failed { reason: "FailedGetContainerResourceMetric", why })?;
            let status = ContainerResourceMetricStatus {
                name: of.name.clone(),
                container: of.container.clone(),
                current: value(&of.name, &proposal),
            };
            let status = MetricStatus {
                type_: spec.type_.clone(),
                container_resource: Some(status),
                ..MetricStatus::default()
            };
            return Ok(Proposed { replicas: proposal.replicas, name, status });
        }
        let all = MetricStatus { type_: spec.type_.clone(), ..MetricStatus::default() };
        let here = Here { pods: &self.pods, current, tolerance };
        match (spec, foreign) {
            (MetricSpec { pods: Some(of), .. }, Some(foreign)) => {
                let reason = "FailedGetPodsMetric";
                let failed =
                    |why: String| Failed { reason, why: format!("failed to get pods metric value: {why}") };
                let proposal =
                    foreign.and_then(|foreign| here.of_pods(foreign, &of.target, now)).map_err(failed)?;
                let (metric, current) = (of.metric.clone(), averaged(proposal.average));
                let pods = Some(PodsMetricStatus { metric, current });
                let name = format!("pods metric {}", of.metric.name);
                Ok(Proposed { replicas: proposal.replicas, name, status: MetricStatus { pods, ..all } })
            }
            (MetricSpec { object: Some(of), .. }, Some(foreign)) => {
                let reason = "FailedGetObjectMetric";
                let failed =
                    |why: String| Failed { reason, why: format!("failed to get object metric value: {why}") };
                let (replicas, current) =
                    foreign.and_then(|foreign| here.of_value(foreign, &of.target)).map_err(failed)?;
                let (metric, described_object) = (of.metric.clone(), of.described_object.clone());
                let object = Some(ObjectMetricStatus { metric, described_object, current });
                let name = format!("{} metric {}", of.described_object.kind, of.metric.name);
                Ok(Proposed { replicas, name, status: MetricStatus { object, ..all } })
            }
            (MetricSpec { external: Some(of), .. }, Some(foreign)) => {
                let reason = "FailedGetExternalMetric";
                let failed = |why: String| Failed {
                    reason,
                    why: format!("failed to get external metric {}: {why}", of.metric.name),
                };
                let (replicas, current) =
                    foreign.and_then(|foreign| here.of_value(foreign, &of.target)).map_err(failed)?;
                let external = Some(ExternalMetricStatus { metric: of.metric.clone(), current });
                let name = format!("external metric {}", of.metric.name);
                Ok(Proposed { replicas, name, status: MetricStatus { external, ..all } })
            }
            _ => Err(Failed {
                reason: "InvalidMetricSourceType",
                why: format!("unknown metric source type {:?}", spec.type_),
            }),
        }
    }

    fn of_resource(
        &self,
        of: Measured<'_>,
        target: &MetricTarget,
        current: i32,
        tolerance: Tolerance,
        now: Timestamp,
    ) -> Result<(String, Proposal), String> {
        let resource = of.resource;
        let average = target.average_value.as_ref().and_then(|value| value.0.parse::<Quantity>().ok());
        let (target, what, name) = match (average, target.average_utilization) {
            (Some(value), _) => {
                (Target::AverageValue(value.milli()), "usage", format!("{resource} resource"))
            }
            (None, Some(percent)) => (
                Target::Utilization(percent),
                "utilization",
                match of.container {
                    None => format!("{resource} resource utilization (percentage of request)"),
                    Some(_) => format!("{resource} container resource utilization (percentage of request)"),
                },
            ),
            (None, None) => {
                let why = "invalid resource metric source: neither an utilization target nor a value (raw) target was set";
                return Err(why.to_owned());
            }
        };
        let failed = |why: String| format!("failed to get {resource} {what}: {why}");
        let unread = |why: String| failed(format!("unable to get metrics for resource {resource}: {why}"));
        let usage = self.usage.as_ref().map_err(|why| unread(why.clone()))?;
        let metrics = metrics(usage, of).map_err(unread)?;
        let proposal = replicas(current, target, of, &self.pods, metrics, tolerance, now).map_err(failed)?;
        Ok((name, proposal))
    }
}

/// What metrics of others are compared with.
struct Here<'h> {
    pods: &'h [Arc<Pod>],
    current: i32,
    tolerance: Tolerance,
}

impl Here<'_> {
    fn of_pods(&self, foreign: Foreign, target: &MetricTarget, now: Timestamp) -> Result<Proposal, String> {
        let (Foreign::Pods(metrics), Some(average)) = (foreign, milli(target.average_value.as_ref())) else {
            return Err("invalid pods metric source: no average value target was set".to_owned());
        };
        // of no resource: nothing is known of its beginning
        let of = Measured { resource: "", container: None };
        replicas(self.current, Target::AverageValue(average), of, self.pods, metrics, self.tolerance, now)
    }

    fn of_value(&self, foreign: Foreign, target: &MetricTarget) -> Result<(i32, MetricValueStatus), String> {
        let Foreign::Value(value) = foreign else { return Err("it is of pods".to_owned()) };
        match (milli(target.value.as_ref()), milli(target.average_value.as_ref())) {
            (_, Some(average)) => {
                let (replicas, each) = by_average(self.current, value, average, self.tolerance);
                Ok((replicas, averaged(each)))
            }
            (Some(wanted), None) => {
                let replicas = by_ratio(self.current, value, wanted, self.pods, self.tolerance);
                let value = Some(amount(value));
                Ok((replicas, MetricValueStatus { value, ..MetricValueStatus::default() }))
            }
            (None, None) => Err("neither a value target nor an average value target was set".to_owned()),
        }
    }
}

fn milli(amount: Option<&Amount>) -> Option<i64> {
    Some(amount?.0.parse::<Quantity>().ok()?.milli())
}

fn averaged(milli: i64) -> MetricValueStatus {
    MetricValueStatus { average_value: Some(amount(milli)), ..MetricValueStatus::default() }
}

fn amount(milli: i64) -> Amount {
    let text = format!("{milli}m");
    Amount(canonical(&text).unwrap_or(text))
}

fn metrics(usage: &[PodUsage], of: Measured<'_>) -> Result<Metrics, String> {
    let amount = |used: &Usage| match of.resource {
        "cpu" => Some(i64::try_from(used.cpu_nanocores.div_ceil(1_000_000)).unwrap_or(i64::MAX)),
        "memory" => Some(i64::try_from(used.memory.saturating_mul(1000)).unwrap_or(i64::MAX)),
        _ => None,
    };
    let mut metrics = Metrics::new();
    for pod in usage {
        let value = match of.container {
            None => pod.containers.values().map(amount).sum::<Option<i64>>(),
            Some(name) => {
                let used = pod.containers.get(name);
                let missing = || {
                    let (namespace, pod) = (pod.pod.namespace.as_deref().unwrap_or_default(), &pod.pod.name);
                    format!("container {name} not present in metrics for pod {namespace}/{pod}")
                };
                amount(used.ok_or_else(missing)?)
            }
        };
        if let Some(value) = value {
            let metric = PodMetric { value, end: pod.window.end, window: pod.window.length };
            metrics.insert(pod.pod.name.to_string(), metric);
        }
    }
    match metrics.is_empty() {
        true => Err("no metrics returned from resource metrics API".to_owned()),
        false => Ok(metrics),
    }
}

fn value(resource: &str, proposal: &Proposal) -> MetricValueStatus {
    let text = match resource {
        "memory" => format!("{}", proposal.average / 1000),
        _ => format!("{}m", proposal.average),
    };
    MetricValueStatus {
        average_utilization: proposal.utilization,
        average_value: Some(Amount(canonical(&text).unwrap_or(text))),
        value: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// With two pods that are ready.
    fn proposal(spec: Value, foreign: Result<Foreign, String>) -> Result<Proposed, Failed> {
        let pod = |name: &str| -> Arc<Pod> {
            let ready = json!({"type": "Ready", "status": "True"});
            let status = json!({"phase": "Running", "conditions": [ready]});
            serde_json::from_value(json!({"metadata": {"name": name}, "status": status}))
                .map(Arc::new)
                .unwrap()
        };
        let source = Source { pods: vec![pod("a"), pod("b")], usage: Err("nobody asked".to_owned()) };
        let spec: MetricSpec = serde_json::from_value(spec).unwrap();
        source.proposal(&spec, Some(foreign), 2, Tolerance::default(), Timestamp::UNIX_EPOCH)
    }

    fn of_pods(target: &Value) -> Value {
        json!({"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": target}})
    }

    fn of_object(target: &Value) -> Value {
        let object = json!({"kind": "Service", "name": "web"});
        json!({"type": "Object", "object": {"metric": {"name": "hits"}, "describedObject": object, "target": target}})
    }

    fn external(target: &Value) -> Value {
        json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": target}})
    }

    #[test]
    fn metrics_of_others_ask_for_pods_and_are_shown() {
        let average = |of: &str| json!({"type": "AverageValue", "averageValue": of});
        let value = |of: &str| json!({"type": "Value", "value": of});
        let each = |milli: [i64; 2]| {
            let metric =
                |value| PodMetric { value, end: Timestamp::UNIX_EPOCH, window: std::time::Duration::ZERO };
            Foreign::Pods(["a", "b"].map(str::to_owned).into_iter().zip(milli.map(metric)).collect())
        };
        // (spec, what the adapter says, pods, name, what is shown)
        let cases = [
            (
                of_pods(&average("10")),
                each([20_000, 20_000]),
                4,
                "pods metric hits",
                json!({"averageValue": "20"}),
            ),
            (
                of_pods(&average("10")),
                each([10_500, 10_300]),
                2,
                "pods metric hits",
                json!({"averageValue": "10400m"}),
            ),
            (of_object(&value("2")), Foreign::Value(6000), 6, "Service metric hits", json!({"value": "6"})),
            (
                of_object(&average("2")),
                Foreign::Value(6000),
                3,
                "Service metric hits",
                json!({"averageValue": "3"}),
            ),
            (external(&value("10")), Foreign::Value(5000), 1, "external metric queue", json!({"value": "5"})),
            (
                external(&average("10")),
                Foreign::Value(30_000),
                3,
                "external metric queue",
                json!({"averageValue": "15"}),
            ),
        ];
        for (spec, foreign, replicas, name, shown) in cases {
            let got = proposal(spec.clone(), Ok(foreign)).unwrap();
            assert_eq!((got.replicas, got.name.as_str()), (replicas, name), "{spec}");
            let status = serde_json::to_value(&got.status).unwrap();
            let kind = spec["type"].as_str().unwrap().to_lowercase();
            assert_eq!((&status["type"], &status[&kind]["current"]), (&spec["type"], &shown), "{spec}");
            assert_eq!(status[&kind]["metric"], spec[&kind]["metric"], "{spec}");
        }
    }

    #[test]
    fn what_an_adapter_does_not_say_is_told_by_its_kind() {
        let target = json!({"type": "AverageValue", "averageValue": "1"});
        for (spec, reason, why) in [
            (of_pods(&target), "FailedGetPodsMetric", "failed to get pods metric value: it is away"),
            (of_object(&target), "FailedGetObjectMetric", "failed to get object metric value: it is away"),
            (external(&target), "FailedGetExternalMetric", "failed to get external metric queue: it is away"),
        ] {
            let failed = proposal(spec, Err("it is away".to_owned())).err().unwrap();
            assert_eq!((failed.reason, failed.why.as_str()), (reason, why));
        }
    }
}
