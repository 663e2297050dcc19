//! Why a node will not do, in upstream's words. One function a reason; the list in [`all`] is the order.

use crate::NodeSnapshot;
use k8s_openapi::api::core::v1::{Pod, Taint};
use kinds::{node_affinity, pod as ask};

/// Why a node will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// In upstream's words.
    pub(crate) why: String,
    /// Whether it may do when some of its pods are gone: upstream's `Unschedulable`, not `UnschedulableAndUnresolvable`.
    pub(crate) resolvable: bool,
}

impl Refusal {
    pub(crate) fn never(why: impl Into<String>) -> Self {
        Refusal { why: why.into(), resolvable: false }
    }

    pub(crate) fn for_now(why: impl Into<String>) -> Self {
        Refusal { why: why.into(), resolvable: true }
    }
}

type Filter = fn(&Pod, &NodeSnapshot) -> Vec<Refusal>;

/// Each gives reasons against the node; none is a yes.
pub(crate) const fn all() -> [Filter; 5] {
    [unschedulable, taints, affinity, ports, resources]
}

fn unschedulable(pod: &Pod, at: &NodeSnapshot) -> Vec<Refusal> {
    let cordoned = at.node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true);
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: "NoSchedule".into(),
        ..Taint::default()
    };
    let refused = cordoned && !ask::tolerates(pod, &taint);
    refused.then(|| Refusal::never("node(s) were unschedulable")).into_iter().collect()
}

fn taints(pod: &Pod, at: &NodeSnapshot) -> Vec<Refusal> {
    let taints = at.node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    let untolerated = taints
        .into_iter()
        .filter(|taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute")
        .find(|taint| !ask::tolerates(pod, taint));
    let why = |taint: &Taint| {
        let value = taint.value.as_deref().unwrap_or_default();
        Refusal::never(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key))
    };
    untolerated.map(why).into_iter().collect()
}

fn affinity(pod: &Pod, at: &NodeSnapshot) -> Vec<Refusal> {
    let fits = pod.spec.as_ref().is_none_or(|spec| node_affinity::fits(spec, &at.node));
    let why = "node(s) didn't match Pod's node affinity/selector";
    (!fits).then(|| Refusal::never(why)).into_iter().collect()
}

fn ports(pod: &Pod, at: &NodeSnapshot) -> Vec<Refusal> {
    let clash = |port: &ask::HostPort| at.host_ports.iter().any(|taken| taken.meets(port));
    let why = "node(s) didn't have free ports for the requested pod ports";
    ask::host_ports(pod).iter().any(clash).then(|| Refusal::for_now(why)).into_iter().collect()
}

fn resources(pod: &Pod, at: &NodeSnapshot) -> Vec<Refusal> {
    let Some(spec) = pod.spec.as_ref() else { return Vec::new() };
    let mut reasons = Vec::new();
    let pods = i64::try_from(at.residents.len()).unwrap_or(i64::MAX);
    if pods >= at.allocatable("pods").value() {
        reasons.push(Refusal::for_now("Too many pods"));
    }
    for (name, asked) in ask::requests(spec) {
        let taken = at.requested.get(&name).copied().unwrap_or_default();
        if !asked.is_zero() && taken.plus(asked) > at.allocatable(&name) {
            // what the empty node does not have no victim gives back
            let resolvable = asked <= at.allocatable(&name);
            reasons.push(Refusal { why: format!("Insufficient {name}"), resolvable });
        }
    }
    reasons
}
