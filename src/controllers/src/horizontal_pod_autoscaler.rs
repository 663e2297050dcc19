//! Scales what a HorizontalPodAutoscaler names, by what its pods use.
//!
//! Each autoscaler is looked at every fifteen seconds, for as long as there is one: without any there is no timer, and nothing
//! is measured. What is decided is pure: `replicas.rs` says how many pods a metric asks for, `behavior.rs` how fast.

mod adapters;
mod behavior;
mod computing;
mod conditions;
mod entries;
mod metrics;
mod replicas;

use crate::scale::{self, ScaleRef};
use crate::status::write_status;
use adapters::{CUSTOM, EXTERNAL};
use api::{ObjectKey, Status};
use behavior::{Bounds, History};
use cluster::roles::{ALL, ComponentRole, READ, events, rule};
use cluster::{Actor, Client, Cluster, Controller, METRICS_GROUP, Recorder, WorkQueue};
use conditions::{ABLE, ACTIVE, AT_ZERO, Conditions, LIMITED};
use entries::{Entries, PERIOD};
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus, MetricStatus,
};
use kinds::whole_second;
use tokio_util::sync::CancellationToken;

const NAME: &str = "horizontal-pod-autoscaler";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, &["autoscaling"], &["horizontalpodautoscalers"]),
            rule(&["patch", "update"], &["autoscaling"], &["horizontalpodautoscalers/status"]),
            rule(&["get", "update"], ALL, &["*/scale"]),
            rule(&["list"], &[""], &["pods"]),
            rule(&["list"], &[METRICS_GROUP], &["pods"]),
            rule(&["get", "list"], &[CUSTOM, EXTERNAL], &["*"]),
            events(),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let entries = Entries::default();
    let noted = entries.clone();
    let controller = Controller::new(NAME, &cluster)
        .watches::<HorizontalPodAutoscaler>(move |queue, change| noted.note(change, queue));
    let queue = controller.queue();
    let autoscalers = Autoscalers { events: client.recorder(NAME, None), client, entries, queue };
    controller
        .run(stop, autoscalers, |autoscalers, key| async move { autoscalers.reconcile(&key).await })
        .await;
}

#[derive(Clone)]
struct Autoscalers {
    client: Client,
    events: Recorder,
    entries: Entries,
    queue: WorkQueue<ObjectKey>,
}

/// What an evaluation changes in the status.
struct Outcome {
    current: i32,
    desired: i32,
    statuses: Vec<MetricStatus>,
    scaled: bool,
}

impl Autoscalers {
    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(mut history) = self.entries.begin(key) else { return Ok(()) };
        // first of all: whatever fails now is tried at the next period, and no sooner
        self.queue.add_after(key.clone(), PERIOD);
        let autoscalers = self.client.api::<HorizontalPodAutoscaler>();
        let cached = self.client.cluster().informer::<HorizontalPodAutoscaler>().get(key);
        let Some(autoscaler) = cached else { return Ok(()) };
        let now = Timestamp::now();
        let mut conditions = Conditions::of(&autoscaler, now);
        let outcome = self.evaluate(&autoscaler, &mut history, &mut conditions, now).await;
        self.entries.keep(key, &autoscaler, history);
        let before = autoscaler.status.clone().unwrap_or_default();
        let status = HorizontalPodAutoscalerStatus {
            observed_generation: autoscaler.metadata.generation,
            current_replicas: outcome.as_ref().map_or(before.current_replicas, |o| Some(o.current)),
            desired_replicas: outcome.as_ref().map_or(before.desired_replicas, |o| o.desired),
            current_metrics: match &outcome {
                Some(outcome) => (!outcome.statuses.is_empty()).then(|| outcome.statuses.clone()),
                None => before.current_metrics.clone(),
            },
            last_scale_time: match &outcome {
                Some(outcome) if outcome.scaled => Some(whole_second(now)),
                _ => before.last_scale_time.clone(),
            },
            conditions: Some(conditions.into_list()),
        };
        write_status(&autoscalers, &autoscaler.metadata, autoscaler.status.as_ref(), status, |known| {
            &mut known.status
        })
        .await
    }

    /// `None` where even the scale is not known.
    async fn evaluate(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        history: &mut History,
        conditions: &mut Conditions,
        now: Timestamp,
    ) -> Option<Outcome> {
        let spec = &autoscaler.spec;
        let target = &spec.scale_target_ref;
        let of = ScaleRef {
            namespace: autoscaler.metadata.namespace.as_deref().unwrap_or_default(),
            api_version: target.api_version.as_deref().unwrap_or("v1"),
            kind: &target.kind,
            name: &target.name,
        };
        let scale = self.scale_of(autoscaler, of, conditions).await?;
        let current = scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
        let there = scale.status.as_ref().map_or(current, |status| status.replicas);
        history.begin(current, now);
        let bounds = Bounds { fewest: spec.min_replicas.unwrap_or(1), most: spec.max_replicas };
        let stays = |desired: i32, statuses| Outcome { current: there, desired, statuses, scaled: false };
        let from_zero = measures_without_pods(autoscaler);
        if current == 0 && !may_begin_again(conditions.is_true(AT_ZERO), bounds.fewest, from_zero) {
            let why = "scaling is disabled since the replica count of the target is zero";
            conditions.set(ACTIVE, false, "ScalingDisabled", why);
            return Some(stays(0, Vec::new()));
        }
        let (desired, reason, statuses) = if current > bounds.most {
            (bounds.most, "Current number of replicas above Spec.MaxReplicas".to_owned(), Vec::new())
        } else if current < bounds.fewest {
            (bounds.fewest, "Current number of replicas below Spec.MinReplicas".to_owned(), Vec::new())
        } else {
            let computed = match self.compute(autoscaler, &scale, current, conditions, now).await {
                Ok(computed) => computed,
                Err((why, statuses)) => {
                    self.events.warning(autoscaler, "FailedComputeMetricsReplicas", why);
                    let before = autoscaler.status.as_ref().map_or(0, |status| status.desired_replicas);
                    return Some(stays(before, statuses));
                }
            };
            let rules = spec.behavior.as_ref();
            let normalized = history.normalize(current, computed.replicas, bounds, rules, now);
            conditions.set(ABLE, true, normalized.able.0, normalized.able.1);
            let (limited, why) = normalized.limited;
            conditions.set(LIMITED, limited, why.0, why.1);
            let reason = match computed.replicas < current {
                true => "All metrics below target".to_owned(),
                false => format!("{} above target", computed.metric),
            };
            (normalized.replicas, reason, computed.statuses)
        };
        if desired == current {
            return Some(stays(current, statuses));
        }
        if !self.rescale(autoscaler, of, desired, &reason, conditions).await {
            let before = autoscaler.status.as_ref().map_or(0, |status| status.desired_replicas);
            return Some(stays(before, statuses));
        }
        match current > 0 && desired == 0 && bounds.fewest == 0 && from_zero {
            true => {
                conditions.set(AT_ZERO, true, AT_ZERO, "the HPA controller scaled the workload to zero");
            }
            false => {
                let why = "the HPA controller did not scale the workload to zero";
                conditions.set(AT_ZERO, false, "NotScaledToZero", why);
            }
        }
        self.events.normal(autoscaler, "SuccessfulRescale", format!("New size: {desired}; reason: {reason}"));
        history.scaled(current, desired, now);
        Some(Outcome { current: there, desired, statuses, scaled: true })
    }

    /// `None` where it is not known, which is told.
    async fn scale_of(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        of: ScaleRef<'_>,
        conditions: &mut Conditions,
    ) -> Option<Scale> {
        match scale::read(&self.client, of).await {
            Ok(scale) => {
                let why = "the HPA controller was able to get the target's current scale";
                conditions.set(ABLE, true, "SucceededGetScale", why);
                Some(scale)
            }
            Err(status) => {
                self.events.warning(autoscaler, "FailedGetScale", status.message.as_str());
                let why = format!(
                    "the HPA controller was unable to get the target's current scale: {}",
                    status.message
                );
                conditions.set(ABLE, false, "FailedGetScale", why);
                None
            }
        }
    }

    /// Says whether the target took it.
    async fn rescale(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        of: ScaleRef<'_>,
        desired: i32,
        reason: &str,
        conditions: &mut Conditions,
    ) -> bool {
        let Err(status) = scale::write(&self.client, of, desired).await else {
            let why = format!("the HPA controller was able to update the target scale to {desired}");
            conditions.set(ABLE, true, "SucceededRescale", why);
            return true;
        };
        let why = format!("New size: {desired}; reason: {reason}; error: {}", status.message);
        self.events.warning(autoscaler, "FailedRescale", why);
        let why = format!("the HPA controller was unable to update the target scale: {}", status.message);
        conditions.set(ABLE, false, "FailedUpdateScale", why);
        false
    }
}

/// From zero pods: somebody who wants none has no wish for an autoscaler to give him some.
fn may_begin_again(is_autoscalers_doing: bool, fewest: i32, from_zero: bool) -> bool {
    is_autoscalers_doing && (fewest != 0 || from_zero)
}

/// Whether there is a metric that is not of the pods: only such a one says when the first is wanted again.
fn measures_without_pods(autoscaler: &HorizontalPodAutoscaler) -> bool {
    autoscaler
        .spec
        .metrics
        .iter()
        .flatten()
        .any(|metric| matches!(metric.type_.as_str(), "External" | "Object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_autoscaler_took_to_zero_begins_again() {
        // (name, whether it did, fewest, a metric without pods, want)
        let cases = [
            ("somebody else took the last pod", false, 0, true, false),
            ("and wants at least one", false, 1, true, false),
            ("the autoscaler did", true, 0, true, true),
            ("the metric is gone", true, 0, false, false),
            ("none is not allowed any more", true, 1, false, true),
        ];
        for (name, did, fewest, from_zero, want) in cases {
            assert_eq!(may_begin_again(did, fewest, from_zero), want, "{name}");
        }
    }
}
