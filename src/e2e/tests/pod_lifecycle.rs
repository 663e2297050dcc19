//! How pods come, change and go, on real containers: what begins badly says so, what changes is seen, what is to go goes.

mod common;

use common::{Appliance, appliance};

fn of_status(at: &Appliance, pod: &str, path: &str) -> String {
    at.kubectl(&["get", "pod", pod, "-o", &format!("jsonpath={{.status.{path}}}")]).ok(path)
}

fn until_phase(at: &Appliance, pod: &str, phase: &str) {
    at.until(&["get", "pod", pod, "-o", "jsonpath={.status.phase}"], phase);
}

#[test]
fn parts_of_a_volume_are_for_whoever_the_volume_is_for() {
    let Some(at) = appliance("subpath") else { return };
    at.load_busybox();
    let pod = |name: &str, security: &str| {
        format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  securityContext: {{{security}}}
  containers:
  - name: c
    image: busybox:1
    env: [{{name: PART, value: made/by/expression}}]
    command: [sh, -c, 'touch /data/f /expr/f /memory/f && stat -c \"%a %g\" /data /expr /memory']
    volumeMounts:
    - {{name: v, mountPath: /data, subPath: data}}
    - {{name: v, mountPath: /expr, subPathExpr: $(PART)}}
    - {{name: m, mountPath: /memory, subPath: deep/er}}
  volumes:
  - {{name: v, emptyDir: {{}}}}
  - {{name: m, emptyDir: {{medium: Memory}}}}
"
        )
    };
    for (name, security, want) in [
        ("user", "runAsUser: 1001", "777 0\n777 0\n777 0\n"),
        ("group", "runAsUser: 1001, fsGroup: 2000", "2777 2000\n2777 2000\n2777 2000\n"),
    ] {
        at.kubectl_with(&["create"], &pod(name, security)).ok("create");
        until_phase(&at, name, "Succeeded");
        assert_eq!(at.kubectl(&["logs", name]).ok("logs"), want, "{name}");
    }
}

#[test]
fn a_command_that_can_not_start_fails_its_pod_or_is_tried_again() {
    let Some(at) = appliance("nocmd") else { return };
    at.load_busybox();
    let run = |name: &str, policy: &str| {
        at.kubectl(&["run", name, "--image=busybox:1", policy, "--command", "--", "nosuchcmd"]).ok("run")
    };
    let why = "failed to create task: OCI runtime create failed: unable to start container process: exec: \"nosuchcmd\": executable file not found in $PATH";
    run("never", "--restart=Never");
    until_phase(&at, "never", "Failed");
    let ended =
        |what: &str| of_status(&at, "never", &format!("containerStatuses[0].state.terminated.{what}"));
    assert_eq!(
        (ended("reason"), ended("exitCode"), ended("message")),
        ("StartError".into(), "128".into(), why.into())
    );
    at.until_told(&["describe", "pod", "never"], &format!("Error: {why}"));

    run("always", "--restart=Always");
    let waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    at.until(&["get", "pod", "always", "-o", waiting], "CrashLoopBackOff");
    assert_ne!(of_status(&at, "always", "containerStatuses[0].restartCount"), "0");
    let last = "containerStatuses[0].lastState.terminated.reason";
    assert_eq!(of_status(&at, "always", last), "StartError");

    let init = "{apiVersion: v1, kind: Pod, metadata: {name: init}, spec: {restartPolicy: Never, initContainers: [{name: first, image: 'busybox:1', command: [/no/such]}], containers: [{name: c, image: 'busybox:1', command: [sleep, '60']}]}}";
    at.kubectl_with(&["create"], init).ok("create");
    until_phase(&at, "init", "Failed");
    assert_eq!(of_status(&at, "init", "initContainerStatuses[0].state.terminated.reason"), "StartError");

    // who waits to attach to it is told, instead of waiting for ever
    let attached = [
        "run",
        "attached",
        "--image=busybox:1",
        "--restart=Never",
        "--attach",
        "--command",
        "--",
        "nosuchcmd",
    ];
    at.kubectl(&attached).refused("attach");
    // over a restart of the daemon it stays what it is
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start");
    assert_eq!(ended("reason"), "StartError");
    at.kubectl(&["delete", "pod", "--all", "--timeout=60s"]).ok("delete");
}

#[test]
fn a_grace_of_all_seconds_there_are_holds_no_pod() {
    let Some(at) = appliance("grace") else { return };
    at.load_busybox();
    let manifest = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {terminationGracePeriodSeconds: 9223372036854775807, containers: [{name: c, image: 'busybox:1', command: [sh, -c, 'trap \"exit 0\" TERM; echo listens; while true; do sleep 0.1; done']}]}}";
    at.kubectl_with(&["create"], manifest).ok("create");
    // before it has its handler a first process hears of no signal
    at.until(&["logs", "p"], "listens");
    at.kubectl(&["delete", "pod", "p", "--timeout=60s"]).ok("delete");
}

#[test]
fn what_is_changed_of_a_running_pod_is_seen_in_it() {
    let Some(at) = appliance("downward") else { return };
    at.load_busybox();
    let manifest = "{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {tier: old}}, spec: {terminationGracePeriodSeconds: 1, volumes: [{name: v, downwardAPI: {items: [{path: tier, fieldRef: {fieldPath: \"metadata.labels['tier']\"}}]}}], containers: [{name: c, image: 'busybox:1', command: [sleep, '3600'], volumeMounts: [{name: v, mountPath: /v}]}]}}";
    at.kubectl_with(&["create"], manifest).ok("create");
    at.until(&["exec", "p", "--", "cat", "/v/tier"], "old");
    at.kubectl(&["label", "pod", "p", "tier=new", "--overwrite"]).ok("label");
    at.until(&["exec", "p", "--", "cat", "/v/tier"], "new");
}

#[test]
fn pods_that_avoid_each_other_do_not_meet() {
    let Some(at) = appliance("apart") else { return };
    at.load_busybox();
    let pod = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: db}}}}, spec: {{terminationGracePeriodSeconds: 0, affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: kubernetes.io/hostname, labelSelector: {{matchLabels: {{app: db}}}}}}]}}}}, containers: [{{name: c, image: 'busybox:1', command: [sleep, '3600']}}]}}}}"
        )
    };
    at.kubectl_with(&["create"], &pod("one")).ok("create");
    until_phase(&at, "one", "Running");
    at.kubectl_with(&["create"], &pod("two")).ok("create");
    let reason = "jsonpath={.status.conditions[?(@.type==\"PodScheduled\")].reason}";
    at.until(&["get", "pod", "two", "-o", reason], "Unschedulable");
    let why = "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.";
    at.until_told(&["describe", "pod", "two"], why);
    at.kubectl(&["delete", "pod", "one", "--timeout=60s"]).ok("delete");
    until_phase(&at, "two", "Running");
}

#[test]
fn a_running_pod_is_looked_into_with_a_container_of_its_own() {
    let Some(at) = appliance("debug") else { return };
    at.load_busybox();
    let manifest = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'busybox:1', command: [sleep, '3600']}]}}";
    at.kubectl_with(&["create"], manifest).ok("create");
    until_phase(&at, "p", "Running");
    let debug = [
        "debug",
        "p",
        "--image=busybox:1",
        "--target=c",
        "-c",
        "look",
        "--",
        "sh",
        "-c",
        "ps; echo seen; sleep 3600",
    ];
    at.kubectl(&debug).ok("debug");
    let state = "jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt}";
    at.until_some(&["get", "pod", "p", "-o", state]);
    at.until(&["logs", "p", "-c", "look", "--tail=1"], "seen");
    // the processes of the container that it is for
    let logs = at.until_some(&["logs", "p", "-c", "look"]);
    assert!(logs.contains("sleep 3600"), "{logs}");
    assert_eq!(at.kubectl(&["exec", "p", "-c", "look", "--", "echo", "inside"]).ok("exec"), "inside\n");
    let described = at.kubectl(&["describe", "pod", "p"]).ok("describe");
    assert!(described.contains("Ephemeral Containers:"), "{described}");
    assert_eq!(of_status(&at, "p", "conditions[?(@.type==\"Ready\")].status"), "True");
    at.kubectl(&["delete", "pod", "p", "--timeout=60s"]).ok("delete");
}

#[test]
fn a_container_says_itself_when_it_is_started_again_and_reads_what_another_wrote() {
    let Some(at) = appliance("own-policy") else { return };
    at.load_busybox();
    // 42 twice, then well: the rule brings it back though its policy and the pod's would not
    let script = r#"n=$(cat /shared/n 2>/dev/null || echo 0); echo $((n + 1)) > /shared/n; test "$n" -ge 2 || exit 42"#;
    let manifest = format!(
        r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "own"}}, "spec": {{
        "restartPolicy": "Never",
        "volumes": [{{"name": "shared", "emptyDir": {{}}}}],
        "initContainers": [{{"name": "writes", "image": "busybox:1",
            "command": ["sh", "-c", "echo \"TOKEN='from init'\" > /shared/made.env"],
            "volumeMounts": [{{"name": "shared", "mountPath": "/shared"}}]}}],
        "containers": [
            {{"name": "again", "image": "busybox:1", "command": ["sh", "-c", {script:?}],
             "restartPolicy": "Never",
             "restartPolicyRules": [{{"action": "Restart", "exitCodes": {{"operator": "In", "values": [42]}}}}],
             "volumeMounts": [{{"name": "shared", "mountPath": "/shared"}}]}},
            {{"name": "reads", "image": "busybox:1", "command": ["sh", "-c", "echo \"$TOKEN\""],
             "env": [{{"name": "TOKEN", "valueFrom": {{"fileKeyRef": {{"volumeName": "shared", "path": "made.env", "key": "TOKEN"}}}}}}]}}
        ]}}}}"#
    );
    at.kubectl_with(&["apply"], &manifest).ok("apply");
    at.until(&["get", "pod", "own", "-o", "jsonpath={.status.phase}"], "Succeeded");
    let count = at.kubectl(&[
        "get",
        "pod",
        "own",
        "-o",
        "jsonpath={.status.containerStatuses[?(@.name==\"again\")].restartCount}",
    ]);
    assert_eq!(count.ok("count"), "2");
    assert_eq!(at.kubectl(&["logs", "own", "-c", "reads"]).ok("log"), "from init\n");
}
