//! What is on the disk for a claim: made empty, or begun as a copy of another claim's or of a snapshot.

use super::{Key, Provisioner};
use crate::copies::{Progress, Wanted};
use crate::copy::is_final;
use crate::plan::Medium;
use crate::source::{self, Asked, CLONING, Source};
use crate::{directories, files, snapshots};
use api::{LabelSelector, ObjectKey, Status};
use cluster::unless_gone;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kinds::snapshot::VolumeSnapshot;
use kinds::{key_of, volume};
use std::io;
use std::path::PathBuf;

/// Why there is nothing on the disk for a claim.
pub(super) struct Refused {
    pub(super) why: String,
    /// It is tried again by itself, and not when something changes.
    pub(super) again: bool,
}

impl Refused {
    fn of(self, source: &Source) -> Self {
        let (kind, name) = (source.kind(), &source.key().name);
        let why = format!("error getting handle for DataSource Type {kind} by Name {name}: {}", self.why);
        Refused { why, ..self }
    }
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Refused { why, again: false }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Refused { why: error.to_string(), again: !is_final(&error) }
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Refused { why: status.to_string(), again: true }
    }
}

impl Provisioner {
    /// The claim's directory, or the file that becomes a device; `None` where it is not there yet, or is not ours to make.
    pub(super) async fn storage(
        &self,
        key: &Key,
        claim: &PersistentVolumeClaim,
        name: &str,
    ) -> Result<Option<PathBuf>, Refused> {
        let begins = || {
            let of = key_of(&claim.metadata);
            let message = format!("External provisioner is provisioning volume for claim \"{of}\"");
            self.events.normal(claim, "Provisioning", message);
        };
        let medium = Medium::of_claim(claim);
        match source::asked(claim) {
            Asked::Nothing => {
                begins();
                let made = match medium {
                    Medium::Directory => self.on_disk(name, directories::make).await,
                    Medium::File(bytes) => {
                        self.on_disk(name, move |below, name| files::make(below, name, bytes)).await
                    }
                };
                Ok(Some(made?))
            }
            Asked::Copy(source) => match self.copies.outcome(key) {
                Progress::Ended(outcome) => Ok(Some(outcome?)),
                Progress::Runs => Ok(None),
                Progress::NotBegun => {
                    let from = self.source(claim, &source).map_err(|refused| refused.of(&source))?;
                    begins();
                    if let Medium::File(_) = medium {
                        self.on_disk(name, |_, _| loopdev::check()).await?;
                    }
                    self.hold(&source).await?;
                    let (below, name) = (self.config.directory.clone(), name.to_owned());
                    self.copies.begin(key, Wanted { from, below, name, medium });
                    Ok(None)
                }
            },
            Asked::Populator(_) => {
                let message = "Assuming an external populator will provision the volume";
                self.events.normal(claim, "Provisioning", message);
                Ok(None)
            }
            Asked::Elsewhere(why) => Err(why.into()),
        }
    }

    /// What the claim's is to be a copy of.
    fn source(&self, claim: &PersistentVolumeClaim, source: &Source) -> Result<PathBuf, Refused> {
        match source {
            Source::Claim(key) => {
                let of = self.claims.find(key)?;
                let held = of.as_ref().map(|of| ObjectKey::cluster(volume::volume_name(of)));
                let held = held.filter(|held| !held.name.is_empty());
                let held = held.map(|held| self.volumes.find(&held)).transpose()?.flatten();
                let below = &self.config.directory;
                let name = source::volume_to_clone(claim, &key.name, of.as_ref(), held.as_ref(), below)?;
                Ok(below.join(name))
            }
            Source::Snapshot(key) => {
                let of = self.snapshots.find(key)?;
                let content = of.as_ref().and_then(VolumeSnapshot::bound_content).map(ObjectKey::cluster);
                let content = content.map(|content| self.contents.find(&content)).transpose()?.flatten();
                let handle = snapshots::to_restore(claim, &key.name, of.as_ref(), content.as_ref())?;
                Ok(self.config.snapshots.join(handle))
            }
        }
    }

    /// As long as another claim is made of it, the claim does not go; for a snapshot its own controller cares.
    async fn hold(&self, source: &Source) -> Result<(), Status> {
        let Source::Claim(key) = source else { return Ok(()) };
        let held = self.claims.modify(key, |claim| {
            if !volume::has_finalizer(&claim.metadata, CLONING) {
                claim.metadata.finalizers.get_or_insert_default().push(CLONING.to_owned());
            }
            Ok(())
        });
        held.await.map(|_| ())
    }

    pub(super) async fn release(&self, claim: &PersistentVolumeClaim) -> Result<(), Status> {
        if !volume::has_finalizer(&claim.metadata, CLONING) {
            return Ok(());
        }
        let key = key_of(&claim.metadata);
        let all = self.claims.list(key.namespace.as_deref(), LabelSelector::default())?;
        if source::is_being_cloned(&key, all.iter()) {
            return Ok(());
        }
        let released = self.claims.modify(&key, |claim| {
            claim.metadata.finalizers.iter_mut().for_each(|all| all.retain(|known| known != CLONING));
            Ok(())
        });
        unless_gone(released.await).map(drop)
    }
}
