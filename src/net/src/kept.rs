//! What of links, addresses and routes there is to be: written down before it is made, and forgotten before it is taken away,
//! so that whatever goes in between was taken by somebody else ([`heal`](crate::heal)).

use crate::NetConfig;
use cri::NetworkConfig;
use ipnet::Ipv4Net;
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// What there should be beside the table; what nobody has said yet is not looked after.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Of each sandbox' link, by its name.
    pub(crate) links: HashMap<String, Vec<Lead>>,
    pub(crate) networks: Option<Vec<NetworkConfig>>,
    pub(crate) service_ranges: Option<Vec<Ipv4Net>>,
}

/// The link's own address, and the sandbox' that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) gateway: Ipv4Addr,
    pub(crate) address: Ipv4Addr,
}

impl Kept {
    /// Those that are meant to be there, as far as somebody has said it.
    pub(crate) fn ranges(&self) -> (Option<Vec<NetworkConfig>>, Option<Vec<Ipv4Net>>) {
        (self.networks.clone(), self.service_ranges.clone())
    }

    /// The link of the sandbox that has this address.
    pub(crate) fn link_to(&self, address: Ipv4Addr) -> Option<&String> {
        let leads_there = |leads: &[Lead]| leads.iter().any(|lead| lead.address == address);
        self.links.iter().find(|(_, leads)| leads_there(leads)).map(|(name, _)| name)
    }

    /// Whether a route for this range is ours.
    pub(crate) fn has_range(&self, range: Ipv4Net, config: &NetConfig) -> bool {
        let networks = self.networks.iter().flatten().map(|network| network.subnet);
        let own = [config.pod_cidr, config.service_cidr, config.load_balancer_cidr];
        let mut all = networks.chain(self.service_ranges.iter().flatten().copied()).chain(own);
        all.any(|one| one.trunc() == range)
    }

    /// On the loopback.
    pub(crate) fn has_address(&self, address: Ipv4Addr, config: &NetConfig) -> bool {
        let mut networks = self.networks.iter().flatten();
        address == config.gateway() || networks.any(|network| network.gateway == address)
    }
}
