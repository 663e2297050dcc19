//! StatefulSets: pods with numbers, each with a name, an address and storage of its own.
//!
//! `stateful_set/plan.rs` decides from the store; `history.rs` keeps what the set was. Read [`Reconciler::reconcile`] first.

mod claims;
mod plan;
mod pods;
#[cfg(test)]
mod tests;

use crate::history::{self, History, Wish};
use crate::owner::{candidates, claim_all, is_alive, is_still, wake_owners};
use crate::pod_control::is_terminating;
use crate::status::write_status;
use api::{LabelSelector, ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, pods_and_events, rule};
use cluster::{Actor, Api, Client, Cluster, Controller, DeleteOptions, Recorder, WorkQueue, unless_gone};
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kinds::{key_of, pod as ask, selectors};
use plan::{Seen, Step, plan};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "statefulset-controller";
/// On revisions: the hash of what they hold.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

pub(crate) fn role() -> ComponentRole {
    let mut rules = pods_and_events();
    rules.push(rule(
        &["get", "list", "patch", "update", "watch"],
        &["apps"],
        &["statefulsets", "statefulsets/finalizers", "statefulsets/status"],
    ));
    rules.push(history::rights());
    rules.push(rule(
        &["create", "delete", "get", "list", "patch", "update"],
        &[""],
        &["persistentvolumeclaims"],
    ));
    ComponentRole::controller(NAME, rules)
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let known = cluster.informer::<StatefulSet>();
    let controller =
        Controller::new(NAME, &cluster).reconciles::<StatefulSet>().watches::<Pod>(move |queue, change| {
            wake_owners(queue, change, &known, |owner, labels| selectors::finds(&owner.spec.selector, labels))
        });
    let reconciler = Arc::new(Reconciler {
        sets: client.api(),
        pods: client.api(),
        claims: client.api(),
        revisions: client.api(),
        events: client.recorder(NAME, None),
        queue: controller.queue(),
        client,
    });
    controller.run(stop, reconciler, |reconciler, key| async move { reconciler.reconcile(&key).await }).await;
}

fn selector(set: &StatefulSet) -> LabelSelector {
    selectors::from_object(&set.spec.selector).unwrap_or_default()
}

struct Reconciler {
    client: Client,
    sets: Api<StatefulSet>,
    pods: Api<Pod>,
    claims: Api<PersistentVolumeClaim>,
    revisions: Api<ControllerRevision>,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
}

impl Reconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(set) = self.sets.find(key)?.map(Arc::new) else { return Ok(()) };
        let selector = selector(&set);
        if selector.requirements.is_empty() {
            return Ok(());
        }
        let pods = self.claim(&set, &selector).await?;
        let Some(history) = self.history(&set, &selector).await? else { return Ok(()) };
        let current = current_revision(&set, &history);
        let (current_name, update_name) = (history::name(&current), history::name(&history.current));
        let now = jiff::Timestamp::now();
        let seen = Seen { set: &set, pods: &pods, current: current_name, update: update_name, now };
        let mut outcome = Ok(());
        if set.metadata.deletion_timestamp.is_none() {
            self.keep_identities(&set, &pods).await?;
            self.keep_claims(&set, &pods).await?;
            for step in plan(&seen) {
                outcome = self.take(&set, &history, &current, step).await;
                if outcome.is_err() {
                    break;
                }
            }
        }
        self.write_status(key, &seen).await?;
        let limit = set.spec.revision_history_limit;
        let mut live: BTreeSet<String> = pods.iter().map(|pod| pods::revision(pod).to_owned()).collect();
        live.insert(current_name.to_owned());
        history::clean_up(&self.revisions, &history, limit, &live, HASH_LABEL).await?;
        outcome
    }

    async fn history(&self, set: &StatefulSet, selector: &LabelSelector) -> Result<Option<History>, Status> {
        let collisions = set.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0);
        let wish =
            Wish { owner: set, selector, template: &set.spec.template, hash_label: HASH_LABEL, collisions };
        let set_count = |set: &mut StatefulSet, count| {
            set.status.get_or_insert_default().collision_count = Some(count);
        };
        history::construct(&self.client, &self.sets, &wish, set_count).await
    }

    async fn claim(&self, set: &Arc<StatefulSet>, selector: &LabelSelector) -> Result<Vec<Arc<Pod>>, Status> {
        // only what bears one of its names can be one of its pods
        let may_adopt = |pod: &Pod| ask::is_active(pod) && pods::ordinal(set, pod).is_some();
        let found = candidates::<Pod, _>(&self.client, &**set, selector)?;
        claim_all(&self.pods, &self.sets, &**set, selector, found, may_adopt).await
    }

    /// Somebody may have taken a label away, or the pod was another's before.
    async fn keep_identities(&self, set: &Arc<StatefulSet>, pods: &[Arc<Pod>]) -> Result<(), Status> {
        for pod in pods.iter().filter(|pod| ask::is_active(pod)) {
            if pods::lost_identity(set, pod).is_none() {
                continue;
            }
            let key = key_of(&pod.metadata);
            let given = self.pods.modify(&key, |now| {
                is_still(now, &pod.metadata)?;
                if let Some(labels) = pods::lost_identity(set, now) {
                    now.metadata.labels.get_or_insert_default().extend(labels);
                }
                Ok(())
            });
            unless_gone(given.await)?;
        }
        Ok(())
    }

    async fn take(
        &self,
        set: &Arc<StatefulSet>,
        history: &History,
        current: &ControllerRevision,
        step: Step,
    ) -> Result<(), Status> {
        match step {
            Step::Create { ordinal, of_update } => {
                let revision = if of_update { &*history.current } else { current };
                self.create(set, revision, ordinal).await
            }
            Step::Recreate(pod) => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                let (namespace, own) = (set.metadata.namespace.as_deref(), set.metadata.name.as_deref());
                let whose =
                    format!("StatefulSet {}/{}", namespace.unwrap_or_default(), own.unwrap_or_default());
                if ask::phase(&pod) == "Failed" {
                    let message = format!("{whose} is recreating failed Pod {name}");
                    self.events.warning(&**set, "RecreatingFailedPod", message);
                } else {
                    let message = format!("{whose} is recreating terminated Pod {name}");
                    self.events.normal(&**set, "RecreatingTerminatedPod", message);
                }
                self.delete(set, &pod).await
            }
            Step::Delete(pod) => self.delete(set, &pod).await,
        }
    }

    async fn create(
        &self,
        set: &Arc<StatefulSet>,
        revision: &ControllerRevision,
        ordinal: i32,
    ) -> Result<(), Status> {
        // its pods may just have been orphaned: no others then
        let Some(template) =
            history::template_of(revision).filter(|_| is_alive(&self.sets, &**set).unwrap_or(false))
        else {
            return Ok(());
        };
        for claim in pods::claims(set, ordinal) {
            self.create_claim(set, &claim, ordinal).await?;
        }
        let (name, own) = (pods::pod_name(set, ordinal), set.metadata.name.as_deref().unwrap_or_default());
        let pod = pods::pod_of(set, &template, ordinal, history::name(revision));
        match self.pods.create(pod).await {
            Ok(_) => {
                let message = format!("create Pod {name} in StatefulSet {own} successful");
                self.events.normal(&**set, "SuccessfulCreate", message);
                Ok(())
            }
            Err(status) if is_terminating(&status) => Ok(()),
            Err(status) => {
                let message = format!("create Pod {name} in StatefulSet {own} failed error: {status}");
                self.events.warning(&**set, "FailedCreate", message);
                Err(status)
            }
        }
    }

    async fn delete(&self, set: &Arc<StatefulSet>, pod: &Pod) -> Result<(), Status> {
        let own = set.metadata.name.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let options = DeleteOptions { uid: pod.metadata.uid.clone(), ..DeleteOptions::default() };
        match self.pods.delete(&key_of(&pod.metadata), options).await {
            Ok(()) => {
                let message = format!("delete Pod {name} in StatefulSet {own} successful");
                self.events.normal(&**set, "SuccessfulDelete", message);
                Ok(())
            }
            Err(status) if status.is(Reason::NotFound) || status.is(Reason::Conflict) => Ok(()),
            Err(status) => {
                let message = format!("delete Pod {name} in StatefulSet {own} failed error: {status}");
                self.events.warning(&**set, "FailedDelete", message);
                Err(status)
            }
        }
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

/// Of which revision the pods are whose turn has not come; the newest where that is not known.
fn current_revision(set: &StatefulSet, history: &History) -> Arc<ControllerRevision> {
    let name = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
    let known = history.old.iter().find(|revision| Some(history::name(revision)) == name);
    known.unwrap_or(&history.current).clone()
}
