//! Carries out what the pure parts decide: listens to claims, volumes and snapshots, works at the disk beside the loop, and writes
//! what came of it. Read [`run`] first.

mod contents;
mod storage;

use crate::copies::Copies;
use crate::plan::{self, FINALIZER, Fate, Medium};
use crate::source::{self, Source};
use crate::waiting::Waiting;
use crate::{NAME, ProvisionerConfig, directories, files};
use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{
    Actor, Api, Change, Cluster, Controller, CustomApi, DeleteOptions, EventType, Recorder, subject,
    unless_gone, unless_replaced,
};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::snapshot::{VolumeSnapshot, VolumeSnapshotContent};
use kinds::{key_of, volume};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::Refused;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Claim(ObjectKey),
    Volume(ObjectKey),
    Content(ObjectKey),
}

pub fn role() -> ComponentRole {
    let snapshots = &[kinds::snapshot::GROUP];
    let rules = vec![
        rule(&["create", "delete", "get", "list", "patch", "update", "watch"], &[""], &["persistentvolumes"]),
        rule(&["patch", "update"], &[""], &["persistentvolumeclaims/status", "persistentvolumes/status"]),
        rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumeclaims"]),
        rule(READ, &["storage.k8s.io"], &["storageclasses"]),
        rule(READ, snapshots, &["volumesnapshots"]),
        rule(&["get", "list", "patch", "update", "watch"], snapshots, &["volumesnapshotcontents"]),
        rule(&["patch", "update"], snapshots, &["volumesnapshotcontents/status"]),
        rule(&["create", "patch", "update", "watch"], &[""], &["events"]),
    ];
    ComponentRole::service_account("system:persistent-volume-provisioner", NAME, rules)
}

/// Makes volumes and removes them until `stop`.
pub async fn run(cluster: Cluster, config: ProvisionerConfig, stop: CancellationToken) {
    for directory in [config.directory.clone(), config.snapshots.clone()] {
        let swept = tokio::task::spawn_blocking(move || directories::remove_partial(&directory)).await;
        if let Err(error) = swept.map_err(io::Error::other).and_then(|swept| swept) {
            tracing::warn!(%error, "provisioner: a copy that a crash left half made stays on the disk");
        }
    }
    let client = cluster.acting_as(Actor::service_account("kube-system", NAME));
    let waiting = Waiting::default();
    let controller = listening(&cluster, &waiting);
    let copies = Arc::new(Copies::new(controller.queue(), &stop));
    let provisioner = Arc::new(Provisioner {
        cluster,
        config,
        claims: client.api(),
        volumes: client.api(),
        snapshots: client.custom_api(),
        contents: client.custom_api(),
        events: client.recorder(&format!("{}_{NAME}", cluster::STORAGE_PROVISIONER), None),
        copies: copies.clone(),
    });
    controller
        .run(stop, provisioner, |provisioner, key| async move {
            match &key {
                Key::Claim(of) => provisioner.claim(&key, of).await,
                Key::Volume(of) => provisioner.volume(of).await,
                Key::Content(of) => provisioner.content(&key, of).await,
            }
        })
        .await;
    copies.ended().await;
}

fn listening(cluster: &Cluster, waiting: &Waiting) -> Controller<Key> {
    let known = cluster.informer::<PersistentVolumeClaim>();
    let (of_claims, of_volumes, of_snapshots) = (waiting.clone(), waiting.clone(), waiting.clone());
    Controller::new(NAME, cluster)
        .watches::<PersistentVolumeClaim>(move |queue, change| {
            let claim = change.object();
            let key = key_of(&claim.metadata);
            of_claims.see(claim, !matches!(change, Change::Deleted(_)));
            // whom it is made of may be held for it
            if let Some(Source::Claim(source)) = source::of(claim) {
                queue.add(Key::Claim(source));
            }
            let waiting = of_claims.on(&Source::Claim(key.clone()));
            waiting.into_iter().for_each(|claim| queue.add(Key::Claim(claim)));
            queue.add(Key::Claim(key));
        })
        .watches::<PersistentVolume>(move |queue, change| {
            let of = change.object();
            if let Some(claim) = of.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) {
                let key =
                    ObjectKey::new(claim.namespace.as_deref(), claim.name.as_deref().unwrap_or_default());
                let waiting = of_volumes.on(&Source::Claim(key));
                waiting.into_iter().for_each(|claim| queue.add(Key::Claim(claim)));
            }
            queue.add(Key::Volume(key_of(&of.metadata)));
        })
        .watches::<VolumeSnapshot>(move |queue, change| {
            let waiting = of_snapshots.on(&Source::Snapshot(key_of(&change.object().metadata)));
            waiting.into_iter().for_each(|claim| queue.add(Key::Claim(claim)));
        })
        .watches::<VolumeSnapshotContent>(|queue, change| {
            queue.add(Key::Content(key_of(&change.object().metadata)));
        })
        .watches::<StorageClass>(move |queue, _| {
            let waits = |claim: &Arc<PersistentVolumeClaim>| volume::volume_name(claim).is_empty();
            let all = known.list(None).into_iter().filter(waits);
            all.for_each(|claim| queue.add(Key::Claim(key_of(&claim.metadata))));
        })
}

struct Provisioner {
    cluster: Cluster,
    config: ProvisionerConfig,
    claims: Api<PersistentVolumeClaim>,
    volumes: Api<PersistentVolume>,
    snapshots: CustomApi<VolumeSnapshot>,
    contents: CustomApi<VolumeSnapshotContent>,
    events: Recorder,
    copies: Arc<Copies<Key>>,
}

impl Provisioner {
    async fn claim(&self, key: &Key, of: &ObjectKey) -> Result<(), Status> {
        let claim = self.claims.find(of)?;
        let classes = self.cluster.informer::<StorageClass>();
        let asked = claim.as_ref().and_then(|claim| {
            let class = classes.get(&ObjectKey::cluster(volume::class_of_claim(claim)));
            class.filter(|class| plan::is_asked(claim, Some(class)))
        });
        let wanted = claim.as_ref().filter(|_| asked.is_some()).and_then(plan::name);
        if let Some(unwanted) = self.copies.unwanted(key, wanted.as_deref()) {
            self.remove_unless_used(&unwanted).await?;
        }
        let Some(claim) = claim else { return Ok(()) };
        self.release(&claim).await?;
        match asked {
            Some(class) => self.provision(key, &claim, &class).await,
            None => self.grow(&claim).await,
        }
    }

    async fn provision(
        &self,
        key: &Key,
        claim: &PersistentVolumeClaim,
        class: &StorageClass,
    ) -> Result<(), Status> {
        let Some(name) = plan::name(claim) else { return Ok(()) };
        if self.volumes.find(&ObjectKey::cluster(&name))?.is_some() {
            // the binder has yet to see it
            return Ok(());
        }
        let class_name = volume::class_of_claim(claim);
        let failed = |why: &dyn std::fmt::Display| {
            let message = format!("failed to provision volume with StorageClass \"{class_name}\": {why}");
            self.events.warning(claim, "ProvisioningFailed", message);
        };
        if let Some(why) = plan::refusal(claim) {
            failed(&why);
            return Ok(());
        }
        let path = match self.storage(key, claim, &name).await {
            Ok(Some(path)) => path,
            Ok(None) => return Ok(()),
            Err(Refused { why, again }) => {
                failed(&why);
                return if again { Err(Status::internal(why)) } else { Ok(()) };
            }
        };
        match self.volumes.create(plan::volume(claim, class, &name, &path)).await {
            Err(status) if !status.is(Reason::AlreadyExists) => {
                failed(&status);
                Err(status)
            }
            _ => {
                let message = format!("Successfully provisioned volume {name}");
                self.events.normal(claim, "ProvisioningSucceeded", message);
                Ok(())
            }
        }
    }

    /// A copy whose claim has gone meanwhile; with its volume it would go as any other.
    async fn remove_unless_used(&self, name: &str) -> Result<(), Status> {
        if self.volumes.find(&ObjectKey::cluster(name))?.is_some() {
            return Ok(());
        }
        let gone = self.on_disk(name, |below, name| directories::remove(&below.join(name))).await;
        gone.map_err(Status::internal)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Path, &str) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (below, name): (PathBuf, String) = (self.config.directory.clone(), name.to_owned());
        tokio::task::spawn_blocking(move || work(&below, &name)).await.map_err(io::Error::other)?
    }

    async fn volume(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(of) = self.volumes.find(key)?.filter(|of| plan::is_ours(of, &self.config.directory)) else {
            return Ok(());
        };
        match plan::fate(&of) {
            Fate::Stays => Ok(()),
            Fate::LetGo => self.let_go(key).await,
            Fate::Removed => {
                let gone =
                    self.on_disk(&key.name, |below, name| directories::remove(&below.join(name))).await;
                if let Err(error) = gone {
                    self.events.event(
                        subject(&of),
                        EventType::Warning,
                        "VolumeFailedDelete",
                        error.to_string(),
                    );
                    return Err(Status::internal(error));
                }
                let options = DeleteOptions { uid: of.metadata.uid.clone(), ..DeleteOptions::default() };
                unless_replaced(self.volumes.delete(key, options).await)?;
                self.let_go(key).await
            }
        }
    }

    async fn let_go(&self, key: &ObjectKey) -> Result<(), Status> {
        let held = |of: &PersistentVolume| volume::has_finalizer(&of.metadata, FINALIZER);
        if !self.volumes.find(key)?.is_some_and(|of| held(&of)) {
            return Ok(());
        }
        let let_go = self.volumes.modify(key, |of| {
            of.metadata.finalizers.iter_mut().for_each(|all| all.retain(|known| known != FINALIZER));
            Ok(())
        });
        unless_gone(let_go.await).map(drop)
    }

    /// A directory is as large as the disk: both say the new size, and that is all. A file grows before, and the device that it
    /// may be.
    async fn grow(&self, claim: &PersistentVolumeClaim) -> Result<(), Status> {
        let Some(wanted) = plan::growth(claim) else { return Ok(()) };
        let key = ObjectKey::cluster(volume::volume_name(claim));
        let Some(of) = self.volumes.find(&key)?.filter(|of| plan::is_ours(of, &self.config.directory)) else {
            return Ok(());
        };
        if let (Medium::File(_), Medium::File(bytes)) = (Medium::of_volume(&of), Medium::of_claim(claim)) {
            let grown =
                self.on_disk(&key.name, move |below, name| files::grow(&below.join(name), bytes)).await;
            if let Err(error) = grown {
                self.events.warning(
                    claim,
                    "VolumeResizeFailed",
                    format!("resize volume {} failed: {error}", key.name),
                );
                return Err(Status::internal(error));
            }
        }
        let size = || [("storage".to_owned(), wanted.clone())];
        if volume::capacity(&of) < volume::request(claim) {
            let grown = self.volumes.modify(&key, |of| {
                of.spec.get_or_insert_default().capacity.get_or_insert_default().extend(size());
                Ok(())
            });
            unless_gone(grown.await)?;
        }
        let claim_key = key_of(&claim.metadata);
        let told = self.claims.modify_status(&claim_key, |claim| {
            claim.status.get_or_insert_default().capacity.get_or_insert_default().extend(size());
            Ok(())
        });
        unless_gone(told.await)?;
        self.events.normal(claim, "VolumeResizeSuccessful", "Resize volume succeeded");
        Ok(())
    }
}
