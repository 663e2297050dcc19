//! One worker for each pod: it looks at what is wanted and what runs, plans, starts jobs, and reports. It sleeps until a
//! change of its pod, an event of its sandbox, the end of a job, a probe's verdict or the time that the plan asked for.
//!
//! Jobs (`start`, the killer, volumes, the status write) run beside the worker, so that nothing keeps it from noticing that
//! the pod is to go. Only the worker itself touches what it remembers. Read `Worker::step` first.

mod actions;
mod adopt;
mod certificates;
mod ending;
mod jobs;
mod message;
mod mounting;
mod report;
mod resize;
mod start;
mod supervise;
mod watching;

use crate::mailbox::{Mailbox, Message};
use crate::pod;
use crate::probes::Probers;
use crate::shared::Shared;
use crate::view::{View, WorkerState};
use crate::volumes::{self, Mounted};
use cri::{ContainerId, ContainerState, SandboxId, SandboxStatus};
pub(crate) use ending::tear_down;
use jiff::Timestamp;
use jobs::Done;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
pub(crate) use supervise::supervise;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a stopping daemon waits for a container that is being made just now.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// When the runtime does not answer.
const RETRY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Syncing,
    Terminating,
    /// Nothing of it runs, and nothing will.
    Terminated,
    Removing,
    Gone,
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// The newest that was seen of it.
    pod: Arc<Pod>,
    /// Its object is no more.
    is_gone: bool,
    /// It was over before this process began: its status is history.
    is_history: bool,
    ids: Vec<SandboxId>,
    sandboxes: Vec<SandboxStatus>,
    memory: WorkerState,
    stage: Stage,
    mounted: Option<Mounted>,
    volumes: Volumes,
    jobs: JoinSet<Done>,
    /// Ids of what is being removed.
    removing: HashSet<String>,
    /// Frozen, as long as the pod is paused.
    held: HashSet<ContainerId>,
    resizing: resize::Resizing,
    is_writing: bool,
    /// A pod that is refused fails then.
    refuse_at: Option<Timestamp>,
    /// Host ports became free while its sandbox was being made.
    ports_were_freed: bool,
    probers: Probers,
    mailbox: Mailbox,
    inbox: mpsc::UnboundedReceiver<Message>,
    /// When it was first seen; `None` once it runs, and of one that ran before.
    came: Option<Instant>,
    wake_at: Option<Timestamp>,
    /// The next try after something would not end.
    end_again_at: Option<Timestamp>,
    /// The next try after the status was not written.
    write_again_at: Option<Timestamp>,
    deadline: Option<Timestamp>,
    /// Cancelled when the pod is to end.
    living: CancellationToken,
    /// Cancelled when its grace is over.
    grace_override: CancellationToken,
}

/// How far a pod's volumes are.
#[derive(Default)]
struct Volumes {
    is_busy: bool,
    /// Something changed while they were being written.
    is_stale: bool,
    hold: Option<Timestamp>,
    /// When their tokens must be new.
    refresh_at: Option<Timestamp>,
    are_gone: bool,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, pod: Arc<Pod>, sandboxes: Vec<SandboxStatus>) -> Self {
        let mut worker = Self::idle(shared, pod, sandboxes);
        worker.adopt();
        worker
    }

    fn idle(shared: Arc<Shared>, pod: Arc<Pod>, sandboxes: Vec<SandboxStatus>) -> Self {
        let (mailbox, inbox) = mpsc::unbounded_channel();
        Worker {
            is_gone: false,
            is_history: pod::is_over(&pod),
            came: (sandboxes.is_empty() && !is_running(pod.status.as_ref())).then(Instant::now),
            ids: sandboxes.iter().map(|s| s.id.clone()).collect(),
            sandboxes,
            memory: WorkerState::default(),
            stage: Stage::Syncing,
            mounted: None,
            volumes: Volumes::default(),
            jobs: JoinSet::new(),
            removing: HashSet::new(),
            held: HashSet::new(),
            resizing: resize::Resizing::default(),
            is_writing: false,
            refuse_at: None,
            ports_were_freed: false,
            probers: Probers::default(),
            mailbox,
            inbox,
            wake_at: None,
            end_again_at: None,
            write_again_at: None,
            deadline: None,
            living: CancellationToken::new(),
            grace_override: CancellationToken::new(),
            shared,
            pod,
        }
    }

    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Until nothing is left of the pod, or the daemon stops.
    async fn run(&mut self, stop: &CancellationToken) {
        loop {
            self.step().await;
            if self.stage == Stage::Gone {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = self.jobs.join_next() => self.finish(done),
                Some(message) = self.inbox.recv() => self.hear(message),
                () = sleep(self.wake_at.map(|at| self.shared.clock.until(at))) => {}
            }
            while let Some(done) = self.jobs.try_join_next() {
                self.finish(done);
            }
            while let Ok(message) = self.inbox.try_recv() {
                self.hear(message);
            }
        }
        self.leave().await;
    }

    /// The daemon stops, the pod goes on: a container that is half made is made whole first, and a driver that mounts is heard.
    async fn leave(&mut self) {
        self.living.cancel();
        let half_made = async {
            while self.memory.starting.is_some() || self.memory.sandbox_starting || self.volumes.is_busy {
                let Some(done) = self.jobs.join_next().await else { return };
                self.finish(done);
            }
        };
        if tokio::time::timeout(STOP_GRACE, half_made).await.is_err() {
            tracing::warn!(
                pod = pod::full_name(&self.pod),
                "a container or a volume was still being made when the daemon stopped"
            );
        }
    }

    async fn step(&mut self) {
        self.wake_at = None;
        self.look_at_pod();
        if let Err(error) = self.look_at_sandboxes().await {
            tracing::warn!(pod = pod::full_name(&self.pod), %error, "the runtime does not say what runs");
            return self.wake(self.now() + RETRY);
        }
        self.note_ends().await;
        match self.stage {
            Stage::Syncing => self.sync(),
            Stage::Terminating => self.sync_terminating(),
            Stage::Terminated => self.sync_terminated(),
            Stage::Removing | Stage::Gone => {}
        }
        self.sync_probes();
        self.report();
        for at in [self.end_again_at, self.write_again_at].into_iter().flatten() {
            if self.is_ahead(at) {
                self.wake(at);
            }
        }
    }

    fn look_at_pod(&mut self) {
        match self.shared.known.get(&pod::key(&self.pod)).filter(|p| pod::uid(p) == pod::uid(&self.pod)) {
            Some(known) if is_newer(&known, &self.pod) => self.take(known),
            Some(_) => {}
            None => self.is_gone = true,
        }
    }

    /// A newer version of the pod. Files that show its labels and annotations follow them.
    fn take(&mut self, pod: Arc<Pod>) {
        let shown = |pod: &Pod| (pod.metadata.labels.clone(), pod.metadata.annotations.clone());
        let differs = shown(&pod) != shown(&self.pod);
        self.volumes.is_stale |= differs && volumes::shows_metadata(&pod);
        self.pod = pod;
        if differs {
            // an environment or a subPathExpr may be made of them
            self.release_config_holds();
        }
    }

    async fn look_at_sandboxes(&mut self) -> cri::Result<()> {
        self.sandboxes = self.shared.look_at(&self.ids).await?;
        Ok(())
    }

    /// Keeps what ended containers said, before their files go.
    async fn note_ends(&mut self) {
        let ended = |c: &&cri::ContainerStatus| matches!(c.state, ContainerState::Exited { .. });
        let all = self.sandboxes.iter().flat_map(|s| &s.containers).filter(ended);
        let new: Vec<_> = all.filter(|c| !self.memory.messages.contains_key(&c.id)).cloned().collect();
        if new.is_empty() {
            return;
        }
        let pod_dir = self.shared.pod_dir(&self.pod);
        let read = tokio::task::spawn_blocking(move || {
            new.into_iter().map(|c| (message::of_ended(&pod_dir, &c), c.id)).collect::<Vec<_>>()
        });
        let said = read.await.unwrap_or_default();
        self.memory.messages.extend(said.into_iter().map(|(message, id)| (id, message)));
    }

    fn view(&self) -> View<'_> {
        View { pod: &self.pod, sandboxes: &self.sandboxes, memory: &self.memory, now: self.now() }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn is_ahead(&self, at: Timestamp) -> bool {
        at > self.now()
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

fn is_running(status: Option<&PodStatus>) -> bool {
    status.and_then(|status| status.phase.as_deref()) == Some("Running")
}

/// For ever, where there is nothing to wait for.
async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Revisions count up; one that can not be read gives way.
fn is_newer(this: &Pod, that: &Pod) -> bool {
    let revision = |pod: &Pod| pod.metadata.resource_version.as_deref().and_then(|v| v.parse::<u64>().ok());
    revision(this) >= revision(that)
}
