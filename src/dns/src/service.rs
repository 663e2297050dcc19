//! What one Service, with its EndpointSlices, contributes.

use crate::zone::{Zone, absolute};
use hickory_proto::rr::Name;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kinds::endpoints::{condition, holds_names};
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// One Service as DNS sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecords {
    pub(crate) name: Name,
    pub(crate) kind: Kind,
    pub(crate) endpoints: Endpoints,
    /// Those of named ports, which are below them.
    pub(crate) protocols: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Addressed {
        addresses: Vec<IpAddr>,
        ports: Ports,
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

/// In order. All endpoints of a slice have the same: one copy for all of them, since a slice may have a thousand endpoints and
/// twenty thousand ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ports(Arc<[Port]>);

impl Ports {
    /// All, or those of a name and a protocol.
    pub(crate) fn those(&self, asked: Option<(&str, &str)>) -> &[Port] {
        let Some(asked) = asked else { return &self.0 };
        let order = |port: &Port| (port.name.as_str(), port.protocol.as_str()).cmp(&asked);
        let first = self.0.partition_point(|port| order(port).is_lt());
        let next = self.0.partition_point(|port| order(port).is_le());
        &self.0[first..next]
    }

    fn protocols(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|port| !port.name.is_empty()).map(|port| &port.protocol)
    }
}

impl FromIterator<Port> for Ports {
    fn from_iter<I: IntoIterator<Item = Port>>(ports: I) -> Self {
        let mut ports: Vec<Port> = ports.into_iter().collect();
        ports.sort_unstable();
        Ports(ports.into())
    }
}

impl Ord for Ports {
    fn cmp(&self, other: &Self) -> Ordering {
        // an endpoint that stands in its slice twice
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Ports {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The label comes first, by which they are looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointRecord {
    /// The hostname, or the address with dashes.
    pub(crate) label: String,
    pub(crate) address: IpAddr,
    /// Only an endpoint with a hostname has a reverse name.
    pub(crate) named: bool,
    pub(crate) name: Name,
    pub(crate) ports: Ports,
}

/// The endpoints of a Service, each once. There may be a hundred thousand, and who asks for them waits for none that he does not get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// In order.
    all: Vec<EndpointRecord>,
    groups: Vec<Group>,
}

/// Those of one slice, mostly: they have their ports in common, and the family of their addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    ports: Ports,
    /// Where they are among all.
    places: Vec<usize>,
}

impl Endpoints {
    fn new(all: BTreeSet<EndpointRecord>) -> Self {
        let all: Vec<EndpointRecord> = all.into_iter().collect();
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<(*const Port, bool), usize> = HashMap::new();
        for (place, endpoint) in all.iter().enumerate() {
            let is_v4 = endpoint.address.is_ipv4();
            let group = *known.entry((endpoint.ports.0.as_ptr(), is_v4)).or_insert_with(|| {
                groups.push(Group { ports: endpoint.ports.clone(), places: Vec::new() });
                groups.len() - 1
            });
            groups[group].places.push(place);
        }
        Endpoints { all, groups }
    }

    /// Those whose hostname it is, or address with dashes.
    pub(crate) fn labelled(&self, label: &str) -> &[EndpointRecord] {
        let first = self.all.partition_point(|endpoint| endpoint.label.as_str() < label);
        let next = self.all.partition_point(|endpoint| endpoint.label.as_str() <= label);
        &self.all[first..next]
    }

    /// Whether there is one, with this port where one is asked for.
    pub(crate) fn any_with(&self, port: Option<(&str, &str)>) -> bool {
        self.groups.iter().any(|group| group.has(port))
    }

    /// Up to `most` of those with the port, or of all, whose address fits; where there are more, as `turn` has it.
    pub(crate) fn with(
        &self,
        port: Option<(&str, &str)>,
        fits: impl Fn(IpAddr) -> bool,
        most: usize,
        turn: usize,
    ) -> Vec<&EndpointRecord> {
        let of_family = |group: &&Group| group.places.first().is_some_and(|at| fits(self.all[*at].address));
        let groups: Vec<&Group> =
            self.groups.iter().filter(of_family).filter(|group| group.has(port)).collect();
        let in_turn = from_turn(groups.len(), turn).flat_map(|group| {
            let places = &groups[group].places;
            from_turn(places.len(), turn).map(move |at| places[at])
        });
        in_turn.take(most).map(|place| &self.all[place]).collect()
    }

    fn iter(&self) -> impl Iterator<Item = &EndpointRecord> {
        self.all.iter()
    }
}

impl Group {
    fn has(&self, port: Option<(&str, &str)>) -> bool {
        port.is_none() || !self.ports.those(port).is_empty()
    }
}

/// So many numbers from 0 on, the first ones last.
fn from_turn(count: usize, turn: usize) -> impl Iterator<Item = usize> {
    let first = turn.checked_rem(count).unwrap_or(0);
    (first..count).chain(0..first)
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
        let (mut endpoints, mut protocols) = (BTreeSet::new(), BTreeSet::new());
        if let Kind::Addressed { ports, .. } = &kind {
            protocols.extend(ports.protocols().cloned());
        }
        let of_addresses = |slice: &&EndpointSlice| !matches!(kind, Kind::External(_)) && !holds_names(slice);
        for slice in slices.into_iter().filter(of_addresses) {
            let ports = slice.ports.iter().flatten();
            let ports: Ports =
                ports.filter_map(|p| port(p.name.as_deref(), p.protocol.as_deref(), p.port?)).collect();
            let records = endpoints_of(&name, slice, &ports, early);
            if kind == Kind::Headless && !records.is_empty() {
                protocols.extend(ports.protocols().cloned());
            }
            endpoints.extend(records);
        }
        Some(ServiceRecords { name, kind, endpoints: Endpoints::new(endpoints), protocols })
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

fn endpoints_of(service: &Name, slice: &EndpointSlice, ports: &Ports, early: bool) -> Vec<EndpointRecord> {
    let shown = slice.endpoints.iter().flatten().filter(|endpoint| early || condition(endpoint).ready);
    let records = shown.flat_map(|endpoint| {
        let addresses = endpoint.addresses.iter().filter_map(|address| address.parse().ok());
        addresses.filter_map(|address| record(service, endpoint, address, ports))
    });
    records.collect()
}

fn record(service: &Name, endpoint: &Endpoint, address: IpAddr, ports: &Ports) -> Option<EndpointRecord> {
    let hostname = endpoint.hostname.as_deref().filter(|hostname| !hostname.is_empty());
    let label = hostname.map_or_else(|| dashed(address), str::to_ascii_lowercase);
    let name = service.prepend_label(label.as_str()).ok()?;
    Some(EndpointRecord { address, label, named: hostname.is_some(), name, ports: ports.clone() })
}

fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DnsConfig, Upstream};
    use k8s_openapi::api::core::v1::ServiceSpec;
    use k8s_openapi::api::discovery::v1::EndpointPort;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    #[test]
    fn endpoints_of_a_slice_have_their_ports_in_common() {
        let zone = Zone::new(&DnsConfig {
            listen: "127.0.0.1:53".parse().unwrap(),
            domain: "cluster.local".into(),
            pod_cidr: "10.244.0.0/19".parse().unwrap(),
            service_cidr: "10.96.0.0/16".parse().unwrap(),
            upstream: Upstream::Servers(Vec::new()),
            service_ip: "10.96.0.10".parse().unwrap(),
        })
        .unwrap();
        let metadata =
            ObjectMeta { name: Some("a".into()), namespace: Some("b".into()), ..ObjectMeta::default() };
        let spec = ServiceSpec { cluster_ip: Some("None".into()), ..ServiceSpec::default() };
        let service = Service { metadata, spec: Some(spec), status: None };
        let port =
            |n: i32| EndpointPort { name: Some(format!("p{n}")), port: Some(n), ..EndpointPort::default() };
        let endpoint = |n: i32| Endpoint { addresses: vec![format!("10.244.0.{n}")], ..Endpoint::default() };
        let slice = EndpointSlice {
            address_type: "IPv4".into(),
            ports: Some((1..2000).map(port).collect()),
            endpoints: Some((1..100).map(endpoint).collect()),
            ..EndpointSlice::default()
        };
        let records = ServiceRecords::new(&zone, &service, [&slice]).unwrap();
        let first = &records.endpoints.all[0].ports;
        assert_eq!((records.endpoints.all.len(), first.those(None).len()), (99, 1999));
        assert_eq!(records.endpoints.groups.len(), 1);
        assert!(records.endpoints.iter().all(|endpoint| Arc::ptr_eq(&endpoint.ports.0, &first.0)));
        assert_eq!(records.protocols, ["tcp".to_owned()].into());
    }

    #[test]
    fn a_port_is_found_by_name_and_protocol() {
        let named = |name: &str, protocol: &str, number| port(Some(name), Some(protocol), number).unwrap();
        let ports: Ports = [
            named("http", "TCP", 80),
            named("dns", "UDP", 53),
            named("dns", "TCP", 53),
            named("dns", "UDP", 54),
        ]
        .into_iter()
        .collect();
        for (name, asked, want) in [
            ("all", None, vec![53, 53, 54, 80]),
            ("one", Some(("http", "tcp")), vec![80]),
            ("two", Some(("dns", "udp")), vec![53, 54]),
            ("another protocol", Some(("http", "udp")), vec![]),
            ("none", Some(("a", "tcp")), vec![]),
        ] {
            let found: Vec<u16> = ports.those(asked).iter().map(|port| port.number).collect();
            assert_eq!(found, want, "{name}");
        }
    }
}
