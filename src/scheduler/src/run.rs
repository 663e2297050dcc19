use crate::pod_affinity::{Namespaces, has_terms};
use crate::pod_volumes::{PodVolumes, Promise, Storage};
use crate::preempt::{self, BY_SCHEDULER, DISRUPTION_TARGET, nominated_node, priority};
use crate::{NoPreemption, NodeSnapshot, Preemption, Unschedulable, place};
use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, events, rule};
use cluster::{Actor, Api, Change, Client, Cluster, Controller, DeleteOptions, Recorder, WorkQueue, subject};
use k8s_openapi::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodCondition,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::{key_of, pod as ask, volume};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

const NAME: &str = "default-scheduler";
const USER: &str = "system:kube-scheduler";

pub fn role() -> ComponentRole {
    let rules = vec![
        rule(READ, &[""], &["namespaces", "nodes", "pods"]),
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
            &["csidrivers", "csinodes", "csistoragecapacities", "storageclasses"],
        ),
        rule(&["create"], &[""], &["bindings", "pods/binding"]),
        rule(&["patch", "update"], &[""], &["pods/status"]),
        events(),
    ];
    ComponentRole::user(USER, USER, rules)
}

/// Binds pods until `stop`. One worker, so that no two pods are placed on the same free room.
pub async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::component(USER));
    let controller = Controller::new(NAME, &cluster).one_at_a_time();
    let scheduler = Arc::new(Scheduler::new(&client, controller.queue()));
    listening(controller, &scheduler)
        .run(stop, scheduler, |scheduler, key| async move { scheduler.schedule(&key).await })
        .await;
}

struct Scheduler {
    client: Client,
    pods: Api<Pod>,
    claims: Api<PersistentVolumeClaim>,
    volumes: Api<PersistentVolume>,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
    /// Bound by us, but not yet shown as bound by the informer.
    assumed: Mutex<HashMap<ObjectKey, Arc<Pod>>>,
}

/// A change of a node, or a pod that goes, may make room for those that found none; pods that come or get other labels, and
/// namespaces with other labels, make a difference to those that want to be with others, or apart; claims that are bound,
/// and volumes that are free, to those that use claims.
fn listening(controller: Controller, scheduler: &Arc<Scheduler>) -> Controller {
    let it = || scheduler.clone();
    let (pods, nodes, namespaces, claims, volumes, classes) = (it(), it(), it(), it(), it(), it());
    controller
        .watches::<Pod>(move |_, change| pods.pod_changed(change))
        .watches::<Node>(move |_, change| match change {
            Change::Modified { old, new }
                if old.spec == new.spec
                    && allocatable(old) == allocatable(new)
                    && old.metadata.labels == new.metadata.labels => {}
            _ => nodes.retry(|_| true),
        })
        .watches::<Namespace>(move |_, change| match change {
            Change::Modified { old, new } if old.metadata.labels == new.metadata.labels => {}
            _ => namespaces.retry(minds_others),
        })
        .watches::<PersistentVolumeClaim>(move |_, change| {
            let meta = &change.object().metadata;
            claims.retry(|pod| {
                pod.metadata.namespace == meta.namespace
                    && volume::claims_of(pod).iter().any(|claim| Some(&claim.name) == meta.name.as_ref())
            });
        })
        .watches::<PersistentVolume>(move |_, change| match change {
            Change::Modified { old, new } if old.spec == new.spec => {}
            _ => volumes.retry(has_claims),
        })
        .watches::<StorageClass>(move |_, _| classes.retry(has_claims))
}

fn allocatable(
    node: &Node,
) -> Option<&std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>> {
    node.status.as_ref()?.allocatable.as_ref()
}

fn has_claims(pod: &Pod) -> bool {
    !volume::claims_of(pod).is_empty()
}

/// Whether it may find a place by what other pods come, or change.
fn minds_others(pod: &Pod) -> bool {
    let spread = pod.spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_ref());
    has_terms(pod) || spread.is_some_and(|constraints| !constraints.is_empty())
}

/// Ours, not bound, not on its way out.
fn waits(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let ours = spec.and_then(|s| s.scheduler_name.as_deref()).unwrap_or(NAME) == NAME;
    ours && !is_bound(pod) && ask::is_active(pod)
}

fn is_bound(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).is_some_and(|n| !n.is_empty())
}

impl Scheduler {
    fn new(client: &Client, queue: WorkQueue<ObjectKey>) -> Self {
        Scheduler {
            client: client.clone(),
            pods: client.api(),
            claims: client.api(),
            volumes: client.api(),
            events: client.recorder(NAME, None),
            queue,
            assumed: Mutex::default(),
        }
    }

    fn pod_changed(&self, change: &Change<Pod>) {
        let pod = change.object();
        match change {
            Change::Deleted(_) => {
                self.forget(pod);
                self.retry(|_| true);
            }
            Change::Modified { old, new } if !ask::is_terminal(old) && ask::is_terminal(new) => {
                self.retry(|_| true);
            }
            // our own note that it does not fit is no reason to try again
            Change::Modified { old, new }
                if old.spec == new.spec
                    && old.metadata.labels == new.metadata.labels
                    && old.metadata.deletion_timestamp == new.metadata.deletion_timestamp => {}
            _ if waits(pod) => self.queue.add(key_of(&pod.metadata)),
            _ => {
                if is_bound(pod) {
                    self.forget(pod);
                    self.retry(minds_others);
                }
            }
        }
    }

    /// Tries those again that wait, where they are of this kind.
    fn retry(&self, is_meant: impl Fn(&Pod) -> bool) {
        let mut waiting = self.client.cluster().informer::<Pod>().list(None);
        waiting.retain(|pod| waits(pod) && is_meant(pod));
        // the more important ones choose first, of equals those that have waited longer
        waiting.sort_by_key(|pod| (Reverse(priority(pod)), pod.metadata.creation_timestamp.clone()));
        waiting.iter().for_each(|pod| self.queue.add(key_of(&pod.metadata)));
    }

    fn forget(&self, pod: &Pod) {
        self.assumed.lock().unwrap_or_else(PoisonError::into_inner).remove(&key_of(&pod.metadata));
    }

    async fn schedule(&self, key: &ObjectKey) -> Result<(), Status> {
        let cluster = self.client.cluster();
        let Some(pod) = cluster.informer::<Pod>().get(key).filter(|pod| waits(pod)) else { return Ok(()) };
        if pod.spec.as_ref().and_then(|s| s.scheduling_gates.as_ref()).is_some_and(|gates| !gates.is_empty())
        {
            let why = "Scheduling is blocked due to non-empty scheduling gates";
            return self.note(key, "SchedulingGated", why, None).await;
        }
        let storage = self.storage(&pod);
        let (nodes, namespaces) = (self.nodes(&pod), self.namespaces());
        match place(&pod, &nodes, &namespaces, &storage) {
            Ok(node) => {
                let promises = PodVolumes::of(&pod, &storage).map(|volumes| volumes.promises(&node.node));
                let promises = promises.unwrap_or_default();
                if promises.is_empty() {
                    return self.bind(key, &pod, node.name()).await;
                }
                // when they are bound the pod is looked at again
                self.promise(&pod, node.name(), promises).await
            }
            Err(reasons) => {
                let budgets = cluster.informer::<PodDisruptionBudget>().list(None);
                match preempt::preempt(&pod, &nodes, &namespaces, &storage, &budgets) {
                    Ok(preemption) => self.preempt(key, &pod, &reasons, preemption).await,
                    Err(NoPreemption(why)) => self.refuse(key, &pod, &reasons, &why).await,
                }
            }
        }
    }

    /// As this pod finds them: what is kept for others that are at least as important is taken.
    fn nodes(&self, pod: &Pod) -> Vec<NodeSnapshot> {
        let cluster = self.client.cluster();
        let pods = cluster.informer::<Pod>().list(None);
        let assumed = self.assumed.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = cluster.informer::<Node>().list(None);
        let mut snapshots: Vec<NodeSnapshot> =
            nodes.into_iter().map(|node| NodeSnapshot::new(node, &pods)).collect();
        for (key, pod) in assumed.iter() {
            let shown = pods.iter().any(|known| key_of(&known.metadata) == *key && is_bound(known));
            let node = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default();
            if let Some(snapshot) = snapshots.iter_mut().find(|s| s.name() == node && !shown) {
                snapshot.take(pod);
            }
        }
        let key = key_of(&pod.metadata);
        for other in pods.iter().filter(|other| waits(other) && priority(other) >= priority(pod)) {
            let other_key = key_of(&other.metadata);
            let node =
                nominated_node(other).filter(|_| other_key != key && !assumed.contains_key(&other_key));
            if let Some(snapshot) = snapshots.iter_mut().find(|snapshot| Some(snapshot.name()) == node) {
                snapshot.take(other);
            }
        }
        snapshots
    }

    /// What is stored of the claims that the pod uses: a cache may not show what was promised a moment ago.
    fn storage(&self, pod: &Pod) -> Storage {
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

    fn namespaces(&self) -> Namespaces {
        let all = self.client.cluster().informer::<Namespace>().list(None);
        let labels = |namespace: &Namespace| namespace.metadata.labels.clone().unwrap_or_default();
        all.iter()
            .filter_map(|namespace| Some((namespace.metadata.name.clone()?, labels(namespace))))
            .collect()
    }

    async fn bind(&self, key: &ObjectKey, pod: &Arc<Pod>, node: &str) -> Result<(), Status> {
        let mut assumed = Pod::clone(pod);
        assumed.spec.get_or_insert_default().node_name = Some(node.to_owned());
        self.assumed.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Arc::new(assumed));
        let namespace = key.namespace.as_deref().unwrap_or_default();
        match self.client.bind(namespace, &key.name, node).await {
            Ok(()) => {
                self.events.normal(&**pod, "Scheduled", format!("Successfully assigned {key} to {node}"));
                Ok(())
            }
            Err(status) => {
                self.forget(pod);
                if status.is(Reason::NotFound) || status.is(Reason::Conflict) { Ok(()) } else { Err(status) }
            }
        }
    }

    async fn refuse(
        &self,
        key: &ObjectKey,
        pod: &Arc<Pod>,
        why: &Unschedulable,
        no_preemption: &str,
    ) -> Result<(), Status> {
        let why = match why.nodes {
            0 => why.to_string(),
            _ => format!("{why} preemption: {no_preemption}"),
        };
        self.events.warning(&**pod, "FailedScheduling", why.clone());
        // one that waits for its victims keeps its place
        let keeps = no_preemption.starts_with("not eligible due to a terminating pod");
        let nominated = if keeps { nominated_node(pod) } else { None };
        self.note(key, "Unschedulable", &why, nominated).await
    }

    /// The place is written down before anybody goes: whoever is placed meanwhile leaves it free.
    async fn preempt(
        &self,
        key: &ObjectKey,
        pod: &Arc<Pod>,
        why: &Unschedulable,
        preemption: Preemption,
    ) -> Result<(), Status> {
        self.events.warning(&**pod, "FailedScheduling", why.to_string());
        self.note(key, "Unschedulable", &why.to_string(), Some(&preemption.node)).await?;
        self.give_up_places(pod, &preemption.node).await?;
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        for victim in &preemption.victims {
            self.evict(victim).await?;
            let said = format!("Preempted by pod {uid} on node {}", preemption.node);
            self.events.normal(&**victim, "Preempted", said);
        }
        Ok(())
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
        let marked = self.pods.modify_status(&key, |pod| {
            ask::set_condition(pod.status.get_or_insert_default(), condition.clone(), jiff::Timestamp::now());
            Ok(())
        });
        unless_gone(marked.await.map(|_| ()))?;
        let options = DeleteOptions { uid: victim.metadata.uid.clone(), ..DeleteOptions::default() };
        unless_gone(self.pods.delete(&key, options).await)
    }

    /// Less important pods that were to come to the node look for another.
    async fn give_up_places(&self, pod: &Pod, node: &str) -> Result<(), Status> {
        for other in self.client.cluster().informer::<Pod>().list(None) {
            if waits(&other) && nominated_node(&other) == Some(node) && priority(&other) < priority(pod) {
                let key = key_of(&other.metadata);
                let cleared = self.pods.modify_status(&key, |pod| {
                    pod.status.get_or_insert_default().nominated_node_name = None;
                    Ok(())
                });
                unless_gone(cleared.await.map(|_| ()))?;
            }
        }
        Ok(())
    }

    async fn note(
        &self,
        key: &ObjectKey,
        reason: &str,
        why: &str,
        nominated: Option<&str>,
    ) -> Result<(), Status> {
        let noted = self.pods.modify_status(key, |pod| {
            let condition = PodCondition {
                type_: "PodScheduled".into(),
                status: "False".into(),
                reason: Some(reason.to_owned()),
                message: Some(why.to_owned()),
                observed_generation: pod.metadata.generation,
                ..PodCondition::default()
            };
            let status = pod.status.get_or_insert_default();
            status.nominated_node_name = nominated.map(str::to_owned);
            ask::set_condition(status, condition, jiff::Timestamp::now());
            Ok(())
        });
        unless_gone(noted.await.map(|_| ()))
    }
}

fn unless_gone(done: Result<(), Status>) -> Result<(), Status> {
    match done {
        Err(status) if status.is(Reason::NotFound) || status.is(Reason::Conflict) => Ok(()),
        other => other,
    }
}
