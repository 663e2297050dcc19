//! Unpacked files are not synced one by one: the whole file system is, once, behind the back of whoever waits. Until then
//! the index says so, and a power cut costs a pull or a build and never a broken image.

use super::Inner;
use crate::Digest;
use crate::error::{ImageError, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The steps of a build, or the images of one archive, are synced together.
const SETTLE: Duration = Duration::from_millis(500);

impl Inner {
    /// Asks for a sync soon. Outside of a runtime it happens at once.
    pub(super) fn sync_later(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            self.sync_or_warn();
            return;
        };
        if self.sync_is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let store = Arc::downgrade(self);
        runtime.spawn(async move {
            tokio::time::sleep(SETTLE).await;
            let sync = move || {
                if let Some(store) = store.upgrade() {
                    store.sync_is_due.store(false, Ordering::Release);
                    store.sync_or_warn();
                }
            };
            drop(tokio::task::spawn_blocking(sync));
        });
    }

    fn sync_or_warn(&self) {
        if let Err(error) = self.sync() {
            tracing::warn!(%error, "layers may not be on the disk yet");
        }
    }

    pub(super) fn sync(&self) -> Result<()> {
        let unsynced = self.unsynced();
        if unsynced.is_empty() {
            return Ok(());
        }
        let synced = std::fs::File::open(&self.dir).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
        synced.map_err(|e| ImageError::io("sync layers", e))?;
        self.change(|state| {
            let images = state.index.images.iter_mut().filter(|(id, _)| unsynced.contains(id));
            images.for_each(|(_, image)| image.unsynced = None);
            Ok(())
        })
    }

    fn unsynced(&self) -> Vec<Digest> {
        let state = self.state();
        let unsynced = state.index.images.iter().filter(|(_, image)| image.unsynced.is_some());
        unsynced.map(|(id, _)| id.clone()).collect()
    }
}

/// A store that is closed in order leaves nothing open.
impl Drop for Inner {
    fn drop(&mut self) {
        self.sync_or_warn();
    }
}

/// Changes with every boot of the machine.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}
