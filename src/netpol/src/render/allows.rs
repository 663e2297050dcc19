//! From a rule, and whom it names, to what it allows.

use super::peers::Peers;
use super::{DNS_PORT, World};
use crate::policy::Names;
use crate::{Pod, Port, Rule};
use net::{AddressRange, Allow, PortRange, Ports, Protocol, SharedSet};
use std::collections::BTreeSet;

/// Where names of ports mean those of whoever is addressed.
pub(super) fn named_ports(world: &World, rule: &Rule) -> usize {
    match rule.names().len() {
        0 => 0,
        names => world.pods.iter().map(|pod| 1 + names.min(pod.ports.len())).sum(),
    }
}

/// Those of the names that the pod has. Either may have thousands: each of the fewer is looked up among the others.
pub(super) fn meant<'p>(pod: &'p Pod, names: &'p Names) -> Vec<(&'p str, Protocol)> {
    let common: Vec<&str> = match names.len() <= pod.ports.len() {
        true => names.keys().map(String::as_str).filter(|name| pod.ports.contains_key(*name)).collect(),
        false => pod.ports.keys().map(String::as_str).filter(|name| names.contains_key(*name)).collect(),
    };
    let protocols =
        |name: &'p str| names.get(name).into_iter().flatten().map(move |protocol| (name, *protocol));
    common.into_iter().flat_map(protocols).collect()
}

/// Names of ports mean those of the pod itself.
pub(super) fn ingress(_: &World, pod: &Pod, rule: &Rule, peers: &Peers, allows: &mut BTreeSet<Allow>) {
    let ports = match &rule.ports {
        None => Ports::All,
        Some(ports) => Ports::Of(ports.iter().flat_map(|port| numbers(pod, port)).collect()),
    };
    add(&peers.ranges, ports, allows);
}

/// Names of ports mean those of each pod that may be addressed.
pub(super) fn egress(world: &World, _: &Pod, rule: &Rule, peers: &Peers, allows: &mut BTreeSet<Allow>) {
    let Some(ports) = &rule.ports else {
        add(&peers.ranges, Ports::All, allows);
        if peers.dns {
            let both = [Protocol::Tcp, Protocol::Udp].map(|protocol| at(protocol, DNS_PORT));
            world.allow_dns(both.into(), allows);
        }
        return;
    };
    let plain: BTreeSet<PortRange> = ports
        .iter()
        .filter_map(|port| match port {
            Port::Numbers(range) => Some(*range),
            Port::Named { .. } => None,
        })
        .collect();
    if peers.dns {
        let is_dns = |range: &&PortRange| (range.first..=range.last).contains(&DNS_PORT);
        world.allow_dns(
            plain.iter().filter(is_dns).map(|range| at(range.protocol, DNS_PORT)).collect(),
            allows,
        );
    }
    add(&peers.ranges, Ports::Of(plain), allows);
    let names = rule.names();
    if names.is_empty() {
        return;
    }
    let blocks = Blocks::of(&peers.blocks);
    let within = world.pods.iter().copied().filter(|pod| blocks.contain(pod));
    let dns = Some(&world.dns).filter(|dns| peers.dns || blocks.contain(dns));
    for pod in peers.pods.iter().copied().chain(within).chain(dns) {
        let of_name = |(name, protocol)| pod.numbers(name, protocol).map(move |number| at(protocol, number));
        let numbers: BTreeSet<PortRange> = meant(pod, &names).into_iter().flat_map(of_name).collect();
        let peers: SharedSet<AddressRange> = pod.address.map(AddressRange::from).into_iter().collect();
        add(&peers, Ports::Of(numbers), allows);
    }
}

/// Ranges that do not overlap, in order, so that one look finds the only one that may have an address.
struct Blocks(Vec<AddressRange>);

impl Blocks {
    fn of(ranges: &[AddressRange]) -> Self {
        let mut sorted = ranges.to_vec();
        sorted.sort_unstable();
        let mut merged: Vec<AddressRange> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(before) if range.first <= before.last => before.last = before.last.max(range.last),
                _ => merged.push(range),
            }
        }
        Blocks(merged)
    }

    fn contain(&self, pod: &Pod) -> bool {
        pod.address.is_some_and(|address| {
            let next = self.0.partition_point(|range| range.last < address);
            self.0.get(next).is_some_and(|range| range.contains(address))
        })
    }
}

impl World<'_> {
    fn allow_dns(&self, ports: BTreeSet<PortRange>, allows: &mut BTreeSet<Allow>) {
        let peers: SharedSet<AddressRange> = self.dns.address.map(AddressRange::from).into_iter().collect();
        add(&peers, Ports::Of(ports), allows);
    }
}

/// Nothing where nobody is meant, or no port.
fn add(peers: &SharedSet<AddressRange>, ports: Ports, allows: &mut BTreeSet<Allow>) {
    let has_ports = !matches!(&ports, Ports::Of(ports) if ports.is_empty());
    if has_ports && !peers.is_empty() {
        allows.insert(Allow { peers: peers.clone(), ports });
    }
}

fn numbers(pod: &Pod, port: &Port) -> Vec<PortRange> {
    match port {
        Port::Numbers(range) => vec![*range],
        Port::Named { name, protocol } => {
            pod.numbers(name, *protocol).map(|number| at(*protocol, number)).collect()
        }
    }
}

pub(super) fn at(protocol: Protocol, number: u16) -> PortRange {
    PortRange { protocol, first: number, last: number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn blocks_contain_what_is_in_one_of_them() {
        let range = |first: u8, last: u8| AddressRange {
            first: Ipv4Addr::new(10, 0, 0, first),
            last: Ipv4Addr::new(10, 0, 0, last),
        };
        let blocks = Blocks::of(&[range(20, 30), range(5, 9), range(1, 12), range(30, 40)]);
        let at = |last| Pod { address: Some(Ipv4Addr::new(10, 0, 0, last)), ..Pod::default() };
        for (last, want) in
            [(0, false), (1, true), (11, true), (13, false), (30, true), (40, true), (41, false)]
        {
            assert_eq!(blocks.contain(&at(last)), want, "{last}");
        }
        assert!(!blocks.contain(&Pod::default()));
    }
}
