//! Carries out what a driver does of a VolumeSnapshotContent.

use super::{Key, Provisioner};
use crate::copies::{Progress, Wanted};
use crate::copy::is_final;
use crate::directories;
use crate::plan::Medium;
use crate::snapshots::{self, Step};
use api::{ObjectKey, Status};
use cluster::unless_gone;
use jiff::Timestamp;
use kinds::snapshot::{CONTENT_FINALIZER, VolumeSnapshotContent, VolumeSnapshotContentStatus};
use std::fmt::Display;

impl Provisioner {
    pub(super) async fn content(&self, key: &Key, of: &ObjectKey) -> Result<(), Status> {
        let content = self.contents.find(of)?;
        let step = content.as_ref().map_or(Step::Nothing, snapshots::step);
        let wanted = match &step {
            Step::Take { name, .. } => Some(name.as_str()),
            _ => None,
        };
        if let Some(unwanted) = self.copies.unwanted(key, wanted) {
            self.remove_snapshot(&unwanted).await.map_err(Status::internal)?;
        }
        let Some(content) = content else { return Ok(()) };
        match step {
            Step::Nothing => Ok(()),
            Step::Take { volume, name } => self.take(key, of, &content, &volume, name).await,
            Step::Find { handle } => self.find(of, &content, &handle).await,
            Step::Remove { handle } => {
                if matches!(self.copies.outcome(key), Progress::Runs) {
                    // it ends soon, and wakes the key
                    return Ok(());
                }
                if let Some(handle) = handle
                    && let Err(error) = self.remove_snapshot(&handle).await
                {
                    self.events.warning(&content, "SnapshotDeleteError", "Failed to delete snapshot");
                    return Err(Status::internal(error));
                }
                self.let_content_go(of).await
            }
            Step::LetGo => self.let_content_go(of).await,
        }
    }

    async fn take(
        &self,
        key: &Key,
        of: &ObjectKey,
        content: &VolumeSnapshotContent,
        handle: &str,
        name: String,
    ) -> Result<(), Status> {
        let failed = |why: &dyn Display| format!("failed to take snapshot of the volume {handle}: \"{why}\"");
        let below = &self.config.directory;
        let held = self.volumes.find(&ObjectKey::cluster(handle))?;
        let size = match snapshots::volume_to_take(held.as_ref(), handle, below) {
            Ok(size) => size,
            Err(why) => return self.fail(of, content, &failed(&why)).await,
        };
        match self.copies.outcome(key) {
            Progress::Runs => Ok(()),
            Progress::NotBegun => {
                let medium = held.as_ref().map_or(Medium::Directory, Medium::of_volume);
                let (from, below) = (below.join(handle), self.config.snapshots.clone());
                self.copies.begin(key, Wanted { from, below, name, medium });
                Ok(())
            }
            Progress::Ended(Err(error)) => {
                self.fail(of, content, &failed(&error)).await?;
                if is_final(&error) { Ok(()) } else { Err(Status::internal(error)) }
            }
            Progress::Ended(Ok(_)) => {
                let status = snapshots::taken(&name, Some(size), Some(Timestamp::now()));
                self.write_content_status(of, &status).await
            }
        }
    }

    /// What a user says that is there.
    async fn find(
        &self,
        of: &ObjectKey,
        content: &VolumeSnapshotContent,
        handle: &str,
    ) -> Result<(), Status> {
        let is_there = snapshots::is_handle(handle) && {
            let path = self.config.snapshots.join(handle);
            tokio::task::spawn_blocking(move || directories::is_there(&path))
                .await
                .map_err(Status::internal)?
        };
        if !is_there {
            return self.fail(of, content, &format!("there is no snapshot {handle:?}")).await;
        }
        self.write_content_status(of, &snapshots::taken(handle, None, None)).await
    }

    async fn fail(&self, of: &ObjectKey, content: &VolumeSnapshotContent, why: &str) -> Result<(), Status> {
        let message = format!("Failed to check and update snapshot content: {why}");
        let Some(status) = snapshots::failed(content, &message, Timestamp::now()) else { return Ok(()) };
        self.write_content_status(of, &status).await?;
        self.events.warning(content, "SnapshotContentCheckandUpdateFailed", message);
        Ok(())
    }

    async fn write_content_status(
        &self,
        of: &ObjectKey,
        status: &VolumeSnapshotContentStatus,
    ) -> Result<(), Status> {
        let written = self.contents.modify_status(of, |content| {
            content.status = Some(status.clone());
            Ok(())
        });
        unless_gone(written.await).map(drop)
    }

    async fn remove_snapshot(&self, name: &str) -> std::io::Result<()> {
        let path = self.config.snapshots.join(name);
        let removed = tokio::task::spawn_blocking(move || directories::remove(&path)).await;
        removed.map_err(std::io::Error::other)?
    }

    async fn let_content_go(&self, of: &ObjectKey) -> Result<(), Status> {
        let let_go = self.contents.modify(of, |content| {
            content
                .metadata
                .finalizers
                .iter_mut()
                .for_each(|all| all.retain(|known| known != CONTENT_FINALIZER));
            Ok(())
        });
        unless_gone(let_go.await).map(drop)
    }
}
