//! What a Job asks of its pods, and what they are made of. Pure.

use crate::owner::controller_reference;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use kinds::pod as ask;

/// On each pod until the job has counted it: a pod that somebody deletes before is not forgotten.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
pub(super) const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
const LONGEST_PREFIX: usize = 58; // five letters are added to it, and a label has 63

/// The parts of a Job's spec that its plan asks again and again, with what they mean where they are not set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) parallelism: i32,
    pub(super) completions: Option<i32>,
    pub(super) backoff_limit: i32,
    /// Only of an indexed job.
    pub(super) backoff_limit_per_index: Option<i32>,
    pub(super) max_failed_indexes: Option<i32>,
    pub(super) is_indexed: bool,
    pub(super) is_suspended: bool,
    /// Whether a pod is replaced when it has ended only, not when it is on its way out.
    pub(super) replaces_failed_only: bool,
    pub(super) restarts_in_place: bool,
}

impl Wish {
    pub(super) fn of(job: &Job) -> Self {
        let none = JobSpec::default();
        let spec = job.spec.as_ref().unwrap_or(&none);
        let pod = spec.template.spec.as_ref();
        Wish {
            parallelism: spec.parallelism.unwrap_or(1),
            completions: spec.completions,
            backoff_limit: spec.backoff_limit.unwrap_or(6),
            backoff_limit_per_index: spec.backoff_limit_per_index,
            max_failed_indexes: spec.max_failed_indexes,
            is_indexed: spec.completion_mode.as_deref() == Some("Indexed"),
            is_suspended: spec.suspend == Some(true),
            replaces_failed_only: spec.pod_replacement_policy.as_deref() == Some("Failed"),
            restarts_in_place: pod.and_then(|s| s.restart_policy.as_deref()) == Some("OnFailure"),
        }
    }

    pub(super) fn count(&self) -> i32 {
        self.completions.unwrap_or(0)
    }

    /// A pod that somebody deletes counts as failed, for it may never come to say so; not where only ended ones are
    /// replaced, and not one that the job itself has let go of.
    pub(super) fn has_failed(&self, pod: &Pod) -> bool {
        match ask::phase(pod) {
            "Failed" => true,
            "Succeeded" => false,
            _ => !self.replaces_failed_only && ask::is_deleting(pod) && is_tracked(pod),
        }
    }
}

pub(super) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING)
}

pub(super) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

fn annotation(pod: &Pod, key: &str) -> Option<i32> {
    pod.metadata.annotations.as_ref()?.get(key)?.parse().ok()
}

/// Of an indexed job, where it is one that there is.
pub(super) fn index_of(pod: &Pod, wish: &Wish) -> Option<i32> {
    annotation(pod, INDEX).filter(|index| (0..wish.count()).contains(index))
}

/// How many of its index had failed before it.
pub(super) fn failures_before(pod: &Pod) -> i32 {
    annotation(pod, INDEX_FAILURES).unwrap_or(0)
}

/// A pod that the job wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct New {
    pub(super) index: Option<i32>,
    /// Where the back-off is counted for each index.
    pub(super) failures: Option<i32>,
}

pub(super) fn pod_of(job: &Job, new: New) -> Pod {
    let template = job.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    let mut pod = Pod { metadata: template.metadata.unwrap_or_default(), spec: template.spec, status: None };
    let name = job.metadata.name.as_deref().unwrap_or_default();
    pod.metadata.name = None;
    pod.metadata.namespace.clone_from(&job.metadata.namespace);
    pod.metadata.owner_references = Some(vec![controller_reference(job)]);
    let finalizers = pod.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == TRACKING) {
        finalizers.push(TRACKING.to_owned());
    }
    let suffix = new.index.map_or_else(|| "-".to_owned(), |index| format!("-{index}-"));
    let room = LONGEST_PREFIX.saturating_sub(suffix.len()).min(name.len());
    pod.metadata.generate_name = Some(format!("{}{suffix}", &name[..name.floor_char_boundary(room)]));
    if let Some(index) = new.index {
        let annotations = pod.metadata.annotations.get_or_insert_default();
        annotations.insert(INDEX.to_owned(), index.to_string());
        if let Some(failures) = new.failures {
            annotations.insert(INDEX_FAILURES.to_owned(), failures.to_string());
        }
        pod.metadata.labels.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
        let spec = pod.spec.get_or_insert_default();
        spec.hostname = Some(format!("{name}-{index}"));
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            let environment = container.env.get_or_insert_default();
            if environment.iter().all(|variable| variable.name != INDEX_VARIABLE) {
                environment.push(index_variable());
            }
        }
    }
    pod
}

fn index_variable() -> EnvVar {
    let field = ObjectFieldSelector {
        api_version: Some("v1".to_owned()),
        field_path: format!("metadata.labels['{INDEX}']"),
    };
    EnvVar {
        name: INDEX_VARIABLE.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    }
}
