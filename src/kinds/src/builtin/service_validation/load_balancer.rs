//! What only a Service of the type LoadBalancer may say, and what its balancer says of itself.

use super::super::checks::{among_if_set, cidr, ip, judged, list, text};
use super::super::names;
use crate::ErrorList;
use crate::annotations::SOURCE_RANGES;
use k8s_openapi::api::core::v1::{LoadBalancerStatus, ServiceSpec};
use std::collections::BTreeMap;
use std::net::IpAddr;

const ONLY_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";
const IP_MODES: [&str; 2] = ["Proxy", "VIP"];

pub(super) fn source_ranges(
    spec: &ServiceSpec,
    notes: Option<&BTreeMap<String, String>>,
    errors: &mut ErrorList,
) {
    let is_balancer = text(&spec.type_) == "LoadBalancer";
    let ranges = list(&spec.load_balancer_source_ranges);
    if !ranges.is_empty() {
        if !is_balancer {
            errors.forbidden("spec.LoadBalancerSourceRanges", ONLY_BALANCERS);
        }
        for (index, range) in ranges.iter().enumerate() {
            cidr(range.trim(), format_args!("spec.LoadBalancerSourceRanges[{index}]"), errors);
        }
    } else if let Some(ranges) = notes.and_then(|notes| notes.get(SOURCE_RANGES)) {
        let at = format!("metadata.annotations[{SOURCE_RANGES}]");
        if !is_balancer {
            errors.forbidden(&at, ONLY_BALANCERS);
        }
        for range in ranges.trim().split(',').filter(|_| !ranges.trim().is_empty()) {
            cidr(range.trim(), &at, errors);
        }
    }
}

pub(super) fn balancer(spec: &ServiceSpec, errors: &mut ErrorList) {
    let class = spec.load_balancer_class.as_deref();
    if text(&spec.type_) == "LoadBalancer" {
        if spec.allocate_load_balancer_node_ports.is_none() {
            errors.required("allocateLoadBalancerNodePorts", "");
        }
        if let Some(class) = class {
            judged(names::qualified, class, "spec.loadBalancerClass", errors);
        }
        return;
    }
    if spec.allocate_load_balancer_node_ports.is_some() {
        errors.forbidden("spec.allocateLoadBalancerNodePorts", ONLY_BALANCERS);
    }
    if class.is_some() {
        errors.forbidden("spec.loadBalancerClass", ONLY_BALANCERS);
    }
}

/// What a balancer says of itself, or an Ingress's controller.
pub(in crate::builtin) fn balancer_status(
    status: &LoadBalancerStatus,
    spec: &ServiceSpec,
    errors: &mut ErrorList,
) {
    let ingress = list(&status.ingress);
    if text(&spec.type_) != "LoadBalancer" && !ingress.is_empty() {
        let why = "may only be used when `spec.type` is 'LoadBalancer'";
        return errors.forbidden("status.loadBalancer.ingress", why);
    }
    for (index, entry) in ingress.iter().enumerate() {
        let at = format!("status.loadBalancer.ingress[{index}]");
        balancer_entry(text(&entry.ip), text(&entry.hostname), &at, errors);
        match entry.ip_mode.as_deref() {
            Some(_) if text(&entry.ip).is_empty() => {
                errors.forbidden(format_args!("{at}.ipMode"), "may not be specified when `ip` is not set")
            }
            mode => among_if_set(mode, &IP_MODES, format_args!("{at}.ipMode"), errors),
        }
    }
}

pub(in crate::builtin) fn balancer_entry(address: &str, hostname: &str, at: &str, errors: &mut ErrorList) {
    if !address.is_empty() {
        ip(address, format_args!("{at}.ip"), errors);
    }
    if !hostname.is_empty() {
        judged(names::dns_subdomain, hostname, format_args!("{at}.hostname"), errors);
        if hostname.parse::<IpAddr>().is_ok() {
            let why = "must be a DNS name, not an IP address";
            errors.invalid(format_args!("{at}.hostname"), hostname, why);
        }
    }
}
