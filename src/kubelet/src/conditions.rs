//! A pod's conditions. Those that others own are kept as they are.

use crate::view::View;
use crate::{pod, resize};
use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub fn is_ours(condition: &str) -> bool {
    OURS.contains(&condition) || RESIZE.contains(&condition)
}

const OURS: [&str; 4] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"];

/// They are there only while they hold.
const RESIZE: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

struct Finding {
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Finding {
    fn good() -> Self {
        Finding { holds: true, reason: None, message: None }
    }

    fn bad(reason: &'static str, message: Option<String>) -> Self {
        Finding { holds: false, reason: Some(reason), message }
    }
}

pub fn of_pod(
    view: View<'_>,
    old: &PodStatus,
    phase: &str,
    init: &[ContainerStatus],
    containers: &[ContainerStatus],
    terminal: bool,
) -> Vec<PodCondition> {
    let containers_ready = containers_ready(view, phase, init, containers);
    let to_start = to_start(view, terminal);
    let ready = ready(view, old, &containers_ready);
    let started = containers.iter().any(has_started);
    let findings = [to_start, initialized(view, phase, init, started), ready, containers_ready];
    let before = old.conditions.as_deref().unwrap_or_default();
    let mut all: Vec<PodCondition> =
        OURS.iter().zip(findings).map(|(name, finding)| condition(view, before, name, finding)).collect();
    if !terminal {
        all.extend(
            RESIZE
                .iter()
                .zip(resize(view))
                .filter_map(|(name, finding)| Some(condition(view, before, name, finding?))),
        );
    }
    all.extend(before.iter().filter(|c| !is_ours(&c.type_)).cloned());
    all
}

/// Whether containers may start, in upstream's words (`pkg/kubelet/types/constants.go`). Of a pod that has ended no words are known.
fn to_start(view: View<'_>, terminal: bool) -> Finding {
    let message = match (view.sandboxes, view.current()) {
        ([], _) => Some("no pod sandbox exists"),
        (_, Some(sandbox)) if sandbox.ip.is_none() && !sandbox.config.host_network => {
            Some("pod sandbox has no IP address")
        }
        (_, Some(_)) if !terminal => return Finding::good(),
        _ => None,
    };
    Finding::bad("PodSandboxNotReady", message.map(str::to_owned))
}

/// Whether the pod waits to be resized, and whether it is being so.
fn resize(view: View<'_>) -> [Option<Finding>; 2] {
    let pending = view.memory.resize_pending.as_ref();
    let pending =
        pending.map(|p| Finding { holds: true, reason: Some(p.reason), message: Some(p.message.clone()) });
    let error = view.memory.resize_error.clone();
    let goes_on = error.is_some() || resize::all_outdated(view).next().is_some();
    let reason = error.is_some().then_some("Error");
    [pending, goes_on.then_some(Finding { holds: true, reason, message: error })]
}

fn condition(view: View<'_>, before: &[PodCondition], name: &str, finding: Finding) -> PodCondition {
    let status = if finding.holds { "True" } else { "False" };
    let old = before.iter().find(|c| c.type_ == name);
    let since = old.filter(|c| c.status == status).and_then(|c| c.last_transition_time.clone());
    PodCondition {
        type_: name.to_owned(),
        status: status.to_owned(),
        last_probe_time: None,
        last_transition_time: since.or(Some(Time(view.now))),
        reason: finding.reason.map(str::to_owned),
        message: finding.message,
        observed_generation: view.pod.metadata.generation,
    }
}

/// Upstream's `HasAnyRegularContainerStarted`.
fn has_started(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|s| s.running.is_some() || s.terminated.is_some())
}

fn initialized(view: View<'_>, phase: &str, init: &[ContainerStatus], started: bool) -> Finding {
    if init.is_empty() {
        return Finding::good();
    }
    if phase == "Succeeded" {
        return Finding { reason: Some("PodCompleted"), ..Finding::good() };
    }
    let sidecars = pod::init_containers(pod::spec(view.pod)).iter().map(pod::is_sidecar);
    let incomplete: Vec<&str> = init
        .iter()
        .zip(sidecars)
        .filter(|(status, sidecar)| if *sidecar { status.started != Some(true) } else { !status.ready })
        .map(|(status, _)| status.name.as_str())
        .collect();
    // a sidecar that has ended with the pod does not undo it
    if incomplete.is_empty() || view.is_initialized() || (started && view.current().is_none()) {
        return Finding::good();
    }
    let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
    Finding::bad("ContainersNotInitialized", Some(message))
}

fn containers_ready(
    view: View<'_>,
    phase: &str,
    init: &[ContainerStatus],
    containers: &[ContainerStatus],
) -> Finding {
    match phase {
        "Succeeded" => return Finding::bad("PodCompleted", None),
        "Failed" => return Finding::bad("PodFailed", None),
        _ => {}
    }
    let sidecars = pod::init_containers(pod::spec(view.pod)).iter().zip(init);
    let sidecars = sidecars.filter(|(c, _)| pod::is_sidecar(c)).map(|(_, status)| status);
    let unready: Vec<&str> =
        sidecars.chain(containers).filter(|c| !c.ready).map(|c| c.name.as_str()).collect();
    match unready.as_slice() {
        [] => Finding::good(),
        names => Finding::bad(
            "ContainersNotReady",
            Some(format!("containers with unready status: [{}]", names.join(" "))),
        ),
    }
}

fn ready(view: View<'_>, old: &PodStatus, containers_ready: &Finding) -> Finding {
    if !containers_ready.holds {
        return Finding {
            holds: false,
            reason: containers_ready.reason,
            message: containers_ready.message.clone(),
        };
    }
    let conditions = old.conditions.as_deref().unwrap_or_default();
    let mut missing = Vec::new();
    for gate in pod::spec(view.pod).readiness_gates.iter().flatten() {
        let name = &gate.condition_type;
        match conditions.iter().find(|c| c.type_ == *name) {
            None => missing
                .push(format!("corresponding condition of pod readiness gate \"{name}\" does not exist.")),
            Some(c) if c.status != "True" => {
                missing.push(format!(
                    "the status of pod readiness gate \"{name}\" is not \"True\", but {}",
                    c.status
                ));
            }
            Some(_) => {}
        }
    }
    match missing.is_empty() {
        true => Finding::good(),
        false => Finding::bad("ReadinessGatesNotReady", Some(missing.join(", "))),
    }
}
