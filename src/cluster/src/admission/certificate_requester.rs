//! Who asks for a certificate is written down in the request, and is not his own to write: upstream's strategy of
//! CertificateSigningRequests. At first, so that policies and webhooks see it, and at last, whatever they made of it.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::Actor;
use crate::reservations::Reservations;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

pub(super) struct CertificateRequester;

#[async_trait]
impl Plugin for CertificateRequester {
    fn name(&self) -> &'static str {
        "CertificateRequester"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step != Step::Validate && review.creates::<CertificateSigningRequest>()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        write_down(review);
        Ok(())
    }

    async fn begin(&self, review: &mut Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        write_down(review);
        Ok(())
    }
}

fn write_down(review: &mut Review<'_>) {
    let actor = review.asked.actor;
    if let Some(request) = review.draft.new_mut().and_then(|new| new.downcast_mut()) {
        name_requester(actor, request);
    }
}

fn name_requester(actor: &Actor, request: &mut CertificateSigningRequest) {
    let spec = &mut request.spec;
    spec.username = Some(actor.name.clone());
    spec.uid = Some(actor.uid.clone()).filter(|uid| !uid.is_empty());
    spec.groups = Some(actor.groups.clone()).filter(|groups| !groups.is_empty());
    spec.extra = Some(actor.extra.clone()).filter(|extra| !extra.is_empty());
}
