//! Nodes that are unwell get the taints that keep pods away, and make those leave that do not bear it; nodes that fell silent are said
//! to be unknown, and their pods not ready; pods of nodes that are gone go too.
//!
//! Silence is counted (`hearing.rs`) from when somebody began to listen, by a clock that stands still while the machine sleeps, and
//! anew where this process itself was held up: the node that it is was held up with it, and its pods shall stay. How many nodes are
//! emptied at a time is `zones.rs`.

mod hearing;
mod plan;
mod zone_counts;
mod zones;

pub(crate) use plan::is_ready;

use crate::owner::is_still;
use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, events, rule};
use cluster::{
    Actor, Change, Client, Cluster, Controller, DeleteOptions, Informer, Recorder, WorkQueue, unless_gone,
    unless_replaced,
};
use hearing::Hearing;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use kinds::{key_of, pod as ask};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use zone_counts::{Concerned, ZoneCounts};
use zones::{Pace, Turns};

const NAME: &str = "node-controller";
const LEASES: &str = "kube-node-lease";
/// A node that is removed and registered again keeps its pods; upstream's quarantine is as long.
const QUARANTINE: Duration = Duration::from_secs(40);
/// Of events.
const NOT_READY: &str = "NodeNotReady";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["get", "list", "patch", "update", "watch"], &[""], &["nodes", "nodes/status"]),
            rule(&["delete", "get", "list"], &[""], &["pods"]),
            rule(&["patch", "update"], &[""], &["pods/status"]),
            events(),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let nodes = cluster.informer::<Node>();
    let of_pods = nodes.clone();
    let hearing = Arc::new(Hearing::default());
    let (of_nodes, of_leases) = (hearing.clone(), hearing.clone());
    let mut zones = ZoneCounts::default();
    let controller = Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<Node>(move |queue, change| node_changed(queue, change, &nodes, &of_nodes, &mut zones))
        // a lease that is renewed in time needs no look: the next one is due when it runs out
        .watches::<Lease>(move |_, change| lease_changed(change, &of_leases))
        .watches::<Pod>(move |queue, change| {
            let Some(node) = node_of(change.object()) else { return };
            // who is there already was seen with the node; a kubelet that lives after all is not contradicted again and again
            let is_new = match change {
                Change::Modified { old, .. } => node_of(old) != Some(node),
                Change::Added(_) => true,
                Change::Deleted(_) => false,
            };
            match of_pods.get(&ObjectKey::cluster(node)) {
                None => queue.add_after(node.to_owned(), QUARANTINE),
                Some(known) if is_new && plan::is_unknown(&known) => queue.add(node.to_owned()),
                Some(_) => {}
            }
        });
    let reconciler = Arc::new(Reconciler {
        events: client.recorder(NAME, None),
        client,
        queue: controller.queue(),
        hearing,
        turns: Turns::default(),
    });
    controller
        .run(stop, reconciler, |reconciler, node: String| async move {
            if let Some(after) = reconciler.look_at(&node).await? {
                reconciler.queue.add_after(node, after);
            }
            Ok::<(), Status>(())
        })
        .await;
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

fn node_changed(
    queue: &WorkQueue<String>,
    change: &Change<Node>,
    nodes: &Informer<Node>,
    hearing: &Hearing,
    zones: &mut ZoneCounts,
) {
    let name = change.object().metadata.name.clone().unwrap_or_default();
    let now = match change {
        Change::Added(node) => {
            hearing.heard(&name);
            Some(node)
        }
        Change::Modified { old, new } => {
            if plan::posted(old) != plan::posted(new) {
                hearing.heard(&name);
            }
            Some(new)
        }
        Change::Deleted(_) => {
            hearing.forget(&name);
            None
        }
    };
    let concerned = zones.note(&name, now.map(|node| &**node));
    match now {
        Some(_) => queue.add(name),
        None => queue.add_after(name, QUARANTINE),
    }
    if concerned == Concerned::Nobody {
        return;
    }
    // whether pods must leave a node depends on the others; those that are well keep theirs in any case
    let all = nodes.list(None);
    let unwell = all.iter().filter(|node| !plan::is_ready(node) && concerned.includes(node));
    unwell.filter_map(|node| node.metadata.name.clone()).for_each(|name| queue.add(name));
}

fn lease_changed(change: &Change<Lease>, hearing: &Hearing) {
    let meta = &change.object().metadata;
    let renewed = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.clone());
    let is_sign_of_life = match change {
        Change::Added(_) => true,
        Change::Modified { old, new } => renewed(old) != renewed(new),
        Change::Deleted(_) => false,
    };
    if is_sign_of_life && meta.namespace.as_deref() == Some(LEASES) {
        hearing.heard(meta.name.as_deref().unwrap_or_default());
    }
}

struct Reconciler {
    client: Client,
    events: Recorder,
    queue: WorkQueue<String>,
    hearing: Arc<Hearing>,
    /// To be emptied.
    turns: Turns,
}

impl Reconciler {
    /// When to look again at this node, where nothing happens before.
    async fn look_at(&self, name: &str) -> Result<Option<Duration>, Status> {
        let nodes = self.client.cluster().informer::<Node>();
        let Some(node) = nodes.get(&ObjectKey::cluster(name)) else {
            return self.forget_pods(name).await.map(|()| None);
        };
        let its_turn = self.taint(&node, &nodes).await?;
        if plan::is_unknown(&node) {
            self.mark_pods_not_ready(name).await?;
        }
        if let Some(left) = self.hearing.left(name) {
            return Ok(Some(its_turn.map_or(left, |turn| turn.min(left))));
        }
        self.say_unknown(&node).await.map(|()| its_turn)
    }

    /// When it is this node's turn to be emptied, where that has to wait.
    async fn taint(&self, node: &Node, nodes: &Informer<Node>) -> Result<Option<Duration>, Status> {
        // of one that is well nothing depends on the others, and most are: not each of them goes through all
        let is_well = plan::is_ready(node);
        let all = if is_well { Vec::new() } else { nodes.list(None) };
        let some_are_well = is_well || all.iter().any(|node| plan::is_ready(node));
        let (is_its_turn, its_turn) = match plan::is_to_be_emptied(node) {
            true => self.turn(node, &all),
            false => (false, None),
        };
        // asked of the node as it is stored: what a cache does not show yet is not taken back
        let may_empty = |node: &Node| match plan::is_to_be_emptied(node) {
            true => is_its_turn,
            false => some_are_well,
        };
        let now = Timestamp::now();
        let known = node.spec.as_ref().and_then(|s| s.taints.clone()).unwrap_or_default();
        if plan::taints(node, may_empty(node), now) == known {
            return Ok(its_turn);
        }
        let taint = |node: &mut Node| {
            let taints = plan::taints(node, may_empty(node), now);
            node.spec.get_or_insert_default().taints = (!taints.is_empty()).then_some(taints);
            Ok(())
        };
        let tainted = self.client.api::<Node>().modify(&key_of(&node.metadata), taint).await;
        unless_gone(tainted).map(|_| its_turn)
    }

    /// Whether the node may be emptied now, and when to ask again.
    fn turn(&self, node: &Node, all: &[Arc<Node>]) -> (bool, Option<Duration>) {
        let zone = zones::zone_of(node);
        // no zone is faster, and those who wait are many: all of them need not be counted for each
        let wait = self.turns.left(zone, zones::INTERVAL);
        if wait.is_some() {
            return (false, wait);
        }
        match zones::pace(node, all.iter().map(|node| &**node)) {
            Pace::Stopped | Pace::Held => (false, None),
            Pace::Every(interval) => {
                let wait = self.turns.take(zone, interval);
                (wait.is_none(), wait)
            }
        }
    }

    async fn say_unknown(&self, node: &Node) -> Result<(), Status> {
        let now = Timestamp::now();
        if plan::unknown(node, now).is_none() {
            return Ok(());
        }
        let say = |node: &mut Node| {
            if let Some(conditions) = plan::unknown(node, now) {
                node.status.get_or_insert_default().conditions = Some(conditions);
            }
            Ok(())
        };
        let said = self.client.api::<Node>().modify_status(&key_of(&node.metadata), say).await;
        if unless_gone(said)?.is_some() && plan::is_ready(node) {
            let name = node.metadata.name.as_deref().unwrap_or_default();
            self.events.normal(node, NOT_READY, format!("Node {name} status is now: {NOT_READY}"));
        }
        Ok(())
    }

    /// Upstream's `MarkPodsNotReady`: nobody shall send anything to who may not be there.
    async fn mark_pods_not_ready(&self, node: &str) -> Result<(), Status> {
        let pods = self.client.api::<Pod>();
        // who is not known to be on it yet brings the node here when he is
        for known in self.pods_of(node) {
            // as it is stored: one whose last word a cache does not have yet would stay ready, and nobody looks again
            let stored = pods.find(&key_of(&known.metadata))?;
            let Some(pod) = stored.filter(|pod| node_of(pod) == Some(node) && ask::is_ready(pod)) else {
                continue;
            };
            let mark = |now: &mut Pod| {
                is_still(now, &pod.metadata)?;
                if let Some(ready) = ask::condition(now, "Ready").filter(|c| c.status == "True").cloned() {
                    let ready = PodCondition { status: "False".to_owned(), ..ready };
                    ask::set_condition(now.status.get_or_insert_default(), ready, Timestamp::now());
                }
                Ok(())
            };
            if unless_gone(pods.modify_status(&key_of(&pod.metadata), mark).await)?.is_some() {
                self.events.warning(&pod, NOT_READY, "Node is not ready");
            }
        }
        Ok(())
    }

    /// Nobody else says any more that they have ended, and to those who wait for that it matters why.
    async fn forget_pods(&self, node: &str) -> Result<(), Status> {
        let pods = self.client.api::<Pod>();
        for pod in self.pods_of(node) {
            let key = key_of(&pod.metadata);
            let mark = |now: &mut Pod| {
                is_still(now, &pod.metadata)?;
                plan::fail_orphan(now, Timestamp::now());
                Ok(())
            };
            if !ask::is_terminal(&pod) {
                unless_gone(pods.modify_status(&key, mark).await)?;
            }
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            unless_replaced(pods.delete(&key, DeleteOptions::now(uid)).await)?;
        }
        Ok(())
    }

    fn pods_of(&self, node: &str) -> Vec<Arc<Pod>> {
        let mut pods = self.client.cluster().informer::<Pod>().list(None);
        pods.retain(|pod| node_of(pod) == Some(node));
        pods
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ServiceAccount;
    use serde_json::json;
    use testkit::objects;

    async fn drain(queue: &WorkQueue<String>) -> Vec<String> {
        let mut found = Vec::new();
        while let Ok(name) = tokio::time::timeout(Duration::from_millis(20), queue.next()).await {
            queue.done(&name);
            found.push(name);
        }
        found
    }

    #[tokio::test]
    async fn the_pods_of_a_silent_node_are_not_ready() {
        let cluster = testkit::cluster(testkit::config()).await;
        cluster.bootstrap_components([role()]).await.unwrap();
        let root = cluster.acting_as(Actor::root());
        let account = json!({"metadata": {"name": "default", "namespace": "default"}});
        root.api::<ServiceAccount>().create(serde_json::from_value(account).unwrap()).await.unwrap();
        let pods = root.api::<Pod>();
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        for (name, node) in [("a", "silent"), ("b", "well"), ("c", "silent")] {
            pods.create(objects::pod(name).on(node).build()).await.unwrap();
            let status = objects::pod(name).on(node).status(&ready).build().status;
            let key = ObjectKey::namespaced("default", name);
            let told = pods.modify_status(&key, |pod| {
                pod.status.clone_from(&status);
                Ok(())
            });
            told.await.unwrap();
        }
        let client = cluster.acting_as(Actor::controller(NAME));
        let reconciler = Reconciler {
            events: client.recorder(NAME, None),
            client,
            queue: WorkQueue::new(),
            hearing: Arc::default(),
            turns: Turns::default(),
        };
        reconciler.mark_pods_not_ready("silent").await.unwrap();
        let is_ready =
            |name: &str| ask::is_ready(&pods.get(&ObjectKey::namespaced("default", name)).unwrap());
        assert_eq!(["a", "b", "c"].map(is_ready), [false, true, false]);
    }

    #[tokio::test]
    async fn one_node_that_gets_ready_is_no_work_for_all_others() {
        let node = |name: &str, ready: &str| -> Node {
            serde_json::from_value(json!({
                "metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]},
            }))
            .unwrap()
        };
        let cluster = testkit::cluster(testkit::config()).await;
        let root = cluster.acting_as(Actor::root());
        for number in 0..20 {
            root.api::<Node>().create(node(&format!("n{number}"), "False")).await.unwrap();
        }
        let (nodes, queue) = (cluster.informer::<Node>(), WorkQueue::new());
        let (hearing, mut zones) = (Hearing::default(), ZoneCounts::default());
        let mut change = |change: Change<Node>| node_changed(&queue, &change, &nodes, &hearing, &mut zones);
        let becomes = |name: &str| Change::Modified {
            old: Arc::new(node(name, "False")),
            new: Arc::new(node(name, "True")),
        };
        nodes.list(None).into_iter().for_each(|node| change(Change::Added(node)));
        assert_eq!(drain(&queue).await.len(), 20);
        change(becomes("n0"));
        assert_eq!(drain(&queue).await.len(), 20, "the first that is well: there is somewhere to go");
        change(becomes("n1"));
        assert_eq!(drain(&queue).await, ["n1"]);
    }
}
