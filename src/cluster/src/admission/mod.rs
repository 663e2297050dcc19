//! What the cluster adds to, or refuses in, a request between its defaults and the commit.
//!
//! Each rule is a [`Plugin`](plugin::Plugin) in a file of its own, and `plugins.rs` has the list of them, whose order is upstream's, and the walk
//! over it. What is asked for goes along it as a [`Review`](review::Review): an object that is created or updated
//! ([`admit_written`]), one that is deleted ([`admit_deleted`]), or what is stored nowhere (`unstored.rs`: connections, bindings,
//! evictions, tokens). What a plug-in takes for a write is in its [`Reservations`].

mod certificate_approval;
mod certificate_requester;
mod certificate_signing;
mod certificate_subject_restriction;
mod cluster_trust_bundle_attest;
mod default_ingress_class;
mod default_storage_class;
mod default_toleration_seconds;
mod limit_ranger;
mod mutating_admission_policy;
mod mutating_admission_webhook;
mod namespace_lifecycle;
mod node_restriction;
mod persistent_volume_claim_resize;
mod plugin;
mod plugins;
mod pod_certificate_signing;
mod pod_security;
mod pod_topology_labels;
mod policy_params;
mod priority;
mod rbac_escalation;
mod resource_quota;
mod review;
mod runtime_class;
mod service_account;
mod service_addresses;
mod signers;
mod status_addresses;
mod storage_object_in_use_protection;
mod taint_nodes_by_condition;
mod unstored;
mod validating_admission_policy;
mod validating_admission_webhook;

pub(crate) use crate::admission_request::attributes::{Admission, Operation};
pub(crate) use default_ingress_class::DEFAULT_CLASS;
pub(crate) use default_storage_class::DEFAULT_CLASS as DEFAULT_STORAGE_CLASS;
pub(crate) use node_restriction::{admit_eviction, admit_token};
pub(crate) use pod_topology_labels::label_binding;
pub(crate) use service_account::TOKEN_LIFE_SECONDS;

use crate::admission_request::attributes::{Draft, Prepare};
use crate::reservations::Reservations;
use ::api::Status;
use kinds::Instance;
use review::Review;

/// An object as it is to be stored. `prepare` puts in order what a policy or a webhook has changed; `judge` is the validation by the
/// kind itself, which comes when nobody changes the object any more, and before those who only judge it.
///
/// # Errors
/// What the first plug-in refuses, or `judge`. What was reserved until then is given back.
pub(crate) async fn admit_written(
    asked: &Admission<'_>,
    new: &mut Box<dyn Instance>,
    old: Option<&dyn Instance>,
    prepare: &Prepare<'_>,
    judge: impl FnOnce(&mut dyn Instance) -> Result<(), Status> + Send,
) -> Result<Reservations, Status> {
    let mut review = Review::new(asked, Draft::object(new, old, prepare));
    let mut reservations = review.admit().await?;
    if let Some(new) = review.draft.new_mut() {
        judge(new)?;
    }
    review.validate(&mut reservations).await?;
    Ok(reservations)
}

/// An object that is asked to be deleted.
///
/// # Errors
/// What the first plug-in refuses.
pub(crate) async fn admit_deleted(asked: &Admission<'_>, old: &dyn Instance) -> Result<(), Status> {
    let mut review = Review::new(asked, Draft::deleted(old));
    let mut reservations = review.admit().await?;
    review.validate(&mut reservations).await
}
