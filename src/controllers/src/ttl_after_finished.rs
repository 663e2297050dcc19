//! Jobs that have finished go when their `ttlSecondsAfterFinished` is over.

use api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, events, rule};
use cluster::{Actor, Api, Cluster, Controller, DeleteOptions, Propagation, WorkQueue, unless_gone};
use k8s_openapi::api::batch::v1::Job;
use kinds::job::{COMPLETE, FAILED, condition};
use kinds::key_of;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "ttl-after-finished-controller";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![rule(&["delete", "get", "list", "watch"], &["batch"], &["jobs"]), events()],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let jobs: Api<Job> = cluster.acting_as(Actor::controller(NAME)).api();
    let controller = Controller::new(NAME, &cluster).heeds_clock().watches::<Job>(|queue, change| {
        if left(change.object(), jiff::Timestamp::now()).is_some() {
            queue.add(key_of(&change.object().metadata));
        }
    });
    let reconciler = (jobs, controller.queue());
    controller
        .run(stop, reconciler, |(jobs, queue), key| async move { reconcile(&jobs, &queue, key).await })
        .await;
}

async fn reconcile(jobs: &Api<Job>, queue: &WorkQueue<ObjectKey>, key: ObjectKey) -> Result<(), Status> {
    // from the store: the time may have been changed
    let Some(job) = jobs.find(&key)? else { return Ok(()) };
    let Some(left) = left(&job, jiff::Timestamp::now()) else { return Ok(()) };
    if !left.is_zero() {
        queue.add_after(key, left);
        return Ok(());
    }
    let options = DeleteOptions {
        uid: job.metadata.uid.clone(),
        resource_version: job.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()),
        propagation: Some(Propagation::Foreground),
        ..DeleteOptions::default()
    };
    match jobs.delete(&key, options).await {
        Err(status) if status.is(Reason::Conflict) => {
            queue.add(key);
            Ok(())
        }
        outcome => unless_gone(outcome).map(|_| ()),
    }
}

/// How long a job that has finished stays; `None` for one that stays, or is going already.
fn left(job: &Job, now: jiff::Timestamp) -> Option<Duration> {
    if job.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let ttl = job.spec.as_ref()?.ttl_seconds_after_finished?;
    let status = job.status.as_ref()?;
    let finished = condition(status, COMPLETE).or_else(|| condition(status, FAILED))?;
    let passed = Duration::try_from(now.duration_since(finished.last_transition_time.as_ref()?.0));
    Some(Duration::from_secs(ttl.max(0).unsigned_abs().into()).saturating_sub(passed.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_finished_job_stays_for_its_time() {
        // (name, ttl, condition, deleted, now, seconds left)
        let cases = [
            ("no time", None, Some("Complete"), false, 100, None),
            ("it runs", Some(10), None, false, 100, None),
            ("just finished", Some(10), Some("Complete"), false, 100, Some(10)),
            ("failed", Some(10), Some("Failed"), false, 104, Some(6)),
            ("over", Some(10), Some("Complete"), false, 300, Some(0)),
            ("at once", Some(0), Some("Complete"), false, 100, Some(0)),
            ("it is going", Some(0), Some("Complete"), true, 100, None),
        ];
        for (name, ttl, condition, deleted, now, want) in cases {
            let at = "1970-01-01T00:01:40Z";
            let conditions: Vec<_> = condition
                .iter()
                .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": at}))
                .collect();
            let job: Job = serde_json::from_value(json!({
                "metadata": {"name": "j", "deletionTimestamp": deleted.then_some(at)},
                "spec": {"ttlSecondsAfterFinished": ttl, "template": {}},
                "status": {"conditions": conditions},
            }))
            .unwrap();
            let got = left(&job, jiff::Timestamp::from_second(now).unwrap());
            assert_eq!(got.map(|left| left.as_secs()), want, "{name}");
        }
    }
}
