//! What is in use does not go: the finalizers that admission gave to claims and volumes are taken away when no pod uses the
//! claim, and when the volume is not bound. A claim tells whether a pod means to use it, and since when none does.

mod unused;

use crate::protection::protect_or_release;
use api::{LabelSelector, ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Api, Cluster, Controller, Informer};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kinds::volume;
use tokio_util::sync::CancellationToken;

const OF_CLAIMS: &str = "pvc-protection-controller";
const OF_VOLUMES: &str = "pv-protection-controller";

pub(crate) fn role_of_volumes() -> ComponentRole {
    ComponentRole::controller(
        OF_VOLUMES,
        vec![
            rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumes"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) fn role_of_claims() -> ComponentRole {
    ComponentRole::controller(
        OF_CLAIMS,
        vec![
            rule(&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumeclaims"]),
            rule(&["patch", "update"], &[""], &["persistentvolumeclaims/status"]),
            rule(READ, &[""], &["pods"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) async fn run_claims(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(OF_CLAIMS));
    let apis: (Api<PersistentVolumeClaim>, Api<Pod>, Informer<Pod>) =
        (client.api(), client.api(), cluster.informer());
    Controller::new(OF_CLAIMS, &cluster)
        .reconciles::<PersistentVolumeClaim>()
        .watches::<Pod>(|queue, change| {
            let pod = change.object();
            for claim in volume::claims_of(pod) {
                queue.add(ObjectKey::new(pod.metadata.namespace.as_deref(), &claim.name));
            }
        })
        .run(stop, apis, |(claims, pods, known), key| async move {
            // from the store: a cache may not show the pod that was just bound
            let Some(claim) = claims.find(&key)? else { return Ok(()) };
            let in_use = || -> Result<bool, Status> {
                let all = pods.list(key.namespace.as_deref(), LabelSelector::default())?;
                Ok(all.iter().any(|pod| uses(pod, &key.name)))
            };
            protect_or_release(&claims, &claim, volume::CLAIM_FINALIZER, in_use).await?;
            // a pod that is not known yet wakes the claim when it is
            unused::tell(&claims, &claim, &known.list(key.namespace.as_deref())).await
        })
        .await;
}

/// A pod without a node uses nothing yet: the kubelet starts none with a claim that is on its way out.
fn uses(pod: &Pod, claim: &str) -> bool {
    let is_bound =
        pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).is_some_and(|node| !node.is_empty());
    is_bound && volume::claims_of(pod).iter().any(|of| of.name == claim)
}

pub(crate) async fn run_volumes(cluster: Cluster, stop: CancellationToken) {
    let volumes: Api<PersistentVolume> = cluster.acting_as(Actor::controller(OF_VOLUMES)).api();
    Controller::new(OF_VOLUMES, &cluster)
        .one_at_a_time()
        .reconciles::<PersistentVolume>()
        .run(stop, volumes, |volumes, key| async move {
            let Some(of) = volumes.find(&key)? else { return Ok(()) };
            let phase = of.status.as_ref().and_then(|status| status.phase.as_deref());
            let is_bound = phase == Some("Bound");
            protect_or_release(&volumes, &of, volume::VOLUME_FINALIZER, || Ok(is_bound)).await
        })
        .await;
}
