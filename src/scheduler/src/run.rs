//! The scheduler's loop: what informers tell goes into the cache and the queue, one pod after the other is tried and bound. Read [`run`];
//! how one is placed, `place.rs` says.

use crate::attached::capacities;
use crate::cache::Cache;
use crate::config::{Point, scheduler_name};
use crate::decision::Decision;
use crate::hints::Event;
use crate::metrics::Attempt;
use crate::owners::owners;
use crate::pod_info::PodInfo;
use crate::pod_volumes::{PodVolumes, Storage};
use crate::scheduler::{Scheduler, Turn};
use crate::{NoPreemption, Plugin, Profiles, place, preempt};
use api::ObjectKey;
use cluster::roles::{ComponentRole, READ, events, rule};
use cluster::{Actor, Change, Cluster, Controller};
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment};
use kinds::{key_of, volume};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) const USER: &str = "system:kube-scheduler";

pub fn role() -> ComponentRole {
    let mut rules = vec![
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
    rules.extend(of_upstream());
    ComponentRole::user(USER, USER, rules)
}

/// What upstream's scheduler needs besides: a second one, deployed as a pod, is bound to this role.
fn of_upstream() -> Vec<PolicyRule> {
    const READ_UPDATE: &[&str] = &["get", "list", "patch", "update", "watch"];
    let leases = &["coordination.k8s.io"];
    let devices = &["resource.k8s.io"];
    let mut own_lease = rule(&["get", "update"], leases, &["leases"]);
    own_lease.resource_names = Some(vec!["kube-scheduler".to_owned()]);
    vec![
        rule(&["create"], leases, &["leases"]),
        own_lease,
        rule(READ, &["apps", "extensions"], &["replicasets"]),
        rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
        rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
        rule(READ, devices, &["deviceclasses", "devicetaintrules", "resourceslices"]),
        rule(READ_UPDATE, devices, &["resourceclaims", "resourceclaims/binding", "resourceclaims/status"]),
        rule(READ_UPDATE, &[""], &["pods/finalizers"]),
    ]
}

/// Binds the pods of these profiles until `stop`. One decision after the other, so that no two pods are placed on the same free room; what was
/// decided is written beside them (`writes.rs`): no decision waits for a write.
pub async fn run(cluster: Cluster, profiles: Profiles, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::component(USER));
    let controller = Controller::new("scheduler", &cluster).one_at_a_time();
    let scheduler = Arc::new(Scheduler::new(&client, controller.queue(), Arc::new(profiles)));
    cluster.metrics().register(&scheduler);
    let controller = listening(controller, &scheduler);
    scheduler.fill();
    let turn = |scheduler: Arc<Scheduler>, Turn| async move {
        scheduler.turn().await;
        Ok::<(), Infallible>(())
    };
    controller.run(stop, scheduler.clone(), turn).await;
    scheduler.writes.end().await;
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

    /// One pod is tried.
    async fn turn(self: &Arc<Self>) {
        let now = Instant::now();
        let decided = {
            let mut cache = self.cache();
            let next = cache.queue.pop(now);
            let decided = next.and_then(|pod| {
                let decide = |cache: &mut Cache| self.decide(cache, &pod, now);
                let decision = self.try_decide(&mut cache, &pod, now, decide);
                self.count(&pod, decision.as_ref(), now.elapsed());
                let decision = decision?;
                if !matches!(decision, Decision::Bind { .. }) {
                    cache.queue.hold(&key_of(&pod.pod.metadata));
                }
                Some((pod, decision))
            });
            self.call_next(&cache, now);
            decided
        };
        if let Some((pod, decision)) = decided {
            self.write_down(pod, decision, now);
        }
        // who hears of changes, and who writes, comes to his turn as well
        tokio::task::yield_now().await;
    }

    /// What is to be bound is an attempt until it is, and one that waits for its claims goes on when it has them.
    fn count(&self, pod: &PodInfo, decision: Option<&Decision>, took: Duration) {
        self.metrics.count_decision(took);
        let ended = match decision {
            Some(Decision::Bind { .. } | Decision::Promise { .. }) => return,
            Some(Decision::Preempt { .. } | Decision::Refuse { .. }) => Attempt::Unschedulable,
            None => Attempt::Error,
        };
        if matches!(decision, Some(Decision::Preempt { .. })) {
            self.metrics.count_preemption();
        }
        self.metrics.count_attempt(scheduler_name(&pod.pod), ended, took);
    }

    /// `None` where it panicked: the pod is tried again after a while, and the others go on.
    pub(crate) fn try_decide(
        &self,
        cache: &mut Cache,
        pod: &Arc<PodInfo>,
        now: Instant,
        decide: impl FnOnce(&mut Cache) -> Decision,
    ) -> Option<Decision> {
        let decided = catch_unwind(AssertUnwindSafe(|| decide(cache)));
        if decided.is_err() {
            let key = key_of(&pod.pod.metadata);
            tracing::error!(pod = %key, "no node was looked for: panicked, will try again");
            cache.forget(pod, now);
            // it may have been refused before it broke
            cache.queue.hold(&key);
            cache.queue.written(&key, &pod.id, false, now);
            cache.queue.failed(&key, &pod.id, now);
        }
        decided.ok()
    }

    /// What becomes of the pod. It is in the queue where it belongs when this returns: nothing that changes from now on is
    /// missed.
    fn decide(&self, cache: &mut Cache, pod: &Arc<PodInfo>, now: Instant) -> Decision {
        let key = key_of(&pod.pod.metadata);
        let cluster = self.client.cluster();
        let context = cache.context(&pod.pod, self.storage(cache, &pod.pod), owners(cluster, &pod.pod));
        let profile = &context.profile;
        let refused = match place(pod, &cache.snapshot, &context) {
            Ok(placement) => {
                cache.start = (cache.start + placement.evaluated) % cache.snapshot.len().max(1);
                let node = cache.snapshot.node(&placement.node).map(|node| node.node.clone());
                let volumes = PodVolumes::of(&pod.pod, &context.storage, profile).ok();
                let promises = volumes.filter(|_| profile.binds_volumes()).zip(node);
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
        if !profile.has(Plugin::DefaultPreemption, Point::PostFilter) {
            let nominated = cache.place_of(&key).map(str::to_owned);
            return Decision::Refuse { why: refused.to_string(), nominated };
        }
        let budgets = cluster.informer::<PodDisruptionBudget>().list(None);
        match preempt(pod, &cache.snapshot, &context, &refused, &budgets) {
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
}
