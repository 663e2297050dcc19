//! A pod's status from what runs. Pure; in upstream's words.

use crate::pod;
use crate::resources::qos;
use crate::restarts::restarts_after;
use crate::view::{Lost, View};
use crate::{conditions, labels, resize};
use cri::ContainerState as Cri;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, HostIP, PodIP, PodSpec, PodStatus, ResourceRequirements, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::container_transitions::keep_ended;
use std::net::IpAddr;

/// `terminal`: nothing of it runs, and nothing will.
pub fn status(view: View<'_>, node_ip: IpAddr, terminal: bool) -> PodStatus {
    let spec = pod::spec(view.pod);
    let old = view.pod.status.clone().unwrap_or_default();
    let init: Vec<_> = pod::init_containers(spec).iter().map(|c| of_container(view, c, terminal)).collect();
    let containers: Vec<_> = spec.containers.iter().map(|c| of_container(view, c, terminal)).collect();
    let added = pod::ephemeral_containers(spec);
    let ephemeral: Vec<_> = added.iter().map(|c| of_ephemeral(view, c, terminal)).collect();
    let phase = match &view.memory.evicted {
        _ if pod::is_over(view.pod) => pod::phase(view.pod).to_owned(),
        Some(_) if terminal => "Failed".to_owned(),
        _ => phase(view, &init, &containers, terminal).to_owned(),
    };
    // one that has ended is remembered where it was; that of another whose sandbox is gone may be somebody else's by now
    let is_over = matches!(phase.as_str(), "Succeeded" | "Failed");
    let ips = addresses(view, node_ip).or_else(|| old.pod_ips.clone().filter(|_| is_over));
    let conditions = conditions::of_pod(view, &old, &phase, &init, &containers, terminal);
    let evicted = view.memory.evicted.as_ref();
    let mut status = PodStatus {
        phase: Some(phase),
        conditions: Some(conditions),
        pod_ip: ips.as_ref().and_then(|ips| ips.first()).map(|ip| ip.ip.clone()),
        pod_ips: ips,
        host_ip: Some(node_ip.to_string()),
        host_ips: Some(vec![HostIP { ip: node_ip.to_string() }]),
        start_time: old.start_time.clone().or(Some(Time(view.now))),
        qos_class: Some(qos(spec).to_string()),
        reason: evicted.map(|e| e.reason.to_owned()).or(old.reason.clone()),
        message: evicted.map(|e| e.message.clone()).or(old.message.clone()),
        observed_generation: view.pod.metadata.generation,
        init_container_statuses: (!init.is_empty()).then_some(init),
        container_statuses: Some(containers),
        ephemeral_container_statuses: (!ephemeral.is_empty()).then_some(ephemeral),
        ..old
    };
    if let Some(told) = &view.pod.status {
        keep_ended(spec, &mut status, told);
    }
    status
}

fn addresses(view: View<'_>, node_ip: IpAddr) -> Option<Vec<PodIP>> {
    let sandbox = view.current()?;
    let ip = sandbox.ip.or_else(|| sandbox.config.host_network.then_some(node_ip))?;
    Some(vec![PodIP { ip: ip.to_string() }])
}

/// It is neither waited for nor counted.
fn of_ephemeral(view: View<'_>, container: &Container, terminal: bool) -> ContainerStatus {
    ContainerStatus { ready: false, started: None, ..of_container(view, container, terminal) }
}

fn of_container(view: View<'_>, container: &Container, terminal: bool) -> ContainerStatus {
    let tries = view.tries(&container.name);
    let Some(latest) = tries.first() else { return without_a_try(view, container, terminal) };
    let hold = view.memory.backed_off.get(&container.name);
    let starting = view.memory.starting.as_deref() == Some(&container.name);
    let waiting = |reason: &str, message: &str| ContainerState {
        waiting: Some(ContainerStateWaiting { reason: Some(reason.to_owned()), message: some(message) }),
        ..ContainerState::default()
    };
    let previous = || tries.get(1).and_then(|c| terminated(view, c));
    let ended = || ContainerState { terminated: terminated(view, latest), ..ContainerState::default() };
    let last = |state: Option<ContainerStateTerminated>| {
        state.map(|t| ContainerState { terminated: Some(t), ..Default::default() })
    };
    let (state, last_state) = match (&latest.state, hold) {
        (Cri::Running { started_at, .. }, _) if !starting => (running(*started_at), last(previous())),
        (Cri::Created | Cri::Running { .. }, Some(hold)) => {
            (waiting(hold.reason, &hold.message), last(previous()))
        }
        (Cri::Created | Cri::Running { .. }, None) => (waiting(default_reason(view), ""), last(previous())),
        (Cri::Exited { .. }, Some(hold)) if !terminal => {
            (waiting(hold.reason, &hold.message), last(terminated(view, latest)))
        }
        (Cri::Exited { .. }, _) => (ended(), last(previous())),
    };
    let is_running = state.running.is_some();
    let runs_to_its_end = pod::is_init(pod::spec(view.pod), &container.name) && !pod::is_sidecar(container);
    let ready = match runs_to_its_end {
        true => matches!(latest.state, Cri::Exited { exit_code: 0, .. }),
        false => is_running && !terminal && view.is_ready(container, latest),
    };
    let annotation =
        |key: &str, or: &str| latest.annotations.get(key).cloned().unwrap_or_else(|| or.to_owned());
    ContainerStatus {
        name: container.name.clone(),
        image: annotation(labels::IMAGE, &latest.image_ref),
        image_id: annotation(labels::IMAGE_ID, &latest.image),
        container_id: Some(container_id(&latest.id)),
        restart_count: i32::try_from(latest.attempt).unwrap_or(i32::MAX),
        started: Some(is_running && view.is_started(container, latest)),
        ready,
        state: Some(state),
        last_state,
        ..plain(view, container)
    }
}

/// Nothing of it was made yet, or the machine lost it.
fn without_a_try(view: View<'_>, container: &Container, terminal: bool) -> ContainerStatus {
    let hold = view.memory.backed_off.get(&container.name);
    let (reason, message) = hold.map_or((default_reason(view), ""), |h| (h.reason, h.message.as_str()));
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message: some(message) };
    let mut status = plain(view, container);
    let spec = pod::spec(view.pod);
    match view.memory.lost.get(&container.name) {
        Some(Lost { restart_count, state, image, image_id }) => {
            status.restart_count = *restart_count;
            status.image.clone_from(image);
            status.image_id.clone_from(image_id);
            let gone = ContainerState { terminated: Some(state.clone()), ..ContainerState::default() };
            if terminal || !restarts_after(spec, container, state.exit_code) {
                status.container_id.clone_from(&state.container_id);
                status.state = Some(gone);
            } else {
                status.state = Some(ContainerState { waiting: Some(waiting), ..ContainerState::default() });
                status.last_state = Some(gone);
            }
        }
        None => status.state = Some(ContainerState { waiting: Some(waiting), ..ContainerState::default() }),
    }
    status.started = Some(false);
    status
}

fn plain(view: View<'_>, container: &Container) -> ContainerStatus {
    let given =
        view.memory.given.get(&container.name).filter(|given| **given != ResourceRequirements::default());
    let given = given.cloned().or_else(|| container.resources.clone());
    let outdated = view.latest(&container.name).and_then(|status| resize::outdated(view, status));
    let resources = outdated.cloned().or_else(|| given.clone());
    let mounts = container.volume_mounts.iter().flatten().map(|mount| VolumeMountStatus {
        mount_path: mount.mount_path.clone(),
        name: mount.name.clone(),
        read_only: mount.read_only,
        recursive_read_only: (mount.read_only == Some(true)).then(|| "Disabled".to_owned()),
        volume_status: None,
    });
    let mounts: Vec<_> = mounts.collect();
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        allocated_resources: given.as_ref().and_then(|r| r.requests.clone()).filter(|r| !r.is_empty()),
        resources,
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..ContainerStatus::default()
    }
}

fn default_reason(view: View<'_>) -> &'static str {
    match pod::init_containers(pod::spec(view.pod)) {
        [] => "ContainerCreating",
        _ => "PodInitializing",
    }
}

fn running(started_at: Timestamp) -> ContainerState {
    let running = ContainerStateRunning { started_at: Some(Time(started_at)) };
    ContainerState { running: Some(running), ..ContainerState::default() }
}

fn terminated(view: View<'_>, status: &cri::ContainerStatus) -> Option<ContainerStateTerminated> {
    let Cri::Exited { exit_code, oom_killed, started_at, finished_at, message } = &status.state else {
        return None;
    };
    let said = view.memory.messages.get(&status.id).filter(|m| !m.is_empty()).unwrap_or(message);
    let reason = match (oom_killed, exit_code, started_at) {
        (true, ..) => "OOMKilled",
        (_, 0, _) => "Completed",
        (_, _, None) => "StartError",
        _ => "Error",
    };
    Some(ContainerStateTerminated {
        container_id: Some(container_id(&status.id)),
        exit_code: *exit_code,
        started_at: Some(Time(started_at.unwrap_or(status.created_at))),
        finished_at: Some(Time(*finished_at)),
        message: some(said),
        reason: Some(reason.to_owned()),
        signal: None,
    })
}

pub fn container_id(id: &cri::ContainerId) -> String {
    format!("monopod://{id}")
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Upstream's `getPhase`.
fn phase(
    view: View<'_>,
    init: &[ContainerStatus],
    containers: &[ContainerStatus],
    terminal: bool,
) -> &'static str {
    let spec = pod::spec(view.pod);
    let started =
        containers.iter().any(|c| c.container_id.is_some() || view.memory.lost.contains_key(&c.name));
    let initialized = view.is_initialized() || started;
    let restarts = |container: &Container, status: &ContainerStatus| {
        ended(status).is_some_and(|t| restarts_after(spec, container, t.exit_code))
    };
    let init_failed = pod::init_containers(spec).iter().zip(init).any(|(container, status)| {
        !pod::is_sidecar(container)
            && ended(status).is_some_and(|t| t.exit_code != 0)
            && (terminal || !restarts(container, status))
    });
    let pending = containers.iter().filter(|c| !is_running(c) && ended(c).is_none()).count();
    let running = containers.iter().filter(|c| is_running(c)).count();
    let succeeded = containers.iter().filter_map(ended).filter(|t| t.exit_code == 0).count();
    let sidecars = sidecars_running(spec, init);
    if init_failed {
        // said when nothing of it runs any more: who reads it may use what the pod had
        return match pod::phase(view.pod) {
            _ if terminal || !sidecars => "Failed",
            "Running" => "Running",
            _ => "Pending",
        };
    }
    match () {
        () if terminal && pending == 0 && running == 0 => {
            if succeeded == containers.len() {
                "Succeeded"
            } else {
                "Failed"
            }
        }
        // deleted before it ran
        () if terminal && running == 0 => "Failed",
        () if !initialized || pending > 0 => "Pending",
        () if running > 0 || sidecars => "Running",
        () if spec.containers.iter().zip(containers).any(|(c, status)| restarts(c, status)) => "Running",
        () if succeeded == containers.len() => "Succeeded",
        () => "Failed",
    }
}

/// Whether a sidecar still runs: a pod has not ended before they have, and how they end does not count.
fn sidecars_running(spec: &PodSpec, init: &[ContainerStatus]) -> bool {
    pod::init_containers(spec).iter().zip(init).any(|(c, status)| pod::is_sidecar(c) && is_running(status))
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|s| s.running.is_some())
}

/// How it ended, also when it waits to be started again.
fn ended(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let waits = status.state.as_ref().is_some_and(|s| s.waiting.is_some());
    let state = if waits { status.last_state.as_ref() } else { status.state.as_ref() };
    state.and_then(|s| s.terminated.as_ref())
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
