//! ReplicationControllers and ReplicaSets: so many pods of one template. Both are the same controller over two kinds.

use crate::owner::{cached, claim_all, controller_reference, is_alive, wake_owners};
use crate::pod_control;
use crate::replicas::{Counts, Plan, count, next_available, plan};
use crate::slow_start::in_batches;
use api::{LabelSelector, ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, pods_and_events, rule};
use cluster::{Actor, Api, Change, Cluster, Controller, Informer, Recorder, WorkQueue, unless_gone};
use futures::future::join_all;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    Pod, PodTemplateSpec, ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use kinds::{TypedKind, pod as ask, selectors};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the controller needs of either kind.
trait Replicated: TypedKind {
    fn wanted(&self) -> usize;
    fn min_ready(&self) -> i32;
    fn selector(&self) -> LabelSelector;
    /// Whether it finds a pod with these labels.
    fn finds(&self, labels: &BTreeMap<String, String>) -> bool;
    fn template(&self) -> Option<&PodTemplateSpec>;
    /// `None` where nothing changes.
    fn with_status(&self, counts: Counts, managed: &Managed, now: jiff::Timestamp) -> Option<Self>;
}

/// What came of this round's making and deleting of pods.
enum Managed {
    NotTried,
    Done,
    Failed { reason: &'static str, message: String },
}

const OF_REPLICA_SETS: &str = "replicaset-controller";
const OF_REPLICATION_CONTROLLERS: &str = "replication-controller";
const FAILURE: &str = "ReplicaFailure";

/// The conditions with the failure or without it. One that is known already stays as it was first said.
fn with_failure<C>(
    known: Option<Vec<C>>,
    managed: &Managed,
    is_failure: impl Fn(&C) -> bool,
    failure: impl Fn(&'static str, &str) -> C,
) -> Option<Vec<C>> {
    let mut all = known.unwrap_or_default();
    match managed {
        Managed::NotTried => {}
        Managed::Done => all.retain(|condition| !is_failure(condition)),
        Managed::Failed { .. } if all.iter().any(&is_failure) => {}
        Managed::Failed { reason, message } => all.push(failure(reason, message)),
    }
    (!all.is_empty()).then_some(all)
}

impl Replicated for ReplicaSet {
    fn wanted(&self) -> usize {
        self.spec.replicas.unwrap_or(0).max(0) as usize
    }
    fn min_ready(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }
    fn selector(&self) -> LabelSelector {
        selectors::from_object(&self.spec.selector).unwrap_or_default()
    }
    fn finds(&self, labels: &BTreeMap<String, String>) -> bool {
        selectors::finds(&self.spec.selector, labels)
    }
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.template.as_ref()
    }
    fn with_status(&self, counts: Counts, managed: &Managed, now: jiff::Timestamp) -> Option<Self> {
        let failure = |reason: &str, message: &str| ReplicaSetCondition {
            type_: Some(FAILURE.to_owned()),
            status: Some("True".to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: Some(kinds::whole_second(now)),
        };
        let known = self.status.as_ref().and_then(|s| s.conditions.clone());
        let status = ReplicaSetStatus {
            replicas: counts.replicas,
            fully_labeled_replicas: Some(counts.fully_labeled),
            ready_replicas: Some(counts.ready),
            available_replicas: Some(counts.available),
            terminating_replicas: Some(counts.terminating),
            observed_generation: self.metadata.generation,
            conditions: with_failure(known, managed, |c| c.type_.as_deref() == Some(FAILURE), failure),
        };
        (self.status.as_ref() != Some(&status)).then(|| ReplicaSet { status: Some(status), ..self.clone() })
    }
}

impl Replicated for ReplicationController {
    fn wanted(&self) -> usize {
        self.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0).max(0) as usize
    }
    fn min_ready(&self) -> i32 {
        self.spec.as_ref().and_then(|s| s.min_ready_seconds).unwrap_or(0)
    }
    fn selector(&self) -> LabelSelector {
        self.spec.as_ref().and_then(|s| s.selector.as_ref()).map(selectors::from_map).unwrap_or_default()
    }
    fn finds(&self, labels: &BTreeMap<String, String>) -> bool {
        let selector = self.spec.as_ref().and_then(|s| s.selector.as_ref());
        // an empty one would find everything
        selector.is_some_and(|pairs| !pairs.is_empty() && selectors::selects_by_map(pairs, labels))
    }
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }
    fn with_status(&self, counts: Counts, managed: &Managed, now: jiff::Timestamp) -> Option<Self> {
        let failure = |reason: &str, message: &str| ReplicationControllerCondition {
            type_: FAILURE.to_owned(),
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: Some(kinds::whole_second(now)),
        };
        let known = self.status.as_ref().and_then(|s| s.conditions.clone());
        let status = ReplicationControllerStatus {
            replicas: counts.replicas,
            fully_labeled_replicas: Some(counts.fully_labeled),
            ready_replicas: Some(counts.ready),
            available_replicas: Some(counts.available),
            observed_generation: self.metadata.generation,
            conditions: with_failure(known, managed, |c| c.type_ == FAILURE, failure),
        };
        (self.status.as_ref() != Some(&status))
            .then(|| ReplicationController { status: Some(status), ..self.clone() })
    }
}

pub(crate) fn role_of_replication_controllers() -> ComponentRole {
    let mut rules = pods_and_events();
    rules.push(rule(
        &["get", "list", "patch", "update", "watch"],
        &[""],
        &["replicationcontrollers", "replicationcontrollers/finalizers", "replicationcontrollers/status"],
    ));
    ComponentRole::controller(OF_REPLICATION_CONTROLLERS, rules)
}

pub(crate) fn role_of_replica_sets() -> ComponentRole {
    let mut rules = pods_and_events();
    rules.push(rule(
        &["get", "list", "patch", "update", "watch"],
        &["apps"],
        &["replicasets", "replicasets/finalizers", "replicasets/status"],
    ));
    ComponentRole::controller(OF_REPLICA_SETS, rules)
}

pub(crate) async fn run_replica_sets(cluster: Cluster, stop: CancellationToken) {
    run::<ReplicaSet>(OF_REPLICA_SETS, cluster, stop).await;
}

pub(crate) async fn run_replication_controllers(cluster: Cluster, stop: CancellationToken) {
    run::<ReplicationController>(OF_REPLICATION_CONTROLLERS, cluster, stop).await;
}

struct Reconciler<K> {
    owners: Informer<K>,
    pods: Informer<Pod>,
    owner_api: Api<K>,
    pod_api: Api<Pod>,
    events: Recorder,
    expected: Arc<Expected>,
    queue: WorkQueue<ObjectKey>,
}

/// Pods that were made or deleted and that the informer has not shown yet: without them a second round would do it again.
#[derive(Default)]
struct Expected(Mutex<HashMap<ObjectKey, (HashSet<String>, HashSet<String>)>>);

impl Expected {
    fn expect(&self, owner: &ObjectKey, created: Option<&str>, deleted: Option<&str>) {
        let mut all = self.0.lock();
        let (creations, deletions) = all.entry(owner.clone()).or_default();
        creations.extend(created.map(str::to_owned));
        deletions.extend(deleted.map(str::to_owned));
    }

    /// Whether everything has been seen; forgets what was. `seen` tells whether the cache shows the pod, and alive.
    fn are_met(&self, owner: &ObjectKey, seen: impl Fn(&str) -> Option<bool>) -> bool {
        let mut all = self.0.lock();
        let Some((creations, deletions)) = all.get_mut(owner) else { return true };
        creations.retain(|uid| seen(uid).is_none());
        deletions.retain(|uid| seen(uid) == Some(true));
        let met = creations.is_empty() && deletions.is_empty();
        if met {
            all.remove(owner);
        }
        met
    }

    /// A pod that came and went before anybody looked would be waited for for ever.
    fn forget_created(&self, uid: &str) {
        let mut all = self.0.lock();
        for (creations, _) in all.values_mut() {
            creations.remove(uid);
        }
    }
}

async fn run<K: Replicated>(name: &'static str, cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(name));
    let expected = Arc::new(Expected::default());
    let (known, awaited) = (cluster.informer::<K>(), expected.clone());
    let controller =
        Controller::new(name, &cluster).reconciles::<K>().watches::<Pod>(move |queue, change| {
            if let Change::Deleted(pod) = change {
                awaited.forget_created(pod.metadata.uid.as_deref().unwrap_or_default());
            }
            wake_owners(queue, change, &known, K::finds);
        });
    let reconciler = Arc::new(Reconciler::<K> {
        owners: cluster.informer(),
        pods: cluster.informer(),
        owner_api: client.api(),
        pod_api: client.api(),
        events: client.recorder(name, None),
        expected,
        queue: controller.queue(),
    });
    controller.run(stop, reconciler, |reconciler, key| async move { reconciler.reconcile(&key).await }).await;
}

impl<K: Replicated> Reconciler<K> {
    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(owner) = self.owners.get(key) else { return Ok(()) };
        let pods = self.claim(&owner).await?;
        let seen = |uid: &str| {
            let found = pods.iter().find(|pod| pod.metadata.uid.as_deref() == Some(uid));
            found.map(|pod| ask::is_active(pod))
        };
        let settled = self.expected.are_met(key, seen);
        let now = jiff::Timestamp::now();
        let (mut done, mut managed) = (Ok(()), Managed::NotTried);
        if settled && owner.metadata().deletion_timestamp.is_none() {
            let active: Vec<Arc<Pod>> = pods.iter().filter(|pod| ask::is_active(pod)).cloned().collect();
            let failed;
            (done, failed) = match plan(owner.wanted(), &active, now) {
                Plan::Nothing => (Ok(()), ""),
                // its pods may just have been orphaned: no others then
                Plan::Create(_) if !is_alive(&self.owner_api, &*owner)? => (Ok(()), ""),
                Plan::Create(count) => {
                    (in_batches(vec![(); count], |()| self.create(key, &owner)).await.1, "FailedCreate")
                }
                Plan::Delete(victims) => (self.delete(key, &owner, victims).await, "FailedDelete"),
            };
            managed = match &done {
                Ok(()) => Managed::Done,
                Err(status) => Managed::Failed { reason: failed, message: status.to_string() },
            };
        }
        self.write_status(key, &owner, &pods, &managed, now).await?;
        done
    }

    async fn claim(&self, owner: &Arc<K>) -> Result<Vec<Arc<Pod>>, Status> {
        let selector = owner.selector();
        let found = cached(&self.pods, &**owner, &selector);
        claim_all(&self.pod_api, &self.owner_api, &**owner, &selector, found, ask::is_active).await
    }

    async fn create(&self, key: &ObjectKey, owner: &Arc<K>) -> Result<(), Status> {
        let Some(template) = owner.template() else { return Ok(()) };
        let made =
            pod_control::create(&self.pod_api, &self.events, &**owner, pod_of(&**owner, template)).await?;
        if let Some(pod) = made {
            self.expected.expect(key, pod.metadata.uid.as_deref(), None);
        }
        Ok(())
    }

    async fn delete(&self, key: &ObjectKey, owner: &Arc<K>, victims: Vec<Arc<Pod>>) -> Result<(), Status> {
        let each = victims.iter().map(|pod| async move {
            self.expected.expect(key, None, pod.metadata.uid.as_deref());
            pod_control::delete(&self.pod_api, &self.events, &**owner, pod).await
        });
        join_all(each).await.into_iter().collect::<Result<Vec<()>, Status>>().map(|_| ())
    }

    async fn write_status(
        &self,
        key: &ObjectKey,
        owner: &Arc<K>,
        pods: &[Arc<Pod>],
        managed: &Managed,
        now: jiff::Timestamp,
    ) -> Result<(), Status> {
        let labels = owner.template().and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.clone());
        let counts = count(pods, &labels.unwrap_or_default(), owner.min_ready(), now);
        // what is ready becomes available by time alone
        if let Some(left) = next_available(pods, owner.min_ready(), now) {
            self.queue.add_after(key.clone(), left);
        }
        let Some(new) = owner.with_status(counts, managed, now) else { return Ok(()) };
        match self.owner_api.update_status(new).await {
            // the newer version is on its way to the cache, and wakes us again
            Err(status) if status.is(Reason::Conflict) => Ok(()),
            other => unless_gone(other).map(|_| ()),
        }
    }
}

fn pod_of<K: Replicated>(owner: &K, template: &PodTemplateSpec) -> Pod {
    let meta = owner.metadata();
    let mut pod = Pod {
        metadata: template.metadata.clone().unwrap_or_default(),
        spec: template.spec.clone(),
        status: None,
    };
    pod.metadata.name = None;
    pod.metadata.namespace.clone_from(&meta.namespace);
    pod.metadata.generate_name = Some(format!("{}-", meta.name.as_deref().unwrap_or_default()));
    pod.metadata.owner_references = Some(vec![controller_reference(owner)]);
    pod
}
