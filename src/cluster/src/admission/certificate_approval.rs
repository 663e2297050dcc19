//! Upstream's CertificateApproval: requests are approved and denied by who may do so for their signer.

use super::plugin::{Plugin, Step};
use super::review::Review;
use super::signers::may;
use crate::admission_request::attributes::Admission;
use crate::reservations::Reservations;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kinds::Subresource;

pub(super) struct CertificateApproval;

#[async_trait]
impl Plugin for CertificateApproval {
    fn name(&self) -> &'static str {
        "CertificateApproval"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Validate
            && review.asked.target.subresource == Some(Subresource::Approval)
            && review.writes::<CertificateSigningRequest>()
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let Admission { cluster, actor, target, .. } = *review.asked;
        let new = review.new_object().and_then(|new| new.downcast_ref::<CertificateSigningRequest>());
        let old = review.old_object().and_then(|old| old.downcast_ref::<CertificateSigningRequest>());
        let (Some(new), Some(_)) = (new, old) else { return Ok(()) };
        let signer = &new.spec.signer_name;
        if may(cluster, actor, "approve", signer) {
            return Ok(());
        }
        let name = new.metadata.name.as_deref().unwrap_or_default();
        let why = format!("user not permitted to approve requests with signerName {signer:?}");
        Err(Status::forbidden(&target.group_resource(), name, &why))
    }
}
