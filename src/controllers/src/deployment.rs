//! Deployments: one ReplicaSet for each template, scaled against each other.
//!
//! A round either scales (the wish for pods has changed, or the Deployment is paused: `proportional.rs`) or rolls on
//! (`plan.rs`); `annotations.rs` has what the sets remember, `status.rs` what is said of it all. Read
//! [`Reconciler::reconcile`] first.

mod annotations;
mod plan;
mod proportional;
mod status;

use crate::owner::{
    Stored, claim_all, controller_reference, is_controlled_by, is_still, stored, wake_owners,
};
use crate::pod_control::is_terminating;
use crate::status::write_status;
use crate::template_hash;
use annotations::{REVISION, revision};
use api::{LabelSelector, ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, pods_and_events, rule};
use cluster::{Actor, Api, Client, Cluster, Controller, DeleteOptions, Recorder, WorkQueue, unless_gone};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{key_of, selectors};
use plan::Step;
use status::{CREATE_ERROR, Round};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "deployment-controller";

pub(crate) fn role() -> ComponentRole {
    let mut rules = pods_and_events();
    rules.push(rule(
        &["create", "delete", "get", "list", "patch", "update", "watch"],
        &["apps"],
        &["deployments", "deployments/finalizers", "deployments/status", "replicasets"],
    ));
    ComponentRole::controller(NAME, rules)
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let known = cluster.informer::<Deployment>();
    let controller = Controller::new(NAME, &cluster).reconciles::<Deployment>().watches::<ReplicaSet>(
        move |queue, change| {
            wake_owners(queue, change, &known, |owner, labels| selectors::finds(&owner.spec.selector, labels))
        },
    );
    let reconciler = Arc::new(Reconciler::new(&client, controller.queue()));
    controller.run(stop, reconciler, |reconciler, key| async move { reconciler.reconcile(&key).await }).await;
}

fn selector(deployment: &Deployment) -> LabelSelector {
    selectors::from_object(&deployment.spec.selector).unwrap_or_default()
}

struct Reconciler {
    client: Client,
    deployments: Api<Deployment>,
    sets: Api<ReplicaSet>,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
}

impl Reconciler {
    fn new(client: &Client, queue: WorkQueue<ObjectKey>) -> Self {
        Reconciler {
            client: client.clone(),
            deployments: client.api(),
            sets: client.api(),
            events: client.recorder(NAME, None),
            queue,
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        // From the store: the sets that the last round made are in it for certain. And before the deployment: where they
        // have been orphaned, it is seen to be going.
        let known = stored::<ReplicaSet>(&self.client, key.namespace.as_deref())?;
        let Some(deployment) = self.deployments.find(key)?.map(Arc::new) else { return Ok(()) };
        let mut sets = self.claim(&deployment, &known).await?;
        let mut work = Work { newest: plan::newest(&deployment, &sets), created: false, is_rollout: false };
        if deployment.metadata.deletion_timestamp.is_none() {
            self.advance(&deployment, &mut sets, &mut work).await?;
        }
        let Work { newest, created, is_rollout } = work;
        let round = Round { deployment: &deployment, sets: &sets, newest, created, is_rollout };
        self.write_status(key, &round).await
    }

    async fn advance(
        &self,
        deployment: &Arc<Deployment>,
        sets: &mut Vec<ReplicaSet>,
        work: &mut Work,
    ) -> Result<(), Status> {
        if let Some(at) = work.newest {
            self.renew_newest(deployment, sets, at).await?;
        }
        let is_paused = deployment.spec.paused == Some(true);
        if is_paused || proportional::is_due(deployment, sets) {
            let steps = proportional::steps(deployment, sets, work.newest);
            self.take(deployment, sets, steps).await?;
            return match is_paused {
                true => self.clean_up(deployment, sets, work).await,
                false => Ok(()),
            };
        }
        work.is_rollout = true;
        if work.newest.is_none() && !plan::is_rolling(deployment) {
            let steps = plan::roll(deployment, sets, None);
            let stopping = !steps.is_empty();
            self.take(deployment, sets, steps).await?;
            if stopping || self.has_old_pods(deployment, sets) {
                return Ok(());
            }
        }
        if work.newest.is_none() {
            sets.push(self.create_set(deployment, sets).await?);
            let made = sets.len() - 1;
            (work.newest, work.created) = (Some(made), true);
            self.renew_newest(deployment, sets, made).await?;
        }
        let steps = plan::roll(deployment, sets, work.newest);
        // back to an earlier set, which is there: the old pods go first, and it waits for their end
        let stops_old = steps.iter().any(|step| Some(step.set) != work.newest);
        if plan::is_rolling(deployment)
            || stops_old
            || !self.has_old_pods_beside(deployment, sets, work.newest)
        {
            self.take(deployment, sets, steps).await?;
        }
        match deployment.status.as_ref().is_some_and(|status| plan::is_complete(deployment, status)) {
            true => self.clean_up(deployment, sets, work).await,
            false => Ok(()),
        }
    }

    async fn take(
        &self,
        deployment: &Deployment,
        sets: &mut [ReplicaSet],
        steps: Vec<Step>,
    ) -> Result<(), Status> {
        for step in steps {
            self.scale(deployment, &mut sets[step.set], step.replicas).await?;
        }
        Ok(())
    }

    /// The sets that are the deployment's; takes those in that its selector finds and nobody has (another deployment left
    /// them behind), lets go of those it does not find any more.
    async fn claim(
        &self,
        deployment: &Arc<Deployment>,
        known: &Stored<ReplicaSet>,
    ) -> Result<Vec<ReplicaSet>, Status> {
        let selector = selector(deployment);
        let known = known.of(&**deployment, &selector)?;
        let is_there = |set: &ReplicaSet| set.metadata.deletion_timestamp.is_none();
        claim_all(&self.sets, &self.deployments, &**deployment, &selector, known, is_there).await
    }

    fn has_old_pods(&self, deployment: &Deployment, sets: &[ReplicaSet]) -> bool {
        self.has_old_pods_beside(deployment, sets, None)
    }

    /// What is recreated waits for the last old pod to end before the first new one is made.
    fn has_old_pods_beside(
        &self,
        deployment: &Deployment,
        sets: &[ReplicaSet],
        newest: Option<usize>,
    ) -> bool {
        let (pods, namespace) =
            (self.client.cluster().informer::<Pod>(), deployment.metadata.namespace.as_deref());
        let mut old = sets.iter().enumerate().filter(|(at, _)| Some(*at) != newest);
        old.any(|(_, set)| {
            let of_name = set.metadata.name.as_deref().unwrap_or_default();
            let named = pods.controlled_by(namespace, "ReplicaSet", of_name);
            named.iter().any(|pod| is_controlled_by(&pod.metadata, set) && !kinds::pod::is_terminal(pod))
        })
    }

    /// Where the name that the new set should have is another's, the next round tries another name: the status counts.
    async fn create_set(
        &self,
        deployment: &Arc<Deployment>,
        sets: &[ReplicaSet],
    ) -> Result<ReplicaSet, Status> {
        let key = key_of(&deployment.metadata);
        let set = set_of(deployment, sets);
        let name = set.metadata.name.clone().unwrap_or_default();
        match self.sets.create(set).await {
            Ok(made) => {
                if plan::replicas(&made) > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {}", plan::replicas(&made));
                    self.events.normal(&**deployment, "ScalingReplicaSet", message);
                }
                Ok(made)
            }
            Err(status) if status.is(Reason::AlreadyExists) => {
                let counted = self.deployments.modify_status(&key, |now| {
                    is_still(now, &deployment.metadata)?;
                    let collisions = &mut now.status.get_or_insert_default().collision_count;
                    *collisions = Some(collisions.unwrap_or(0) + 1);
                    Ok(())
                });
                unless_gone(counted.await)?;
                Err(status)
            }
            Err(status) if is_terminating(&status) => Err(status),
            Err(status) => {
                let message = format!("Failed to create new replica set {name:?}: {status}");
                let conditions = status::refused(deployment, message.clone(), jiff::Timestamp::now());
                self.events.warning(&**deployment, CREATE_ERROR, message);
                let said = self.deployments.modify_status(&key, |now| {
                    is_still(now, &deployment.metadata)?;
                    if conditions.is_some() {
                        now.status.get_or_insert_default().conditions.clone_from(&conditions);
                    }
                    Ok(())
                });
                unless_gone(said.await)?;
                Err(status)
            }
        }
    }

    /// The newest set has the highest revision, the Deployment's annotations and its `minReadySeconds`; the Deployment says
    /// which revision that is.
    async fn renew_newest(
        &self,
        deployment: &Deployment,
        sets: &mut [ReplicaSet],
        newest: usize,
    ) -> Result<(), Status> {
        let old = sets.iter().enumerate().filter(|(at, _)| *at != newest);
        let at_least = old.map(|(_, set)| revision(&set.metadata)).max().unwrap_or(0) + 1;
        let min_ready = deployment.spec.min_ready_seconds;
        let own = sets[newest].metadata.annotations.as_ref();
        let wanted = annotations::of_newest(deployment, own, at_least);
        let has_min_ready = sets[newest].spec.min_ready_seconds;
        if own != Some(&wanted) || has_min_ready.unwrap_or(0) != min_ready.unwrap_or(0) {
            let seen = sets[newest].metadata.clone();
            let key = key_of(&seen);
            let renewed = self.sets.modify(&key, |set| {
                is_still(set, &seen)?;
                let own = set.metadata.annotations.as_ref();
                set.metadata.annotations = Some(annotations::of_newest(deployment, own, at_least));
                set.spec.min_ready_seconds = min_ready;
                Ok(())
            });
            sets[newest] = renewed.await?;
        }
        let wanted = revision(&sets[newest].metadata);
        if revision(&deployment.metadata) != wanted {
            let key = key_of(&deployment.metadata);
            let numbered = self.deployments.modify(&key, |now| {
                is_still(now, &deployment.metadata)?;
                let annotations = now.metadata.annotations.get_or_insert_default();
                annotations.insert(REVISION.to_owned(), wanted.to_string());
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
        let (before, sizes) = (plan::replicas(set), plan::sizes(deployment));
        if before == replicas && annotations::has_sizes(set, sizes) {
            return Ok(());
        }
        let seen = set.metadata.clone();
        let key = key_of(&seen);
        let scaled = self.sets.modify(&key, |set| {
            is_still(set, &seen)?;
            set.spec.replicas = Some(replicas);
            annotations::write_sizes(&mut set.metadata, sizes);
            Ok(())
        });
        *set = scaled.await?;
        if before == replicas {
            return Ok(());
        }
        let word = if replicas > before { "up" } else { "down" };
        let name = set.metadata.name.as_deref().unwrap_or_default();
        self.events.normal(
            deployment,
            "ScalingReplicaSet",
            format!("Scaled {word} replica set {name} from {before} to {replicas}"),
        );
        Ok(())
    }

    /// Old sets beyond the history go, the oldest first. The largest number is no limit.
    async fn clean_up(
        &self,
        deployment: &Deployment,
        sets: &mut Vec<ReplicaSet>,
        work: &mut Work,
    ) -> Result<(), Status> {
        let limit = deployment.spec.revision_history_limit;
        let limit = match limit {
            None | Some(i32::MAX) => return Ok(()),
            Some(limit) => limit.max(0) as usize,
        };
        let surplus = plan::surplus(sets, work.newest, limit);
        let options = || DeleteOptions {
            propagation: Some(cluster::Propagation::Background),
            ..DeleteOptions::default()
        };
        let deletions = surplus
            .iter()
            .map(|key| async { unless_gone(self.sets.delete(key, options()).await).map(|_| ()) });
        try_join_all(deletions).await?;
        let newest = work.newest.map(|at| key_of(&sets[at].metadata));
        sets.retain(|set| !surplus.contains(&key_of(&set.metadata)));
        work.newest = newest.and_then(|key| sets.iter().position(|set| key_of(&set.metadata) == key));
        Ok(())
    }

    async fn write_status(&self, key: &ObjectKey, round: &Round<'_>) -> Result<(), Status> {
        let (wanted, again) = status::of(round, jiff::Timestamp::now());
        if let Some(delay) = again {
            self.queue.add_after(key.clone(), delay);
        }
        let seen = round.deployment.status.as_ref();
        write_status(&self.deployments, &round.deployment.metadata, seen, wanted, |deployment| {
            &mut deployment.status
        })
        .await
    }
}

/// What a round knows of the sets, and has done.
struct Work {
    newest: Option<usize>,
    created: bool,
    is_rollout: bool,
}

/// The set for the Deployment's template, as it begins.
fn set_of(deployment: &Deployment, sets: &[ReplicaSet]) -> ReplicaSet {
    let spec = deployment.spec.clone();
    let collisions = deployment.status.as_ref().and_then(|s| s.collision_count).unwrap_or(0);
    let hash = template_hash::of(&spec.template, collisions);
    let mut template: PodTemplateSpec = spec.template;
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(template_hash::LABEL.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector = spec.selector;
    selector.match_labels.get_or_insert_default().insert(template_hash::LABEL.to_owned(), hash.clone());
    let highest = sets.iter().map(|set| revision(&set.metadata)).max().unwrap_or(0);
    let mut metadata = ObjectMeta {
        name: Some(format!("{}-{hash}", deployment.metadata.name.as_deref().unwrap_or_default())),
        namespace: deployment.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(annotations::of_newest(deployment, None, highest + 1)),
        owner_references: Some(vec![controller_reference(deployment)]),
        ..ObjectMeta::default()
    };
    annotations::write_sizes(&mut metadata, plan::sizes(deployment));
    ReplicaSet {
        metadata,
        spec: ReplicaSetSpec {
            replicas: Some(plan::first_size(deployment, sets)),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    }
}
