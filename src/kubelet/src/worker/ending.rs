//! The end of a pod: its containers stop, its last status is written, and then nothing of it stays on the machine.

use super::actions::remaining;
use super::jobs::Done;
use super::{Stage, Worker};
use crate::clock::after;
use crate::container_config::log_directory;
use crate::shared::Shared;
use crate::view::Evicted;
use crate::volumes::nfs;
use crate::work_counts::Operation;
use crate::{csi, pod, volumes};
use cluster::{DeleteOptions, EventType, unless_replaced};
use cri::{CriError, SandboxId, blocking};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const EVICTED: &str = "Evicted";
const EVICTION_GRACE: Duration = Duration::from_secs(1); // upstream's immediateEvictionGracePeriodSeconds

impl Worker {
    pub(super) fn begin_stop(&mut self) {
        self.living.cancel();
        self.shared.limited.remove(pod::uid(&self.pod));
        if self.memory.starting.is_some() || self.memory.sandbox_starting || self.volumes.is_busy {
            return;
        }
        if self.end_again_at.is_some_and(|at| self.is_ahead(at)) {
            return;
        }
        let end = self.end();
        let grace = remaining(end, self.now());
        self.deadline = Some(end);
        self.stage = Stage::Terminating;
        let (killer, sandboxes) = (self.killer(), self.sandboxes.clone());
        let dir = self.shared.pod_dir(&self.pod);
        let due = nfs::abort_due(grace, self.grace_override.clone());
        self.jobs.spawn(async move {
            let ending = killer.all(sandboxes, grace);
            Done::Stopped(nfs::end_or_abort(ending, due, || nfs::abort(&dir)).await)
        });
    }

    /// When its grace is over. A deletion says so itself.
    fn end(&self) -> Timestamp {
        let asked = self.pod.metadata.deletion_timestamp.as_ref();
        // it is stored without its fraction
        let asked = asked.map(|Time(at)| after(*at, Duration::from_secs(1)));
        let evicted = self.memory.evicted.as_ref().and_then(|evicted| evicted.grace);
        let own = evicted.unwrap_or_else(|| Duration::from_secs(pod::grace_seconds(&self.pod)));
        let own = after(self.now(), own);
        asked.map_or(own, |asked| asked.min(own))
    }

    /// A second deletion may leave less time than the first.
    pub(super) fn sync_terminating(&mut self) {
        let now = self.now();
        let deleted = self.is_gone || pod::is_deleting(&self.pod);
        let Some(deadline) = self.deadline.filter(|_| deleted && !self.grace_override.is_cancelled()) else {
            return;
        };
        let end = self.end();
        if end >= deadline {
            return;
        }
        match end <= now {
            true => self.grace_override.cancel(),
            false => self.wake(end),
        }
    }

    pub(super) fn sync_terminated(&mut self) {
        if self.end_again_at.is_some_and(|at| self.is_ahead(at)) {
            return;
        }
        let deleted = self.is_gone || pod::is_deleting(&self.pod);
        match deleted {
            true if self.volumes.is_busy => {}
            true if self.is_gone || self.is_reported() => self.begin_removal(),
            true => {}
            false => {
                self.drop_volumes();
                self.drop_containers();
            }
        }
    }

    /// What the containers of an evicted pod have written goes, as upstream's `ShouldPodContentBeRemoved` has it: that was why.
    /// Its status, which tells what they came to, is history from then on.
    fn drop_containers(&mut self) {
        let is_evicted = self.memory.evicted.as_ref().is_some_and(|evicted| evicted.reason == EVICTED);
        if !is_evicted || !self.is_reported() {
            return;
        }
        self.is_history = true;
        for id in self.ids.clone() {
            self.remove_sandbox(id);
        }
    }

    /// One that goes already, or is over, is let be.
    pub(super) fn evict(&mut self, why: String) {
        if self.stage != Stage::Syncing || self.memory.evicted.is_some() || pod::is_over(&self.pod) {
            return;
        }
        self.shared.record_event(&self.pod, None, EventType::Warning, EVICTED, why.clone());
        self.memory.evicted = Some(Evicted { reason: EVICTED, message: why, grace: Some(EVICTION_GRACE) });
    }

    /// It ended by itself: its object and logs stay, its volumes do not.
    fn drop_volumes(&mut self) {
        if self.volumes.are_gone || self.volumes.is_busy {
            return;
        }
        self.volumes.is_busy = true;
        let (shared, dir) = (self.shared.clone(), self.shared.pod_dir(&self.pod));
        self.jobs.spawn(async move { Done::VolumesGone(tear_down(&shared, dir).await) });
    }

    fn begin_removal(&mut self) {
        self.stage = Stage::Removing;
        let (shared, pod) = (self.shared.clone(), self.pod.clone());
        let (ids, is_gone) = (self.ids.clone(), self.is_gone);
        self.jobs.spawn(async move { Done::Cleaned(remove(&shared, &pod, &ids, is_gone).await) });
    }
}

/// The object goes last: whoever sees it gone may use its ports and names again.
async fn remove(shared: &Arc<Shared>, pod: &Pod, ids: &[SandboxId], is_gone: bool) -> Result<(), String> {
    for id in ids {
        let remove = shared.runtime.remove_sandbox(id);
        match shared.work_counts.time(Operation::RemoveSandbox, remove).await {
            Ok(()) | Err(CriError::NotFound(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    tear_down(shared, shared.pod_dir(pod)).await?;
    let logs = log_directory(pod, &shared.config);
    blocking(move || remove_dir(&logs)).await.map_err(|e| format!("remove its logs: {e}"))?;
    if is_gone {
        return Ok(());
    }
    let deleted = shared.pods.delete(&pod::key(pod), DeleteOptions::now(pod::uid(pod))).await;
    // another pod of this name is none of ours
    unless_replaced(deleted).map(drop).map_err(|status| status.to_string())
}

/// What drivers have mounted they take back first: nothing of it is removed by anybody else.
pub(crate) async fn tear_down(shared: &Shared, dir: std::path::PathBuf) -> Result<(), String> {
    let (devices, of) = (shared.devices.clone(), dir.clone());
    tokio::task::spawn_blocking(move || devices.release(&of)).await.map_err(|e| e.to_string())?;
    csi::unmount_pod(shared, &dir).await?;
    let devices = shared.devices.clone();
    let done = blocking(move || volumes::tear_down(&dir, &devices)).await;
    done.map_err(|e| format!("remove its volumes: {e}"))
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match trees::remove(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
