//! Endpoints, the older form of EndpointSlices: deprecated, and still written by hand for Services without a selector.

use super::checks::{
    PROTOCOLS, ip, judged, list, non_special_ip, one_of, optional, port_number, required, text,
};
use super::{fill, name_of, names};
use crate::{Cell, Column, ErrorList, TypedKind, age};
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};

const SHOWN: usize = 3; // upstream's printer; "+ n more..." stands for the rest

impl TypedKind for Endpoints {
    const SINGULAR: &'static str = "endpoints";
    const PLURAL: &'static str = "endpoints";
    const CREATED_BY_UPDATE: bool = true;
    const SHORT_NAMES: &'static [&'static str] = &["ep"];
    const DEPRECATION: Option<&'static str> =
        Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Endpoints", "string", "Addresses and ports"), Column::AGE];

    fn set_defaults(&mut self) {
        for port in self.subsets.iter_mut().flatten().flat_map(|s| s.ports.iter_mut().flatten()) {
            fill::text(&mut port.protocol, "TCP");
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        for (index, subset) in list(&self.subsets).iter().enumerate() {
            validate_subset(subset, &format!("subsets[{index}]"), errors);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let subsets = || self.subsets.iter().flatten();
        let mut each: Vec<String> = Vec::new();
        for subset in subsets() {
            for port in subset.ports.iter().flatten() {
                let at = subset.addresses.iter().flatten();
                each.extend(at.map(|address| format!("{}:{}", address.ip, port.port)));
            }
        }
        let text = match each.len() {
            0 => "<none>".to_owned(),
            n if n > SHOWN => format!("{} + {} more...", each[..SHOWN].join(","), n - SHOWN),
            _ => each.join(","),
        };
        vec![name_of(&self.metadata), text.into(), age(self.metadata.creation_timestamp.as_ref(), now)]
    }
}

fn validate_subset(subset: &EndpointSubset, at: &str, errors: &mut ErrorList) {
    let (ready, other) = (list(&subset.addresses), list(&subset.not_ready_addresses));
    if ready.is_empty() && other.is_empty() {
        errors.required(at, "must specify `addresses` or `notReadyAddresses`");
    }
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", other)] {
        for (index, address) in addresses.iter().enumerate() {
            validate_address(address, &format!("{at}.{field}[{index}]"), errors);
        }
    }
    let ports = list(&subset.ports);
    for (index, port) in ports.iter().enumerate() {
        validate_port(port, ports.len() > 1, &format!("{at}.ports[{index}]"), errors);
    }
}

/// The cluster's traffic goes there: never to the host itself, nor to its link.
fn validate_address(address: &EndpointAddress, at: &str, errors: &mut ErrorList) {
    ip(&address.ip, format_args!("{at}.ip"), errors);
    optional(names::dns_label, text(&address.hostname), format_args!("{at}.hostname"), errors);
    if let Some(node) = &address.node_name {
        judged(names::dns_subdomain, node, format_args!("{at}.nodeName"), errors);
    }
    non_special_ip(&address.ip, format_args!("{at}.ip"), errors);
}

fn validate_port(port: &EndpointPort, must_be_named: bool, at: &str, errors: &mut ErrorList) {
    let name = text(&port.name);
    if must_be_named || !name.is_empty() {
        required(names::dns_label, name, format_args!("{at}.name"), errors);
    }
    port_number(port.port, format_args!("{at}.port"), errors);
    one_of(text(&port.protocol), &PROTOCOLS, format_args!("{at}.protocol"), errors);
    if let Some(protocol) = &port.app_protocol {
        judged(names::qualified, protocol, format_args!("{at}.appProtocol"), errors);
    }
}
