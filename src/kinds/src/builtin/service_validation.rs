//! Upstream's `ValidateService`: which fields go with which type; beside it, which [`addresses`] a Service may claim, and what there
//! is to a [`load_balancer`].

mod addresses;
mod load_balancer;

use super::checks::{
    PROTOCOLS, among_if_set, ip, judged, list, non_special_ip, one_of, port, port_number, required, text,
};
use super::names;
use crate::ErrorList;
use crate::annotations::{SOURCE_RANGES, TOPOLOGY_HINTS};
use addresses::{addresses_stay, cluster_addresses};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec, SessionAffinityConfig};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use load_balancer::{balancer, source_ranges};
pub(super) use load_balancer::{balancer_entry, balancer_status};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const AFFINITIES: [&str; 2] = ["ClientIP", "None"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];
const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameNode", "PreferSameZone"];
/// Ports, and ports times each list of what they are reached at or by. Upstream has no bound but the size of an object, in
/// which both lists have thousands: whatever carries out what the Service says makes the product of them.
const MOST_COMBINATIONS: usize = 10_000;
const LONGEST_AFFINITY: i32 = 86400; // a day
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";

pub(super) fn is_headless(spec: &ServiceSpec) -> bool {
    text(&spec.cluster_ip) == "None"
}

/// The node, or an address of the machine's network, leads to it.
pub(super) fn is_externally_accessible(spec: &ServiceSpec) -> bool {
    match text(&spec.type_) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(&spec.external_ips).is_empty(),
        _ => false,
    }
}

/// A balancer that must know which nodes have a pod asks them there.
pub(super) fn needs_health_check(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "LoadBalancer" && text(&spec.external_traffic_policy) == "Local"
}

pub(super) fn validate(service: &Service, errors: &mut ErrorList) {
    let none = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&none);
    let notes = service.metadata.annotations.as_ref();
    topology(notes, errors);
    let ports = list(&spec.ports);
    if ports.is_empty() && !is_headless(spec) && text(&spec.type_) != "ExternalName" {
        errors.required("spec.ports", "");
    }
    of_type(spec, errors);
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        one_port(port, ports.len() > 1, &mut seen, &format!("spec.ports[{index}]"), errors);
    }
    crate::meta::labels(spec.selector.as_ref(), "spec.selector", errors);
    affinity(spec, errors);
    cluster_addresses(spec, errors);
    for (index, address) in list(&spec.external_ips).iter().enumerate() {
        let at = format!("spec.externalIPs[{index}]");
        ip(address, &at, errors);
        non_special_ip(address, &at, errors);
    }
    one_of(text(&spec.type_), &TYPES, "spec.type", errors);
    node_ports(spec, errors);
    twice(ports, errors);
    source_ranges(spec, notes, errors);
    combinations(spec, notes, errors);
    balancer(spec, errors);
    traffic(spec, errors);
}

fn combinations(spec: &ServiceSpec, notes: Option<&BTreeMap<String, String>>, errors: &mut ErrorList) {
    let ports = list(&spec.ports).len();
    if ports > MOST_COMBINATIONS {
        return errors.too_many("spec.ports", ports, MOST_COMBINATIONS);
    }
    let ranges = list(&spec.load_balancer_source_ranges).len();
    let noted = notes.and_then(|notes| notes.get(SOURCE_RANGES)).filter(|_| ranges == 0);
    for (field, count) in [
        ("spec.externalIPs".to_owned(), list(&spec.external_ips).len()),
        ("spec.LoadBalancerSourceRanges".to_owned(), ranges),
        (format!("metadata.annotations[{SOURCE_RANGES}]"), noted.map_or(0, |noted| noted.split(',').count())),
    ] {
        if ports.saturating_mul(count) > MOST_COMBINATIONS {
            errors.too_many(field, count, MOST_COMBINATIONS / ports);
        }
    }
}

fn topology(notes: Option<&BTreeMap<String, String>>, errors: &mut ErrorList) {
    let Some(notes) = notes else { return };
    if let (Some(mode), Some(hints)) = (notes.get(TOPOLOGY_MODE), notes.get(TOPOLOGY_HINTS))
        && mode != hints
    {
        errors.invalid(
            format_args!("metadata.annotations[{TOPOLOGY_MODE}]"),
            mode.as_str(),
            format_args!("must match annotations[{TOPOLOGY_HINTS}] when both are specified"),
        );
    }
}

fn of_type(spec: &ServiceSpec, errors: &mut ErrorList) {
    match text(&spec.type_) {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec) => {
            let why = format!("may not be set to 'None' for {kind} services");
            errors.invalid("spec.clusterIPs[0]", "None", why);
        }
        "ExternalName" => {
            for (field, is_set) in [
                ("clusterIPs", !list(&spec.cluster_ips).is_empty()),
                ("ipFamilies", !list(&spec.ip_families).is_empty()),
                ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
            ] {
                if is_set {
                    let why = "may not be set for ExternalName services";
                    errors.forbidden(format_args!("spec.{field}"), why);
                }
            }
            // the last dot says that the name is whole
            let name = text(&spec.external_name);
            let name = name.strip_suffix('.').unwrap_or(name);
            required(names::dns_subdomain, name, "spec.externalName", errors);
        }
        _ => {}
    }
}

fn one_port<'s>(
    given: &'s ServicePort,
    must_be_named: bool,
    seen: &mut BTreeSet<&'s str>,
    at: &str,
    errors: &mut ErrorList,
) {
    let name = text(&given.name);
    if must_be_named || !name.is_empty() {
        required(names::dns_label, name, format_args!("{at}.name"), errors);
    }
    if !name.is_empty() && !seen.insert(name) {
        errors.duplicate(format_args!("{at}.name"), name);
    }
    port_number(given.port, format_args!("{at}.port"), errors);
    one_of(text(&given.protocol), &PROTOCOLS, format_args!("{at}.protocol"), errors);
    let target = given.target_port.clone().unwrap_or(IntOrString::Int(0));
    port(&target, format_args!("{at}.targetPort"), errors);
    if let Some(protocol) = &given.app_protocol {
        judged(names::qualified, protocol, format_args!("{at}.appProtocol"), errors);
    }
}

fn affinity(spec: &ServiceSpec, errors: &mut ErrorList) {
    let kind = text(&spec.session_affinity);
    one_of(kind, &AFFINITIES, "spec.sessionAffinity", errors);
    let config = spec.session_affinity_config.as_ref();
    match kind {
        "ClientIP" => client_affinity(config, "spec.sessionAffinityConfig", errors),
        "None" if config.is_some() => {
            errors.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")
        }
        _ => {}
    }
}

fn client_affinity(config: Option<&SessionAffinityConfig>, at: &str, errors: &mut ErrorList) {
    let why = "when session affinity type is ClientIP";
    let Some(config) = config else { return errors.required(at, why) };
    let Some(client) = &config.client_ip else {
        return errors.required(format_args!("{at}.clientIP"), why);
    };
    let field = format!("{at}.clientIP.timeoutSeconds");
    match client.timeout_seconds {
        None => errors.required(field, why),
        Some(seconds) if !(1..=LONGEST_AFFINITY).contains(&seconds) => {
            let why = format!("must be greater than 0 and less than {LONGEST_AFFINITY}");
            errors.invalid(field, seconds, why);
        }
        Some(_) => {}
    }
}

fn node_ports(spec: &ServiceSpec, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for (index, port) in list(&spec.ports).iter().enumerate() {
        let Some(number) = port.node_port.filter(|number| *number != 0) else { continue };
        let at = format!("spec.ports[{index}].nodePort");
        if text(&spec.type_) == "ClusterIP" {
            errors.forbidden(&at, "may not be used when `type` is 'ClusterIP'");
        }
        if !seen.insert((text(&port.protocol), number)) {
            errors.duplicate(&at, number);
        }
    }
}

fn twice(ports: &[ServicePort], errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if !seen.insert((text(&port.protocol), port.port)) {
            let key = json!({"protocol": port.protocol, "port": port.port});
            errors.duplicate(format_args!("spec.ports[{index}]"), key);
        }
    }
}

fn traffic(spec: &ServiceSpec, errors: &mut ErrorList) {
    let external = text(&spec.external_traffic_policy);
    if is_externally_accessible(spec) {
        one_of(external, &POLICIES, "spec.externalTrafficPolicy", errors);
    } else if !external.is_empty() {
        let why = "may only be set for externally-accessible services";
        errors.invalid("spec.externalTrafficPolicy", external, why);
    }
    let health = spec.health_check_node_port.unwrap_or(0);
    if health != 0 && !needs_health_check(spec) {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.invalid("spec.healthCheckNodePort", health, why);
    } else if health != 0 {
        port_number(health, "spec.healthCheckNodePort", errors);
    }
    let internal = spec.internal_traffic_policy.as_deref();
    match internal {
        None if ["ClusterIP", "LoadBalancer", "NodePort"].contains(&text(&spec.type_)) => {
            errors.required("spec.internalTrafficPolicy", "");
        }
        internal => among_if_set(internal, &POLICIES, "spec.internalTrafficPolicy", errors),
    }
    let distribution = spec.traffic_distribution.as_deref();
    among_if_set(distribution, &DISTRIBUTIONS, "spec.trafficDistribution", errors);
}

/// Addresses stay while they are there; so do a balancer's class and its health check.
pub(super) fn update(new: &ServiceSpec, old: &ServiceSpec, errors: &mut ErrorList) {
    let both = |is: fn(&ServiceSpec) -> bool| is(new) && is(old);
    if both(|spec| text(&spec.type_) != "ExternalName") {
        addresses_stay(new, old, errors);
    }
    if both(|spec| text(&spec.type_) == "LoadBalancer") && new.load_balancer_class != old.load_balancer_class
    {
        let class = json!(new.load_balancer_class);
        errors.invalid("spec.loadBalancerClass", class, "may not change once set");
    }
    if both(needs_health_check) && new.health_check_node_port != old.health_check_node_port {
        errors.forbidden("spec.healthCheckNodePort", "field is immutable");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TypedKind;

    #[test]
    fn ports_are_not_too_many_for_what_they_are_reached_at() {
        let service = |ports: usize, addresses: usize, ranges: usize, noted: usize| -> Service {
            let port = |n: usize| json!({"name": format!("p{n}"), "port": n});
            let address = |n: usize| format!("198.18.{}.{}", n / 250, n % 250);
            let ranges: Vec<String> = (0..ranges).map(|n| format!("{}/32", address(n))).collect();
            let noted: Vec<String> = (0..noted).map(|n| format!("{}/32", address(n))).collect();
            let mut service: Service = serde_json::from_value(json!({
                "metadata": {"name": "s", "annotations": {SOURCE_RANGES: noted.join(",")}},
                "spec": {
                    "type": "LoadBalancer",
                    "ports": (1..=ports).map(port).collect::<Vec<_>>(),
                    "externalIPs": (0..addresses).map(address).collect::<Vec<_>>(),
                    "loadBalancerSourceRanges": ranges,
                },
            }))
            .unwrap();
            service.set_defaults();
            service
        };
        let (addresses, ranges) = ("spec.externalIPs", "spec.LoadBalancerSourceRanges");
        let noted = format!("metadata.annotations[{SOURCE_RANGES}]");
        for (name, given, want) in [
            ("one port at many addresses", service(1, 10_000, 0, 0), vec![]),
            ("many ports", service(10_000, 1, 1, 0), vec![]),
            ("both", service(100, 100, 100, 0), vec![]),
            (
                "too many ports",
                service(10_001, 0, 0, 0),
                vec!["spec.ports: Too many: 10001: must have at most 10000 items".to_owned()],
            ),
            (
                "at too many addresses",
                service(5000, 2000, 0, 0),
                vec![format!("{addresses}: Too many: 2000: must have at most 2 items")],
            ),
            (
                "from too many ranges",
                service(8000, 0, 8000, 0),
                vec![format!("{ranges}: Too many: 8000: must have at most 1 item")],
            ),
            (
                "from too many, by annotation",
                service(101, 0, 0, 100),
                vec![format!("{noted}: Too many: 100: must have at most 99 items")],
            ),
        ] {
            let mut errors = ErrorList::default();
            validate(&given, &mut errors);
            let told: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(told, want, "{name}");
        }
    }
}
