//! Why a node will not do, in upstream's words. One function a reason; the list in [`all`] is the order.

use crate::NodeSnapshot;
use crate::node::host_ports;
use k8s_openapi::api::core::v1::{Pod, Taint};
use kinds::{node_affinity, pod as ask};

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
    let fits = pod.spec.as_ref().is_none_or(|spec| node_affinity::fits(spec, &at.node));
    let why = || "node(s) didn't match Pod's node affinity/selector".to_owned();
    if fits { Vec::new() } else { vec![why()] }
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
    let pods = i64::try_from(at.residents.len()).unwrap_or(i64::MAX);
    if pods >= at.allocatable("pods").value() {
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
