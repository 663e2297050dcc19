//! What a pod's failure means to its Job: the pod failure policy, and how long the next pod waits. Pure.

use k8s_openapi::api::batch::v1::{
    Job, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use kinds::pod as ask;
use std::sync::Arc;
use std::time::Duration;

const FIRST_BACKOFF: Duration = Duration::from_secs(10); // upstream's DefaultJobPodFailureBackOff
const LAST_BACKOFF: Duration = Duration::from_secs(600); // upstream's MaxJobPodFailureBackOff

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It counts towards the back-off limit.
    Count,
    Ignore,
    /// Its index fails, whatever limit is left.
    FailIndex,
    /// The job fails, with this message.
    FailJob(String),
}

/// The first rule that matches decides.
pub(super) fn meaning(job: &Job, pod: &Pod) -> Meaning {
    let policy = job.spec.as_ref().and_then(|spec| spec.pod_failure_policy.as_ref());
    let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
    let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
    for (index, rule) in policy.iter().flat_map(|policy| policy.rules.iter().enumerate()) {
        let exit = rule.on_exit_codes.as_ref().and_then(|codes| with_code(pod, codes));
        let condition = rule.on_pod_conditions.as_deref().and_then(|patterns| with_condition(pod, patterns));
        let message = match (exit, condition) {
            (Some((container, code)), _) => format!(
                "Container {container} for pod {namespace}/{name} failed with exit code {code} matching FailJob rule at index {index}"
            ),
            (None, Some(condition)) => format!(
                "Pod {namespace}/{name} has condition {} matching FailJob rule at index {index}",
                condition.type_
            ),
            (None, None) => continue,
        };
        return match rule.action.as_str() {
            "Ignore" => Meaning::Ignore,
            "FailIndex" => Meaning::FailIndex,
            "FailJob" => Meaning::FailJob(message),
            _ => Meaning::Count,
        };
    }
    Meaning::Count
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let own = status.and_then(|s| s.container_statuses.as_ref()).into_iter().flatten();
    own.chain(status.and_then(|s| s.init_container_statuses.as_ref()).into_iter().flatten())
}

fn with_code<'p>(pod: &'p Pod, codes: &PodFailurePolicyOnExitCodesRequirement) -> Option<(&'p str, i32)> {
    let named =
        |status: &&ContainerStatus| codes.container_name.as_ref().is_none_or(|name| *name == status.name);
    statuses(pod).filter(named).find_map(|status| {
        let code = status.state.as_ref()?.terminated.as_ref()?.exit_code;
        let listed = codes.values.contains(&code);
        let matches = match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        (code != 0 && matches).then_some((status.name.as_str(), code))
    })
}

fn with_condition<'p>(
    pod: &'p Pod,
    patterns: &[PodFailurePolicyOnPodConditionsPattern],
) -> Option<&'p PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let matches = |condition: &&PodCondition| {
        patterns.iter().any(|pattern| {
            pattern.type_ == condition.type_ && pattern.status.as_deref() == Some(&condition.status)
        })
    };
    conditions.iter().find(matches)
}

/// When the pod ended: its last container, or, where none says so, the pod's own conditions and its deletion.
pub(super) fn ended_at(pod: &Pod) -> Option<jiff::Timestamp> {
    let last = statuses(pod)
        .filter_map(|status| status.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref().map(|at| at.0));
    let ready = ask::condition(pod, "Ready").filter(|condition| condition.status == "False");
    last.max()
        .or_else(|| ready?.last_transition_time.as_ref().map(|at| at.0))
        .or_else(|| deleted_at(pod))
        .or_else(|| pod.metadata.creation_timestamp.as_ref().map(|at| at.0))
}

/// The deletion's time is when its grace ends.
fn deleted_at(pod: &Pod) -> Option<jiff::Timestamp> {
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    let end = pod.metadata.deletion_timestamp.as_ref()?.0;
    end.checked_sub(jiff::SignedDuration::from_secs(grace)).ok()
}

/// How long until another pod may be made: twice as long with each failure since the last success. Reckoned from the pods
/// that are there, so that a restart of the program changes nothing.
pub(super) fn backoff(failed: &[Arc<Pod>], succeeded: &[Arc<Pod>], now: jiff::Timestamp) -> Option<Duration> {
    let last_success = succeeded.iter().filter_map(|pod| ended_at(pod)).max();
    let since: Vec<jiff::Timestamp> = failed
        .iter()
        .filter_map(|pod| ended_at(pod))
        .filter(|at| last_success.is_none_or(|success| *at > success))
        .collect();
    let last = *since.iter().max()?;
    let doublings = (since.len() - 1).min(16) as u32;
    let wait = FIRST_BACKOFF.saturating_mul(1 << doublings).min(LAST_BACKOFF);
    let passed = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    wait.checked_sub(passed).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(containers: Value, conditions: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"},
            "status": {"phase": "Failed", "containerStatuses": containers, "conditions": conditions},
        }))
        .unwrap()
    }

    fn exited(name: &str, code: i32) -> Value {
        json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code}}})
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let disrupted = json!([{"type": "DisruptionTarget", "status": "True"}]);
        let job = |rules: Value| -> Job {
            let template = json!({"spec": {"containers": []}});
            serde_json::from_value(json!({
                "metadata": {"name": "j"},
                "spec": {"template": template, "podFailurePolicy": {"rules": rules}},
            }))
            .unwrap()
        };
        let codes = |action: &str, operator: &str, values: &[i32]| json!({"action": action, "onExitCodes": {"operator": operator, "values": values}});
        let of_main = json!({"action": "FailJob",
            "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}});
        let on_disruption =
            json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]});
        let fails = |container: &str, code: i32, index: usize| {
            Meaning::FailJob(format!(
                "Container {container} for pod n/p failed with exit code {code} matching FailJob rule at index {index}"
            ))
        };
        // (name, rules, containers, conditions, meaning)
        let cases = [
            ("no rule", json!([]), json!([exited("main", 1)]), json!([]), Meaning::Count),
            ("its code", json!([of_main]), json!([exited("main", 42)]), json!([]), fails("main", 42, 0)),
            ("another code", json!([of_main]), json!([exited("main", 1)]), json!([]), Meaning::Count),
            ("another container", json!([of_main]), json!([exited("side", 42)]), json!([]), Meaning::Count),
            (
                "the second rule",
                json!([on_disruption, codes("FailJob", "NotIn", &[1])]),
                json!([exited("main", 2)]),
                json!([]),
                fails("main", 2, 1),
            ),
            (
                "success is no failure",
                json!([codes("FailJob", "NotIn", &[1])]),
                json!([exited("main", 0)]),
                json!([]),
                Meaning::Count,
            ),
            (
                "disrupted",
                json!([on_disruption, of_main]),
                json!([exited("main", 42)]),
                disrupted,
                Meaning::Ignore,
            ),
            (
                "its index",
                json!([codes("FailIndex", "In", &[5])]),
                json!([exited("main", 5)]),
                json!([]),
                Meaning::FailIndex,
            ),
            (
                "counted",
                json!([codes("Count", "In", &[5]), codes("FailJob", "In", &[5])]),
                json!([exited("main", 5)]),
                json!([]),
                Meaning::Count,
            ),
        ];
        for (name, rules, containers, conditions, want) in cases {
            assert_eq!(meaning(&job(rules), &pod(containers, conditions)), want, "{name}");
        }
    }

    #[test]
    fn each_failure_waits_twice_as_long() {
        let ended = |second: i64| {
            let mut pod = Pod::default();
            let at = jiff::Timestamp::from_second(second).unwrap();
            pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
            Arc::new(pod)
        };
        // (name, failures, successes, now, seconds left)
        let cases = [
            ("none", vec![], vec![], 100, None),
            ("one", vec![100], vec![], 100, Some(10)),
            ("a while ago", vec![100], vec![], 104, Some(6)),
            ("long ago", vec![100], vec![], 110, None),
            ("two", vec![90, 100], vec![], 100, Some(20)),
            ("four", vec![70, 80, 90, 100], vec![], 100, Some(80)),
            ("many", (0..20).collect(), vec![], 19, Some(600)),
            ("before a success", vec![80, 90, 100], vec![95], 100, Some(10)),
            ("after the last success none", vec![80, 90], vec![95], 100, None),
        ];
        for (name, failed, succeeded, now, want) in cases {
            let pods = |seconds: Vec<i64>| seconds.into_iter().map(ended).collect::<Vec<_>>();
            let now = jiff::Timestamp::from_second(now).unwrap();
            let left = backoff(&pods(failed), &pods(succeeded), now);
            assert_eq!(left.map(|left| left.as_secs()), want, "{name}");
        }
    }
}
