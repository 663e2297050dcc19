//! Claims that ask for more than their volume holds: volumes are made larger by whoever made them, and the claim says so.

use api::Status;
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Change, Cluster, Controller};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kinds::{key_of, volume};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "expand-controller";
/// As events name it.
const SPEAKER: &str = "volume_expand";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumes"]),
            rule(&["patch", "update"], &[""], &["persistentvolumeclaims/status"]),
            rule(READ, &[""], &["persistentvolumeclaims"]),
            rule(READ, &["storage.k8s.io"], &["storageclasses"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let reconciler = (client.recorder(SPEAKER, None), cluster.informer());
    Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<PersistentVolumeClaim>(|queue, change| {
            // told once for each time that somebody asks for more
            if let Change::Modified { old, new } = change
                && volume::request(new) > volume::request(old)
            {
                queue.add(key_of(&new.metadata));
            }
        })
        .run(stop, reconciler, |(events, claims), key| async move {
            let claim: Option<Arc<PersistentVolumeClaim>> = claims.get(&key);
            if let Some(claim) = claim.filter(|claim| volume::is_fully_bound(claim)) {
                let message = "waiting for an external controller to expand this PVC";
                events.normal(&*claim, "ExternalExpanding", message);
            }
            Ok::<(), Status>(())
        })
        .await;
}
