//! A pod's certificate is given, or denied, by who may sign for the signer that was asked: upstream's strategy of
//! PodCertificateRequests. Upstream asks after it has validated; here who may not sign is told that first.

use super::plugin::{Plugin, Step};
use super::review::Review;
use super::signers::may;
use crate::reservations::Reservations;
use crate::{Actor, Cluster};
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use kinds::{ErrorList, Subresource, TypedKind};

pub(super) struct PodCertificateSigning;

#[async_trait]
impl Plugin for PodCertificateSigning {
    fn name(&self) -> &'static str {
        "PodCertificateSigning"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Begin
            && review.asked.target.subresource == Some(Subresource::Status)
            && review.writes::<PodCertificateRequest>()
    }

    async fn begin(&self, review: &mut Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let new = review.new_object().and_then(|new| new.downcast_ref());
        let old = review.old_object().and_then(|old| old.downcast_ref());
        match (new, old) {
            (Some(new), Some(old)) => sign_for_pod(review.asked.cluster, review.asked.actor, new, old),
            _ => Ok(()),
        }
    }
}

fn sign_for_pod(
    cluster: &Cluster,
    actor: &Actor,
    new: &PodCertificateRequest,
    old: &PodCertificateRequest,
) -> Result<(), Status> {
    let said = |of: &PodCertificateRequest| {
        let mut status = of.status.clone().unwrap_or_default();
        status.conditions = status.conditions.filter(|conditions| !conditions.is_empty());
        status
    };
    let signer = &old.spec.signer_name;
    if said(new) == said(old) || may(cluster, actor, "sign", signer) {
        return Ok(());
    }
    let mut errors = ErrorList::default();
    let why = format!("User {:?} is not permitted to \"sign\" for signer {signer:?}", actor.name);
    errors.forbidden("spec.signerName", why);
    let name = new.metadata.name.as_deref().unwrap_or_default();
    Err(Status::invalid(&PodCertificateRequest::info().gvk, name, errors.into_causes()))
}
