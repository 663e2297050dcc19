//! One Service and its EndpointSlices become frontends: the ClusterIP, node ports, external addresses, each with where it
//! leads.

use crate::endpoints::{Backends, Endpoints};
use crate::{OwnAddresses, Right, Wanted};
use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kinds::annotations::SOURCE_RANGES;
use kinds::endpoints::HEADLESS;
use net::{Action, Frontend, Protocol, SharedSet};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::iter;
use std::net::Ipv4Addr;

/// Services that another proxy wants to itself.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
const AFFINITY_SECONDS: i32 = 10_800; // upstream's default: three hours

/// Elements of the kernel's sets that one service may take. Upstream limits neither ports nor addresses of a Service; the API
/// refuses the product of both where it is too large, and what is stored, or comes by many endpoints, ends here.
const MOST_OF_SERVICE: usize = 1 << 16;
/// Addresses in slices that are looked at for all ports of a service, whether they take traffic or not.
const MOST_ADDRESSES: usize = 1 << 18;

/// What a service becomes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    pub frontends: Vec<Wanted>,
    /// How many elements of the kernel's sets they are.
    pub size: usize,
    /// How many of the ports are not among them, or not at each address: the last ones, where there are too many.
    pub ports_left_out: usize,
}

impl Rendered {
    /// False where there is no room for it.
    fn add(&mut self, wanted: Wanted) -> bool {
        let size = self.size + wanted.action.elements();
        if size > MOST_OF_SERVICE {
            return false;
        }
        self.size = size;
        self.frontends.push(wanted);
        true
    }
}

/// The frontends of one service, given all slices that carry its name. Pure. A headless service has none, nor has an
/// ExternalName: names lead to them, not packets.
pub fn render<S: Borrow<EndpointSlice>>(
    service: &Service,
    slices: &[S],
    node: &str,
    own: &OwnAddresses,
) -> Rendered {
    let mut rendered = Rendered::default();
    let Some(spec) = service.spec.as_ref() else { return rendered };
    let Some(cluster_ip) = cluster_ip(spec).filter(|_| is_proxied(service)) else { return rendered };
    let external = external_addresses(service, spec, own);
    let affinity = affinity(spec);
    let sources = sources(service, spec);
    let ports = spec.ports.as_deref().unwrap_or_default();
    let mut endpoints = Endpoints::of(slices, ports, node);
    for (index, port) in ports.iter().enumerate() {
        let (Some(protocol), Some(number)) = (protocol(port), number(port.port)) else { continue };
        let backends = endpoints.of_port(port);
        let want = |address, port, right, action| Wanted {
            frontend: Frontend { address, protocol, port },
            right,
            action,
        };
        let inside = action(&backends, is_local(&spec.internal_traffic_policy), affinity, false);
        let keeps_client = is_local(&spec.external_traffic_policy);
        let outside = action(&backends, keeps_client, affinity, !keeps_client);
        let of_addresses = external.iter().map(|(address, right)| {
            let action = match (right, &sources) {
                (Right::Balanced, Some(sources)) => {
                    Action::Restrict { sources: sources.clone(), then: Box::new(outside.clone()) }
                }
                _ => outside.clone(),
            };
            want(Some(*address), number, *right, action)
        });
        let node_port = port.node_port.and_then(self::number).filter(|_| has_node_ports(spec));
        let of_node = node_port.map(|number| want(None, number, Right::Allocated, outside.clone()));
        let mut of_port = iter::once(want(Some(cluster_ip), number, Right::Allocated, inside))
            .chain(of_addresses)
            .chain(of_node);
        // one by one: what there is no room for is not made
        let fits = endpoints.looked_at() <= MOST_ADDRESSES && of_port.all(|wanted| rendered.add(wanted));
        if !fits {
            rendered.ports_left_out = ports.len() - index;
            break;
        }
    }
    rendered
}

/// Has an address, and is not left to another.
pub(crate) fn is_proxied(service: &Service) -> bool {
    let labels = service.metadata.labels.as_ref();
    let left_to_others = labels.is_some_and(|l| l.contains_key(OTHER_PROXY) || l.contains_key(HEADLESS));
    !left_to_others && service.spec.as_ref().is_some_and(|spec| cluster_ip(spec).is_some())
}

fn cluster_ip(spec: &ServiceSpec) -> Option<Ipv4Addr> {
    let has_one = spec.type_.as_deref() != Some("ExternalName");
    spec.cluster_ip.as_deref().filter(|_| has_one)?.parse().ok()
}

fn has_node_ports(spec: &ServiceSpec) -> bool {
    matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"))
}

/// Whether its frontends may have addresses that the cluster did not give it itself.
pub(crate) fn has_external_addresses(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    let asks = spec.and_then(|spec| spec.external_ips.as_ref()).is_some_and(|ips| !ips.is_empty());
    asks || service.status.as_ref().is_some_and(|status| status.load_balancer.is_some())
}

/// Asked for by the service itself, or given to it. Only the status says that a balancer's address is in use; one whose
/// mode is `Proxy` belongs to something that delivers to the node port.
fn external_addresses(
    service: &Service,
    spec: &ServiceSpec,
    own: &OwnAddresses,
) -> BTreeMap<Ipv4Addr, Right> {
    let asked = spec.external_ips.iter().flatten().map(|ip| (ip.as_str(), Right::Asked));
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress =
        balancer.filter(|_| spec.type_.as_deref() == Some("LoadBalancer")).and_then(|b| b.ingress.as_ref());
    let given = ingress.into_iter().flatten().filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"));
    let given = given.filter_map(|ingress| Some((ingress.ip.as_deref()?, Right::Balanced)));
    // the better right is the later, and stays
    let all = asked.chain(given).filter_map(|(ip, right)| Some((ip.parse::<Ipv4Addr>().ok()?, right)));
    all.filter(|(address, _)| own.may_be_external(*address)).collect()
}

/// Who may come to a balancer's addresses: pods and this machine like everybody else. `None` is everybody. One that is not of
/// IPv4 lets nobody in here, and whoever names only such ones has closed it: upstream's proxy leaves it open then.
fn sources(service: &Service, spec: &ServiceSpec) -> Option<SharedSet<Ipv4Net>> {
    let ranges: Vec<&str> = match spec.load_balancer_source_ranges.as_deref() {
        Some(ranges) if !ranges.is_empty() => ranges.iter().map(String::as_str).collect(),
        _ => {
            let noted = service.metadata.annotations.as_ref()?.get(SOURCE_RANGES)?.trim();
            Some(noted).filter(|noted| !noted.is_empty())?.split(',').collect()
        }
    };
    let ranges = ranges.into_iter().filter_map(|range| range.trim().parse().ok()).collect();
    let ranges = Ipv4Net::aggregate(&ranges);
    (ranges != [Ipv4Net::default()]).then(|| ranges.into_iter().collect())
}

fn is_local(policy: &Option<String>) -> bool {
    policy.as_deref() == Some("Local")
}

fn affinity(spec: &ServiceSpec) -> Option<u32> {
    let client_ip = spec.session_affinity.as_deref() == Some("ClientIP");
    let configured = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = configured.and_then(|client_ip| client_ip.timeout_seconds).unwrap_or(AFFINITY_SECONDS);
    client_ip.then_some(u32::try_from(seconds).unwrap_or(0).max(1))
}

/// A client hears at once that nobody is there. Where there is somebody, but not on this node and the service wants
/// only that, the packet vanishes: another node may answer.
fn action(backends: &Backends, local_only: bool, affinity: Option<u32>, masquerade: bool) -> Action {
    let chosen = if local_only { &backends.local } else { &backends.all };
    match (chosen.is_empty(), backends.all.is_empty()) {
        (false, _) => Action::Forward { backends: chosen.clone(), affinity, masquerade },
        (true, false) => Action::Drop,
        (true, true) => Action::Reject,
    }
}

fn protocol(port: &ServicePort) -> Option<Protocol> {
    match port.protocol.as_deref().unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}
