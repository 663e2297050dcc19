//! Upstream's MutatingAdmissionPolicy: what users say in CEL of everybody's writes (`policies/mutating.rs`).

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::admission_request::attributes::Operation;
use ::api::Status;
use async_trait::async_trait;

pub(super) struct MutatingAdmissionPolicy;

#[async_trait]
impl Plugin for MutatingAdmissionPolicy {
    fn name(&self) -> &'static str {
        "MutatingAdmissionPolicy"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit && review.asked.operation != Operation::Delete && review.asked.has_policies()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let asked = review.asked;
        if review.is_reinvocation {
            let evaluated = std::mem::take(&mut review.evaluated);
            return asked.evaluate_again(evaluated, &mut review.draft).await;
        }
        review.evaluated = asked.mutate_by_policies(&mut review.draft).await?;
        Ok(())
    }
}
