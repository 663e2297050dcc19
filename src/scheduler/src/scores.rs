//! What a node is worth to a pod, of those that would do: upstream's default scores with their weights. Each is brought to
//! 0–100 over the nodes that are compared.

use crate::NodeSnapshot;
use crate::place::Prepared;
use crate::pod_affinity::Preferred;
use crate::spread;
use k8s_openapi::api::core::v1::{Container, ContainerImage, Pod, PodSpec};
use kinds::{node_affinity, pod as ask};
use std::collections::HashMap;

const MOST: i64 = 100;
/// What a container is taken to use that asks for nothing: upstream's `DefaultMilliCPURequest`, `DefaultMemoryRequest`.
const DEFAULT_MILLI_CPU: i64 = 100;
const DEFAULT_MEMORY: i64 = 200 << 20;
/// Bytes of images on the node that count for nothing, and of one container's image that count for all.
const SMALL_IMAGE: i64 = 23 << 20;
const LARGE_IMAGE: i64 = 1000 << 20;

/// For each of the feasible nodes.
pub(crate) fn rank(prepared: &Prepared, nodes: &[NodeSnapshot], feasible: &[&NodeSnapshot]) -> Vec<i64> {
    let pod = prepared.pod;
    let each =
        |score: &dyn Fn(&NodeSnapshot) -> i64| -> Vec<i64> { feasible.iter().map(|n| score(n)).collect() };
    let preferred = Preferred::of(pod, nodes, prepared.namespaces);
    let images = Images::of(nodes);
    let parts = [
        (3, reversed(each(&|node| intolerable(pod, node)))),
        (2, of_most(each(&|node| wanted(pod, node)))),
        (2, spread::scores(pod, nodes, feasible)),
        (2, between(each(&|node| preferred.worth(node)))),
        (1, each(&|node| least_allocated(pod, node))),
        (1, each(&|node| balanced(pod, node))),
        (1, each(&|node| images.score(pod, node))),
    ];
    (0..feasible.len())
        .map(|index| parts.iter().map(|(weight, scores)| weight * scores[index]).sum())
        .collect()
}

/// The highest is 100.
fn of_most(scores: Vec<i64>) -> Vec<i64> {
    let most = scores.iter().max().copied().unwrap_or(0);
    if most == 0 { scores } else { scores.into_iter().map(|score| score * MOST / most).collect() }
}

/// None is 100, the most is 0.
fn reversed(counts: Vec<i64>) -> Vec<i64> {
    of_most(counts).into_iter().map(|score| MOST - score).collect()
}

/// The lowest is 0, the highest 100.
fn between(scores: Vec<i64>) -> Vec<i64> {
    let (least, most) =
        (scores.iter().min().copied().unwrap_or(0), scores.iter().max().copied().unwrap_or(0));
    let of_100 = |score: i64| if most == least { 0 } else { (score - least) * MOST / (most - least) };
    scores.into_iter().map(of_100).collect()
}

fn intolerable(pod: &Pod, node: &NodeSnapshot) -> i64 {
    let taints = node.node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let soft = taints.filter(|taint| taint.effect == "PreferNoSchedule");
    soft.filter(|taint| !ask::tolerates(pod, taint)).count() as i64
}

fn wanted(pod: &Pod, node: &NodeSnapshot) -> i64 {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let affinity = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let terms = affinity.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
    let fitting = terms.into_iter().flatten();
    let fitting = fitting.filter(|term| node_affinity::matches_term(&term.preference, &node.node));
    fitting.map(|term| i64::from(term.weight)).sum()
}

fn least_allocated(pod: &Pod, node: &NodeSnapshot) -> i64 {
    let taken = node.residents.iter().map(|resident| &**resident).chain([pod]).map(assumed_use);
    let (cpu, memory) = taken.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let free = |taken: i64, all: i64| match all {
        0 => 0,
        all if taken > all => 0,
        all => i64::try_from(i128::from(all - taken) * i128::from(MOST) / i128::from(all)).unwrap_or(0),
    };
    let (cpus, bytes) = (node.allocatable("cpu").milli(), node.allocatable("memory").value());
    (free(cpu, cpus) + free(memory, bytes)) / 2
}

/// CPU in thousandths, memory in bytes.
fn assumed_use(pod: &Pod) -> (i64, i64) {
    let Some(spec) = pod.spec.as_ref() else { return (0, 0) };
    let asked = ask::requests(&with_defaults(spec));
    let of = |name: &str| asked.get(name).copied().unwrap_or_default();
    (of("cpu").milli(), of("memory").value())
}

fn with_defaults(spec: &PodSpec) -> PodSpec {
    let mut spec = PodSpec {
        containers: spec.containers.clone(),
        init_containers: spec.init_containers.clone(),
        overhead: spec.overhead.clone(),
        resources: spec.resources.clone(),
        ..PodSpec::default()
    };
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(fill_requests);
    spec
}

fn fill_requests(container: &mut Container) {
    let resources = container.resources.get_or_insert_default();
    let requests = resources.requests.get_or_insert_default();
    for (name, amount) in [("cpu", format!("{DEFAULT_MILLI_CPU}m")), ("memory", DEFAULT_MEMORY.to_string())] {
        requests
            .entry(name.to_owned())
            .or_insert_with(|| k8s_openapi::apimachinery::pkg::api::resource::Quantity(amount));
    }
}

/// How alike the shares of CPU and memory are that would be taken; a pod that asks for nothing does not care.
fn balanced(pod: &Pod, node: &NodeSnapshot) -> i64 {
    let asked = pod.spec.as_ref().map(ask::requests).unwrap_or_default();
    let share = |name: &str| {
        let all = node.allocatable(name).milli();
        let taken = node.requested.get(name).copied().unwrap_or_default();
        let taken = taken.plus(asked.get(name).copied().unwrap_or_default()).milli();
        if all == 0 { 0.0 } else { (taken as f64 / all as f64).min(1.0) }
    };
    if asked.values().all(|amount| amount.is_zero()) {
        return 0;
    }
    // of two numbers the standard deviation is half of their distance
    ((1.0 - (share("cpu") - share("memory")).abs() / 2.0) * MOST as f64) as i64
}

/// On how many nodes each image is.
struct Images {
    nodes: i64,
    on: HashMap<String, i64>,
}

impl Images {
    fn of(nodes: &[NodeSnapshot]) -> Self {
        let mut on: HashMap<String, i64> = HashMap::new();
        for image in nodes.iter().flat_map(images) {
            for name in image.names.iter().flatten() {
                *on.entry(name.clone()).or_default() += 1;
            }
        }
        Images { nodes: nodes.len() as i64, on }
    }

    fn score(&self, pod: &Pod, node: &NodeSnapshot) -> i64 {
        let Some(spec) = &pod.spec else { return 0 };
        let containers: Vec<&Container> =
            spec.init_containers.iter().flatten().chain(&spec.containers).collect();
        let wanted = containers.iter().filter_map(|container| container.image.as_deref()).map(normalized);
        let size = |name: String| {
            let here = images(node).find(|image| image.names.iter().flatten().any(|known| *known == name))?;
            // what every node has draws nobody together
            let spread = self.on.get(&name).copied().unwrap_or(0) as f64 / self.nodes.max(1) as f64;
            Some((here.size_bytes.unwrap_or(0) as f64 * spread) as i64)
        };
        let sum: i64 = wanted.filter_map(size).sum();
        let most = LARGE_IMAGE * containers.len().max(1) as i64;
        MOST * (sum.clamp(SMALL_IMAGE, most) - SMALL_IMAGE) / (most - SMALL_IMAGE)
    }
}

fn images(node: &NodeSnapshot) -> impl Iterator<Item = &ContainerImage> {
    node.node.status.iter().flat_map(|status| status.images.iter().flatten())
}

/// An image without a tag is that of `latest`.
fn normalized(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains(':') || name.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Namespaces, Storage, place};
    use serde_json::{Value, json};
    use std::sync::Arc;
    use testkit::objects::{self, Builder};

    /// Of two nodes that differ in one thing the right one is chosen, whichever comes first by name.
    #[test]
    fn each_score_decides_where_all_else_is_equal() {
        let plain = json!({});
        let node = |name: &str, more: &Value| {
            objects::node(name).label("host", name).allocatable("8", "8Gi").with(more).build()
        };
        let resident =
            |app: &str, spec: Value| objects::pod(app).namespace("n").label("app", app).spec(&spec);
        let asks = |cpu: &str, memory: &str| json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]});
        let term = json!({"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "host"});
        let preferred = |kind: &str| json!({"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 10, "podAffinityTerm": term}]}}});
        let of_nodes = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}}});
        let spread = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "host", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "db"}}}]});
        let soft = json!({"spec": {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}});
        let images = json!({"status": {"images": [{"names": ["example/i:latest"], "sizeBytes": 500 << 20}]}});
        let alike = resident("db", json!({}));
        // what the pod says; what the better node has, and what the worse
        let cases: Vec<(&str, Value, (Value, Vec<Builder<Pod>>), (Value, Vec<Builder<Pod>>))> = vec![
            ("no soft taint", plain.clone(), (plain.clone(), vec![]), (soft.clone(), vec![])),
            (
                "preferred labels",
                of_nodes,
                (json!({"metadata": {"labels": {"disk": "ssd"}}}), vec![]),
                (plain.clone(), vec![]),
            ),
            (
                "less taken",
                asks("1", "1Gi"),
                (plain.clone(), vec![]),
                (plain.clone(), vec![resident("x", asks("2", "2Gi"))]),
            ),
            (
                "taken evenly",
                asks("1", "1Gi"),
                (plain.clone(), vec![resident("x", asks("2", "2Gi"))]),
                (plain.clone(), vec![resident("x", asks("4", "1Mi"))]),
            ),
            (
                "beside whom it likes",
                preferred("podAffinity"),
                (plain.clone(), vec![alike.clone()]),
                (plain.clone(), vec![resident("x", json!({}))]),
            ),
            (
                "away from whom it does not",
                preferred("podAntiAffinity"),
                (plain.clone(), vec![resident("x", json!({}))]),
                (plain.clone(), vec![alike.clone()]),
            ),
            (
                "beside one who likes it",
                plain.clone(),
                (plain.clone(), vec![resident("x", preferred("podAffinity"))]),
                (plain.clone(), vec![resident("x", json!({}))]),
            ),
            ("spread", spread, (plain.clone(), vec![resident("x", json!({}))]), (plain.clone(), vec![alike])),
            (
                "its image is there",
                json!({"containers": [{"name": "c", "image": "example/i"}]}),
                (images, vec![]),
                (plain.clone(), vec![]),
            ),
        ];
        for (name, spec, better, worse) in cases {
            let pod = resident("db", spec).build();
            for (good, bad) in [("a", "b"), ("b", "a")] {
                let snapshot = |name: &str, (more, pods): &(Value, Vec<Builder<Pod>>)| {
                    let pods: Vec<Arc<Pod>> =
                        pods.iter().map(|pod| Arc::new(pod.clone().on(name).build())).collect();
                    NodeSnapshot::new(Arc::new(node(name, more)), &pods)
                };
                let nodes = [snapshot(good, &better), snapshot(bad, &worse)];
                let chosen = place(&pod, &nodes, &Namespaces::new(), &Storage::default()).unwrap();
                assert_eq!(chosen.name(), good, "{name}");
            }
        }
    }
}
