//! The pods of a DaemonSet: for which node one is, whether a node should have one, and what it is made of. Pure.

use crate::history::REVISION_LABEL;
use crate::owner::controller_reference;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec};
use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec,
    Toleration,
};
use kinds::{node_affinity, pod as ask};

/// Where v1 keeps what was a field once, and what pods bear of it.
const GENERATION: &str = "deprecated.daemonset.template.generation";
const GENERATION_LABEL: &str = "pod-template-generation";
const NAME_FIELD: &str = "metadata.name";

/// Taints that a node has by itself and that keep no daemon away: whoever watches the node runs on it. Effects in upstream's
/// order.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
const TOLERATED_ON_THE_HOST: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

pub(super) fn hash(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get(REVISION_LABEL).map(String::as_str)
}

/// The node that it runs on, or waits for.
pub(super) fn target_node(pod: &Pod) -> &str {
    let Some(spec) = &pod.spec else { return "" };
    if let Some(node) = spec.node_name.as_deref().filter(|node| !node.is_empty()) {
        return node;
    }
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required =
        affinity.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    let terms = required.map(|selector| selector.node_selector_terms.as_slice()).unwrap_or_default();
    let fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let mut names = fields.filter(|field| field.key == NAME_FIELD && field.operator == "In");
    names.find_map(|field| field.values.as_ref()?.first()).map(String::as_str).unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct May {
    pub(super) should_run: bool,
    /// One that runs already is left there.
    pub(super) should_continue: bool,
}

pub(super) fn should_run(set: &DaemonSet, spec: &DaemonSetSpec, node: &Node) -> May {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let template = spec.template.spec.as_ref();
    let named = template.and_then(|pod| pod.node_name.as_deref()).unwrap_or_default();
    let wanted = template.cloned().unwrap_or_default();
    if !(named.is_empty() || named == name) || !node_affinity::fits(&wanted, node) {
        return May { should_run: false, should_continue: false };
    }
    let pod = pod_for(set, spec, name, "");
    let taints = || node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let bears = |effect: &str| taints().filter(|t| t.effect == effect).all(|t| ask::tolerates(&pod, t));
    let stays = bears("NoExecute");
    May { should_run: stays && bears("NoSchedule"), should_continue: stays }
}

pub(super) fn pod_for(set: &DaemonSet, spec: &DaemonSetSpec, node: &str, hash: &str) -> Pod {
    let template = spec.template.clone();
    let mut pod = Pod { metadata: template.metadata.unwrap_or_default(), spec: template.spec, status: None };
    let name = set.metadata.name.as_deref().unwrap_or_default();
    pod.metadata.name = None;
    pod.metadata.generate_name = Some(format!("{name}-"));
    pod.metadata.namespace.clone_from(&set.metadata.namespace);
    pod.metadata.owner_references = Some(vec![controller_reference(set)]);
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(REVISION_LABEL.to_owned(), hash.to_owned());
    let generation = set.metadata.annotations.as_ref().and_then(|all| all.get(GENERATION));
    if let Some(generation) = generation {
        labels.insert(GENERATION_LABEL.to_owned(), generation.clone());
    }
    let own = pod.spec.get_or_insert_default();
    tolerate(own);
    bind(own, node);
    pod
}

fn tolerate(spec: &mut PodSpec) {
    let on_the_host = (spec.host_network == Some(true)).then_some(TOLERATED_ON_THE_HOST);
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED.into_iter().chain(on_the_host) {
        let toleration = Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        };
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
}

/// The scheduler binds it, and counts what it takes; it may go to this node only. What the template asks of nodes is
/// answered already.
fn bind(spec: &mut PodSpec, node: &str) {
    let by_name = NodeSelectorRequirement {
        key: NAME_FIELD.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![by_name]), ..NodeSelectorTerm::default() };
    let affinity = spec.affinity.get_or_insert_with(Affinity::default);
    let place = affinity.node_affinity.get_or_insert_with(NodeAffinity::default);
    place.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
}
