//! What the cluster adds to, or refuses in, an object between its defaults and its validation. One file a rule; the lists
//! below are the order.

mod attributes;
mod certificate_signing;
mod default_ingress_class;
mod default_toleration_seconds;
mod limit_ranger;
mod matching;
mod namespace_lifecycle;
mod node_restriction;
mod persistent_volume_claim_resize;
mod pod_security;
mod pod_topology_labels;
mod policy_params;
mod priority;
mod rbac_escalation;
mod runtime_class;
mod service_account;
mod service_addresses;
mod taint_nodes_by_condition;
mod unstored;

pub(crate) use attributes::{Admission, Draft, Operation, Prepare, Question, Subject};
pub(crate) use default_ingress_class::DEFAULT_CLASS;
pub(crate) use matching::{Conditions, Matching, selector};
pub(crate) use node_restriction::{admit_eviction, admit_token};
pub(crate) use pod_topology_labels::label_binding;
pub(crate) use policy_params::gvk_of;
pub(crate) use persistent_volume_claim_resize::DEFAULT_CLASS as DEFAULT_STORAGE_CLASS;

use crate::Cluster;
use crate::services::Reservation;
use ::api::Status;
use kinds::{Instance, Subresource};
use store::Write;

/// What admission reserved for a write until it is committed.
pub(crate) struct Reservations(Reservation);

impl Reservations {
    /// What is committed with the object.
    pub(crate) fn written_with(
        &self,
        cluster: &Cluster,
        object: &dyn Instance,
    ) -> Result<Vec<Write>, Status> {
        self.0.written_with(cluster.store(), object.meta())
    }

    /// A dry run gives everything back.
    pub(crate) fn commit_unless(self, dry_run: bool) {
        if !dry_run {
            self.0.commit();
        }
    }
}

pub(crate) async fn admit_create(
    asked: &Admission<'_>,
    object: &mut Box<dyn Instance>,
    prepare: &Prepare<'_>,
) -> Result<Reservations, Status> {
    let Admission { cluster, actor, target, .. } = *asked;
    namespace_lifecycle::ensure_exists(cluster, target, object.meta().name.as_deref().unwrap_or_default())?;
    certificate_signing::admit_create(actor, &mut **object);
    fill_in(cluster, &mut **object).await?;
    node_restriction::admit_create(cluster, actor, target, &**object)?;
    if mutate(asked, &mut Draft::Object { new: object, old: None, prepare }).await? {
        // what a policy or a webhook put in has its token and its priority too
        fill_in(cluster, &mut **object).await?;
        certificate_signing::admit_create(actor, &mut **object);
    }
    priority::one_default(cluster, &**object, None)?;
    runtime_class::admit(cluster, &mut **object)?;
    rbac_escalation::admit(cluster, actor, target, &**object, None)?;
    certificate_signing::attest(cluster, actor, target, &**object, None)?;
    policy_params::admit(cluster, actor, &**object, None)?;
    service_addresses::admit(cluster, &mut **object, None).map(Reservations)
}

async fn fill_in(cluster: &Cluster, object: &mut dyn Instance) -> Result<(), Status> {
    limit_ranger::admit(cluster, object);
    service_account::admit(cluster, object).await?;
    default_toleration_seconds::admit(object);
    taint_nodes_by_condition::admit(object);
    pod_topology_labels::admit(cluster, object);
    priority::admit(cluster, object)?;
    default_ingress_class::admit(cluster, object);
    persistent_volume_claim_resize::default_class(cluster, object);
    persistent_volume_claim_resize::protect(object);
    Ok(())
}

pub(crate) async fn admit_update(
    asked: &Admission<'_>,
    new: &mut Box<dyn Instance>,
    old: &dyn Instance,
    prepare: &Prepare<'_>,
) -> Result<Reservations, Status> {
    let Admission { cluster, actor, target, .. } = *asked;
    node_restriction::admit_update(cluster, actor, target, &**new, old)?;
    mutate(asked, &mut Draft::Object { new, old: Some(old), prepare }).await?;
    let new = &mut **new;
    certificate_signing::admit_update(cluster, actor, target, new, old)?;
    if target.subresource.is_some() {
        return Ok(Reservations(Reservation::default()));
    }
    priority::one_default(cluster, new, Some(old))?;
    rbac_escalation::admit(cluster, actor, target, new, Some(old))?;
    policy_params::admit(cluster, actor, new, Some(old))?;
    service_addresses::admit(cluster, new, Some(old)).map(Reservations)
}

/// What may refuse, or warn of, an object that is as it would be stored: upstream's validating admission.
pub(crate) async fn review(
    asked: &Admission<'_>,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<(), Status> {
    let Admission { cluster, target, remarks, .. } = *asked;
    service_addresses::review(cluster, new, remarks);
    persistent_volume_claim_resize::may_grow(cluster, target, new, old)?;
    if matches!(target.subresource, None | Some(Subresource::Resize)) {
        limit_ranger::review(cluster, target, new, old)?;
    }
    pod_security::review(cluster, target, new, old, remarks)?;
    if old.is_none() {
        certificate_signing::restrict_subject(target, new)?;
    }
    let subject = Subject::written(new, old);
    asked.validate_by_policies(subject).await?;
    asked.validate_by_webhooks(subject).await
}

/// Policies, then webhooks; then once more those that want it where somebody changed what they had seen. Whether anything
/// changed.
async fn mutate(asked: &Admission<'_>, draft: &mut Draft<'_>) -> Result<bool, Status> {
    if !asked.is_of_interest() {
        return Ok(false);
    }
    let before = draft.encoded()?;
    let evaluated = asked.mutate_by_policies(draft).await?;
    let hooks = asked.mutate_by_webhooks(draft).await?;
    asked.evaluate_again(evaluated, draft).await?;
    asked.ask_again(hooks, draft).await?;
    Ok(draft.encoded()? != before)
}

pub(crate) fn admit_delete(asked: &Admission<'_>, object: &dyn Instance) -> Result<(), Status> {
    let Admission { cluster, actor, target, .. } = *asked;
    namespace_lifecycle::check_delete(target)?;
    node_restriction::admit_delete(cluster, actor, target, object)
}
