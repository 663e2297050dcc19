//! Metrics that others serve: `custom.metrics.k8s.io` of pods and objects, `external.metrics.k8s.io` of everything else. An adapter
//! (of Prometheus, KEDA, …) registers them by an APIService, and is asked as any client of the API would ask.

use super::replicas::{Metrics, PodMetric};
use crate::percent::encode;
use api::quantity::Quantity;
use api::{Gvk, ObjectKey};
use cluster::Client;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    ExternalMetricSource, MetricIdentifier, MetricSpec, ObjectMetricSource, PodsMetricSource,
};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde::Deserialize;
use std::time::Duration;

pub(super) const CUSTOM: &str = "custom.metrics.k8s.io";
pub(super) const EXTERNAL: &str = "external.metrics.k8s.io";
/// Those that are understood, the newest first.
const CUSTOM_VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];
const EXTERNAL_VERSIONS: [&str; 1] = ["v1beta1"];
/// Of a metric that does not say over which time it was measured; upstream's.
const WINDOW: Duration = Duration::from_secs(60);

/// What an adapter says.
#[derive(Debug)]
pub(super) enum Foreign {
    Pods(Metrics),
    /// In thousandths: of one object, or the sum of all that an external metric has.
    Value(i64),
}

/// Of one metric of an autoscaler; `None` where it is one of the resources, which nobody else measures.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    pods: &str,
    spec: &MetricSpec,
) -> Option<Result<Foreign, String>> {
    let adapters = Adapters { client, namespace };
    match spec {
        MetricSpec { pods: Some(of), .. } => Some(adapters.of_pods(of, pods).await),
        MetricSpec { object: Some(of), .. } => Some(adapters.of_object(of).await),
        MetricSpec { external: Some(of), .. } => Some(adapters.external(of).await),
        _ => None,
    }
}

struct Adapters<'a> {
    client: &'a Client,
    namespace: &'a str,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<Value>,
}

/// Of either group.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    #[serde(default)]
    described_object: Described,
    #[serde(default)]
    value: String,
    timestamp: Option<Timestamp>,
    window_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Described {
    #[serde(default)]
    name: String,
}

impl Adapters<'_> {
    async fn of_pods(&self, of: &PodsMetricSource, pods: &str) -> Result<Foreign, String> {
        let metric = &of.metric;
        let path = format!("namespaces/{}/pods/*/{}", encode(self.namespace), encode(&metric.name));
        let query = [("labelSelector", pods.to_owned()), ("metricLabelSelector", selector(metric)?)];
        let items = self.custom(metric, &path, &query).await?;
        let metrics = items.into_iter().map(|item| {
            let window = item.window_seconds.map_or(WINDOW, Duration::from_secs);
            let end = item.timestamp.unwrap_or_default();
            Ok((item.described_object.name.clone(), PodMetric { value: item.milli()?, end, window }))
        });
        Ok(Foreign::Pods(metrics.collect::<Result<_, String>>()?))
    }

    async fn of_object(&self, of: &ObjectMetricSource) -> Result<Foreign, String> {
        let (metric, object) = (&of.metric, &of.described_object);
        let failed = |why: String| format!("unable to get metric {}: {why}", metric.name);
        let gvk = Gvk::parse(object.api_version.as_deref().unwrap_or("v1"), &object.kind);
        let version = self.client.cluster().registry().by_gvk(&gvk);
        let version = version.ok_or_else(|| {
            failed(format!("no matches for kind {:?} in group {:?}", object.kind, gvk.group))
        })?;
        let resource = match version.info().gvr.group.as_ref() {
            "" => version.info().gvr.resource.to_string(),
            group => format!("{}.{group}", version.info().gvr.resource),
        };
        let path = path_of(self.namespace, &resource, &object.name, &metric.name);
        let items = self.custom(metric, &path, &[("metricLabelSelector", selector(metric)?)]).await?;
        let first = items.first().ok_or_else(|| failed("the server returned no metrics".to_owned()))?;
        Ok(Foreign::Value(first.milli()?))
    }

    async fn external(&self, of: &ExternalMetricSource) -> Result<Foreign, String> {
        let metric = &of.metric;
        let path = format!("namespaces/{}/{}", encode(self.namespace), encode(&metric.name));
        let labels = selector(metric)?;
        let failed = |why: String| {
            let Self { namespace, .. } = self;
            format!(
                "unable to get external metric {namespace}/{}/{labels}: unable to fetch metrics from external metrics API: {why}",
                metric.name
            )
        };
        let items =
            self.list(EXTERNAL, &EXTERNAL_VERSIONS, &path, &[("labelSelector", labels.clone())]).await;
        let items = items.map_err(failed)?;
        if items.is_empty() {
            return Err(failed("the server returned no metrics".to_owned()));
        }
        let sum = items.iter().map(Value::milli).try_fold(0i64, |sum, value| Ok(sum.saturating_add(value?)));
        sum.map(Foreign::Value)
    }

    async fn custom(
        &self,
        metric: &MetricIdentifier,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<Value>, String> {
        self.list(CUSTOM, &CUSTOM_VERSIONS, path, query).await.map_err(|why| {
            format!(
                "unable to get metric {}: unable to fetch metrics from custom metrics API: {why}",
                metric.name
            )
        })
    }

    async fn list(
        &self,
        group: &str,
        versions: &[&str],
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<Value>, String> {
        let registered = self.client.cluster().informer::<APIService>();
        let is_there =
            |version: &&&str| registered.get(&ObjectKey::cluster(&format!("{version}.{group}"))).is_some();
        let version = versions.iter().find(is_there);
        let version = version.ok_or_else(|| match group {
            // client-go's words for one that discovery does not have; others it asks without looking
            CUSTOM => format!("no custom metrics API ({group}) registered"),
            _ => "the server could not find the requested resource".to_owned(),
        })?;
        let query: Vec<String> = query
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}={}", encode(value)))
            .collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let (cluster, actor) = (self.client.cluster(), self.client.actor());
        let body = cluster.get_aggregated(actor, group, version, &format!("{path}{query}")).await;
        let body = body.map_err(|status| status.message)?;
        let list: List = serde_json::from_slice(&body).map_err(|why| why.to_string())?;
        Ok(list.items)
    }
}

impl Value {
    fn milli(&self) -> Result<i64, String> {
        let value: Quantity = self.value.parse().map_err(|_| format!("{:?} is no quantity", self.value))?;
        Ok(value.milli())
    }
}

/// A namespace's own metrics are not those of something in it. They are the autoscaler's namespace's, whatever name it gives: it reads
/// those of no other, as upstream has it.
fn path_of(namespace: &str, resource: &str, name: &str, metric: &str) -> String {
    let (namespace, metric) = (encode(namespace), encode(metric));
    match resource {
        "namespaces" => format!("namespaces/{namespace}/metrics/{metric}"),
        _ => format!("namespaces/{namespace}/{resource}/{}/{metric}", encode(name)),
    }
}

fn selector(metric: &MetricIdentifier) -> Result<String, String> {
    let Some(given) = &metric.selector else { return Ok(String::new()) };
    kinds::selectors::from_object(given).map(|selector| selector.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_autoscaler_reads_its_own_namespace() {
        for (resource, name, want) in [
            ("services", "web", "namespaces/shop/services/web/hits"),
            ("ingresses.networking.k8s.io", "a/b", "namespaces/shop/ingresses.networking.k8s.io/a%2Fb/hits"),
            ("namespaces", "shop", "namespaces/shop/metrics/hits"),
            ("namespaces", "other", "namespaces/shop/metrics/hits"),
        ] {
            assert_eq!(path_of("shop", resource, name, "hits"), want, "{resource} {name}");
        }
    }
}
