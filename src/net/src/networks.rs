//! Networks beside the pods': what the machine has of each. Its own address in it lies on the loopback, under a label that
//! says whose it is; a route with the profile's metric keeps packets for addresses that nobody has from leaving the machine;
//! and the table says who may reach whom.

use crate::error::{Doing, errno};
use crate::links::{LOOPBACK, Links, OURS};
use crate::nft::{Data, Element, Set};
use crate::routes::{destination, is_of, of_services};
use crate::{NetConfig, Result};
use cri::{AddressSpace, NetworkConfig};
use ipnet::Ipv4Net;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::route::{RouteMessage, RouteType};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

const LOCAL_TABLE: u8 = 255; // RT_TABLE_LOCAL

/// Who may send to whom.
pub(crate) fn elements(networks: &[NetworkConfig], pods: Ipv4Net) -> BTreeSet<Element> {
    let everybody = Ipv4Net::default();
    let mut all = BTreeSet::new();
    for network in networks {
        let subnet = network.subnet;
        all.extend([between(Set::Barred, everybody, subnet), between(Set::Barred, subnet, pods)]);
        all.extend(network.members_meet.then(|| between(Set::Neighbours, subnet, subnet)));
        all.extend(network.internal.then(|| between(Set::Confined, subnet, everybody)));
        all.extend(network.masquerade.then(|| between(Set::Leaving, subnet, everybody)));
    }
    all
}

pub(crate) fn between(set: Set, from: Ipv4Net, to: Ipv4Net) -> Element {
    let key = [from.network().octets(), to.network().octets()].concat();
    let last = [from.broadcast().octets(), to.broadcast().octets()].concat();
    Element { set, key, data: Data::Last(last) }
}

impl Links {
    /// Makes these networks be there, and no others of the profile.
    pub(crate) async fn set_networks(&self, config: &NetConfig, networks: &[NetworkConfig]) -> Result<()> {
        let gateways: Vec<Ipv4Addr> = networks.iter().map(|network| network.gateway).collect();
        self.set_gateways(config, &gateways).await?;
        let routes = self.routes().await?;
        let found = routes.iter().filter(|route| is_of(route, config));
        let found = found.filter(|route| route.header.kind == RouteType::Unreachable);
        let found: BTreeSet<Ipv4Net> = found.filter_map(destination).collect();
        let wanted: BTreeSet<Ipv4Net> = networks.iter().map(|network| network.subnet.trunc()).collect();
        for subnet in wanted.difference(&found) {
            let added = self.0.route().add(nobody(*subnet, config)).replace().execute().await;
            added.doing(|| format!("add the route for {subnet}"))?;
        }
        for subnet in found.difference(&wanted) {
            match self.0.route().del(nobody(*subnet, config)).execute().await {
                Err(error) if errno(&error) == libc::ESRCH => {}
                other => other.doing(|| format!("delete the route for {subnet}"))?,
            }
        }
        Ok(())
    }

    async fn set_gateways(&self, config: &NetConfig, wanted: &[Ipv4Addr]) -> Result<()> {
        let label = AddressAttribute::Label(config.address_label());
        let found = self.addresses(LOOPBACK).await?.into_iter();
        let found: Vec<_> = found.filter(|(_, message)| message.attributes.contains(&label)).collect();
        for gateway in wanted.iter().filter(|wanted| !found.iter().any(|(address, _)| address == *wanted)) {
            let mut request = self.0.address().add(LOOPBACK, IpAddr::V4(*gateway), 32);
            request.message_mut().attributes.push(label.clone());
            match request.execute().await {
                Err(error) if errno(&error) == libc::EEXIST => {}
                other => other.doing(|| format!("give the loopback the address {gateway}"))?,
            }
        }
        for (address, message) in found.into_iter().filter(|(address, _)| !wanted.contains(address)) {
            self.delete_address(address, message).await?;
        }
        Ok(())
    }

    /// The IPv4 addresses of a link.
    pub(crate) async fn addresses(&self, index: u32) -> Result<Vec<(Ipv4Addr, AddressMessage)>> {
        let all: Vec<AddressMessage> = self
            .list(|handle| handle.address().get().set_link_index_filter(index).execute())
            .await
            .doing(|| format!("list the addresses of link {index}"))?;
        Ok(all.into_iter().filter_map(|message| Some((local(&message)?, message))).collect())
    }

    pub(crate) async fn delete_address(&self, address: Ipv4Addr, message: AddressMessage) -> Result<()> {
        match self.0.address().del(message).execute().await {
            Err(error) if errno(&error) == libc::EADDRNOTAVAIL => Ok(()),
            other => other.doing(|| format!("delete the address {address}")),
        }
    }

    /// What is taken, and by whom.
    pub(crate) async fn address_space(&self, config: &NetConfig) -> Result<AddressSpace> {
        let routes = self.routes().await?;
        let own = [config.pod_cidr, config.service_cidr, config.load_balancer_cidr];
        let own = own.into_iter().chain(of_services(&routes, config)).collect();
        let others = routes.iter().filter(|route| !is_of(route, config) && route.header.table != LOCAL_TABLE);
        // a default route takes nothing from anybody
        let routed = others.filter_map(destination).filter(|range| range.prefix_len() > 0).collect();
        Ok(AddressSpace { own, routed })
    }
}

pub(crate) fn local(message: &AddressMessage) -> Option<Ipv4Addr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    })
}

/// The kernel says at once that nobody has an address.
fn nobody(subnet: Ipv4Net, config: &NetConfig) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(subnet.network(), subnet.prefix_len())
        .kind(RouteType::Unreachable)
        .priority(config.link_group())
        .protocol(OURS)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_reach_whom() {
        let pods = "10.244.0.0/19".parse().unwrap();
        let network = |internal, members_meet| NetworkConfig {
            subnet: "172.18.0.0/16".parse().unwrap(),
            gateway: "172.18.0.1".parse().unwrap(),
            internal,
            members_meet,
            masquerade: true,
        };
        let (barred, meet) = (vec![Set::Barred, Set::Barred], Set::Neighbours);
        for (name, network, more) in [
            ("usual", network(false, true), vec![meet, Set::Leaving]),
            ("internal", network(true, true), vec![meet, Set::Confined, Set::Leaving]),
            ("members do not meet", network(false, false), vec![Set::Leaving]),
        ] {
            let mut sets: Vec<Set> = elements(&[network], pods).into_iter().map(|e| e.set).collect();
            let mut want = [barred.clone(), more].concat();
            sets.sort();
            want.sort();
            assert_eq!(sets, want, "{name}");
        }
        let all = elements(&[network(false, true)], pods);
        let neighbours = all.iter().find(|element| element.set == Set::Neighbours).unwrap();
        assert_eq!(neighbours.key, [172, 18, 0, 0, 172, 18, 0, 0]);
        assert_eq!(neighbours.data, Data::Last(vec![172, 18, 255, 255, 172, 18, 255, 255]));
    }
}
