//! Ports of a node that pods want for themselves: upstream's `HostPortInfo`. Pure.

use k8s_openapi::api::core::v1::{ContainerPort, Pod};
use std::collections::{HashMap, HashSet};

/// A port of every address: a container's that names none, and what is said so.
const EVERYWHERE: [&str; 2] = ["0.0.0.0", "::"];

/// Of one pod or of many. A pod may list thousands, and so may each of those that are there already: they are looked up by
/// protocol, number and address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostPorts(HashMap<String, Numbers>);

/// By number, at which addresses.
type Numbers = HashMap<i32, HashSet<String>>;

impl HostPorts {
    /// Of its containers and sidecars; in the node's own network each of their ports is one.
    pub fn of(pod: &Pod) -> Self {
        let containers = pod.spec.iter().flat_map(crate::pod::lasting_containers);
        let mut ports = HostPorts::default();
        containers.flat_map(|container| container.ports.iter().flatten()).for_each(|port| ports.insert(port));
        ports
    }

    fn insert(&mut self, port: &ContainerPort) {
        let Some(number) = port.host_port.filter(|number| *number != 0) else { return };
        let address = port.host_ip.clone().filter(|address| !address.is_empty());
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        let addresses = self.0.entry(protocol).or_default().entry(number).or_default();
        addresses.insert(address.unwrap_or_else(|| EVERYWHERE[0].to_owned()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What another pod has as well.
    pub fn add(&mut self, other: &HostPorts) {
        for (protocol, numbers) in &other.0 {
            let known = self.0.entry(protocol.clone()).or_default();
            for (number, addresses) in numbers {
                known.entry(*number).or_default().extend(addresses.iter().cloned());
            }
        }
    }

    /// Whether there is one that only one of both can have. It takes as long as the fewer are.
    pub fn conflict(&self, other: &HostPorts) -> bool {
        self.0
            .iter()
            .any(|(protocol, numbers)| other.0.get(protocol).is_some_and(|others| meet(numbers, others)))
    }
}

fn meet(one: &Numbers, other: &Numbers) -> bool {
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    few.iter().any(|(number, addresses)| {
        many.get(number).is_some_and(|others| {
            is_everywhere(addresses) || is_everywhere(others) || !addresses.is_disjoint(others)
        })
    })
}

fn is_everywhere(addresses: &HashSet<String>) -> bool {
    EVERYWHERE.iter().any(|address| addresses.contains(*address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(ports: &Value) -> Pod {
        serde_json::from_value(json!({"spec": {"containers": [{"name": "c", "ports": ports}]}})).unwrap()
    }

    fn port(protocol: &str, address: &str, number: i32) -> Value {
        json!({"containerPort": 1, "protocol": protocol, "hostIP": address, "hostPort": number})
    }

    #[test]
    fn only_one_has_a_port() {
        let web = || port("TCP", "", 80);
        let at = |address: &str| port("TCP", address, 80);
        for (name, one, other, want) in [
            ("none", json!([]), json!([web()]), false),
            ("the same", json!([web()]), json!([web()]), true),
            ("without a protocol", json!([{"containerPort": 1, "hostPort": 80}]), json!([web()]), true),
            ("another number", json!([web()]), json!([port("TCP", "", 81)]), false),
            ("another protocol", json!([web()]), json!([port("UDP", "", 80)]), false),
            ("no port of the host", json!([port("TCP", "", 0)]), json!([port("TCP", "", 0)]), false),
            ("at one address", json!([at("192.0.2.1")]), json!([at("192.0.2.1")]), true),
            ("at another address", json!([at("192.0.2.1")]), json!([at("192.0.2.2")]), false),
            ("at every address", json!([at("192.0.2.1")]), json!([at("0.0.0.0")]), true),
            ("at every address, of IPv6 too", json!([at("192.0.2.1")]), json!([at("::")]), true),
            (
                "one of many",
                json!([at("192.0.2.1"), at("192.0.2.2"), port("UDP", "", 53)]),
                json!([at("192.0.2.2"), port("TCP", "", 53)]),
                true,
            ),
            ("none of many", json!([at("192.0.2.1"), at("192.0.2.2")]), json!([at("192.0.2.3")]), false),
        ] {
            let (one, other) = (HostPorts::of(&pod(&one)), HostPorts::of(&pod(&other)));
            assert_eq!(one.conflict(&other), want, "{name}");
            assert_eq!(other.conflict(&one), want, "{name}, the other way round");
        }
    }

    #[test]
    fn several_pods_have_what_each_has() {
        let mut taken = HostPorts::default();
        assert!(taken.is_empty());
        let pods = [port("TCP", "192.0.2.1", 80), port("TCP", "192.0.2.2", 80), port("UDP", "", 53)];
        let pods = pods.map(|port| HostPorts::of(&pod(&json!([port]))));
        pods.iter().for_each(|ports| taken.add(ports));
        assert!(pods.iter().all(|ports| taken.conflict(ports)));
        assert!(!taken.conflict(&HostPorts::of(&pod(&json!([port("TCP", "192.0.2.3", 80)])))));
    }

    #[test]
    fn only_what_runs_beside_the_containers_has_one() {
        let ports = json!([port("TCP", "", 80)]);
        let of = |init: Value| -> HostPorts {
            let pod = json!({"spec": {"containers": [], "initContainers": [init]}});
            HostPorts::of(&serde_json::from_value(pod).unwrap())
        };
        assert!(of(json!({"name": "i", "ports": ports})).is_empty());
        assert!(!of(json!({"name": "s", "restartPolicy": "Always", "ports": ports})).is_empty());
    }

    /// Two that meet nowhere, or in one: pair by pair it would be ninety thousand million comparisons.
    #[test]
    fn many_ports_are_no_product() {
        let many = |first: i32| -> HostPorts {
            let ports: Vec<Value> = (first..first + 30_000).map(|number| port("TCP", "", number)).collect();
            HostPorts::of(&pod(&Value::Array(ports)))
        };
        let (one, other, last) = (many(1), many(30_001), many(30_000));
        for _ in 0..100 {
            assert!(!one.conflict(&other) && one.conflict(&last));
        }
    }
}
