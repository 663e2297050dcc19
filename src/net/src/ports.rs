//! What the table holds for one sandbox: its host ports, and that it may reach itself. Pure.

use crate::frontends::{Frontend, host_port_key, socket};
use crate::nft::{Data, Element, Set};
use cri::HostPort;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

/// A host port on an IPv6 address has no element: the table is IPv4's.
pub(crate) fn elements(pod: Ipv4Addr, ports: &[HostPort]) -> BTreeSet<Element> {
    let itself = Element { set: Set::Hairpin, key: [pod.octets(), pod.octets()].concat(), data: Data::None };
    ports.iter().filter_map(|port| element(pod, port)).chain([itself]).collect()
}

/// Where packets come in, and where they go from there; `None` on an IPv6 address.
pub(crate) fn lead(pod: Ipv4Addr, port: &HostPort) -> Option<(Frontend, SocketAddrV4)> {
    let address = match port.host_ip {
        None => None,
        Some(IpAddr::V4(address)) if address.is_unspecified() => None,
        Some(IpAddr::V4(address)) => Some(address),
        // `::` is every address, of IPv4 too
        Some(IpAddr::V6(address)) if address.is_unspecified() => None,
        Some(IpAddr::V6(_)) => return None,
    };
    let frontend = Frontend { address, protocol: port.protocol, port: port.host_port };
    Some((frontend, SocketAddrV4::new(pod, port.container_port)))
}

/// The first of a sandbox's ports that leads elsewhere already.
pub(crate) fn doubled(ports: &[HostPort]) -> Option<&HostPort> {
    let mut known = BTreeMap::new();
    ports.iter().find(|port| {
        let Some((frontend, to)) = lead(Ipv4Addr::UNSPECIFIED, port) else { return false };
        *known.entry(frontend).or_insert(to) != to
    })
}

fn element(pod: Ipv4Addr, port: &HostPort) -> Option<Element> {
    let (Frontend { address, .. }, to) = lead(pod, port)?;
    Some(Element {
        set: if address.is_some() { Set::HostPorts } else { Set::AnyHostPorts },
        key: host_port_key(address, port.protocol, port.host_port),
        data: Data::Value(socket(to)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::Protocol;

    #[test]
    fn host_ports_go_to_the_set_of_their_address() {
        let pod = Ipv4Addr::new(10, 244, 0, 5);
        let port = |host_ip: Option<&str>| HostPort {
            protocol: Protocol::Tcp,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port: 0x1234,
            container_port: 80,
        };
        let to_pod = Data::Value(vec![10, 244, 0, 5, 0, 80, 0, 0]);
        let any =
            Element { set: Set::AnyHostPorts, key: vec![6, 0, 0, 0, 0x12, 0x34, 0, 0], data: to_pod.clone() };
        let local =
            Element { set: Set::HostPorts, key: [&[127, 0, 0, 1], &any.key[..]].concat(), data: to_pod };
        for (name, host_ip, want) in [
            ("none given", None, Some(any.clone())),
            ("all of IPv4", Some("0.0.0.0"), Some(any.clone())),
            ("all of both", Some("::"), Some(any)),
            ("one", Some("127.0.0.1"), Some(local)),
            ("one of IPv6", Some("::1"), None),
        ] {
            assert_eq!(element(pod, &port(host_ip)), want, "{name}");
        }
        assert_eq!(elements(pod, &[port(None), port(Some("::1"))]).len(), 2, "the port and the hairpin");
    }

    #[test]
    fn a_port_leads_to_one_place() {
        let port = |host_ip: Option<&str>, host_port, container_port| HostPort {
            protocol: Protocol::Udp,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port,
            container_port,
        };
        let both = [port(Some("0.0.0.0"), 53, 53), port(Some("::"), 53, 53)];
        assert_eq!(doubled(&both), None, "as a client asks for both families");
        let others = [port(None, 53, 53), port(Some("127.0.0.1"), 53, 54), port(None, 54, 53)];
        assert_eq!(doubled(&others), None);
        let twice = [port(None, 53, 53), port(None, 53, 54)];
        assert_eq!(doubled(&twice), Some(&twice[1]));
    }
}
