//! What the cluster adds to, or refuses in, an object between its defaults and its validation. One file a rule; the lists
//! below are the order.

mod certificate_requests;
mod ingress_class;
mod limit_ranger;
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
use crate::webhooks::{Admission, Prepare, Subject};
use crate::{Cluster, Target};
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
    asked: &Admission<'_>,
    object: &mut Box<dyn Instance>,
    prepare: &Prepare<'_>,
) -> Result<Held, Status> {
    let Admission { cluster, actor, target, .. } = *asked;
    namespace::must_be_there(cluster, target, object.meta().name.as_deref().unwrap_or_default())?;
    certificate_requests::admit_create(actor, &mut **object);
    fill_in(cluster, &mut **object).await?;
    if asked.mutate(object, None, prepare).await? {
        // what a webhook put in has its token and its priority too
        fill_in(cluster, &mut **object).await?;
        certificate_requests::admit_create(actor, &mut **object);
    }
    pod_priority::one_default(cluster, &**object, None)?;
    runtime_class::admit(cluster, &mut **object)?;
    rbac_escalation::admit(cluster, actor, target, &**object, None)?;
    service_addresses::admit(cluster, &mut **object, None).map(Held)
}

async fn fill_in(cluster: &Cluster, object: &mut dyn Instance) -> Result<(), Status> {
    limit_ranger::admit(cluster, object);
    pod_service_account::admit(cluster, object).await?;
    pod_tolerations::admit(object);
    pod_priority::admit(cluster, object)?;
    ingress_class::admit(cluster, object);
    storage::default_class(cluster, object);
    storage::protect(object);
    Ok(())
}

pub(crate) async fn admit_update(
    asked: &Admission<'_>,
    new: &mut Box<dyn Instance>,
    old: &dyn Instance,
    prepare: &Prepare<'_>,
) -> Result<Held, Status> {
    let Admission { cluster, actor, target, .. } = *asked;
    asked.mutate(new, Some(old), prepare).await?;
    let new = &mut **new;
    certificate_requests::admit_update(cluster, actor, target, new, old)?;
    if target.subresource.is_some() {
        return Ok(Held(Taken::default()));
    }
    pod_priority::one_default(cluster, new, Some(old))?;
    rbac_escalation::admit(cluster, actor, target, new, Some(old))?;
    service_addresses::admit(cluster, new, Some(old)).map(Held)
}

/// What may refuse, or warn of, an object that is as it would be stored: upstream's validating admission.
pub(crate) async fn review(
    asked: &Admission<'_>,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<(), Status> {
    let Admission { cluster, target, warnings, .. } = *asked;
    service_addresses::review(cluster, new, warnings);
    storage::may_grow(cluster, target, new, old)?;
    if target.subresource.is_none() {
        limit_ranger::review(cluster, new, old)?;
    }
    pod_security::review(cluster, target, new, old, warnings)?;
    asked.validate(Subject { new: Some(new), old }).await
}

pub(crate) fn admit_delete(target: &Target) -> Result<(), Status> {
    namespace::may_go(target)
}
