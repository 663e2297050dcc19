//! Upstream's ValidatingAdmissionWebhook: who may refuse everybody's writes (`webhooks`).

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::reservations::Reservations;
use ::api::Status;
use async_trait::async_trait;

pub(super) struct ValidatingAdmissionWebhook;

#[async_trait]
impl Plugin for ValidatingAdmissionWebhook {
    fn name(&self) -> &'static str {
        "ValidatingAdmissionWebhook"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Validate && review.asked.has_webhooks()
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        review.asked.validate_by_webhooks(review.draft.subject()).await
    }
}
