//! What services become, against golden files, and that changes add up to the whole.

use api::ObjectKey;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use net::{Action, Frontend};
use proxy::{Claims, OwnAddresses, Wanted, render};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

const NODE: &str = "here";

fn service(spec: Value) -> Service {
    let usual = json!({ "type": "ClusterIP", "clusterIP": "10.96.0.50" });
    testkit::objects::service("web").port("http", "TCP", 80).spec(&usual).spec(&spec).build()
}

fn balanced(mut service: Service, ingress: Value) -> Service {
    service.status = serde_json::from_value(json!({ "loadBalancer": { "ingress": ingress } })).unwrap();
    service
}

fn labelled(mut service: Service, label: &str) -> Service {
    service.metadata.labels = Some([(label.to_owned(), "x".to_owned())].into());
    service
}

/// An endpoint: its last number, and conditions as letters (r ready, R not ready, s serving, S not serving,
/// t terminating), `@` for another node.
fn slice(port: Value, endpoints: &[&str]) -> EndpointSlice {
    let endpoint = |text: &&str| {
        let number: String = text.chars().filter(char::is_ascii_digit).collect();
        let said = |yes: char, no: char| match (text.contains(yes), text.contains(no)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        let conditions =
            json!({ "ready": said('r', 'R'), "serving": said('s', 'S'), "terminating": said('t', 'T') });
        let node = if text.contains('@') { "elsewhere" } else { NODE };
        json!({ "addresses": [format!("10.244.0.{number}")], "conditions": conditions, "nodeName": node })
    };
    let endpoints: Vec<Value> = endpoints.iter().map(endpoint).collect();
    let slice = json!({ "metadata": { "name": "web-1" }, "addressType": "IPv4", "ports": [port], "endpoints": endpoints });
    serde_json::from_value(slice).unwrap()
}

fn http() -> Value {
    json!({ "name": "http", "port": 8080, "protocol": "TCP" })
}

fn ipv6(mut slice: EndpointSlice) -> EndpointSlice {
    slice.address_type = "IPv6".into();
    slice
}

fn node_port(more: Value) -> Service {
    let mut spec =
        json!({ "type": "NodePort", "ports": [{ "name": "http", "port": 80, "nodePort": 30080 }] });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    service(spec)
}

/// With an address from outside, of which the ranges do not speak.
fn restricted(ranges: Value) -> Service {
    let spec = json!({ "type": "LoadBalancer", "loadBalancerSourceRanges": ranges, "externalIPs": ["198.51.100.7"] });
    balanced(node_port(spec), json!([{ "ip": "10.98.0.1" }]))
}

fn annotated(mut service: Service, ranges: &str) -> Service {
    let name = "service.beta.kubernetes.io/load-balancer-source-ranges".to_owned();
    service.metadata.annotations = Some([(name, ranges.to_owned())].into());
    service
}

fn cases() -> Vec<(&'static str, Service, Vec<EndpointSlice>)> {
    let two = || vec![slice(http(), &["7r", "5r"])];
    vec![
        ("cluster ip", service(json!({})), two()),
        ("no slice", service(json!({})), vec![]),
        ("nothing ready", service(json!({})), vec![slice(http(), &["5R", "6RS"])]),
        ("not said is ready", service(json!({})), vec![slice(http(), &["5"])]),
        ("ready before terminating", service(json!({})), vec![slice(http(), &["5Rst", "6r"])]),
        ("terminating where none is ready", service(json!({})), vec![slice(http(), &["5Rst", "6RSt", "7R"])]),
        ("two slices", service(json!({})), vec![slice(http(), &["5r", "6R"]), slice(http(), &["6r", "7r"])]),
        (
            "a named port that differs from pod to pod",
            service(json!({})),
            vec![slice(http(), &["5r"]), slice(json!({ "name": "http", "port": 9090 }), &["6r"])],
        ),
        (
            "another port's slice",
            service(json!({})),
            vec![slice(json!({ "name": "https", "port": 8443 }), &["5r"])],
        ),
        ("a slice of IPv6", service(json!({})), vec![ipv6(slice(http(), &["5r"]))]),
        (
            "several ports",
            service(json!({ "ports": [
                { "name": "http", "port": 80 }, { "name": "dns", "port": 53, "protocol": "UDP" }, { "name": "sip", "port": 5060, "protocol": "SCTP" },
            ] })),
            vec![
                slice(http(), &["5r"]),
                slice(json!({ "name": "dns", "port": 5353, "protocol": "UDP" }), &["5r"]),
                slice(json!({ "name": "sip", "port": 5060, "protocol": "SCTP" }), &["5r"]),
            ],
        ),
        ("headless", service(json!({ "clusterIP": "None" })), two()),
        (
            "external name",
            service(json!({ "type": "ExternalName", "clusterIP": null, "externalName": "a.b" })),
            two(),
        ),
        ("of another proxy", labelled(service(json!({})), "service.kubernetes.io/service-proxy-name"), two()),
        ("node port", node_port(json!({})), two()),
        ("node port of a ClusterIP service", node_port(json!({ "type": "ClusterIP" })), two()),
        ("node port, no endpoints", node_port(json!({})), vec![]),
        (
            "node port, local",
            node_port(json!({ "externalTrafficPolicy": "Local" })),
            vec![slice(http(), &["5r", "6r@"])],
        ),
        (
            "node port, local, all elsewhere",
            node_port(json!({ "externalTrafficPolicy": "Local" })),
            vec![slice(http(), &["6r@"])],
        ),
        (
            "node port, local, the one here terminates",
            node_port(json!({ "externalTrafficPolicy": "Local" })),
            vec![slice(http(), &["5Rst", "6r@"])],
        ),
        (
            "internal, local",
            service(json!({ "internalTrafficPolicy": "Local" })),
            vec![slice(http(), &["5r", "6r@"])],
        ),
        (
            "internal, local, all elsewhere",
            service(json!({ "internalTrafficPolicy": "Local" })),
            vec![slice(http(), &["6r@"])],
        ),
        ("balancer without address yet", node_port(json!({ "type": "LoadBalancer" })), two()),
        (
            "balancer",
            balanced(
                node_port(json!({ "type": "LoadBalancer" })),
                json!([{ "ip": "10.98.0.1", "ipMode": "VIP" }]),
            ),
            two(),
        ),
        (
            "balancer, local",
            balanced(
                node_port(json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local" })),
                json!([{ "ip": "10.98.0.1" }]),
            ),
            two(),
        ),
        (
            "balancer of a cloud's proxy",
            balanced(
                node_port(json!({ "type": "LoadBalancer" })),
                json!([{ "ip": "10.98.0.1", "ipMode": "Proxy" }]),
            ),
            two(),
        ),
        (
            "balancer for some",
            restricted(json!(["192.0.2.0/24", " 198.51.100.7/32 ", "192.0.2.128/25"])),
            two(),
        ),
        ("balancer for some, nothing ready", restricted(json!(["192.0.2.9/24"])), vec![]),
        ("balancer for all", restricted(json!(["10.0.0.0/8", "0.0.0.0/0"])), two()),
        ("balancer for all, in halves", restricted(json!(["0.0.0.0/1", "128.0.0.0/1"])), two()),
        ("balancer for some of both families", restricted(json!(["2001:db8::/32", "192.0.2.0/24"])), two()),
        ("balancer for some of IPv6", restricted(json!(["::/0"])), two()),
        ("balancer for a nonsense", restricted(json!(["", "192.0.2.0", "10.0.0.0/33", "everybody"])), two()),
        (
            "balancer for some, by annotation",
            annotated(restricted(json!(null)), " 192.0.2.0/24, 198.51.100.0/25 "),
            two(),
        ),
        ("balancer for all, by an empty annotation", annotated(restricted(json!([])), "  "), two()),
        (
            "balancer for some, by the field before the annotation",
            annotated(restricted(json!(["192.0.2.0/24"])), "0.0.0.0/0"),
            two(),
        ),
        (
            "ranges of what is no balancer any more",
            {
                let spec = json!({ "loadBalancerSourceRanges": ["192.0.2.0/24"] });
                annotated(balanced(node_port(spec), json!([{ "ip": "10.98.0.1" }])), "192.0.2.0/24")
            },
            two(),
        ),
        ("was a balancer", balanced(service(json!({})), json!([{ "ip": "10.98.0.1" }])), two()),
        (
            "external ips",
            service(json!({ "externalIPs": ["198.51.100.7", "2001:db8::1", "198.51.100.7"] })),
            two(),
        ),
        (
            "external ips that mean something inside",
            balanced(
                node_port(json!({ "type": "LoadBalancer",
                    "externalIPs": ["127.0.0.1", "169.254.169.254", "10.96.0.10", "10.244.0.1", "10.244.3.9", "0.0.0.0",
                        "198.51.100.7"] })),
                json!([{ "ip": "10.96.0.1" }, { "ip": "10.98.0.1" }]),
            ),
            two(),
        ),
        ("affinity", service(json!({ "sessionAffinity": "ClientIP" })), two()),
        (
            "affinity with a timeout",
            node_port(
                json!({ "sessionAffinity": "ClientIP", "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 60 } } }),
            ),
            two(),
        ),
        (
            "nonsense from a broken writer",
            service(json!({ "ports": [{ "port": 99999 }, { "port": 80, "protocol": "IPX" }] })),
            two(),
        ),
    ]
}

fn own() -> OwnAddresses {
    let [services, pods] = ["10.96.0.0/16", "10.244.0.0/16"].map(|range| range.parse().unwrap());
    OwnAddresses { services: vec![services], pods, api: [10, 244, 0, 1].into() }
}

fn show(frontends: &[Wanted]) -> String {
    let mut text = String::new();
    for Wanted { frontend, action, .. } in frontends {
        let address = frontend.address.map_or("any".to_owned(), |address| address.to_string());
        write!(text, "{address} {:?} {} → ", frontend.protocol, frontend.port).unwrap();
        text.push_str(&said(action));
        text.push('\n');
    }
    text
}

fn said(action: &Action) -> String {
    match action {
        Action::Reject => "reject".to_owned(),
        Action::Drop => "drop".to_owned(),
        Action::Forward { backends, affinity, masquerade } => {
            let backends: Vec<String> = backends.iter().map(ToString::to_string).collect();
            let masquerade = if *masquerade { " masquerade" } else { "" };
            let affinity = affinity.map_or(String::new(), |seconds| format!(" affinity {seconds}"));
            format!("{}{masquerade}{affinity}", backends.join(" "))
        }
        Action::Restrict { sources, then } => {
            let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
            format!("from [{}] {}", sources.join(" "), said(then))
        }
    }
}

/// `UPDATE_GOLDEN=1` rewrites the file.
#[test]
fn services_become_the_doors_of_the_golden_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/frontends.txt");
    let mut rendered = String::new();
    for (name, service, slices) in cases() {
        write!(rendered, "# {name}\n{}\n", show(&render(&service, &slices, NODE, &own()).frontends)).unwrap();
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &rendered).unwrap();
    }
    assert_eq!(rendered, std::fs::read_to_string(path).unwrap_or_default());
}

/// So many ports, named by their numbers.
fn many_ports(count: usize) -> Value {
    (1..=count).map(|n| json!({ "name": format!("p{n}"), "port": n })).collect()
}

/// A slice that has them all, each at the same number or at its own.
fn slice_of_all(service: &Service, same: bool, endpoints: usize) -> EndpointSlice {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let port = |port: &ServicePort| {
        let number = if same { 8080 } else { port.port };
        json!({ "name": port.name, "port": number })
    };
    let endpoint = |n: usize| json!({ "addresses": [format!("10.244.{}.{}", n / 250, n % 250 + 1)] });
    let slice = json!({ "metadata": { "name": "web-1" }, "addressType": "IPv4",
        "ports": ports.map(port).collect::<Vec<_>>(), "endpoints": (0..endpoints).map(endpoint).collect::<Vec<_>>() });
    serde_json::from_value(slice).unwrap()
}

/// More than this no service takes in the kernel.
const MOST: usize = 65_536;

#[test]
fn ports_are_no_product_with_addresses() {
    let addresses: Vec<String> = (0..2000).map(|n| format!("198.18.{}.{}", n / 250, n % 250)).collect();
    let service = service(json!({ "ports": many_ports(5000), "externalIPs": addresses }));
    let rendered = render::<EndpointSlice>(&service, &[], NODE, &own());
    // a ClusterIP and 2000 addresses for each port
    assert!(rendered.size <= MOST && rendered.frontends.len() > MOST - 2001, "{}", rendered.size);
    assert_eq!(rendered.ports_left_out, 5000 - MOST / 2001);
    let again = render::<EndpointSlice>(&service, &[], NODE, &own());
    assert_eq!(again, rendered, "and it is always the same ones");
}

#[test]
fn ports_are_no_product_with_source_ranges() {
    let ranges: Vec<String> = (0..8000).map(|n| format!("198.18.{}.{}/32", n / 125, n % 125 * 2)).collect();
    let spec =
        json!({ "type": "LoadBalancer", "ports": many_ports(8000), "loadBalancerSourceRanges": ranges });
    let service = balanced(service(spec), json!([{ "ip": "10.98.0.1" }]));
    let rendered = render::<EndpointSlice>(&service, &[], NODE, &own());
    assert!(rendered.size <= MOST && rendered.ports_left_out > 7900, "{}", rendered.ports_left_out);
    let sources = rendered.frontends.iter().filter_map(|wanted| match &wanted.action {
        Action::Restrict { sources, .. } => Some(&**sources),
        _ => None,
    });
    let sources: Vec<_> = sources.collect();
    assert!(sources.len() > 1 && sources.iter().all(|one| std::ptr::eq(*one, sources[0])), "no copies");
}

#[test]
fn ports_are_no_product_with_endpoints() {
    let service = service(json!({ "ports": many_ports(20_000) }));
    for (name, same) in [("all at the same number", true), ("each at its own", false)] {
        let rendered = render(&service, &[slice_of_all(&service, same, 20)], NODE, &own());
        assert!(rendered.size <= MOST, "{name}");
        assert_eq!(rendered.ports_left_out, 20_000 - MOST / 21, "{name}");
        let backends = rendered.frontends.iter().map(|wanted| match &wanted.action {
            Action::Forward { backends, .. } => &**backends,
            other => panic!("{name}: {other:?}"),
        });
        let backends: Vec<_> = backends.collect();
        let shared = backends.iter().filter(|one| std::ptr::eq(**one, backends[0])).count();
        assert_eq!(shared, if same { backends.len() } else { 1 }, "{name}");
    }
}

#[test]
fn addresses_that_take_no_traffic_are_not_looked_at_for_ever() {
    let service = service(json!({ "ports": many_ports(2000) }));
    let mut slice = slice_of_all(&service, false, 1000);
    for endpoint in slice.endpoints.iter_mut().flatten() {
        endpoint.conditions = serde_json::from_value(json!({ "ready": false })).unwrap();
    }
    let rendered = render(&service, &[slice], NODE, &own());
    assert!(rendered.frontends.len() < 300 && rendered.ports_left_out > 1700, "{}", rendered.frontends.len());
}

/// A sequence that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn changes_add_up_to_what_a_fresh_start_would_render() {
    let cases = cases();
    let mut dice = Dice(1);
    for round in 0..200 {
        let mut claims = Claims::default();
        let mut applied: BTreeMap<Frontend, Action> = BTreeMap::new();
        let mut wanted: BTreeMap<ObjectKey, Vec<Wanted>> = BTreeMap::new();
        for _ in 0..30 {
            // four services that all want the same frontends
            let key = ObjectKey::namespaced("default", ["a", "b", "c", "d"][dice.roll(4)]);
            let frontends = match dice.roll(4) {
                0 => Vec::new(),
                _ => {
                    let (_, service, slices) = &cases[dice.roll(cases.len())];
                    render(service, slices, NODE, &own()).frontends
                }
            };
            for frontend in claims.set(&key, frontends.clone()) {
                match claims.action(&frontend) {
                    Some(action) => applied.insert(frontend, action.clone()),
                    None => applied.remove(&frontend),
                };
            }
            wanted.insert(key, frontends);
            let mut fresh = Claims::default();
            for (key, frontends) in wanted.iter().rev() {
                fresh.set(key, frontends.clone());
            }
            assert_eq!(applied, fresh.all(), "round {round}");
            assert_eq!(applied, claims.all(), "round {round}");
        }
    }
}
