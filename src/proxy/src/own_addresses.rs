//! Addresses that no service may claim from outside: those that mean something inside.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAddresses {
    /// Where ClusterIPs come from, those of DNS and of the API among them.
    pub services: Vec<Ipv4Net>,
    /// Where pods get theirs from: what is sent to a pod is no other one's.
    pub pods: Ipv4Net,
    /// Where pods find the API server and the name server.
    pub api: Ipv4Addr,
}

impl OwnAddresses {
    /// Whether packets to the address may be led to a service that names it as external. Addresses of the node may: that
    /// is what external IPs are for. Upstream's validation refuses the special ones; here they are ignored also where an
    /// older version let them in, or where they stand in a status.
    pub fn may_be_external(&self, address: Ipv4Addr) -> bool {
        let special = address.is_unspecified()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_broadcast();
        let is_service = self.services.iter().any(|range| range.contains(&address));
        !special && !is_service && !self.pods.contains(&address) && address != self.api
    }
}
