//! Says of each PodDisruptionBudget how many of its pods there should be, how many are well, and how many may go.

mod plan;
mod stale;

use crate::owner::controller_of;
use crate::scale::{self, ScaleRef};
use api::{ObjectKey, Reason, Status};
use cluster::roles::{ALL, ComponentRole, READ, events, rule};
use cluster::{Actor, Change, Client, Cluster, Controller, Recorder, WorkQueue, unless_gone};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kinds::{key_of, selectors};
use plan::Expected;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "disruption-controller";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, &["apps"], &["deployments", "replicasets", "statefulsets"]),
            rule(READ, &[""], &["pods", "replicationcontrollers"]),
            rule(READ, &["policy"], &["poddisruptionbudgets"]),
            rule(&["patch", "update"], &["policy"], &["poddisruptionbudgets/status"]),
            rule(&["get"], ALL, &["*/scale"]),
            rule(&["patch", "update"], &[""], &["pods/status"]),
            events(),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let known = cluster.informer::<PodDisruptionBudget>();
    // upstream's name for who tells
    let events = client.recorder("controllermanager", None);
    let of_pods = events.clone();
    let controller = Controller::new(NAME, &cluster)
        .watches::<PodDisruptionBudget>(|queue, change| {
            if !matches!(change, Change::Deleted(_)) {
                queue.add(key_of(&change.object().metadata));
            }
        })
        .watches::<Pod>(move |queue, change| {
            let pod = change.object();
            let mut budgets = known.list(pod.metadata.namespace.as_deref());
            budgets.retain(|budget| change.versions().any(|pod| selects(budget, pod)));
            budgets.iter().for_each(|budget| queue.add(key_of(&budget.metadata)));
            if !matches!(change, Change::Deleted(_)) {
                tell_of_several(&of_pods, pod, &budgets);
            }
        });
    let stale = stale::run(client.clone(), stop.clone());
    let reconciler = Arc::new(Reconciler { events, client, queue: controller.queue() });
    let budgets =
        controller.run(stop, reconciler, |reconciler, key| async move { reconciler.reconcile(&key).await });
    tokio::join!(budgets, stale);
}

/// Nobody may evict a pod that has several.
fn tell_of_several(events: &Recorder, pod: &Pod, budgets: &[Arc<PodDisruptionBudget>]) {
    let mut its = budgets.iter().filter(|budget| selects(budget, pod));
    if let (Some(first), Some(_)) = (its.next(), its.next()) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (namespace, name) = (text(&pod.metadata.namespace), text(&pod.metadata.name));
        let first = text(&first.metadata.name);
        // two spaces, as upstream has it
        let why = format!(
            "Pod {namespace:?}/{name:?} matches multiple PodDisruptionBudgets.  Chose {first:?} arbitrarily."
        );
        events.warning(pod, "MultiplePodDisruptionBudgets", why);
    }
}

/// Without a selector it selects none, with an empty one all.
fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let none = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
    selector.is_some_and(|selector| selectors::selects(selector, labels))
}

struct Reconciler {
    client: Client,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
}

impl Reconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        // from the store: an eviction may have written into it this moment
        let Some(budget) = self.client.api::<PodDisruptionBudget>().find(key)? else { return Ok(()) };
        let pods = self.selected(&budget);
        if pods.is_empty() {
            self.events.normal(&budget, "NoPods", "No matching pods found");
        }
        let expected = self.expected(&budget, &pods).await;
        if let Err(why) = &expected {
            let why = format!("Failed to calculate the number of expected pods: {why}");
            self.events.warning(&budget, "CalculateExpectedPodCountFailed", why);
        }
        let now = jiff::Timestamp::now();
        let disrupted = plan::disrupted(&budget, &pods, now);
        for pod in &disrupted.overdue {
            let (namespace, name) = (key.namespace.as_deref().unwrap_or_default(), &key.name);
            let why = format!("Pod was expected by PDB {namespace}/{name} to be deleted but it wasn't");
            self.events.warning(&**pod, "NotDeleted", why);
        }
        let status = plan::status(&budget, &pods, expected.as_ref(), &disrupted, now);
        if budget.status.as_ref() != Some(&status) {
            // with the revision that was read: an eviction in between is not forgotten
            let written = PodDisruptionBudget { status: Some(status), ..budget };
            match unless_gone(self.client.api().update_status(written).await) {
                Err(status) if status.is(Reason::Conflict) => {
                    self.queue.add(key.clone());
                    return Ok(());
                }
                outcome => outcome?,
            };
        }
        if let Some(after) = disrupted.look_again {
            self.queue.add_after(key.clone(), after);
        }
        match expected {
            // what owns the pods may come yet
            Err(why) => Err(Status::internal(why)),
            Ok(_) => Ok(()),
        }
    }

    /// Without a selector none, with an empty one all; by its rarest label where it has one.
    fn selected(&self, budget: &PodDisruptionBudget) -> Vec<Arc<Pod>> {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let Some(Ok(selector)) = selector.map(selectors::from_object) else { return Vec::new() };
        let pods = self.client.cluster().informer::<Pod>();
        pods.select(budget.metadata.namespace.as_deref(), &selector)
    }

    async fn expected(&self, budget: &PodDisruptionBudget, pods: &[Arc<Pod>]) -> Result<Expected, String> {
        if !plan::asks_for_scale(budget) {
            return Ok(plan::expected(budget, pods.len() as i32));
        }
        let mut scales: BTreeMap<String, i32> = BTreeMap::new();
        let mut unmanaged = false;
        for pod in pods {
            let Some(owner) = controller_of(&pod.metadata) else {
                unmanaged = true;
                continue;
            };
            if !scales.contains_key(&owner.uid) {
                let (uid, replicas) = self.scale(pod, owner).await?;
                scales.insert(owner.uid.clone(), 0);
                scales.insert(uid, replicas);
            }
        }
        if unmanaged {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            let why = format!(
                "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
                selectors::print(selector)
            );
            self.events.warning(budget, "UnmanagedPods", why);
        }
        Ok(plan::expected(budget, scales.into_values().fold(0, i32::saturating_add)))
    }

    /// Who says how many such pods there should be, by uid, and how many. A ReplicaSet of a Deployment asks that.
    async fn scale(&self, pod: &Pod, owner: &OwnerReference) -> Result<(String, i32), String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut owner = owner.clone();
        if owner.kind == "ReplicaSet" && owner.api_version.starts_with("apps/") {
            let set = self
                .client
                .cluster()
                .informer::<ReplicaSet>()
                .get(&ObjectKey::namespaced(namespace, &owner.name));
            let above = set.as_ref().and_then(|set| controller_of(&set.metadata));
            if let Some(above) = above.filter(|above| above.kind == "Deployment") {
                owner = above.clone();
            }
        }
        let of =
            ScaleRef { namespace, api_version: &owner.api_version, kind: &owner.kind, name: &owner.name };
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let scale =
            scale::read(&self.client, of).await.map_err(|status| match status.is(Reason::NotFound) {
                true => format!("found no controllers for pod {name:?}"),
                false => status.message,
            })?;
        Ok((owner.uid, scale.spec.and_then(|spec| spec.replicas).unwrap_or(0)))
    }
}
