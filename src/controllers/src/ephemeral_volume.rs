//! Volumes that come and go with their pod (KEP-1698): a claim of the pod's own for each.

use crate::owner::{controller_of, controller_reference};
use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Api, Change, Cluster, Controller, Recorder};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Volume};
use kinds::{key_of, pod as ask, volume};
use tokio_util::sync::CancellationToken;

const NAME: &str = "ephemeral-volume-controller";
/// As events name it.
const SPEAKER: &str = "ephemeral_volume";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, &[""], &["pods"]),
            rule(&["update"], &[""], &["pods/finalizers"]),
            rule(&["create", "get", "list", "watch"], &[""], &["persistentvolumeclaims"]),
            rule(&["create", "patch", "update"], &[""], &["events"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let (pods, claims): (Api<Pod>, Api<PersistentVolumeClaim>) = (client.api(), client.api());
    let reconciler = (pods, claims, client.recorder(SPEAKER, None));
    Controller::new(NAME, &cluster)
        .watches::<Pod>(|queue, change| {
            let pod = change.object();
            if volume::claims_of(pod).iter().any(|claim| claim.is_ephemeral) {
                queue.add(key_of(&pod.metadata));
            }
        })
        .watches::<PersistentVolumeClaim>(|queue, change| {
            // a claim that went is made again as long as its pod is there
            let Change::Deleted(claim) = change else { return };
            if let Some(owner) = controller_of(&claim.metadata).filter(|owner| owner.kind == "Pod") {
                queue.add(ObjectKey::new(claim.metadata.namespace.as_deref(), &owner.name));
            }
        })
        .run(stop, reconciler, |(pods, claims, events), key| async move {
            reconcile(&pods, &claims, &events, &key).await
        })
        .await;
}

async fn reconcile(
    pods: &Api<Pod>,
    claims: &Api<PersistentVolumeClaim>,
    events: &Recorder,
    key: &ObjectKey,
) -> Result<(), Status> {
    let Some(pod) = pods.find(key)?.filter(ask::is_active) else { return Ok(()) };
    for of in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let Some(wanted) = claim(&pod, of) else { continue };
        let made = match claims.find(&key_of(&wanted.metadata))? {
            Some(stored) => {
                volume::is_for_pod(&pod, &stored).map_err(|why| Status::new(Reason::Conflict, why))
            }
            None => match claims.create(wanted).await {
                Err(status) if !status.is(Reason::AlreadyExists) => Err(status),
                _ => Ok(()),
            },
        };
        if let Err(why) = made {
            events.warning(&pod, "FailedBinding", format!("ephemeral volume {}: {why}", of.name));
            return Err(why);
        }
    }
    Ok(())
}

/// The claim of one of the pod's volumes; `None` for a volume of another kind.
fn claim(pod: &Pod, of: &Volume) -> Option<PersistentVolumeClaim> {
    let template = of.ephemeral.as_ref()?.volume_claim_template.clone()?;
    let mut metadata = template.metadata.unwrap_or_default();
    metadata.name = Some(volume::claim_of(pod, of)?.name);
    metadata.namespace.clone_from(&pod.metadata.namespace);
    metadata.owner_references = Some(vec![controller_reference(pod)]);
    Some(PersistentVolumeClaim { metadata, spec: Some(template.spec), status: None })
}
