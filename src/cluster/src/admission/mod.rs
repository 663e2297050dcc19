//! What the cluster adds to, or refuses in, an object between its defaults and its validation. One file a rule; the lists
//! below are the order.

mod certificate_requests;
mod ingress_class;
mod namespace;
mod pod_priority;
mod pod_security;
mod pod_service_account;
mod pod_tolerations;
mod rbac_escalation;
mod runtime_class;
mod service_addresses;
mod storage;

pub(crate) use ingress_class::DEFAULT_CLASS;
pub(crate) use storage::DEFAULT_CLASS as DEFAULT_STORAGE_CLASS;

use crate::services::Taken;
use crate::{Actor, Cluster, Target, WriteOptions};
use ::api::Status;
use kinds::Instance;

/// What admission reserved for a write until it is committed.
pub(crate) struct Held(Taken);

impl Held {
    /// A dry run gives everything back.
    pub(crate) fn keep_if(self, committed: bool) {
        if committed {
            self.0.keep();
        }
    }
}

pub(crate) async fn admit_create(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    object: &mut dyn Instance,
) -> Result<Held, Status> {
    namespace::must_be_there(cluster, target, object.meta().name.as_deref().unwrap_or_default())?;
    certificate_requests::admit_create(actor, object);
    pod_service_account::admit(cluster, object).await?;
    pod_tolerations::admit(object);
    pod_priority::admit(cluster, object)?;
    pod_priority::one_default(cluster, object, None)?;
    runtime_class::admit(object)?;
    ingress_class::admit(cluster, object);
    storage::default_class(cluster, object);
    storage::protect(object);
    rbac_escalation::admit(cluster, actor, target, object, None)?;
    service_addresses::admit(cluster, object, None).map(Held)
}

pub(crate) fn admit_update(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    new: &mut dyn Instance,
    old: &dyn Instance,
) -> Result<Held, Status> {
    certificate_requests::admit_update(cluster, actor, target, new, old)?;
    if target.subresource.is_some() {
        return Ok(Held(Taken::default()));
    }
    pod_priority::one_default(cluster, new, Some(old))?;
    rbac_escalation::admit(cluster, actor, target, new, Some(old))?;
    service_addresses::admit(cluster, new, Some(old)).map(Held)
}

/// What may refuse, or warn of, an object that is as it would be stored: upstream's validating admission.
pub(crate) fn review(
    cluster: &Cluster,
    target: &Target,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
    options: &WriteOptions,
) -> Result<(), Status> {
    service_addresses::review(cluster, new, &options.warnings);
    storage::may_grow(cluster, target, new, old)?;
    pod_security::review(cluster, target, new, old, &options.warnings)
}

pub(crate) fn admit_delete(target: &Target) -> Result<(), Status> {
    namespace::may_go(target)
}
