//! Deployments: one ReplicaSet for each template, scaled against each other.

mod plan;
mod status;

use crate::WORKERS;
use crate::owner::{
    Claim, adopt, claim, controller_of, controller_reference, is_controlled_by, release, unless_gone,
};
use crate::template_hash;
use api::{LabelSelector, ObjectKey, Reason, Status};
use cluster::{
    Actor, Api, Change, Client, Cluster, DeleteOptions, Informer, Recorder, WorkQueue, run_workers,
};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{key_of, selectors};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "deployment-controller";
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let queue: WorkQueue<ObjectKey> = WorkQueue::new();
    let listening = tokio::spawn(listen(cluster, queue.clone(), stop.clone()));
    let controller = Arc::new(Controller::new(&client, queue.clone()));
    run_workers(NAME, queue, WORKERS, stop, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
    .await;
    let _ = listening.await;
}

async fn listen(cluster: Cluster, queue: WorkQueue<ObjectKey>, stop: CancellationToken) {
    let known = cluster.informer::<Deployment>();
    let mut deployments = known.subscribe();
    let mut sets = cluster.informer::<ReplicaSet>().subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(change) = deployments.next() => queue.add(key_of(&change.object().metadata)),
            Some(change) = sets.next() => {
                if let Change::Modified { old, .. } = &change {
                    wake_owner(&known, old, &queue);
                }
                wake_owner(&known, change.object(), &queue);
            }
            else => return,
        }
    }
}

/// Which deployments a set is for: its own, or, where it has none, those whose selector finds it.
fn wake_owner(known: &Informer<Deployment>, set: &ReplicaSet, queue: &WorkQueue<ObjectKey>) {
    let namespace = set.metadata.namespace.as_deref();
    match controller_of(&set.metadata) {
        Some(owner) if owner.kind == "Deployment" => queue.add(ObjectKey::new(namespace, &owner.name)),
        Some(_) => {}
        None => {
            let deployments = known.list(namespace);
            let finds = |d: &Arc<Deployment>| claim(&set.metadata, &**d, &selector(d)) == Claim::Orphan;
            deployments.iter().filter(|d| finds(d)).for_each(|d| queue.add(key_of(&d.metadata)));
        }
    }
}

fn selector(deployment: &Deployment) -> LabelSelector {
    let spec = deployment.spec.as_ref();
    spec.and_then(|spec| selectors::from_object(&spec.selector).ok()).unwrap_or_default()
}

struct Controller {
    cluster: Cluster,
    deployments: Api<Deployment>,
    sets: Api<ReplicaSet>,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
}

impl Controller {
    fn new(client: &Client, queue: WorkQueue<ObjectKey>) -> Self {
        Controller {
            cluster: client.cluster().clone(),
            deployments: client.api(),
            sets: client.api(),
            events: client.recorder(NAME, None),
            queue,
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        // From the store: the sets that the last round made are in it for certain. And before the deployment: where they
        // have been orphaned, it is seen to be going.
        let known = self.sets.list(key.namespace.as_deref(), LabelSelector::default())?;
        let Some(deployment) = self.deployments.find(key)?.map(Arc::new) else { return Ok(()) };
        let mut sets = self.claim(&deployment, known).await?;
        if deployment.metadata.deletion_timestamp.is_none() {
            self.roll(&deployment, &mut sets).await?;
        }
        self.write_status(key, &deployment, &sets).await
    }

    /// The sets that are the deployment's; takes those in that its selector finds and nobody has (another deployment left
    /// them behind), lets go of those it does not find any more.
    async fn claim(
        &self,
        deployment: &Arc<Deployment>,
        known: Vec<ReplicaSet>,
    ) -> Result<Vec<ReplicaSet>, Status> {
        let meta = &deployment.metadata;
        let selector = selector(deployment);
        let mut mine = Vec::new();
        for set in known {
            let free = meta.deletion_timestamp.is_none() && set.metadata.deletion_timestamp.is_none();
            match claim(&set.metadata, &**deployment, &selector) {
                Claim::Mine => mine.push(set),
                Claim::Lost => release(&self.sets, &set, &**deployment).await?,
                Claim::Orphan if free => {
                    if adopt(&self.sets, &set, &self.deployments, &**deployment).await? {
                        mine.push(set);
                    }
                }
                Claim::Orphan | Claim::Foreign => {}
            }
        }
        Ok(mine)
    }

    async fn roll(&self, deployment: &Arc<Deployment>, sets: &mut Vec<ReplicaSet>) -> Result<(), Status> {
        let spec = deployment.spec.clone().unwrap_or_default();
        if spec.paused == Some(true) && plan::newest(deployment, sets).is_none() {
            return Ok(());
        }
        let newest = match plan::newest(deployment, sets) {
            Some(at) => at,
            None => {
                sets.push(self.create_set(deployment, sets).await?);
                sets.len() - 1
            }
        };
        self.number(deployment, sets, newest).await?;
        let pods_gone = || self.old_pods_are_gone(deployment, sets, newest);
        for step in plan::scale(deployment, sets, newest, pods_gone) {
            self.scale(deployment, &mut sets[step.set], step.replicas).await?;
        }
        self.clean_up(deployment, sets, newest).await
    }

    /// `Recreate` waits for the last old pod to end before the first new one is made.
    fn old_pods_are_gone(&self, deployment: &Deployment, sets: &[ReplicaSet], newest: usize) -> bool {
        let pods = self.cluster.informer::<Pod>().list(deployment.metadata.namespace.as_deref());
        let old = sets.iter().enumerate().filter(|(at, _)| *at != newest);
        !old.into_iter().any(|(_, set)| {
            pods.iter().any(|pod| is_controlled_by(&pod.metadata, set) && !kinds::pod::is_terminal(pod))
        })
    }

    async fn create_set(
        &self,
        deployment: &Arc<Deployment>,
        sets: &[ReplicaSet],
    ) -> Result<ReplicaSet, Status> {
        let mut collisions = deployment.status.as_ref().and_then(|s| s.collision_count).unwrap_or(0);
        loop {
            match self.sets.create(set_of(deployment, sets, collisions)).await {
                Err(status) if status.is(Reason::AlreadyExists) => collisions += 1,
                other => return other,
            }
        }
    }

    /// The newest set has the highest revision; the deployment says which that is.
    async fn number(
        &self,
        deployment: &Deployment,
        sets: &mut [ReplicaSet],
        newest: usize,
    ) -> Result<(), Status> {
        let highest_old = sets
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != newest)
            .map(|(_, s)| plan::revision(&s.metadata))
            .max();
        let own = plan::revision(&sets[newest].metadata);
        let wanted = own.max(highest_old.unwrap_or(0) + 1);
        if own != wanted {
            let key = key_of(&sets[newest].metadata);
            let numbered = self.sets.modify(&key, |set| {
                set.metadata.annotations.get_or_insert_default().insert(REVISION.into(), wanted.to_string());
                Ok(())
            });
            sets[newest] = numbered.await?;
        }
        if plan::revision(&deployment.metadata) != wanted {
            let key = key_of(&deployment.metadata);
            let numbered = self.deployments.modify(&key, |deployment| {
                deployment
                    .metadata
                    .annotations
                    .get_or_insert_default()
                    .insert(REVISION.into(), wanted.to_string());
                Ok(())
            });
            numbered.await?;
        }
        Ok(())
    }

    async fn scale(
        &self,
        deployment: &Deployment,
        set: &mut ReplicaSet,
        replicas: i32,
    ) -> Result<(), Status> {
        let before = plan::replicas(set);
        let key = key_of(&set.metadata);
        let scaled = self.sets.modify(&key, |set| {
            set.spec.get_or_insert_default().replicas = Some(replicas);
            Ok(())
        });
        *set = scaled.await?;
        let word = if replicas > before { "up" } else { "down" };
        let name = set.metadata.name.as_deref().unwrap_or_default();
        self.events.normal(
            deployment,
            "ScalingReplicaSet",
            format!("Scaled {word} replica set {name} from {before} to {replicas}"),
        );
        Ok(())
    }

    /// Old sets beyond the history go, the oldest first.
    async fn clean_up(
        &self,
        deployment: &Deployment,
        sets: &mut Vec<ReplicaSet>,
        newest: usize,
    ) -> Result<(), Status> {
        let limit =
            deployment.spec.as_ref().and_then(|s| s.revision_history_limit).unwrap_or(10).max(0) as usize;
        let surplus = plan::surplus(sets, newest, limit);
        let options = || DeleteOptions {
            propagation: Some(cluster::Propagation::Background),
            ..DeleteOptions::default()
        };
        let deletions = surplus
            .iter()
            .map(|key| async { unless_gone(self.sets.delete(key, options()).await).map(|_| ()) });
        try_join_all(deletions).await?;
        sets.retain(|set| !surplus.contains(&key_of(&set.metadata)));
        Ok(())
    }

    async fn write_status(
        &self,
        key: &ObjectKey,
        deployment: &Arc<Deployment>,
        sets: &[ReplicaSet],
    ) -> Result<(), Status> {
        let now = jiff::Timestamp::now();
        let (wanted, again) = status::of(deployment, sets, now);
        if let Some(delay) = again {
            self.queue.add_after(key.clone(), delay);
        }
        if deployment.status.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let written = self.deployments.modify_status(key, |current| {
            current.status = Some(wanted.clone());
            Ok(())
        });
        unless_gone(written.await).map(|_| ())
    }
}

fn set_of(deployment: &Deployment, sets: &[ReplicaSet], collisions: i32) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let hash = template_hash::of(&spec.template, collisions);
    let mut template: PodTemplateSpec = spec.template;
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(template_hash::LABEL.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector = spec.selector;
    selector.match_labels.get_or_insert_default().insert(template_hash::LABEL.to_owned(), hash.clone());
    let mut annotations = deployment.metadata.annotations.clone().unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    let highest = sets.iter().map(|set| plan::revision(&set.metadata)).max().unwrap_or(0);
    annotations.insert(REVISION.to_owned(), (highest + 1).to_string());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.metadata.name.as_deref().unwrap_or_default())),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        }),
        status: None,
    }
}
