use crate::pod_affinity::{Namespaces, has_terms};
use crate::pod_volumes::{PodVolumes, Promise, Storage};
use crate::{NodeSnapshot, Unschedulable, place};
use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Api, Change, Client, Cluster, Controller, Recorder, WorkQueue, subject};
use k8s_openapi::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodCondition,
};
use k8s_openapi::api::storage::v1::StorageClass;
use kinds::{key_of, pod as ask, volume};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

const NAME: &str = "default-scheduler";

/// Binds pods until `stop`. One worker, so that no two pods are placed on the same free room.
pub async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::component("system:kube-scheduler"));
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
            _ => namespaces.retry(has_terms),
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
                    self.retry(has_terms);
                }
            }
        }
    }

    /// Tries those again that wait, where they are of this kind.
    fn retry(&self, is_meant: impl Fn(&Pod) -> bool) {
        for pod in self.client.cluster().informer::<Pod>().list(None) {
            if waits(&pod) && is_meant(&pod) {
                self.queue.add(key_of(&pod.metadata));
            }
        }
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
            return self.note(key, "SchedulingGated", why).await;
        }
        let storage = self.storage(&pod);
        match place(&pod, &self.nodes(), &self.namespaces(), &storage) {
            Ok(node) => {
                let promises = PodVolumes::of(&pod, &storage).map(|volumes| volumes.promises(&node.node));
                let promises = promises.unwrap_or_default();
                if promises.is_empty() {
                    return self.bind(key, &pod, node.name()).await;
                }
                // when they are bound the pod is looked at again
                self.promise(&pod, node.name(), promises).await
            }
            Err(reasons) => self.refuse(key, &pod, &reasons).await,
        }
    }

    fn nodes(&self) -> Vec<NodeSnapshot> {
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

    async fn refuse(&self, key: &ObjectKey, pod: &Arc<Pod>, why: &Unschedulable) -> Result<(), Status> {
        self.events.warning(&**pod, "FailedScheduling", why.to_string());
        self.note(key, "Unschedulable", &why.to_string()).await
    }

    async fn note(&self, key: &ObjectKey, reason: &str, why: &str) -> Result<(), Status> {
        let noted = self.pods.modify_status(key, |pod| {
            let condition = PodCondition {
                type_: "PodScheduled".into(),
                status: "False".into(),
                reason: Some(reason.to_owned()),
                message: Some(why.to_owned()),
                ..PodCondition::default()
            };
            ask::set_condition(pod.status.get_or_insert_default(), condition, jiff::Timestamp::now());
            Ok(())
        });
        match noted.await {
            Err(status) if status.is(Reason::NotFound) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
