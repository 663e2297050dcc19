//! How evenly pods of a kind are to lie over domains (upstream's plugin `PodTopologySpread`): a constraint either refuses a
//! node that would make a domain too full, or makes it worth less.

use crate::NodeSnapshot;
use crate::filters::Refusal;
use crate::pod_affinity::label;
use api::LabelSelector;
use api::selector::{Operator, Requirement};
use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};
use kinds::selectors::from_object;
use kinds::{node_affinity, pod as ask};
use std::collections::{BTreeMap, BTreeSet};

const HOSTNAME: &str = "kubernetes.io/hostname";
const TOO_FULL: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

/// The constraints that refuse, and how many pods each domain has.
pub(crate) struct Spread {
    constraints: Vec<(Constraint, BTreeMap<String, i64>)>,
}

struct Constraint {
    key: String,
    max_skew: i64,
    min_domains: usize,
    /// `None` selects nobody.
    selector: Option<LabelSelector>,
    heeds_affinity: bool,
    heeds_taints: bool,
}

impl Spread {
    pub(crate) fn of(pod: &Pod, nodes: &[NodeSnapshot]) -> Self {
        let constraints = constraints(pod, "DoNotSchedule");
        let keys: Vec<String> = constraints.iter().map(|constraint| constraint.key.clone()).collect();
        let mut spread =
            Spread { constraints: constraints.into_iter().map(|c| (c, BTreeMap::new())).collect() };
        if spread.constraints.is_empty() {
            return spread;
        }
        for node in nodes.iter().filter(|node| keys.iter().all(|key| label(node, key).is_some())) {
            for (constraint, counts) in &mut spread.constraints {
                if let Some(value) = label(node, &constraint.key).filter(|_| constraint.includes(pod, node)) {
                    *counts.entry(value.clone()).or_default() += constraint.count(pod, node);
                }
            }
        }
        spread
    }

    /// One comes to the node, or goes (`by` is -1).
    pub(crate) fn resident(&mut self, pod: &Pod, resident: &Pod, node: &NodeSnapshot, by: i64) {
        for (constraint, counts) in &mut self.constraints {
            let is_meant = constraint.matches(pod, resident) && constraint.includes(pod, node);
            let count = label(node, &constraint.key).and_then(|value| counts.get_mut(value));
            if let Some(count) = count.filter(|_| is_meant) {
                *count += by;
            }
        }
    }

    pub(crate) fn against(&self, node: &NodeSnapshot, pod: &Pod) -> Option<Refusal> {
        for (constraint, counts) in &self.constraints {
            let Some(value) = label(node, &constraint.key) else { return Some(Refusal::never(NO_LABEL)) };
            let itself = i64::from(constraint.selects(pod));
            let least = match counts.len() < constraint.min_domains {
                true => 0,
                false => counts.values().min().copied().unwrap_or(i64::MAX / 2),
            };
            if counts.get(value).copied().unwrap_or(0) + itself - least > constraint.max_skew {
                return Some(Refusal::for_now(TOO_FULL));
            }
        }
        None
    }
}

/// What is left of 100 for each node, by the constraints that only prefer.
pub(crate) fn scores(pod: &Pod, nodes: &[NodeSnapshot], feasible: &[&NodeSnapshot]) -> Vec<i64> {
    let constraints = constraints(pod, "ScheduleAnyway");
    if constraints.is_empty() {
        return vec![0; feasible.len()];
    }
    let has_all = |node: &NodeSnapshot| constraints.iter().all(|c| label(node, &c.key).is_some());
    let mut raw: Vec<Option<f64>> = feasible.iter().map(|node| has_all(node).then_some(0.0)).collect();
    for constraint in &constraints {
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for node in nodes.iter().filter(|node| has_all(node) && constraint.includes(pod, node)) {
            if let Some(value) = label(node, &constraint.key) {
                *counts.entry(value).or_default() += constraint.count(pod, node);
            }
        }
        let domains: BTreeSet<&String> = feasible
            .iter()
            .filter(|node| has_all(node))
            .filter_map(|node| label(node, &constraint.key))
            .collect();
        // a domain of many weighs more than one of few: upstream's `topologyNormalizingWeight`
        let weight = (domains.len() as f64 + 2.0).ln();
        for (node, score) in feasible.iter().zip(&mut raw) {
            let own = match constraint.key == HOSTNAME {
                true => constraint.count(pod, node),
                false => label(node, &constraint.key)
                    .and_then(|value| counts.get(value.as_str()))
                    .copied()
                    .unwrap_or(0),
            };
            if let Some(score) = score {
                *score += own as f64 * weight + (constraint.max_skew - 1) as f64;
            }
        }
    }
    let rounded: Vec<Option<i64>> = raw.iter().map(|score| score.map(|score| score.round() as i64)).collect();
    let most = rounded.iter().flatten().max().copied().unwrap_or(0);
    let least = rounded.iter().flatten().min().copied().unwrap_or(0);
    let of_100 = |score: i64| if most == 0 { 100 } else { 100 * (most + least - score) / most };
    rounded.into_iter().map(|score| score.map_or(0, of_100)).collect()
}

impl Constraint {
    fn of(pod: &Pod, given: &TopologySpreadConstraint) -> Self {
        let mut selector = given.label_selector.as_ref().and_then(|selector| from_object(selector).ok());
        let labels = pod.metadata.labels.as_ref();
        if let Some(selector) = &mut selector {
            let keys = given.match_label_keys.iter().flatten();
            let same = keys.filter_map(|key| Some((key, labels?.get(key)?)));
            selector.requirements.extend(same.map(|(key, value)| Requirement {
                key: key.clone(),
                operator: Operator::In(vec![value.clone()]),
            }));
        }
        Constraint {
            key: given.topology_key.clone(),
            max_skew: given.max_skew.into(),
            min_domains: given.min_domains.and_then(|least| usize::try_from(least).ok()).unwrap_or(1),
            selector,
            heeds_affinity: given.node_affinity_policy.as_deref() != Some("Ignore"),
            heeds_taints: given.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    fn selects(&self, pod: &Pod) -> bool {
        let none = BTreeMap::new();
        let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }

    fn matches(&self, pod: &Pod, resident: &Pod) -> bool {
        resident.metadata.namespace == pod.metadata.namespace
            && !ask::is_deleting(resident)
            && self.selects(resident)
    }

    fn count(&self, pod: &Pod, node: &NodeSnapshot) -> i64 {
        node.residents.iter().filter(|resident| self.matches(pod, resident)).count() as i64
    }

    /// Whether the node's pods count.
    fn includes(&self, pod: &Pod, node: &NodeSnapshot) -> bool {
        let fits = || pod.spec.as_ref().is_none_or(|spec| node_affinity::fits(spec, &node.node));
        let tolerated = || {
            let taints = node.node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
            let mut hard = taints.filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
            hard.all(|taint| ask::tolerates(pod, taint))
        };
        (!self.heeds_affinity || fits()) && (!self.heeds_taints || tolerated())
    }
}

fn constraints(pod: &Pod, when_unsatisfiable: &str) -> Vec<Constraint> {
    let given = pod.spec.iter().flat_map(|spec| spec.topology_spread_constraints.iter().flatten());
    let given = given.filter(|constraint| constraint.when_unsatisfiable == when_unsatisfiable);
    given.map(|constraint| Constraint::of(pod, constraint)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use testkit::objects;

    /// A node of a zone with so many pods of the kind, and one that is none.
    fn node(name: &str, labels: Value, pods: usize) -> NodeSnapshot {
        let object = objects::node(name).labels(&labels).build();
        let pod = |app: &str| {
            let made = objects::pod(app).namespace("shop").label("app", app).label("rev", "1");
            Arc::new(made.on(name).build())
        };
        let pods: Vec<Arc<Pod>> = (0..pods).map(|_| pod("web")).chain([pod("db")]).collect();
        NodeSnapshot::new(Arc::new(object), &pods)
    }

    fn web(constraint: Value, more: Value) -> Pod {
        let mut given = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}});
        given.as_object_mut().unwrap().extend(constraint.as_object().unwrap().clone());
        let made = objects::pod("web").namespace("shop").label("app", "web").label("rev", "2");
        made.spec(&json!({"topologySpreadConstraints": [given]})).spec(&more).build()
    }

    #[test]
    fn a_domain_is_not_filled_beyond_the_others() {
        let zone = |zone: &str| json!({"zone": zone});
        let nodes = [
            node("a", zone("east"), 2),
            node("b", zone("east"), 0),
            node("c", zone("west"), 1),
            node("d", json!({}), 9),
        ];
        let west_only = json!({"nodeSelector": {"zone": "west"}});
        let none = || json!({});
        for (name, constraint, more, want) in [
            ("the emptier zone", none(), none(), "full full ok label"),
            ("a skew of two", json!({"maxSkew": 2}), none(), "ok ok ok label"),
            (
                "others do not count",
                json!({"labelSelector": {"matchLabels": {"app": "cache"}}}),
                none(),
                "ok ok ok label",
            ),
            ("no selector counts nobody", json!({"labelSelector": null}), none(), "ok ok ok label"),
            ("of the same revision", json!({"matchLabelKeys": ["rev"]}), none(), "ok ok ok label"),
            ("more domains are wanted", json!({"minDomains": 3}), none(), "full full full label"),
            ("nodes that do not fit do not count", none(), west_only.clone(), "ok ok ok label"),
            ("unless they are to", json!({"nodeAffinityPolicy": "Ignore"}), west_only, "full full ok label"),
            ("only preferred", json!({"whenUnsatisfiable": "ScheduleAnyway"}), none(), "ok ok ok ok"),
        ] {
            let pod = web(constraint, more);
            let spread = Spread::of(&pod, &nodes);
            let said = nodes.each_ref().map(|node| match spread.against(node, &pod) {
                None => "ok",
                Some(refusal) if refusal == Refusal::for_now(TOO_FULL) => "full",
                Some(refusal) if refusal == Refusal::never(NO_LABEL) => "label",
                Some(other) => panic!("{other:?}"),
            });
            // west alone has one pod, and the least is one
            assert_eq!(said.join(" "), want, "{name}");
        }
    }

    #[test]
    fn who_goes_makes_room() {
        let nodes = [node("a", json!({"zone": "east"}), 1), node("b", json!({"zone": "west"}), 0)];
        let pod = web(json!({}), json!({}));
        let mut spread = Spread::of(&pod, &nodes);
        assert_eq!(spread.against(&nodes[0], &pod), Some(Refusal::for_now(TOO_FULL)));
        spread.resident(&pod, &nodes[0].residents[0], &nodes[0], -1);
        assert_eq!(spread.against(&nodes[0], &pod), None);
    }

    #[test]
    fn the_emptier_domain_is_worth_more() {
        let zone = |zone: &str| json!({"zone": zone});
        let nodes = [
            node("a", zone("east"), 2),
            node("b", zone("east"), 0),
            node("c", zone("west"), 1),
            node("d", json!({}), 0),
        ];
        let pod = web(json!({"whenUnsatisfiable": "ScheduleAnyway"}), json!({}));
        let feasible: Vec<&NodeSnapshot> = nodes.iter().collect();
        let got = scores(&pod, &nodes, &feasible);
        assert!(got[0] == got[1] && got[2] > got[0] && got[3] == 0, "{got:?}");
    }
}
