//! Decisions a second in a cluster of 5,000 nodes in three zones that 10,000 pods of several kinds come to, each placed before
//! the next is looked at: `cargo run --release -p scheduler --example simulation [NODES] [PODS]`. Nothing is written: it
//! measures what upstream calls the scheduling cycle.

use api::LabelSelector;
use k8s_openapi::api::core::v1::{Node, Pod};
use scheduler::{Context, PodInfo, Snapshot, place};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Spec = fn(&str) -> Value;

/// Of a hundred pods so many are of the kind.
const KINDS: [(&str, usize, Spec); 8] = [
    ("plain", 40, |_| json!({})),
    ("owned, so spread by default", 20, |_| json!({})),
    ("node selector", 10, |_| json!({"nodeSelector": {"disk": "ssd"}})),
    ("tolerations", 5, |_| json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]})),
    ("preferred nodes", 5, |_| {
        json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10, "preference":
            {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}}})
    }),
    ("spread over zones", 10, |app| {
        json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": app}}}]})
    }),
    ("one a host", 5, |app| {
        json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}]}}})
    }),
    ("beside others of its zone", 5, |app| {
        json!({"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10, "podAffinityTerm":
            {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "topology.kubernetes.io/zone"}}]}}})
    }),
];

fn node(number: usize) -> Arc<Node> {
    let name = format!("node-{number}");
    let taints =
        if number.is_multiple_of(20) { json!([{"key": "gpu", "effect": "NoSchedule"}]) } else { json!([]) };
    let node = json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": format!("zone-{}", number % 3),
            "disk": if number.is_multiple_of(2) { "ssd" } else { "hdd" }}},
        "spec": {"taints": taints},
        "status": {"allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"}},
    });
    Arc::new(serde_json::from_value(node).expect("a node"))
}

/// Each hundredth application has all its pods of one kind.
fn pod(number: usize) -> (usize, String, Pod) {
    let (mut kind, mut place) = (0, number % 100);
    while place >= KINDS[kind].1 {
        place -= KINDS[kind].1;
        kind += 1;
    }
    let app = format!("app-{kind}-{}", number / 100 % 20);
    let mut spec = json!({"containers": [{"name": "c", "image": "registry.example.com/app:1",
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}}}]});
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), KINDS[kind].2(&app)) {
        spec.extend(more);
    }
    let pod = json!({
        "metadata": {"name": format!("pod-{number}"), "namespace": format!("team-{}", number % 10),
            "uid": format!("uid-{number}"), "labels": {"app": app}},
        "spec": spec,
    });
    (kind, app, serde_json::from_value(pod).expect("a pod"))
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let (nodes, pods) = (arguments.next().unwrap_or(5_000), arguments.next().unwrap_or(10_000));
    let mut all = Snapshot::of((0..nodes).map(node), []);
    let mut context = Context::default();
    let mut took: [(Duration, usize); KINDS.len()] = [(Duration::ZERO, 0); KINDS.len()];
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let waiting: Vec<(usize, String, Pod)> = (0..pods).map(pod).collect();
    let started = Instant::now();
    for (kind, app, mut pod) in waiting {
        let begun = Instant::now();
        let info = PodInfo::of(Arc::new(pod.clone()));
        context.owners = (kind == 1).then(|| LabelSelector::from_pairs([(&"app".to_owned(), &app)]));
        match place(&info, &all, &context) {
            Ok(found) => {
                context.start = (context.start + found.evaluated) % nodes.max(1);
                pod.spec.get_or_insert_default().node_name = Some(found.node);
                all.set_pod(Arc::new(PodInfo::of(Arc::new(pod))));
            }
            Err(why) => *refused.entry(why.to_string()).or_default() += 1,
        }
        took[kind] = (took[kind].0 + begun.elapsed(), took[kind].1 + 1);
    }
    let whole = started.elapsed();
    for ((name, ..), (took, count)) in KINDS.iter().zip(took) {
        println!(
            "{name:<32} {count:>6} pods {:>8.0} µs each",
            took.as_secs_f64() * 1e6 / count.max(1) as f64
        );
    }
    for (why, count) in refused {
        println!("{count} refused: {why}");
    }
    println!("{nodes} nodes, {pods} pods: {:.0} decisions a second", pods as f64 / whole.as_secs_f64());
}
