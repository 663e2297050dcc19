//! Keeps logs small without polling: the kernel says that a log was written to, once; some seconds later its size is looked
//! at, and the kernel asked again. A container that says nothing costs nothing, one that says much one look in ten seconds; so does
//! every one where the kernel has no watches left.

use super::rotate::{LARGEST, rotate};
use crate::labels;
use crate::shared::Shared;
use cri::logs::Watcher;
use cri::{ContainerId, ContainerState, ContainerStatus, RuntimeEvent};
use nix::sys::inotify::{AddWatchFlags, WatchDescriptor};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::time::DelayQueue;

pub(crate) const PAUSE: Duration = Duration::from_secs(10); // upstream's containerLogMonitorInterval

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    watcher: Watcher,
    watched: HashMap<WatchDescriptor, (ContainerId, PathBuf)>,
    due: DelayQueue<(ContainerId, PathBuf)>,
}

impl Keeper {
    /// # Errors
    /// As of [`Watcher::new`].
    pub fn new(shared: Arc<Shared>) -> io::Result<Self> {
        Ok(Keeper { shared, watcher: Watcher::new()?, watched: HashMap::new(), due: DelayQueue::new() })
    }

    /// Until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut events = self.shared.runtime.events();
        self.watch_all().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                event = events.recv() => match event {
                    Ok(RuntimeEvent::Started { container, .. }) => self.started(&container).await,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.watch_all().await,
                    Err(RecvError::Closed) => return,
                },
                written = self.watcher.next() => match written {
                    Ok(written) => self.written(written),
                    Err(error) => return tracing::error!(%error, "logs are no longer rotated"),
                },
                Some(due) = futures::future::poll_fn(|cx| self.due.poll_expired(cx)), if !self.due.is_empty() => {
                    let (id, log) = due.into_inner();
                    self.rotate_if_large(id, log).await;
                }
            }
        }
    }

    async fn watch_all(&mut self) {
        let sandboxes = self.shared.runtime.list().await.unwrap_or_default();
        for container in sandboxes.into_iter().flat_map(|s| s.containers) {
            if is_ours(&container) && matches!(container.state, ContainerState::Running { .. }) {
                self.watch(container.id, container.log_path);
            }
        }
    }

    async fn started(&mut self, id: &ContainerId) {
        if let Ok(status) = self.shared.runtime.container(id).await
            && is_ours(&status)
        {
            self.watch(status.id, status.log_path);
        }
    }

    /// For one write only: a log that is being written would wake us at each line.
    fn watch(&mut self, id: ContainerId, log: PathBuf) {
        let once = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ONESHOT;
        match self.watcher.add(&log, once) {
            Ok(Some(watch)) => {
                self.watched.insert(watch, (id, log));
            }
            // nobody tells that it was written to
            Ok(None) => {
                self.due.insert((id, log), PAUSE);
            }
            // a container without a log has nothing to rotate
            Err(_) => {}
        }
    }

    fn written(&mut self, watches: Vec<WatchDescriptor>) {
        for watch in watches {
            if let Some(log) = self.watched.remove(&watch) {
                self.due.insert(log, PAUSE);
            }
        }
    }

    async fn rotate_if_large(&mut self, id: ContainerId, log: PathBuf) {
        let running = self.shared.runtime.container(&id).await;
        if !running.is_ok_and(|c| matches!(c.state, ContainerState::Running { .. })) {
            return;
        }
        if std::fs::metadata(&log).is_ok_and(|m| m.len() > LARGEST) {
            self.rotate(&id, &log).await;
        }
        self.watch(id, log);
    }

    async fn rotate(&self, id: &ContainerId, log: &Path) {
        let aside = match rotate(log, self.shared.clock.now()) {
            Ok(aside) => aside,
            Err(error) => return tracing::warn!(log = %log.display(), %error, "log is not rotated"),
        };
        if let Err(error) = self.shared.runtime.reopen_log(id).await {
            tracing::warn!(log = %log.display(), %error, "rotated log is not opened anew: it is put back");
            let _ = std::fs::rename(aside, log);
        }
    }
}

/// Others make containers too, and have their own rules for logs.
fn is_ours(status: &ContainerStatus) -> bool {
    status.labels.contains_key(labels::POD_UID)
}
