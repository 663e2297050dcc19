//! Ingress, with real clients on another host: by name, by path, with a certificate, and with nobody there.

mod common;

use common::lab::MACHINE;
use common::{Appliance, appliance};

const SHOP: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules:
    - host: kubia.example.com
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: kubia, port: {number: 8080}}}}
          - {path: /nobody, pathType: Prefix, backend: {service: {name: missing, port: {number: 80}}}}
"#;

/// What the other host gets.
fn get(at: &Appliance, arguments: &[&str]) -> String {
    let done = at.lab.neighbour(&[&["curl", "-sS", "--max-time", "10"], arguments].concat());
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

/// Asks until the answer is enough: the ingress follows what is written in a moment.
fn until_got(at: &Appliance, arguments: &[&str], enough: impl Fn(&str) -> bool) {
    let began = std::time::Instant::now();
    loop {
        let seen = get(at, arguments);
        if enough(&seen) {
            return;
        }
        assert!(began.elapsed().as_secs() < 60, "{arguments:?}: {seen}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn at_name(scheme_port: &str) -> String {
    format!("kubia.example.com:{scheme_port}:{MACHINE}")
}

fn serve(at: &Appliance, replicas: &str) {
    at.kubectl(&[
        "create",
        "deployment",
        "kubia",
        "--image=monopod/kubia",
        &format!("--replicas={replicas}"),
    ])
    .ok("create");
    at.kubectl(&["expose", "deployment", "kubia", "--port=8080"]).ok("expose");
    at.until(&["get", "deploy", "kubia", "-o", "jsonpath={.status.readyReplicas}"], replicas);
    // without a probe they are ready before they listen
    let ip = at.until_some(&["get", "service", "kubia", "-o", "jsonpath={.spec.clusterIP}"]);
    at.until_hit(&format!("{ip}:8080"), replicas.parse().unwrap());
}

#[test]
fn an_ingress_leads_by_name_and_path_to_all_pods() {
    let Some(at) = appliance("ing-names") else { return };
    serve(&at, "2");
    at.kubectl_with(&["apply"], SHOP).ok("apply");
    at.until(&["get", "ingress", "shop", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"], MACHINE);
    let shown = at.kubectl(&["get", "ingress"]).ok("get");
    assert!(shown.contains("kubia.example.com") && shown.contains(MACHINE), "{shown}");
    let (resolve, url) = (at_name("80"), "http://kubia.example.com/any");
    let hit: Vec<String> = (0..4).map(|_| get(&at, &["--resolve", &resolve, url])).collect();
    assert!(hit.iter().all(|answer| answer.starts_with("You've hit kubia-")), "{hit:?}");
    assert!(hit[0] != hit[1] && hit[0] == hit[2], "each has its turn: {hit:?}");
    let nobody = get(&at, &["--resolve", &resolve, "http://kubia.example.com/nobody"]);
    assert_eq!(nobody, "the ingress leads to the service default/missing, which does not exist\n");
    let other = get(&at, &[&format!("http://{MACHINE}/x")]);
    assert_eq!(other, format!("no ingress has a rule for http://{MACHINE}/x\n"));
    at.kubectl(&["describe", "ingress", "shop"]).ok("describe");
    // pods come and go
    at.kubectl(&["scale", "deployment", "kubia", "--replicas=0"]).ok("scale");
    at.until(&["get", "pods", "-o", "name"], "");
    let gone = "no pod of the service default/kubia is ready\n";
    until_got(&at, &["--resolve", &resolve, url], |seen| seen == gone);
    // nobody listens where there is nothing to serve
    at.kubectl(&["delete", "ingress", "shop"]).ok("delete");
    until_got(&at, &[&format!("http://{MACHINE}/")], |seen| seen.contains("curl: (7)"));
}

#[test]
fn a_certificate_of_a_secret_is_shown_and_http_is_sent_to_https() {
    let Some(at) = appliance("ing-tls") else { return };
    serve(&at, "1");
    let (key, certificate) = (at.home().join("tls.key"), at.home().join("tls.crt"));
    at.shell(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=kubia.example.com \
         -addext subjectAltName=DNS:kubia.example.com -keyout {} -out {}",
        key.display(),
        certificate.display()
    ))
    .ok("a certificate");
    let files = [format!("--cert={}", certificate.display()), format!("--key={}", key.display())];
    at.kubectl(&["create", "secret", "tls", "kubia", &files[0], &files[1]]).ok("secret");
    let secure = format!("{SHOP}  tls: [{{hosts: [kubia.example.com], secretName: kubia}}]\n");
    at.kubectl_with(&["apply"], &secure).ok("apply");
    at.until(&["get", "ingress", "shop", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"], MACHINE);
    let name = at_name("80");
    let moved = [
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{redirect_url}",
        "--resolve",
        &name,
        "http://kubia.example.com/a?b",
    ];
    until_got(&at, &moved, |seen| seen == "308 https://kubia.example.com/a?b");
    let (authority, name) = (certificate.to_str().unwrap(), at_name("443"));
    let secure = ["--cacert", authority, "--resolve", &name, "https://kubia.example.com/"];
    until_got(&at, &secure, |seen| seen.starts_with("You've hit kubia-"));
}

/// A slice that somebody writes by hand may name any address. One of a Service would lead to the pods of others as the machine comes
/// to them, which policies let in.
#[test]
fn an_ingress_leads_to_pods_of_others_by_no_address_of_a_service() {
    let Some(at) = appliance("ing-others") else { return };
    serve(&at, "1");
    let patch = r#"{"spec": {"type": "NodePort", "ports": [{"port": 8080, "nodePort": 30088}]}}"#;
    at.kubectl(&["patch", "service", "kubia", "-p", patch]).ok("a node port");
    let cluster_ip = at.until_some(&["get", "service", "kubia", "-o", "jsonpath={.spec.clusterIP}"]);
    at.kubectl(&["create", "namespace", "other"]).ok("a namespace");
    for (name, address, port) in [("cluster-ip", cluster_ip.as_str(), 8080), ("node-port", MACHINE, 30088)] {
        let manifest = format!(
            r"
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: other}}
spec: {{clusterIP: None, ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: other, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: [{address}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: other}}
spec:
  ingressClassName: nginx
  rules:
    - host: {name}.example.com
      http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}
"
        );
        at.kubectl_with(&["apply"], &manifest).ok(name);
        assert!(
            at.shell(&format!("curl -sS --max-time 10 http://{address}:{port}")).ok(name).contains("kubia")
        );
        let (host, url) = (format!("Host: {name}.example.com"), format!("http://{MACHINE}/"));
        until_got(&at, &["-H", &host, &url], |seen| {
            assert!(!seen.contains("You've hit"), "{name}: {seen}");
            seen == format!("no pod of the service other/{name} takes connections\n")
        });
    }
}

#[test]
fn a_port_that_another_program_has_is_said() {
    let Some(at) = appliance("ing-port") else { return };
    let other = std::net::TcpListener::bind(("0.0.0.0", 80)).unwrap();
    at.kubectl_with(&["apply"], SHOP).ok("apply");
    let events =
        ["get", "events", "--field-selector=reason=PortUnavailable", "-o", "jsonpath={.items[0].message}"];
    at.until(&events, "it can not be served: port 80 of this machine is taken by another program");
    drop(other);
    let plain = "kubia.example.com";
    at.kubectl(&["annotate", "ingress", "shop", "again=1"]).ok("annotate");
    at.until(&["get", "ingress", "shop", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"], MACHINE);
    assert!(at.kubectl(&["get", "ingress", "shop"]).ok("get").contains(plain));
}
