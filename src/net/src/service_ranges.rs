//! Ranges of service addresses beside the profile's own, which come and go while it runs. A packet for one of theirs leaves
//! the machine at no moment: a route leads it somewhere, so that it is translated, and what is still untranslated behind that
//! the table refuses. The routes carry the profile's metric, by which a later process knows them.

use crate::error::{Doing, errno};
use crate::links::{LOOPBACK, Links, OURS};
use crate::network::Network;
use crate::networks::between;
use crate::nft::{Element, Set};
use crate::routes::{destination, is_of, of_services};
use crate::{NetConfig, Result};
use ipnet::Ipv4Net;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteScope, RouteType};
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

/// A default route takes nothing from anybody, nor do the halves that some VPNs make of it.
const LONGEST_DEFAULT: u8 = 1;

/// Nothing else may be meant by these addresses (RFC 6890).
const SPECIAL: [(Ipv4Net, &str); 5] = [
    (Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8), "which stands for this host"),
    (Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8), "the loopback"),
    (Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16), "link-local addresses"),
    (Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4), "multicast addresses"),
    (Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4), "reserved addresses"),
];

/// Why the addresses of a range can not be services': packets to some of them belong to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    pub with: Ipv4Net,
    pub what: &'static str,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.with.prefix_len() {
            32 => write!(f, "it contains {}, {}", self.with.addr(), self.what),
            _ => write!(f, "it overlaps {}, {}", self.with, self.what),
        }
    }
}

impl Network {
    /// Makes these ranges hold addresses of services, beside the profile's own range, and no others. It compares with what the
    /// kernel has, so that it also takes away what an earlier process left.
    ///
    /// # Errors
    /// The kernel refuses; call again.
    pub async fn set_service_ranges(&self, ranges: &[Ipv4Net]) -> Result<()> {
        let Self(inner) = self;
        let wanted = beside_own(&inner.config, ranges);
        let _shared = inner.turn.read().await;
        self.kept().service_ranges = Some(wanted.clone());
        let found = inner.links.service_ranges(&inner.config).await?;
        // what comes is refused before it has a route, and what goes until it has none any more
        let meanwhile = elements(&Ipv4Net::aggregate(&[found, wanted.clone()].concat()));
        self.with_ruleset(move |ruleset| ruleset.set_service_ranges(meanwhile)).await?;
        inner.links.set_service_ranges(&inner.config, &wanted).await?;
        let at_last = elements(&wanted);
        self.with_ruleset(move |ruleset| ruleset.set_service_ranges(at_last)).await
    }

    /// Whose the addresses of a range are already: pods', the machine's, those that it reaches by a route of their own. What
    /// lies in the profile's own range of services is nobody else's.
    ///
    /// # Errors
    /// The kernel does not list its routes.
    pub async fn overlap(&self, range: Ipv4Net) -> Result<Option<Overlap>> {
        Ok(overlap(range, &self.0.config, &self.0.links.routes().await?))
    }
}

/// Without what the profile's own range covers, and none of them within another: elements that overlap are refused.
fn beside_own(config: &NetConfig, ranges: &[Ipv4Net]) -> Vec<Ipv4Net> {
    let beside = ranges.iter().filter(|range| !config.service_cidr.contains(*range));
    Ipv4Net::aggregate(&beside.copied().collect())
}

fn elements(ranges: &[Ipv4Net]) -> BTreeSet<Element> {
    ranges.iter().map(|range| between(Set::ServiceRanges, Ipv4Net::default(), *range)).collect()
}

impl Links {
    /// Those that have a route, disjoint.
    async fn service_ranges(&self, config: &NetConfig) -> Result<Vec<Ipv4Net>> {
        Ok(of_services(&self.routes().await?, config).collect())
    }

    pub(crate) async fn set_service_ranges(&self, config: &NetConfig, wanted: &[Ipv4Net]) -> Result<()> {
        let found = self.service_ranges(config).await?;
        // also those that are there: the node's address may be another one by now
        for range in wanted {
            let route = route_to(*range, config);
            let added = self.0.route().add(route.pref_source(config.node_ip).build()).replace().execute();
            added.await.doing(|| format!("add the route for {range}"))?;
        }
        for range in found.iter().filter(|range| !wanted.contains(range)) {
            match self.0.route().del(route_to(*range, config).build()).execute().await {
                Err(error) if errno(&error) == libc::ESRCH => {}
                other => other.doing(|| format!("delete the route for {range}"))?,
            }
        }
        Ok(())
    }
}

fn route_to(range: Ipv4Net, config: &NetConfig) -> RouteMessageBuilder<Ipv4Addr> {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(range.network(), range.prefix_len())
        .output_interface(LOOPBACK)
        .scope(RouteScope::Link)
        .priority(config.link_group())
        .protocol(OURS)
}

fn overlap(range: Ipv4Net, config: &NetConfig, routes: &[RouteMessage]) -> Option<Overlap> {
    if config.service_cidr.contains(&range) {
        return None;
    }
    let own = [
        (config.pod_cidr, "the addresses of pods"),
        (config.load_balancer_cidr, "the addresses of load balancers"),
    ];
    let known = SPECIAL.into_iter().chain(own);
    let routed = routes.iter().flat_map(|route| gateways(route).chain(routed_by(route, config)));
    let overlaps = |with: &Ipv4Net| range.contains(&with.network()) || with.contains(&range.network());
    let (with, what) = known.chain(routed).find(|(with, _)| overlaps(with))?;
    Some(Overlap { with, what })
}

/// One that is not in the network of a link has no route of its own.
fn gateways(route: &RouteMessage) -> impl Iterator<Item = (Ipv4Net, &'static str)> {
    route.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => {
            Some((Ipv4Net::from(*address), "a gateway of this node"))
        }
        _ => None,
    })
}

fn routed_by(route: &RouteMessage, config: &NetConfig) -> Option<(Ipv4Net, &'static str)> {
    let to = destination(route).filter(|to| to.prefix_len() > LONGEST_DEFAULT)?;
    let is_ours = route.header.protocol == OURS;
    let what = match route.header.kind {
        RouteType::Local => "an address of this node",
        // within the network of a link, which has a route
        RouteType::Broadcast | RouteType::Multicast => return None,
        RouteType::Unreachable if is_of(route, config) => "a network of containers",
        // ranges of services may overlap each other
        _ if is_of(route, config) || (is_ours && to == config.service_cidr) => return None,
        // nobody gets those packets
        RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit | RouteType::Throw
            if !is_ours =>
        {
            return None;
        }
        _ => "to which this node has a route",
    };
    Some((to, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example;
    use rtnetlink::packet_route::route::RouteProtocol;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn to(text: &str, kind: RouteType) -> RouteMessageBuilder<Ipv4Addr> {
        let net = net(text);
        RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(net.network(), net.prefix_len())
            .kind(kind)
            .protocol(RouteProtocol::Kernel)
    }

    /// A machine on a LAN with a VPN, another profile beside it, and a network of containers.
    fn routes(config: &NetConfig) -> Vec<RouteMessage> {
        let default = RouteMessageBuilder::<Ipv4Addr>::new().gateway(Ipv4Addr::new(198, 51, 100, 1));
        let metric = config.link_group();
        vec![
            default.build(),
            to("0.0.0.0/1", RouteType::Unicast).build(),
            to("192.168.7.0/24", RouteType::Unicast).build(),
            to("192.168.7.9/32", RouteType::Local).build(),
            to("203.0.113.5/32", RouteType::Local).build(),
            to("100.64.0.0/10", RouteType::BlackHole).build(),
            to("10.96.0.0/16", RouteType::Unicast).protocol(OURS).build(),
            to("10.97.0.0/19", RouteType::Unicast).protocol(OURS).build(),
            to("10.245.0.0/19", RouteType::Unreachable).protocol(OURS).build(),
            to("172.18.0.0/16", RouteType::Unreachable).protocol(OURS).priority(metric).build(),
            to("10.250.0.0/24", RouteType::Unicast).protocol(OURS).priority(metric).build(),
        ]
    }

    #[test]
    fn what_is_somebody_elses_is_no_services() {
        let config = example();
        let routes = routes(&config);
        for (range, want) in [
            ("10.200.0.0/16", None),
            ("100.64.0.0/24", None),
            ("8.8.8.0/24", None),
            ("10.96.7.0/24", None),
            ("10.250.0.0/16", None),
            ("10.250.0.128/25", None),
            ("0.0.0.0/0", Some("it overlaps 0.0.0.0/8, which stands for this host")),
            ("127.0.0.0/24", Some("it overlaps 127.0.0.0/8, the loopback")),
            ("169.254.169.254/32", Some("it overlaps 169.254.0.0/16, link-local addresses")),
            ("224.0.0.0/24", Some("it overlaps 224.0.0.0/4, multicast addresses")),
            ("255.255.255.0/24", Some("it overlaps 240.0.0.0/4, reserved addresses")),
            ("10.244.3.0/24", Some("it overlaps 10.244.0.0/19, the addresses of pods")),
            ("10.98.0.0/28", Some("it overlaps 10.98.0.0/24, the addresses of load balancers")),
            ("10.96.0.0/15", Some("it overlaps 10.97.0.0/19, to which this node has a route")),
            ("10.245.1.0/24", Some("it overlaps 10.245.0.0/19, to which this node has a route")),
            ("172.18.4.0/24", Some("it overlaps 172.18.0.0/16, a network of containers")),
            ("192.168.0.0/16", Some("it overlaps 192.168.7.0/24, to which this node has a route")),
            ("203.0.113.0/24", Some("it contains 203.0.113.5, an address of this node")),
            ("198.51.100.0/24", Some("it contains 198.51.100.1, a gateway of this node")),
        ] {
            let found = overlap(net(range), &config, &routes).map(|overlap| overlap.to_string());
            assert_eq!(found.as_deref(), want, "{range}");
        }
    }

    #[test]
    fn the_kernel_is_told_of_no_address_twice() {
        let config = example();
        for (name, given, want) in [
            ("none", vec![], vec![]),
            ("the profile's own, and a part of it", vec!["10.96.0.0/16", "10.96.4.0/24"], vec![]),
            ("one within another", vec!["10.250.0.0/24", "10.250.0.0/16"], vec!["10.250.0.0/16"]),
            ("twice the same", vec!["10.250.0.0/24", "10.250.0.0/24"], vec!["10.250.0.0/24"]),
            ("apart", vec!["10.251.1.0/24", "10.250.0.0/24"], vec!["10.250.0.0/24", "10.251.1.0/24"]),
        ] {
            let given: Vec<Ipv4Net> = given.into_iter().map(net).collect();
            let want: Vec<Ipv4Net> = want.into_iter().map(net).collect();
            assert_eq!(beside_own(&config, &given), want, "{name}");
        }
        let routes = routes(&config);
        assert_eq!(of_services(&routes, &config).collect::<Vec<_>>(), [net("10.250.0.0/24")]);
    }
}
