//! Pods that are placed by rules of their own: profiles of the scheduler.

mod common;

use common::appliance;

const PROFILES: &str = "apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
parallelism: 4
profiles:
- schedulerName: default-scheduler
- schedulerName: careless
  plugins:
    multiPoint:
      disabled: [{name: NodeUnschedulable}, {name: TaintToleration}]
- schedulerName: choosy
  pluginConfig:
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: example.com/disk, operator: In, values: [ssd]}]}]
";

fn pod(name: &str, scheduler: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  schedulerName: {scheduler}
  terminationGracePeriodSeconds: 0
  containers: [{{name: c, image: 'busybox:1', imagePullPolicy: Never, command: [sleep, '3600']}}]
"
    )
}

#[test]
fn a_pod_names_the_profile_that_places_it() {
    let Some(at) = appliance("scheduler-profiles") else { return };
    let file = at.home().join("scheduler.yaml");
    let file = file.to_str().unwrap();
    at.monopod(&["stop"]).ok("stop");
    std::fs::write(file, PROFILES.replace("NodeUnschedulable", "NodeCordon")).unwrap();
    let refused = at.monopod(&["start", "--scheduler-config", file]).refused("no such plug-in");
    let why = "profiles[1].plugins.multiPoint.disabled[0]: plugin \"NodeCordon\" does not exist";
    assert!(refused.contains(&format!("scheduler configuration {file}: {why}")), "{refused}");
    assert!(!at.monopod(&["status"]).0.status.success(), "nothing was started");
    let settings = || std::fs::read_to_string(at.places()[0].join("settings.json")).unwrap();
    assert!(!settings().contains("scheduler"), "what was refused is not kept");

    std::fs::write(file, PROFILES).unwrap();
    let started = at.monopod(&["start", "--scheduler-config", file]);
    started.ok("start with profiles");
    assert!(started.err().contains("without effect in this process: parallelism"), "{}", started.err());
    assert!(settings().contains(file), "it is kept");
    let create = |name: &str, scheduler: &str| {
        at.kubectl_with(&["create"], &pod(name, scheduler)).ok(name);
    };
    let ready = |name: &str| {
        at.kubectl(&["wait", "--for=condition=Ready", &format!("pod/{name}"), "--timeout=60s"]).ok(name);
    };
    let said = "jsonpath={.status.conditions[?(@.type==\"PodScheduled\")].message}";
    at.load_busybox();
    let node = at.until_some(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    at.kubectl(&["cordon", &node]).ok("cordon");
    create("nobody", "another-program");
    create("careful", "default-scheduler");
    at.until(
        &["get", "pod", "careful", "-o", said],
        "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    );
    create("careless", "careless");
    ready("careless");
    let by = "involvedObject.name=careless,reportingComponent=careless";
    at.until(&["get", "events", "--field-selector", by, "-o", "jsonpath={.items[*].reason}"], "Scheduled");
    let untouched =
        at.kubectl(&["get", "pod", "nobody", "-o", "jsonpath={.status.phase}{.status.conditions}"]);
    assert_eq!(untouched.ok("nobody's"), "Pending", "nobody has looked at it");

    at.kubectl(&["uncordon", &node]).ok("uncordon");
    ready("careful");
    create("choosy", "choosy");
    at.until(
        &["get", "pod", "choosy", "-o", said],
        "0/1 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    );
    at.kubectl(&["label", "node", &node, "example.com/disk=ssd"]).ok("label");
    ready("choosy");

    // the file is asked for again by later starts, until somebody takes it back
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start again");
    create("again", "choosy");
    ready("again");
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start", "--scheduler-config", "none"]).ok("start without");
    create("late", "choosy");
    create("plain", "default-scheduler");
    ready("plain");
    let node_of = at.kubectl(&["get", "pod", "late", "-o", "jsonpath={.spec.nodeName}"]);
    assert_eq!(node_of.ok("late"), "", "there is no such profile any more");
}
