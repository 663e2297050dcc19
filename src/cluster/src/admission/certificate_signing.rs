//! Upstream's CertificateSigning: certificates are issued by who may sign for the signer that was asked.

use super::plugin::{Plugin, Step};
use super::review::Review;
use super::signers::may;
use crate::admission_request::attributes::Admission;
use crate::reservations::Reservations;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kinds::Subresource;

pub(super) struct CertificateSigning;

#[async_trait]
impl Plugin for CertificateSigning {
    fn name(&self) -> &'static str {
        "CertificateSigning"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Validate
            && review.asked.target.subresource == Some(Subresource::Status)
            && review.writes::<CertificateSigningRequest>()
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let Admission { cluster, actor, target, .. } = *review.asked;
        let new = review.new_object().and_then(|new| new.downcast_ref::<CertificateSigningRequest>());
        let old = review.old_object().and_then(|old| old.downcast_ref::<CertificateSigningRequest>());
        let (Some(new), Some(old)) = (new, old) else { return Ok(()) };
        let signer = &new.spec.signer_name;
        if !signs(new, old) || may(cluster, actor, "sign", signer) {
            return Ok(());
        }
        let name = new.metadata.name.as_deref().unwrap_or_default();
        let why = format!("user not permitted to sign requests with signerName {signer:?}");
        Err(Status::forbidden(&target.group_resource(), name, &why))
    }
}

/// Whether the update issues a certificate, or says that none will be.
fn signs(new: &CertificateSigningRequest, old: &CertificateSigningRequest) -> bool {
    let issued = |of: &CertificateSigningRequest| of.status.as_ref().and_then(|s| s.certificate.clone());
    let failed = |of: &CertificateSigningRequest| {
        of.status.iter().flat_map(|s| s.conditions.iter().flatten()).any(|c| c.type_ == "Failed")
    };
    issued(new) != issued(old) || failed(new) != failed(old)
}
