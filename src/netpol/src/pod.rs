//! What policies ask of a pod.

use k8s_openapi::api::core::v1::{Container, Pod as Object};
use net::Protocol;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// How many numbers one name may stand for in one pod, by protocol: containers of a pod may give the same name to ports of
/// theirs, and each number is a part of every policy that names it, whoever wrote that. More are left out.
const MOST_NUMBERS: usize = 4;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    pub uid: String,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    /// `None` while it has none of its own: not yet, not any more, or the node's.
    pub address: Option<Ipv4Addr>,
    /// By name: a pod may have as many as a policy asks for.
    pub ports: BTreeMap<String, Vec<(Protocol, u16)>>,
}

impl Pod {
    /// With the address that its status says.
    pub fn of(object: &Object) -> Self {
        let spec = object.spec.as_ref();
        let on_node = spec.and_then(|spec| spec.host_network).unwrap_or(false);
        let has_address = !on_node && !kinds::pod::is_terminal(object);
        let address = object.status.as_ref().and_then(|status| status.pod_ip.as_deref());
        let containers = spec.into_iter().flat_map(kinds::pod::lasting_containers);
        let mut pod = Pod {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            labels: object.metadata.labels.clone().unwrap_or_default(),
            address: address.filter(|_| has_address).and_then(|address| address.parse().ok()),
            ports: BTreeMap::new(),
        };
        for (name, protocol, number) in containers.flat_map(named_ports) {
            pod.add_port(name, protocol, number);
        }
        pod
    }

    pub(crate) fn add_port(&mut self, name: &str, protocol: Protocol, number: u16) {
        let known = self.ports.entry(name.to_owned()).or_default();
        let of_protocol = known.iter().filter(|(other, _)| *other == protocol).count();
        if of_protocol < MOST_NUMBERS && !known.contains(&(protocol, number)) {
            known.push((protocol, number));
        }
    }

    /// The numbers that the name stands for in this pod.
    pub(crate) fn numbers(&self, name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
        let named = self.ports.get(name).into_iter().flatten();
        named.filter(move |(other, _)| *other == protocol).map(|(_, number)| *number)
    }
}

fn named_ports(container: &Container) -> impl Iterator<Item = (&str, Protocol, u16)> {
    container.ports.iter().flatten().filter_map(|port| {
        let name = port.name.as_deref().filter(|name| !name.is_empty())?;
        Some((name, protocol(port.protocol.as_deref())?, u16::try_from(port.container_port).ok()?))
    })
}

/// `None` where it is no such protocol.
pub(crate) fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
}
