//! Pods that have ended are kept for who wants to look at them, but not without end; and those that would have to end on a node that
//! is off go without it: upstream's pod garbage collector.

use crate::node_lifecycle;
use crate::out_of_service::is_out_of_service;
use crate::owner::is_still;
use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{
    Actor, Api, Change, Cluster, Controller, DeleteOptions, Informer, WorkQueue, unless_gone, unless_replaced,
};
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::{key_of, pod as ask};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "pod-garbage-collector";
/// The controller manager's `--terminated-pod-gc-threshold`.
const KEPT: usize = 12_500;
/// How long after a pod has ended they are counted: many end together. Upstream counts as often.
const COUNTED_AFTER: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Item {
    /// All that have ended.
    Ended,
    /// One that is to go, and whose node is off.
    Stuck(ObjectKey),
}

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["delete", "get", "list", "watch"], &[""], &["pods"]),
            rule(&["patch", "update"], &[""], &["pods/status"]),
            rule(READ, &[""], &["nodes"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let (pods, nodes) = (cluster.informer::<Pod>(), cluster.informer::<Node>());
    let (of_nodes, known_nodes) = (pods.clone(), nodes.clone());
    let collector =
        Arc::new(Collector { api: cluster.acting_as(Actor::controller(NAME)).api(), pods, nodes });
    let controller = Controller::new(NAME, &cluster)
        .watches::<Pod>(move |queue, change| {
            let pod = change.object();
            if is_over(pod) {
                queue.add_after(Item::Ended, COUNTED_AFTER);
            }
            if !matches!(change, Change::Deleted(_)) && ask::is_deleting(pod) {
                add_stuck(queue, pod, &known_nodes);
            }
        })
        .watches::<Node>(move |queue, change| {
            let node = change.object();
            if !matches!(change, Change::Deleted(_)) && is_off(node) {
                let all = of_nodes.list(None).into_iter().filter(|pod| ask::is_deleting(pod));
                let its = all.filter(|pod| node_of(pod) == node.metadata.name.as_deref());
                its.for_each(|pod| queue.add(Item::Stuck(key_of(&pod.metadata))));
            }
        });
    controller
        .run(stop, collector, |collector, item| async move {
            match item {
                Item::Ended => collector.ended().await,
                Item::Stuck(key) => collector.stuck(&key).await,
            }
        })
        .await;
}

fn add_stuck(queue: &WorkQueue<Item>, pod: &Pod, nodes: &Informer<Node>) {
    let node = node_of(pod).and_then(|node| nodes.get(&ObjectKey::cluster(node)));
    if node.is_some_and(|node| is_off(&node)) {
        queue.add(Item::Stuck(key_of(&pod.metadata)));
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

/// One that is marked and works nevertheless ends its pods itself.
fn is_off(node: &Node) -> bool {
    is_out_of_service(node) && !node_lifecycle::is_ready(node)
}

struct Collector {
    api: Api<Pod>,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
}

impl Collector {
    async fn ended(&self) -> Result<(), Status> {
        for pod in too_many(self.pods.list(None), KEPT) {
            let options = DeleteOptions { uid: pod.metadata.uid.clone(), ..DeleteOptions::default() };
            unless_gone(self.api.delete(&key_of(&pod.metadata), options).await)?;
        }
        Ok(())
    }

    /// Upstream's `gcTerminating`: its kubelet will never say that it has ended.
    async fn stuck(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(pod) = self.api.find(key)?.filter(ask::is_deleting) else { return Ok(()) };
        let node = node_of(&pod).and_then(|node| self.nodes.get(&ObjectKey::cluster(node)));
        if !node.is_some_and(|node| is_off(&node)) {
            return Ok(());
        }
        if !ask::is_terminal(&pod) {
            let failed = self.api.modify_status(key, |now| {
                is_still(now, &pod.metadata)?;
                if !ask::is_terminal(now) {
                    now.status.get_or_insert_default().phase = Some("Failed".to_owned());
                }
                Ok(())
            });
            unless_gone(failed.await)?;
        }
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        unless_replaced(self.api.delete(key, DeleteOptions::now(uid)).await).map(drop)
    }
}

fn is_over(pod: &Pod) -> bool {
    matches!(ask::phase(pod), "Succeeded" | "Failed") && !ask::is_deleting(pod)
}

/// The oldest of those that have ended, beyond as many as are kept.
fn too_many(mut pods: Vec<Arc<Pod>>, kept: usize) -> Vec<Arc<Pod>> {
    pods.retain(|pod| is_over(pod));
    let excess = pods.len().saturating_sub(kept);
    pods.sort_by(|a, b| {
        let age = |pod: &Pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone());
        age(a).cmp(&age(b))
    });
    pods.truncate(excess);
    pods
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_off_where_it_is_marked_and_does_not_answer() {
        let node = |taint: &str, ready: &str| -> Node {
            let taints = json!([{"key": taint, "value": "nodeshutdown", "effect": "NoExecute"}]);
            let status = json!({"conditions": [{"type": "Ready", "status": ready}]});
            serde_json::from_value(
                json!({"metadata": {"name": "n"}, "spec": {"taints": taints}, "status": status}),
            )
            .unwrap()
        };
        let marked = "node.kubernetes.io/out-of-service";
        let cases = [
            ("it works", marked, "True", false),
            ("it is silent", marked, "Unknown", true),
            ("it is unwell", marked, "False", true),
            ("another taint", "node.kubernetes.io/unreachable", "Unknown", false),
        ];
        for (name, taint, ready, want) in cases {
            assert_eq!(is_off(&node(taint, ready)), want, "{name}");
        }
    }

    #[test]
    fn the_oldest_that_have_ended_go() {
        let pod = |name: &str, second: u32, phase: &str| {
            let created = format!("2026-01-01T00:00:{second:02}Z");
            let pod =
                json!({"metadata": {"name": name, "creationTimestamp": created}, "status": {"phase": phase}});
            Arc::new(serde_json::from_value::<Pod>(pod).unwrap())
        };
        let pods = || {
            vec![
                pod("c", 3, "Succeeded"),
                pod("a", 1, "Running"),
                pod("b", 2, "Failed"),
                pod("d", 3, "Failed"),
            ]
        };
        let gone = |kept| -> Vec<String> {
            too_many(pods(), kept).iter().filter_map(|pod| pod.metadata.name.clone()).collect()
        };
        assert_eq!(gone(3), Vec::<String>::new());
        assert_eq!(gone(1), ["b", "c"]);
        assert_eq!(gone(0), ["b", "c", "d"]);
    }
}
