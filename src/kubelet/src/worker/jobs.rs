//! What runs beside a worker, and what becomes of it.

use super::start::Started;
use super::{Message, RETRY, Stage, Worker};
use crate::clock::after;
use crate::pod_certificates::{Place, Refusal, Requested};
use crate::view::Backoff;
use crate::volumes::{Mounted, VolumeError};
use crate::{backoff, csi, pod, volumes};
use api::{Reason, Status};
use cluster::EventType;
use cri::{ContainerId, CriError, Resources, SandboxId};
use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// A job's end.
pub(super) enum Done {
    Sandbox(Result<(SandboxId, Mounted), SandboxError>),
    Started {
        container: String,
        outcome: Started,
    },
    Volumes(Result<Mounted, VolumeError>),
    CertificateRequested {
        place: Place,
        outcome: Result<Requested, Refusal>,
    },
    VolumesGone(Result<(), String>),
    Frozen,
    Killed(Result<(), CriError>),
    Resized {
        whole: Resources,
        applied: Vec<(ContainerId, ResourceRequirements)>,
        to_restart: Vec<(ContainerId, String)>,
        outcome: Result<(), CriError>,
    },
    Removed {
        id: String,
        sandbox: Option<SandboxId>,
        outcome: Result<(), CriError>,
    },
    Written(Result<Arc<Pod>, Status>),
    Stopped(Result<(), CriError>),
    Cleaned(Result<(), String>),
}

pub(super) enum SandboxError {
    Volume(VolumeError),
    Runtime(CriError),
}

/// Upstream's next look at a pod whose pull failed: until then the pull's own error is shown.
const SHOW_PULL_ERROR: Duration = Duration::from_secs(1);
/// Upstream looks at a pod again after a minute to a minute and a half, and asks drivers that want to be asked.
const REPUBLISH: Duration = Duration::from_secs(60);
const RETRY_WRITE: Duration = Duration::from_secs(1);

/// What waits longer after each failure, besides containers: a blank is in no container's name.
const SANDBOX: &str = "the sandbox";
const VOLUMES: &str = "the volumes";
const END: &str = "the end";

impl Worker {
    pub(super) fn finish(&mut self, done: Result<Done, JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) => return self.job_broke(&error),
        };
        match done {
            Done::Sandbox(outcome) => self.sandbox_done(outcome),
            Done::Started { container, outcome } => self.start_done(&container, outcome),
            Done::Volumes(outcome) => self.volumes_done(outcome),
            Done::CertificateRequested { place, outcome } => self.certificate_requested(&place, outcome),
            Done::VolumesGone(Ok(())) => {
                self.shared.certificates.forget(pod::uid(&self.pod));
                self.volumes = super::Volumes { are_gone: true, ..Default::default() }
            }
            Done::VolumesGone(Err(why)) => {
                self.volumes.is_busy = false;
                self.failed_to_end(&why);
            }
            Done::Frozen | Done::Killed(Ok(())) => {}
            Done::Killed(Err(error)) => {
                // what would not end is tried again when something wakes the worker
                self.memory.killing.clear();
                self.failed_to_end(&error);
            }
            Done::Resized { whole, applied, to_restart, outcome } => {
                self.resized(whole, applied, to_restart, outcome);
            }
            Done::Removed { id, sandbox, outcome } => self.removed(&id, sandbox, outcome),
            Done::Written(outcome) => self.written(outcome),
            Done::Stopped(Ok(())) => self.stage = Stage::Terminated,
            Done::Stopped(Err(error)) => {
                self.stage = Stage::Syncing;
                self.failed_to_end(&error);
            }
            Done::Cleaned(Ok(())) => {
                self.ids.iter().for_each(|id| self.shared.sandbox_index.remove(id));
                self.shared.deferred_resizes.remove(pod::uid(&self.pod));
                self.shared.admitted.remove(pod::uid(&self.pod));
                self.shared.certificates.forget(pod::uid(&self.pod));
                self.stage = Stage::Gone;
            }
            Done::Cleaned(Err(why)) => {
                self.stage = Stage::Terminated;
                self.failed_to_end(&why);
            }
        }
    }

    /// A job that panicked said so itself; what it held is free again.
    fn job_broke(&mut self, error: &JoinError) {
        tracing::error!(pod = pod::full_name(&self.pod), %error, "a step of the pod's worker panicked; the worker looks again");
        // what broke for its own sake will break again: not at once
        let until = self.now() + RETRY;
        if let Some(container) = self.memory.starting.take() {
            let message = "a step of its start broke".to_owned();
            let hold = Backoff { reason: "CreateContainerError", message, until, later: None };
            self.memory.backed_off.insert(container, hold);
        }
        if std::mem::take(&mut self.memory.sandbox_starting) {
            self.memory.sandbox_backed_off = Some(until);
        }
        self.is_writing = false;
        self.volumes.is_busy = false;
        self.resizing.broke(until);
        self.shared.certificates.forget_asking(pod::uid(&self.pod));
        if matches!(self.stage, Stage::Terminating | Stage::Removing) {
            self.stage = Stage::Syncing;
        }
        self.failed_to_end(&"a job of its worker broke");
    }

    fn sandbox_done(&mut self, outcome: Result<(SandboxId, Mounted), SandboxError>) {
        self.memory.sandbox_starting = false;
        match outcome {
            Ok((sandbox, mounted)) => {
                self.memory.backoffs.forget(SANDBOX);
                self.memory.sandbox_backed_off = None;
                self.shared.sandbox_index.insert(&sandbox, pod::uid(&self.pod), &self.mailbox);
                self.ids.push(sandbox);
                self.volumes_are(mounted);
                self.shared.limited.insert(&self.pod, &self.mailbox);
            }
            Err(SandboxError::Volume(VolumeError::GivenUp)) => {}
            Err(SandboxError::Volume(error)) => self.sandbox_failed(error.reason(), error.to_string()),
            Err(SandboxError::Runtime(error)) => {
                self.sandbox_failed(
                    "FailedCreatePodSandBox",
                    format!("Failed to create pod sandbox: {error}"),
                );
                if std::mem::take(&mut self.ports_were_freed) {
                    self.memory.sandbox_backed_off = None;
                }
            }
        }
    }

    pub(super) fn sandbox_failed(&mut self, reason: &'static str, message: String) {
        self.shared.record_event(&self.pod, None, EventType::Warning, reason, message);
        let now = self.now();
        let delay = self.memory.backoffs.next(SANDBOX, now, now);
        self.memory.sandbox_backed_off = Some(now + delay);
    }

    fn start_done(&mut self, container: &str, outcome: Started) {
        self.memory.starting = None;
        self.memory.replacing.remove(container);
        let error = match outcome {
            Started::GivenUp => return,
            Started::Runs => {
                self.memory.backed_off.remove(container);
                return self.memory.backoffs.forget(&image_key(container));
            }
            Started::Failed(error) => error,
        };
        let now = self.now();
        let delay = self.memory.backoffs.next(&image_key(container), now, now);
        let image = error.image.unwrap_or_default();
        let later = (error.reason == "ErrImagePull").then(|| {
            let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", error.message);
            (now + SHOW_PULL_ERROR, "ImagePullBackOff", message)
        });
        let until = if error.has_ended { now } else { now + delay };
        let hold = Backoff { reason: error.reason, message: error.message, until, later };
        self.memory.backed_off.insert(container.to_owned(), hold);
    }

    fn volumes_done(&mut self, outcome: Result<Mounted, VolumeError>) {
        self.volumes.is_busy = false;
        match outcome {
            Ok(mounted) => self.volumes_are(mounted),
            Err(VolumeError::GivenUp) => {}
            Err(error) => {
                self.shared.record_event(
                    &self.pod,
                    None,
                    EventType::Warning,
                    error.reason(),
                    error.to_string(),
                );
                let now = self.now();
                let delay = self.memory.backoffs.next(VOLUMES, now, now);
                self.volumes.hold = Some(now + delay);
            }
        }
    }

    fn volumes_are(&mut self, mounted: Mounted) {
        self.mounted = Some(mounted);
        self.volumes.hold = None;
        let again = csi::is_republished(&self.shared, &self.pod).then(|| self.now() + REPUBLISH);
        let token = volumes::token_refresh(&self.pod, self.now());
        self.volumes.refresh_at = token.into_iter().chain(again).min();
        self.memory.backoffs.forget(VOLUMES);
    }

    fn removed(&mut self, id: &str, sandbox: Option<SandboxId>, outcome: Result<(), CriError>) {
        if let Err(error) = outcome {
            // it stays in the set: it is tried again with the whole pod
            return tracing::warn!(id, %error, "dead container or sandbox is not removed");
        }
        self.removing.remove(id);
        if let Some(sandbox) = sandbox {
            self.shared.sandbox_index.remove(&sandbox);
            self.ids.retain(|known| *known != sandbox);
        }
    }

    fn written(&mut self, outcome: Result<Arc<Pod>, Status>) {
        self.is_writing = false;
        match outcome {
            Ok(pod) if super::is_newer(&pod, &self.pod) => self.take(pod),
            Ok(_) => {}
            Err(status) if status.is(Reason::NotFound) => {}
            Err(status) => {
                tracing::warn!(pod = pod::full_name(&self.pod), %status, "status is not written");
                self.write_again_at = Some(self.now() + RETRY_WRITE);
            }
        }
    }

    fn failed_to_end(&mut self, why: &dyn std::fmt::Display) {
        let message = format!("error killing pod: {why}");
        self.shared.record_event(&self.pod, None, EventType::Warning, "FailedKillPod", message);
        let now = self.now();
        let delay = self.memory.backoffs.next(END, now, now);
        self.end_again_at = Some(now + delay);
    }

    pub(super) fn hear(&mut self, message: Message) {
        match message {
            Message::Look => {}
            // it says how much grace whoever deleted it left
            Message::Gone(pod) => self.pod = pod,
            Message::SourcesChanged => self.sources_changed(),
            Message::PortsFreed => self.ports_freed(),
            Message::ClockSet => self.clock_was_set(),
            Message::DriverRegistered => self.driver_registered(),
            Message::Probed(verdict) => self.probed(&verdict),
            Message::StorageExceeded(why) => self.evict(why),
        }
    }

    /// A host port that was taken may be free: a sandbox that waits is tried at once, one that is being made if it fails.
    fn ports_freed(&mut self) {
        match self.memory.sandbox_starting {
            true => self.ports_were_freed = true,
            false => self.memory.sandbox_backed_off = None,
        }
    }

    /// A volume that could not be mounted, or be taken back, is tried again at once.
    fn driver_registered(&mut self) {
        let now = self.now();
        self.volumes.hold = self.volumes.hold.map(|_| now);
        self.memory.sandbox_backed_off = None;
        self.end_again_at = None;
    }

    /// What waited for a source waits no longer.
    pub(super) fn sources_changed(&mut self) {
        self.volumes.is_stale = true;
        self.volumes.hold = None;
        self.memory.sandbox_backed_off = None;
        self.release_config_holds();
    }

    /// A token may have ended while the machine slept, or not have begun where the clock was set back, and what waits for a time may have
    /// that behind it, or a year away: files are written anew, and what has failed is tried again.
    fn clock_was_set(&mut self) {
        self.sources_changed();
        self.volumes.refresh_at = None;
        (self.end_again_at, self.write_again_at) = (None, None);
        let latest = after(self.now(), backoff::LAST);
        for hold in self.memory.backed_off.values_mut() {
            hold.until = hold.until.min(latest);
        }
    }

    /// What could not be described is tried again at once.
    pub(super) fn release_config_holds(&mut self) {
        let now = self.now();
        for hold in self.memory.backed_off.values_mut().filter(|h| h.reason == "CreateContainerConfigError") {
            hold.until = now;
        }
    }
}

/// A container's tries that failed before it ran wait by themselves.
pub(super) fn image_key(container: &str) -> String {
    format!("start {container}")
}
