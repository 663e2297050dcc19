//! Upstream's ResourceQuota: what a write would use up is counted, and stays counted until it is committed (`quota.rs`). At last: who is
//! refused by another waits for nobody.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::admission_request::attributes::Admission;
use crate::reservations::Reservations;
use ::api::Status;
use async_trait::async_trait;

pub(super) struct ResourceQuota;

#[async_trait]
impl Plugin for ResourceQuota {
    fn name(&self) -> &'static str {
        "ResourceQuota"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        let Admission { cluster, target, .. } = *review.asked;
        let old = review.old_object();
        step == Step::Validate
            && review.new_object().is_some_and(|new| cluster.has_quota_for(target, new, old))
    }

    async fn validate(&self, review: &Review<'_>, reservations: &mut Reservations) -> Result<(), Status> {
        let Some(new) = review.new_object() else { return Ok(()) };
        let Admission { cluster, target, .. } = *review.asked;
        reservations.hold(cluster.reserve_quota(target, new, review.old_object()).await?);
        Ok(())
    }
}
