//! What a node is worth to a pod, of those that would do: upstream's scores, with the weights that the pod's profile says. Each is
//! brought to 0–100 over the nodes that are compared.

use crate::allocation::{self, MOST};
use crate::pod_affinity::Preferred;
use crate::pod_info::PodInfo;
use crate::prepared::Prepared;
use crate::{NodeSnapshot, Plugin, Snapshot, spread};
use k8s_openapi::api::core::v1::{NodeAffinity, PreferredSchedulingTerm};
use kinds::{node_affinity, pod as ask};
use std::collections::BTreeMap;

/// Bytes of images on the node that count for nothing, and of one container's image that count for all.
const SMALL_IMAGE: i64 = 23 << 20;
const LARGE_IMAGE: i64 = 1000 << 20;

/// For each of the feasible nodes, given by slot.
pub(crate) fn rank(prepared: &Prepared, feasible: &[usize]) -> Vec<i64> {
    let mut sums = vec![0; feasible.len()];
    for (plugin, weight) in prepared.context.profile.scores() {
        for (sum, score) in sums.iter_mut().zip(scores(*plugin, prepared, feasible)) {
            *sum += weight * score;
        }
    }
    sums
}

fn scores(plugin: Plugin, prepared: &Prepared, feasible: &[usize]) -> Vec<i64> {
    let (pod, snapshot, context) = (prepared.pod, prepared.snapshot, prepared.context);
    let args = &context.profile.args;
    let each = |score: &dyn Fn(&NodeSnapshot) -> i64| -> Vec<i64> {
        feasible.iter().map(|slot| score(snapshot.at(*slot))).collect()
    };
    match plugin {
        Plugin::TaintToleration => reversed(each(&|node| intolerable(pod, node))),
        Plugin::NodeAffinity => {
            let wanted = wanted_terms(pod, args.added_affinity.as_ref());
            of_most(each(&|node| wanted_by(&wanted, node)))
        }
        Plugin::PodTopologySpread => {
            spread::scores(pod, context.owners.as_ref(), &args.spread, snapshot, feasible)
        }
        Plugin::InterPodAffinity => {
            let preferred = Preferred::of(pod, snapshot, &context.namespaces, args.pod_affinity);
            between(each(&|node| preferred.worth(node.slot)))
        }
        Plugin::NodeResourcesFit => each(&|node| args.fit.strategy.score(pod, node)),
        Plugin::NodeResourcesBalancedAllocation if allocation::asks_any(&args.balanced.0, pod) => {
            each(&|node| allocation::evenness(&args.balanced.0, pod, node))
        }
        Plugin::ImageLocality => {
            let images = Images::of(pod, snapshot);
            each(&|node| images.score(node))
        }
        // all are worth the same
        _ => vec![0; feasible.len()],
    }
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

fn intolerable(pod: &PodInfo, node: &NodeSnapshot) -> i64 {
    node.soft_taints.iter().filter(|taint| !ask::tolerates(&pod.pod, taint)).count() as i64
}

/// The profile's, and the pod's.
fn wanted_terms<'t>(pod: &'t PodInfo, added: Option<&'t NodeAffinity>) -> Vec<&'t PreferredSchedulingTerm> {
    let affinity = pod.pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let own = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let both = added.into_iter().chain(own);
    both.flat_map(|a| a.preferred_during_scheduling_ignored_during_execution.iter().flatten()).collect()
}

fn wanted_by(terms: &[&PreferredSchedulingTerm], node: &NodeSnapshot) -> i64 {
    let fitting = terms.iter().filter(|term| node_affinity::matches_term(&term.preference, &node.node));
    fitting.map(|term| i64::from(term.weight)).sum()
}

/// The pod's images, as far as some node has them.
struct Images<'s> {
    nodes: f64,
    containers: i64,
    found: Vec<&'s BTreeMap<usize, i64>>,
}

impl<'s> Images<'s> {
    fn of(pod: &PodInfo, snapshot: &'s Snapshot) -> Self {
        let spec = pod.pod.spec.as_ref();
        let containers = spec.iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
        let wanted: Vec<Option<&str>> = containers.map(|container| container.image.as_deref()).collect();
        let volumes = spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let mounted =
            volumes.filter_map(|volume| volume.image.as_ref()).map(|image| image.reference.as_deref());
        let wanted: Vec<Option<&str>> = wanted.into_iter().chain(mounted).collect();
        let found = wanted.iter().flatten().filter_map(|image| snapshot.image(&normalized(image)));
        Images {
            nodes: snapshot.len().max(1) as f64,
            containers: wanted.len().max(1) as i64,
            found: found.collect(),
        }
    }

    fn score(&self, node: &NodeSnapshot) -> i64 {
        let size = |on: &&BTreeMap<usize, i64>| {
            // what one node has alone draws nobody to it
            let spread = on.len() as f64 / self.nodes;
            on.get(&node.slot).map(|size| (*size as f64 * spread) as i64)
        };
        let sum: i64 = self.found.iter().filter_map(size).sum();
        let most = LARGE_IMAGE * self.containers;
        MOST * (sum.clamp(SMALL_IMAGE, most) - SMALL_IMAGE) / (most - SMALL_IMAGE)
    }
}

/// An image without a tag is that of `latest`.
fn normalized(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains(':') || name.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, place};
    use k8s_openapi::api::core::v1::Pod;
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
                let mut all = Snapshot::default();
                for (node_name, (more, pods)) in [(good, &better), (bad, &worse)] {
                    all.set_node(Arc::new(node(node_name, more)));
                    for (number, pod) in pods.iter().enumerate() {
                        let pod = pod.clone().uid(&format!("{node_name}-{number}")).on(node_name).build();
                        all.set_pod(Arc::new(PodInfo::of(Arc::new(pod))));
                    }
                }
                let chosen = place(&PodInfo::of(Arc::new(pod.clone())), &all, &Context::default()).unwrap();
                assert_eq!(chosen.node, good, "{name}");
            }
        }
    }
}
