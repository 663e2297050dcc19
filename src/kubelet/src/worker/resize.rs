//! Carrying out a resize: what the pod asks for is given where there is room, then set for what runs.

use super::Worker;
use super::jobs::Done;
use crate::requests::Pending;
use crate::resize;
use crate::{pod, resources};
use cluster::EventType;
use cri::{ContainerId, CriError, Resources, Runtime, SandboxId};
use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use std::sync::Arc;
use std::time::Duration;

/// Before what could not be set is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// How far a resize is.
#[derive(Default)]
pub(super) struct Resizing {
    is_busy: bool,
    /// What the pod's own cgroup has.
    whole: Option<Resources>,
    again_at: Option<jiff::Timestamp>,
    /// The pod's generation with what it was given and does not have yet.
    begun: Option<i64>,
}

impl Resizing {
    pub fn broke(&mut self, again_at: jiff::Timestamp) {
        (self.is_busy, self.again_at) = (false, Some(again_at));
    }
}

/// One container's new limits.
struct Change {
    id: ContainerId,
    limits: Resources,
    given: ResourceRequirements,
    /// Bytes, where it is to have less memory than before.
    less_memory: Option<i64>,
}

impl Worker {
    pub(super) fn resize(&mut self) {
        self.give();
        self.note_applied();
        if self.resizing.is_busy {
            return;
        }
        if let Some(at) = self.resizing.again_at.filter(|at| self.is_ahead(*at)) {
            return self.wake(at);
        }
        let Some(sandbox) = self.view().current().map(|s| s.id.clone()) else { return };
        let pod = self.pod_as_given();
        let spec = pod::spec(&pod);
        let whole = resources::of_pod(spec);
        let before = self.resizing.whole.get_or_insert_with(|| whole.clone()).clone();
        let view = self.view();
        let (mut changes, mut to_restart) = (Vec::new(), Vec::new());
        for (container, status, old) in resize::all_outdated(view) {
            let Some(given) = view.memory.given.get(&container.name).cloned() else { continue };
            if resize::needs_restart(container.resize_policy.as_deref(), old, &given) {
                to_restart.push((status.id.clone(), container.name.clone()));
                continue;
            }
            let Some(given_container) = pod::any_container(spec, &container.name) else { continue };
            let limits =
                resources::of_container(spec, &given_container, self.shared.config.machine.memory_bytes);
            let old_limit = crate::quantity::value_of(old.limits.as_ref(), "memory");
            let less_memory = limits.memory_limit.filter(|new| old_limit.is_some_and(|old| *new < old));
            changes.push(Change { id: status.id.clone(), limits, given, less_memory });
        }
        if changes.is_empty() && to_restart.is_empty() && before == whole {
            return self.note_completed();
        }
        self.resizing.is_busy = true;
        let runtime = self.shared.runtime.clone();
        // what is begun anew has what it had until then
        let last = if to_restart.is_empty() { whole.clone() } else { resize::larger(&before, &whole) };
        self.jobs.spawn(async move {
            let mut applied = Vec::new();
            let outcome =
                set(&*runtime, &sandbox, [&resize::larger(&before, &whole), &last], changes, &mut applied)
                    .await;
            Done::Resized { whole: last, applied, to_restart, outcome }
        });
    }

    /// What was to be begun anew runs again, too.
    fn note_completed(&mut self) {
        let view = self.view();
        let is_ended = |id: &ContainerId| self.memory.ended_to_resize.contains(id);
        let mut containers =
            pod::init_containers(pod::spec(&self.pod)).iter().chain(&pod::spec(&self.pod).containers);
        if containers.any(|c| view.latest(&c.name).is_some_and(|latest| is_ended(&latest.id))) {
            return;
        }
        if let Some(generation) = self.resizing.begun.take() {
            let told = resize::event("completed", &self.pod_as_given(), generation, None);
            self.shared.record_event(&self.pod, None, EventType::Normal, "ResizeCompleted", told);
        }
    }

    fn generation(&self) -> i64 {
        self.pod.metadata.generation.unwrap_or_default()
    }

    /// All that the pod asks for, or nothing of it.
    fn give(&mut self) {
        if self.memory.given.is_empty() {
            return;
        }
        let waited = self.memory.resize_pending.is_some();
        self.decide();
        let (uid, deferred) = (pod::uid(&self.pod), &self.shared.deferred_resizes);
        match self.memory.resize_pending.is_some() {
            true if !waited => deferred.insert(uid, &self.mailbox),
            false if waited => deferred.remove(uid),
            _ => {}
        }
    }

    fn decide(&mut self) {
        if resize::is_as_asked(pod::spec(&self.pod), &self.memory.given) {
            self.memory.resize_pending = None;
            return;
        }
        let asked = resize::asked(pod::spec(&self.pod));
        if resize::is_same(&asked, &self.memory.given) {
            // perhaps in other units
            self.memory.given = asked;
            self.memory.resize_pending = None;
            return;
        }
        let pending = self.shared.give(&self.pod);
        if let Some(Pending { reason, message }) =
            pending.as_ref().filter(|p| Some(*p) != self.memory.resize_pending.as_ref())
        {
            let event = if *reason == "Infeasible" { "ResizeInfeasible" } else { "ResizeDeferred" };
            let told = resize::event(reason, &self.pod, self.generation(), Some(message.as_str()));
            self.shared.record_event(&self.pod, None, EventType::Warning, event, told);
        }
        if pending.is_none() {
            self.memory.given = asked;
            let generation = self.generation();
            let told = resize::event("started", &self.pod, generation, None);
            self.shared.record_event(&self.pod, None, EventType::Normal, "ResizeStarted", told);
            self.resizing.begun = Some(generation);
            // it may have less than before
            self.shared.deferred_resizes.wake();
            self.memory.resize_error = None;
            self.resizing.again_at = None;
            // files and environments may show it
            self.volumes.is_stale = true;
        }
        self.memory.resize_pending = pending;
    }

    /// Reads once of each container what it was made with, and forgets those that are no more.
    fn note_applied(&mut self) {
        let mut before = std::mem::take(&mut self.memory.applied);
        let all = self.sandboxes.iter().flat_map(|s| &s.containers);
        let applied = all.filter_map(|status| {
            let applied = before.remove(&status.id).or_else(|| resize::made_with(status))?;
            Some((status.id.clone(), applied))
        });
        self.memory.applied = applied.collect();
    }

    /// What its containers are made of, while the pod asks for more than it is given.
    pub(super) fn pod_as_given(&self) -> Arc<Pod> {
        match self.memory.resize_pending {
            None => self.pod.clone(),
            Some(_) => Arc::new(resize::as_given(&self.pod, &self.memory.given)),
        }
    }

    pub(super) fn resized(
        &mut self,
        whole: Resources,
        applied: Vec<(ContainerId, ResourceRequirements)>,
        to_restart: Vec<(ContainerId, String)>,
        outcome: Result<(), CriError>,
    ) {
        self.resizing.is_busy = false;
        self.memory.applied.extend(applied);
        match outcome {
            Ok(()) => {
                self.resizing.whole = Some(whole);
                self.memory.resize_error = None;
                let grace = Duration::from_secs(pod::grace_seconds(&self.pod));
                for (id, name) in to_restart {
                    if !self.memory.killing.contains(&id) {
                        self.memory.ended_to_resize.insert(id.clone());
                        self.kill(&id, grace, format!("Container {name} resize requires restart"));
                    }
                }
            }
            Err(error) => {
                let message = error.to_string();
                if self.memory.resize_error.as_ref() != Some(&message) {
                    let generation = self.resizing.begun.unwrap_or_else(|| self.generation());
                    let told =
                        resize::event("error", &self.pod_as_given(), generation, Some(message.as_str()));
                    self.shared.record_event(&self.pod, None, EventType::Warning, "ResizeError", told);
                }
                self.memory.resize_error = Some(message);
                self.resizing.again_at = Some(self.now() + AGAIN);
            }
        }
    }
}

/// The pod's own limits are never below those of a container.
async fn set(
    runtime: &dyn Runtime,
    sandbox: &SandboxId,
    [first, last]: [&Resources; 2],
    changes: Vec<Change>,
    applied: &mut Vec<(ContainerId, ResourceRequirements)>,
) -> cri::Result<()> {
    runtime.limit_sandbox(sandbox, first).await?;
    for Change { id, limits, given, less_memory } in changes {
        if let Some(limit) = less_memory {
            leaves_what_is_used(runtime, sandbox, &id, limit).await?;
        }
        runtime.limit_container(&id, &limits).await?;
        applied.push((id, given));
    }
    runtime.limit_sandbox(sandbox, last).await
}

/// The kernel would kill for it.
async fn leaves_what_is_used(
    runtime: &dyn Runtime,
    sandbox: &SandboxId,
    id: &ContainerId,
    limit: i64,
) -> cri::Result<()> {
    let stats = runtime.sandbox_stats(sandbox).await?;
    let used = stats.containers.iter().find(|c| c.id == *id).map_or(0, |c| c.memory_working_set);
    if u64::try_from(limit).is_ok_and(|limit| used > limit) {
        let why = format!("attempting to set memory limit ({limit}) below current usage ({used})");
        return Err(CriError::Invalid(why));
    }
    Ok(())
}
