//! Snapshots of volumes, for every driver: each VolumeSnapshot has a VolumeSnapshotContent, and shows what the driver says in
//! it. This is upstream's snapshot-controller, which one finds in a cluster beside the drivers; where that one runs too, both
//! write the same.
//!
//! The kinds are custom ones: until somebody defines them there is nothing to follow, and nothing happens. What a driver
//! does of a content is the driver's: for directories of this program, the provisioner's. `plan.rs` decides.

mod plan;
#[cfg(test)]
mod tests;

use api::{LabelSelector, ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, events, rule};
use cluster::{Actor, Api, Cluster, Controller, CustomApi, DeleteOptions, Informer, Recorder, unless_gone};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::data_source::restored_from;
use kinds::snapshot::{
    BEING_DELETED, CLAIM_FINALIZER, CONTENT_FINALIZER, VolumeSnapshot, VolumeSnapshotClass,
    VolumeSnapshotContent, VolumeSnapshotStatus,
};
use kinds::{key_of, volume};
use plan::{Ending, Step, Surroundings};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "snapshot-controller";

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Snapshot(ObjectKey),
    Content(ObjectKey),
    /// One that a snapshot was made of.
    Claim(ObjectKey),
}

pub(crate) fn role() -> ComponentRole {
    let group = &[kinds::snapshot::GROUP];
    let write = &["get", "list", "patch", "update", "watch"];
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, &[""], &["persistentvolumes"]),
            rule(write, &[""], &["persistentvolumeclaims"]),
            rule(write, group, &["volumesnapshots"]),
            rule(&["create", "delete"], group, &["volumesnapshotcontents"]),
            rule(write, group, &["volumesnapshotcontents"]),
            rule(&["patch", "update"], group, &["volumesnapshots/status"]),
            rule(READ, group, &["volumesnapshotclasses"]),
            events(),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::service_account("kube-system", NAME));
    let snapshots: Informer<VolumeSnapshot> = cluster.informer();
    let (of_claims, of_classes) = (snapshots.clone(), snapshots.clone());
    let controller = Controller::new(NAME, &cluster)
        .watches::<VolumeSnapshot>(|queue, change| {
            let snapshot = change.object();
            queue.add(Key::Snapshot(key_of(&snapshot.metadata)));
            if let Some(claim) = snapshot.claim() {
                queue.add(Key::Claim(claim));
            }
        })
        .watches::<VolumeSnapshotContent>(|queue, change| {
            let content = change.object();
            queue.add(Key::Content(key_of(&content.metadata)));
            queue.add(Key::Snapshot(content.snapshot()));
        })
        .watches::<PersistentVolumeClaim>(move |queue, change| {
            let claim = change.object();
            let key = key_of(&claim.metadata);
            for snapshot in of_claims.list(key.namespace.as_deref()) {
                if snapshot.claim().as_ref() == Some(&key) && !snapshot.is_ready() {
                    queue.add(Key::Snapshot(key_of(&snapshot.metadata)));
                }
            }
            if let Some(snapshot) = restored_from(claim) {
                queue.add(Key::Snapshot(snapshot));
            }
        })
        .watches::<VolumeSnapshotClass>(move |queue, _| {
            let unready = of_classes.list(None).into_iter().filter(|snapshot| !snapshot.is_ready());
            unready.for_each(|snapshot| queue.add(Key::Snapshot(key_of(&snapshot.metadata))));
        });
    let snapshotter = Arc::new(Snapshotter {
        snapshots: client.custom_api(),
        contents: client.custom_api(),
        claims: client.api(),
        volumes: client.api(),
        known: snapshots,
        classes: cluster.informer(),
        events: client.recorder(NAME, None),
    });
    controller
        .run(stop, snapshotter, |snapshotter, key| async move {
            match key {
                Key::Snapshot(key) => snapshotter.snapshot(&key).await,
                Key::Content(key) => snapshotter.content(&key).await,
                Key::Claim(key) => snapshotter.claim(&key).await,
            }
        })
        .await;
}

struct Snapshotter {
    snapshots: CustomApi<VolumeSnapshot>,
    contents: CustomApi<VolumeSnapshotContent>,
    claims: Api<PersistentVolumeClaim>,
    volumes: Api<PersistentVolume>,
    known: Informer<VolumeSnapshot>,
    classes: Informer<VolumeSnapshotClass>,
    events: Recorder,
}

impl Snapshotter {
    async fn snapshot(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(snapshot) = self.snapshots.find(key)? else { return Ok(()) };
        if snapshot.metadata.deletion_timestamp.is_some() {
            return self.end(key, &snapshot).await;
        }
        match plan::step(&snapshot, &self.surroundings(&snapshot)?) {
            Step::Nothing => Ok(()),
            Step::Fail { reason, message } => self.fail(key, &snapshot, reason, message).await,
            Step::Show(status) => self.show(key, &snapshot, *status).await,
            Step::Create(content) => self.create(key, &snapshot, &content).await,
            Step::Hold(finalizers) => {
                let hold = |meta: &mut ObjectMeta| hold(meta, &finalizers);
                self.change(key, &snapshot, hold).await
            }
            Step::SetClass(class) => {
                let set = self.snapshots.modify(key, |snapshot| {
                    snapshot.spec.volume_snapshot_class_name.get_or_insert_with(|| class.clone());
                    Ok(())
                });
                unless_gone(set.await).map(drop)
            }
            Step::Bind => self.bind(key, &snapshot).await,
        }
    }

    fn surroundings(&self, snapshot: &VolumeSnapshot) -> Result<Surroundings, Status> {
        let content = snapshot.content_name().map(|name| self.contents.find(&ObjectKey::cluster(&name)));
        let content = content.transpose()?.flatten();
        if content.is_some() {
            return Ok(Surroundings { content, ..Surroundings::default() });
        }
        let claim = snapshot.claim().map(|claim| self.claims.find(&claim)).transpose()?.flatten();
        let name = claim.as_ref().map(volume::volume_name).filter(|name| !name.is_empty());
        let volume = name.map(|name| self.volumes.find(&ObjectKey::cluster(name))).transpose()?.flatten();
        let classes = self.classes.list(None).iter().map(|class| VolumeSnapshotClass::clone(class)).collect();
        Ok(Surroundings { content, claim, volume, classes })
    }

    async fn fail(
        &self,
        key: &ObjectKey,
        snapshot: &VolumeSnapshot,
        reason: &'static str,
        message: String,
    ) -> Result<(), Status> {
        let Some(status) = plan::failed(snapshot, &message, Timestamp::now()) else { return Ok(()) };
        self.write_status(key, &status).await?;
        self.events.warning(snapshot, reason, message);
        Ok(())
    }

    async fn show(
        &self,
        key: &ObjectKey,
        snapshot: &VolumeSnapshot,
        status: VolumeSnapshotStatus,
    ) -> Result<(), Status> {
        self.write_status(key, &status).await?;
        let had_time = snapshot.status.as_ref().is_some_and(|status| status.creation_time.is_some());
        if status.creation_time.is_some() && !had_time {
            let message = format!("Snapshot {key} was successfully created by the CSI driver.");
            self.events.normal(snapshot, "SnapshotCreated", message);
        }
        if status.ready_to_use == Some(true) && !snapshot.is_ready() {
            self.events.normal(snapshot, "SnapshotReady", format!("Snapshot {key} is ready to use."));
        }
        Ok(())
    }

    async fn write_status(&self, key: &ObjectKey, status: &VolumeSnapshotStatus) -> Result<(), Status> {
        let written = self.snapshots.modify_status(key, |snapshot| {
            snapshot.status = Some(status.clone());
            Ok(())
        });
        unless_gone(written.await).map(drop)
    }

    async fn create(
        &self,
        key: &ObjectKey,
        snapshot: &VolumeSnapshot,
        content: &VolumeSnapshotContent,
    ) -> Result<(), Status> {
        if let Some(claim) = snapshot.claim() {
            let held = self.claims.modify(&claim, |claim| {
                hold(&mut claim.metadata, &[CLAIM_FINALIZER]);
                Ok(())
            });
            held.await?;
        }
        match self.contents.create(content).await {
            Err(status) if !status.is(Reason::AlreadyExists) => {
                let why = format!("Failed to create snapshot content with error {status}");
                self.fail(key, snapshot, "SnapshotContentCreationFailed", why).await?;
                Err(status)
            }
            _ => {
                let message = format!("Waiting for a snapshot {key} to be created by the CSI driver.");
                self.events.normal(snapshot, "CreatingSnapshot", message);
                Ok(())
            }
        }
    }

    /// The content that a user made knows the snapshot by its name.
    async fn bind(&self, key: &ObjectKey, snapshot: &VolumeSnapshot) -> Result<(), Status> {
        let Some(name) = snapshot.content_name() else { return Ok(()) };
        let content_key = ObjectKey::cluster(&name);
        let bound = self.contents.modify(&content_key, |content| {
            let of = &mut content.spec.volume_snapshot_ref;
            if of.uid.is_some() && of.uid != snapshot.metadata.uid {
                let snapshot = snapshot.metadata.name.as_deref().unwrap_or_default();
                return Err(Status::bad_request(format!(
                    "Could not bind snapshot {snapshot} and content {name}, the VolumeSnapshotRef does not match"
                )));
            }
            of.uid.clone_from(&snapshot.metadata.uid);
            if let Some(class) = &snapshot.spec.volume_snapshot_class_name {
                content.spec.volume_snapshot_class_name = Some(class.clone());
            }
            Ok(())
        });
        let Err(status) = unless_gone(bound.await) else { return Ok(()) };
        let why = format!("Snapshot failed to bind VolumeSnapshotContent, {status}");
        self.fail(key, snapshot, "SnapshotBindFailed", why).await?;
        Err(status)
    }

    async fn end(&self, key: &ObjectKey, snapshot: &VolumeSnapshot) -> Result<(), Status> {
        let name = snapshot.bound_content().map(str::to_owned).or_else(|| snapshot.content_name());
        let content_key = name.map(|name| ObjectKey::cluster(&name));
        let content = content_key.as_ref().map(|key| self.contents.find(key)).transpose()?.flatten();
        let is_being_restored = self.is_being_restored(key)?;
        match (plan::ending(snapshot, content.as_ref(), is_being_restored), content_key, content) {
            (Ending::Wait, ..) => {
                let message = "Snapshot is being used to restore a PVC";
                self.events.warning(snapshot, "SnapshotDeletePending", message);
                Ok(())
            }
            (Ending::Tell, Some(content_key), _) => {
                let told = self.contents.modify(&content_key, |content| {
                    volume::annotate(&mut content.metadata, BEING_DELETED, "yes");
                    Ok(())
                });
                unless_gone(told.await).map(drop)
            }
            (Ending::DeleteContent, Some(content_key), Some(content)) => {
                let options = DeleteOptions { uid: content.metadata.uid, ..DeleteOptions::default() };
                let deleted = unless_gone(self.contents.delete(&content_key, &options).await).map(drop);
                if deleted.is_err() {
                    let message = "Failed to delete snapshot content API object";
                    self.events.warning(snapshot, "SnapshotContentObjectDeleteError", message);
                }
                deleted
            }
            (Ending::LetGo(finalizers), ..) => {
                let is_held = |finalizer: &&str| volume::has_finalizer(&snapshot.metadata, finalizer);
                if !finalizers.iter().any(is_held) {
                    return Ok(());
                }
                let let_go = |meta: &mut ObjectMeta| let_go(meta, finalizers);
                self.change(key, snapshot, let_go).await
            }
            _ => Ok(()),
        }
    }

    fn is_being_restored(&self, key: &ObjectKey) -> Result<bool, Status> {
        let claims = self.claims.list(key.namespace.as_deref(), LabelSelector::default())?;
        let waits = |claim: &PersistentVolumeClaim| {
            volume::phase(claim) == "Pending" && restored_from(claim).as_ref() == Some(key)
        };
        Ok(claims.iter().any(waits))
    }

    /// Only the one that was looked at: another may bear its name by now.
    async fn change(
        &self,
        key: &ObjectKey,
        snapshot: &VolumeSnapshot,
        change: impl Fn(&mut ObjectMeta) + Send + Sync,
    ) -> Result<(), Status> {
        let changed = self.snapshots.modify(key, |now| {
            if now.metadata.uid == snapshot.metadata.uid {
                change(&mut now.metadata);
            }
            Ok(())
        });
        unless_gone(changed.await).map(drop)
    }

    async fn content(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(content) = self.contents.find(key)? else { return Ok(()) };
        let source = &content.spec.source;
        if source.volume_handle.is_some() == source.snapshot_handle.is_some() {
            let message = "Exactly one of VolumeHandle and SnapshotHandle should be specified";
            self.events.warning(&content, "ContentValidationError", message);
            return Ok(());
        }
        let is_bound = content.spec.volume_snapshot_ref.uid.is_some();
        let is_going = content.metadata.deletion_timestamp.is_some();
        if !is_bound || is_going || volume::has_finalizer(&content.metadata, CONTENT_FINALIZER) {
            return Ok(());
        }
        let held = self.contents.modify(key, |content| {
            if content.metadata.deletion_timestamp.is_none() {
                hold(&mut content.metadata, &[CONTENT_FINALIZER]);
            }
            Ok(())
        });
        unless_gone(held.await).map(drop)
    }

    async fn claim(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(claim) = self.claims.find(key)? else { return Ok(()) };
        let snapshots = self.known.list(key.namespace.as_deref());
        let is_held = volume::has_finalizer(&claim.metadata, CLAIM_FINALIZER);
        if !is_held || plan::is_being_taken(key, snapshots.iter().map(|snapshot| &**snapshot)) {
            return Ok(());
        }
        let released = self.claims.modify(key, |claim| {
            let_go(&mut claim.metadata, &[CLAIM_FINALIZER]);
            Ok(())
        });
        unless_gone(released.await).map(drop)
    }
}

fn hold(meta: &mut ObjectMeta, finalizers: &[&str]) {
    for finalizer in finalizers {
        if !volume::has_finalizer(meta, finalizer) {
            meta.finalizers.get_or_insert_default().push((*finalizer).to_owned());
        }
    }
}

fn let_go(meta: &mut ObjectMeta, finalizers: &[&str]) {
    if let Some(all) = meta.finalizers.as_mut() {
        all.retain(|known| !finalizers.contains(&known.as_str()));
    }
}
