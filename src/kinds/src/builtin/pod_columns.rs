//! The pod's line in `kubectl get`, as upstream's printer computes it.

use super::name_of;
use crate::columns::human_duration;
use crate::{Cell, Column, age, pod as ask};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

pub(super) const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("Ready", "string", "Ready and all containers"),
    Column::new("Status", "string", "What it does, or why it does not"),
    Column::new("Restarts", "string", "How often its containers were restarted"),
    Column::AGE,
    Column::wide("IP", "string", "Its address"),
    Column::wide("Node", "string", "Where it runs"),
    Column::wide("Nominated Node", "string", "Where it would run after a preemption"),
    Column::wide("Readiness Gates", "string", "Conditions that others must set"),
];

pub(super) fn row(pod: &Pod, now: jiff::Timestamp) -> Vec<Cell> {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let or_none = |text: Option<String>| {
        Cell::from(text.filter(|t| !t.is_empty()).unwrap_or_else(|| "<none>".to_owned()))
    };
    let spec = pod.spec.as_ref();
    let ip = status.pod_ips.iter().flatten().next().map(|ip| ip.ip.clone()).or_else(|| status.pod_ip.clone());
    vec![
        name_of(&pod.metadata),
        ready(pod, status).into(),
        status_word(pod).into(),
        restarts(pod, status, now).into(),
        age(pod.metadata.creation_timestamp.as_ref(), now),
        or_none(ip),
        or_none(spec.and_then(|s| s.node_name.clone())),
        or_none(status.nominated_node_name.clone()),
        or_none(readiness_gates(pod)),
    ]
}

fn sidecar(pod: &Pod, name: &str) -> bool {
    let init = pod.spec.iter().flat_map(|s| s.init_containers.iter().flatten());
    init.into_iter().any(|c| c.name == name && c.restart_policy.as_deref() == Some("Always"))
}

fn ready(pod: &Pod, status: &PodStatus) -> String {
    let sidecars = || status.init_container_statuses.iter().flatten().filter(|c| sidecar(pod, &c.name));
    let main = || status.container_statuses.iter().flatten();
    let all = pod.spec.as_ref().map_or(0, |s| {
        s.containers.len() + s.init_containers.iter().flatten().filter(|c| sidecar(pod, &c.name)).count()
    });
    let ready = main().chain(sidecars()).filter(|c| c.ready && is_running(c)).count();
    format!("{ready}/{all}")
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|s| s.running.is_some())
}

fn restarts(pod: &Pod, status: &PodStatus, now: jiff::Timestamp) -> String {
    let initialized = ask::condition(pod, "Initialized").is_some_and(|c| c.status == "True");
    let init = || status.init_container_statuses.iter().flatten();
    let counted: Vec<&ContainerStatus> = match initialized {
        true => status
            .container_statuses
            .iter()
            .flatten()
            .chain(init().filter(|c| sidecar(pod, &c.name)))
            .collect(),
        false => init().collect(),
    };
    let count: i32 = counted.iter().map(|c| c.restart_count).sum();
    let last = counted
        .iter()
        .filter_map(|c| c.last_state.as_ref()?.terminated.as_ref()?.finished_at.as_ref())
        .map(|at| at.0)
        .max();
    match last.filter(|_| count > 0) {
        Some(at) => format!("{count} ({} ago)", human_duration(now.as_second() - at.as_second())),
        None => count.to_string(),
    }
}

/// `Running`, `Init:0/1`, `CrashLoopBackOff`, `Terminating`, …
pub fn status_word(pod: &Pod) -> String {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let mut word = status.reason.clone().or_else(|| status.phase.clone()).unwrap_or_default();
    if ask::condition(pod, "PodScheduled").is_some_and(|c| c.reason.as_deref() == Some("SchedulingGated")) {
        word = "SchedulingGated".to_owned();
    }
    let initialized = ask::condition(pod, "Initialized").is_some_and(|c| c.status == "True");
    word = match init_word(pod, status) {
        Some(init) if !initialized => init,
        // a sidecar that has ended with the pod is none that failed to begin: what the others came to says more
        init => container_word(pod, status, init.unwrap_or(word)),
    };
    if ask::is_deleting(pod) {
        if status.reason.as_deref() == Some("NodeLost") {
            return "Unknown".to_owned();
        }
        if !ask::is_terminal(pod) {
            return "Terminating".to_owned();
        }
    }
    word
}

/// What the init containers say, while they are not done.
fn init_word(pod: &Pod, status: &PodStatus) -> Option<String> {
    let all = pod.spec.as_ref().map_or(0, |s| s.init_containers.iter().flatten().count());
    for (index, container) in status.init_container_statuses.iter().flatten().enumerate() {
        let state = container.state.clone().unwrap_or_default();
        if let Some(ended) = &state.terminated {
            if ended.exit_code == 0 {
                continue;
            }
            return Some(match (ended.reason.as_deref().unwrap_or_default(), ended.signal.unwrap_or(0)) {
                ("", 0) => format!("Init:ExitCode:{}", ended.exit_code),
                ("", signal) => format!("Init:Signal:{signal}"),
                (reason, _) => format!("Init:{reason}"),
            });
        }
        if sidecar(pod, &container.name) && container.started == Some(true) {
            continue;
        }
        let waiting =
            state.waiting.and_then(|w| w.reason).filter(|r| !r.is_empty() && r != "PodInitializing");
        return Some(
            waiting.map_or_else(|| format!("Init:{index}/{all}"), |reason| format!("Init:{reason}")),
        );
    }
    None
}

fn container_word(pod: &Pod, status: &PodStatus, otherwise: String) -> String {
    let mut word = otherwise;
    let mut has_running = false;
    let mut failure = None;
    let containers: Vec<&ContainerStatus> = status.container_statuses.iter().flatten().collect();
    for container in containers.iter().rev() {
        let state = container.state.clone().unwrap_or_default();
        if let Some(reason) = state.waiting.and_then(|w| w.reason).filter(|r| !r.is_empty()) {
            word = reason;
        } else if let Some(ended) = state.terminated {
            let has_failed = ended.exit_code != 0;
            word = match (ended.reason.filter(|r| !r.is_empty()), ended.signal.unwrap_or(0)) {
                (Some(reason), _) => reason,
                (None, 0) => format!("ExitCode:{}", ended.exit_code),
                (None, signal) => format!("Signal:{signal}"),
            };
            if has_failed {
                failure = Some(word.clone());
            }
        } else if container.ready && state.running.is_some() {
            has_running = true;
        }
    }
    if word != "Completed" {
        return word;
    }
    // since 1.35: one that failed says more than one that is done
    match failure {
        _ if has_running && ask::is_ready(pod) => "Running".to_owned(),
        Some(failure) => failure,
        None if has_running => "NotReady".to_owned(),
        None => word,
    }
}

fn readiness_gates(pod: &Pod) -> Option<String> {
    let gates = pod.spec.as_ref()?.readiness_gates.as_ref()?;
    let met =
        gates.iter().filter(|g| ask::condition(pod, &g.condition_type).is_some_and(|c| c.status == "True"));
    Some(format!("{}/{}", met.count(), gates.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ended(name: &str, exit_code: i32) -> Value {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        json!({"name": name, "ready": false, "started": false, "restartCount": 0, "image": "i", "imageID": "",
            "state": {"terminated": {"exitCode": exit_code, "reason": reason}}})
    }

    fn runs(name: &str) -> Value {
        json!({"name": name, "ready": true, "started": true, "restartCount": 0, "image": "i", "imageID": "",
            "state": {"running": {}}})
    }

    fn waits(name: &str, reason: &str) -> Value {
        json!({"name": name, "ready": false, "started": false, "restartCount": 0, "image": "i", "imageID": "",
            "state": {"waiting": {"reason": reason}}})
    }

    #[test]
    fn the_word_of_a_pod_with_a_sidecar() {
        let cases = [
            ("both run", "True", runs("side"), runs("main"), "Running", "2/2"),
            ("the sidecar is being ended", "True", runs("side"), ended("main", 0), "Completed", "1/2"),
            ("the sidecar was killed", "True", ended("side", 137), ended("main", 0), "Completed", "0/2"),
            ("the pod failed", "True", ended("side", 0), ended("main", 1), "Error", "0/2"),
            (
                "it ends again and again",
                "True",
                waits("side", "CrashLoopBackOff"),
                runs("main"),
                "Init:CrashLoopBackOff",
                "1/2",
            ),
            (
                "it can not begin",
                "False",
                ended("side", 1),
                waits("main", "PodInitializing"),
                "Init:Error",
                "0/2",
            ),
        ];
        for (name, initialized, side, main, want, ready_want) in cases {
            let pod: Pod = serde_json::from_value(json!({
                "spec": {"initContainers": [{"name": "side", "restartPolicy": "Always"}], "containers": [{"name": "main"}]},
                "status": {"phase": "Running", "initContainerStatuses": [side], "containerStatuses": [main],
                    "conditions": [{"type": "Initialized", "status": initialized}]}}))
            .unwrap();
            assert_eq!(status_word(&pod), want, "{name}");
            assert_eq!(ready(&pod, pod.status.as_ref().unwrap()), ready_want, "{name}");
        }
    }
    #[test]
    fn the_word_of_a_pod_of_two_containers() {
        let cases = [
            ("both are done", "False", ended("a", 0), ended("b", 0), "Completed"),
            ("the last one failed", "False", ended("a", 0), ended("b", 3), "Error"),
            ("the first one failed", "False", ended("a", 3), ended("b", 0), "Error"),
            ("one is done", "False", ended("a", 0), runs("b"), "NotReady"),
            ("one is done, and the pod is ready", "True", ended("a", 0), runs("b"), "Running"),
            ("one waits", "False", waits("a", "CrashLoopBackOff"), ended("b", 3), "CrashLoopBackOff"),
        ];
        for (name, is_ready, a, b, want) in cases {
            let pod: Pod = serde_json::from_value(json!({
                "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
                "status": {"phase": "Running", "containerStatuses": [a, b], "conditions": [{"type": "Ready", "status": is_ready}]}}))
            .unwrap();
            assert_eq!(status_word(&pod), want, "{name}");
        }
    }
}
