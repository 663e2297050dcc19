//! Where a running container is in its networks.

use crate::model::EndpointConfig;
use cri::Endpoint;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Where a running container is in one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The endpoint's own id.
    pub(crate) id: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) range: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) internal: bool,
    #[serde(default)]
    pub(crate) mtu: Option<u32>,
}

/// By the network's name.
pub(crate) type Places = BTreeMap<String, Place>;

impl Place {
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            address: self.address,
            subnet: self.range,
            gateway: self.gateway,
            internal: self.internal,
            mtu: self.mtu,
        }
    }
}

/// The way out is by the first that is not internal: highest priority, then by name, as Docker has it.
pub(crate) fn in_order(wanted: &BTreeMap<String, EndpointConfig>, places: &Places) -> Vec<Endpoint> {
    let priority = |name: &str| wanted.get(name).map_or(0, |wanted| wanted.gw_priority);
    let mut all: Vec<_> = places.iter().collect();
    all.sort_by_key(|(name, place)| (place.internal, Reverse(priority(name)), (*name).clone()));
    all.into_iter().map(|(_, place)| place.endpoint()).collect()
}
