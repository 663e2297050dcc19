//! Pods that have ended are kept for who wants to look at them, but not without end: upstream's pod garbage collector.

use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Api, Cluster, Controller, DeleteOptions, Informer, unless_gone};
use k8s_openapi::api::core::v1::Pod;
use kinds::{key_of, pod as ask};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "pod-garbage-collector";
/// The controller manager's `--terminated-pod-gc-threshold`.
const KEPT: usize = 12_500;
/// How long after a pod has ended they are counted: many end together. Upstream counts as often.
const COUNTED_AFTER: Duration = Duration::from_secs(20);

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(NAME, vec![rule(&["delete", "get", "list", "watch"], &[""], &["pods"])])
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let all = ObjectKey::cluster("pods");
    let pods: Api<Pod> = cluster.acting_as(Actor::controller(NAME)).api();
    let known: Informer<Pod> = cluster.informer();
    let controller = Controller::new(NAME, &cluster).watches::<Pod>(move |queue, change| {
        if is_over(change.object()) {
            queue.add_after(all.clone(), COUNTED_AFTER);
        }
    });
    controller
        .run(stop, (pods, known), |(pods, known), _: ObjectKey| async move {
            for pod in too_many(known.list(None), KEPT) {
                let options = DeleteOptions { uid: pod.metadata.uid.clone(), ..DeleteOptions::default() };
                unless_gone(pods.delete(&key_of(&pod.metadata), options).await)?;
            }
            Ok::<(), Status>(())
        })
        .await;
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
