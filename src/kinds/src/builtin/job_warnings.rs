//! Jobs that may be too large to be followed: upstream's `pkg/api/job/warnings.go`.

use super::job_validation::is_indexed;
use super::pod_warnings;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Pods that ended, and pods at a time, of which the indexes of all that failed may not fit into a status.
const MANY_COMPLETIONS: i32 = 100_000;
const MANY_AT_ONCE: i32 = 10_000;

/// Of a spec that stands `at` this place in the object.
pub(super) fn of(metadata: &ObjectMeta, spec: &JobSpec, at: &str, is_new: bool) -> Vec<String> {
    let is_large =
        spec.completions.unwrap_or(0) > MANY_COMPLETIONS && spec.parallelism.unwrap_or(0) > MANY_AT_ONCE;
    let mut warnings = Vec::new();
    if is_indexed(spec) && is_large {
        warnings.push(format!(
            "{at}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes \
             might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    warnings.extend(pod_warnings::of_workload(metadata, &format!("{at}.template"), &spec.template, is_new));
    warnings
}
