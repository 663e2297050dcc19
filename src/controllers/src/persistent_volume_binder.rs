//! Binds claims to volumes: those that are there, and those that provisioners make.
//!
//! One worker looks at claims and at volumes in turn, so that no volume is given away twice. `claim_plan.rs` and
//! `volume_plan.rs` decide from what is stored; here is what carries it out. Read [`Binder::claim`] first.

mod claim_plan;
#[cfg(test)]
mod tests;
mod volume_plan;

use crate::owner::is_still;
use api::{ObjectKey, Reason, Status};
use claim_plan::{Said, Seen, Step};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Api, Change, Cluster, Controller, Informer, Recorder, WorkQueue, subject, unless_gone};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::{key_of, volume};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "persistent-volume-binder";
/// As events name it.
const SPEAKER: &str = "persistentvolume-controller";

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Claim(ObjectKey),
    Volume(ObjectKey),
}

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(
                &["create", "delete", "get", "list", "patch", "update", "watch"],
                &[""],
                &["persistentvolumes"],
            ),
            rule(&["patch", "update"], &[""], &["persistentvolumeclaims/status", "persistentvolumes/status"]),
            rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumeclaims"]),
            rule(READ, &[""], &["nodes", "pods"]),
            rule(READ, &["storage.k8s.io"], &["storageclasses"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let volumes = cluster.informer::<PersistentVolume>();
    let (known, waiting) = (cluster.informer::<PersistentVolumeClaim>(), cluster.informer());
    let controller = Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<PersistentVolumeClaim>(move |queue, change| claim_changed(queue, change, &volumes))
        .watches::<PersistentVolume>(move |queue, change| volume_changed(queue, change, &known))
        .watches::<StorageClass>(move |queue, _| wake_unbound(queue, &waiting));
    let binder = Arc::new(Binder {
        cluster,
        claims: client.api(),
        volumes: client.api(),
        events: client.recorder(SPEAKER, None),
        queue: controller.queue(),
    });
    controller
        .run(stop, binder, |binder, key| async move {
            match key {
                Key::Claim(key) => binder.claim(&key).await,
                Key::Volume(key) => binder.volume(&key).await,
            }
        })
        .await;
}
fn claim_changed(
    queue: &WorkQueue<Key>,
    change: &Change<PersistentVolumeClaim>,
    volumes: &Informer<PersistentVolume>,
) {
    let claim = change.object();
    queue.add(Key::Claim(key_of(&claim.metadata)));
    let name = volume::volume_name(claim);
    if !name.is_empty() {
        queue.add(Key::Volume(ObjectKey::cluster(name)));
    }
    if matches!(change, Change::Deleted(_)) {
        let all = volumes.list(None);
        let its = all.iter().filter(|of| volume::is_bound_to(of, claim));
        its.for_each(|of| queue.add(Key::Volume(key_of(&of.metadata))));
    }
}

fn volume_changed(
    queue: &WorkQueue<Key>,
    change: &Change<PersistentVolume>,
    claims: &Informer<PersistentVolumeClaim>,
) {
    let of = change.object();
    queue.add(Key::Volume(key_of(&of.metadata)));
    match of.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) {
        Some(claim) => {
            let name = claim.name.as_deref().unwrap_or_default();
            queue.add(Key::Claim(ObjectKey::new(claim.namespace.as_deref(), name)));
        }
        // whoever waits may have it
        None if !matches!(change, Change::Deleted(_)) => wake_unbound(queue, claims),
        None => {}
    }
}

fn wake_unbound(queue: &WorkQueue<Key>, claims: &Informer<PersistentVolumeClaim>) {
    let all = claims.list(None);
    let waits = |claim: &&Arc<PersistentVolumeClaim>| !volume::is_fully_bound(claim);
    all.iter().filter(waits).for_each(|claim| queue.add(Key::Claim(key_of(&claim.metadata))));
}

struct Binder {
    cluster: Cluster,
    claims: Api<PersistentVolumeClaim>,
    volumes: Api<PersistentVolume>,
    events: Recorder,
    queue: WorkQueue<Key>,
}

impl Binder {
    async fn claim(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(claim) = self.claims.find(key)? else { return Ok(()) };
        let classes = self.cluster.informer::<StorageClass>();
        let class = classes.get(&ObjectKey::cluster(volume::class_of_claim(&claim)));
        let default = volume::default_class(classes.list(None));
        let named = match volume::volume_name(&claim) {
            "" => None,
            name => self.volumes.find(&ObjectKey::cluster(name))?,
        };
        let seen = Seen {
            claim: &claim,
            class: class.as_deref(),
            default_class: default.as_deref(),
            volumes: &self.cluster.informer::<PersistentVolume>().list(None),
            named: named.as_ref(),
            waiting_pods: &self.waiting_pods(key),
        };
        match claim_plan::plan(&seen) {
            Step::Bind(name) => self.bind(&claim, &name).await,
            Step::SetClass(name) => {
                let set = self.claims.modify(key, |now| {
                    is_still(now, &claim.metadata)?;
                    let spec = now.spec.get_or_insert_default();
                    spec.storage_class_name.get_or_insert_with(|| name.clone());
                    Ok(())
                });
                unless_gone(set.await).map(|_| ())
            }
            Step::Provision { provisioner, said } => {
                let is_asked = volume::annotation(&claim.metadata, volume::PROVISIONER) == Some(&provisioner);
                if !is_asked {
                    self.say(&claim, said);
                    let asked = self.claims.modify(key, |now| {
                        is_still(now, &claim.metadata)?;
                        volume::annotate(&mut now.metadata, volume::PROVISIONER, &provisioner);
                        volume::annotate(&mut now.metadata, volume::OLD_PROVISIONER, &provisioner);
                        Ok(())
                    });
                    unless_gone(asked.await)?;
                }
                self.set_phase(&claim, "Pending").await
            }
            Step::Wait(said) => {
                self.say(&claim, said);
                self.set_phase(&claim, "Pending").await
            }
            Step::WaitSilently => self.set_phase(&claim, "Pending").await,
            Step::Lost(said) => {
                if volume::phase(&claim) != "Lost" {
                    self.say(&claim, said);
                }
                self.set_phase(&claim, "Lost").await
            }
        }
    }

    fn waiting_pods(&self, claim: &ObjectKey) -> Vec<String> {
        let pods = self.cluster.informer::<Pod>().list(claim.namespace.as_deref());
        let is_unbound = |pod: &Pod| {
            pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default().is_empty()
        };
        let uses = |pod: &&Arc<Pod>| volume::claims_of(pod).iter().any(|of| *of.name == *claim.name);
        let waiting = pods.iter().filter(|pod| is_unbound(pod)).filter(uses);
        waiting.filter_map(|pod| pod.metadata.name.clone()).collect()
    }

    fn say(&self, claim: &PersistentVolumeClaim, said: Said) {
        let Said { is_warning, reason, message } = said;
        match is_warning {
            true => self.events.warning(claim, reason, message),
            false => self.events.normal(claim, reason, message),
        }
    }

    async fn set_phase(&self, claim: &PersistentVolumeClaim, phase: &'static str) -> Result<(), Status> {
        if volume::phase(claim) == phase {
            return Ok(());
        }
        let key = key_of(&claim.metadata);
        let set = self.claims.modify_status(&key, |now| {
            is_still(now, &claim.metadata)?;
            now.status.get_or_insert_default().phase = Some(phase.to_owned());
            Ok(())
        });
        unless_gone(set.await).map(|_| ())
    }

    /// The volume first: a crash between the two leaves a volume that is promised to the claim, and the claim finds it again.
    async fn bind(&self, claim: &PersistentVolumeClaim, name: &str) -> Result<(), Status> {
        let key = ObjectKey::cluster(name);
        let Some(of) = self.volumes.find(&key)? else {
            self.queue.add_rate_limited(Key::Claim(key_of(&claim.metadata)));
            return Ok(());
        };
        if !promised(&of, claim) {
            let promise = self.volumes.modify(&key, |now| {
                is_still(now, &of.metadata)?;
                promise(now, claim)
            });
            if unless_gone(promise.await)?.is_none() {
                return Ok(());
            }
        }
        self.set_volume_phase(&of, "Bound").await?;
        let claim_key = key_of(&claim.metadata);
        if volume::volume_name(claim) != name || !volume::is_fully_bound(claim) {
            let named = self.claims.modify(&claim_key, |now| {
                is_still(now, &claim.metadata)?;
                let spec = now.spec.get_or_insert_default();
                if spec.volume_name.as_deref().unwrap_or_default().is_empty() {
                    spec.volume_name = Some(name.to_owned());
                    volume::annotate(&mut now.metadata, volume::BOUND_BY_CONTROLLER, "yes");
                }
                volume::annotate(&mut now.metadata, volume::BIND_COMPLETED, "yes");
                Ok(())
            });
            if unless_gone(named.await)?.is_none() {
                return Ok(());
            }
        }
        let spec = of.spec.unwrap_or_default();
        let modes = spec.access_modes;
        let status = claim.status.as_ref();
        if volume::phase(claim) == "Bound" && status.is_some_and(|status| status.access_modes == modes) {
            return Ok(());
        }
        let set = self.claims.modify_status(&claim_key, |now| {
            is_still(now, &claim.metadata)?;
            let status = now.status.get_or_insert_default();
            // afterwards whoever makes it larger says how large it is
            if status.phase.as_deref() != Some("Bound") {
                status.capacity.clone_from(&spec.capacity);
            }
            status.phase = Some("Bound".to_owned());
            status.access_modes.clone_from(&modes);
            Ok(())
        });
        unless_gone(set.await).map(|_| ())
    }

    async fn set_volume_phase(&self, of: &PersistentVolume, phase: &'static str) -> Result<(), Status> {
        if of.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase) {
            return Ok(());
        }
        let key = key_of(&of.metadata);
        let set = self.volumes.modify_status(&key, |now| {
            is_still(now, &of.metadata)?;
            let status = now.status.get_or_insert_default();
            status.phase = Some(phase.to_owned());
            status.message = None;
            status.reason = None;
            Ok(())
        });
        unless_gone(set.await).map(|_| ())
    }

    async fn volume(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(of) = self.volumes.find(key)? else { return Ok(()) };
        let reference = of.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        let claim_key = reference.map(|reference| {
            ObjectKey::new(reference.namespace.as_deref(), reference.name.as_deref().unwrap_or_default())
        });
        let claim = claim_key.as_ref().map(|key| self.claims.find(key)).transpose()?.flatten();
        match volume_plan::plan(&of, claim.as_ref()) {
            volume_plan::Step::Nothing => Ok(()),
            volume_plan::Step::Phase(phase) => self.set_volume_phase(&of, phase).await,
            volume_plan::Step::LookAtClaim => {
                claim_key.into_iter().for_each(|key| self.queue.add(Key::Claim(key)));
                Ok(())
            }
            volume_plan::Step::Mismatch { of_volume, of_claim } => {
                const REASON: &str = "VolumeMismatch";
                self.events.event(subject(&of), cluster::EventType::Warning, REASON, of_volume);
                if let Some(claim) = &claim {
                    self.events.warning(claim, REASON, of_claim);
                }
                Ok(())
            }
            volume_plan::Step::Unbind => {
                let unbound = self.volumes.modify(key, |now| {
                    is_still(now, &of.metadata)?;
                    unbind(now);
                    Ok(())
                });
                unless_gone(unbound.await).map(|_| ())
            }
            volume_plan::Step::Fail { reason, message } => {
                self.events.event(subject(&of), cluster::EventType::Warning, reason, message.clone());
                let failed = self.volumes.modify_status(key, |now| {
                    is_still(now, &of.metadata)?;
                    let status = now.status.get_or_insert_default();
                    status.phase = Some("Failed".to_owned());
                    status.message = Some(message.clone());
                    Ok(())
                });
                unless_gone(failed.await).map(|_| ())
            }
        }
    }
}

/// The volume's reference is to this very claim.
fn promised(of: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let reference = of.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    reference.is_some_and(|reference| reference.uid == claim.metadata.uid)
}

fn promise(of: &mut PersistentVolume, claim: &PersistentVolumeClaim) -> Result<(), Status> {
    let name = of.metadata.name.clone().unwrap_or_default();
    let is_free = of.spec.as_ref().is_none_or(|spec| spec.claim_ref.is_none());
    if !is_free && !volume::is_bound_to(of, claim) {
        let words = format!("volume \"{name}\" already bound to a different claim.");
        return Err(Status::new(Reason::Conflict, words));
    }
    if is_free {
        volume::annotate(&mut of.metadata, volume::BOUND_BY_CONTROLLER, "yes");
    }
    of.spec.get_or_insert_default().claim_ref = Some(subject(claim));
    Ok(())
}

/// What the binder wrote goes; what a user wrote stays, but for the uid.
fn unbind(of: &mut PersistentVolume) {
    let by_binder = volume::annotation(&of.metadata, volume::BOUND_BY_CONTROLLER).is_some();
    let Some(spec) = of.spec.as_mut() else { return };
    if by_binder {
        spec.claim_ref = None;
        of.metadata.annotations.iter_mut().for_each(|all| {
            all.remove(volume::BOUND_BY_CONTROLLER);
        });
    } else if let Some(reference) = &mut spec.claim_ref {
        reference.uid = None;
    }
}
