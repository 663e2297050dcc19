//! Scales what a HorizontalPodAutoscaler names, by what its pods use.
//!
//! Each autoscaler is looked at every fifteen seconds, for as long as there is one: without any there is no timer, and nothing
//! is measured. What is decided is pure: `replicas.rs` says how many pods a metric asks for, `behavior.rs` how fast.

mod adapters;
mod behavior;
mod conditions;
mod metrics;
mod replicas;

use crate::scale::{self, ScaleRef};
use crate::status::write_status;
use adapters::{CUSTOM, EXTERNAL};
use api::{LabelSelector, ObjectKey, Status};
use behavior::{Bounds, History};
use cluster::roles::{ALL, ComponentRole, READ, events, rule};
use cluster::{Actor, Change, Client, Cluster, Controller, METRICS_GROUP, Recorder, WorkQueue};
use conditions::{ABLE, ACTIVE, AT_ZERO, Conditions, LIMITED};
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus, MetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use kinds::{key_of, whole_second};
use metrics::{Failed, Source};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const NAME: &str = "horizontal-pod-autoscaler";
/// The controller manager's `--horizontal-pod-autoscaler-sync-period`.
const PERIOD: Duration = Duration::from_secs(15);
/// Autoscalers that have the same pods and are named.
const NAMED: usize = 100;
/// Metrics of one autoscaler that could not be read and are told of, each time.
const TOLD: usize = 10;

/// When an autoscaler is due, and what is remembered of it.
struct Entry {
    uid: Option<String>,
    due: Instant,
    history: History,
    /// Its target's, when they were last looked for, by uid.
    pods: Vec<String>,
}

/// Of each autoscaler that there is.
#[derive(Clone, Default)]
struct Entries(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    entries: BTreeMap<ObjectKey, Entry>,
    /// By a pod's uid: a namespace may have thousands of autoscalers, and none looks through all others.
    of_pod: HashMap<String, BTreeSet<ObjectKey>>,
}

impl Known {
    fn forget(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.release(key, &entry.pods);
        }
    }

    fn release(&mut self, key: &ObjectKey, pods: &[String]) {
        for uid in pods {
            if let Some(autoscalers) = self.of_pod.get_mut(uid) {
                autoscalers.remove(key);
                if autoscalers.is_empty() {
                    self.of_pod.remove(uid);
                }
            }
        }
    }
}

impl Entries {
    /// A new wish is looked at at once; a status that was written is none.
    fn note(&self, change: &Change<HorizontalPodAutoscaler>, queue: &WorkQueue<ObjectKey>) {
        let meta = &change.object().metadata;
        let (key, mut known) = (key_of(meta), self.locked());
        let wishes = match change {
            Change::Deleted(_) => return known.forget(&key),
            Change::Added(_) => true,
            Change::Modified { old, new } => old.spec != new.spec || old.metadata.uid != new.metadata.uid,
        };
        if known.entries.get(&key).is_some_and(|entry| entry.uid != meta.uid) {
            known.forget(&key);
        }
        let entry = known.entries.entry(key.clone()).or_insert_with(|| Entry {
            uid: meta.uid.clone(),
            due: Instant::now(),
            history: History::default(),
            pods: Vec::new(),
        });
        if wishes {
            entry.due = Instant::now();
            queue.add(key);
        }
    }

    /// The history of one that is due, which is not due again for a period. A key may come sooner: it was woken between.
    fn begin(&self, key: &ObjectKey) -> Option<History> {
        let (mut known, now) = (self.locked(), Instant::now());
        let entry = known.entries.get_mut(key).filter(|entry| entry.due <= now)?;
        entry.due = now + PERIOD;
        Some(std::mem::take(&mut entry.history))
    }

    fn keep(&self, key: &ObjectKey, autoscaler: &HorizontalPodAutoscaler, history: History) {
        let mut known = self.locked();
        let entry = known.entries.get_mut(key).filter(|entry| entry.uid == autoscaler.metadata.uid);
        if let Some(entry) = entry {
            entry.history = history;
        }
    }

    /// Those that have any of the pods, which its selector finds; the names are in order, and no more than somebody reads.
    fn selecting(&self, key: &ObjectKey, pods: &[Arc<Pod>]) -> Vec<ObjectKey> {
        let uids: Vec<String> = pods.iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
        let mut known = self.locked();
        let Some(entry) = known.entries.get_mut(key) else { return Vec::new() };
        let before = std::mem::replace(&mut entry.pods, uids.clone());
        known.release(key, &before);
        let mut selecting = BTreeSet::new();
        for uid in uids {
            let autoscalers = known.of_pod.entry(uid).or_default();
            autoscalers.insert(key.clone());
            selecting.extend(autoscalers.iter().take(NAMED).cloned());
        }
        selecting.into_iter().take(NAMED).collect()
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.0.lock()
    }
}

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

/// What the metrics came to.
struct Computed {
    replicas: i32,
    metric: String,
    statuses: Vec<MetricStatus>,
}

/// What a look changes in the status.
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
        let outcome = self.look(&autoscaler, &mut history, &mut conditions, now).await;
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
    async fn look(
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
        let scale = match scale::read(&self.client, of).await {
            Ok(scale) => scale,
            Err(status) => {
                self.events.warning(autoscaler, "FailedGetScale", status.message.as_str());
                let why = format!(
                    "the HPA controller was unable to get the target's current scale: {}",
                    status.message
                );
                conditions.set(ABLE, false, "FailedGetScale", why);
                return None;
            }
        };
        let why = "the HPA controller was able to get the target's current scale";
        conditions.set(ABLE, true, "SucceededGetScale", why);
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
        if let Err(status) = scale::write(&self.client, of, desired).await {
            let why = format!("New size: {desired}; reason: {reason}; error: {}", status.message);
            self.events.warning(autoscaler, "FailedRescale", why);
            let why = format!("the HPA controller was unable to update the target scale: {}", status.message);
            conditions.set(ABLE, false, "FailedUpdateScale", why);
            let before = autoscaler.status.as_ref().map_or(0, |status| status.desired_replicas);
            return Some(stays(before, statuses));
        }
        let why = format!("the HPA controller was able to update the target scale to {desired}");
        conditions.set(ABLE, true, "SucceededRescale", why);
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

    /// The most that any metric asks for. Where one could not be read, nothing is taken away.
    async fn compute(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        scale: &Scale,
        current: i32,
        conditions: &mut Conditions,
        now: Timestamp,
    ) -> Result<Computed, (String, Vec<MetricStatus>)> {
        let written = scale.status.as_ref().and_then(|status| status.selector.as_deref()).unwrap_or_default();
        if written.is_empty() {
            let why = "selector is required";
            self.events.warning(autoscaler, "SelectorRequired", why);
            let missing = "the HPA target's scale is missing a selector";
            conditions.set(ACTIVE, false, "InvalidSelector", missing);
            return Err((why.to_owned(), Vec::new()));
        }
        let selector = LabelSelector::parse(written).map_err(|error| {
            let why =
                format!("couldn't convert selector into a corresponding internal selector object: {error}");
            self.events.warning(autoscaler, "InvalidSelector", why.as_str());
            conditions.set(ACTIVE, false, "InvalidSelector", why.as_str());
            (why, Vec::new())
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
            return Err((why, Vec::new()));
        }
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
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn a_status_that_was_written_is_no_new_wish() {
        let hpa = |most: i32, desired: i32| -> Arc<HorizontalPodAutoscaler> {
            serde_json::from_value(json!({
                "metadata": {"name": "h", "namespace": "d", "uid": "u"},
                "spec": {"maxReplicas": most, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
                "status": {"desiredReplicas": desired},
            }))
            .map(Arc::new)
            .unwrap()
        };
        let key = ObjectKey::namespaced("d", "h");
        let (entries, queue) = (Entries::default(), WorkQueue::new());
        entries.note(&Change::Added(hpa(3, 0)), &queue);
        assert_eq!(queue.next().await, key);
        assert!(entries.begin(&key).is_some());
        queue.done(&key);
        entries.note(&Change::Modified { old: hpa(3, 0), new: hpa(3, 1) }, &queue);
        assert!(entries.begin(&key).is_none(), "it is not due for a period");
        entries.note(&Change::Modified { old: hpa(3, 1), new: hpa(5, 1) }, &queue);
        assert_eq!(queue.next().await, key);
        assert!(entries.begin(&key).is_some());
        tokio::time::advance(PERIOD).await;
        assert!(entries.begin(&key).is_some(), "a period is over");
        entries.note(&Change::Deleted(hpa(5, 1)), &queue);
        assert!(entries.begin(&key).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn autoscalers_of_the_same_pods_are_found_by_their_pods() {
        let pod = |uid: &str| -> Arc<Pod> {
            serde_json::from_value(json!({"metadata": {"name": uid, "uid": uid}})).map(Arc::new).unwrap()
        };
        let hpa = |name: &str| -> Arc<HorizontalPodAutoscaler> {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "d", "uid": name},
                "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
            }))
            .map(Arc::new)
            .unwrap()
        };
        let key = |name: &str| ObjectKey::namespaced("d", name);
        let (entries, queue) = (Entries::default(), WorkQueue::new());
        for name in ["a", "b", "c"] {
            entries.note(&Change::Added(hpa(name)), &queue);
        }
        assert_eq!(entries.selecting(&key("a"), &[pod("1"), pod("2")]), [key("a")]);
        assert_eq!(entries.selecting(&key("b"), &[pod("2")]), [key("a"), key("b")]);
        assert_eq!(entries.selecting(&key("c"), &[pod("3")]), [key("c")]);
        assert_eq!(entries.selecting(&key("a"), &[pod("1")]), [key("a")]);
        assert_eq!(entries.selecting(&key("b"), &[pod("2")]), [key("b")]);
        for name in ["a", "b", "c"] {
            entries.note(&Change::Deleted(hpa(name)), &queue);
        }
        assert!(entries.locked().of_pod.is_empty(), "what is gone is forgotten");
        assert!(entries.selecting(&key("a"), &[pod("1")]).is_empty() && entries.locked().of_pod.is_empty());
    }

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
