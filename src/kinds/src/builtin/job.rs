//! Jobs: pods that run to their end.

use super::job_validation::is_indexed;
use super::workloads::{container_cells, finds_template};
use super::{job_warnings, name_of};
use crate::columns::human_duration;
use crate::job::{COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET, SUSPENDED, has};
use crate::{Cell, Column, ErrorList, Subresource, TypedKind, age, selectors};
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use std::collections::BTreeMap;

const BACKOFF_LIMIT: i32 = 6;
/// On the template, so that pods can be found by the job; the unprefixed ones are for those who learned them first.
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];

impl TypedKind for Job {
    const SINGULAR: &'static str = "job";
    const PLURAL: &'static str = "jobs";
    const CATEGORIES: &'static [&'static str] = &["all"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    /// As upstream, for those who wrote their clients before there was a garbage collector.
    const ORPHANS_BY_DEFAULT: bool = true;
    const FIELDS: &'static [&'static str] = &["status.successful"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Status", "string", "How far it is"),
        Column::new("Completions", "string", "Pods that succeeded and are wanted"),
        Column::new("Duration", "string", "How long it runs or ran"),
        Column::AGE,
        Column::wide("Containers", "string", "Names of the containers"),
        Column::wide("Images", "string", "Images of the containers"),
        Column::wide("Selector", "string", "Which pods are counted"),
    ];

    fn set_defaults(&mut self) {
        let template = self.spec.as_ref().and_then(|s| s.template.metadata.as_ref());
        let labels = template.and_then(|m| m.labels.clone());
        if self.metadata.labels.as_ref().is_none_or(BTreeMap::is_empty) && labels.is_some() {
            self.metadata.labels = labels;
        }
        spec_defaults(self.spec.get_or_insert_default());
    }

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        self.status = Some(JobStatus::default());
        let spec = self.spec.get_or_insert_default();
        if spec.manual_selector != Some(true) {
            select_own(spec, &self.metadata);
        }
    }

    super::spec_and_status!();

    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("spec.template", &self.spec.as_ref()?.template))
    }
    fn warnings(&self, old: Option<&Self>) -> Vec<String> {
        let Some(spec) = &self.spec else { return Vec::new() };
        match old {
            Some(old) if !self.generation_changes(old) => Vec::new(),
            old => job_warnings::of(&self.metadata, spec, "spec", old.is_none()),
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        let none = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        if spec.manual_selector != Some(true) {
            own_selector(spec, &self.metadata, errors);
        }
        match &spec.selector {
            None => errors.required("spec.selector", ""),
            Some(selector) => {
                super::checks::label_selector(Some(selector), "spec.selector", errors);
                if let Ok(selector) = selectors::from_object(selector) {
                    finds_template(&spec.template, |labels| selector.matches(labels), errors);
                }
            }
        }
        super::job_validation::spec(spec, "spec", errors);
        if is_indexed(spec)
            && let Some(last) = spec.completions.filter(|count| *count > 0).map(|count| count - 1)
        {
            let name = self.metadata.name.as_deref().unwrap_or_default();
            let host = format!("{name}-{last}");
            if super::names::dns_label(&host).is_err() {
                let why = format!("will not able to create pod with invalid DNS label: {host}");
                errors.invalid("metadata.name", name, why);
            }
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        let none = JobSpec::default();
        let (new, old_spec) = (self.spec.as_ref().unwrap_or(&none), old.spec.as_ref().unwrap_or(&none));
        let mut stays = |field: &str, same: bool, value: serde_json::Value| {
            if !same {
                errors.invalid(format!("spec.{field}"), value, "field is immutable");
            }
        };
        // an indexed job may change its size, where all its indexes may run at once
        let is_elastic = is_indexed(new)
            && new.completions == new.parallelism
            && old_spec.completions == old_spec.parallelism;
        stays(
            "completions",
            new.completions == old_spec.completions || is_elastic,
            serde_json::json!(new.completions),
        );
        stays("selector", new.selector == old_spec.selector, serde_json::json!(new.selector));
        stays("template", same_template(self, old), serde_json::json!(new.template));
        let mode = new.completion_mode == old_spec.completion_mode;
        stays("completionMode", mode, serde_json::json!(new.completion_mode));
        let policy = new.pod_failure_policy == old_spec.pod_failure_policy;
        stays("podFailurePolicy", policy, serde_json::json!(new.pod_failure_policy));
        let limit = new.backoff_limit_per_index == old_spec.backoff_limit_per_index;
        stays("backoffLimitPerIndex", limit, serde_json::json!(new.backoff_limit_per_index));
        stays("managedBy", new.managed_by == old_spec.managed_by, serde_json::json!(new.managed_by));
        let policy = new.success_policy == old_spec.success_policy;
        stays("successPolicy", policy, serde_json::json!(new.success_policy));
    }

    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        super::job_status_validation::validate(self, old, errors);
    }

    fn field(&self, path: &str) -> String {
        match path {
            "status.successful" => self.status.as_ref().and_then(|s| s.succeeded).unwrap_or(0).to_string(),
            _ => String::new(),
        }
    }

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let (none, nothing) = (JobSpec::default(), JobStatus::default());
        let spec = self.spec.as_ref().unwrap_or(&none);
        let status = self.status.as_ref().unwrap_or(&nothing);
        let succeeded = status.succeeded.unwrap_or(0);
        let completions = match (spec.completions, spec.parallelism.unwrap_or(0)) {
            (Some(wanted), _) => format!("{succeeded}/{wanted}"),
            (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
            (None, _) => format!("{succeeded}/1"),
        };
        let mut cells = vec![
            name_of(&self.metadata),
            status_word(&self.metadata, status).into(),
            completions.into(),
            duration(status, now).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ];
        cells.extend(container_cells(spec.template.spec.as_ref().map(|s| &s.containers)));
        cells.push(selectors::print(spec.selector.as_ref()).into());
        cells
    }
}

fn duration(status: &JobStatus, now: jiff::Timestamp) -> String {
    let Some(Time(start)) = &status.start_time else { return String::new() };
    let end = status.completion_time.as_ref().map_or(now, |at| at.0);
    human_duration(end.as_second() - start.as_second())
}

fn status_word(meta: &ObjectMeta, status: &JobStatus) -> &'static str {
    match () {
        () if has(status, COMPLETE) => COMPLETE,
        () if has(status, FAILED) => FAILED,
        () if meta.deletion_timestamp.is_some() => "Terminating",
        () if has(status, SUSPENDED) => SUSPENDED,
        () if has(status, FAILURE_TARGET) => FAILURE_TARGET,
        () if has(status, SUCCESS_CRITERIA_MET) => SUCCESS_CRITERIA_MET,
        () => "Running",
    }
}

/// Also of the template of a CronJob.
pub(super) fn spec_defaults(spec: &mut JobSpec) {
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    let limit = if spec.backoff_limit_per_index.is_some() { i32::MAX } else { BACKOFF_LIMIT };
    spec.backoff_limit.get_or_insert(limit);
    spec.completion_mode.get_or_insert_with(|| "NonIndexed".to_owned());
    spec.suspend.get_or_insert(false);
    for rule in spec.pod_failure_policy.iter_mut().flat_map(|policy| policy.rules.iter_mut()) {
        for pattern in rule.on_pod_conditions.iter_mut().flatten() {
            if pattern.status.as_deref().unwrap_or_default().is_empty() {
                pattern.status = Some("True".to_owned());
            }
        }
    }
    let replaced = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    spec.pod_replacement_policy.get_or_insert_with(|| replaced.to_owned());
    super::pod_defaults::template(&mut spec.template);
}

/// Upstream's `generateSelector`: the uid alone selects; what the user has written there is validated against it.
fn select_own(spec: &mut JobSpec, meta: &ObjectMeta) {
    let (name, uid) = (meta.name.clone().unwrap_or_default(), meta.uid.clone().unwrap_or_default());
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    for label in NAME_LABELS {
        labels.entry(label.to_owned()).or_insert_with(|| name.clone());
    }
    for label in UID_LABELS {
        labels.entry(label.to_owned()).or_insert_with(|| uid.clone());
    }
    let selector = spec.selector.get_or_insert_default().match_labels.get_or_insert_default();
    selector.entry(UID_LABELS[0].to_owned()).or_insert(uid);
}

fn own_selector(spec: &JobSpec, meta: &ObjectMeta, errors: &mut ErrorList) {
    let (name, uid) = (meta.name.clone().unwrap_or_default(), meta.uid.clone().unwrap_or_default());
    let none = BTreeMap::new();
    let labels = spec.template.metadata.as_ref().and_then(|m| m.labels.as_ref()).unwrap_or(&none);
    let wanted = UID_LABELS.iter().map(|label| (*label, &uid)).chain(NAME_LABELS.iter().map(|l| (*l, &name)));
    for (label, value) in wanted {
        let why = format!("must be '{value}'");
        match labels.get(label) {
            None => errors.required(format!("spec.template.metadata.labels[{label}]"), &why),
            Some(given) if given != value => {
                errors.invalid("spec.template.metadata.labels", serde_json::json!(labels), why);
            }
            Some(_) => {}
        }
    }
    let own: BTreeMap<String, String> = UID_LABELS
        .iter()
        .map(|label| ((*label).to_owned(), uid.clone()))
        .chain(NAME_LABELS.iter().map(|label| ((*label).to_owned(), name.clone())))
        .collect();
    if let Some(selector) = &spec.selector
        && selectors::from_object(selector).is_ok_and(|parsed| !parsed.matches(&own))
    {
        let value = serde_json::json!(selector);
        errors.invalid("spec.selector", value, "`selector` not auto-generated");
    }
}

/// The template stays; of a job that is suspended and has not begun, where its pods go may change.
fn same_template(new: &Job, old: &Job) -> bool {
    let (Some(new_spec), Some(old_spec)) = (&new.spec, &old.spec) else { return true };
    let has_begun = old.status.as_ref().is_some_and(|status| status.start_time.is_some());
    if has_begun || old_spec.suspend != Some(true) {
        return new_spec.template == old_spec.template;
    }
    let mut same = new_spec.template.clone();
    if let (Some(new), Some(old)) = (same.metadata.as_mut(), old_spec.template.metadata.as_ref()) {
        new.labels.clone_from(&old.labels);
        new.annotations.clone_from(&old.annotations);
    }
    if let (Some(new), Some(old)) = (same.spec.as_mut(), old_spec.template.spec.as_ref()) {
        let affinity = old.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
        match (&mut new.affinity, affinity) {
            (None, None) => {}
            (place, affinity) => place.get_or_insert_default().node_affinity = affinity,
        }
        if new.affinity == Some(Default::default()) && old.affinity.is_none() {
            new.affinity = None;
        }
        new.node_selector.clone_from(&old.node_selector);
        new.tolerations.clone_from(&old.tolerations);
        new.scheduling_gates.clone_from(&old.scheduling_gates);
    }
    same == old_spec.template
}
