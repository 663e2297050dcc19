//! A container's life: made, started, stopped, removed. Each start is a new sandbox over the same writable directory; when it
//! ends the sandbox goes, and with it address and ports.

use crate::endpoint_settings::Endpoints;
use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::network_mode::shared_with;
use crate::record::{Container, Ended, Record, Running, State};
use crate::{health, plan, recover, removable, signals, volumes};
use cri::{ContainerId, ContainerState, SandboxId, SandboxStatus, blocking};
use jiff::Timestamp;
use nix::sys::signal::Signal;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Docker's, between the stop signal and SIGKILL.
const STOP_GRACE: Duration = Duration::from_secs(10);

impl Engine {
    /// False where it runs already.
    pub(crate) async fn start(self: &Arc<Self>, container: &Arc<Container>) -> Result<bool> {
        let _alone = container.gate.lock().await;
        match container.see(|r| r.state.clone()) {
            State::Running(running) if running.paused => {
                return Err(ApiError::conflict("cannot start a paused container, try unpause instead"));
            }
            State::Running(_) | State::Starting(..) => return Ok(false),
            State::Removed(_) => return Err(ApiError::no_container(&container.see(|r| r.id.clone()))),
            _ => {}
        }
        container.change(|r| {
            (r.manually_stopped, r.restart_count, r.short_runs) = (false, 0, 0);
            true
        });
        self.container_start(container).await.map(|()| true)
    }

    /// With the gate held.
    pub(crate) async fn container_start(self: &Arc<Self>, container: &Arc<Container>) -> Result<()> {
        self.share_name(container).map_err(|e| self.cannot_start(container, e))?;
        let record = container.record();
        self.enter_volumes(&record).await.map_err(|e| self.cannot_start(container, e))?;
        let begun = self.start_with_volumes(container, &record).await;
        if begun.is_err() {
            self.leave_volumes(&record).await;
        }
        begun
    }

    async fn start_with_volumes(self: &Arc<Self>, container: &Arc<Container>, record: &Record) -> Result<()> {
        let endpoints = self.allocate_endpoints(record).map_err(|e| self.cannot_start(container, e))?;
        let begun = self.start_sandbox(container, record.clone(), endpoints).await;
        if begun.is_err() {
            self.networks.release(&record.id, None);
        }
        begun
    }

    async fn start_sandbox(
        self: &Arc<Self>,
        container: &Arc<Container>,
        record: Record,
        endpoints: Endpoints,
    ) -> Result<()> {
        let mut config = plan::sandbox(&record, &self.config, container.dir())?;
        self.join_namespaces(&record.host, &mut config).map_err(|e| self.cannot_start(container, e))?;
        let connected = self.run_connected(&record, &endpoints, config).await;
        let sandbox = connected.map_err(|e| self.cannot_start(container, e))?;
        if let Err(refusal) = self.start_container_in(container, &sandbox, endpoints).await {
            let before = record.state;
            container.change(|r| {
                r.state = before;
                true
            });
            self.serve_no_names(&record.id);
            self.take_away(&sandbox.id).await;
            return Err(self.cannot_start(container, refusal));
        }
        self.tell_networks("connect", &container.record());
        self.events.volumes("mount", &container.record());
        self.events.container("start", &container.record(), &[]);
        self.refresh_hosts();
        health::watch(self, container);
        Ok(())
    }

    async fn start_container_in(
        self: &Arc<Self>,
        container: &Arc<Container>,
        sandbox: &SandboxStatus,
        endpoints: Endpoints,
    ) -> Result<()> {
        let mut config = plan::container(&container.record(), container)?;
        let files = self
            .write_etc_files(container)
            .map_err(|e| ApiError::failed("write the container's own files", e))?;
        mark(&container.upper()).map_err(|e| ApiError::failed("mark the container", e))?;
        config.mounts.extend(files);
        // what was said itself wins
        config.env.splice(..0, self.link_variables(&container.record()));
        let id = self.runtime.create_container(&sandbox.id, config).await?;
        let running = Running {
            sandbox: sandbox.id.clone(),
            container: id.clone(),
            pid: 0,
            ip: sandbox.ip,
            endpoints,
            started_at: Timestamp::now(),
            paused: false,
        };
        // before it starts: it may end at once
        container.change(|r| {
            r.state = State::Starting(running, Box::new(r.state.clone()));
            true
        });
        // who shares another one's network has its files and its names
        if container.see(|r| shared_with(&r.host.network_mode).is_none()) {
            self.rewrite_files(container);
            self.serve_names(container).await;
        }
        self.serve_attachers(container, &id).await;
        self.runtime.start_container(&id).await?;
        if let Ok(status) = self.runtime.container(&id).await
            && let ContainerState::Running { pid, started_at } = status.state
        {
            container.change(|r| r.has_begun(&id, pid, started_at));
        }
        Ok(())
    }

    /// Those who wait for it see it from its first byte.
    async fn serve_attachers(&self, container: &Container, id: &ContainerId) {
        let waiting = std::mem::take(&mut *container.attachers.lock());
        for attacher in waiting {
            match self.runtime.attach(id, attacher.want).await {
                Ok(session) => {
                    let _ = attacher.tell.send(session);
                }
                Err(error) => tracing::warn!(%error, "attach"),
            }
        }
    }

    /// In the words that the CLI makes exit codes 126 and 127 of.
    fn cannot_start(&self, container: &Container, refusal: ApiError) -> ApiError {
        let (refusal, code) = in_dockers_words(refusal);
        container.attachers.lock().clear();
        let ended = Ended {
            code,
            oom_killed: false,
            error: refusal.message.clone(),
            // who never ran stays `Created`
            started_at: container.see(|r| r.ended().and_then(|ended| ended.started_at)),
            finished_at: Timestamp::now(),
        };
        container.change(|r| {
            r.state = State::Exited(ended);
            true
        });
        refusal
    }

    /// Returns when it has ended and its address and ports are free.
    pub(crate) async fn stop(
        self: &Arc<Self>,
        container: &Arc<Container>,
        grace: Option<i64>,
        signal: Option<i32>,
    ) -> Result<bool> {
        let Some(running) = container.see(|r| r.running().cloned()) else {
            // a restart that is due is called off
            return Ok(self.call_off(container));
        };
        container.change(|r| {
            r.manually_stopped = true;
            true
        });
        self.end(container, &running, grace, signal).await?;
        self.events.container("stop", &container.record(), &[]);
        Ok(true)
    }

    /// Signals a run, and kills it where it does not end by itself.
    async fn end(
        &self,
        container: &Container,
        running: &Running,
        grace: Option<i64>,
        signal: Option<i32>,
    ) -> Result<()> {
        if running.paused {
            self.runtime.freeze_container(&running.container, false).await?;
        }
        let seconds = grace.or_else(|| container.see(|r| r.config.stop_timeout));
        let grace = match seconds {
            None => STOP_GRACE,
            Some(seconds) => u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs),
        };
        let killed = |signal: i32| {
            self.events.container("kill", &container.record(), &[("signal", signal.to_string())]);
        };
        let signal = signal.unwrap_or_else(|| container.see(stop_signal));
        killed(signal);
        // who has ended meanwhile needs none
        let _ = self.runtime.signal_container(&running.container, signal).await;
        let ended = self.until_ended(container, &running.container);
        if tokio::time::timeout(grace, ended).await.is_ok() {
            return Ok(());
        }
        if signal != Signal::SIGKILL as i32 {
            killed(Signal::SIGKILL as i32);
        }
        let stopped = self.runtime.stop_container(&running.container, Duration::ZERO, None).await;
        if let Err(error) = stopped
            && !self.has_ended(container, &running.container).await
        {
            return Err(error.into());
        }
        self.until_ended(container, &running.container).await;
        Ok(())
    }

    /// Whether a run that could not be told something is over: it may end while it is being told, and that is heard of a
    /// moment later.
    pub(crate) async fn has_ended(&self, container: &Container, run: &ContainerId) -> bool {
        tokio::time::timeout(STOP_GRACE, self.until_ended(container, run)).await.is_ok()
    }

    pub(crate) fn call_off(&self, container: &Container) -> bool {
        container.change(|r| match &r.state {
            State::Restarting(ended) => {
                r.state = State::Exited(ended.clone());
                r.manually_stopped = true;
                true
            }
            _ => false,
        })
    }

    /// Until that run is over and tidied up.
    pub(crate) async fn until_ended(&self, container: &Container, run: &ContainerId) {
        let mut watch = container.watch();
        let _ = watch.wait_for(|r| r.running().is_none_or(|running| running.container != *run)).await;
        drop(container.gate.lock().await);
    }

    pub(crate) async fn take_away(&self, sandbox: &SandboxId) {
        if let Err(error) = self.runtime.remove_sandbox(sandbox).await {
            tracing::error!(%sandbox, %error, "a container's sandbox was not removed");
        }
    }

    pub(crate) async fn remove(
        self: &Arc<Self>,
        container: &Arc<Container>,
        force: bool,
        volumes: bool,
    ) -> Result<()> {
        let record = container.record();
        if let Some(why) = removable::refusal(&record).filter(|_| !force) {
            return Err(ApiError::conflict(why));
        }
        self.call_off(container);
        if let Some(running) = record.running() {
            container.change(|r| {
                r.manually_stopped = true;
                true
            });
            self.end(container, running, Some(0), Some(Signal::SIGKILL as i32)).await?;
        }
        let _alone = container.gate.lock().await;
        self.erase(container, volumes).await;
        Ok(())
    }

    /// With the gate held, and nothing running. Returns when all of it is gone. From the first step on it goes also over a
    /// crash: the next start ends what was begun.
    pub(crate) async fn erase(self: &Arc<Self>, container: &Arc<Container>, volumes: bool) {
        let record = container.record();
        if matches!(record.state, State::Removed(_)) {
            return;
        }
        container.stop_saving();
        let dir = container.dir().to_owned();
        let (engine, gone) = (self.clone(), record.clone());
        let erased = blocking(move || {
            let begun = recover::begin_removal(&dir, volumes);
            // its volumes are nobody's from here on
            engine.forget(&gone.id);
            if volumes {
                engine.remove_anonymous(&gone);
            }
            begun.and_then(|gone| trees::remove(&gone))
        });
        if let Err(error) = erased.await {
            tracing::error!(id = record.id, %error, "a container's directory was not removed");
        }
        self.forget(&record.id);
        container.attachers.lock().clear();
        // who still looks at the container does not keep its image
        container.holds.lock().clear();
        self.events.container("destroy", &record, &[]);
        container.change(|r| {
            r.state = State::Removed(r.exit_code());
            true
        });
    }

    /// What nobody named and nobody else uses.
    pub(crate) fn remove_anonymous(&self, record: &Record) {
        for mounted in record.mounts.iter().filter(|m| !m.name.is_empty()) {
            let anonymous =
                self.volumes.get(&mounted.name).is_ok_and(|v| v.labels.contains_key(volumes::ANONYMOUS));
            if anonymous && self.users_of_volume(&mounted.name).is_empty() {
                let _ = self.volumes.remove(&mounted.name);
            }
        }
    }

    /// Ids of the containers that mount it.
    pub(crate) fn users_of_volume(&self, name: &str) -> Vec<String> {
        let uses = |r: &Record| r.mounts.iter().any(|m| m.name == name).then(|| r.id.clone());
        self.containers().iter().filter_map(|c| c.see(uses)).collect()
    }
}

/// Programs look for this file to learn that they are in a container.
fn mark(root: &Path) -> std::io::Result<()> {
    // the root's own mode, where no layer says another
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(root)?;
    let file = root.join(".dockerenv");
    match file.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(file).map(drop)
        }
        _ => Ok(()),
    }
}

/// The number of what asks a container to end.
pub(crate) fn stop_signal(record: &Record) -> i32 {
    let said = record.config.stop_signal.as_deref().and_then(|text| signals::number(text).ok());
    said.unwrap_or(Signal::SIGTERM as i32)
}

/// What a command could not be run for comes behind its `exec: `.
fn in_dockers_words(refusal: ApiError) -> (ApiError, i32) {
    const TASK: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc \
                        create failed: unable to start container process: ";
    let Some(at) = refusal.message.find("exec: ") else {
        let lower = refusal.message.to_lowercase();
        let code = if lower.contains("not a directory") { 127 } else { 128 };
        return (refusal, code);
    };
    let why = match &refusal.message[at..] {
        "exec: no command" => "exec: \"\": executable file not found in $PATH",
        why => why,
    };
    let is_missing = why.contains("not found in $PATH") || why.contains("no such file or directory");
    (ApiError::bad(format_args!("{TASK}{why}")), if is_missing { 127 } else { 126 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_command_does_not_run() {
        for (given, code, want) in [
            (
                "create container web: exec: \"foo\": executable file not found in $PATH",
                127,
                "exec: \"foo\": executable file not found in $PATH",
            ),
            ("exec: \"/x\": stat /x: no such file or directory", 127, "stat /x: no such file or directory"),
            ("create container web: exec: \"/etc\": is a directory", 126, "exec: \"/etc\": is a directory"),
            (
                "exec: \"/x\": permission denied",
                126,
                "unable to start container process: exec: \"/x\": permission denied",
            ),
            ("create container web: exec: no command", 127, "exec: \"\": executable file not found in $PATH"),
            ("mount /a on /b: no such file or directory", 128, "mount /a on /b: no such file or directory"),
        ] {
            let (refusal, got) = in_dockers_words(ApiError::internal(given));
            assert_eq!(got, code, "{given}");
            assert!(refusal.message.ends_with(want), "{given}: {refusal}");
        }
    }
}
