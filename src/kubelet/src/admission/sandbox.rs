//! What a pod may ask of its sandbox and this node does not give: upstream fails to create the sandbox then, says so with
//! an event (`FailedCreatePodSandBox`) and tries again, because another version of the node may be able to.

use crate::config::OwnPort;
use crate::pod;
use cri::{HostPort, Protocol};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::node::v1::RuntimeClass;
use std::net::IpAddr;

pub fn refusal(pod: &Pod, ports: &[HostPort], own: &[OwnPort]) -> Option<String> {
    let spec = pod::spec(pod);
    if spec.host_users == Some(false) {
        return Some(
            "can't set `spec.hostUsers: false`, runtime does not support user namespaces".to_owned(),
        );
    }
    taken(ports, own)
}

/// What a class's `handler` may say: there is one runtime here.
const HANDLER: &str = "runc";

/// Why the pod can not run in what its class wants, which must be there.
pub fn without_runtime(name: &str, class: Option<&RuntimeClass>) -> Option<String> {
    match class {
        None => Some(format!("runtimeclass.node.k8s.io {name:?} not found")),
        Some(class) if class.handler != HANDLER => {
            let handler = &class.handler;
            Some(format!("failed to get sandbox runtime: no runtime for {handler:?} is configured"))
        }
        Some(_) => None,
    }
}

/// A host port is led to the pod by the kernel, before any listener: it would take the node's own port away from everybody.
fn taken(ports: &[HostPort], own: &[OwnPort]) -> Option<String> {
    let everywhere = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
    let meet = |port: &HostPort, own: &OwnPort| {
        port.protocol == own.protocol
            && port.host_port == own.port
            && (everywhere(port.host_ip) || everywhere(own.address) || port.host_ip == own.address)
    };
    let (port, own) = ports.iter().find_map(|port| Some((port, own.iter().find(|own| meet(port, own))?)))?;
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    Some(format!("host port {}/{protocol} is already taken by {}", port.host_port, own.of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn isolation_that_is_not_given_is_refused() {
        let cases = [
            ("nothing", json!({}), None),
            ("the host's users", json!({"hostUsers": true}), None),
            (
                "users of its own",
                json!({"hostUsers": false}),
                Some("can't set `spec.hostUsers: false`, runtime does not support user namespaces"),
            ),
        ];
        for (name, mut spec, want) in cases {
            spec["containers"] = json!([]);
            let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
            assert_eq!(refusal(&pod, &[], &[]).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn a_class_wants_the_runtime_that_there_is() {
        let class = |handler: &str| -> Option<RuntimeClass> {
            serde_json::from_value(json!({"metadata": {"name": "c"}, "handler": handler})).ok()
        };
        for (name, class, want) in [
            ("gone", None, Some("runtimeclass.node.k8s.io \"c\" not found")),
            ("ours", class("runc"), None),
            (
                "another",
                class("gvisor"),
                Some("failed to get sandbox runtime: no runtime for \"gvisor\" is configured"),
            ),
        ] {
            assert_eq!(without_runtime("c", class.as_ref()).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn the_nodes_own_ports_stay_its_own() {
        let own = [
            OwnPort { protocol: Protocol::Tcp, address: None, port: 8443, of: "the API server" },
            OwnPort {
                protocol: Protocol::Tcp,
                address: "127.0.0.1".parse().ok(),
                port: 9000,
                of: "the dashboard",
            },
        ];
        let port = |host_ip: Option<&str>, host_port, protocol| HostPort {
            protocol,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port,
            container_port: 80,
        };
        let api = Some("host port 8443/tcp is already taken by the API server");
        let dashboard = Some("host port 9000/tcp is already taken by the dashboard");
        let cases = [
            ("another", port(None, 80, Protocol::Tcp), None),
            ("another protocol", port(None, 8443, Protocol::Udp), None),
            ("on every address", port(None, 8443, Protocol::Tcp), api),
            ("on any address of both", port(Some("::"), 8443, Protocol::Tcp), api),
            ("on one address", port(Some("192.0.2.1"), 8443, Protocol::Tcp), api),
            ("on every address, one taken", port(None, 9000, Protocol::Tcp), dashboard),
            ("on that address", port(Some("127.0.0.1"), 9000, Protocol::Tcp), dashboard),
            ("beside that address", port(Some("192.0.2.1"), 9000, Protocol::Tcp), None),
        ];
        for (name, asked, want) in cases {
            assert_eq!(taken(&[asked], &own).as_deref(), want, "{name}");
        }
    }
}
