//! Claims that ask for more than their volume holds: volumes are made larger by whoever made them, and the claim says so.

use api::{ObjectKey, Status};
use cluster::{Actor, Cluster, WorkQueue, run_workers};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kinds::{key_of, volume};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "expand-controller";
/// As events name it.
const SPEAKER: &str = "volume_expand";

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let events = client.recorder(SPEAKER, None);
    let queue: WorkQueue<ObjectKey> = WorkQueue::new();
    let informer = cluster.informer::<PersistentVolumeClaim>();
    let mut changes = informer.subscribe();
    let (added, ended) = (queue.clone(), stop.clone());
    let listening = tokio::spawn(async move {
        while let Some(Some(change)) = ended.run_until_cancelled(changes.next()).await {
            // told once for each time that somebody asks for more
            if let cluster::Change::Modified { old, new } = &change
                && volume::request(new) > volume::request(old)
            {
                added.add(key_of(&new.metadata));
            }
        }
    });
    run_workers(NAME, queue, 1, stop, move |key| {
        let (events, claim): (_, Option<Arc<PersistentVolumeClaim>>) = (events.clone(), informer.get(&key));
        async move {
            if let Some(claim) = claim.filter(|claim| volume::is_fully_bound(claim)) {
                let message = "waiting for an external controller to expand this PVC";
                events.normal(&*claim, "ExternalExpanding", message);
            }
            Ok::<(), Status>(())
        }
    })
    .await;
    let _ = listening.await;
}
