//! CronJobs: Jobs by the clock.

use super::workloads::{at_least_zero, container_cells};
use super::{job_warnings, name_of};
use crate::schedule::Schedule;
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age, selectors};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;

// jobs that are kept, by default
const SUCCESSFUL: i32 = 3;
const FAILED: i32 = 1;
/// Eleven more are added: a dash and the minute's number.
const LONGEST_NAME: usize = 52;

impl TypedKind for CronJob {
    const SINGULAR: &'static str = "cronjob";
    const PLURAL: &'static str = "cronjobs";
    const SHORT_NAMES: &'static [&'static str] = &["cj"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Schedule", "string", "When it is due"),
        Column::new("Timezone", "string", "Where that is reckoned"),
        Column::new("Suspend", "boolean", "Whether it starts none"),
        Column::new("Active", "integer", "Jobs that run"),
        Column::new("Last Schedule", "string", "Time since the last was started"),
        Column::AGE,
        Column::wide("Containers", "string", "Names of the containers"),
        Column::wide("Images", "string", "Images of the containers"),
        Column::wide("Selector", "string", "Which pods are counted"),
    ];

    fn set_defaults(&mut self) {
        let spec = &mut self.spec;
        spec.concurrency_policy.get_or_insert_with(|| "Allow".to_owned());
        spec.suspend.get_or_insert(false);
        spec.successful_jobs_history_limit.get_or_insert(SUCCESSFUL);
        spec.failed_jobs_history_limit.get_or_insert(FAILED);
        // the job's own are filled in when it is made
        super::pod_defaults::template(&mut spec.job_template.spec.get_or_insert_default().template);
    }

    super::spec_and_status!(CronJobStatus);

    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("spec.jobTemplate.spec.template", &self.spec.job_template.spec.as_ref()?.template))
    }
    fn warnings(&self, old: Option<&Self>) -> Vec<String> {
        let Some(spec) = &self.spec.job_template.spec else { return Vec::new() };
        match old {
            Some(old) if !self.generation_changes(old) => Vec::new(),
            old => job_warnings::of(&self.metadata, spec, "spec.jobTemplate.spec", old.is_none()),
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        let spec = &self.spec;
        let name = self.metadata.name.as_deref().unwrap_or_default();
        if name.len() > LONGEST_NAME {
            errors.invalid("metadata.name", name, format!("must be no more than {LONGEST_NAME} characters"));
        }
        schedule(spec, errors);
        if let Some(seconds) = spec.starting_deadline_seconds.filter(|seconds| *seconds < 0) {
            errors.invalid("spec.startingDeadlineSeconds", seconds, "must be greater than or equal to 0");
        }
        match spec.concurrency_policy.as_deref().unwrap_or_default() {
            "Allow" | "Forbid" | "Replace" => {}
            "" => errors.required("spec.concurrencyPolicy", ""),
            other => {
                errors.not_supported("spec.concurrencyPolicy", other, &["Allow", "Forbid", "Replace"]);
            }
        }
        at_least_zero("spec.successfulJobsHistoryLimit", spec.successful_jobs_history_limit, errors);
        at_least_zero("spec.failedJobsHistoryLimit", spec.failed_jobs_history_limit, errors);
        let Some(job) = &spec.job_template.spec else { return };
        let mut filled = job.clone();
        super::job::spec_defaults(&mut filled);
        super::job_validation::spec(&filled, "spec.jobTemplate.spec", errors);
        // each job is given one that finds its own pods only
        if let Some(selector) = &job.selector {
            let why = "`selector` will be auto-generated";
            errors.invalid("spec.jobTemplate.spec.selector", serde_json::json!(selector), why);
        }
        if job.manual_selector == Some(true) {
            let field = "spec.jobTemplate.spec.manualSelector";
            errors.not_supported(field, true, &["nil", "false"]);
        }
    }

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let nothing = CronJobStatus::default();
        let (spec, status) = (&self.spec, self.status.as_ref().unwrap_or(&nothing));
        let job = spec.job_template.spec.as_ref();
        let or_none = |text: Option<Cell>| text.unwrap_or_else(|| "<none>".into());
        let suspend = if spec.suspend == Some(true) { "True" } else { "False" };
        let mut cells = vec![
            name_of(&self.metadata),
            spec.schedule.clone().into(),
            or_none(spec.time_zone.clone().map(Cell::from)),
            suspend.into(),
            status.active.as_ref().map_or(0, Vec::len).into(),
            or_none(status.last_schedule_time.as_ref().map(|last| age(Some(last), now))),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ];
        cells.extend(container_cells(
            job.and_then(|job| job.template.spec.as_ref()).map(|pod| &pod.containers),
        ));
        cells.push(selectors::print(job.and_then(|job| job.selector.as_ref())).into());
        cells
    }
}

fn schedule(spec: &CronJobSpec, errors: &mut ErrorList) {
    let text = spec.schedule.as_str();
    if text.is_empty() {
        errors.required("spec.schedule", "");
    } else if text.contains("TZ") {
        errors.invalid(
            "spec.schedule",
            text,
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        );
    } else if let Err(why) = Schedule::parse(text) {
        errors.invalid("spec.schedule", text, why);
    }
    let Some(zone) = spec.time_zone.as_deref() else { return };
    if zone.is_empty() {
        errors.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string");
    } else if zone.eq_ignore_ascii_case("local") {
        let why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.invalid("spec.timeZone", zone, why);
    } else if jiff::tz::TimeZone::get(zone).is_err() {
        errors.invalid("spec.timeZone", zone, format!("unknown time zone {zone}"));
    }
}
