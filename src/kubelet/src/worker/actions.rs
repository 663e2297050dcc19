//! Carrying out a plan for a pod that is to run.

use super::Worker;
use super::jobs::{Done, SandboxError};
use super::mounting::{mount, prepare, set_up};
use super::start::Start;
use crate::container_config;
use crate::kill::Killer;
use crate::logs::rotate;
use crate::plan::{Action, plan};
use crate::resolv::{Resolv, resolv_conf};
use crate::shared::Shared;
use crate::view::{Backoff, Evicted};
use crate::volumes::{Mounted, Prepared, nfs};
use crate::work_counts::Operation;
use crate::{admission, clock, pod, resize};
use api::ObjectKey;
use cluster::EventType;
use cri::{ContainerId, ContainerState, SandboxId};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Upstream's kubelet ends a container and starts it anew within one look at its pod, and looks for what has ended once a second.
/// So whoever changes an image and reads the pod at once finds it ready; its conformance tests count on it.
const REPLACEMENT: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn sync(&mut self) {
        if self.is_gone || pod::is_deleting(&self.pod) || pod::is_over(&self.pod) {
            return self.begin_stop();
        }
        if self.shared.is_paused(&self.pod) {
            return self.hold();
        }
        self.held.clear();
        if !self.is_admitted() {
            return;
        }
        self.check_deadline();
        self.change_holds();
        self.resize();
        self.keep_certificates();
        let plan = plan(self.view());
        if let Some(at) = plan.wake_at {
            self.wake(at);
        }
        for action in plan.actions {
            self.carry_out(action);
        }
        self.keep_volumes_fresh();
    }

    /// The pod is paused: nothing is begun, and what was just begun is frozen as well.
    fn hold(&mut self) {
        let running = self.sandboxes.iter().flat_map(|s| &s.containers);
        let running = running.filter(|c| matches!(c.state, ContainerState::Running { .. }));
        let new: Vec<ContainerId> =
            running.map(|c| c.id.clone()).filter(|id| !self.held.contains(id)).collect();
        for id in new {
            self.held.insert(id.clone());
            let (shared, namespace) = (self.shared.clone(), pod::namespace(&self.pod).to_owned());
            self.jobs.spawn(async move {
                if let Err(error) = shared.pauses.freeze(&*shared.runtime, &namespace, &id).await {
                    tracing::warn!(container = %id, %error, "container of a paused pod is not frozen");
                }
                Done::Frozen
            });
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::RunSandbox { attempt, instead_of } => self.run_sandbox(attempt, instead_of),
            Action::Start { container, attempt, instead_of } => self.start(&container, attempt, instead_of),
            Action::HoldOff { container, until, delay } => self.hold_off(container, until, delay),
            Action::Kill { id, container, message } => {
                let until = self.now() + REPLACEMENT;
                self.memory.replacing.entry(container).or_insert(until);
                let grace = Duration::from_secs(pod::grace_seconds(&self.pod));
                self.kill(&id, grace, message);
            }
            Action::Remove(id) => self.remove_container(id),
            Action::RemoveSandbox(id) => self.remove_sandbox(id),
            Action::Finish => self.begin_stop(),
        }
    }

    /// A pod is admitted once, and then has what it was given. One that is refused fails, but not before its time.
    fn is_admitted(&mut self) -> bool {
        if self.memory.evicted.is_some() || !self.memory.given.is_empty() {
            return true;
        }
        if let Some(refusal) = self.shared.admit(&self.pod) {
            let at = self.refuse_at.unwrap_or_else(|| {
                let message = refusal.message.clone();
                self.shared.record_event(&self.pod, None, EventType::Warning, refusal.reason, message);
                self.when_to_refuse()
            });
            self.refuse_at = Some(at);
            if self.is_ahead(at) {
                self.wake(at);
                return false;
            }
            let message = refusal.status_message();
            self.memory.evicted = Some(Evicted { reason: refusal.reason, message, grace: None });
            return true;
        }
        self.memory.given = resize::asked(pod::spec(&self.pod));
        true
    }

    fn when_to_refuse(&self) -> Timestamp {
        let owners = self.pod.metadata.owner_references.iter().flatten();
        let controller = owners.into_iter().find(|owner| owner.controller == Some(true));
        let Some(controller) = controller else { return self.now() };
        let mut brake = self.shared.brake.lock();
        brake.refuse_at(&controller.uid, self.now())
    }

    /// It never had a sandbox, and gets none.
    pub(super) fn is_refused(&self) -> bool {
        self.ids.is_empty() && self.memory.lost.is_empty() && self.memory.evicted.is_some()
    }

    /// activeDeadlineSeconds.
    fn check_deadline(&mut self) {
        let Some(seconds) = pod::spec(&self.pod).active_deadline_seconds else { return };
        let Some(Time(start)) = self.pod.status.as_ref().and_then(|s| s.start_time.clone()) else { return };
        let end = clock::after(start, Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        if end > self.now() {
            return self.wake(end);
        }
        if self.memory.evicted.is_none() {
            let message = "Pod was active on the node longer than the specified deadline";
            self.shared.record_event(&self.pod, None, EventType::Warning, "DeadlineExceeded", message);
            let message = message.to_owned();
            self.memory.evicted = Some(Evicted { reason: "DeadlineExceeded", message, grace: None });
        }
    }

    /// `ErrImagePull` becomes `ImagePullBackOff`.
    fn change_holds(&mut self) {
        let now = self.now();
        for (name, hold) in &mut self.memory.backed_off {
            let Some((_, reason, message)) = hold.later.take_if(|(at, ..)| *at <= now) else { continue };
            let image = pod::any_container(pod::spec(&self.pod), name).and_then(|c| c.image);
            let backing_off = format!("Back-off pulling image \"{}\"", image.unwrap_or_default());
            self.shared.normal(&self.pod, name, "BackOff", backing_off);
            self.shared.warn(&self.pod, name, "Failed", format!("Error: {reason}"));
            (hold.reason, hold.message) = (reason, message);
        }
    }

    /// Why what its RuntimeClass wants is not here.
    fn without_runtime(&self) -> Option<String> {
        let name = pod::spec(&self.pod).runtime_class_name.as_deref().filter(|name| !name.is_empty())?;
        match self.shared.client.api::<RuntimeClass>().find(&ObjectKey::cluster(name)) {
            Ok(class) => admission::sandbox::without_runtime(name, class.as_ref()),
            Err(status) => Some(format!("failed to lookup RuntimeClass {name}: {status}")),
        }
    }

    fn run_sandbox(&mut self, attempt: u32, instead_of: Vec<SandboxId>) {
        let ports = container_config::host_ports(&self.pod);
        let refusal = admission::sandbox::refusal(&self.pod, &ports, &self.shared.config.own_ports);
        if let Some(why) = refusal.or_else(|| self.without_runtime()) {
            self.sandbox_failed("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {why}"));
            return self.wake_after_hold();
        }
        let (prepared, unprepared) = prepare(&self.shared, &self.pod);
        if let Some(error) = unprepared {
            self.sandbox_failed(error.reason(), error.to_string());
            return self.wake_after_hold();
        }
        self.memory.sandbox_starting = true;
        self.ports_were_freed = false;
        if !instead_of.is_empty() {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            self.shared.record_event(&self.pod, None, EventType::Normal, "SandboxChanged", message);
        }
        let (shared, pod, living) = (self.shared.clone(), self.pod_as_given(), self.living.clone());
        self.jobs.spawn(async move {
            for old in instead_of {
                // what does not work any more can fail to stop as well
                let stop = shared.runtime.stop_sandbox(&old);
                if let Err(error) = shared.work_counts.time(Operation::StopSandbox, stop).await {
                    tracing::warn!(sandbox = %old, %error, "sandbox that does not work does not stop");
                }
            }
            Done::Sandbox(make_sandbox(&shared, &pod, attempt, prepared, &living).await)
        });
    }

    fn wake_after_hold(&mut self) {
        if let Some(at) = self.memory.sandbox_backed_off {
            self.wake(at);
        }
    }

    fn start(&mut self, name: &str, attempt: Option<u32>, instead_of: Option<ContainerId>) {
        let pod = self.pod_as_given();
        let Some(container) = pod::any_container(pod::spec(&pod), name) else { return };
        let Some(sandbox) = self.view().current().cloned() else { return };
        let Some(mounted) = self.mounted.clone() else { return self.volumes.is_stale = true };
        let now = self.now();
        let latest = self.view().latest(name).filter(|c| !self.memory.ended_to_resize.contains(&c.id));
        let ended = latest.and_then(|c| match c.state {
            ContainerState::Exited { finished_at, .. } => Some(finished_at),
            _ => None,
        });
        if let Some(ended) = ended {
            self.memory.backoffs.next(name, ended, now);
        }
        let lost = self.memory.lost.get(name);
        let before = lost.map(|l| u32::try_from(l.restart_count).unwrap_or(0) + 1);
        self.memory.starting = Some(name.to_owned());
        let start = Start {
            shared: self.shared.clone(),
            pod,
            container,
            attempt: attempt.or(before).unwrap_or(0),
            sandbox,
            mounted,
            instead_of,
            living: self.living.clone(),
        };
        let container = name.to_owned();
        self.jobs.spawn(async move { Done::Started { container, outcome: start.run().await } });
    }

    fn hold_off(&mut self, container: String, until: Timestamp, delay: Duration) {
        let who = pod::full_name(&self.pod);
        let seconds = durations::print(delay);
        let event = format!("Back-off restarting failed container {container} in pod {who}");
        self.shared.warn(&self.pod, &container, "BackOff", event);
        let message = format!("back-off {seconds} restarting failed container={container} pod={who}");
        let hold = Backoff { reason: "CrashLoopBackOff", message, until, later: None };
        self.memory.backed_off.insert(container, hold);
    }

    pub(super) fn killer(&self) -> Killer {
        Killer {
            shared: self.shared.clone(),
            pod: self.pod.clone(),
            grace_override: self.grace_override.clone(),
        }
    }

    /// Ends one container, so that the plan starts it again. What it waits for of a server that is gone is aborted only where no
    /// other container of the pod may have something to write there, which would be lost with it.
    pub(super) fn kill(&mut self, id: &ContainerId, grace: Duration, why: String) {
        let found = self.sandboxes.iter().find_map(|s| Some((s, s.containers.iter().find(|c| c.id == *id)?)));
        let Some((sandbox, status)) = found.map(|(s, c)| (s.clone(), c.clone())) else { return };
        self.memory.killing.insert(id.clone());
        let killer = self.killer();
        let dir = pod::has_one_container(pod::spec(&self.pod)).then(|| self.shared.pod_dir(&self.pod));
        let due = nfs::abort_due(grace, self.grace_override.clone());
        self.jobs.spawn(async move {
            let ending = killer.container(&sandbox, &status, grace, Some(why));
            Done::Killed(match dir {
                Some(dir) => nfs::end_or_abort(ending, due, || nfs::abort(&dir)).await,
                None => ending.await,
            })
        });
    }

    fn remove_container(&mut self, id: ContainerId) {
        if !self.removing.insert(id.0.clone()) {
            return;
        }
        self.memory.messages.remove(&id);
        self.memory.started.remove(&id);
        self.memory.ready.remove(&id);
        self.memory.killing.remove(&id);
        self.memory.ended_to_resize.remove(&id);
        let log = self
            .sandboxes
            .iter()
            .flat_map(|s| &s.containers)
            .find(|c| c.id == id)
            .map(|c| c.log_path.clone());
        let shared = self.shared.clone();
        self.jobs.spawn(async move {
            let remove = shared.runtime.remove_container(&id);
            let outcome = shared.work_counts.time(Operation::RemoveContainer, remove).await;
            if let Some(log) = log {
                let _ = tokio::task::spawn_blocking(move || rotate::remove(&log)).await;
            }
            Done::Removed { id: id.0, sandbox: None, outcome }
        });
    }

    pub(super) fn remove_sandbox(&mut self, id: SandboxId) {
        if !self.removing.insert(id.0.clone()) {
            return;
        }
        let shared = self.shared.clone();
        self.jobs.spawn(async move {
            let remove = shared.runtime.remove_sandbox(&id);
            let outcome = shared.work_counts.time(Operation::RemoveSandbox, remove).await;
            Done::Removed { id: id.0.clone(), sandbox: Some(id), outcome }
        });
    }
}

async fn make_sandbox(
    shared: &Arc<Shared>,
    pod: &Arc<Pod>,
    attempt: u32,
    prepared: Vec<(String, Prepared)>,
    living: &CancellationToken,
) -> Result<(SandboxId, Mounted), SandboxError> {
    // drivers may take their time, and what they do not mount needs no sandbox
    let (mounted, prepared) = mount(shared, pod, prepared, living).await;
    let mounted = mounted.map_err(SandboxError::Volume)?;
    let config = &shared.config;
    let resolv = resolv_conf(pod, &Resolv::of_host(), config.cluster_dns, &config.cluster_domain);
    let sandbox = container_config::sandbox(pod, attempt, config, resolv);
    let run = shared.work_counts.time(Operation::RunSandbox, shared.runtime.run_sandbox(sandbox));
    let (mounted, sandbox) = tokio::join!(set_up(shared, pod, prepared, mounted), run);
    match (mounted, sandbox) {
        (Ok(mounted), Ok(sandbox)) => Ok((sandbox.id, mounted)),
        (_, Err(error)) => Err(SandboxError::Runtime(error)),
        (Err(error), Ok(sandbox)) => {
            let remove = shared.runtime.remove_sandbox(&sandbox.id);
            if let Err(error) = shared.work_counts.time(Operation::RemoveSandbox, remove).await {
                tracing::warn!(sandbox = %sandbox.id, %error, "sandbox without volumes stays");
            }
            Err(SandboxError::Volume(error))
        }
    }
}

/// What is left of a time that ends then; a second at least, as upstream gives.
pub(super) fn remaining(end: Timestamp, now: Timestamp) -> Duration {
    clock::since(end, now).max(Duration::from_secs(1))
}
