//! EndpointSlices: addresses of one family, their ports, zones and hints, within upstream's bounds. The family stays.

use super::checks::{PROTOCOLS, immutable, judged, list, non_special_ip, one_of, optional, text};
use super::service_warnings::not_canonical;
use super::{fill, name_of, names};
use crate::{Cell, Column, ErrorList, TypedKind, age};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointPort, EndpointSlice};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

const ADDRESS_TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
// upstream's bounds, of one slice and of each endpoint
const MOST_ENDPOINTS: usize = 1000;
const MOST_ADDRESSES: usize = 100;
const MOST_TOPOLOGY_LABELS: usize = 16;
const MOST_PORTS: usize = 20_000;
const MOST_HINTS: usize = 8;

impl TypedKind for EndpointSlice {
    const SINGULAR: &'static str = "endpointslice";
    const PLURAL: &'static str = "endpointslices";
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("AddressType", "string", "Kind of the addresses"),
        Column::new("Ports", "string", "Ports of every endpoint"),
        Column::new("Endpoints", "string", "Addresses"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        for port in self.ports.iter_mut().flatten() {
            fill::text(&mut port.protocol, "TCP");
            port.name.get_or_insert_default();
        }
    }
    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.endpoints != old.endpoints || self.ports != old.ports
    }
    fn validate(&self, errors: &mut ErrorList) {
        one_of(&self.address_type, &ADDRESS_TYPES, "addressType", errors);
        let (endpoints, ports) = (list(&self.endpoints), list(&self.ports));
        if endpoints.len() > MOST_ENDPOINTS {
            errors.too_many("endpoints", endpoints.len(), MOST_ENDPOINTS);
        } else {
            for (index, endpoint) in endpoints.iter().enumerate() {
                validate_endpoint(endpoint, &self.address_type, &format!("endpoints[{index}]"), errors);
            }
        }
        if ports.len() > MOST_PORTS {
            errors.too_many("ports", ports.len(), MOST_PORTS);
        } else {
            validate_ports(ports, errors);
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        immutable(&self.address_type, &old.address_type, "addressType", errors);
    }
    fn warnings(&self, old: Option<&Self>) -> Vec<String> {
        let is_deprecated = self.address_type == "FQDN" && old.is_none();
        // upstream places it where the field does not stand
        let of_type = is_deprecated.then(|| "spec.addressType: FQDN endpoints are deprecated".to_owned());
        let mut warnings = Vec::from_iter(of_type);
        for (index, endpoint) in list(&self.endpoints).iter().enumerate() {
            for (position, address) in endpoint.addresses.iter().enumerate() {
                let at = format!("endpoints[{index}].addresses[{position}]");
                warnings.extend(not_canonical(&at, address));
            }
        }
        warnings
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let ports: Vec<String> =
            self.ports.iter().flatten().filter_map(|p| p.port.map(|port| port.to_string())).collect();
        let at: Vec<&str> =
            self.endpoints.iter().flatten().flat_map(|e| e.addresses.iter().map(String::as_str)).collect();
        let shorten = |each: &[&str]| match each.len() {
            0 => "<unset>".to_owned(),
            n if n > 3 => format!("{} + {} more...", each[..3].join(","), n - 3),
            _ => each.join(","),
        };
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        vec![
            name_of(&self.metadata),
            self.address_type.clone().into(),
            shorten(&ports).into(),
            shorten(&at).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

fn validate_endpoint(endpoint: &Endpoint, kind: &str, at: &str, errors: &mut ErrorList) {
    let addresses = &endpoint.addresses;
    if addresses.is_empty() {
        errors.required(format_args!("{at}.addresses"), "must contain at least 1 address");
    } else if addresses.len() > MOST_ADDRESSES {
        errors.too_many(format_args!("{at}.addresses"), addresses.len(), MOST_ADDRESSES);
    }
    for (index, address) in addresses.iter().enumerate() {
        validate_address(address, kind, &format!("{at}.addresses[{index}]"), errors);
    }
    if let Some(labels) = &endpoint.deprecated_topology {
        if labels.len() > MOST_TOPOLOGY_LABELS {
            let at = format!("{at}.deprecatedTopology");
            errors.too_many(at, labels.len(), MOST_TOPOLOGY_LABELS);
        }
        crate::meta::labels(Some(labels), &format!("{at}.deprecatedTopology"), errors);
    }
    if let Some(hostname) = &endpoint.hostname {
        judged(names::dns_label, hostname, format_args!("{at}.hostname"), errors);
    }
    if let Some(node) = &endpoint.node_name {
        judged(names::dns_subdomain, node, format_args!("{at}.nodeName"), errors);
    }
    endpoint.hints.iter().for_each(|hints| validate_hints(hints, &format!("{at}.hints"), errors));
}

fn validate_address(address: &str, kind: &str, at: &str, errors: &mut ErrorList) {
    match kind {
        "IPv4" => {
            if address.parse::<Ipv4Addr>().is_err() {
                errors.invalid(at, address, "must be a valid IPv4 address");
            }
            non_special_ip(address, at, errors);
        }
        "IPv6" => {
            // an IPv4 address dressed up is one of the other family
            if address.parse::<Ipv6Addr>().map_or(true, |ip| ip.to_ipv4_mapped().is_some()) {
                errors.invalid(at, address, "must be a valid IPv6 address");
            }
            non_special_ip(address, at, errors);
        }
        "FQDN" if address.is_empty() => errors.required(at, ""),
        "FQDN" => judged(names::fully_qualified, address, at, errors),
        _ => {}
    }
}

fn validate_hints(hints: &EndpointHints, at: &str, errors: &mut ErrorList) {
    let zones: Vec<&str> = list(&hints.for_zones).iter().map(|zone| zone.name.as_str()).collect();
    let nodes: Vec<&str> = list(&hints.for_nodes).iter().map(|node| node.name.as_str()).collect();
    let judges: [fn(&str) -> names::Verdict; 2] = [names::label_value, names::dns_subdomain];
    for ((field, each), judge) in [("forZones", zones), ("forNodes", nodes)].into_iter().zip(judges) {
        let at = format!("{at}.{field}");
        if each.len() > MOST_HINTS {
            errors.too_many(&at, each.len(), MOST_HINTS);
            continue;
        }
        let mut seen = BTreeSet::new();
        for (index, name) in each.into_iter().enumerate() {
            let at = format!("{at}[{index}].name");
            judged(judge, name, &at, errors);
            if !seen.insert(name) {
                errors.duplicate(&at, name);
            }
        }
    }
}

fn validate_ports(ports: &[EndpointPort], errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let (at, name) = (format!("ports[{index}]"), text(&port.name));
        optional(names::dns_label, name, format_args!("{at}.name"), errors);
        if !seen.insert(name) {
            errors.duplicate(format_args!("{at}.name"), name);
        }
        one_of(text(&port.protocol), &PROTOCOLS, format_args!("{at}.protocol"), errors);
        if let Some(protocol) = &port.app_protocol {
            judged(names::qualified, protocol, format_args!("{at}.appProtocol"), errors);
        }
    }
}
