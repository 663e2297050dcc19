//! What a pod may ask for, on real containers.

mod common;

use common::{Appliance, appliance};

/// A pod of the busybox image that runs a shell line.
fn pod(name: &str, line: &str, more: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, spec: {{terminationGracePeriodSeconds: 1, containers: [{{name: c, image: 'busybox:1', command: [sh, -c, {line:?}]{more}}}]}}}}"
    )
}

fn logs_of_finished(at: &Appliance, name: &str) -> String {
    at.kubectl(&[
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        &format!("pod/{name}"),
        "--timeout=60s",
    ])
    .ok("succeeds");
    at.kubectl(&["logs", name]).ok("logs")
}

#[test]
fn environment_volumes_and_identity_are_what_the_manifest_says() {
    let Some(at) = appliance("env") else { return };
    at.load_busybox();
    at.kubectl_with(
        &["create"],
        "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue, file.txt: from a file}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {password: swordfish}
---
apiVersion: v1
kind: Pod
metadata: {name: all, labels: {tier: test}}
spec:
  restartPolicy: Never
  hostname: chosen
  initContainers:
  - {name: first, image: 'busybox:1', command: [sh, -c, 'echo made by init > /shared/init'], volumeMounts: [{name: shared, mountPath: /shared}]}
  containers:
  - name: c
    image: busybox:1
    workingDir: /tmp
    command: [sh, -c]
    args:
    - |
      echo $COLOUR $PASSWORD $POD_NAME $POD_IP $LIMIT $GREETING
      cat /shared/init /config/file.txt /secret/password; echo
      cat /labels/labels; echo
      hostname; pwd; id -u; id -g
      head -c 3 /var/run/secrets/kubernetes.io/serviceaccount/token; echo
      cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo
      grep -c chosen /etc/hosts
      grep search /etc/resolv.conf
    env:
    - {name: GREETING, value: hello-$(COLOUR)}
    - {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: hidden, key: password}}}
    - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: LIMIT, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
    resources: {limits: {memory: 64Mi, cpu: 500m}}
    securityContext: {runAsUser: 1000, runAsGroup: 2000}
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: config, mountPath: /config}
    - {name: secret, mountPath: /secret}
    - {name: labels, mountPath: /labels}
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: config, configMap: {name: settings}}
  - {name: secret, secret: {secretName: hidden}}
  - {name: labels, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
",
    )
    .ok("create");
    let said = logs_of_finished(&at, "all");
    let ip = at.kubectl(&["get", "pod", "all", "-o", "jsonpath={.status.podIP}"]).ok("ip");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            &format!("blue swordfish all {ip} 67108864 hello-$(COLOUR)"),
            "made by init",
            "from a fileswordfish",
            "tier=\"test\"",
            "chosen",
            "/tmp",
            "1000",
            "2000",
            "eyJ",
            "default",
            "1",
            "search default.svc.cluster.local svc.cluster.local cluster.local",
        ]
    );
}

#[test]
fn a_container_that_may_trace_its_pod_s_processes_gets_at_nothing_of_the_machine() {
    let Some(at) = appliance("trace") else { return };
    at.load_busybox();
    let line = "cat /proc/1/comm; grep CapEff /proc/1/status; cd /proc/1/root && echo *";
    let more = ", securityContext: {capabilities: {add: [SYS_PTRACE]}}";
    let whole = "spec: {restartPolicy: Never, shareProcessNamespace: true, ";
    let manifest = pod("tracer", line, more).replace("spec: {", whole);
    at.kubectl_with(&["create"], &manifest).ok("create");
    // a pattern that stands for itself: there is no file
    assert_eq!(logs_of_finished(&at, "tracer"), "pause\nCapEff:\t0000000000000000\n*\n");
}

#[test]
fn a_container_that_dies_is_restarted_and_one_that_keeps_dying_is_held_off() {
    let Some(at) = appliance("restart") else { return };
    at.load_busybox();
    at.kubectl_with(&["create"], &pod("crash", "echo once more; exit 3", "")).ok("create");
    let reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    at.until(&["get", "pod", "crash", "-o", reason], "CrashLoopBackOff");
    let code = "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}";
    assert_eq!(at.kubectl(&["get", "pod", "crash", "-o", code]).ok("exit code"), "3");
    assert_eq!(at.kubectl(&["logs", "crash", "--previous"]).ok("previous"), "once more\n");
    at.until_told(&["describe", "pod", "crash"], "Back-off restarting failed container c in pod crash");
}

#[test]
fn too_much_memory_is_an_oom_kill() {
    let Some(at) = appliance("oom") else { return };
    at.load_busybox();
    let line = "head -c 200000000 /dev/zero | tail -c 199999999 > /dev/null";
    let more = ", resources: {limits: {memory: 32Mi}}";
    let manifest = pod("greedy", line, more).replace("spec: {", "spec: {restartPolicy: Never, ");
    at.kubectl_with(&["create"], &manifest).ok("create");
    let reason = "jsonpath={.status.containerStatuses[0].state.terminated.reason}";
    at.until(&["get", "pod", "greedy", "-o", reason], "OOMKilled");
}

#[test]
fn probes_restart_the_unwell_and_keep_traffic_from_the_unready() {
    let Some(at) = appliance("probes") else { return };
    at.load_busybox();
    let probes = ", readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, timeoutSeconds: 10}, livenessProbe: {exec: {command: [test, '!', -e, /tmp/dead]}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 1}";
    at.kubectl_with(&["create"], &pod("probed", "mkdir -p /tmp; sleep 3600", probes)).ok("create");
    at.until(&["get", "pod", "probed", "-o", "jsonpath={.status.phase}"], "Running");
    let ready = ["get", "pod", "probed", "-o", "jsonpath={.status.containerStatuses[0].ready}"];
    at.until(&ready, "false");
    at.kubectl(&["exec", "probed", "--", "touch", "/tmp/ready"]).ok("touch ready");
    at.until(&ready, "true");
    at.kubectl(&["exec", "probed", "--", "touch", "/tmp/dead"]).ok("touch dead");
    at.until(&["get", "pod", "probed", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"], "1");
    at.until_told(&["describe", "pod", "probed"], "Liveness probe failed");
}

#[test]
fn an_image_that_nobody_has_says_why() {
    let Some(at) = appliance("pull") else { return };
    at.kubectl(&["run", "lost", "--image=127.0.0.1:1/nothing:1"]).ok("run");
    let reason = ["get", "pod", "lost", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}"];
    at.until(&reason, "ImagePullBackOff");
    at.until_told(&["describe", "pod", "lost"], "ErrImagePull");
    let described = at.kubectl(&["describe", "pod", "lost"]).ok("describe");
    assert!(described.contains("ErrImagePull") && described.contains("127.0.0.1:1"), "{described}");
    assert!(described.to_lowercase().contains("connection refused"), "{described}");
    let misspelt = pod("misspelt", "true", "").replace("busybox:1", "Not//An:Image:");
    at.kubectl_with(&["create"], &misspelt).ok("create");
    at.until(
        &["get", "pod", "misspelt", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}"],
        "InvalidImageName",
    );
}

#[test]
fn a_pod_that_no_node_suits_says_why_it_waits() {
    let Some(at) = appliance("wait") else { return };
    let manifest = pod("picky", "sleep 1", "").replace("spec: {", "spec: {nodeSelector: {disk: ssd}, ");
    at.kubectl_with(&["create"], &manifest).ok("create");
    let reason = "jsonpath={.status.conditions[?(@.type==\"PodScheduled\")].reason}";
    at.until(&["get", "pod", "picky", "-o", reason], "Unschedulable");
    let why = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector";
    at.until_told(&["describe", "pod", "picky"], why);
}

#[test]
fn a_changed_config_map_reaches_its_volume() {
    let Some(at) = appliance("volume") else { return };
    at.load_busybox();
    let map = |value: &str| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: m}}, data: {{key: {value}}}}}")
    };
    at.kubectl_with(&["create"], &map("old")).ok("create map");
    let manifest = pod("reader", "sleep 3600", ", volumeMounts: [{name: v, mountPath: /v}]")
        .replace("spec: {", "spec: {volumes: [{name: v, configMap: {name: m}}], ");
    at.kubectl_with(&["create"], &manifest).ok("create pod");
    at.until(&["exec", "reader", "--", "cat", "/v/key"], "old");
    at.kubectl_with(&["replace"], &map("new")).ok("replace map");
    at.until(&["exec", "reader", "--", "cat", "/v/key"], "new");
}
