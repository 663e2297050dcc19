//! The daemon dies and comes back; what runs goes on, and what is deleted is gone.

mod common;

use common::{Appliance, appliance};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: kubia, image: monopod/kubia, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

fn with_web(profile: &str) -> Option<(Appliance, String)> {
    let at = appliance(profile)?;
    at.kubectl_with(&["create"], WEB).ok("create");
    all_well(&at);
    let ip = at.until_some(&["get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"]);
    Some((at, ip))
}

/// Four pods are there, each ready and none on its way out, each with its process. What the Deployment says may be of before.
fn all_well(at: &Appliance) {
    let ready = "{.metadata.deletionTimestamp}{.status.conditions[?(@.type==\"Ready\")].status}";
    let each = format!("jsonpath={{range .items[*]}}{ready}{{\" \"}}{{end}}");
    at.until(&["get", "pods", "-l", "app=web", "-o", &each], "True True True True");
    at.until(&["get", "deploy", "web", "-o", "jsonpath={.status.readyReplicas}"], "4");
    at.until_processes(4);
}

#[test]
fn a_killed_daemon_s_pods_go_on_and_are_known_again() {
    let Some((at, ip)) = with_web("killed") else { return };
    let before = at.processes("");
    for _ in 0..3 {
        // something is under way each time
        at.kubectl(&["create", "configmap", "load", "--from-literal=a=b"]);
        at.kubectl(&["delete", "pod", "-l", "app=web", "--wait=false", "--grace-period=1"]);
        at.kill_daemon();
        at.monopod(&["start"]).ok("start again");
        all_well(&at);
        at.until_hit(&ip, 4);
    }
    assert_ne!(at.processes(""), before, "the pods were replaced in between");
    let quiet = at.processes("");
    at.kill_daemon();
    at.until_hit(&ip, 4);
    at.monopod(&["start"]).ok("start at last");
    at.until(&["get", "deploy", "web", "-o", "jsonpath={.status.readyReplicas}"], "4");
    assert_eq!(at.processes(""), quiet, "nobody touched what was well");
    let restarts = ["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"];
    assert_eq!(at.kubectl(&restarts).ok("restarts"), "0 0 0 0");
}

#[test]
fn a_killed_shim_s_container_is_restarted() {
    let Some((at, ip)) = with_web("shim") else { return };
    let child = at.processes("")[0];
    let parent = at.shell(&format!("ps -o ppid= -p {child}")).ok("parent").trim().to_owned();
    at.shell(&format!("kill -9 {parent}")).ok("kill a shim");
    assert!(common::ends(&child.to_string()), "a container without its shim is ended");
    all_well(&at);
    at.until_hit(&ip, 4);
}

#[test]
fn delete_leaves_nothing_even_of_a_cluster_that_was_killed() {
    let Some((at, _)) = with_web("gone") else { return };
    at.load_busybox();
    at.kill_daemon();
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
    assert!(!at.kubeconfig().exists());
}

#[test]
fn a_machine_that_was_switched_off_has_its_pods_again() {
    let Some((at, ip)) = with_web("reboot") else { return };
    at.kill_daemon();
    for pid in at.processes("") {
        let parent = at.shell(&format!("ps -o ppid= -p {pid}")).ok("parent").trim().to_owned();
        at.shell(&format!("kill -9 {parent}")).ok("kill");
        // without its shim it ends by itself
        at.shell(&format!("kill -9 {pid}"));
        assert!(common::ends(&pid.to_string()), "{pid} goes on");
    }
    // what does not survive: the run directory, links, rules
    std::fs::remove_dir_all(&at.places()[1]).unwrap();
    at.shell("nft flush ruleset; for l in $(ip -o link | grep -o 'mp[0-9a-z]*@' | tr -d @); do ip link del $l; done")
        .ok("forget the network");
    at.monopod(&["start"]).ok("start again");
    all_well(&at);
    at.until_hit(&ip, 4);
}

#[test]
fn what_somebody_takes_away_of_the_network_comes_back() {
    let Some((at, ip)) = with_web("taken") else { return };
    at.until_hit(&ip, 4);
    at.shell("nft flush table ip monopod-e2e-taken").ok("flush the rules");
    at.until_hit(&ip, 4);
    at.shell(
        "for l in $(ip -o link show type veth | cut -d' ' -f2 | cut -d@ -f1 | grep -vx lan); do ip link set $l down; done",
    )
    .ok("take the pods' links down");
    at.until_hit(&ip, 4);
    at.shell(
        "for l in $(ip -o link show type veth | cut -d' ' -f2 | cut -d@ -f1 | grep -vx lan); do ip link del $l; done",
    )
    .ok("delete the pods' links");
    at.until_hit(&ip, 4);
    let range = "$(ip route | grep 'proto 109' | grep ' lo ' | cut -d' ' -f1)";
    at.shell(&format!("for r in {range}; do ip route del $r; done")).ok("delete the routes of services");
    at.until_hit(&ip, 4);
}

/// As the machine's own end, but said by the user: what runs is asked to end first.
#[test]
fn a_stop_with_its_pods_asks_them_and_leaves_the_cluster_on_disk() {
    let Some(at) = appliance("stop-pods") else { return };
    at.load_busybox();
    let told = at.home().join("told");
    let container = "containers: [{name: c, image: \"busybox:1\", imagePullPolicy: IfNotPresent, \
        command: [sh, -c, 'trap \"echo asked >> /home/told; exit\" TERM; echo listens; while :; do sleep 0.05; done'], \
        volumeMounts: [{name: home, mountPath: /home}]}]";
    let pod = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: asked}}, spec: {{volumes: [{{name: home, hostPath: {{path: {}}}}}], {container}}}}}",
        at.home().display()
    );
    at.kubectl_with(&["apply", "-f", "-"], &pod).ok("apply");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/asked", "--timeout=60s"]).ok("ready");
    // before it has its handler a first process hears of no signal
    at.until(&["logs", "asked"], "listens");
    let said = at.monopod(&["stop", "--pods"]).ok("stop");
    assert!(said.contains("and its pods and containers with it"), "{said}");
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "asked\n", "once");
    let [state, run] = at.places();
    assert!(!run.exists() && state.join("store").is_dir());
    let kernel = "nft list tables; ip -o link | grep -o 'mp[0-9a-z]*@'; find /sys/fs/cgroup -path '*monopod/e2e-stop-pods*'; true";
    // a link goes a moment after the namespace that its other end was in
    at.until_shell(kernel, "");
    at.monopod(&["start"]).ok("start again");
    at.until(&["get", "pod", "asked", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"], "1");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/asked", "--timeout=60s"]).ok("ready again");
}
