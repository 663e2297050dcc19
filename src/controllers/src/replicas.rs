//! From wanted and existing pods to what is to be done: pure.

use k8s_openapi::api::core::v1::Pod;
use kinds::pod as ask;
use std::sync::Arc;
use std::time::Duration;

/// Pods made or deleted in one go; more come when these have been seen.
const BURST: usize = 500;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plan {
    Nothing,
    Create(usize),
    Delete(Vec<Arc<Pod>>),
}

/// `pods` are the active ones that are controlled already.
pub(crate) fn plan(wanted: usize, pods: &[Arc<Pod>], now: jiff::Timestamp) -> Plan {
    if pods.len() < wanted {
        return Plan::Create((wanted - pods.len()).min(BURST));
    }
    if pods.len() == wanted {
        return Plan::Nothing;
    }
    let mut ranked: Vec<Arc<Pod>> = pods.to_vec();
    ranked.sort_by_key(|pod| rank(pod, now));
    ranked.truncate((pods.len() - wanted).min(BURST));
    Plan::Delete(ranked)
}

/// Who is missed least comes first: upstream's `ActivePodsWithRanks`.
pub(crate) fn rank(pod: &Pod, now: jiff::Timestamp) -> (bool, u8, bool, i64, i64, i32, i64) {
    let assigned = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).is_some_and(|n| !n.is_empty());
    let phase = match ask::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let cost =
        pod.metadata.annotations.as_ref().and_then(|a| a.get("controller.kubernetes.io/pod-deletion-cost"));
    let cost = cost.and_then(|cost| cost.parse::<i64>().ok()).unwrap_or(0);
    let ready_for = ask::ready_since(pod).map_or(0, |since| now.as_second() - since.as_second());
    let statuses = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    let restarts: i32 = statuses.map(|c| c.restart_count).sum();
    let age = pod.metadata.creation_timestamp.as_ref().map_or(0, |t| now.as_second() - t.0.as_second());
    (assigned, phase, ask::is_ready(pod), cost, ready_for, -restarts, age)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) replicas: i32,
    pub(crate) fully_labeled: i32,
    pub(crate) ready: i32,
    pub(crate) available: i32,
    pub(crate) terminating: i32,
}

/// What the status says of the pods that are there.
pub(crate) fn count(
    pods: &[Arc<Pod>],
    template_labels: &std::collections::BTreeMap<String, String>,
    min_ready: i32,
    now: jiff::Timestamp,
) -> Counts {
    let full = |pod: &Pod| {
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        template_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    let mut counts = Counts::default();
    for pod in pods {
        if !ask::is_active(pod) {
            counts.terminating += i32::from(ask::is_deleting(pod) && !ask::is_terminal(pod));
            continue;
        }
        counts.replicas += 1;
        counts.fully_labeled += i32::from(full(pod));
        counts.ready += i32::from(ask::is_ready(pod));
        counts.available += i32::from(ask::is_available(pod, min_ready, now));
    }
    counts
}

/// When one more of them becomes available if nothing else happens; `None` where time alone changes nothing.
pub(crate) fn next_available(pods: &[Arc<Pod>], min_ready: i32, now: jiff::Timestamp) -> Option<Duration> {
    let active = pods.iter().filter(|pod| ask::is_active(pod));
    active.filter_map(|pod| ask::available_in(pod, min_ready, now)).filter(|left| !left.is_zero()).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{PodCondition, PodSpec, PodStatus};

    fn pod(name: &str, node: Option<&str>, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.to_owned());
        pod.spec = Some(PodSpec { node_name: node.map(str::to_owned), ..PodSpec::default() });
        let condition = PodCondition {
            type_: "Ready".into(),
            status: if ready { "True" } else { "False" }.into(),
            ..PodCondition::default()
        };
        let phase = if node.is_some() { "Running" } else { "Pending" };
        pod.status = Some(PodStatus {
            phase: Some(phase.into()),
            conditions: Some(vec![condition]),
            ..PodStatus::default()
        });
        Arc::new(pod)
    }

    #[test]
    fn the_least_missed_go_first() {
        let pods = [
            pod("ready", Some("n"), true),
            pod("unready", Some("n"), false),
            pod("unscheduled", None, false),
        ];
        let names = |plan: Plan| match plan {
            Plan::Delete(pods) => pods.iter().filter_map(|p| p.metadata.name.clone()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        assert_eq!(names(plan(2, &pods, now)), ["unscheduled"]);
        assert_eq!(names(plan(1, &pods, now)), ["unscheduled", "unready"]);
        assert_eq!(plan(3, &pods, now), Plan::Nothing);
        assert_eq!(plan(5, &pods, now), Plan::Create(2));
    }

    #[test]
    fn one_wakes_when_the_next_pod_becomes_available() {
        let since = |seconds: i64| {
            let mut ready = (*pod("ready", Some("n"), true)).clone();
            let conditions = ready.status.as_mut().unwrap().conditions.as_mut().unwrap();
            let at = jiff::Timestamp::from_second(seconds).unwrap();
            conditions[0].last_transition_time =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
            Arc::new(ready)
        };
        let now = jiff::Timestamp::from_second(100).unwrap();
        let left =
            |pods: &[Arc<Pod>], min_ready| next_available(pods, min_ready, now).map(|left| left.as_secs());
        assert_eq!(left(&[since(95), since(98)], 10), Some(5));
        assert_eq!(left(&[since(80)], 10), None);
        assert_eq!(left(&[pod("unready", Some("n"), false)], 10), None);
        assert_eq!(left(&[since(98)], 0), None);
    }
}
