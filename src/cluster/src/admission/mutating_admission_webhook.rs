//! Upstream's MutatingAdmissionWebhook: whom users have asked about everybody's writes (`webhooks`). A deletion is told there too, and
//! can only be refused.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::admission_request::attributes::Operation;
use ::api::Status;
use async_trait::async_trait;

pub(super) struct MutatingAdmissionWebhook;

#[async_trait]
impl Plugin for MutatingAdmissionWebhook {
    fn name(&self) -> &'static str {
        "MutatingAdmissionWebhook"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit && review.asked.has_webhooks()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let asked = review.asked;
        if asked.operation == Operation::Delete {
            return asked.tell_mutating_webhooks(review.draft.subject()).await;
        }
        if review.is_reinvocation {
            let webhooks = std::mem::take(&mut review.webhooks);
            return asked.ask_again(webhooks, &mut review.draft).await;
        }
        review.webhooks = asked.mutate_by_webhooks(&mut review.draft).await?;
        Ok(())
    }
}
