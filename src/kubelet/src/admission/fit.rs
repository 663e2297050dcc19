//! Whether the node has what the pod needs, beside those that it has admitted: upstream's general predicates, which ask again
//! what the scheduler has asked. A pod that names its node was asked by nobody.

use super::refusal::{Neighbour, Refusal};
use crate::pod;
use crate::requests::{Amounts, Shortage, shortage};
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::{HostPorts, node_affinity, pod as ask};

/// Upstream's order.
const AMOUNTS: [(&str, &str); 3] =
    [("cpu", "OutOfcpu"), ("memory", "OutOfmemory"), ("ephemeral-storage", "OutOfephemeral-storage")];

pub fn check(pod: &Pod, node: &Node, others: &[Neighbour<'_>]) -> Option<Refusal> {
    resources(pod, node, others).or_else(|| placed(pod, node, others))
}

fn resources(pod: &Pod, node: &Node, others: &[Neighbour<'_>]) -> Option<Refusal> {
    let none = Amounts::new();
    let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref()).unwrap_or(&none);
    let refused = |reason, short: Shortage| Refusal { reason, message: short.to_string() };
    let used = i64::try_from(others.len()).unwrap_or(i64::MAX);
    let most = ask::quantity(Some(allocatable), "pods").map(|most| most.value());
    if let Some(has) = most.filter(|most| used >= *most) {
        return Some(refused("OutOfpods", Shortage { name: "pods", asked: 1, used, has }));
    }
    let asked = ask::requests(pod::spec(pod));
    let given = others.iter().map(|other| other.requests);
    let short = shortage(&asked, given, allocatable, &AMOUNTS.map(|(name, _)| name))?;
    let reason = AMOUNTS.into_iter().find(|(name, _)| *name == short.name)?.1;
    Some(refused(reason, short))
}

fn placed(pod: &Pod, node: &Node, others: &[Neighbour<'_>]) -> Option<Refusal> {
    let refused = |reason: &'static str, why: &str| {
        Some(Refusal { reason, message: format!("Predicate {reason} failed: {why}") })
    };
    if !node_affinity::fits(pod::spec(pod), node) {
        return refused("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
    }
    let asked = HostPorts::of(pod);
    if !asked.is_empty() && others.iter().any(|other| HostPorts::of(&other.pod).conflict(&asked)) {
        return refused("NodePorts", "node(s) didn't have free ports for the requested pod ports");
    }
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    if taints.any(|taint| taint.effect == "NoExecute" && !ask::tolerates(pod, taint)) {
        return refused("TaintToleration", "node(s) had taints that the pod didn't tolerate");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn of(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    fn web(port: Value, cpu: &str) -> Value {
        json!({"containers": [{"name": "web", "ports": [{"containerPort": 80, "hostPort": port}],
            "resources": {"requests": {"cpu": cpu}}}]})
    }

    #[test]
    fn what_the_node_does_not_have() {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "n", "labels": {"disk": "ssd"}},
            "spec": {"taints": [{"key": "down", "effect": "NoExecute"}]},
            "status": {"allocatable": {"cpu": "2", "pods": "2"}}}))
        .unwrap();
        let tolerant = |mut spec: Value, selector: Value| {
            spec["tolerations"] = json!([{"operator": "Exists"}]);
            spec["nodeSelector"] = selector;
            of(spec)
        };
        let web_80 = Arc::new(of(web(json!(80), "1500m")));
        let requests = ask::requests(pod::spec(&web_80));
        let neighbour = || Neighbour { pod: web_80.clone(), requests: &requests };
        let (here, full) = ([neighbour()], [neighbour(), neighbour()]);
        let cases = [
            (tolerant(web(json!(81), "500m"), json!({"disk": "ssd"})), &here[..], ""),
            (
                tolerant(web(json!(81), "600m"), json!({})),
                &here,
                "OutOfcpu: Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000",
            ),
            (
                tolerant(web(json!(81), "0"), json!({})),
                &full,
                "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2",
            ),
            (
                tolerant(web(json!(81), "0"), json!({"disk": "none"})),
                &here,
                "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            ),
            (
                tolerant(web(json!(80), "0"), json!({})),
                &here,
                "NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
            ),
            (
                of(web(json!(81), "0")),
                &here,
                "TaintToleration: Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
            ),
        ];
        for (pod, others, want) in cases {
            let found = check(&pod, &node, others);
            let found = found.map(|r| format!("{}: {}", r.reason, r.message)).unwrap_or_default();
            assert_eq!(found, want);
        }
    }
}
