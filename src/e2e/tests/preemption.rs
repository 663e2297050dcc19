//! Which pods go so that more important ones run, and what is said of pods that find no place.

mod common;

use common::appliance;

fn pod(name: &str, class: &str, milli: i64, more: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}, finalizers: [example.com/seen]}}
spec:
  priorityClassName: {class}
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: c, image: 'busybox:1', imagePullPolicy: Never, command: [sleep, '3600'], resources: {{requests: {{cpu: {milli}m}}}}}}
{more}
"
    )
}

const CLASSES: &str = "
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: low}
value: 1
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: polite}
value: 1000
preemptionPolicy: Never
";

#[test]
fn a_more_important_pod_takes_the_place_of_another() {
    let Some(at) = appliance("preempt") else { return };
    at.load_busybox();
    at.kubectl_with(&["create"], CLASSES).ok("classes");
    let cpus = at.until_some(&["get", "nodes", "-o", "jsonpath={.items[0].status.allocatable.cpu}"]);
    let milli = match cpus.strip_suffix('m') {
        Some(milli) => milli.parse::<i64>().unwrap(),
        None => cpus.parse::<i64>().unwrap() * 1000,
    };
    let (most, some) = (milli * 6 / 10, milli * 2 / 10);
    at.kubectl_with(&["create"], &pod("low", "low", most, "")).ok("low");
    at.kubectl_with(&["create"], &pod("small", "low", some, "")).ok("small");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/low", "pod/small", "--timeout=60s"]).ok("wait");

    let said = "jsonpath={.status.conditions[?(@.type==\"PodScheduled\")].message}";
    at.kubectl_with(&["create"], &pod("polite", "polite", most, "")).ok("polite");
    at.until(
        &["get", "pod", "polite", "-o", said],
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
    );
    at.kubectl_with(&["create"], &pod("lower", "low", most, "")).ok("lower");
    at.until(
        &["get", "pod", "lower", "-o", said],
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
    );
    let spread = "  topologySpreadConstraints: [{maxSkew: 1, topologyKey: nowhere, whenUnsatisfiable: DoNotSchedule, labelSelector: {}}]";
    at.kubectl_with(&["create"], &pod("spread", "high", 1, spread)).ok("spread");
    at.until(
        &["get", "pod", "spread", "-o", said],
        "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label). preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    );
    at.kubectl(&["delete", "pod", "polite", "lower", "spread", "--wait=false"]).ok("delete");
    for name in ["polite", "lower", "spread"] {
        at.kubectl(&["patch", "pod", name, "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"])
            .ok(name);
    }

    at.kubectl_with(&["create"], &pod("high", "high", most, "")).ok("high");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/high", "--timeout=60s"]).ok("it runs");
    let why = "jsonpath={.status.conditions[?(@.type==\"DisruptionTarget\")].reason}";
    at.until(&["get", "pod", "low", "-o", why], "PreemptionByScheduler");
    let events = at.until_some(&[
        "get",
        "events",
        "--field-selector",
        "involvedObject.name=low,reason=Preempted",
        "-o",
        "jsonpath={.items[0].message}",
    ]);
    let uid = at.until_some(&["get", "pod", "high", "-o", "jsonpath={.metadata.uid}"]);
    assert!(events.starts_with(&format!("Preempted by pod {uid} on node ")), "{events}");
    at.until(&["get", "pod", "small", "-o", "jsonpath={.status.phase}"], "Running");
    for name in ["low", "small", "high"] {
        at.kubectl(&["patch", "pod", name, "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"])
            .ok(name);
    }
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}
