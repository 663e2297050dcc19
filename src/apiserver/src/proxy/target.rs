//! Where a proxied request goes: the names of the path (`[SCHEME:]NAME[:PORT]`), the port and the address behind them, and
//! which addresses nobody is led to. Pure; upstream's `ResourceLocation` of pods, services and nodes.

use api::Status;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kinds::endpoints::{condition, holds_names, may_be_led_to};
use kinds::pod as ask;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// What the path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name<'p> {
    pub(super) scheme: Scheme,
    pub(super) name: &'p str,
    /// A number, or of a service also a name; empty where the path gives none.
    pub(super) port: &'p str,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) address: SocketAddr,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl<'p> Name<'p> {
    /// `what` is `pod`, `service` or `node`.
    ///
    /// # Errors
    /// `BadRequest`.
    pub(super) fn parse(text: &'p str, what: &str) -> Result<Self, Status> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => ("?", "", ""),
        };
        let scheme = match scheme {
            "" | "http" => Some(Scheme::Http),
            "https" => Some(Scheme::Https),
            _ => None,
        };
        match scheme {
            Some(scheme) if !name.is_empty() => Ok(Name { scheme, name, port }),
            _ => Err(Status::bad_request(format!("invalid {what} request {text:?}"))),
        }
    }

    fn number(&self) -> Result<Option<u16>, Status> {
        match self.port {
            "" => Ok(None),
            text => match text.parse() {
                Ok(port @ 1..) => Ok(Some(port)),
                _ => Err(Status::bad_request(format!("invalid port {text:?}"))),
            },
        }
    }

    fn at(&self, address: IpAddr, port: Option<u16>) -> Target {
        let port = port.unwrap_or_else(|| self.scheme.default_port());
        Target { scheme: self.scheme, address: SocketAddr::new(address, port) }
    }
}

/// What may be reached through the API server: never the loopback device or the link of the machine that it runs on.
fn proxyable(address: &str) -> Result<IpAddr, Status> {
    let parsed: Option<IpAddr> = address.parse().ok();
    parsed.filter(|address| may_be_led_to(*address)).ok_or_else(|| Status::bad_request("address not allowed"))
}

/// The addresses at which the pod itself answers. One that has ended still says which it had; by now it may be that of a pod of
/// somebody else, who is reached from here past every NetworkPolicy.
pub(super) fn addresses_of(pod: &Pod) -> impl Iterator<Item = &str> {
    let status = pod.status.as_ref().filter(|_| !ask::is_terminal(pod) && is_on_node(pod));
    let all = status.and_then(|status| status.pod_ips.as_deref()).unwrap_or_default();
    all.iter().map(|address| address.ip.as_str())
}

fn is_on_node(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty())
}

/// Without a port, the first that a container declares.
///
/// # Errors
/// `ServiceUnavailable` for a pod that has ended or is on no node; `BadRequest` for one without an address, or with one that
/// nobody is led to.
pub(super) fn of_pod(name: &Name<'_>, pod: &Pod) -> Result<Target, Status> {
    if ask::is_terminal(pod) {
        let phase = ask::phase(pod);
        return Err(unavailable(format!("cannot proxy to a completed pod; current phase is {phase}")));
    }
    let address = proxyable(pod.status.as_ref().and_then(|s| s.pod_ip.as_deref()).unwrap_or_default())?;
    let containers = pod.spec.iter().flat_map(|spec| spec.containers.iter());
    let mut first = containers.filter_map(|container| container.ports.as_ref()?.first());
    let declared = || first.next().and_then(|port| u16::try_from(port.container_port).ok());
    let port = name.number()?.or_else(declared);
    if !is_on_node(pod) {
        return Err(unavailable(format!("pod {} does not have a host assigned", name.name)));
    }
    Ok(name.at(address, port))
}

/// # Errors
/// `BadRequest` for an address that nobody is led to.
pub(super) fn of_node(name: &Name<'_>, node: &Node) -> Result<Target, Status> {
    let status = node.status.as_ref();
    let addresses = status.and_then(|s| s.addresses.as_deref()).unwrap_or_default();
    let internal = addresses.iter().find(|address| address.type_ == "InternalIP");
    let address = proxyable(internal.map_or("", |address| address.address.as_str()))?;
    let kubelet = status
        .and_then(|s| s.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref())
        .and_then(|endpoint| u16::try_from(endpoint.port).ok())
        .filter(|port| *port != 0)
        .unwrap_or(KUBELET);
    // the kubelet speaks TLS whatever the path says
    Ok(match name.number()? {
        Some(port) if port != kubelet => name.at(address, Some(port)),
        _ => Target { scheme: Scheme::Https, address: SocketAddr::new(address, kubelet) },
    })
}

/// Where a kubelet is that does not say.
const KUBELET: u16 = 10250;
pub(super) const KUBELET_PORT: &str = "10250";

/// The name of the port, as endpoints have it.
///
/// # Errors
/// `ServiceUnavailable` for a number that the service has not.
pub(super) fn port_of_service<'s>(name: &Name<'s>, service: &'s Service) -> Result<&'s str, Status> {
    let Ok(number) = name.port.parse::<i64>() else { return Ok(name.port) };
    let mut ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let found = ports.find(|port| i64::from(port.port) == number);
    let Some(port) = found else {
        let message = format!("no service port {number} found for service {:?}", name.name);
        return Err(unavailable(message));
    };
    Ok(port.name.as_deref().unwrap_or_default())
}

/// Which endpoints of a Service may be led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoints {
    /// Pods of the Service's namespace, at their own addresses: what a client of the proxy is led to nobody has written by hand.
    OfPods,
    /// All: what the cluster itself asks was written down by somebody who may do so.
    Any,
}

/// The ready endpoints. `addresses_of` gives the addresses of a pod.
pub(super) fn of_service(
    name: &Name<'_>,
    port: &str,
    namespace: &str,
    slices: &[EndpointSlice],
    which: Endpoints,
    addresses_of: impl Fn(&str) -> Vec<String>,
) -> Vec<Target> {
    let own_addresses = |endpoint: &Endpoint| {
        let pod = endpoint.target_ref.as_ref().filter(|pod| pod.namespace.as_deref() == Some(namespace));
        pod.map(|pod| addresses_of(pod.name.as_deref().unwrap_or_default())).unwrap_or_default()
    };
    let mut found = Vec::new();
    for slice in slices.iter().filter(|slice| !holds_names(slice)) {
        let mut ports = slice.ports.iter().flatten();
        let number = ports.find(|p| p.name.as_deref().unwrap_or_default() == port).and_then(|p| p.port);
        let Some(number) = number.and_then(|number| u16::try_from(number).ok()) else { continue };
        for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| condition(endpoint).ready) {
            let own = match which {
                Endpoints::Any => endpoint.addresses.clone(),
                Endpoints::OfPods => own_addresses(endpoint),
            };
            let named = endpoint.addresses.iter().filter(|address| own.contains(address));
            found.extend(named.filter_map(|at| Some(name.at(proxyable(at).ok()?, Some(number)))));
        }
    }
    found
}

pub(super) fn unavailable(message: impl Into<String>) -> Status {
    Status::new(api::Reason::ServiceUnavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_may_carry_a_scheme_and_a_port() {
        use Scheme::{Http, Https};
        let cases = [
            ("web", Some((Http, "web", ""))),
            ("web:", Some((Http, "web", ""))),
            ("web:80", Some((Http, "web", "80"))),
            ("web:metrics", Some((Http, "web", "metrics"))),
            ("http:web:80", Some((Http, "web", "80"))),
            ("https:web:", Some((Https, "web", ""))),
            ("https:web:443", Some((Https, "web", "443"))),
            (":web:80", Some((Http, "web", "80"))),
            ("ftp:web:21", None),
            ("", None),
            (":80", None),
            ("a:b:c:d", None),
        ];
        for (text, want) in cases {
            let got = Name::parse(text, "pod");
            match want {
                Some((scheme, name, port)) => assert_eq!(got.unwrap(), Name { scheme, name, port }, "{text}"),
                None => {
                    let words = format!("invalid pod request {text:?}");
                    assert_eq!(got.unwrap_err().message, words);
                }
            }
        }
    }

    #[test]
    fn nobody_is_led_to_the_machine_itself() {
        let cases = [
            ("10.244.0.7", true),
            ("192.168.1.5", true),
            ("fd00::7", true),
            ("127.0.0.1", false),
            ("127.8.8.8", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("169.254.169.254", false),
            ("fe80::1", false),
            ("::ffff:169.254.169.254", false),
            ("0.0.0.0", false),
            ("::", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("", false),
            ("localhost", false),
        ];
        for (address, may) in cases {
            let got = proxyable(address);
            assert_eq!(got.is_ok(), may, "{address}");
            if let Err(status) = got {
                assert_eq!((status.code, status.message.as_str()), (400, "address not allowed"), "{address}");
            }
        }
    }

    #[test]
    fn a_pod_is_reached_at_the_port_that_is_asked_or_declared() {
        let pod = |ports: serde_json::Value| -> Pod {
            let containers = json!([{"name": "a"}, {"name": "b", "ports": ports}]);
            serde_json::from_value(json!({
                "metadata": {"name": "web"}, "spec": {"nodeName": "n", "containers": containers},
                "status": {"podIP": "10.1.0.5"},
            }))
            .unwrap()
        };
        let ports = || json!([{"containerPort": 8080}, {"containerPort": 9090}]);
        let cases = [
            ("web", ports(), "10.1.0.5:8080"),
            ("web:9090", ports(), "10.1.0.5:9090"),
            ("web", json!([]), "10.1.0.5:80"),
            ("https:web:", json!([]), "10.1.0.5:443"),
        ];
        for (text, ports, want) in cases {
            let target = of_pod(&Name::parse(text, "pod").unwrap(), &pod(ports)).unwrap();
            assert_eq!(target.address.to_string(), want, "{text}");
        }
        let none = of_pod(&Name::parse("web", "pod").unwrap(), &Pod::default());
        assert_eq!(none.unwrap_err().message, "address not allowed");
        let words = of_pod(&Name::parse("web:http", "pod").unwrap(), &pod(ports())).unwrap_err();
        assert_eq!(words.code, 400);
    }

    #[test]
    fn a_pod_that_has_ended_leads_nowhere() {
        let pod = |phase: &str, node: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "web"}, "spec": {"nodeName": node, "containers": [{"name": "a"}]},
                "status": {"phase": phase, "podIP": "10.1.0.5", "podIPs": [{"ip": "10.1.0.5"}]},
            }))
            .unwrap()
        };
        let cases = [
            ("Running", "n", None),
            ("Pending", "n", None),
            ("Succeeded", "n", Some("cannot proxy to a completed pod; current phase is Succeeded")),
            ("Failed", "n", Some("cannot proxy to a completed pod; current phase is Failed")),
            ("Pending", "", Some("pod web does not have a host assigned")),
        ];
        for (phase, node, refused) in cases {
            let pod = pod(phase, node);
            let got = of_pod(&Name::parse("web:80", "pod").unwrap(), &pod);
            let words = got.err().map(|status| (status.code, status.message));
            assert_eq!(words, refused.map(|words| (503, words.to_owned())), "{phase} on {node:?}");
            let own = addresses_of(&pod).count();
            assert_eq!(own, usize::from(refused.is_none()), "{phase} on {node:?}");
        }
    }

    #[test]
    fn a_node_is_its_kubelet_unless_another_port_is_asked() {
        let node: Node = serde_json::from_value(json!({"metadata": {"name": "n"}, "status": {"addresses": [
            {"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "192.0.2.9"},
        ]}}))
        .unwrap();
        let cases = [
            ("n", Scheme::Https, "192.0.2.9:10250"),
            ("n:10250", Scheme::Https, "192.0.2.9:10250"),
            ("n:8080", Scheme::Http, "192.0.2.9:8080"),
            ("https:n:8443", Scheme::Https, "192.0.2.9:8443"),
        ];
        for (text, scheme, want) in cases {
            let target = of_node(&Name::parse(text, "node").unwrap(), &node).unwrap();
            assert_eq!((target.scheme, target.address.to_string().as_str()), (scheme, want), "{text}");
        }
    }

    #[test]
    fn a_service_leads_to_pods_of_its_namespace_only() {
        let endpoint = |address: &str, namespace: &str, pod: &str, ready: bool| {
            json!({"addresses": [address], "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod}})
        };
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"name": "web-1"}, "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}, {"name": "metrics", "port": 9090}],
            "endpoints": [
                endpoint("10.1.0.5", "shop", "a", true),
                endpoint("10.1.0.6", "shop", "b", false),
                endpoint("10.1.0.7", "other", "a", true),
                endpoint("10.1.0.99", "shop", "a", true),
                {"addresses": ["10.1.0.8"], "conditions": {"ready": true}},
            ],
        }))
        .unwrap();
        let service: Service =
            serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": {"ports": [
                {"name": "http", "port": 80}, {"name": "metrics", "port": 90},
            ]}}))
            .unwrap();
        let addresses = |pod: &str| match pod {
            "a" => vec!["10.1.0.5".to_owned()],
            "b" => vec!["10.1.0.6".to_owned()],
            _ => Vec::new(),
        };
        let cases = [
            ("web:http", vec!["10.1.0.5:8080"]),
            ("web:80", vec!["10.1.0.5:8080"]),
            ("web:90", vec!["10.1.0.5:9090"]),
            ("web", vec![]),
            ("web:none", vec![]),
        ];
        for (text, want) in cases {
            let name = Name::parse(text, "service").unwrap();
            let port = port_of_service(&name, &service).unwrap();
            let found =
                of_service(&name, port, "shop", std::slice::from_ref(&slice), Endpoints::OfPods, addresses);
            assert_eq!(found.iter().map(Target::to_string).collect::<Vec<_>>(), want, "{text}");
        }
        let named = EndpointSlice { address_type: "FQDN".to_owned(), ..slice.clone() };
        let name = Name::parse("web:80", "service").unwrap();
        let port = port_of_service(&name, &service).unwrap();
        let found = of_service(&name, port, "shop", &[named], Endpoints::Any, addresses);
        assert!(found.is_empty(), "digits with dots are a name as well: {found:?}");
        let name = Name::parse("web:81", "service").unwrap();
        let refused = port_of_service(&name, &service).unwrap_err();
        let words = "no service port 81 found for service \"web\"";
        assert_eq!((refused.code, refused.message.as_str()), (503, words));
    }
}
