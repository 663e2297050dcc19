//! Jobs: pods that run to their end, so many at once, until so many have succeeded.
//!
//! `job/plan.rs` decides, from the store and not from a cache; this file carries it out: pods first, then the status, then the
//! finalizers by which no pod is forgotten or counted twice. Read [`Reconciler::reconcile`] first.

mod conditions;
mod counts;
mod ending;
mod failures;
mod plan;
mod pods;
mod success;
#[cfg(test)]
mod tests;

use crate::owner::{
    Claim, adopt_with, candidates, claim, controller_of, is_alive, is_controlled_by, owners_of, release,
};
use crate::pod_control;
use crate::slow_start::in_batches;
use api::{LabelSelector, ObjectKey, Status};
use cluster::roles::{ComponentRole, pods_and_events, rule};
use cluster::{
    Actor, Api, Client, Cluster, Controller, EventType, Informer, Recorder, WorkQueue, subject, unless_gone,
};
use futures::future::try_join_all;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::job::is_finished;
use kinds::{key_of, selectors};
use plan::{Plan, plan};
use pods::{New, TRACKING, is_tracked, pod_of};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "job-controller";
/// Jobs that name another are left to it.
const MANAGER: &str = "kubernetes.io/job-controller";

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Item {
    Job(ObjectKey),
    /// One that is tracked, and that nobody owns.
    Orphan(ObjectKey),
}

pub(crate) fn role() -> ComponentRole {
    let mut rules = pods_and_events();
    rules.push(rule(
        &["get", "list", "patch", "update", "watch"],
        &["batch"],
        &["jobs", "jobs/finalizers", "jobs/status"],
    ));
    ComponentRole::controller(NAME, rules)
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let known = cluster.informer::<Job>();
    let controller = Controller::new(NAME, &cluster)
        .heeds_clock()
        // its pods are let go of, or a status that somebody else wrote is looked at
        .watches::<Job>(|queue, change| queue.add(Item::Job(key_of(&change.object().metadata))))
        .watches::<Pod>(move |queue, change| {
            for pod in change.versions() {
                wake(pod, &known, queue);
            }
        });
    let reconciler = Arc::new(Reconciler {
        jobs: client.api(),
        pods: client.api(),
        events: client.recorder(NAME, None),
        queue: controller.queue(),
        client,
    });
    controller
        .run(stop, reconciler, |reconciler, item| async move {
            match item {
                Item::Job(key) => reconciler.reconcile(&key).await,
                Item::Orphan(key) => reconciler.let_go(&key).await,
            }
        })
        .await;
}
fn wake(pod: &Pod, known: &Informer<Job>, queue: &WorkQueue<Item>) {
    if controller_of(&pod.metadata).is_none() && is_tracked(pod) {
        queue.add(Item::Orphan(key_of(&pod.metadata)));
    }
    let finds = |job: &Job, labels: &BTreeMap<String, String>| {
        let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|selector| selectors::finds(selector, labels))
    };
    owners_of(&pod.metadata, known, finds).into_iter().for_each(|job| queue.add(Item::Job(job)));
}

fn selector(job: &Job) -> LabelSelector {
    let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.and_then(|selector| selectors::from_object(selector).ok()).unwrap_or_default()
}

struct Reconciler {
    client: Client,
    jobs: Api<Job>,
    pods: Api<Pod>,
    events: Recorder,
    queue: WorkQueue<Item>,
}

impl Reconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        let job = self.jobs.find(key)?.map(Arc::new);
        self.let_go_of_strangers(key, job.as_deref()).await?;
        let Some(job) = job else { return Ok(()) };
        let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
        if manager.is_some_and(|manager| manager != MANAGER) || job.status.as_ref().is_some_and(is_finished) {
            return Ok(());
        }
        let pods = self.claim(&job).await?;
        let plan = plan(&job, &pods, jiff::Timestamp::now());
        if let Some(wait) = plan.again {
            self.queue.add_after(Item::Job(key.clone()), wait);
        }
        self.carry_out(&job, plan).await
    }

    async fn carry_out(&self, job: &Arc<Job>, mut plan: Plan) -> Result<(), Status> {
        self.delete(job, &plan).await?;
        // its pods may just have been orphaned: no others then
        let wanted = match plan.create.is_empty() || is_alive(&self.jobs, &**job)? {
            true => std::mem::take(&mut plan.create),
            false => Vec::new(),
        };
        let asked = wanted.len();
        let (made, outcome) = in_batches(wanted, |new| self.create(job, new)).await;
        let missing = (asked - made) as i32;
        for status in [&mut plan.before, &mut plan.after] {
            status.active = status.active.map(|active| active - missing).filter(|active| *active > 0);
        }
        let job = self.write(job, &plan.before).await?;
        try_join_all(plan.release.iter().map(|pod| self.untrack(pod))).await?;
        let job = self.write(&job, &plan.after).await?;
        for said in plan.say {
            let kind = if said.is_warning { EventType::Warning } else { EventType::Normal };
            self.events.event(subject(&*job), kind, said.reason, said.message);
        }
        outcome
    }

    /// The pods that are the job's; takes those in that its selector finds and nobody has, lets go of those it does not
    /// find any more.
    async fn claim(&self, job: &Arc<Job>) -> Result<Vec<Arc<Pod>>, Status> {
        let selector = selector(job);
        let mut mine = Vec::new();
        for pod in candidates::<Pod, Job>(&self.client, &**job, &selector)? {
            let free = job.metadata.deletion_timestamp.is_none() && kinds::pod::is_active(&pod);
            match claim(&pod.metadata, &**job, &selector) {
                Claim::Mine => mine.push(pod),
                Claim::Lost => release(&self.pods, &*pod, &**job).await?,
                Claim::Orphan if free => {
                    adopt_with(&self.pods, &*pod, &self.jobs, &**job, track).await?;
                    // what it is now comes with the next round, which its change wakes
                }
                Claim::Orphan | Claim::Foreign => {}
            }
        }
        Ok(mine)
    }

    async fn create(&self, job: &Arc<Job>, new: New) -> Result<(), Status> {
        pod_control::create(&self.pods, &self.events, &**job, pod_of(job, new)).await.map(drop)
    }

    async fn delete(&self, job: &Arc<Job>, plan: &Plan) -> Result<(), Status> {
        let each = plan.delete.iter().map(|pod| async {
            if plan.deleted_do_not_count {
                self.untrack(pod).await?;
            }
            pod_control::delete(&self.pods, &self.events, &**job, pod).await
        });
        try_join_all(each).await.map(|_| ())
    }

    /// As it was read: whoever else has written the job meanwhile is read again first.
    async fn write(&self, job: &Arc<Job>, status: &JobStatus) -> Result<Arc<Job>, Status> {
        if job.status.as_ref() == Some(status) {
            return Ok(job.clone());
        }
        let new = Job { status: Some(status.clone()), ..Job::clone(job) };
        self.jobs.update_status(new).await.map(Arc::new)
    }

    async fn untrack(&self, pod: &Pod) -> Result<(), Status> {
        if !is_tracked(pod) {
            return Ok(());
        }
        let uid = pod.metadata.uid.clone();
        let key = key_of(&pod.metadata);
        let untracked = self.pods.modify(&key, |pod| {
            if let Some(finalizers) = pod.metadata.finalizers.as_mut().filter(|_| pod.metadata.uid == uid) {
                finalizers.retain(|finalizer| finalizer != TRACKING);
            }
            Ok(())
        });
        unless_gone(untracked.await).map(|_| ())
    }

    /// Pods of a job of this name that is gone, or that was another one: nobody will count them.
    async fn let_go_of_strangers(&self, key: &ObjectKey, job: Option<&Job>) -> Result<(), Status> {
        let pods = self.client.cluster().informer::<Pod>();
        for pod in pods.controlled_by(key.namespace.as_deref(), "Job", &key.name) {
            let of_job = job.is_some_and(|job| is_controlled_by(&pod.metadata, job));
            if !of_job && is_tracked(&pod) {
                self.untrack(&pod).await?;
            }
        }
        Ok(())
    }

    async fn let_go(&self, key: &ObjectKey) -> Result<(), Status> {
        match self.pods.find(key)? {
            Some(pod) if controller_of(&pod.metadata).is_none() => self.untrack(&pod).await,
            _ => Ok(()),
        }
    }
}

fn track(meta: &mut ObjectMeta) {
    let finalizers = meta.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == TRACKING) {
        finalizers.push(TRACKING.to_owned());
    }
}
