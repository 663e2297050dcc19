//! Services of every sort, and the names that lead to them, seen from pods, from the machine and from the LAN.

mod common;

use common::{Appliance, appliance};

/// With the C library's resolver, which most programs use.
const CURL: &str = "/usr/bin/curl";
/// A container that has no probe is ready before its program listens.
const PATIENT: &str = "/usr/bin/curl -sS --retry 9 --retry-connrefused --max-time 60";

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: kubia, image: monopod/kubia, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nothing}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: 'busybox:1', command: [sleep, '3600']}]
";

fn with_services(profile: &str) -> Option<Appliance> {
    let at = appliance(profile)?;
    at.load_busybox_with(&[CURL]);
    at.kubectl_with(&["create"], WEB).ok("create");
    at.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]).ok("wait");
    at.kubectl(&["rollout", "status", "deploy/web", "--timeout=60s"]).ok("rollout");
    Some(at)
}

/// Asks until curl ends so, as the proxy follows in a moment: 28 is its word for silence.
fn asks(url: &str, want: u8) -> String {
    format!(
        "end=$(($(date +%s) + 60)); while [ $(date +%s) -lt $end ]; do \
         {CURL} -sS -o /dev/null --max-time 2 {url}; [ $? = {want} ] && exit 0; sleep 0.2; done; exit 1"
    )
}

fn in_pod(at: &Appliance, line: &str) -> common::Answer {
    at.kubectl(&["exec", "client", "--", "sh", "-c", line])
}

#[test]
fn pods_find_services_by_name() {
    let Some(at) = with_services("names") else { return };
    for name in ["web", "web.default", "web.default.svc.cluster.local", "elsewhere"] {
        let answer = in_pod(&at, &format!("{PATIENT} http://{name}")).ok(name);
        assert!(answer.starts_with("You've hit web-"), "{name}: {answer}");
    }
    let ips =
        at.kubectl(&["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.podIP}"]).ok("ips");
    let found = in_pod(&at, "nslookup -type=a headless.default.svc.cluster.local").ok("nslookup");
    assert!(ips.split(' ').count() == 2 && ips.split(' ').all(|ip| found.contains(ip)), "{ips}: {found}");
    let missing = in_pod(&at, "nslookup -type=a missing.default.svc.cluster.local");
    assert!(missing.refused("a name that nobody has").is_empty() || missing.out().contains("NXDOMAIN"));
    let directory = "/var/run/secrets/kubernetes.io/serviceaccount";
    let ask = format!(
        "/usr/bin/curl -sS --max-time 60 --cacert {directory}/ca.crt -H \"Authorization: Bearer $(cat {directory}/token)\" https://kubernetes.default/api/v1/pods"
    );
    let api = in_pod(&at, &ask).ok("the API server");
    assert!(api.contains("system:serviceaccount:default:default") && api.contains("403"), "{api}");
}

#[test]
fn a_service_without_pods_refuses_and_a_sticky_one_stays() {
    let Some(at) = with_services("sorts") else { return };
    // 7 is curl's word for a refused connection; one that is not answered would be 28
    let refused = in_pod(&at, "/usr/bin/curl -sS --max-time 10 http://nobody");
    assert_eq!(refused.0.status.code(), Some(7), "{}", refused.err());
    let answers =
        in_pod(&at, &format!("for i in 1 2 3 4 5 6 7 8 9 10; do {PATIENT} http://sticky; done")).ok("sticky");
    let different: std::collections::BTreeSet<_> = answers.lines().collect();
    assert_eq!((answers.lines().count(), different.len()), (10, 1), "{answers}");
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let Some(at) = appliance("hairpin") else { return };
    at.load_busybox_with(&[CURL]);
    at.kubectl_with(
        &["create"],
        "
apiVersion: v1
kind: Pod
metadata: {name: both, labels: {app: both}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: kubia, image: monopod/kubia}
  - {name: c, image: 'busybox:1', command: [sleep, '3600']}
---
apiVersion: v1
kind: Service
metadata: {name: both}
spec: {type: NodePort, selector: {app: both}, ports: [{port: 80, targetPort: 8080, nodePort: 30123}]}
",
    )
    .ok("create");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/both", "--timeout=60s"]).ok("wait");
    for address in ["both.default", &format!("{}:30123", common::lab::MACHINE), "127.0.0.1:8080"] {
        let line = format!("{PATIENT} http://{address}");
        let answer = at.kubectl(&["exec", "both", "-c", "c", "--", "sh", "-c", &line]).ok(address);
        assert_eq!(answer, "You've hit both\n", "{address}");
    }
}

#[test]
fn a_host_port_leads_to_its_pod() {
    let Some(at) = appliance("hostport") else { return };
    let ports = "{\"spec\":{\"containers\":[{\"name\":\"kubia\",\"image\":\"monopod/kubia\",\"ports\":[{\"containerPort\":8080,\"hostPort\":18080}]}]}}";
    at.kubectl(&["run", "kubia", "--image=monopod/kubia", &format!("--overrides={ports}")]).ok("run");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/kubia", "--timeout=60s"]).ok("wait");
    for address in ["127.0.0.1", common::lab::MACHINE] {
        let answer = at.shell(&format!("{PATIENT} http://{address}:18080")).ok(address);
        assert_eq!(answer, "You've hit kubia\n");
    }
    let url = format!("http://{}:18080", common::lab::MACHINE);
    let answer = at.lab.neighbour(&["curl", "-sS", "--max-time", "10", &url]);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "You've hit kubia\n", "{answer:?}");
}

#[test]
fn a_balancer_hears_whether_the_node_has_endpoints() {
    let Some(at) = appliance("healthcheck") else { return };
    at.kubectl(&["create", "deployment", "web", "--image=monopod/kubia"]).ok("deployment");
    let service = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";
    at.kubectl_with(&["create"], service).ok("service");
    let port = at.until_some(&["get", "service", "web", "-o", "jsonpath={.spec.healthCheckNodePort}"]);
    let url = format!("http://{}:{port}/", common::lab::MACHINE);
    // a balancer is another host, and asks again and again
    let answers = |want: &str| {
        let asked = format!(
            "for i in $(seq 300); do curl -sS -o /dev/null --max-time 5 -w '%{{http_code}}' {url} | grep -qx {want} && exit 0; sleep 0.2; done; exit 1"
        );
        let done = at.lab.neighbour(&["sh", "-c", &asked]);
        assert!(done.status.success(), "never {want}: {done:?}");
    };
    answers("200");
    let said = at.lab.neighbour(&["curl", "-sSi", "--max-time", "10", &url]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("x-load-balancing-endpoint-weight: 1"), "{said}");
    let body: serde_json::Value = serde_json::from_str(said.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["service"]["name"], &body["localEndpoints"]), (&"web".into(), &1.into()), "{said}");
    at.kubectl(&["scale", "deployment", "web", "--replicas=0"]).ok("scale");
    answers("503");
    at.kubectl(&["delete", "service", "web"]).ok("delete");
    // nobody listens there any more
    answers("000");
}

#[test]
fn a_balancer_answers_those_who_may_come() {
    let Some(at) = appliance("sources") else { return };
    let (machine, neighbour) = (common::lab::MACHINE, common::lab::NEIGHBOUR);
    at.kubectl(&["create", "deployment", "web", "--image=monopod/kubia"]).ok("deployment");
    let service = format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: LoadBalancer
  loadBalancerSourceRanges: ['{neighbour}/32', ' 203.0.113.2/31 ', '2001:db8::/32']
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080, nodePort: 30180}}]
"
    );
    at.kubectl_with(&["create"], &service).ok("service");
    at.kubectl(&["rollout", "status", "deploy/web", "--timeout=60s"]).ok("rollout");
    let ip = at.until_some(&["get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"]);
    let route = at.lab.neighbour(&["ip", "route", "add", &ip, "via", machine]);
    assert!(route.status.success(), "{route:?}");
    let balancer = format!("http://{ip}");
    let from_neighbour = |url: &str, want: u8| {
        let done = at.lab.neighbour(&["sh", "-c", &asks(url, want)]);
        assert!(done.status.success(), "the neighbour at {url}, never {want}: {done:?}");
    };
    from_neighbour(&balancer, 0);
    at.shell(&asks(&balancer, 28)).ok("the machine is outside of the ranges");
    let patch = format!("{{\"spec\":{{\"loadBalancerSourceRanges\":[\"{machine}/32\"]}}}}");
    at.kubectl(&["patch", "service", "web", "-p", &patch]).ok("patch");
    from_neighbour(&balancer, 28);
    at.shell(&asks(&balancer, 0)).ok("the machine is within");
    from_neighbour(&format!("http://{machine}:30180"), 0);
    let note = format!("service.beta.kubernetes.io/load-balancer-source-ranges={neighbour}/32");
    at.kubectl(&["annotate", "service", "web", &note]).ok("annotate");
    let patch = "{\"spec\":{\"loadBalancerSourceRanges\":null}}";
    at.kubectl(&["patch", "service", "web", "-p", patch]).ok("patch");
    from_neighbour(&balancer, 0);
    at.shell(&asks(&balancer, 28)).ok("by the annotation");
    at.kubectl(&["annotate", "service", "web", "service.beta.kubernetes.io/load-balancer-source-ranges-"])
        .ok("annotate");
    at.shell(&asks(&balancer, 0)).ok("open to all");
}

#[test]
fn an_external_address_leads_in_and_a_local_policy_keeps_to_the_node() {
    let Some(at) = with_services("traffic-policies") else { return };
    let external = "198.51.100.7";
    let route = at.lab.neighbour(&["ip", "route", "add", external, "via", common::lab::MACHINE]);
    assert!(route.status.success(), "{route:?}");
    let patch = format!("{{\"spec\":{{\"externalIPs\":[\"{external}\"]}}}}");
    at.kubectl(&["patch", "service", "web", "-p", &patch]).ok("patch");
    let url = format!("http://{external}");
    let done = at.lab.neighbour(&["sh", "-c", &asks(&url, 0)]);
    assert!(done.status.success(), "the neighbour: {done:?}");
    at.shell(&asks(&url, 0)).ok("the machine");
    let answer = in_pod(&at, &format!("{PATIENT} {url}")).ok("a pod");
    assert!(answer.starts_with("You've hit web-"), "{answer}");

    let pod = ["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].status.podIP}"];
    let pod = at.kubectl(&pod).ok("a pod's address");
    let node =
        at.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok("the node's name");
    let local = format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: local}}
spec: {{internalTrafficPolicy: Local, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: local-1, labels: {{kubernetes.io/service-name: local}}}}
addressType: IPv4
ports: [{{name: http, port: 8080, protocol: TCP}}]
endpoints: [{{addresses: ['{pod}'], nodeName: elsewhere, conditions: {{ready: true}}}}]
"
    );
    at.kubectl_with(&["create"], &local).ok("create");
    let ip = at.kubectl(&["get", "service", "local", "-o", "jsonpath={.spec.clusterIP}"]).ok("its address");
    let url = format!("http://{ip}");
    in_pod(&at, &asks(&url, 28)).ok("all its endpoints are elsewhere");
    let patch = format!("[{{\"op\":\"replace\",\"path\":\"/endpoints/0/nodeName\",\"value\":\"{node}\"}}]");
    at.kubectl(&["patch", "endpointslice", "local-1", "--type=json", "-p", &patch]).ok("patch");
    in_pod(&at, &asks(&url, 0)).ok("one is here");
}

#[test]
fn a_packet_for_an_address_that_nobody_has_never_leaves() {
    let Some(at) = appliance("strays") else { return };
    // the neighbour is the default route: it would see them
    let before = at.lab.neighbour(&["cat", "/sys/class/net/lan/statistics/rx_packets"]).stdout;
    let settings = std::fs::read_to_string(at.places()[0].join("settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    for net in ["pod_cidr", "service_cidr", "load_balancer_cidr"] {
        let net = settings[net].as_str().unwrap();
        let numbers: Vec<u8> = net.split(['.', '/']).map(|number| number.parse().unwrap()).collect();
        let stray = format!("{}.{}.{}.77", numbers[0], numbers[1], numbers[2] + 9);
        at.shell(&format!("curl -sS --max-time 2 http://{stray}")).refused(&stray);
    }
    let after = at.lab.neighbour(&["cat", "/sys/class/net/lan/statistics/rx_packets"]).stdout;
    assert_eq!(String::from_utf8_lossy(&before), String::from_utf8_lossy(&after));
}

/// The endpoints of `here` by hand: an address, and the node that it is said to be on.
fn endpoints_of_here(endpoints: &[(&str, &str)]) -> String {
    let endpoints: Vec<String> = endpoints
        .iter()
        .map(|(ip, node)| format!("{{addresses: [{ip}], nodeName: {node}, conditions: {{ready: true}}}}"))
        .collect();
    format!(
        "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: here, labels: {{kubernetes.io/service-name: here}}}}
addressType: IPv4
ports: [{{name: http, port: 8080, protocol: TCP}}]
endpoints: [{}]
",
        endpoints.join(", ")
    )
}

#[test]
fn a_service_keeps_to_its_own_node_where_its_internal_policy_says_so() {
    let Some(at) = with_services("internal") else { return };
    let node = at.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok("node");
    let of_pods = "jsonpath={range .items[*]}{.status.podIP} {.metadata.name}{\"\\n\"}{end}";
    let pods = at.kubectl(&["get", "pods", "-l", "app=web", "-o", of_pods]).ok("pods");
    let pods: Vec<(&str, &str)> = pods.lines().filter_map(|line| line.split_once(' ')).collect();
    let (own, other) = (pods[0], pods[1]);
    let service = "{apiVersion: v1, kind: Service, metadata: {name: here}, spec: {internalTrafficPolicy: Local, ports: [{name: http, port: 80}]}}";
    at.kubectl_with(&["create"], service).ok("service");
    // both are on this machine; one is said not to be
    let both = endpoints_of_here(&[(own.0, node.as_str()), (other.0, "elsewhere")]);
    at.kubectl_with(&["apply"], &both).ok("endpoints");
    let hit = format!("You've hit {}", own.1);
    let ask = ["exec", "client", "--", CURL, "-sS", "--max-time", "5", "http://here"];
    at.until(&ask, &hit);
    let ten = format!("for i in 1 2 3 4 5 6 7 8 9 10; do {PATIENT} http://here; done");
    let answers = in_pod(&at, &ten).ok("from a pod");
    assert!(answers.lines().count() == 10 && answers.lines().all(|line| line == hit), "{answers}");
    // to all of them where it does not say so
    let policy = |policy: &str| {
        let patch = format!("{{\"spec\":{{\"internalTrafficPolicy\":\"{policy}\"}}}}");
        at.kubectl(&["patch", "service", "here", "-p", &patch]).ok(policy);
    };
    policy("Cluster");
    let ip = at.until_some(&["get", "service", "here", "-o", "jsonpath={.spec.clusterIP}"]);
    at.until_hit(&ip, 2);
    // with nobody on this node the packet vanishes: 28 is curl's word for that, 7 would be a refusal
    policy("Local");
    at.kubectl_with(&["apply"], &endpoints_of_here(&[(other.0, "elsewhere")])).ok("endpoints");
    in_pod(&at, &asks("http://here", 28)).ok("nobody of this node");
}

fn range(name: &str, cidr: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {{name: {name}}}, spec: {{cidrs: ['{cidr}']}}}}"
    )
}

#[test]
fn a_further_range_of_addresses_serves_until_the_last_is_given_back() {
    let Some(at) = with_services("ranges") else { return };
    let condition = "jsonpath={.status.conditions[0].status}{.status.conditions[0].reason}";
    let asking = |name: &str, address: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{clusterIP: {address}, selector: {{app: web}}, ports: [{{port: 80, targetPort: http}}]}}}}"
        )
    };
    let refused = at.kubectl_with(&["create"], &asking("more", "10.250.0.9")).refused("no range has it");
    assert!(refused.contains("the provided network does not match the current range"), "{refused}");
    // the machine's own network would be out of its reach
    at.kubectl_with(&["create"], &range("lan", "203.0.0.0/16")).ok("create");
    at.until(&["get", "servicecidr", "lan", "-o", condition], "FalseNetworkConflict");
    at.shell(&format!("ip route get {} | grep -q 'dev lan'", common::lab::NEIGHBOUR)).ok("the neighbour");
    at.kubectl(&["delete", "servicecidr", "lan"]).ok("delete");

    at.kubectl_with(&["create"], &range("more", "10.250.0.0/24")).ok("create");
    at.until(&["get", "servicecidr", "more", "-o", condition], "True");
    let shown = at.kubectl(&["get", "servicecidrs"]).ok("list");
    let shown: Vec<&str> = shown.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert!(shown.len() == 3 && shown[0] == "CIDRS" && shown[2] == "10.250.0.0/24", "{shown:?}");
    at.kubectl_with(&["create"], &asking("more", "10.250.0.9")).ok("create");
    let parent = at.kubectl(&["get", "ip", "10.250.0.9", "--no-headers"]).ok("its address");
    assert!(parent.contains("services/default/more"), "{parent}");
    at.until_hit("10.250.0.9", 2);
    let answer = in_pod(&at, "/usr/bin/curl -sS --max-time 10 http://more").ok("from a pod");
    assert!(answer.starts_with("You've hit web-"), "{answer}");
    let name = in_pod(&at, "nslookup 10.250.0.9").ok("its name");
    assert!(name.contains("more.default.svc.cluster.local"), "{name}");
    // 7 is curl's word for a refused connection: the packet has not left
    let stray = |at: &Appliance| at.shell("curl -sS --max-time 2 http://10.250.0.77").0.status.code();
    assert_eq!(stray(&at), Some(7));

    at.kubectl(&["delete", "servicecidr", "more", "--wait=false"]).ok("delete");
    at.until(&["get", "servicecidr", "more", "-o", condition], "FalseTerminating");
    at.kubectl_with(&["create"], &asking("late", "10.250.0.10")).refused("no more of its addresses");
    at.kill_daemon();
    assert_eq!(stray(&at), Some(7), "while no daemon is there");
    at.monopod(&["start"]).ok("start again");
    at.until_hit("10.250.0.9", 2);
    assert_eq!(stray(&at), Some(7));
    at.kubectl(&["delete", "service", "more"]).ok("delete");
    at.kubectl(&["wait", "--for=delete", "servicecidr/more", "--timeout=60s"]).ok("gone");
    // the frontends of the Service that has just gone may take a moment
    let left = "for i in $(seq 600); do (ip route; nft list ruleset) | grep '10[.]250[.]' || exit 0; sleep 0.1; done; exit 1";
    at.shell(left).ok("nothing of it is left in the kernel");

    // it goes with the cluster as well
    at.kubectl_with(&["create"], &range("again", "10.250.0.0/24")).ok("create");
    at.until(&["get", "servicecidr", "again", "-o", condition], "True");
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}
