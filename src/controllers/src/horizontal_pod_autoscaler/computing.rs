//! What the metrics of an autoscaler come to.

use super::conditions::{ACTIVE, Conditions};
use super::metrics::{self, Failed, Source};
use super::{Autoscalers, adapters};
use api::LabelSelector;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricStatus};
use k8s_openapi::api::core::v1::Pod;
use kinds::key_of;
use std::sync::Arc;

/// Metrics of one autoscaler that could not be read and are told of, each time.
const TOLD: usize = 10;

/// What the metrics came to.
pub(super) struct Computed {
    pub(super) replicas: i32,
    pub(super) metric: String,
    pub(super) statuses: Vec<MetricStatus>,
}

impl Autoscalers {
    /// The most that any metric asks for. Where one could not be read, nothing is taken away.
    pub(super) async fn compute(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        scale: &Scale,
        current: i32,
        conditions: &mut Conditions,
        now: Timestamp,
    ) -> Result<Computed, (String, Vec<MetricStatus>)> {
        let (selector, pods) =
            self.selected(autoscaler, scale, conditions).map_err(|why| (why, Vec::new()))?;
        let namespace = autoscaler.metadata.namespace.as_deref();
        let tolerance = metrics::tolerance(autoscaler.spec.behavior.as_ref());
        let source = Source::read(&self.client, namespace, pods).await;
        let specs = autoscaler.spec.metrics.as_deref().unwrap_or_default();
        let mut best: Option<(i32, String)> = None;
        let (mut statuses, mut failures) = (Vec::new(), Vec::<Failed>::new());
        let at = namespace.unwrap_or_default();
        let selected = selector.to_string();
        for spec in specs {
            // there may be ten thousand
            tokio::task::yield_now().await;
            let foreign = adapters::read(&self.client, at, &selected, spec).await;
            match source.proposal(spec, foreign, current, tolerance, now) {
                Ok(proposed) => {
                    statuses.push(proposed.status);
                    if best.as_ref().is_none_or(|(replicas, _)| proposed.replicas > *replicas) {
                        best = Some((proposed.replicas, proposed.name));
                    }
                }
                Err(failed) => {
                    if failures.len() < TOLD {
                        self.events.warning(autoscaler, failed.reason, failed.why.as_str());
                    }
                    statuses.push(MetricStatus::default());
                    failures.push(failed);
                }
            }
        }
        let lowers = best.as_ref().is_none_or(|(replicas, _)| *replicas < current);
        if let Some(first) = failures.first().filter(|_| lowers) {
            let why = format!("the HPA was unable to compute the replica count: {}", first.why);
            conditions.set(ACTIVE, false, first.reason, why);
            let why = format!(
                "invalid metrics ({} invalid out of {}), first error is: {}",
                failures.len(),
                specs.len(),
                first.why
            );
            return Err((why, statuses));
        }
        let (replicas, metric) = best.unwrap_or((current, String::new()));
        let why = format!("the HPA was able to successfully calculate a replica count from {metric}");
        conditions.set(ACTIVE, true, "ValidMetricFound", why);
        Ok(Computed { replicas, metric, statuses })
    }

    /// The pods of the target, and the selector that finds them.
    ///
    /// # Errors
    /// Why they are not known, or not this autoscaler's alone.
    fn selected(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        scale: &Scale,
        conditions: &mut Conditions,
    ) -> Result<(LabelSelector, Vec<Arc<Pod>>), String> {
        let written = scale.status.as_ref().and_then(|status| status.selector.as_deref()).unwrap_or_default();
        if written.is_empty() {
            let why = "selector is required";
            self.events.warning(autoscaler, "SelectorRequired", why);
            let missing = "the HPA target's scale is missing a selector";
            conditions.set(ACTIVE, false, "InvalidSelector", missing);
            return Err(why.to_owned());
        }
        let selector = LabelSelector::parse(written).map_err(|error| {
            let why =
                format!("couldn't convert selector into a corresponding internal selector object: {error}");
            self.events.warning(autoscaler, "InvalidSelector", why.as_str());
            conditions.set(ACTIVE, false, "InvalidSelector", why.as_str());
            why
        })?;
        let namespace = autoscaler.metadata.namespace.as_deref();
        let pods = self.client.cluster().informer::<Pod>().select(namespace, &selector);
        let selecting = self.entries.selecting(&key_of(&autoscaler.metadata), &pods);
        if selecting.len() > 1 {
            let each: Vec<String> = selecting.iter().map(ToString::to_string).collect();
            let why =
                format!("pods by selector {written} are controlled by multiple HPAs: [{}]", each.join(" "));
            self.events.warning(autoscaler, "AmbiguousSelector", why.as_str());
            conditions.set(ACTIVE, false, "AmbiguousSelector", why.as_str());
            return Err(why);
        }
        Ok((selector, pods))
    }
}
