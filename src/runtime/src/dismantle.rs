//! Taking away what there is of a sandbox, however far it came.

use crate::paths::remove_dir;
use crate::records::SandboxRecord;
use crate::runtime::{Inner, blocking};
use std::sync::Arc;

impl Inner {
    /// Takes away all that a record stands for. What can not be removed is told in the log: the next start tries again.
    pub async fn dismantle(self: &Arc<Self>, record: SandboxRecord) {
        self.dismantle_beside(record, &[]).await;
    }

    /// The same where there are `others` that are not taken up yet: what they share stays.
    pub async fn dismantle_beside(self: &Arc<Self>, record: SandboxRecord, others: &[SandboxRecord]) {
        if !record.stopped {
            self.starts.yield_to_starts().await;
        }
        if let Err(e) = self.networks.detach(&record.id).await {
            tracing::warn!("detach network of sandbox {}: {e}", record.id);
        }
        let shares = |other: &SandboxRecord| {
            other.id != record.id && other.config.cgroup_parent == record.config.cgroup_parent
        };
        let shared = others.iter().any(shares) || self.sandboxes().iter().any(|s| shares(&s.record()));
        let inner = self.clone();
        blocking(move || inner.take_apart(&record, shared)).await;
        self.empty_trash();
    }

    fn take_apart(&self, record: &SandboxRecord, shared: bool) {
        if let Some(made) = &record.made {
            made.shim.kill();
        }
        let mut cgroups = vec![self.shim_cgroup(&record.id)];
        if !shared && !record.config.cgroup_parent.is_empty() {
            cgroups.push(self.pod_cgroup(&record.config));
        }
        for cgroup in cgroups {
            for failure in self.cgroups.end(&cgroup).err().into_iter().flatten() {
                tracing::warn!("{failure}");
            }
        }
        remove_dir(&self.paths.sandbox_run(&record.id));
        self.paths.move_to_trash(&self.paths.sandbox_state(&record.id));
    }

    pub fn empty_trash(&self) {
        let trash = self.paths.trash();
        tokio::task::spawn_blocking(move || {
            for entry in std::fs::read_dir(&trash).into_iter().flatten().flatten() {
                remove_dir(&entry.path());
            }
        });
    }
}
