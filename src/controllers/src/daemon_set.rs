//! DaemonSets: one pod on each node that should have one, bound to it by the scheduler.
//!
//! `daemon_set/plan.rs` decides from the store, node by node; `history.rs` keeps what the set was. Read
//! [`Reconciler::reconcile`] first.

mod plan;
mod pods;
#[cfg(test)]
mod tests;

use crate::history::{self, History, REVISION_LABEL, Wish};
use crate::owner::{candidates, claim_all, is_alive, wake_owners};
use crate::pod_control;
use crate::slow_start::in_batches;
use crate::status::write_status;
use api::{LabelSelector, ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, pods_and_events, rule};
use cluster::{Actor, Api, Change, Client, Cluster, Controller, Recorder, WorkQueue};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::{key_of, pod as ask, selectors};
use parking_lot::Mutex;
use plan::{Seen, plan};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "daemonset-controller";
/// Upstream writes the account's name otherwise than the component's.
const ACCOUNT: &str = "daemon-set-controller";
/// A pod that fails on its node is made anew after this, and then after twice as long each time.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LAST_BACKOFF: Duration = Duration::from_secs(15 * 60);

pub(crate) fn role() -> ComponentRole {
    let mut rules = pods_and_events();
    rules.push(rule(READ, &[""], &["nodes"]));
    rules.push(rule(
        &["get", "list", "patch", "update", "watch"],
        &["apps"],
        &["daemonsets", "daemonsets/finalizers", "daemonsets/status"],
    ));
    rules.push(history::rights());
    ComponentRole::controller(ACCOUNT, rules)
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(ACCOUNT));
    let (owners, known) = (cluster.informer::<DaemonSet>(), cluster.informer::<DaemonSet>());
    let controller = Controller::new(NAME, &cluster)
        .reconciles::<DaemonSet>()
        .watches::<Pod>(move |queue, change| {
            wake_owners(queue, change, &owners, |owner, labels| {
                selectors::finds(&owner.spec.selector, labels)
            })
        })
        .watches::<Node>(move |queue, change| {
            if concerns(change) {
                known.list(None).iter().for_each(|set| queue.add(key_of(&set.metadata)));
            }
        });
    let reconciler = Arc::new(Reconciler {
        sets: client.api(),
        pods: client.api(),
        revisions: client.api(),
        events: client.recorder(NAME, None),
        queue: controller.queue(),
        failing: Failing::default(),
        client,
    });
    controller.run(stop, reconciler, |reconciler, key| async move { reconciler.reconcile(&key).await }).await;
}

/// Whether another pod may belong there now. A node says every few seconds how it is.
fn concerns(change: &Change<Node>) -> bool {
    match change {
        Change::Modified { old, new } => {
            old.metadata.labels != new.metadata.labels
                || old.spec.as_ref().map(|s| &s.taints) != new.spec.as_ref().map(|s| &s.taints)
        }
        _ => true,
    }
}

fn selector(set: &DaemonSet) -> LabelSelector {
    selectors::from_object(&set.spec.selector).unwrap_or_default()
}

struct Reconciler {
    client: Client,
    sets: Api<DaemonSet>,
    pods: Api<Pod>,
    revisions: Api<ControllerRevision>,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
    failing: Failing,
}

impl Reconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(set) = self.sets.find(key)?.map(Arc::new) else {
            self.failing.forget(key);
            return Ok(());
        };
        let selector = selector(&set);
        if selector.requirements.is_empty() {
            return Ok(());
        }
        let pods = self.claim(&set, &selector).await?;
        let nodes = self.client.cluster().informer::<Node>().list(None);
        let Some(history) = self.history(&set, &selector).await? else { return Ok(()) };
        let hash = hash_of(&history.current);
        let now = jiff::Timestamp::now();
        let seen = Seen { set: &set, nodes: &nodes, pods: &pods, hash: &hash, now };
        let mut outcome = Ok(());
        if set.metadata.deletion_timestamp.is_none() {
            outcome = self.carry_out(key, &seen).await;
            let limit = set.spec.revision_history_limit;
            let live = plan::live(&pods);
            history::clean_up(&self.revisions, &history, limit, &live, REVISION_LABEL).await?;
        }
        self.write_status(key, &seen).await?;
        outcome
    }

    async fn history(&self, set: &DaemonSet, selector: &LabelSelector) -> Result<Option<History>, Status> {
        let collisions = set.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0);
        let wish = Wish {
            owner: set,
            selector,
            template: &set.spec.template,
            hash_label: REVISION_LABEL,
            collisions,
        };
        let set_count = |set: &mut DaemonSet, count| {
            set.status.get_or_insert_default().collision_count = Some(count);
        };
        history::construct(&self.client, &self.sets, &wish, set_count).await
    }

    async fn claim(&self, set: &Arc<DaemonSet>, selector: &LabelSelector) -> Result<Vec<Arc<Pod>>, Status> {
        let found = candidates::<Pod, _>(&self.client, &**set, selector)?;
        claim_all(&self.pods, &self.sets, &**set, selector, found, ask::is_active).await
    }

    async fn carry_out(&self, key: &ObjectKey, seen: &Seen<'_>) -> Result<(), Status> {
        let plan = plan(seen);
        try_join_all(plan.delete.iter().map(|pod| self.delete(seen.set, pod))).await?;
        for pod in &plan.ended {
            self.replace(key, seen, pod).await?;
        }
        let new = plan::pods(seen, &plan);
        // its pods may just have been orphaned: no others then
        if new.is_empty() || !is_alive(&self.sets, seen.set)? {
            return Ok(());
        }
        in_batches(new, |pod| self.create(seen.set, pod)).await.1
    }

    /// A pod that has ended on its node is in the way of the next one.
    async fn replace(&self, key: &ObjectKey, seen: &Seen<'_>, pod: &Arc<Pod>) -> Result<(), Status> {
        let place = |pod: &Pod| {
            let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
            format!(
                "{}/{} on node {}",
                namespace.unwrap_or_default(),
                name.unwrap_or_default(),
                pods::target_node(pod)
            )
        };
        if ask::phase(pod) == "Failed" {
            if let Err(wait) = self.failing.may_replace(key, pods::target_node(pod), seen.now) {
                self.queue.add_after(key.clone(), wait);
                return Ok(());
            }
            let message = format!("Found failed daemon pod {}, will try to kill it", place(pod));
            self.events.warning(seen.set, "FailedDaemonPod", message);
        } else {
            let message = format!("Found succeeded daemon pod {}, will try to delete it", place(pod));
            self.events.normal(seen.set, "SucceededDaemonPod", message);
        }
        self.delete(seen.set, pod).await
    }

    async fn create(&self, set: &DaemonSet, pod: Pod) -> Result<(), Status> {
        pod_control::create(&self.pods, &self.events, set, pod).await.map(drop)
    }

    async fn delete(&self, set: &DaemonSet, pod: &Pod) -> Result<(), Status> {
        pod_control::delete(&self.pods, &self.events, set, pod).await
    }

    async fn write_status(&self, key: &ObjectKey, seen: &Seen<'_>) -> Result<(), Status> {
        let (wanted, again) = plan::status(seen);
        if let Some(delay) = again {
            self.queue.add_after(key.clone(), delay);
        }
        write_status(&self.sets, &seen.set.metadata, seen.set.status.as_ref(), wanted, |set| &mut set.status)
            .await
    }
}

fn hash_of(revision: &ControllerRevision) -> String {
    let labels = revision.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(REVISION_LABEL)).cloned().unwrap_or_default()
}

/// Nodes on which the pods of a set fail: what the kubelet refuses again and again must not be asked for without a pause.
#[derive(Default)]
struct Failing(Mutex<HashMap<(ObjectKey, String), Failures>>);

struct Failures {
    count: u32,
    last: jiff::Timestamp,
}

impl Failing {
    /// Or how long to wait.
    fn may_replace(&self, set: &ObjectKey, node: &str, now: jiff::Timestamp) -> Result<(), Duration> {
        let mut all = self.0.lock();
        let place = (set.clone(), node.to_owned());
        let Some(known) = all.get_mut(&place) else {
            all.insert(place, Failures { count: 1, last: now });
            return Ok(());
        };
        let wait = FIRST_BACKOFF.saturating_mul(1 << known.count.saturating_sub(1).min(20)).min(LAST_BACKOFF);
        let passed = Duration::try_from(now.duration_since(known.last)).unwrap_or_default();
        if passed < wait {
            return Err(wait - passed);
        }
        // what went well for long begins anew
        known.count = if passed > 2 * LAST_BACKOFF { 1 } else { known.count + 1 };
        known.last = now;
        Ok(())
    }

    fn forget(&self, set: &ObjectKey) {
        self.0.lock().retain(|(key, _), _| key != set);
    }
}
