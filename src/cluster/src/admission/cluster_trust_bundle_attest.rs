//! Upstream's ClusterTrustBundleAttest: whose certificates are believed says who may attest for the signer whose name a bundle bears.

use super::plugin::{Plugin, Step};
use super::rbac_escalation::differs_for_the_collector_only;
use super::review::Review;
use super::signers::may;
use crate::admission_request::attributes::Admission;
use crate::reservations::Reservations;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;

pub(super) struct ClusterTrustBundleAttest;

#[async_trait]
impl Plugin for ClusterTrustBundleAttest {
    fn name(&self) -> &'static str {
        "ClusterTrustBundleAttest"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Validate && review.writes::<ClusterTrustBundle>()
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let Admission { cluster, actor, target, .. } = *review.asked;
        let Some(new) = review.new_object() else { return Ok(()) };
        let Some(bundle) = new.downcast_ref::<ClusterTrustBundle>() else { return Ok(()) };
        let signer = bundle.spec.signer_name.as_deref().unwrap_or_default();
        let is_kept = review.old_object().is_some_and(|old| differs_for_the_collector_only(new, old));
        if signer.is_empty() || is_kept || may(cluster, actor, "attest", signer) {
            return Ok(());
        }
        let name = bundle.metadata.name.as_deref().unwrap_or_default();
        let why = format!("user not permitted to attest for signerName {signer:?}");
        Err(Status::forbidden(&target.group_resource(), name, &why))
    }
}
