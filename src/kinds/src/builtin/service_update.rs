//! What an update of a Service leaves out and means to keep, and what a change of its type takes away: upstream's
//! `patchAllocatedValues` and `dropTypeDependentFields` (`pkg/registry/core/service`).

use super::service_validation::{is_externally_accessible, needs_health_check};
use k8s_openapi::api::core::v1::ServiceSpec;
use std::collections::{BTreeMap, BTreeSet};

/// Before what is wanted is validated. What a client has changed itself is left for validation to refuse.
pub(super) fn prepare(new: &mut ServiceSpec, old: &ServiceSpec) {
    keep_allocated(new, old);
    drop_what_the_type_has_not(new, old);
}

/// A client that does not know what was allocated does not give it back.
fn keep_allocated(new: &mut ServiceSpec, old: &ServiceSpec) {
    if has_cluster_ip(new) && has_cluster_ip(old) {
        if is_empty(&new.cluster_ip) {
            new.cluster_ip.clone_from(&old.cluster_ip);
        }
        if new.cluster_ips.as_ref().is_none_or(Vec::is_empty) && new.cluster_ip == old.cluster_ip {
            new.cluster_ips.clone_from(&old.cluster_ips);
        }
    }
    if has_node_ports(new) && has_node_ports(old) {
        keep_node_ports(new, old);
    }
    if needs_health_check(new) && needs_health_check(old) && new.health_check_node_port.unwrap_or(0) == 0 {
        new.health_check_node_port = old.health_check_node_port;
    }
}

/// By the name of the port; all else of it may have changed.
fn keep_node_ports(new: &mut ServiceSpec, old: &ServiceSpec) {
    let known: BTreeMap<String, i32> = old
        .ports
        .iter()
        .flatten()
        .filter_map(|port| Some((port.name.clone().unwrap_or_default(), port.node_port.filter(|p| *p != 0)?)))
        .collect();
    let used: BTreeSet<i32> = node_ports(new);
    for port in new.ports.iter_mut().flatten().filter(|port| port.node_port.unwrap_or(0) == 0) {
        let before = known.get(port.name.as_deref().unwrap_or_default());
        if let Some(before) = before.filter(|number| !used.contains(number)) {
            port.node_port = Some(*before);
        }
    }
}

fn drop_what_the_type_has_not(new: &mut ServiceSpec, old: &ServiceSpec) {
    if has_cluster_ip(old) && !has_cluster_ip(new) {
        let same_first = is_empty(&new.cluster_ip) || new.cluster_ip == old.cluster_ip;
        if same_first && same_or_none(&new.cluster_ips, &old.cluster_ips) {
            (new.cluster_ip, new.cluster_ips) = (None, None);
        }
        take_if_same(&mut new.ip_families, &old.ip_families);
        take_if_same(&mut new.ip_family_policy, &old.ip_family_policy);
    }
    // ports may come, go and change, as long as no node port is asked for anew
    if has_node_ports(old) && !has_node_ports(new) && node_ports(new).is_subset(&node_ports(old)) {
        new.ports.iter_mut().flatten().for_each(|port| port.node_port = None);
    }
    if needs_health_check(old) && !needs_health_check(new) {
        take_if_same(&mut new.health_check_node_port, &old.health_check_node_port);
    }
    if is(old, "LoadBalancer") && !is(new, "LoadBalancer") {
        take_if_same(&mut new.load_balancer_class, &old.load_balancer_class);
        new.allocate_load_balancer_node_ports = None;
    }
    if is_externally_accessible(old) && !is_externally_accessible(new) {
        take_if_same(&mut new.external_traffic_policy, &old.external_traffic_policy);
    }
}

fn is(spec: &ServiceSpec, kind: &str) -> bool {
    spec.type_.as_deref().unwrap_or("ClusterIP") == kind
}

fn has_cluster_ip(spec: &ServiceSpec) -> bool {
    !is(spec, "ExternalName")
}

/// A load balancer's that shall have none keep those that they have until they are taken out by hand, as upstream says.
fn has_node_ports(spec: &ServiceSpec) -> bool {
    is(spec, "NodePort") || is(spec, "LoadBalancer")
}

fn node_ports(spec: &ServiceSpec) -> BTreeSet<i32> {
    spec.ports.iter().flatten().filter_map(|port| port.node_port.filter(|number| *number != 0)).collect()
}

fn is_empty(text: &Option<String>) -> bool {
    text.as_deref().unwrap_or_default().is_empty()
}

fn same_or_none(new: &Option<Vec<String>>, old: &Option<Vec<String>>) -> bool {
    new.as_ref().is_none_or(Vec::is_empty) || new == old
}

fn take_if_same<T: PartialEq>(new: &mut Option<T>, old: &Option<T>) {
    if new == old {
        *new = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_was_allocated_stays_or_goes_with_the_type() {
        let node_port = json!({"type": "NodePort", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Cluster",
            "ports": [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]});
        let balancer = json!({"type": "LoadBalancer", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
            "externalTrafficPolicy": "Local", "healthCheckNodePort": 30009, "loadBalancerClass": "x", "allocateLoadBalancerNodePorts": true,
            "ports": [{"name": "a", "port": 80, "nodePort": 30001}]});
        let with = |base: &Value, changes: Value| {
            let mut changed = base.clone();
            changed.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            changed.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            changed
        };
        let ports = |numbers: [Option<i32>; 2]| json!([{"name": "a", "port": 80, "nodePort": numbers[0]}, {"name": "b", "port": 81, "nodePort": numbers[1]}]);
        let cases: &[(&str, &Value, Value, Value)] = &[
            (
                "nothing is said",
                &node_port,
                json!({"type": "NodePort", "externalTrafficPolicy": "Cluster", "ports": [{"name": "b", "port": 8081}, {"name": "c", "port": 82}]}),
                json!({"type": "NodePort", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "externalTrafficPolicy": "Cluster",
                    "ports": [{"name": "b", "port": 8081, "nodePort": 30002}, {"name": "c", "port": 82}]}),
            ),
            (
                "a node port that went to another port",
                &node_port,
                with(&node_port, json!({"ports": ports([None, Some(30001)])})),
                with(&node_port, json!({"ports": ports([None, Some(30001)])})),
            ),
            (
                "to ExternalName, all left as it was",
                &node_port,
                with(&node_port, json!({"type": "ExternalName", "externalName": "a.b"})),
                json!({"type": "ExternalName", "externalName": "a.b", "ports": ports([None, None])}),
            ),
            (
                "to ClusterIP",
                &node_port,
                with(&node_port, json!({"type": "ClusterIP"})),
                with(
                    &node_port,
                    json!({"type": "ClusterIP", "externalTrafficPolicy": null, "ports": ports([None, None])}),
                ),
            ),
            (
                "to ClusterIP with a node port of one's own",
                &node_port,
                with(
                    &node_port,
                    json!({"type": "ClusterIP", "externalTrafficPolicy": null, "ports": ports([Some(30005), None])}),
                ),
                with(
                    &node_port,
                    json!({"type": "ClusterIP", "externalTrafficPolicy": null, "ports": ports([Some(30005), None])}),
                ),
            ),
            (
                "from a load balancer to a node port",
                &balancer,
                with(&balancer, json!({"type": "NodePort"})),
                with(
                    &balancer,
                    json!({"type": "NodePort", "healthCheckNodePort": null, "loadBalancerClass": null, "allocateLoadBalancerNodePorts": null}),
                ),
            ),
            (
                "a load balancer's traffic policy",
                &balancer,
                with(&balancer, json!({"externalTrafficPolicy": "Cluster"})),
                with(&balancer, json!({"externalTrafficPolicy": "Cluster", "healthCheckNodePort": null})),
            ),
        ];
        for (name, old, new, want) in cases {
            let of = |value: &Value| serde_json::from_value::<ServiceSpec>(value.clone()).unwrap();
            let mut prepared = of(new);
            prepare(&mut prepared, &of(old));
            assert_eq!(prepared, of(want), "{name}");
        }
    }
}
