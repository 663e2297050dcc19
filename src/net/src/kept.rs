//! What of links, addresses and routes there is to be: written down before it is made, and forgotten before it is taken away,
//! so that whatever goes in between was taken by somebody else ([`heal`](crate::heal)).

use crate::NetConfig;
use crate::netns_id::NetnsId;
use cri::{Membership, NetworkConfig};
use ipnet::Ipv4Net;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::Instant;

/// A container may delete its own link, and be it without end: who does it again so soon has his way, so that nobody else waits
/// for what was lost meanwhile. A daemon that starts makes the link in any case.
const REMADE_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// What there should be beside the table; what nobody has said yet is not looked after.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Of each sandbox' link, by its name.
    pub(crate) links: HashMap<String, KeptLink>,
    pub(crate) networks: Option<Vec<NetworkConfig>>,
    pub(crate) service_ranges: Option<Vec<Ipv4Net>>,
}

/// A sandbox' link: enough to make it again.
#[derive(Debug, Clone)]
pub(crate) struct KeptLink {
    pub(crate) leads: Vec<Lead>,
    pub(crate) place: Place,
    /// Where its other end is.
    pub(crate) netns: NetnsId,
    remade: Option<Instant>,
}

/// Whose it is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Pod(Lead),
    /// Of networks beside the pods'.
    Member(Membership),
}

impl KeptLink {
    pub(crate) fn of_pod(lead: Lead, netns: NetnsId) -> Self {
        KeptLink { leads: vec![lead], place: Place::Pod(lead), netns, remade: None }
    }

    pub(crate) fn of_member(membership: &Membership, netns: NetnsId) -> Self {
        let leads = membership.endpoints.iter();
        let leads = leads.map(|endpoint| Lead { gateway: endpoint.gateway, address: endpoint.address });
        KeptLink { leads: leads.collect(), place: Place::Member(membership.clone()), netns, remade: None }
    }

    /// Whether it may be made again now; if so that counts.
    pub(crate) fn remake(&mut self, now: Instant) -> bool {
        let may = self.remade.is_none_or(|last| now.duration_since(last) >= REMADE_AT_MOST_EVERY);
        if may {
            self.remade = Some(now);
        }
        may
    }
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
        self.links.iter().find(|(_, link)| leads_there(&link.leads)).map(|(name, _)| name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_link_that_goes_again_and_again_is_not_made_each_time() {
        let (netns, _file) = NetnsId::open(Path::new("/proc/self/ns/net")).unwrap();
        let address = Ipv4Addr::LOCALHOST;
        let mut link = KeptLink::of_pod(Lead { gateway: address, address }, netns);
        let begin = Instant::now();
        for (seconds, want) in [(0, true), (1, false), (9, false), (10, true), (11, false), (60, true)] {
            assert_eq!(link.remake(begin + Duration::from_secs(seconds)), want, "after {seconds} s");
        }
    }
}
