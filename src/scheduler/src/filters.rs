//! Why a node will not do, in upstream's words. One function a reason; the list in [`all`] is the order.

use crate::NodeSnapshot;
use crate::node::host_ports;
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint};
use kinds::pod as ask;
use std::collections::BTreeMap;

type Filter = fn(&Pod, &NodeSnapshot) -> Vec<String>;

/// Each gives reasons against the node; none is a yes.
pub(crate) const fn all() -> [Filter; 5] {
    [unschedulable, taints, affinity, ports, resources]
}

fn unschedulable(pod: &Pod, at: &NodeSnapshot) -> Vec<String> {
    let cordoned = at.node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true);
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: "NoSchedule".into(),
        ..Taint::default()
    };
    let why = "node(s) were unschedulable".to_owned();
    if cordoned && !ask::tolerates(pod, &taint) { vec![why] } else { Vec::new() }
}

fn taints(pod: &Pod, at: &NodeSnapshot) -> Vec<String> {
    let taints = at.node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    let untolerated = taints
        .into_iter()
        .filter(|taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute")
        .find(|taint| !ask::tolerates(pod, taint));
    let why = |taint: &Taint| {
        format!(
            "node(s) had untolerated taint {{{}: {}}}",
            taint.key,
            taint.value.as_deref().unwrap_or_default()
        )
    };
    untolerated.map(why).into_iter().collect()
}

fn affinity(pod: &Pod, at: &NodeSnapshot) -> Vec<String> {
    let none = BTreeMap::new();
    let labels = at.node.metadata.labels.as_ref().unwrap_or(&none);
    let Some(spec) = pod.spec.as_ref() else { return Vec::new() };
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let wanted = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = wanted.and_then(|w| w.required_during_scheduling_ignored_during_execution.as_ref());
    let fits = required
        .is_none_or(|selector| selector.node_selector_terms.iter().any(|term| matches_term(term, at)));
    if selected && fits {
        Vec::new()
    } else {
        vec!["node(s) didn't match Pod's node affinity/selector".to_owned()]
    }
}

pub(crate) fn matches_term(term: &NodeSelectorTerm, at: &NodeSnapshot) -> bool {
    let none = BTreeMap::new();
    let labels = at.node.metadata.labels.as_ref().unwrap_or(&none);
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let name: BTreeMap<String, String> = [("metadata.name".to_owned(), at.name().to_owned())].into();
    // a term that says nothing matches nothing
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|e| matches(e, labels))
        && fields.iter().all(|e| matches(e, &name))
}

fn matches(requirement: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let value = labels.get(&requirement.key);
    let number = |text: Option<&String>| text.and_then(|t| t.parse::<i64>().ok());
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|v| values.contains(v)),
        "NotIn" => value.is_none_or(|v| !values.contains(v)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number(value).zip(number(values.first())).is_some_and(|(has, bound)| has > bound),
        "Lt" => number(value).zip(number(values.first())).is_some_and(|(has, bound)| has < bound),
        _ => false,
    }
}

fn ports(pod: &Pod, at: &NodeSnapshot) -> Vec<String> {
    let clash = |(protocol, address, port): &(String, String, i32)| {
        at.host_ports.iter().any(|(p, a, n)| {
            p == protocol && n == port && (a == address || a == "0.0.0.0" || address == "0.0.0.0")
        })
    };
    let why = "node(s) didn't have free ports for the requested pod ports".to_owned();
    if host_ports(pod).iter().any(clash) { vec![why] } else { Vec::new() }
}

fn resources(pod: &Pod, at: &NodeSnapshot) -> Vec<String> {
    let Some(spec) = pod.spec.as_ref() else { return Vec::new() };
    let mut reasons = Vec::new();
    if at.pods + 1 > at.allocatable("pods").value() {
        reasons.push("Too many pods".to_owned());
    }
    for (name, asked) in ask::requests(spec) {
        let taken = at.requested.get(&name).copied().unwrap_or_default();
        if !asked.is_zero() && taken.plus(asked) > at.allocatable(&name) {
            reasons.push(format!("Insufficient {name}"));
        }
    }
    reasons
}
