//! A container's way after it was made: start, signals, stop, removal.

use crate::container::Container;
use crate::paths::{ContainerPaths, remove_dir};
use crate::records;
use crate::runtime::{Inner, blocking};
use cri::wire::{ContainerRecord as Seen, ExitRecord, Request};
use cri::{ContainerId, ContainerState, CriError, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const SIGKILL: i32 = 9;
/// A start is answered when the program is there. One that does not come (its file is on a disk that does not answer) is started
/// all the same: as long as its start is waited for nobody ends it.
const PROGRAM_COMES: Duration = Duration::from_secs(5);
/// Of what ended just before it was signalled the shim has told already; it is heard of a moment later.
const END_IS_HEARD: Duration = Duration::from_secs(5);
/// What SIGKILL does not end by then is in the kernel's hands.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

impl Inner {
    pub async fn start_container(self: Arc<Self>, id: ContainerId) -> Result<()> {
        let container = self.container(&id)?;
        let _stays = container.sandbox.gate.read().await;
        let state = container.state.borrow().clone();
        match state {
            ContainerState::Created => {}
            // its first process could not be made, or the sandbox ended before
            ContainerState::Exited { started_at: None, message, .. } => {
                return Err(CriError::Failed(message));
            }
            _ => return Err(CriError::Failed(format!("container {id} was started before"))),
        }
        let doing = format!("start container {}", container.record.config.name);
        let call = container.sandbox.call(&doing, Request::Start { container: id });
        let late = match tokio::time::timeout(PROGRAM_COMES, call).await {
            Ok(answer) => answer.map(|_| None)?,
            Err(_) => Some(CriError::DeadlineExceeded(format!("{doing}: its shim does not answer"))),
        };
        let seen = self.seen(&container).await;
        let is_started = seen.as_ref().is_some_and(|seen| seen.started_at.is_some());
        if let Some(late) = late.filter(|_| !is_started) {
            return Err(late);
        }
        if let Some(seen) = seen {
            // its end is told by the shim, behind what that said before: that its memory ran out
            container.observe(&Seen { exit: None, ..seen }, &self.events);
        }
        Ok(())
    }

    /// What the shim wrote last of the container.
    async fn seen(&self, container: &Container) -> Option<Seen> {
        let paths = container.paths.clone();
        blocking(move || records::read(&paths.status()).ok().flatten()).await
    }

    pub async fn container_exited(&self, id: &ContainerId, exit: ExitRecord) {
        let Some(container) = self.find_container(id) else { return };
        let mut seen = self.seen(&container).await.unwrap_or_default();
        seen.exit = Some(exit);
        let (path, copy) = (container.paths.exit(), seen.clone());
        // told only when it is remembered
        if let Err(e) = blocking(move || records::write(&path, &copy)).await {
            tracing::warn!("write exit of container {id}: {e}");
        }
        container.observe(&seen, &self.events);
    }

    pub async fn stop_container(&self, id: &ContainerId, grace: Duration, signal: Option<i32>) -> Result<()> {
        let Some(container) = self.find_container(id) else { return Ok(()) };
        let running = matches!(*container.state.borrow(), ContainerState::Running { .. });
        if running && !grace.is_zero() {
            self.send(&container, signal.unwrap_or(container.record.stop_signal), false).await?;
            if tokio::time::timeout(grace, container.ended()).await.is_ok() {
                return Ok(());
            }
        }
        self.kill_container(&container).await
    }

    async fn kill_container(&self, container: &Container) -> Result<()> {
        if container.has_ended() {
            return Ok(());
        }
        self.send(container, SIGKILL, true).await?;
        let (cgroups, cgroup) = (self.cgroups.clone(), container.record.cgroup.clone());
        blocking(move || cgroups.let_die(&cgroup)).await;
        match tokio::time::timeout(KILL_PATIENCE, container.ended()).await {
            Ok(_) => Ok(()),
            Err(_) => {
                Err(CriError::DeadlineExceeded(format!("container {} does not end", container.record.id)))
            }
        }
    }

    pub async fn signal_container(&self, id: &ContainerId, signal: i32) -> Result<()> {
        let container = self.container(id)?;
        container.running_pid()?;
        self.send(&container, signal, false).await
    }

    /// A container that has ended meanwhile needs no signal.
    async fn send(&self, container: &Container, signal: i32, all: bool) -> Result<()> {
        let request = Request::Signal { container: container.record.id.clone(), signal, all };
        let doing = format!("signal container {}", container.record.config.name);
        let Err(e) = container.sandbox.call(&doing, request).await else { return Ok(()) };
        tokio::time::timeout(END_IS_HEARD, container.ended()).await.map(drop).map_err(|_| e)
    }

    pub async fn remove_container(self: Arc<Self>, id: ContainerId) -> Result<()> {
        let Some(container) = self.find_container(&id) else { return Ok(()) };
        let _stays = container.sandbox.gate.read().await;
        if container.sandbox.is_ready() {
            self.kill_container(&container).await?;
            let doing = format!("remove container {}", container.record.config.name);
            let removed = container.sandbox.call(&doing, Request::Remove { container: id.clone() }).await;
            // a shim that has just died has unmounted everything
            if removed.is_err() && container.sandbox.is_ready() {
                return removed.map(drop);
            }
        }
        self.forget_container(&id);
        self.clear_container(container.paths.clone(), container.record.cgroup.clone()).await;
        self.empty_trash();
        Ok(())
    }

    /// Directories and cgroups of a container that is no more.
    pub async fn clear_container(self: &Inner, paths: ContainerPaths, cgroup: String) {
        let (hierarchies, trash) = (self.cgroups.clone(), self.paths.clone());
        blocking(move || {
            for failure in hierarchies.end(&cgroup).err().into_iter().flatten() {
                tracing::warn!("{failure}");
            }
            remove_dir(&paths.bundle);
            trash.move_to_trash(&paths.state);
        })
        .await;
    }

    pub async fn freeze_container(&self, id: &ContainerId, frozen: bool) -> Result<()> {
        let container = self.container(id)?;
        container.running_pid()?;
        let doing = format!("{} container {id}", if frozen { "freeze" } else { "thaw" });
        let (cgroups, cgroup) = (self.cgroups.clone(), container.record.cgroup.clone());
        blocking(move || cgroups.set_frozen(&cgroup, frozen)).await.map_err(|e| CriError::failed(doing, e))
    }

    /// Also of one that has ended.
    pub fn writable_layer(&self, id: &ContainerId) -> Result<PathBuf> {
        let container = self.container(id)?;
        let own = container.record.config.root.as_ref().map(|root| root.upper.clone());
        Ok(own.unwrap_or_else(|| container.paths.upper()))
    }

    pub async fn limit_container(&self, id: &ContainerId, resources: &cri::Resources) -> Result<()> {
        let container = self.container(id)?;
        container.running_pid()?;
        let doing = format!("limit container {id}");
        let (cgroups, cgroup, limits) =
            (self.cgroups.clone(), container.record.cgroup.clone(), resources.clone());
        blocking(move || cgroups.limit(&cgroup, &limits)).await.map_err(|e| CriError::failed(doing, e))
    }

    pub async fn limit_sandbox(&self, id: &cri::SandboxId, resources: &cri::Resources) -> Result<()> {
        let cgroup = self.pod_cgroup(&self.sandbox(id)?.record().config);
        let (cgroups, limits) = (self.cgroups.clone(), resources.clone());
        let failed = |e| CriError::failed(format_args!("limit sandbox {id}"), e);
        blocking(move || cgroups.limit(&cgroup, &limits)).await.map_err(failed)
    }

    pub async fn reopen_log(&self, id: &ContainerId) -> Result<()> {
        let container = self.container(id)?;
        if container.has_ended() {
            return Ok(());
        }
        let doing = format!("reopen log of container {}", container.record.config.name);
        container.sandbox.call(&doing, Request::ReopenLog { container: id.clone() }).await.map(drop)
    }
}
