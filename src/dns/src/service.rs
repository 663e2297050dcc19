//! What one Service, with its EndpointSlices, contributes.

use crate::zone::{Zone, absolute};
use hickory_proto::rr::Name;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kinds::endpoints::condition;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One Service as DNS sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecords {
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) endpoints: BTreeSet<EndpointRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Addressed {
        addresses: Vec<IpAddr>,
        ports: Vec<Port>,
    },
    Headless,
    /// `None`: the external name is an address, or no name at all, which no CNAME can hold.
    External(Option<Name>),
}

/// Name and protocol in lower case; a port without a name is found by asking for the whole service only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) protocol: String,
    pub(crate) number: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointRecord {
    pub(crate) address: IpAddr,
    /// The hostname, or the address with dashes.
    pub(crate) label: String,
    /// Only an endpoint with a hostname has a reverse name.
    pub(crate) named: bool,
    pub(crate) name: Name,
    pub(crate) ports: Vec<Port>,
}

impl ServiceRecords {
    /// `None` where the names do not fit into DNS.
    pub fn new<'a>(
        zone: &Zone,
        service: &Service,
        slices: impl IntoIterator<Item = &'a EndpointSlice>,
    ) -> Option<Self> {
        let meta = &service.metadata;
        let name = zone.name(&format!("{}.{}.svc", meta.name.as_deref()?, meta.namespace.as_deref()?))?;
        let spec = service.spec.as_ref();
        let early = spec.and_then(|s| s.publish_not_ready_addresses) == Some(true);
        let kind = kind_of(service);
        let endpoints = match kind {
            Kind::External(_) => BTreeSet::new(),
            _ => slices.into_iter().flat_map(|slice| endpoints_of(&name, slice, early)).collect(),
        };
        Some(ServiceRecords { name, kind, endpoints })
    }

    /// Each address with the name that it leads back to; `true` where it is the service's own.
    pub(crate) fn reverse(&self) -> Vec<(IpAddr, bool, Name)> {
        let own: &[IpAddr] = match &self.kind {
            Kind::Addressed { addresses, .. } => addresses,
            _ => &[],
        };
        let own = own.iter().map(|address| (*address, true, self.name.clone()));
        let named = self.endpoints.iter().filter(|endpoint| endpoint.named);
        own.chain(named.map(|endpoint| (endpoint.address, false, endpoint.name.clone()))).collect()
    }
}

fn kind_of(service: &Service) -> Kind {
    let Some(spec) = service.spec.as_ref() else { return Kind::Headless };
    if spec.type_.as_deref() == Some("ExternalName") {
        let external = spec.external_name.as_deref().unwrap_or_default();
        let is_address = external.trim_end_matches('.').parse::<IpAddr>().is_ok();
        return Kind::External(absolute(external).filter(|name| !is_address && !name.is_root()));
    }
    let one = spec.cluster_ip.iter();
    let all: BTreeSet<&String> = spec.cluster_ips.iter().flatten().chain(one).collect();
    let addresses: Vec<IpAddr> = all.into_iter().filter_map(|ip| ip.parse().ok()).collect();
    if addresses.is_empty() {
        return Kind::Headless;
    }
    let ports = spec.ports.iter().flatten();
    let ports = ports.filter_map(|p| port(p.name.as_deref(), p.protocol.as_deref(), p.port)).collect();
    Kind::Addressed { addresses, ports }
}

fn port(name: Option<&str>, protocol: Option<&str>, number: i32) -> Option<Port> {
    Some(Port {
        name: name.unwrap_or_default().to_ascii_lowercase(),
        protocol: protocol.unwrap_or("TCP").to_ascii_lowercase(),
        number: u16::try_from(number).ok()?,
    })
}

fn endpoints_of(service: &Name, slice: &EndpointSlice, early: bool) -> Vec<EndpointRecord> {
    let ports = slice.ports.iter().flatten();
    let ports: Vec<Port> =
        ports.filter_map(|p| port(p.name.as_deref(), p.protocol.as_deref(), p.port?)).collect();
    let shown = slice.endpoints.iter().flatten().filter(|endpoint| early || condition(endpoint).ready);
    let records = shown.flat_map(|endpoint| {
        let addresses = endpoint.addresses.iter().filter_map(|address| address.parse().ok());
        addresses.filter_map(|address| record(service, endpoint, address, &ports))
    });
    records.collect()
}

fn record(service: &Name, endpoint: &Endpoint, address: IpAddr, ports: &[Port]) -> Option<EndpointRecord> {
    let hostname = endpoint.hostname.as_deref().filter(|hostname| !hostname.is_empty());
    let label = hostname.map_or_else(|| dashed(address), str::to_ascii_lowercase);
    let name = service.prepend_label(label.as_str()).ok()?;
    Some(EndpointRecord { address, label, named: hostname.is_some(), name, ports: ports.to_vec() })
}

fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}
