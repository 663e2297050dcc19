//! What a budget's status says. Pure.

use cluster::{set_allowed_condition, set_failed_condition};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kinds::pod as ask;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A pod that was to be evicted and is still there after so long stays, as upstream's `DeletionTimeout`.
const EVICTION_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// How many pods there should be, and how many of them well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub pods: i32,
    pub healthy: i32,
}

/// Evictions that are on their way.
#[derive(Debug, Default)]
pub(super) struct Disrupted {
    pods: BTreeMap<String, Time>,
    pub overdue: Vec<Arc<Pod>>,
    pub look_again: Option<Duration>,
}

/// Whether the bound is one of those that should be there, and not of those that are.
pub(super) fn asks_for_scale(budget: &PodDisruptionBudget) -> bool {
    let Some(spec) = &budget.spec else { return false };
    spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
}

/// `count` is of the pods that should be there or, where it [`asks_for_scale`] not, that are.
pub(super) fn expected(budget: &PodDisruptionBudget, count: i32) -> Expected {
    let spec = budget.spec.clone().unwrap_or_default();
    match (spec.max_unavailable, spec.min_available) {
        (Some(most), _) => Expected { pods: count, healthy: (count - scaled(&most, count)).max(0) },
        (None, Some(least)) => Expected { pods: count, healthy: scaled(&least, count) },
        (None, None) => Expected { pods: 0, healthy: 0 },
    }
}

/// A percentage is rounded up.
fn scaled(value: &IntOrString, of: i32) -> i32 {
    match value {
        IntOrString::Int(count) => *count,
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%').and_then(|p| p.parse().ok()).unwrap_or(0);
            let part = (percent.clamp(0, 100) * i64::from(of) + 99) / 100;
            i32::try_from(part).unwrap_or(of)
        }
    }
}

pub(super) fn disrupted(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], now: Timestamp) -> Disrupted {
    let noted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    let mut disrupted = Disrupted::default();
    for (name, at) in noted.into_iter().flatten() {
        let pod = pods.iter().find(|pod| pod.metadata.name.as_ref() == Some(name));
        // one that goes already is not counted anyhow
        let Some(pod) = pod.filter(|pod| !ask::is_deleting(pod)) else { continue };
        let passed = Duration::try_from(now.duration_since(at.0)).unwrap_or_default();
        match EVICTION_TIMEOUT.checked_sub(passed).filter(|left| !left.is_zero()) {
            None => disrupted.overdue.push(pod.clone()),
            Some(left) => {
                disrupted.pods.insert(name.clone(), at.clone());
                disrupted.look_again = Some(disrupted.look_again.map_or(left, |known| known.min(left)));
            }
        }
    }
    disrupted
}

pub(super) fn status(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    expected: Result<&Expected, &String>,
    disrupted: &Disrupted,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let generation = budget.metadata.generation;
    let before = budget.status.clone().unwrap_or_default();
    let mut conditions = before.conditions.clone().unwrap_or_default();
    let expected = match expected {
        Ok(expected) => expected,
        // nobody may go while it is not known how many must stay
        Err(why) => {
            set_failed_condition(&mut conditions, why, generation, now);
            return PodDisruptionBudgetStatus {
                disruptions_allowed: Some(0),
                observed_generation: generation,
                conditions: Some(conditions),
                // one that was stored without its counts has them from now on
                current_healthy: before.current_healthy.or(Some(0)),
                desired_healthy: before.desired_healthy.or(Some(0)),
                expected_pods: before.expected_pods.or(Some(0)),
                ..before
            };
        }
    };
    let is_noted =
        |pod: &Pod| pod.metadata.name.as_ref().is_some_and(|name| disrupted.pods.contains_key(name));
    let healthy = pods.iter().filter(|pod| !ask::is_deleting(pod) && ask::is_ready(pod) && !is_noted(pod));
    let healthy = i32::try_from(healthy.count()).unwrap_or(i32::MAX);
    let allowed = if expected.pods <= 0 { 0 } else { (healthy - expected.healthy).max(0) };
    set_allowed_condition(&mut conditions, allowed > 0, generation, now);
    PodDisruptionBudgetStatus {
        current_healthy: Some(healthy),
        desired_healthy: Some(expected.healthy),
        expected_pods: Some(expected.pods),
        disruptions_allowed: Some(allowed),
        disrupted_pods: (!disrupted.pods.is_empty()).then(|| disrupted.pods.clone()),
        observed_generation: generation,
        conditions: Some(conditions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn budget(spec: Value, status: Value) -> PodDisruptionBudget {
        serde_json::from_value(
            json!({"metadata": {"name": "b", "generation": 3}, "spec": spec, "status": status}),
        )
        .unwrap()
    }

    fn pod(name: &str, ready: &str, deleting: bool) -> Arc<Pod> {
        serde_json::from_value(json!({
            "metadata": {"name": name, "deletionTimestamp": deleting.then_some("1970-01-01T00:00:09Z")},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .map(Arc::new)
        .unwrap()
    }

    #[test]
    fn how_many_must_be_well() {
        // (spec, pods, how many well)
        for (spec, pods, want) in [
            (json!({"minAvailable": 2}), 5, 2),
            (json!({"minAvailable": "50%"}), 5, 3),
            (json!({"minAvailable": "100%"}), 5, 5),
            (json!({"maxUnavailable": 1}), 5, 4),
            (json!({"maxUnavailable": "30%"}), 5, 3),
            (json!({"maxUnavailable": 9}), 5, 0),
        ] {
            assert_eq!(expected(&budget(spec.clone(), json!({})), pods).healthy, want, "{spec}");
        }
        assert!(!asks_for_scale(&budget(json!({"minAvailable": 2}), json!({}))));
        assert!(asks_for_scale(&budget(json!({"maxUnavailable": 2}), json!({}))));
    }

    #[test]
    fn only_those_that_are_well_and_stay_are_counted() {
        let now = Timestamp::from_second(200).unwrap();
        let noted = json!({"disruptedPods": {"c": "1970-01-01T00:02:00Z", "gone": "1970-01-01T00:02:00Z", "d": "1970-01-01T00:00:00Z"}});
        let budget = budget(json!({"minAvailable": 1}), noted);
        let pods = [
            pod("a", "True", false),
            pod("b", "False", false),
            pod("c", "True", false),
            pod("d", "True", false),
            pod("e", "True", true),
        ];
        let disrupted = disrupted(&budget, &pods, now);
        assert_eq!(disrupted.overdue.len(), 1, "d was to go long ago");
        assert_eq!(disrupted.look_again, Some(Duration::from_secs(40)));
        let expected = Expected { pods: 5, healthy: 1 };
        let status = status(&budget, &pods, Ok(&expected), &disrupted, now);
        assert_eq!((status.current_healthy, status.disruptions_allowed), (Some(2), Some(1)));
        assert_eq!(status.disrupted_pods.unwrap().into_keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(status.observed_generation, Some(3));
        assert_eq!(status.conditions.unwrap()[0].reason, "SufficientPods");
    }

    #[test]
    fn nobody_may_go_while_it_is_not_known_how_many_should_be_there() {
        let before = json!({"disruptionsAllowed": 2, "currentHealthy": 3});
        let budget = budget(json!({"maxUnavailable": 1}), before);
        let why = "found no controllers for pod \"a\"".to_owned();
        let none = Disrupted::default();
        let status = status(&budget, &[], Err(&why), &none, Timestamp::UNIX_EPOCH);
        assert_eq!((status.disruptions_allowed, status.current_healthy), (Some(0), Some(3)));
        assert_eq!((status.desired_healthy, status.expected_pods), (Some(0), Some(0)), "clients want them");
        let condition = &status.conditions.unwrap()[0];
        assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("SyncFailed", why.as_str()));
    }
}
