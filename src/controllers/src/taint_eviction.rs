//! Pods leave a node that has a `NoExecute` taint which they do not tolerate, or not any longer.

use crate::owner::is_still;
use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Change, Client, Cluster, Controller, DeleteOptions, Recorder, WorkQueue, unless_gone};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, Taint};
use kinds::{key_of, pod as ask};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "taint-eviction-controller";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, &[""], &["nodes"]),
            rule(&["delete", "get", "list", "watch"], &[""], &["pods"]),
            rule(&["patch", "update"], &[""], &["pods/status"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let known = cluster.informer::<Pod>();
    let controller = Controller::new(NAME, &cluster)
        .watches::<Pod>(|queue, change| {
            if node_of(change.object()).is_some() {
                queue.add(key_of(&change.object().metadata));
            }
        })
        .watches::<Node>(move |queue, change| {
            let changed = match change {
                Change::Added(node) => !evicting(node).is_empty(),
                Change::Modified { old, new } => evicting(old) != evicting(new),
                Change::Deleted(_) => false,
            };
            let name = change.object().metadata.name.as_deref();
            let there = if changed { known.list(None) } else { Vec::new() };
            let on_it = there.iter().filter(|pod| node_of(pod) == name);
            on_it.for_each(|pod| queue.add(key_of(&pod.metadata)));
        });
    let reconciler = Arc::new(Reconciler {
        events: client.recorder(NAME, None),
        client,
        queue: controller.queue(),
        leaving: Mutex::default(),
    });
    controller.run(stop, reconciler, |reconciler, key| async move { reconciler.look_at(&key).await }).await;
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

fn evicting(node: &Node) -> Vec<&Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| taint.effect == "NoExecute").collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Stays,
    /// When it has borne the taints for so long.
    GoesAfter(Duration),
}

/// As upstream: a pod that does not tolerate all of them goes at once, else after the shortest of the times for which it
/// tolerates any of them.
fn verdict(pod: &Pod, taints: &[&Taint]) -> Verdict {
    if taints.iter().any(|taint| !ask::tolerates(pod, taint)) {
        return Verdict::GoesAfter(Duration::ZERO);
    }
    let bearing = taints.iter().flat_map(|taint| ask::tolerations_of(pod, taint));
    let shortest = bearing.filter_map(|toleration| toleration.toleration_seconds).min();
    shortest.map_or(Verdict::Stays, |seconds| {
        Verdict::GoesAfter(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    })
}

struct Reconciler {
    client: Client,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
    /// Pods that bear taints for a time, and since when.
    leaving: Mutex<HashMap<ObjectKey, (Option<String>, Timestamp)>>,
}

impl Reconciler {
    async fn look_at(&self, key: &ObjectKey) -> Result<(), Status> {
        let cluster = self.client.cluster();
        let pod = cluster.informer::<Pod>().get(key).filter(|pod| !ask::is_deleting(pod));
        let node =
            pod.as_ref().and_then(|pod| cluster.informer::<Node>().get(&ObjectKey::cluster(node_of(pod)?)));
        let (Some(pod), Some(node)) = (pod, node) else {
            self.stays(key);
            return Ok(());
        };
        match verdict(&pod, &evicting(&node)) {
            Verdict::Stays => {
                if self.stays(key) {
                    let why = format!("Cancelling deletion of Pod {key}");
                    self.events.normal(&*pod, "TaintManagerEviction", why);
                }
                Ok(())
            }
            Verdict::GoesAfter(bears) => {
                let left = bears.saturating_sub(self.borne_for(key, &pod));
                if !left.is_zero() {
                    self.queue.add_after(key.clone(), left);
                    return Ok(());
                }
                self.evict(key, &pod).await
            }
        }
    }

    /// Whether it was to go.
    fn stays(&self, key: &ObjectKey) -> bool {
        self.leaving.lock().remove(key).is_some()
    }

    fn borne_for(&self, key: &ObjectKey, pod: &Pod) -> Duration {
        let now = Timestamp::now();
        let mut leaving = self.leaving.lock();
        let entry = leaving.entry(key.clone()).or_insert_with(|| (pod.metadata.uid.clone(), now));
        if entry.0 != pod.metadata.uid {
            *entry = (pod.metadata.uid.clone(), now);
        }
        Duration::try_from(now.duration_since(entry.1)).unwrap_or_default()
    }

    async fn evict(&self, key: &ObjectKey, pod: &Pod) -> Result<(), Status> {
        self.events.normal(pod, "TaintManagerEviction", format!("Marking for deletion Pod {key}"));
        let condition = PodCondition {
            type_: "DisruptionTarget".to_owned(),
            status: "True".to_owned(),
            reason: Some("DeletionByTaintManager".to_owned()),
            message: Some("Taint manager: deleting due to NoExecute taint".to_owned()),
            ..PodCondition::default()
        };
        let pods = self.client.api::<Pod>();
        let marked = pods.modify_status(key, |now| {
            is_still(now, &pod.metadata)?;
            let status = now.status.get_or_insert_default();
            ask::set_condition(status, condition.clone(), Timestamp::now());
            Ok(())
        });
        unless_gone(marked.await)?;
        let options = DeleteOptions { uid: pod.metadata.uid.clone(), ..DeleteOptions::default() };
        unless_gone(pods.delete(key, options).await)?;
        self.stays(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn how_long_a_pod_bears_its_nodes_taints() {
        let taint = |key: &str| json!({"key": key, "value": "v", "effect": "NoExecute"});
        let forever = json!({"key": "a", "operator": "Exists"});
        let for_ten = json!({"key": "a", "operator": "Exists", "tolerationSeconds": 10});
        let for_five = json!({"key": "b", "value": "v", "effect": "NoExecute", "tolerationSeconds": 5});
        let cases = [
            ("no taint", vec![], vec![], None),
            ("not tolerated", vec![taint("a")], vec![], Some(0)),
            ("for ever", vec![taint("a")], vec![forever.clone()], None),
            ("for a time", vec![taint("a")], vec![for_ten.clone()], Some(10)),
            ("the shortest of two", vec![taint("a"), taint("b")], vec![for_ten, for_five.clone()], Some(5)),
            ("one of two", vec![taint("a"), taint("c")], vec![forever.clone(), for_five], Some(0)),
            ("another effect", vec![json!({"key": "c", "effect": "NoSchedule"})], vec![forever], None),
        ];
        for (name, taints, tolerations, want) in cases {
            let spec = json!({"containers": [], "tolerations": tolerations});
            let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            let node: Node =
                serde_json::from_value(json!({"metadata": {}, "spec": {"taints": taints}})).unwrap();
            let want = want.map_or(Verdict::Stays, |s| Verdict::GoesAfter(Duration::from_secs(s)));
            assert_eq!(verdict(&pod, &evicting(&node)), want, "{name}");
        }
    }
}
