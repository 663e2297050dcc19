use crate::attached::capacities;
use crate::cache::{Cache, NAME};
use crate::hints::Event;
use crate::owners::owners;
use crate::pod_info::PodInfo;
use crate::pod_volumes::{PodVolumes, Promise, Storage};
use crate::preempt::{self, BY_SCHEDULER, DISRUPTION_TARGET};
use crate::{NoPreemption, Plugin, Preemption, Unschedulable, place};
use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, events, rule};
use cluster::{
    Actor, Api, Change, Client, Cluster, Controller, DeleteOptions, PodBinding, Recorder, WorkQueue,
    WriteOptions, subject,
};
use k8s_openapi::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodCondition,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment};
use kinds::{key_of, pod as ask, volume};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const USER: &str = "system:kube-scheduler";
/// Bound at once, so that they share the store's commits.
const MOST_BINDINGS: usize = 64;

pub fn role() -> ComponentRole {
    let rules = vec![
        rule(READ, &[""], &["namespaces", "nodes", "pods", "replicationcontrollers", "services"]),
        rule(READ, &["apps"], &["replicasets", "statefulsets"]),
        rule(&["delete"], &[""], &["pods"]),
        rule(READ, &["policy"], &["poddisruptionbudgets"]),
        rule(
            &["get", "list", "patch", "update", "watch"],
            &[""],
            &["persistentvolumeclaims", "persistentvolumes"],
        ),
        rule(
            READ,
            &["storage.k8s.io"],
            &["csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"],
        ),
        rule(&["create"], &[""], &["bindings", "pods/binding"]),
        rule(&["patch", "update"], &[""], &["pods/status"]),
        events(),
    ];
    ComponentRole::user(USER, USER, rules)
}

/// Somebody is to be tried; the cache says who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Turn;

/// Binds pods until `stop`. One decision after the other, so that no two pods are placed on the same free room; they are
/// bound beside each other.
pub async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::component(USER));
    let controller = Controller::new(NAME, &cluster).one_at_a_time();
    let scheduler = Arc::new(Scheduler::new(&client, controller.queue()));
    let controller = listening(controller, &scheduler);
    scheduler.fill();
    controller.run(stop, scheduler.clone(), |scheduler, Turn| async move { scheduler.turn().await }).await;
    scheduler.bindings.close();
    scheduler.bindings.wait().await;
}

enum Decision {
    Bind { node: String },
    Promise { node: String, promises: Vec<Promise> },
    Preempt { why: Unschedulable, preemption: Preemption },
    Refuse { why: String, nominated: Option<String> },
}

struct Scheduler {
    client: Client,
    pods: Api<Pod>,
    claims: Api<PersistentVolumeClaim>,
    volumes: Api<PersistentVolume>,
    events: Recorder,
    queue: WorkQueue<Turn>,
    cache: Mutex<Cache>,
    /// When the queue wakes us.
    alarm: Mutex<Option<Instant>>,
    bindings: TaskTracker,
    places_to_bind: Arc<Semaphore>,
}

fn listening(controller: Controller<Turn>, scheduler: &Arc<Scheduler>) -> Controller<Turn> {
    let it = || scheduler.clone();
    let (pods, nodes, namespaces, claims, volumes) = (it(), it(), it(), it(), it());
    let (classes, csi_nodes, attachments) = (it(), it(), it());
    let (drivers, capacities) = (it(), it());
    controller
        .watches::<Node>(move |_, change| {
            nodes.note_change(|cache, now| match change {
                Change::Deleted(node) => cache.node_is_gone(node, now),
                Change::Added(node) | Change::Modified { new: node, .. } => cache.node_is(node, now),
            });
        })
        .watches::<Pod>(move |_, change| {
            pods.note_change(|cache, now| match change {
                Change::Deleted(pod) => cache.pod_is_gone(pod, now),
                Change::Added(pod) | Change::Modified { new: pod, .. } => cache.pod_is(pod, now),
            });
        })
        .watches::<Namespace>(move |_, change| {
            namespaces.note_change(|cache, now| cache.namespace_is(change.object(), is_gone(change), now));
        })
        .watches::<PersistentVolumeClaim>(move |_, change| {
            let (claim, is_gone) = (change.object(), is_gone(change));
            let key = key_of(&claim.metadata);
            let (namespace, name) =
                (key.namespace.map(|n| n.to_string()).unwrap_or_default(), key.name.to_string());
            claims.note_change(|cache, now| {
                cache.volumes.claim_is(claim, is_gone);
                cache.notice(&Event::Claim { namespace, name }, now);
            });
        })
        .watches::<PersistentVolume>(move |_, change| {
            let is_same = matches!(change, Change::Modified { old, new }
                if old.spec == new.spec && old.metadata.labels == new.metadata.labels);
            if !is_same {
                volumes.note_change(|cache, now| {
                    cache.volumes.volume_is(change.object(), is_gone(change));
                    cache.notice(&Event::Volume, now);
                });
            }
        })
        .watches::<StorageClass>(move |_, change| {
            classes.note_change(|cache, now| {
                cache.volumes.class_is(change.object(), is_gone(change));
                cache.notice(&Event::Class, now);
            });
        })
        .watches::<CSIDriver>(move |_, _| drivers.notice(&Event::Attachment))
        .watches::<CSIStorageCapacity>(move |_, _| capacities.notice(&Event::Attachment))
        .watches::<CSINode>(move |_, change| match change {
            Change::Modified { old, new } if old.spec == new.spec => {}
            _ => csi_nodes.note_change(|cache, now| {
                cache.volumes.node_is(change.object(), is_gone(change));
                cache.notice(&Event::Attachment, now);
            }),
        })
        .watches::<VolumeAttachment>(move |_, change| {
            if is_gone(change) {
                attachments.notice(&Event::Attachment);
            }
        })
}

fn is_gone<K>(change: &Change<K>) -> bool {
    matches!(change, Change::Deleted(_))
}

impl Scheduler {
    fn new(client: &Client, queue: WorkQueue<Turn>) -> Self {
        Scheduler {
            client: client.clone(),
            pods: client.api(),
            claims: client.api(),
            volumes: client.api(),
            events: client.recorder(NAME, None),
            queue,
            cache: Mutex::default(),
            alarm: Mutex::default(),
            bindings: TaskTracker::new(),
            places_to_bind: Arc::new(Semaphore::new(MOST_BINDINGS)),
        }
    }

    /// Knows all that there is before anything is decided: what informers tell comes one by one, and a node whose pods are
    /// not known yet looks empty.
    fn fill(&self) {
        let cluster = self.client.cluster();
        self.note_change(|cache, now| {
            let namespaces = cluster.informer::<Namespace>().list(None);
            namespaces.iter().for_each(|namespace| cache.namespace_is(namespace, false, now));
            let claims = cluster.informer::<PersistentVolumeClaim>().list(None);
            claims.iter().for_each(|claim| cache.volumes.claim_is(claim, false));
            let volumes = cluster.informer::<PersistentVolume>().list(None);
            volumes.iter().for_each(|volume| cache.volumes.volume_is(volume, false));
            let classes = cluster.informer::<StorageClass>().list(None);
            classes.iter().for_each(|class| cache.volumes.class_is(class, false));
            let drivers = cluster.informer::<CSINode>().list(None);
            drivers.iter().for_each(|node| cache.volumes.node_is(node, false));
            cluster.informer::<Node>().list(None).iter().for_each(|node| cache.node_is(node, now));
            cluster.informer::<Pod>().list(None).iter().for_each(|pod| cache.pod_is(pod, now));
        });
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notice(&self, event: &Event) {
        self.note_change(|cache, now| cache.notice(event, now));
    }

    fn note_change(&self, change: impl FnOnce(&mut Cache, Instant)) {
        let now = Instant::now();
        let mut cache = self.cache();
        change(&mut cache, now);
        self.call_next(&cache, now);
    }

    /// Somebody is to be tried now, or later.
    fn call_next(&self, cache: &Cache, now: Instant) {
        if cache.queue.is_ready(now) {
            return self.queue.add(Turn);
        }
        let Some(due) = cache.queue.due() else { return };
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        if alarm.is_none_or(|set| set <= now || due < set) {
            *alarm = Some(due);
            self.queue.add_after(Turn, due.saturating_duration_since(now));
        }
    }

    /// One pod is tried.
    async fn turn(self: &Arc<Self>) -> Result<(), Status> {
        let decided = {
            let now = Instant::now();
            let mut cache = self.cache();
            let next = cache.queue.pop(now);
            let decided = next.and_then(|pod| Some((self.try_decide(&mut cache, &pod, now)?, pod)));
            self.call_next(&cache, now);
            decided
        };
        let Some((decision, pod)) = decided else { return Ok(()) };
        let key = key_of(&pod.pod.metadata);
        let done = match decision {
            Decision::Bind { node } => return self.bind(pod, node).await,
            Decision::Promise { node, promises } => self.promise(&pod.pod, &node, promises).await,
            Decision::Preempt { why, preemption } => self.preempt(&pod, &why, preemption).await,
            Decision::Refuse { why, nominated } => {
                self.events.warning(&*pod.pod, "FailedScheduling", why.clone());
                self.note(&pod.pod, &why, nominated.as_deref()).await
            }
        };
        if done.is_err() {
            self.note_change(|cache, now| cache.queue.retry(&key, &pod.id, now));
        }
        done
    }

    /// `None` where it panicked: the pod is tried again after a while, and the others go on.
    fn try_decide(&self, cache: &mut Cache, pod: &Arc<PodInfo>, now: Instant) -> Option<Decision> {
        let decided = catch_unwind(AssertUnwindSafe(|| self.decide(cache, pod, now)));
        if decided.is_err() {
            let key = key_of(&pod.pod.metadata);
            tracing::error!(pod = %key, "no node was looked for: panicked, will try again");
            cache.forget(pod, now);
            cache.queue.failed(&key, &pod.id, now);
        }
        decided.ok()
    }

    /// What becomes of the pod. It is in the queue where it belongs when this returns: nothing that changes from now on is
    /// missed.
    fn decide(&self, cache: &mut Cache, pod: &Arc<PodInfo>, now: Instant) -> Decision {
        let key = key_of(&pod.pod.metadata);
        let cluster = self.client.cluster();
        let context = cache.context(self.storage(cache, &pod.pod), owners(cluster, &pod.pod));
        let refused = match place(pod, &cache.snapshot, &context) {
            Ok(placement) => {
                cache.start = (cache.start + placement.evaluated) % cache.snapshot.len().max(1);
                let node = cache.snapshot.node(&placement.node).map(|node| node.node.clone());
                let promises = PodVolumes::of(&pod.pod, &context.storage).ok().zip(node);
                let promises = promises.map(|(volumes, node)| volumes.promises(&node)).unwrap_or_default();
                if !promises.is_empty() {
                    // when they are bound it is tried again; they tie it to this node, where nobody takes its place meanwhile
                    cache.queue.refused(&key, [Plugin::VolumeBinding].into(), now);
                    cache.nominate(pod, Some(&placement.node), now);
                    return Decision::Promise { node: placement.node, promises };
                }
                cache.assume(pod, &placement.node, now);
                return Decision::Bind { node: placement.node };
            }
            Err(refused) => refused,
        };
        cache.queue.refused(&key, refused.plugins.clone(), now);
        let budgets = cluster.informer::<PodDisruptionBudget>().list(None);
        match preempt::preempt(pod, &cache.snapshot, &context, &refused, &budgets) {
            Ok(preemption) => {
                cache.nominate(pod, Some(&preemption.node), now);
                Decision::Preempt { why: refused, preemption }
            }
            Err(NoPreemption { why, keeps_place }) => {
                let nominated = cache.place_of(&key).filter(|_| keeps_place).map(str::to_owned);
                cache.nominate(pod, nominated.as_deref(), now);
                let why = match refused.nodes {
                    0 => refused.to_string(),
                    _ => format!("{refused} preemption: {why}"),
                };
                Decision::Refuse { why, nominated }
            }
        }
    }

    /// What is stored of the claims that the pod uses: a cache may not show what was promised a moment ago.
    fn storage(&self, cache: &Cache, pod: &Pod) -> Storage {
        let cluster = self.client.cluster();
        let used = volume::claims_of(pod);
        if used.is_empty() {
            return Storage::default();
        }
        let namespace = pod.metadata.namespace.as_deref();
        let find = |name: &str| self.claims.find(&ObjectKey::new(namespace, name)).ok().flatten();
        Storage {
            claims: used.iter().filter_map(|claim| Some((claim.name.clone(), find(&claim.name)?))).collect(),
            volumes: cluster.informer::<PersistentVolume>().list(None),
            classes: cluster.informer::<StorageClass>().list(None),
            attached: cache.volumes.attached(pod),
            capacities: capacities(cluster),
        }
    }

    /// Claims that waited for the pod are told where it will run, or are given a volume that is reached from there.
    async fn promise(&self, pod: &Pod, node: &str, promises: Vec<Promise>) -> Result<(), Status> {
        let namespace = pod.metadata.namespace.as_deref();
        for promise in promises {
            let done = match promise {
                Promise::Made => continue,
                Promise::Node { claim } => {
                    let key = ObjectKey::new(namespace, &claim);
                    let tell = self.claims.modify(&key, |claim| {
                        volume::annotate(&mut claim.metadata, volume::SELECTED_NODE, node);
                        Ok(())
                    });
                    tell.await.map(|_| ())
                }
                Promise::Volume { claim, volume: name } => {
                    let Some(claim) = self.claims.find(&ObjectKey::new(namespace, &claim))? else { continue };
                    let key = ObjectKey::cluster(&name);
                    let give = self.volumes.modify(&key, |of| {
                        let spec = of.spec.get_or_insert_default();
                        if spec.claim_ref.is_some() {
                            let words = format!("volume \"{name}\" already bound to a different claim.");
                            return Err(Status::new(Reason::Conflict, words));
                        }
                        spec.claim_ref = Some(subject(&claim));
                        volume::annotate(&mut of.metadata, volume::BOUND_BY_CONTROLLER, "yes");
                        Ok(())
                    });
                    give.await.map(|_| ())
                }
            };
            match done {
                Err(status) if status.is(Reason::NotFound) => {}
                other => other?,
            }
        }
        Ok(())
    }

    async fn bind(self: &Arc<Self>, pod: Arc<PodInfo>, node: String) -> Result<(), Status> {
        let place = self.places_to_bind.clone().acquire_owned().await;
        let place = place.map_err(|closed| Status::internal(closed.to_string()))?;
        let this = self.clone();
        self.bindings.spawn(async move {
            let key = key_of(&pod.pod.metadata);
            let binding = PodBinding {
                namespace: key.namespace.as_deref().unwrap_or_default().to_owned(),
                pod: key.name.to_string(),
                node: node.clone(),
                // one that has its name by now may not fit there
                uid: pod.pod.metadata.uid.clone(),
                ..PodBinding::default()
            };
            let client = this.client.clone();
            // on its own: where it panics the pod is tried again all the same
            let bound = tokio::spawn(async move { client.bind_as(&binding, &WriteOptions::default()).await });
            match bound.await.unwrap_or_else(|broken| Err(Status::internal(broken))) {
                Ok(()) => {
                    this.events.normal(
                        &*pod.pod,
                        "Scheduled",
                        format!("Successfully assigned {key} to {node}"),
                    );
                    this.note_change(|cache, _| cache.queue.bound(&key, &pod.id));
                }
                Err(status) => {
                    tracing::debug!(%key, %node, %status, "pod not bound, will try again");
                    this.note_change(|cache, now| {
                        cache.forget(&pod, now);
                        cache.queue.failed(&key, &pod.id, now);
                    });
                }
            }
            drop(place);
        });
        Ok(())
    }

    /// The place is written down before anybody goes: whoever is placed meanwhile leaves it free.
    async fn preempt(
        &self,
        pod: &Arc<PodInfo>,
        why: &Unschedulable,
        preemption: Preemption,
    ) -> Result<(), Status> {
        let (node, victims) = (&preemption.node, preemption.victims.len());
        let why = format!(
            "{why} preemption: found a potential placement for pod on node {node}, preempting {victims} victims"
        );
        self.events.warning(&*pod.pod, "FailedScheduling", why.clone());
        self.note(&pod.pod, &why, Some(&preemption.node)).await?;
        let uid = pod.pod.metadata.uid.as_deref().unwrap_or_default();
        for victim in &preemption.victims {
            self.evict(victim).await?;
            let said = format!("Preempted by pod {uid} on node {}", preemption.node);
            self.events.normal(&**victim, "Preempted", said);
        }
        self.give_up_places(pod, &preemption.node).await
    }

    async fn evict(&self, victim: &Pod) -> Result<(), Status> {
        if ask::is_deleting(victim) {
            return Ok(());
        }
        let key = key_of(&victim.metadata);
        let condition = PodCondition {
            type_: DISRUPTION_TARGET.to_owned(),
            status: "True".to_owned(),
            reason: Some(BY_SCHEDULER.to_owned()),
            message: Some(format!("{NAME}: preempting to accommodate a higher priority pod")),
            ..PodCondition::default()
        };
        let mark = |pod: &mut Pod| {
            ask::set_condition(pod.status.get_or_insert_default(), condition.clone(), jiff::Timestamp::now());
        };
        self.write_status(victim, mark).await?;
        let options = DeleteOptions { uid: victim.metadata.uid.clone(), ..DeleteOptions::default() };
        unless_gone(self.pods.delete(&key, options).await)
    }

    /// Less important pods that were to come to the node look for another.
    async fn give_up_places(&self, pod: &PodInfo, node: &str) -> Result<(), Status> {
        let others = self.cache().nominated_below(pod, node);
        for key in others {
            self.note_change(|cache, now| cache.lose_place(&key, node, now));
            let cleared = self.pods.modify_status(&key, |pod| {
                let status = pod.status.get_or_insert_default();
                // it may have found one meanwhile
                if status.nominated_node_name.as_deref() == Some(node) {
                    status.nominated_node_name = None;
                }
                Ok(())
            });
            unless_gone(cleared.await.map(|_| ()))?;
        }
        Ok(())
    }

    async fn note(&self, pod: &Pod, why: &str, nominated: Option<&str>) -> Result<(), Status> {
        let note = |pod: &mut Pod| {
            let condition = PodCondition {
                type_: "PodScheduled".into(),
                status: "False".into(),
                reason: Some("Unschedulable".into()),
                message: Some(why.to_owned()),
                observed_generation: pod.metadata.generation,
                ..PodCondition::default()
            };
            let status = pod.status.get_or_insert_default();
            status.nominated_node_name = nominated.map(str::to_owned);
            ask::set_condition(status, condition, jiff::Timestamp::now());
        };
        self.write_status(pod, note).await
    }

    /// Of this pod, not of another that has its name by now.
    async fn write_status(&self, pod: &Pod, change: impl Fn(&mut Pod) + Send + Sync) -> Result<(), Status> {
        let key = key_of(&pod.metadata);
        let written = self.pods.modify_status(&key, |stored| {
            if stored.metadata.uid != pod.metadata.uid {
                return Err(Status::new(Reason::NotFound, "the pod is gone, another has its name"));
            }
            change(stored);
            Ok(())
        });
        unless_gone(written.await.map(|_| ()))
    }
}

fn unless_gone(done: Result<(), Status>) -> Result<(), Status> {
    match done {
        Err(status) if status.is(Reason::NotFound) || status.is(Reason::Conflict) => Ok(()),
        other => other,
    }
}
