//! Upstream's ValidatingAdmissionPolicy: what users have in CEL against everybody's writes (`policies/validating.rs`).

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::reservations::Reservations;
use ::api::Status;
use async_trait::async_trait;

pub(super) struct ValidatingAdmissionPolicy;

#[async_trait]
impl Plugin for ValidatingAdmissionPolicy {
    fn name(&self) -> &'static str {
        "ValidatingAdmissionPolicy"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Validate && review.asked.has_policies()
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        review.asked.validate_by_policies(review.draft.subject()).await
    }
}
