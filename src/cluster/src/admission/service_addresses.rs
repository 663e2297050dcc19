//! Gives a Service its ClusterIP and node ports, and says which addresses it claims in vain.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::reservations::Reservations;
use crate::{Cluster, Remarks};
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Service;

pub(super) struct ServiceAddresses;

#[async_trait]
impl Plugin for ServiceAddresses {
    fn name(&self) -> &'static str {
        "ServiceAddresses"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        match step {
            Step::Admit => false,
            Step::Begin => review.writes_whole::<Service>(),
            Step::Validate => review.writes::<Service>() && review.asked.remarks.is_heard(),
        }
    }

    async fn begin(&self, review: &mut Review<'_>, reservations: &mut Reservations) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        let old = review.old_object().and_then(|old| old.downcast_ref::<Service>());
        if let Some(service) = review.draft.new_mut().and_then(|new| new.downcast_mut()) {
            reservations.hold(cluster.0.services.allocate(cluster.store(), service, old)?);
        }
        Ok(())
    }

    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        if let Some(service) = review.new_object().and_then(|new| new.downcast_ref()) {
            warn(review.asked.cluster, service, review.asked.remarks);
        }
        Ok(())
    }
}

/// An external address that is the cluster's own leads nowhere: the proxy leaves it out.
fn warn(cluster: &Cluster, service: &Service, remarks: &Remarks) {
    let Some(spec) = service.spec.as_ref() else { return };
    let (config, ranges) = (cluster.config(), cluster.0.service_ranges.now());
    for (index, text) in spec.external_ips.iter().flatten().enumerate() {
        let Ok(address) = text.parse::<std::net::Ipv4Addr>() else { continue };
        let is_own = ranges.iter().chain([&config.pod_cidr]).any(|range| range.contains(&address));
        if is_own || address == config.advertise_address {
            remarks.warn(format!(
                "spec.externalIPs[{index}]: {text} is an address of the cluster itself and is ignored"
            ));
        }
    }
}
