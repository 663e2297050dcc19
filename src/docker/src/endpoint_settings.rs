//! The endpoints of a running container: what it has been given in each of its networks.

use crate::model::EndpointConfig;
use cri::Endpoint;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What a running container has been given in one network; `EndpointConfig` is what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndpointSettings {
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
pub(crate) type Endpoints = BTreeMap<String, EndpointSettings>;

impl EndpointSettings {
    pub(crate) fn for_runtime(&self) -> Endpoint {
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
pub(crate) fn in_order(wanted: &BTreeMap<String, EndpointConfig>, endpoints: &Endpoints) -> Vec<Endpoint> {
    let priority = |name: &str| wanted.get(name).map_or(0, |wanted| wanted.gw_priority);
    let mut all: Vec<_> = endpoints.iter().collect();
    all.sort_by_key(|(name, endpoint)| (endpoint.internal, Reverse(priority(name)), (*name).clone()));
    all.into_iter().map(|(_, endpoint)| endpoint.for_runtime()).collect()
}
