//! What a Service says without effect, or in a way that will go: upstream's `pkg/api/service/warnings.go`.

use crate::annotations::TOPOLOGY_HINTS;
use k8s_openapi::api::core::v1::{Service, ServiceSpec};

const EXTERNAL_NAME: &str = "ExternalName";

pub(super) fn of_service(service: &Service) -> Vec<String> {
    let mut warnings = Vec::new();
    if service.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(TOPOLOGY_HINTS)) {
        warnings.push(format!(
            "annotation {TOPOLOGY_HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
        ));
    }
    if let Some(spec) = &service.spec {
        of_spec(spec, &mut warnings);
    }
    warnings
}

fn of_spec(spec: &ServiceSpec, warnings: &mut Vec<String>) {
    let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
    let is_headless = kind == "ClusterIP" && spec.cluster_ip.as_deref() == Some("None");
    let set = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
    let has_external_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    for (index, address) in spec.cluster_ips.iter().flatten().enumerate() {
        warnings.extend(not_canonical(&format!("spec.clusterIPs[{index}]"), address));
    }
    if is_headless && set(&spec.load_balancer_ip) {
        warnings.push("spec.loadBalancerIP is ignored for headless services".to_owned());
    }
    if is_headless && has_external_ips {
        warnings.push("spec.externalIPs is ignored for headless services".to_owned());
    }
    if is_headless && spec.session_affinity.as_deref().is_some_and(|affinity| affinity != "None") {
        warnings.push("spec.SessionAffinity is ignored for headless services".to_owned());
    }
    if has_external_ips && !is_headless && kind != EXTERNAL_NAME {
        warnings.push(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned(),
        );
    }
    for (index, address) in spec.external_ips.iter().flatten().enumerate() {
        warnings.extend(not_canonical(&format!("spec.externalIPs[{index}]"), address));
    }
    if let Some(address) = &spec.load_balancer_ip {
        warnings.extend(not_canonical("spec.loadBalancerIP", address));
    }
    for (index, range) in spec.load_balancer_source_ranges.iter().flatten().enumerate() {
        warnings.extend(odd_range(&format!("spec.loadBalancerSourceRanges[{index}]"), range));
    }
    if kind == EXTERNAL_NAME && has_external_ips {
        warnings.push(format!("spec.externalIPs is ignored when spec.type is {EXTERNAL_NAME:?}"));
    }
    if kind != EXTERNAL_NAME && set(&spec.external_name) {
        warnings.push(format!("spec.externalName is ignored when spec.type is not {EXTERNAL_NAME:?}"));
    }
    if spec.traffic_distribution.as_deref() == Some("PreferClose") {
        warnings.push(
            r#"spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone""#.to_owned(),
        );
    }
}

/// Whoever compares addresses as texts takes `2001:DB8::1` for another than `2001:db8::1`.
pub(super) fn not_canonical(field: &str, address: &str) -> Option<String> {
    let canonical = address.parse::<std::net::Ipv6Addr>().ok()?.to_string();
    (canonical != address).then(|| {
        format!("{field}: IPv6 address {address:?} should be in RFC 5952 canonical format ({canonical:?})")
    })
}

/// Upstream's `GetWarningsForCIDR`, of what is one.
pub(super) fn odd_range(field: &str, range: &str) -> Option<String> {
    ambiguous_range(field, range).or_else(|| other_spelling(field, range))
}

fn other_spelling(field: &str, range: &str) -> Option<String> {
    let range = range.trim();
    let (address, length) = range.split_once('/')?;
    let address: std::net::Ipv6Addr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    // IPv4 dressed up as IPv6 has 96 bits before it
    if let (Some(four), Some(length)) = (address.to_ipv4_mapped(), length.checked_sub(96)) {
        return Some(format!(
            "{field}: non-standard CIDR value {range:?} will be considered invalid in a future Kubernetes release: use \
             \"{four}/{length}\""
        ));
    }
    let canonical = format!("{address}/{length}");
    (canonical != range).then(|| {
        format!("{field}: IPv6 CIDR value {range:?} should be in RFC 5952 canonical format ({canonical:?})")
    })
}

/// `10.0.0.1/24`: the network, or the one address?
fn ambiguous_range(field: &str, range: &str) -> Option<String> {
    let (address, length) = range.trim().split_once('/')?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    let (bits, masked): (u32, std::net::IpAddr) = match address {
        std::net::IpAddr::V4(ip) => (32, cut_v4(ip, length)?.into()),
        std::net::IpAddr::V6(ip) => (128, cut_v6(ip, length)?.into()),
    };
    (masked != address).then(|| {
        format!(
            "{field}: CIDR value {range:?} is ambiguous in this context (should be \"{masked}/{length}\" or \"{address}/{bits}\"?)"
        )
    })
}

fn cut_v4(ip: std::net::Ipv4Addr, length: u32) -> Option<std::net::Ipv4Addr> {
    let host = 32u32.checked_sub(length)?;
    let mask = u32::MAX.checked_shl(host).unwrap_or(0);
    Some((ip.to_bits() & mask).into())
}

fn cut_v6(ip: std::net::Ipv6Addr, length: u32) -> Option<std::net::Ipv6Addr> {
    let host = 128u32.checked_sub(length)?;
    let mask = u128::MAX.checked_shl(host).unwrap_or(0);
    Some((ip.to_bits() & mask).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_has_no_effect_is_said() {
        let cases: &[(Value, &[&str])] = &[
            (json!({"type": "ClusterIP", "ports": [{"port": 80}]}), &[]),
            (
                json!({"type": "ClusterIP", "clusterIP": "None", "externalIPs": ["1.2.3.4"], "loadBalancerIP": "1.2.3.4", "sessionAffinity": "ClientIP"}),
                &[
                    "spec.loadBalancerIP is ignored for headless services",
                    "spec.externalIPs is ignored for headless services",
                    "spec.SessionAffinity is ignored for headless services",
                ],
            ),
            (
                json!({"type": "NodePort", "externalIPs": ["1.2.3.4"], "externalName": "x"}),
                &[
                    "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
                    "spec.externalName is ignored when spec.type is not \"ExternalName\"",
                ],
            ),
            (
                json!({"type": "LoadBalancer", "clusterIPs": ["10.0.0.1", "2001:DB8::1"], "loadBalancerIP": "2001:db8:0::2"}),
                &[
                    "spec.clusterIPs[1]: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")",
                    "spec.loadBalancerIP: IPv6 address \"2001:db8:0::2\" should be in RFC 5952 canonical format (\"2001:db8::2\")",
                ],
            ),
            (
                json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["2001:db8::/32", "2001:DB8:0::/32", "::ffff:192.0.2.0/120"]}),
                &[
                    "spec.loadBalancerSourceRanges[1]: IPv6 CIDR value \"2001:DB8:0::/32\" should be in RFC 5952 canonical format (\"2001:db8::/32\")",
                    "spec.loadBalancerSourceRanges[2]: non-standard CIDR value \"::ffff:192.0.2.0/120\" will be considered invalid in a future Kubernetes release: use \"192.0.2.0/24\"",
                ],
            ),
            (
                json!({"type": "ExternalName", "externalName": "x", "externalIPs": ["1.2.3.4"]}),
                &["spec.externalIPs is ignored when spec.type is \"ExternalName\""],
            ),
            (
                json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8", "10.0.0.1/24", "0.0.0.0/0"], "trafficDistribution": "PreferClose"}),
                &[
                    "spec.loadBalancerSourceRanges[1]: CIDR value \"10.0.0.1/24\" is ambiguous in this context (should be \"10.0.0.0/24\" or \"10.0.0.1/32\"?)",
                    "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
                ],
            ),
        ];
        for (spec, want) in cases {
            let service: Service = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            assert_eq!(of_service(&service), *want, "{spec}");
        }
    }
}
