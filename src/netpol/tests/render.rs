//! What policies become, against a golden file.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kinds::TypedKind;
use net::{AddressRange, Class, Isolation, Ports};
use netpol::{Namespaces, Pod, Policy, render};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use testkit::objects;

const DNS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

fn pods() -> Vec<Pod> {
    let pod = |name: &str, namespace: &str, labels: Value, last: u8, more: Value| {
        let port = json!({"name": "http", "containerPort": 8000 + i32::from(last)});
        let phase = more["phase"].as_str().unwrap_or("Running");
        let made = objects::pod(name).namespace(namespace).uid(name).labels(&labels);
        let made = made.container(&json!({"ports": [port]})).spec(&more);
        Pod::of(&made.status(&json!({"phase": phase, "podIP": format!("10.244.0.{last}")})).build())
    };
    let same_ports = json!({"containers": [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 80}, {"name": "dns", "containerPort": 5353, "protocol": "UDP"}]}]});
    let sidecar = json!({"initContainers": [
        {"name": "s", "image": "i", "restartPolicy": "Always", "ports": [{"name": "metrics", "containerPort": 9100}]},
        {"name": "i", "image": "i", "ports": [{"name": "metrics", "containerPort": 9101}]}]});
    vec![
        pod("web-1", "shop", json!({"app": "web"}), 11, same_ports.clone()),
        pod("web-2", "shop", json!({"app": "web"}), 12, same_ports),
        pod("web-3", "shop", json!({"app": "web"}), 13, sidecar),
        pod("db", "shop", json!({"app": "db"}), 20, json!({})),
        pod("on-node", "shop", json!({"app": "db"}), 1, json!({"hostNetwork": true})),
        pod("done", "shop", json!({"app": "db"}), 29, json!({"phase": "Succeeded"})),
        pod("probe", "ops", json!({"app": "probe"}), 30, json!({})),
        pod("other", "ops", json!({"app": "web"}), 31, json!({})),
    ]
}

fn namespaces() -> Namespaces {
    let labels = |name: &str, team: &str| {
        let pairs = [("kubernetes.io/metadata.name", name), ("team", team)];
        (name.to_owned(), pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    };
    [labels("shop", "sales"), labels("ops", "ops"), labels("kube-system", "")].into()
}

fn policy(name: &str, spec: Value) -> (String, Value) {
    (name.to_owned(), spec)
}

fn one(spec: Value) -> Vec<(String, Value)> {
    vec![policy("p", spec)]
}

fn web_from(from: Value, ports: Value) -> Vec<(String, Value)> {
    one(json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": from, "ports": ports}]}))
}

fn web_to(to: Value, ports: Value) -> Vec<(String, Value)> {
    one(
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": [{"to": to, "ports": ports}]}),
    )
}

fn cases() -> Vec<(&'static str, Vec<(String, Value)>)> {
    let dns = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]);
    let app = |app: &str| json!([{"podSelector": {"matchLabels": {"app": app}}}]);
    vec![
        ("no policy", vec![]),
        ("default deny", one(json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}))),
        ("default of the types", one(json!({"podSelector": {}}))),
        ("default of the types, with egress", one(json!({"podSelector": {}, "egress": [{}]}))),
        ("nobody is selected", one(json!({"podSelector": {"matchLabels": {"app": "none"}}}))),
        (
            "selected by expressions",
            one(
                json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}}),
            ),
        ),
        ("everything", one(json!({"podSelector": {}, "ingress": [{}]}))),
        ("empty lists are everything", web_from(json!([]), json!([]))),
        ("from pods", web_from(app("db"), json!(null))),
        ("from pods of nobody", web_from(app("none"), json!(null))),
        (
            "from a namespace",
            web_from(json!([{"namespaceSelector": {"matchLabels": {"team": "ops"}}}]), json!(null)),
        ),
        ("from all namespaces", web_from(json!([{"namespaceSelector": {}}]), json!(null))),
        (
            "from pods of a namespace",
            web_from(
                json!([{"namespaceSelector": {"matchLabels": {"team": "ops"}}, "podSelector": {"matchLabels": {"app": "probe"}}}]),
                json!(null),
            ),
        ),
        (
            "from either",
            web_from(
                json!([{"namespaceSelector": {"matchLabels": {"team": "ops"}}}, {"podSelector": {"matchLabels": {"app": "db"}}}]),
                json!(null),
            ),
        ),
        (
            "from a block",
            web_from(
                json!([{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.8/29"]}}, {"ipBlock": {"cidr": "fd00::/8"}}]),
                json!(null),
            ),
        ),
        (
            "ports",
            web_from(
                json!(null),
                json!([{"port": 80}, {"protocol": "UDP", "port": 53}, {"protocol": "SCTP"}, {"port": 8000, "endPort": 8010}]),
            ),
        ),
        ("a named port", web_from(app("db"), json!([{"port": "http"}]))),
        ("a named port of a sidecar", web_from(json!(null), json!([{"port": "metrics"}]))),
        (
            "a named port of another protocol",
            web_from(json!(null), json!([{"port": "dns"}, {"protocol": "UDP", "port": "dns"}])),
        ),
        ("to pods", web_to(app("db"), json!([{"port": 5432}]))),
        (
            "to a named port",
            web_to(
                json!([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]),
                json!([{"port": "http"}, {"port": 443}]),
            ),
        ),
        (
            "to a named port of a block",
            web_to(json!([{"ipBlock": {"cidr": "10.244.0.16/28"}}]), json!([{"port": "http"}])),
        ),
        ("to a named port of anybody", web_to(json!(null), json!([{"protocol": "UDP", "port": "dns"}]))),
        ("to DNS", web_to(dns.clone(), json!([{"protocol": "UDP", "port": 53}]))),
        (
            "to DNS by name",
            web_to(
                dns.clone(),
                json!([{"protocol": "UDP", "port": "dns"}, {"protocol": "TCP", "port": "dns-tcp"}]),
            ),
        ),
        ("to DNS at any port", web_to(dns.clone(), json!(null))),
        ("to DNS at another port", web_to(dns, json!([{"port": 443}]))),
        ("to all pods", web_to(json!([{"namespaceSelector": {}}]), json!(null))),
        (
            "to the API server's address",
            web_to(json!([{"ipBlock": {"cidr": "10.244.0.1/32"}}]), json!([{"port": 8443}])),
        ),
        (
            "a union",
            vec![
                policy("deny", json!({"podSelector": {}})),
                policy(
                    "web",
                    json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 80}]}]}),
                ),
                policy(
                    "db",
                    json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}, {"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 5432}]}]}),
                ),
            ],
        ),
    ]
}

fn rendered(policies: &[(String, Value)]) -> Isolation {
    let policies: Vec<Policy> = policies
        .iter()
        .map(|(name, spec)| {
            let mut object: NetworkPolicy = serde_json::from_value(
                json!({"metadata": {"name": name, "namespace": "shop"}, "spec": spec}),
            )
            .unwrap();
            object.set_defaults();
            Policy::of(&object)
        })
        .collect();
    let pods = pods();
    let (policies, pods): (Vec<&Policy>, Vec<&Pod>) = (policies.iter().collect(), pods.iter().collect());
    render(&policies, &pods, &namespaces(), DNS).isolation
}

fn print(text: &mut String, direction: &str, classes: &BTreeMap<String, Class>) {
    for (name, class) in classes {
        let members: Vec<String> = class.members.iter().map(Ipv4Addr::to_string).collect();
        writeln!(text, "  {direction} {name}: {}", members.join(" ")).unwrap();
        for allow in &class.allows {
            let peers: Vec<String> = allow.peers.iter().map(range).collect();
            let ports = match &allow.ports {
                Ports::All => "all".to_owned(),
                Ports::Of(ports) => {
                    let ports = ports.iter().map(|p| match p.first == p.last {
                        true => format!("{:?}/{}", p.protocol, p.first),
                        false => format!("{:?}/{}-{}", p.protocol, p.first, p.last),
                    });
                    ports.collect::<Vec<_>>().join(" ").to_lowercase()
                }
            };
            writeln!(text, "    [{}] at [{ports}]", peers.join(" ")).unwrap();
        }
    }
}

fn range(range: &AddressRange) -> String {
    match range {
        all if *all == AddressRange::ALL => "anybody".to_owned(),
        range if range.first == range.last => range.first.to_string(),
        range => format!("{}-{}", range.first, range.last),
    }
}

/// `UPDATE_GOLDEN=1` rewrites the file.
#[test]
fn policies_become_classes() {
    let mut text = String::new();
    for (name, policies) in cases() {
        writeln!(text, "{name}").unwrap();
        let Isolation { ingress, egress } = rendered(&policies);
        print(&mut text, "ingress", &ingress);
        print(&mut text, "egress", &egress);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/render.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    for (number, (line, want)) in text.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(line, want, "line {}", number + 1);
    }
    assert_eq!(text.len(), wanted.len(), "one ends before the other");
}
