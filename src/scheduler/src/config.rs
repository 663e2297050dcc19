//! How the scheduler is to work, as upstream's `KubeSchedulerConfiguration` (`kubescheduler.config.k8s.io/v1`) says it: profiles,
//! each for the pods that name it, with their plug-ins and what these are told.
//!
//! Pure: a text in, [`Profiles`] or what is wrong with it out. What a profile enables is worked out here, once; a decision only
//! goes through its lists. Read [`Profiles::parse`] first, then [`plugins`].

mod args;
mod args_file;
mod file;
mod node_affinity;
mod plugins;
mod profile;
#[cfg(test)]
mod tests;

pub(crate) use args::PodAffinityArgs;
pub(crate) use plugins::Point;
pub use profile::Profile;

use file::{File, ProfileFile};
use k8s_openapi::api::core::v1::Pod;
use kinds::ErrorList;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

const VERSION: &str = "kubescheduler.config.k8s.io/v1";
const KIND: &str = "KubeSchedulerConfiguration";
/// Whose pods those are that do not say.
const DEFAULT_NAME: &str = "default-scheduler";
const FIRST_BACKOFF: i64 = 1; // seconds; upstream's podInitialBackoffSeconds
const LAST_BACKOFF: i64 = 10; // seconds; upstream's podMaxBackoffSeconds
/// A hundred years and more, in seconds: what is longer can not be added to a time.
const LONGEST_BACKOFF: i64 = u32::MAX as i64;
/// What is of a process of its own, which asks an API server over the network and may have others beside it; and how many
/// nodes are looked at side by side, where one decision comes after the other.
const IDLE: [&str; 6] = [
    "parallelism",
    "leaderElection",
    "clientConnection",
    "enableProfiling",
    "enableContentionProfiling",
    "delayCacheUntilActive",
];

/// Why a text is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("{0}")]
    Unreadable(String),
    #[error("its apiVersion is {0:?} and not {VERSION}")]
    Version(String),
    #[error("its kind is {0:?} and not {KIND}")]
    Kind(String),
    /// By field, in upstream's words where it has some.
    #[error("{0}")]
    Invalid(String),
}

/// All profiles. They share a queue, and what is known of the cluster.
#[derive(Debug)]
pub struct Profiles {
    all: Vec<Arc<Profile>>,
    pub(crate) backoff: Backoff,
    idle: Vec<&'static str>,
}

/// How long a pod waits after it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

impl Backoff {
    /// It doubles with each time.
    pub(crate) fn after(self, times: u32) -> Duration {
        match times.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => self.first.saturating_mul(1 << doublings.min(31)).min(self.last),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { first: seconds(FIRST_BACKOFF), last: seconds(LAST_BACKOFF) }
    }
}

impl Default for Profiles {
    fn default() -> Self {
        Profiles { all: vec![Arc::default()], backoff: Backoff::default(), idle: Vec::new() }
    }
}

impl Profiles {
    /// From YAML or JSON.
    ///
    /// # Errors
    /// What is no such file, and what can not be meant, by field.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let value: Value = serde_saphyr::from_str_with_options(text, options)
            .map_err(|e| ConfigurationError::Unreadable(e.to_string()))?;
        let says = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, kind) = (says("apiVersion"), says("kind"));
        if version != VERSION {
            return Err(ConfigurationError::Version(version));
        }
        if kind != KIND {
            return Err(ConfigurationError::Kind(kind));
        }
        let idle = IDLE.into_iter().filter(|field| value.get(*field).is_some()).collect();
        let file = file::read(value, file::CONFIGURATION).map_err(ConfigurationError::Unreadable)?;
        let mut errors = ErrorList::default();
        let profiles = Profiles { idle, ..resolve(file, &mut errors) };
        if errors.is_empty() {
            return Ok(profiles);
        }
        let causes = errors.into_causes();
        let told: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        Err(ConfigurationError::Invalid(told.join(", ")))
    }

    /// The one for pods with this `spec.schedulerName`.
    pub fn named(&self, name: &str) -> Option<&Arc<Profile>> {
        self.all.iter().find(|profile| profile.name == name)
    }

    /// `None` for a pod that is another scheduler's.
    pub(crate) fn of(&self, pod: &Pod) -> Option<&Arc<Profile>> {
        self.named(scheduler_name(pod))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|profile| profile.name.as_str())
    }

    /// What the file says that means nothing in this process.
    pub fn without_effect(&self) -> &[&'static str] {
        &self.idle
    }
}

/// Who is to place the pod.
pub(crate) fn scheduler_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(DEFAULT_NAME)
}

fn resolve(file: File, errors: &mut ErrorList) -> Profiles {
    if let Some(parallelism) = file.parallelism.filter(|parallelism| *parallelism <= 0) {
        errors.invalid("parallelism", parallelism, "should be an integer value greater than zero");
    }
    if !file.extenders.is_empty() {
        errors.forbidden("extenders", "nobody outside of this process is asked about pods and nodes");
    }
    let percentage = percentage(file.percentage_of_nodes_to_score, "percentageOfNodesToScore", errors);
    let backoff = backoff(&file, errors);
    let mut given = file.profiles;
    if given.is_empty() {
        given.push(ProfileFile::default());
    }
    if let [only] = &mut given[..] {
        only.scheduler_name.get_or_insert_with(|| DEFAULT_NAME.to_owned());
    }
    let order = given[0].plugins.get("queueSort").cloned().unwrap_or_default();
    let mut all: Vec<Arc<Profile>> = Vec::new();
    for (index, given) in given.into_iter().enumerate() {
        let at = format!("profiles[{index}]");
        if given.plugins.get("queueSort").cloned().unwrap_or_default() != order {
            let why = "Invalid value: must be the same for all profiles".to_owned();
            errors.push("FieldValueInvalid", format_args!("{at}.plugins.queueSort"), why);
        }
        let profile = Profile::of(given, percentage, &at, errors);
        if all.iter().any(|known| known.name == profile.name) {
            errors.duplicate(format_args!("{at}.schedulerName"), profile.name.as_str());
        }
        all.push(Arc::new(profile));
    }
    Profiles { all, backoff, idle: Vec::new() }
}

/// Of all nodes; 0 where it follows from how many there are.
fn percentage(given: Option<i32>, field: &str, errors: &mut ErrorList) -> usize {
    match given {
        None => 0,
        Some(given @ 0..=100) => usize::try_from(given).unwrap_or(0),
        Some(given) => {
            errors.invalid(field, given, "not in valid range [0-100]");
            0
        }
    }
}

fn backoff(file: &File, errors: &mut ErrorList) -> Backoff {
    let first = file.pod_initial_backoff_seconds.unwrap_or(FIRST_BACKOFF);
    let last = file.pod_max_backoff_seconds.unwrap_or(LAST_BACKOFF);
    if first <= 0 {
        errors.invalid("podInitialBackoffSeconds", first, "must be greater than 0");
    }
    if last < first {
        let why = "must be greater than or equal to PodInitialBackoffSeconds";
        errors.invalid("podMaxBackoffSeconds", last, why);
    }
    Backoff { first: seconds(first), last: seconds(last) }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds.min(LONGEST_BACKOFF)).unwrap_or(0))
}
