//! The pods of a Service, those together in which its ports mean the same: upstream's port map. Pure.
//!
//! A Service may have tens of thousands of ports, and pods of its own making may each give their names to other numbers: then
//! each has a slice for itself, which repeats all of the ports. What all slices have is counted before they are made.

use super::{MOST_ENDPOINTS, Zones, endpoint_of};
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::Endpoint;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kinds::pod as ask;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Ports in all slices of a Service: what the service proxy takes of one, where each slice had one endpoint. Upstream bounds
/// only those of one slice.
const MOST_PORTS: usize = 65_536;

/// Pods in which the Service's ports mean the same.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    /// The numbers behind all of the Service's ports, in their order; `None` of what the pods do not have.
    pub(super) targets: Vec<Option<i32>>,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Grouped {
    /// In a stable order.
    pub(super) groups: Vec<Group>,
    /// How many pods there are no ports left for.
    pub(super) left_out: usize,
}

/// A name, and a protocol.
type Named<'a> = (&'a str, &'a str);

impl Grouped {
    pub(super) fn of(service: &Service, pods: &[Arc<Pod>], zones: &Zones) -> Self {
        Grouped::within(MOST_PORTS, service, pods, zones)
    }

    fn within(most: usize, service: &Service, pods: &[Arc<Pod>], zones: &Zones) -> Self {
        let named: HashSet<Named> = service_ports(service).filter_map(target_name).collect();
        let ports = service_ports(service).count();
        let mut groups: BTreeMap<BTreeMap<Named, i32>, Vec<Endpoint>> = BTreeMap::new();
        let (mut left, mut left_out) = (most, 0);
        for pod in pods {
            let Some(endpoint) = endpoint_of(pod, service, zones) else { continue };
            let numbers = numbers_of(pod, &named);
            let known = groups.get_mut(&numbers);
            let needs_slice = known.as_ref().is_none_or(|endpoints| endpoints.len() % MOST_ENDPOINTS == 0);
            let needed = if needs_slice { ports } else { 0 };
            let Some(rest) = left.checked_sub(needed) else {
                left_out += 1;
                continue;
            };
            left = rest;
            match known {
                Some(endpoints) => endpoints.push(endpoint),
                None => drop(groups.insert(numbers, vec![endpoint])),
            }
        }
        let group = |(numbers, endpoints)| Group { targets: targets_of(service, &numbers), endpoints };
        Grouped { groups: groups.into_iter().map(group).collect(), left_out }
    }
}

fn service_ports(service: &Service) -> impl Iterator<Item = &ServicePort> {
    service.spec.iter().flat_map(|spec| spec.ports.iter().flatten())
}

/// Those that a pod with these targets has.
pub(super) fn ports_at<'s>(
    service: &'s Service,
    targets: &'s [Option<i32>],
) -> impl Iterator<Item = (&'s ServicePort, i32)> {
    service_ports(service).zip(targets).filter_map(|(port, target)| Some((port, (*target)?)))
}

/// What a port of the Service is called in pods, where it is no number.
fn target_name(port: &ServicePort) -> Option<Named<'_>> {
    match &port.target_port {
        Some(IntOrString::String(name)) => Some((name.as_str(), port.protocol.as_deref().unwrap_or("TCP"))),
        _ => None,
    }
}

/// What the names are in the pod, in its containers before its sidecars; of several ports of the same name and protocol the first.
fn numbers_of<'p>(pod: &'p Pod, named: &HashSet<Named>) -> BTreeMap<Named<'p>, i32> {
    let mut numbers = BTreeMap::new();
    if named.is_empty() {
        return numbers;
    }
    let containers = pod.spec.iter().flat_map(ask::lasting_containers);
    for port in containers.flat_map(|container| container.ports.iter().flatten()) {
        let name = port.name.as_deref().map(|name| (name, port.protocol.as_deref().unwrap_or("TCP")));
        if let Some(name) = name.filter(|name| named.contains(name)) {
            numbers.entry(name).or_insert(port.container_port);
        }
    }
    numbers
}

fn targets_of(service: &Service, numbers: &BTreeMap<Named, i32>) -> Vec<Option<i32>> {
    let target = |port: &ServicePort| match (target_name(port), &port.target_port) {
        (Some(name), _) => numbers.get(&name).copied(),
        (None, Some(IntOrString::Int(number))) if *number != 0 => Some(*number),
        (None, _) => Some(port.port),
    };
    service_ports(service).map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use testkit::objects;

    fn service(ports: Value) -> Service {
        objects::service("web").spec(&json!({"ports": ports})).build()
    }

    fn pod(name: &str, ports: Value) -> Arc<Pod> {
        let made = objects::pod(name).spec(&json!({"containers": [{"name": "c", "ports": ports}]}));
        Arc::new(made.status(&json!({"podIP": "192.0.2.1"})).build())
    }

    fn port(name: &str, protocol: &str, number: i32) -> Value {
        json!({"name": name, "protocol": protocol, "containerPort": number})
    }

    /// The targets of each group, and how many pods are in it.
    fn sizes(grouped: &Grouped) -> Vec<(Vec<Option<i32>>, usize)> {
        grouped.groups.iter().map(|group| (group.targets.clone(), group.endpoints.len())).collect()
    }

    #[test]
    fn a_named_port_is_the_first_of_its_name_and_protocol() {
        let service = service(json!([
            {"name": "a", "port": 1, "targetPort": "dns", "protocol": "TCP"},
            {"name": "b", "port": 2, "targetPort": "dns", "protocol": "UDP"},
            {"name": "c", "port": 3, "targetPort": "http"},
            {"name": "d", "port": 4, "targetPort": "none"},
            {"name": "e", "port": 5, "targetPort": 9},
            {"name": "f", "port": 6},
        ]));
        let one = json!({"name": "a", "ports": [port("dns", "UDP", 53), port("http", "TCP", 80)]});
        let other = json!({"name": "b", "ports": [port("dns", "TCP", 5353), port("http", "TCP", 8080)]});
        let pod = objects::pod("a").spec(&json!({"containers": [one, other]}));
        let pod = Arc::new(pod.status(&json!({"podIP": "192.0.2.1"})).build());
        let grouped = Grouped::of(&service, &[pod], &Zones::new());
        let targets = vec![Some(5353), Some(53), Some(80), None, Some(9), Some(6)];
        assert_eq!(sizes(&grouped), [(targets, 1)]);
    }

    #[test]
    fn a_sidecar_has_ports_too() {
        let service = service(json!([
            {"name": "a", "port": 1, "targetPort": "http"},
            {"name": "b", "port": 2, "targetPort": "metrics"},
            {"name": "c", "port": 3, "targetPort": "setup"},
        ]));
        let main = json!({"name": "main", "ports": [port("http", "TCP", 80)]});
        let sidecar = json!({"name": "proxy", "restartPolicy": "Always",
            "ports": [port("http", "TCP", 8080), port("metrics", "TCP", 15020)]});
        let setup = json!({"name": "setup", "ports": [port("setup", "TCP", 7)]});
        let pod = objects::pod("a").spec(&json!({"initContainers": [setup, sidecar], "containers": [main]}));
        let pod = Arc::new(pod.status(&json!({"podIP": "192.0.2.1"})).build());
        let grouped = Grouped::of(&service, &[pod], &Zones::new());
        assert_eq!(sizes(&grouped), [(vec![Some(80), Some(15020), None], 1)]);
    }

    #[test]
    fn pods_are_together_where_the_ports_mean_the_same() {
        let service = service(json!([{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}]));
        let pods = [
            pod("a", json!([port("http", "TCP", 8080)])),
            pod("b", json!([port("http", "TCP", 9090)])),
            pod("c", json!([port("metrics", "TCP", 1), port("http", "TCP", 8080)])),
            pod("d", json!([port("http", "UDP", 8080)])),
        ];
        let want = [
            (vec![None, Some(8081)], 1),
            (vec![Some(8080), Some(8081)], 2),
            (vec![Some(9090), Some(8081)], 1),
        ];
        assert_eq!(sizes(&Grouped::of(&service, &pods, &Zones::new())), want);
    }

    #[test]
    fn ports_of_all_slices_are_bounded() {
        let service =
            service(json!([{"name": "a", "port": 1, "targetPort": "http"}, {"name": "b", "port": 2}]));
        let own = |n: usize| pod(&format!("own-{n}"), json!([port("http", "TCP", n as i32 + 1)]));
        let same = |n: usize| pod(&format!("same-{n}"), json!([port("http", "TCP", 7)]));
        let of = |make: &dyn Fn(usize) -> Arc<Pod>| (0..250).map(make).collect::<Vec<_>>();
        // (name, pods, room, groups, pods that are left out)
        for (name, pods, most, groups, left_out) in [
            ("each its own", of(&own), 500, 250, 0),
            ("of some there is no room for more", of(&own), 499, 249, 1),
            ("all the same: three slices", of(&same), 6, 1, 0),
            ("two slices", of(&same), 5, 1, 50),
        ] {
            let grouped = Grouped::within(most, &service, &pods, &Zones::new());
            assert_eq!((grouped.groups.len(), grouped.left_out), (groups, left_out), "{name}");
        }
    }
}
