//! What plans and statuses are made of. A worker puts it together for each look at its pod; who decides reads nothing else.

use crate::backoff::Backoffs;
use crate::pod;
use crate::requests::{Allocation, Pending};
use cri::{ContainerId, ContainerState, ContainerStatus, SandboxId, SandboxState, SandboxStatus};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, Pod, ResourceRequirements};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// All that a plan or a status is made of: what is wanted, what runs, what is remembered, and the time.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub pod: &'a Pod,
    /// Oldest first.
    pub sandboxes: &'a [SandboxStatus],
    pub memory: &'a WorkerState,
    pub now: Timestamp,
}

/// What a worker knows that neither the cluster nor the runtime says. Losing it with the process costs no truth: only
/// delays begin anew.
#[derive(Debug, Default)]
pub struct WorkerState {
    /// Why a container is not being started now.
    pub backed_off: HashMap<String, Backoff>,
    pub backoffs: Backoffs,
    /// Containers whose startup probe succeeded.
    pub started: HashSet<ContainerId>,
    /// Containers whose readiness probe says so.
    pub ready: HashSet<ContainerId>,
    /// Containers that the cluster says ran, and the runtime does not know.
    pub lost: HashMap<String, Lost>,
    /// The one container that is being made just now.
    pub starting: Option<String>,
    pub sandbox_starting: bool,
    /// No sandbox before this.
    pub sandbox_backed_off: Option<Timestamp>,
    pub killing: HashSet<ContainerId>,
    /// Containers that were ended because their image was changed, until they are started again, and until when their pod's
    /// status waits for that.
    pub replacing: HashMap<String, Timestamp>,
    /// What ended containers said.
    pub messages: HashMap<ContainerId, String>,
    /// What each container is given, by its name: what the pod asked for when there was room.
    pub given: Allocation,
    /// What containers run with: what they were made with, until they are resized.
    pub applied: HashMap<ContainerId, ResourceRequirements>,
    /// Containers that were ended to be begun anew with other resources: they did not fail, and wait for nothing.
    pub ended_to_resize: HashSet<ContainerId>,
    /// Why the pod is not given what it asks for.
    pub resize_pending: Option<Pending>,
    /// Why what it is given is not set.
    pub resize_error: Option<String>,
    /// The pod as a whole is to end for this reason.
    pub evicted: Option<Evicted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    pub reason: &'static str,
    pub message: String,
    /// How long its containers get to end, where that is not the pod's own grace period.
    pub grace: Option<Duration>,
}

#[derive(Debug, Clone)]
pub struct Lost {
    pub restart_count: i32,
    pub state: ContainerStateTerminated,
    pub image: String,
    pub image_id: String,
}

/// A container waits, for a reason that its status shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    pub reason: &'static str,
    pub message: String,
    pub until: Timestamp,
    /// From then on another reason is shown: `ErrImagePull` becomes `ImagePullBackOff`.
    pub later: Option<(Timestamp, &'static str, String)>,
}

impl Backoff {
    pub fn next_change(&self) -> Timestamp {
        self.later.as_ref().map_or(self.until, |(at, ..)| (*at).min(self.until))
    }
}

impl<'a> View<'a> {
    /// The newest sandbox, where it works.
    pub fn current(&self) -> Option<&'a SandboxStatus> {
        self.sandboxes.last().filter(|s| s.state == SandboxState::Ready)
    }

    /// The tries at a container, the newest first.
    pub fn tries(&self, name: &str) -> Vec<&'a ContainerStatus> {
        let mut tries: Vec<_> =
            self.sandboxes.iter().flat_map(|s| &s.containers).filter(|c| c.name == name).collect();
        tries.sort_by_key(|c| std::cmp::Reverse((c.attempt, c.created_at)));
        tries
    }

    pub fn latest(&self, name: &str) -> Option<&'a ContainerStatus> {
        let all = self.sandboxes.iter().flat_map(|s| &s.containers);
        all.filter(|c| c.name == name).max_by_key(|c| (c.attempt, c.created_at))
    }

    pub fn latest_in(&self, name: &str, sandbox: &SandboxId) -> Option<&'a ContainerStatus> {
        self.latest(name).filter(|c| c.sandbox == *sandbox)
    }

    /// It runs, its hook is done and its startup probe, where it has one, succeeded.
    pub fn is_started(&self, container: &Container, status: &ContainerStatus) -> bool {
        matches!(status.state, ContainerState::Running { .. })
            && self.memory.starting.as_deref() != Some(&container.name)
            && (container.startup_probe.is_none() || self.memory.started.contains(&status.id))
    }

    pub fn is_ready(&self, container: &Container, status: &ContainerStatus) -> bool {
        self.is_started(container, status)
            && (container.readiness_probe.is_none() || self.memory.ready.contains(&status.id))
    }

    /// Every container that must be done before the others start is done; or was, when the others started.
    pub fn is_initialized(&self) -> bool {
        let Some(sandbox) = self.current() else { return false };
        let spec = pod::spec(self.pod);
        spec.containers.iter().any(|c| self.latest_in(&c.name, &sandbox.id).is_some())
            || pod::init_containers(spec).iter().all(|c| self.init_is_done(c, &sandbox.id))
    }

    pub fn init_is_done(&self, container: &Container, sandbox: &SandboxId) -> bool {
        match self.latest_in(&container.name, sandbox) {
            Some(status) if pod::is_sidecar(container) => self.is_started(container, status),
            Some(status) => matches!(status.state, ContainerState::Exited { exit_code: 0, .. }),
            None => false,
        }
    }
}
