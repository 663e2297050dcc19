//! What a cluster can be beside running: paused, about to stop, without Kubernetes. Under both names.

mod common;

use common::{Answer, Appliance, appliance};
use serde_json::Value;
use std::time::{Duration, Instant};

fn minikube(cluster: &Appliance, profile: &str, words: &[&str]) -> Answer {
    let link = cluster.home().join("minikube");
    if !link.exists() {
        std::os::unix::fs::symlink(std::env::var_os("MONOPOD_BIN").unwrap(), &link).unwrap();
    }
    cluster.program(&link, &[&["-p", profile], words].concat())
}

fn code(answer: &Answer) -> Option<i32> {
    answer.0.status.code()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Of the daemon: `status` ends with another code than 0 while it is paused.
fn pid(cluster: &Appliance) -> String {
    json(&cluster.monopod(&["status", "-o", "json"]).out())["detail"]["pid"].to_string()
}

/// Asks the pod, until it answers.
fn answers(cluster: &Appliance, address: &str) -> bool {
    let curl = format!("curl -sS --retry 9 --retry-connrefused --max-time 60 http://{address}:8080");
    cluster.shell(&curl).0.status.success()
}

/// A frozen one does not answer.
fn is_frozen(cluster: &Appliance, address: &str) -> bool {
    !cluster.shell(&format!("curl -sS --max-time 2 http://{address}:8080")).0.status.success()
}

#[test]
fn paused_pods_are_frozen_and_go_on() {
    let Some(cluster) = appliance("paused") else { return };
    let call = |words: &[&str]| minikube(&cluster, "e2e-paused", words);
    // it would be restarted at once if anybody asked it while it is frozen
    let pod = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"terminationGracePeriodSeconds": 1,
        "containers": [{"name": "web", "image": "monopod/kubia",
        "startupProbe": {"periodSeconds": 1, "failureThreshold": 60, "httpGet": {"port": 8080}},
        "livenessProbe": {"initialDelaySeconds": 2, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 1,
        "httpGet": {"port": 8080}}}]}}"#;
    cluster.kubectl_with(&["create"], pod).ok("pod");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]).ok("ready");
    let address = cluster.until_some(&["get", "pod", "web", "-o", "jsonpath={.status.podIP}"]);
    assert!(answers(&cluster, &address));

    assert!(call(&["pause"]).ok("pause").contains("Paused 0 containers in: kube-system, "));
    assert!(answers(&cluster, &address), "the user's own pods are not in minikube's namespaces");
    assert!(call(&["pause", "-A"]).ok("pause").contains("Paused 1 containers"));
    assert!(is_frozen(&cluster, &address));
    let status = call(&["status", "-o", "json", "-l", "cluster"]);
    let state = json(&status.out());
    assert_eq!(
        (code(&status), &state["StatusCode"], &state["StatusName"]),
        (Some(2), &418.into(), &"Paused".into())
    );
    let node = &state["Nodes"][0]["Components"];
    assert_eq!(
        (&node["apiserver"]["StatusCode"], &node["kubelet"]["StatusCode"]),
        (&418.into(), &405.into())
    );
    assert_eq!(code(&cluster.monopod(&["status"])), Some(5));
    let refused = cluster.kubectl(&["exec", "web", "--", "true"]).refused("exec");
    assert!(refused.contains("is paused"), "{refused}");

    // a daemon that was killed says the same
    cluster.shell(&format!("kill -9 {}", pid(&cluster))).ok("kill");
    std::thread::sleep(Duration::from_secs(3));
    assert!(is_frozen(&cluster, &address), "frozen without a daemon");
    let started = call(&["start"]).ok("start");
    assert!(started.contains("it was paused: 1 containers go on"), "{started}");
    assert!(answers(&cluster, &address));
    let restarts = ["get", "pod", "web", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"];
    cluster.until(&restarts, "0");

    // by namespace, and what is deleted goes
    let events = call(&["pause", "-n", "default,other", "-o", "json"]).ok("pause");
    let last = json(events.lines().last().unwrap());
    assert_eq!(last["data"]["message"], "Paused 1 containers in: default, other");
    cluster.kubectl(&["delete", "pod", "web", "--timeout=60s"]).ok("delete");
    cluster.kubectl(&["run", "late", "--image=monopod/kubia"]).ok("run");
    std::thread::sleep(Duration::from_secs(1));
    cluster.until(&["get", "pod", "late", "-o", "jsonpath={.status.phase}"], "Pending");
    assert_eq!(cluster.monopod(&["unpause"]).ok("unpause").lines().count(), 1);
    cluster.until(&["get", "pod", "late", "-o", "jsonpath={.status.phase}"], "Running");
    assert_eq!(code(&call(&["status"])), Some(0));

    let bad: [(&[&str], i32, &str); 3] = [
        (&["pause", "-n", ""], 14, "Use -A to specify all namespaces"),
        (&["pause", "-o", "xml"], 14, "set the --output flag"),
        (&["unpause", "-p", "nobody"], 85, ""),
    ];
    for (words, want, text) in bad {
        let answer = call(words);
        assert_eq!(code(&answer), Some(want), "{words:?}: {}", answer.err());
        assert!(answer.err().contains(text), "{words:?}: {}", answer.err());
    }
    call(&["stop"]).ok("stop");
    assert_eq!(code(&call(&["pause"])), Some(83));

    // what is frozen dies as well: of pods and of docker's containers; that nothing is left is looked at in the end
    let names = ["--apiserver-names=cluster.example.com,*.lan", "--apiserver-ips", "192.0.2.7"];
    call(&[&["start", "--interactive=false"], &names[..]].concat()).ok("start");
    let by = |name: &str| cluster.kubectl(&["--tls-server-name", name, "get", "--raw", "/readyz"]);
    for name in ["cluster.example.com", "here.lan", "192.0.2.7"] {
        by(name).ok(name);
    }
    by("other.example.com").refused("a name that the certificate does not hold");
    let id = cluster.docker(&["run", "-d", "monopod/kubia"]).ok("run");
    cluster.docker(&["pause", id.trim()]).ok("docker pause");
    assert!(call(&["pause", "-A"]).ok("pause").contains("Paused 1 containers"));
    let began = Instant::now();
    call(&["delete"]).ok("delete");
    assert!(began.elapsed() < Duration::from_secs(30), "it waited for who can not die");
}

#[test]
fn a_stop_is_scheduled_and_taken_back() {
    let Some(cluster) = appliance("schedule") else { return };
    let call = |words: &[&str]| minikube(&cluster, "e2e-schedule", words);
    let left = || call(&["status", "--format={{.TimeToStop}}"]).ok("status");
    assert_eq!(left(), "");
    call(&["stop", "--schedule", "5m"]).ok("schedule");
    assert!(left().starts_with('5') || left().starts_with("4m"), "{}", left());
    call(&["stop", "--schedule=10h"]).ok("schedule");
    assert!(
        left().starts_with("10h0m") || left().starts_with("9h59m"),
        "the new one replaces the old: {}",
        left()
    );
    assert!(call(&["status"]).ok("status").contains("\ntimeToStop: "));
    assert!(cluster.monopod(&["status"]).ok("status").contains("stops in: "));
    assert!(
        call(&["stop", "--cancel-scheduled"]).ok("cancel").contains("All existing scheduled stops cancelled")
    );
    assert_eq!(left(), "");
    call(&["stop", "--schedule", "5m"]).ok("schedule");
    call(&["start"]).ok("start");
    assert_eq!(left(), "", "a start means to stay");
    for bad in ["x", "0s", "-5m", "5", ""] {
        let schedule = format!("--schedule={bad}");
        assert_eq!(code(&call(&["stop", &schedule])), Some(14), "{bad}");
        assert!(!cluster.monopod(&["stop", &schedule]).0.status.success(), "{bad}");
    }
    cluster.monopod(&["stop", "--schedule", "1s"]).ok("schedule");
    let began = Instant::now();
    while code(&cluster.monopod(&["status"])) != Some(3) {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_docker_half_alone() {
    let Some(cluster) = appliance("alone") else { return };
    let call = |words: &[&str]| minikube(&cluster, "e2e-alone", words);
    cluster.kubectl(&["run", "web", "--image=monopod/kubia"]).ok("run");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]).ok("ready");
    let started = call(&["start", "--no-kubernetes"]).ok("start");
    assert!(started.contains("minikube is ready without Kubernetes"), "{started}");
    cluster.until_processes(0);
    let status = call(&["status", "-o", "json"]);
    let state = json(&status.out());
    let of = |key: &str| state[key].as_str().unwrap().to_owned();
    assert_eq!(
        (of("Host"), of("Kubelet"), of("APIServer")),
        ("Running".into(), "Stopped".into(), "Stopped".into())
    );
    assert_eq!(code(&status), Some(2));
    cluster.kubectl(&["get", "nodes"]).refused("there is no API server");
    let id = cluster.docker(&["run", "-d", "monopod/kubia"]).ok("run");
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = cluster.docker(&["inspect", "-f", format, id.trim()]).ok("inspect");
    assert!(answers(&cluster, address.trim()));
    let tag = cluster.docker(&["images", "-q"]).ok("images");
    assert!(!tag.is_empty());
    let refusals: [&[&str]; 4] =
        [&["service", "list"], &["dashboard", "--url"], &["pause"], &["service", "web"]];
    for words in refusals {
        let answer = call(words);
        assert_eq!(code(&answer), Some(14), "{words:?}");
        assert!(answer.err().contains("minikube start --kubernetes-version=stable"), "{}", answer.err());
    }
    assert_eq!(code(&cluster.monopod(&["demo"])), Some(32));
    assert_eq!(code(&call(&["start", "--no-kubernetes", "--kubernetes-version=stable"])), Some(14));

    // as it was started before, and back
    call(&["stop"]).ok("stop");
    call(&["start"]).ok("start");
    assert_eq!(call(&["status", "-f", "{{.Kubelet}}"]).out(), "Stopped");
    call(&["start", "--kubernetes-version=stable"]).ok("start");
    assert_eq!(call(&["status", "-f", "{{.Kubelet}}"]).ok("status"), "Running");
    cluster.until(&["get", "pod", "web", "-o", "jsonpath={.status.phase}"], "Running");
    cluster.until_processes(2);
    assert!(answers(&cluster, address.trim()), "docker's container went on");
    cluster.docker(&["rm", "-f", id.trim()]).ok("rm");
}
