//! CronJobs: Jobs by the clock. `cron_job/plan.rs` decides; a timer of the queue wakes each when it is due. Read
//! [`Reconciler::reconcile`] first.

mod plan;

use crate::owner::{candidates, is_controlled_by};
use crate::pod_control::is_terminating;
use crate::status::write_status;
use api::{LabelSelector, ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, events, rule};
use cluster::{
    Actor, Api, Client, Cluster, Controller, DeleteOptions, EventType, Propagation, Recorder, WorkQueue,
    subject,
};
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::key_of;
use plan::{plan, reference};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "cronjob-controller";
/// A clock that is set while a timer waits is noticed within this.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(
                &["get", "list", "patch", "update", "watch"],
                &["batch"],
                &["cronjobs", "cronjobs/finalizers", "cronjobs/status"],
            ),
            rule(&["create", "delete", "get", "list", "patch", "update", "watch"], &["batch"], &["jobs"]),
            rule(&["delete", "list"], &[""], &["pods"]),
            events(),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let controller =
        Controller::new(NAME, &cluster).heeds_clock().reconciles::<CronJob>().owns::<CronJob, Job>();
    let reconciler = Arc::new(Reconciler {
        crons: client.api(),
        jobs: client.api(),
        events: client.recorder(NAME, None),
        queue: controller.queue(),
        client,
    });
    controller.run(stop, reconciler, |reconciler, key| async move { reconciler.reconcile(&key).await }).await;
}

struct Reconciler {
    client: Client,
    crons: Api<CronJob>,
    jobs: Api<Job>,
    events: Recorder,
    queue: WorkQueue<ObjectKey>,
}

impl Reconciler {
    async fn reconcile(&self, key: &ObjectKey) -> Result<(), Status> {
        let Some(cron) = self.crons.find(key)?.map(Arc::new) else { return Ok(()) };
        let mut jobs = candidates::<Job, CronJob>(&self.client, &*cron, &LabelSelector::default())?;
        jobs.retain(|job| is_controlled_by(&job.metadata, &*cron));
        let plan = plan(&cron, &jobs, jiff::Timestamp::now());
        if let Some(wait) = plan.again {
            self.queue.add_after(key.clone(), wait.min(LONGEST_WAIT));
        }
        for job in &plan.replace {
            self.delete(&cron, job).await?;
        }
        let mut status = plan.status;
        if let (Some(job), Some(due)) = (plan.start, plan.scheduled_for)
            && let Some(made) = self.create(&cron, *job).await?
        {
            status.active.get_or_insert_default().push(reference(&made));
            status.last_schedule_time = Some(Time(due));
        }
        for said in plan.say {
            let kind = if said.is_warning { EventType::Warning } else { EventType::Normal };
            self.events.event(subject(&*cron), kind, said.reason, said.message);
        }
        self.write(&cron, status).await?;
        for job in &plan.forget {
            self.delete(&cron, job).await?;
        }
        Ok(())
    }

    /// `None` where another has its name: the next time comes.
    async fn create(&self, cron: &Arc<CronJob>, job: Job) -> Result<Option<Job>, Status> {
        match self.jobs.create(job).await {
            Ok(made) => {
                let name = made.metadata.name.as_deref().unwrap_or_default();
                self.events.normal(&**cron, "SuccessfulCreate", format!("Created job {name}"));
                Ok(Some(made))
            }
            Err(status) if status.is(Reason::AlreadyExists) => Ok(None),
            Err(status) if is_terminating(&status) => Ok(None),
            Err(status) => {
                self.events.warning(&**cron, "FailedCreate", format!("Error creating job: {status}"));
                Err(status)
            }
        }
    }

    async fn delete(&self, cron: &Arc<CronJob>, job: &Job) -> Result<(), Status> {
        let options = DeleteOptions {
            uid: job.metadata.uid.clone(),
            propagation: Some(Propagation::Background),
            ..DeleteOptions::default()
        };
        let name = job.metadata.name.as_deref().unwrap_or_default();
        match self.jobs.delete(&key_of(&job.metadata), options).await {
            Ok(()) => {
                self.events.normal(&**cron, "SuccessfulDelete", format!("Deleted job {name}"));
                Ok(())
            }
            Err(status) if status.is(Reason::NotFound) || status.is(Reason::Conflict) => Ok(()),
            Err(status) => {
                self.events.warning(&**cron, "FailedDelete", format!("Deleted job: {status}"));
                Err(status)
            }
        }
    }

    async fn write(&self, cron: &Arc<CronJob>, status: CronJobStatus) -> Result<(), Status> {
        write_status(&self.crons, &cron.metadata, cron.status.as_ref(), status, |cron| &mut cron.status).await
    }
}
