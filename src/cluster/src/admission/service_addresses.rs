//! Gives a Service its ClusterIP and node ports.

use crate::services::Taken;
use crate::{Cluster, WriteOptions};
use ::api::Status;
use k8s_openapi::api::core::v1::Service;
use kinds::Instance;

/// A dry run takes nothing for good: what is returned is dropped unkept.
pub(super) fn admit(
    cluster: &Cluster,
    new: &mut dyn Instance,
    old: Option<&dyn Instance>,
    _options: &WriteOptions,
) -> Result<Taken, Status> {
    let old = old.and_then(|old| old.downcast_ref::<Service>());
    match new.downcast_mut::<Service>() {
        Some(service) => cluster.0.services.allocate(service, old),
        None => Ok(Taken::default()),
    }
}
