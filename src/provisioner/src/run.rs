use crate::plan::{self, FINALIZER, Fate};
use crate::{NAME, ProvisionerConfig, directories};
use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Api, Cluster, Controller, DeleteOptions, EventType, Recorder, subject};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::{key_of, volume};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Removing much takes its time, and holds up nobody else.

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Claim(ObjectKey),
    Volume(ObjectKey),
}

pub fn role() -> ComponentRole {
    let rules = vec![
        rule(&["create", "delete", "get", "list", "patch", "update", "watch"], &[""], &["persistentvolumes"]),
        rule(&["patch", "update"], &[""], &["persistentvolumeclaims/status", "persistentvolumes/status"]),
        rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumeclaims"]),
        rule(READ, &["storage.k8s.io"], &["storageclasses"]),
        rule(&["create", "patch", "update", "watch"], &[""], &["events"]),
    ];
    ComponentRole::service_account("system:persistent-volume-provisioner", NAME, rules)
}

/// Makes volumes and removes them until `stop`.
pub async fn run(cluster: Cluster, config: ProvisionerConfig, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let known = cluster.informer::<PersistentVolumeClaim>();
    let controller = Controller::new(NAME, &cluster)
        .watches::<PersistentVolumeClaim>(|queue, change| {
            queue.add(Key::Claim(key_of(&change.object().metadata)));
        })
        .watches::<PersistentVolume>(|queue, change| {
            queue.add(Key::Volume(key_of(&change.object().metadata)));
        })
        .watches::<StorageClass>(move |queue, _| {
            let waits = |claim: &Arc<PersistentVolumeClaim>| volume::volume_name(claim).is_empty();
            let all = known.list(None).into_iter().filter(waits);
            all.for_each(|claim| queue.add(Key::Claim(key_of(&claim.metadata))));
        });
    let provisioner = Arc::new(Provisioner {
        cluster,
        config,
        claims: client.api(),
        volumes: client.api(),
        events: client.recorder(&format!("{}_{NAME}", cluster::STORAGE_PROVISIONER), None),
    });
    controller
        .run(stop, provisioner, |provisioner, key| async move {
            match key {
                Key::Claim(key) => provisioner.claim(&key).await,
                Key::Volume(key) => provisioner.volume(&key).await,
            }
        })
        .await;
}

struct Provisioner {
    cluster: Cluster,
    config: ProvisionerConfig,
    claims: Api<PersistentVolumeClaim>,
    volumes: Api<PersistentVolume>,
    events: Recorder,
}

impl Provisioner {
    async fn claim(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(claim) = self.claims.find(key)? else { return Ok(()) };
        let classes = self.cluster.informer::<StorageClass>();
        let class = classes.get(&ObjectKey::cluster(volume::class_of_claim(&claim)));
        if let Some(class) = class.filter(|class| plan::is_asked(&claim, Some(class))) {
            return self.provision(&claim, &class).await;
        }
        self.grow(&claim).await
    }

    async fn provision(&self, claim: &PersistentVolumeClaim, class: &StorageClass) -> Result<(), Status> {
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
        let of = key_of(&claim.metadata);
        let message = format!("External provisioner is provisioning volume for claim \"{of}\"");
        self.events.normal(claim, "Provisioning", message);
        let path = match self.on_disk(&name, directories::make).await {
            Ok(path) => path,
            Err(error) => {
                failed(&error);
                return Err(Status::internal(error));
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

    async fn on_disk<T: Send + 'static>(
        &self,
        name: &str,
        work: fn(&std::path::Path, &str) -> io::Result<T>,
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
                unless_gone(self.volumes.delete(key, options).await)?;
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
        unless_gone(let_go.await.map(|_| ()))
    }

    /// A directory is as large as the disk: both say the new size, and that is all.
    async fn grow(&self, claim: &PersistentVolumeClaim) -> Result<(), Status> {
        let Some(wanted) = plan::growth(claim) else { return Ok(()) };
        let key = ObjectKey::cluster(volume::volume_name(claim));
        let Some(of) = self.volumes.find(&key)?.filter(|of| plan::is_ours(of, &self.config.directory)) else {
            return Ok(());
        };
        let size = || [("storage".to_owned(), wanted.clone())];
        if volume::capacity(&of) < volume::request(claim) {
            let grown = self.volumes.modify(&key, |of| {
                of.spec.get_or_insert_default().capacity.get_or_insert_default().extend(size());
                Ok(())
            });
            unless_gone(grown.await.map(|_| ()))?;
        }
        let claim_key = key_of(&claim.metadata);
        let told = self.claims.modify_status(&claim_key, |claim| {
            claim.status.get_or_insert_default().capacity.get_or_insert_default().extend(size());
            Ok(())
        });
        unless_gone(told.await.map(|_| ()))?;
        self.events.normal(claim, "VolumeResizeSuccessful", "Resize volume succeeded");
        Ok(())
    }
}

fn unless_gone(outcome: Result<(), Status>) -> Result<(), Status> {
    match outcome {
        Err(status) if status.is(Reason::NotFound) || status.is(Reason::Conflict) => Ok(()),
        other => other,
    }
}
