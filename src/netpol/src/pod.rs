//! What policies ask of a pod.

use k8s_openapi::api::core::v1::{Container, Pod as Object};
use net::Protocol;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    pub uid: String,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    /// `None` while it has none of its own: not yet, not any more, or the node's.
    pub address: Option<Ipv4Addr>,
    pub ports: Vec<NamedPort>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedPort {
    pub name: String,
    pub protocol: Protocol,
    pub number: u16,
}

impl Pod {
    /// With the address that its status says.
    pub fn of(object: &Object) -> Self {
        let spec = object.spec.as_ref();
        let on_node = spec.and_then(|spec| spec.host_network).unwrap_or(false);
        let has_address = !on_node && !kinds::pod::is_terminal(object);
        let address = object.status.as_ref().and_then(|status| status.pod_ip.as_deref());
        // of those that have ended only the sidecars go on
        let containers = spec.into_iter().flat_map(|spec| {
            let sidecars = spec.init_containers.iter().flatten();
            let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
            spec.containers.iter().chain(sidecars)
        });
        Pod {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            labels: object.metadata.labels.clone().unwrap_or_default(),
            address: address.filter(|_| has_address).and_then(|address| address.parse().ok()),
            ports: containers.flat_map(named_ports).collect(),
        }
    }

    /// The numbers that the name stands for in this pod.
    pub(crate) fn numbers(&self, name: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
        let named = self.ports.iter().filter(move |port| port.name == name && port.protocol == protocol);
        named.map(|port| port.number)
    }
}

fn named_ports(container: &Container) -> impl Iterator<Item = NamedPort> {
    container.ports.iter().flatten().filter_map(|port| {
        Some(NamedPort {
            name: port.name.clone().filter(|name| !name.is_empty())?,
            protocol: protocol(port.protocol.as_deref())?,
            number: u16::try_from(port.container_port).ok()?,
        })
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
