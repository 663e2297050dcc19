//! Part B of what a user does, step by step, as it is typed.

mod common;

use common::{Appliance, appliance};

const CONTROLLER: &str = "
apiVersion: v1
kind: ReplicationController
metadata: {name: kubia}
spec:
  replicas: 1
  selector: {app: kubia}
  template:
    metadata: {labels: {app: kubia}}
    spec: {containers: [{name: kubia, image: monopod/kubia, ports: [{containerPort: 8080}]}]}
";

#[test]
fn a_new_user_takes_the_whole_walk() {
    let Some(at) = appliance("story") else { return };
    the_node_is_ready(&at);
    a_pod_runs_and_says_how_it_came_to_be(&at);
    let address = a_service_answers_from_everywhere(&at);
    three_pods_answer_and_a_deleted_one_is_replaced(&at, &address);
    everything_is_there_again(&at, &address);
}

/// B1, B2
fn the_node_is_ready(at: &Appliance) {
    let nodes = at.kubectl(&["get", "nodes", "--no-headers"]).ok("get nodes");
    assert_eq!(nodes.lines().count(), 1, "{nodes}");
    assert!(nodes.contains(" Ready "), "{nodes}");
    let info = at.kubectl(&["cluster-info"]).ok("cluster-info");
    assert!(info.contains("Kubernetes control plane") && info.contains("https://127.0.0.1:"), "{info}");
}

/// B3, B4
fn a_pod_runs_and_says_how_it_came_to_be(at: &Appliance) {
    at.kubectl(&["run", "single", "--image=monopod/kubia", "--port=8080"]).ok("run");
    at.kubectl_with(&["create"], CONTROLLER).ok("create rc");
    // what waits for all pods waits for those that are there already
    at.until(&["get", "rc", "kubia", "-o", "jsonpath={.status.readyReplicas}"], "1");
    at.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]).ok("wait");
    let wide = at.kubectl(&["get", "pods", "-o", "wide", "--no-headers"]).ok("wide");
    assert!(wide.lines().all(|line| line.contains(" 10.") && line.contains("Running")), "{wide}");
    // an event may come a moment after what it tells of
    for event in ["Scheduled", "Pulling", "Pulled", "Created", "Started"] {
        at.until_told(&["describe", "pod", "single"], event);
    }
}

/// B5, B6: an address of its own, a node port, and both from another host too.
fn a_service_answers_from_everywhere(at: &Appliance) -> String {
    at.kubectl(&["expose", "rc", "kubia", "--type=LoadBalancer", "--name=kubia-http"]).ok("expose");
    let service = |path: &str| {
        at.kubectl(&["get", "service", "kubia-http", "-o", &format!("jsonpath={{{path}}}")]).ok("get service")
    };
    let ingress = "jsonpath={.status.loadBalancer.ingress[0].ip}";
    let external = at.until_some(&["get", "service", "kubia-http", "-o", ingress]);
    let cluster = service(".spec.clusterIP");
    let node_port = service(".spec.ports[0].nodePort");
    let url = at.monopod(&["service", "kubia-http", "--url"]).ok("service --url").trim().to_owned();
    assert_eq!(url, format!("http://{external}:8080"));
    let node = at.monopod(&["ip"]).ok("ip").trim().to_owned();
    assert_eq!(node, common::lab::MACHINE);
    for (name, address) in [
        ("its own address", format!("{external}:8080")),
        ("the ClusterIP", format!("{cluster}:8080")),
        ("the node port", format!("{node}:{node_port}")),
        ("the node port on loopback", format!("127.0.0.1:{node_port}")),
    ] {
        let answer = at
            .shell(&format!("curl -sS --retry 9 --retry-connrefused --max-time 60 http://{address}"))
            .ok(name);
        assert!(answer.starts_with("You've hit kubia-"), "{name}: {answer}");
    }
    let routed = at.lab.neighbour(&["ip", "route", "add", &external, "via", common::lab::MACHINE]);
    assert!(routed.status.success(), "{routed:?}");
    for (name, address) in [
        ("its own address, from the LAN", format!("{external}:8080")),
        ("the node port, from the LAN", format!("{node}:{node_port}")),
    ] {
        let answer = at.lab.neighbour(&["curl", "-sS", "--max-time", "10", &format!("http://{address}")]);
        assert!(
            String::from_utf8_lossy(&answer.stdout).starts_with("You've hit kubia-"),
            "{name}: {answer:?}"
        );
    }
    format!("{external}:8080")
}

/// B7, B8
fn three_pods_answer_and_a_deleted_one_is_replaced(at: &Appliance, address: &str) {
    at.kubectl(&["scale", "rc", "kubia", "--replicas=3"]).ok("scale");
    at.until(&["get", "rc", "kubia", "-o", "jsonpath={.status.readyReplicas}"], "3");
    let row = at.kubectl(&["get", "rc", "kubia", "--no-headers"]).ok("get rc");
    assert_eq!(row.split_whitespace().take(4).collect::<Vec<_>>(), ["kubia", "3", "3", "3"]);
    at.until_hit(address, 3);
    let victim = at.kubectl(&["get", "pods", "-l", "app=kubia", "-o", "name"]).ok("names");
    let victim = victim.lines().next().unwrap().to_owned();
    at.kubectl(&["delete", &victim]).ok("delete pod");
    // the status may still be of before
    at.until(&["get", "pods", "-l", "app=kubia", "-o", "jsonpath={.items[*].kind}"], "Pod Pod Pod");
    at.until(&["get", "rc", "kubia", "-o", "jsonpath={.status.readyReplicas}"], "3");
    let after = at.kubectl(&["get", "pods", "-l", "app=kubia", "-o", "name"]).ok("names");
    assert!(!after.contains(&victim) && after.lines().count() == 3, "{after}");
    at.until_hit(address, 3);
}

/// B8 for a process, and B11: the same processes, with the same restart counts.
fn everything_is_there_again(at: &Appliance, address: &str) {
    let of_pod = "jsonpath={.status.containerStatuses[0].restartCount} {.status.phase}";
    at.until_processes(4);
    let victim = at.processes("single");
    assert_eq!(victim.len(), 1, "{victim:?}");
    at.shell(&format!("kill -9 {}", victim[0])).ok("kill a container");
    at.until(&["get", "pod", "single", "-o", of_pod], "1 Running");
    at.until_processes(4);
    let before = at.processes("");
    at.monopod(&["stop"]).ok("stop");
    assert_eq!(at.processes(""), before, "containers go on while the daemon is away");
    at.monopod(&["start"]).ok("start again");
    at.until(&["get", "rc", "kubia", "-o", "jsonpath={.status.readyReplicas}"], "3");
    at.until_hit(address, 3);
    assert_eq!(at.processes(""), before);
    assert_eq!(at.kubectl(&["get", "pod", "single", "-o", of_pod]).ok("get"), "1 Running");
}
