//! Upstream's `ValidateNetworkPolicySpec` (`pkg/apis/networking/validation`).

use super::checks::{cidr, label_selector, list, port_number};
use super::names;
use crate::ErrorList;
use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(super) const INGRESS: &str = "Ingress";
pub(super) const EGRESS: &str = "Egress";
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const POLICY_TYPES: [&str; 2] = [INGRESS, EGRESS];

pub(super) fn validate(spec: &NetworkPolicySpec, errors: &mut ErrorList) {
    label_selector(spec.pod_selector.as_ref(), "spec.podSelector", errors);
    for (index, rule) in list(&spec.ingress).iter().enumerate() {
        let at = format!("spec.ingress[{index}]");
        ports(list(&rule.ports), &at, errors);
        peers(list(&rule.from), &format!("{at}.from"), errors);
    }
    for (index, rule) in list(&spec.egress).iter().enumerate() {
        let at = format!("spec.egress[{index}]");
        ports(list(&rule.ports), &at, errors);
        peers(list(&rule.to), &format!("{at}.to"), errors);
    }
    policy_types(list(&spec.policy_types), errors);
}

fn policy_types(types: &[String], errors: &mut ErrorList) {
    if types.len() > POLICY_TYPES.len() {
        let why = "may not specify more than two policyTypes";
        return errors.invalid("spec.policyTypes", serde_json::json!(types), why);
    }
    for (index, given) in
        types.iter().enumerate().filter(|(_, given)| !POLICY_TYPES.contains(&given.as_str()))
    {
        errors.not_supported(format_args!("spec.policyTypes[{index}]"), given.as_str(), &POLICY_TYPES);
    }
}

fn ports(ports: &[NetworkPolicyPort], at: &str, errors: &mut ErrorList) {
    for (index, given) in ports.iter().enumerate() {
        port(given, &format!("{at}.ports[{index}]"), errors);
    }
}

fn port(given: &NetworkPolicyPort, at: &str, errors: &mut ErrorList) {
    if let Some(protocol) = given.protocol.as_deref().filter(|protocol| !PROTOCOLS.contains(protocol)) {
        errors.not_supported(format_args!("{at}.protocol"), protocol, &PROTOCOLS);
    }
    let (field, end_field) = (format!("{at}.port"), format!("{at}.endPort"));
    match (&given.port, given.end_port) {
        (None, None) => {}
        (None, Some(end)) => {
            errors.invalid(end_field, end, "may not be specified when `port` is not specified");
        }
        (Some(IntOrString::Int(first)), end) => {
            port_number(*first, field, errors);
            if let Some(end) = end {
                if end < *first {
                    errors.invalid(&end_field, end, "must be greater than or equal to `port`");
                }
                port_number(end, end_field, errors);
            }
        }
        (Some(IntOrString::String(name)), end) => {
            if let Some(end) = end {
                errors.invalid(end_field, end, "may not be specified when `port` is non-numeric");
            }
            super::checks::judged(names::port_name, name, field, errors);
        }
    }
}

fn peers(peers: &[NetworkPolicyPeer], at: &str, errors: &mut ErrorList) {
    for (index, given) in peers.iter().enumerate() {
        peer(given, &format!("{at}[{index}]"), errors);
    }
}

fn peer(given: &NetworkPolicyPeer, at: &str, errors: &mut ErrorList) {
    label_selector(given.pod_selector.as_ref(), &format!("{at}.podSelector"), errors);
    label_selector(given.namespace_selector.as_ref(), &format!("{at}.namespaceSelector"), errors);
    let selects = given.pod_selector.is_some() || given.namespace_selector.is_some();
    match &given.ip_block {
        None if !selects => errors.required(at, "must specify a peer"),
        None => {}
        Some(given) => {
            block(given, &format!("{at}.ipBlock"), errors);
            if selects {
                errors.forbidden(at, "may not specify both ipBlock and another peer");
            }
        }
    }
}

fn block(given: &IPBlock, at: &str, errors: &mut ErrorList) {
    let field = format!("{at}.cidr");
    if given.cidr.is_empty() {
        return errors.required(field, "");
    }
    cidr(&given.cidr, field, errors);
    // what is no range was told
    let Ok(range) = given.cidr.parse::<IpNet>() else { return };
    for (index, text) in list(&given.except).iter().enumerate() {
        let field = format!("{at}.except[{index}]");
        cidr(text, &field, errors);
        let Ok(except) = text.parse::<IpNet>() else { continue };
        if !range.contains(&except.network()) || range.prefix_len() >= except.prefix_len() {
            errors.invalid(field, text.as_str(), "must be a strict subset of `cidr`");
        }
    }
}
