//! Nodes that are unwell get the taints that keep pods away; nodes that fell silent are said to be unknown; pods of nodes
//! that are gone go too.

mod plan;

use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Change, Client, Cluster, Controller, DeleteOptions, unless_gone};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::key_of;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "node-controller";
const LEASES: &str = "kube-node-lease";
/// A node that is removed and registered again keeps its pods; upstream's quarantine is as long.
const QUARANTINE: Duration = Duration::from_secs(40);

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["get", "list", "patch", "update", "watch"], &[""], &["nodes", "nodes/status"]),
            rule(&["delete", "get", "list"], &[""], &["pods"]),
            rule(&["patch", "update"], &[""], &["pods/status"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let known = cluster.informer::<Node>();
    let controller = Controller::new(NAME, &cluster)
        .one_at_a_time()
        // a lease that is renewed in time needs no look: the next one is due when it runs out
        .watches::<Node>(|queue, change| {
            let name = change.object().metadata.name.clone().unwrap_or_default();
            match change {
                Change::Deleted(_) => queue.add_after(name, QUARANTINE),
                _ => queue.add(name),
            }
        })
        .watches::<Pod>(move |queue, change| {
            let node = change.object().spec.as_ref().and_then(|s| s.node_name.clone()).unwrap_or_default();
            if !node.is_empty() && known.get(&ObjectKey::cluster(&node)).is_none() {
                queue.add_after(node, QUARANTINE);
            }
        });
    // as upstream: silence counts from when somebody began to listen
    let reconciler = (client, controller.queue(), Timestamp::now());
    controller
        .run(stop, reconciler, |(client, queue, listening_since), node: String| async move {
            if let Some(after) = look_at(&client, &node, listening_since).await? {
                queue.add_after(node, after);
            }
            Ok::<(), Status>(())
        })
        .await;
}

/// When to look again at this node, where nothing happens before.
async fn look_at(
    client: &Client,
    name: &str,
    listening_since: Timestamp,
) -> Result<Option<Duration>, Status> {
    let cluster = client.cluster();
    let key = ObjectKey::cluster(name);
    let Some(node) = cluster.informer::<Node>().get(&key) else {
        return forget_pods(client, name).await;
    };
    if plan::taints(&node) != node.spec.as_ref().and_then(|s| s.taints.clone()).unwrap_or_default() {
        let taint = |node: &mut Node| {
            let taints = plan::taints(node);
            node.spec.get_or_insert_default().taints = (!taints.is_empty()).then_some(taints);
            Ok(())
        };
        unless_gone(client.api::<Node>().modify(&key, taint).await)?;
    }
    let lease = cluster.informer::<Lease>().get(&ObjectKey::namespaced(LEASES, name));
    let now = Timestamp::now();
    let last_heard = plan::last_heard(&node, lease.as_deref()).unwrap_or(now).max(listening_since);
    let silent_from = last_heard + plan::GRACE;
    if let Ok(left) = Duration::try_from(silent_from.duration_since(now))
        && !left.is_zero()
    {
        return Ok(Some(left));
    }
    if plan::unknown(&node, now).is_some() {
        let say = |node: &mut Node| {
            if let Some(conditions) = plan::unknown(node, now) {
                node.status.get_or_insert_default().conditions = Some(conditions);
            }
            Ok(())
        };
        unless_gone(client.api::<Node>().modify_status(&key, say).await)?;
    }
    Ok(None)
}

async fn forget_pods(client: &Client, node: &str) -> Result<Option<Duration>, Status> {
    let of_node = |pod: &Pod| pod.spec.as_ref().and_then(|s| s.node_name.as_deref()) == Some(node);
    for pod in client.cluster().informer::<Pod>().list(None).iter().filter(|pod| of_node(pod)) {
        let key = key_of(&pod.metadata);
        let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        unless_gone(client.api::<Pod>().delete(&key, now).await)?;
    }
    Ok(None)
}
