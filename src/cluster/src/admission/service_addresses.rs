//! Gives a Service its ClusterIP and node ports, and says which addresses it claims in vain.

use crate::services::Reservation;
use crate::{Cluster, Remarks};
use ::api::Status;
use k8s_openapi::api::core::v1::Service;
use kinds::Instance;

/// What is returned goes back when it is dropped without being kept.
pub(super) fn admit(
    cluster: &Cluster,
    new: &mut dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<Reservation, Status> {
    let old = old.and_then(|old| old.downcast_ref::<Service>());
    match new.downcast_mut::<Service>() {
        Some(service) => cluster.0.services.allocate(cluster.store(), service, old),
        None => Ok(Reservation::default()),
    }
}

/// An external address that is the cluster's own leads nowhere: the proxy leaves it out.
pub(super) fn review(cluster: &Cluster, new: &dyn Instance, remarks: &Remarks) {
    let Some(spec) = new.downcast_ref::<Service>().and_then(|service| service.spec.as_ref()) else { return };
    let (config, ranges) = (cluster.config(), cluster.0.service_ranges.now());
    for (index, text) in spec.external_ips.iter().flatten().enumerate() {
        let Ok(address) = text.parse::<std::net::Ipv4Addr>() else { continue };
        let is_own = ranges.iter().any(|range| range.contains(&address));
        if is_own || address == config.advertise_address {
            remarks.warn(format!(
                "spec.externalIPs[{index}]: {text} is an address of the cluster itself and is ignored"
            ));
        }
    }
}
