//! Upstream's CertificateSubjectRestriction: nobody asks for the group that no role limits.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::reservations::Reservations;
use crate::{Actor, Target};
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kinds::builtin::certificate_subject;

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

pub(super) struct CertificateSubjectRestriction;

#[async_trait]
impl Plugin for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Validate && review.creates::<CertificateSigningRequest>()
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        match review.new_object().and_then(|new| new.downcast_ref()) {
            Some(request) => restrict_subject(review.asked.target, request),
            None => Ok(()),
        }
    }
}

fn restrict_subject(target: &Target, request: &CertificateSigningRequest) -> Result<(), Status> {
    if request.spec.signer_name != CLIENT_SIGNER {
        return Ok(());
    }
    // what can not be read is not signed either, and the signer says why
    let subject = certificate_subject::read(&request.spec.request.0).unwrap_or_default();
    if !subject.organizations.iter().any(|group| group == Actor::MASTERS) {
        return Ok(());
    }
    let why = format!("use of {CLIENT_SIGNER} signer with {} group is not allowed", Actor::MASTERS);
    let name = request.metadata.name.as_deref().unwrap_or_default();
    Err(Status::forbidden(&target.group_resource(), name, &why))
}
