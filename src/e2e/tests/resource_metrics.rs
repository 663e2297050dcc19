//! What pods use: `kubectl top`.

mod common;

use common::{Appliance, appliance};
use std::time::{Duration, Instant};

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {app: load}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: loop, image: busybox:1, imagePullPolicy: Never, command: [sh, -c, 'while :; do :; done'], resources: {limits: {cpu: 300m}}}
  - {name: idle, image: busybox:1, imagePullPolicy: Never, command: [sleep, '3600']}
---
apiVersion: v1
kind: Pod
metadata: {name: quiet}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox:1, imagePullPolicy: Never, command: [sleep, '3600']}]
";

/// The columns of the line that begins so, without the units.
fn line(table: &str, beginning: &[&str]) -> Vec<u64> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let found = table.lines().map(words).find(|words| words.iter().zip(beginning).all(|(a, b)| a == b));
    let found = found.unwrap_or_else(|| panic!("{beginning:?}: {table}"));
    let digits = |word: &String| word.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    found[beginning.len()..].iter().filter_map(digits).collect()
}

/// Until the first sample of all of them is behind it.
fn until_measured(at: &Appliance, arguments: &[&str], enough: impl Fn(&str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let seen = at.kubectl(arguments);
        if seen.0.status.success() && enough(&seen.out()) {
            return seen.out();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{arguments:?}: {} {}", seen.out(), seen.err());
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn kubectl_top_shows_what_pods_and_the_node_use() {
    let Some(at) = appliance("top") else { return };
    at.load_busybox();
    at.kubectl_with(&["apply"], PODS).ok("apply");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/busy", "pod/quiet", "--timeout=60s"]).ok("ready");
    let all = |seen: &str| seen.contains("busy") && seen.contains("quiet");
    let pods = until_measured(&at, &["top", "pod"], all);
    let (busy, quiet) = (line(&pods, &["busy"]), line(&pods, &["quiet"]));
    // the limit is 300m; a loaded machine may give less, and none gives an idle pod as much
    assert!((20..=400).contains(&busy[0]) && quiet[0] < 20, "{pods}");
    let containers = at.kubectl(&["top", "pod", "-A", "--containers"]).ok("containers");
    let of = |name: &str| line(&containers, &["default", "busy", name]);
    assert!(of("loop")[0] >= 20 && of("idle")[0] < 20, "{containers}");
    let labelled = at.kubectl(&["top", "pod", "-l", "app=load", "--no-headers"]).ok("by label");
    assert!(labelled.starts_with("busy ") && labelled.lines().count() == 1, "{labelled}");
    let nodes = at.kubectl(&["top", "node", "--no-headers"]).ok("nodes");
    let node = line(&nodes, &["e2e-top"]);
    assert!(node.len() == 4 && node[0] >= busy[0] / 2 && node[2] > 0, "{nodes}");
    let shown = at.kubectl(&["get", "pods.metrics.k8s.io", "quiet"]).ok("table");
    assert!(shown.contains("WINDOW") && shown.contains("Ki"), "{shown}");
    for version in ["v1", "v1beta1"] {
        let path = format!("/apis/metrics.k8s.io/{version}/namespaces/default/pods/quiet");
        let one = at.kubectl(&["get", "--raw", &path]).ok("one");
        assert!(one.contains(&format!("\"metrics.k8s.io/{version}\"")), "{one}");
    }
    let missing = at.kubectl(&["get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/none"]);
    assert!(missing.refused("no such pod").contains("pods.metrics.k8s.io \"default/none\" not found"));
    // who may look at pods may see what they use, and nobody else
    at.kubectl(&["create", "serviceaccount", "viewer"]).ok("account");
    let viewer = "--as=system:serviceaccount:default:viewer";
    assert!(at.kubectl(&["top", "pod", viewer]).refused("a stranger").contains("forbidden"));
    at.kubectl(&["create", "rolebinding", "v", "--clusterrole=view", "--serviceaccount=default:viewer"])
        .ok("bind");
    assert!(at.kubectl(&["top", "pod", viewer]).ok("a viewer").contains("busy"));
    assert!(at.kubectl(&["top", "node", viewer]).refused("of its namespace only").contains("forbidden"));
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}
