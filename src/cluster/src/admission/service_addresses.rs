//! Gives a Service its ClusterIP and node ports.

use crate::Cluster;
use crate::services::Taken;
use ::api::Status;
use k8s_openapi::api::core::v1::Service;
use kinds::Instance;

/// What is returned goes back when it is dropped without being kept.
pub(super) fn admit(
    cluster: &Cluster,
    new: &mut dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<Taken, Status> {
    let old = old.and_then(|old| old.downcast_ref::<Service>());
    match new.downcast_mut::<Service>() {
        Some(service) => cluster.0.services.allocate(cluster.store(), service, old),
        None => Ok(Taken::default()),
    }
}
