//! What a CronJob does next: pure. From the cron job and the jobs that it has made to the one that is due, those that go, and
//! what is said. Upstream's `syncCronJob`.

use crate::owner::controller_reference;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kinds::job::{COMPLETE, FAILED, condition, is_finished};
use kinds::schedule::Schedule;
use std::sync::Arc;
use std::time::Duration;

/// On a job: for which time it was made.
const SCHEDULED_FOR: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// So many missed starts are worth a word: somebody has slept, or a clock has jumped.
const MANY_MISSED: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) is_warning: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Jobs that run are taken away for the next one.
    pub(super) replace: Vec<Arc<Job>>,
    pub(super) start: Option<Box<Job>>,
    /// Finished jobs beyond the history.
    pub(super) forget: Vec<Arc<Job>>,
    /// Without the job that is started.
    pub(super) status: CronJobStatus,
    /// For which time it is.
    pub(super) scheduled_for: Option<Timestamp>,
    pub(super) say: Vec<Said>,
    pub(super) again: Option<Duration>,
}

impl Plan {
    fn say(&mut self, is_warning: bool, reason: &'static str, message: String) {
        self.say.push(Said { is_warning, reason, message });
    }
}

fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

fn is_active(status: &CronJobStatus, job: &Job) -> bool {
    status.active.iter().flatten().any(|active| active.uid == job.metadata.uid)
}

/// `jobs` are those that the cron job controls.
pub(super) fn plan(cron: &CronJob, jobs: &[Arc<Job>], now: Timestamp) -> Plan {
    let spec = &cron.spec;
    let mut plan = Plan { status: cron.status.clone().unwrap_or_default(), ..Plan::default() };
    count(jobs, &mut plan);
    plan.forget = history(spec, jobs);
    if cron.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let zone = match spec.time_zone.as_deref().map(|name| (name, TimeZone::get(name))) {
        None => TimeZone::UTC,
        Some((_, Ok(zone))) => zone,
        Some((name, Err(error))) => {
            plan.say(true, "UnknownTimeZone", format!("invalid timeZone: {name:?}: {error}"));
            return plan;
        }
    };
    if spec.suspend == Some(true) {
        return plan;
    }
    let schedule = match Schedule::parse(&spec.schedule) {
        Ok(schedule) => schedule,
        Err(why) => {
            let message = format!("unparseable schedule: {:?} : {why}", spec.schedule);
            plan.say(true, "UnparseableSchedule", message);
            return plan;
        }
    };
    plan.again = schedule.next_after(now, &zone).map(|next| until(now, next));
    start(cron, spec, jobs, &schedule, &zone, now, &mut plan);
    plan
}

fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

/// Which jobs run, which have ended, which are gone.
fn count(jobs: &[Arc<Job>], plan: &mut Plan) {
    let none = Default::default();
    for job in jobs {
        let status = job.status.as_ref().unwrap_or(&none);
        let (known, name) = (is_active(&plan.status, job), name(&job.metadata));
        match (known, is_finished(status)) {
            (false, false) => {
                let message = format!("Saw a job that the controller did not create or forgot: {name}");
                plan.say(true, "UnexpectedJob", message);
            }
            (true, true) => {
                let how = if condition(status, COMPLETE).is_some() { COMPLETE } else { FAILED };
                plan.say(false, "SawCompletedJob", format!("Saw completed job: {name}, condition: {how}"));
                let active = plan.status.active.iter_mut();
                active.for_each(|active| active.retain(|known| known.uid != job.metadata.uid));
            }
            _ => {}
        }
        if condition(status, COMPLETE).is_some()
            && let Some(end) = &status.completion_time
            && plan.status.last_successful_time.as_ref().is_none_or(|last| end.0 > last.0)
        {
            plan.status.last_successful_time = Some(end.clone());
        }
    }
    let exists = |known: &ObjectReference| jobs.iter().any(|job| job.metadata.uid == known.uid);
    let active = plan.status.active.take().unwrap_or_default();
    let (there, missing): (Vec<_>, Vec<_>) = active.into_iter().partition(exists);
    for job in missing {
        let message = format!("Active job went missing: {}", job.name.unwrap_or_default());
        plan.say(false, "MissingJob", message);
    }
    plan.status.active = (!there.is_empty()).then_some(there);
}

/// Of those that succeeded and of those that failed the oldest.
fn history(spec: &CronJobSpec, jobs: &[Arc<Job>]) -> Vec<Arc<Job>> {
    let ended = |kind: &str, limit: Option<i32>| {
        let Some(limit) = limit else { return Vec::new() };
        let is_such = |job: &&Arc<Job>| {
            job.metadata.deletion_timestamp.is_none()
                && job.status.as_ref().is_some_and(|status| condition(status, kind).is_some())
        };
        let mut all: Vec<Arc<Job>> = jobs.iter().filter(is_such).cloned().collect();
        all.sort_by_key(|job| {
            let start = job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|at| at.0);
            (start.is_none(), start, job.metadata.name.clone())
        });
        all.truncate(all.len().saturating_sub(limit.max(0) as usize));
        all
    };
    [ended(COMPLETE, spec.successful_jobs_history_limit), ended(FAILED, spec.failed_jobs_history_limit)]
        .concat()
}

fn start(
    cron: &CronJob,
    spec: &CronJobSpec,
    jobs: &[Arc<Job>],
    schedule: &Schedule,
    zone: &TimeZone,
    now: Timestamp,
    plan: &mut Plan,
) {
    let created = cron.metadata.creation_timestamp.as_ref().map_or(now, |at| at.0);
    let from = plan.status.last_schedule_time.as_ref().map_or(created, |last| last.0);
    let Some(due) = schedule.last_between(from, now, zone) else { return };
    if let Some(deadline) = spec.starting_deadline_seconds {
        let late = now.duration_since(due);
        if late > jiff::SignedDuration::from_secs(deadline) {
            let at = due.strftime("%a, %d %b %Y %H:%M:%S +0000");
            return plan.say(true, "MissSchedule", format!("Missed scheduled time to start a job: {at}"));
        }
    } else if missed(schedule, zone, from, now) > MANY_MISSED {
        let message =
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        plan.say(true, "TooManyMissedTimes", message.to_owned());
    }
    let job = job_of(cron, spec, due, zone);
    // made before the program ended, and not yet written down
    if let Some(known) = jobs.iter().find(|known| known.metadata.name == job.metadata.name) {
        plan.status.last_schedule_time = Some(Time(due));
        let finished = known.status.as_ref().is_some_and(is_finished);
        if !finished && !is_active(&plan.status, known) {
            plan.status.active.get_or_insert_default().push(reference(known));
        }
        return;
    }
    let running: Vec<Arc<Job>> = jobs.iter().filter(|job| is_active(&plan.status, job)).cloned().collect();
    match spec.concurrency_policy.as_deref() {
        Some("Forbid") if !running.is_empty() => {
            let message =
                "Not starting job because prior execution is running and concurrency policy is Forbid";
            return plan.say(false, "JobAlreadyActive", message.to_owned());
        }
        Some("Replace") => {
            plan.replace = running;
            plan.status.active = None;
        }
        _ => {}
    }
    plan.scheduled_for = Some(due);
    plan.start = Some(Box::new(job));
}

/// Not counted further than is of interest.
fn missed(schedule: &Schedule, zone: &TimeZone, from: Timestamp, now: Timestamp) -> usize {
    let times = std::iter::successors(schedule.next_after(from, zone), |at| schedule.next_after(*at, zone));
    times.take_while(|at| *at <= now).take(MANY_MISSED + 1).count()
}

/// Named by its minute, so that it is made once.
fn job_of(cron: &CronJob, spec: &CronJobSpec, due: Timestamp, zone: &TimeZone) -> Job {
    let template = spec.job_template.metadata.clone().unwrap_or_default();
    let mut annotations = template.annotations.unwrap_or_default();
    let local = due.to_zoned(zone.clone());
    let written = if *zone == TimeZone::UTC {
        local.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    } else {
        local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    };
    annotations.insert(SCHEDULED_FOR.to_owned(), written);
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{}-{}", name(&cron.metadata), due.as_second() / 60)),
            namespace: cron.metadata.namespace.clone(),
            labels: template.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(cron)]),
            ..ObjectMeta::default()
        },
        spec: spec.job_template.spec.clone(),
        status: None,
    }
}

pub(super) fn reference(job: &Job) -> ObjectReference {
    ObjectReference {
        api_version: Some("batch/v1".to_owned()),
        kind: Some("Job".to_owned()),
        name: job.metadata.name.clone(),
        namespace: job.metadata.namespace.clone(),
        uid: job.metadata.uid.clone(),
        resource_version: job.metadata.resource_version.clone(),
        field_path: None,
    }
}

#[cfg(test)]
mod tests;
