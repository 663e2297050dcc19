//! The time that is written into objects.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Whole seconds, as upstream writes them.
pub(crate) fn now() -> Time {
    kinds::whole_second(jiff::Timestamp::now())
}
