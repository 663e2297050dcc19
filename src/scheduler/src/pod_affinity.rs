//! Required pod affinity and anti-affinity: which pods must, and must not, be where this one goes (upstream's plugin
//! `InterPodAffinity`). Preferred terms do not decide anything here.
//!
//! A term speaks of the domain that a node is in: its value of the label `topologyKey`. What the pods that are there mean
//! for this one is found once, then each node is asked.

use crate::NodeSnapshot;
use api::LabelSelector;
use api::selector::{Operator, Requirement};
use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm};
use kinds::selectors::from_object;
use std::collections::{BTreeMap, HashSet};

/// The labels of each namespace, for terms that select namespaces by them.
pub type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// A topology key and a value of it.
type Domain = (String, String);

/// What the pods that are there mean for one that is to be placed.
pub(crate) struct PodAffinity {
    /// Keys of the terms that must hold, and the domains in which they do.
    together: Vec<String>,
    holds_in: HashSet<Domain>,
    /// Nobody matches yet, and the pod would match itself: it is the first of its kind.
    is_first: bool,
    /// Where somebody is whom this pod avoids.
    avoided: HashSet<Domain>,
    /// Where somebody is who avoids this pod.
    avoiding: HashSet<Domain>,
}

/// Whether a pod may become placeable by what other pods come, or change.
pub(crate) fn has_terms(pod: &Pod) -> bool {
    !affinity(pod).is_empty() || !anti_affinity(pod).is_empty()
}

impl PodAffinity {
    pub(crate) fn of(pod: &Pod, nodes: &[NodeSnapshot], namespaces: &Namespaces) -> Self {
        let together = terms(pod, affinity(pod), namespaces);
        let apart = terms(pod, anti_affinity(pod), namespaces);
        let (mut holds_in, mut avoided, mut avoiding) = (HashSet::new(), HashSet::new(), HashSet::new());
        for node in nodes {
            for resident in &node.residents {
                // one who matches only some of them is no companion
                if !together.is_empty() && together.iter().all(|term| term.matches(resident)) {
                    holds_in.extend(together.iter().filter_map(|term| domain(node, &term.key)));
                }
                let met = apart.iter().filter(|term| term.matches(resident));
                avoided.extend(met.filter_map(|term| domain(node, &term.key)));
                let own = anti_affinity(resident);
                if !own.is_empty() {
                    let own = terms(resident, own, namespaces);
                    let met = own.iter().filter(|term| term.matches(pod));
                    avoiding.extend(met.filter_map(|term| domain(node, &term.key)));
                }
            }
        }
        PodAffinity {
            is_first: holds_in.is_empty() && together.iter().all(|term| term.matches(pod)),
            together: together.into_iter().map(|term| term.key).collect(),
            holds_in,
            avoided,
            avoiding,
        }
    }

    /// Why the node will not do, in upstream's words and order.
    pub(crate) fn against(&self, node: &NodeSnapshot) -> Option<&'static str> {
        let in_any =
            |domains: &HashSet<Domain>| domains.iter().any(|(key, value)| label(node, key) == Some(value));
        let holds = |key: &String| {
            domain(node, key).is_some_and(|domain| self.is_first || self.holds_in.contains(&domain))
        };
        if !self.together.iter().all(holds) {
            return Some("node(s) didn't match pod affinity rules");
        }
        if in_any(&self.avoided) {
            return Some("node(s) didn't match pod anti-affinity rules");
        }
        in_any(&self.avoiding).then_some("node(s) didn't satisfy existing pods anti-affinity rules")
    }
}

fn affinity(pod: &Pod) -> &[PodAffinityTerm] {
    let all = pod.spec.as_ref().and_then(|s| s.affinity.as_ref()).and_then(|a| a.pod_affinity.as_ref());
    let required = all.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_deref());
    required.unwrap_or_default()
}

fn anti_affinity(pod: &Pod) -> &[PodAffinityTerm] {
    let all = pod.spec.as_ref().and_then(|s| s.affinity.as_ref()).and_then(|a| a.pod_anti_affinity.as_ref());
    let required = all.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_deref());
    required.unwrap_or_default()
}

fn label<'n>(node: &'n NodeSnapshot, key: &str) -> Option<&'n String> {
    node.node.metadata.labels.as_ref()?.get(key)
}

fn domain(node: &NodeSnapshot, key: &str) -> Option<Domain> {
    label(node, key).map(|value| (key.to_owned(), value.clone()))
}

/// A term as it is meant: whom it selects, and in which namespaces.
struct Term {
    key: String,
    /// `None` selects nobody.
    selector: Option<LabelSelector>,
    namespaces: HashSet<String>,
}

impl Term {
    fn matches(&self, pod: &Pod) -> bool {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let none = BTreeMap::new();
        let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
        self.namespaces.contains(namespace) && self.selector.as_ref().is_some_and(|s| s.matches(labels))
    }
}

fn terms(of: &Pod, terms: &[PodAffinityTerm], namespaces: &Namespaces) -> Vec<Term> {
    terms.iter().map(|term| meant(of, term, namespaces)).collect()
}

fn meant(of: &Pod, term: &PodAffinityTerm, all: &Namespaces) -> Term {
    // a selector that can not be read selects nobody; validation lets none in
    let mut selector = term.label_selector.as_ref().and_then(|s| from_object(s).ok());
    let own = of.metadata.labels.as_ref();
    let value = |key: &String| own.and_then(|labels| labels.get(key)).map(|value| vec![value.clone()]);
    let same = term.match_label_keys.iter().flatten();
    let same = same.filter_map(|key| Some((key, Operator::In(value(key)?))));
    let others = term.mismatch_label_keys.iter().flatten();
    let others = others.filter_map(|key| Some((key, Operator::NotIn(value(key)?))));
    if let Some(selector) = &mut selector {
        let more = same.chain(others).map(|(key, operator)| Requirement { key: key.clone(), operator });
        selector.requirements.extend(more);
    }
    let mut namespaces: HashSet<String> = term.namespaces.iter().flatten().cloned().collect();
    match &term.namespace_selector {
        Some(selected) => {
            let selected = from_object(selected).ok();
            let fits = |labels| selected.as_ref().is_some_and(|s| s.matches(labels));
            namespaces.extend(all.iter().filter(|(_, labels)| fits(labels)).map(|(name, _)| name.clone()));
        }
        None if namespaces.is_empty() => namespaces.extend(of.metadata.namespace.clone()),
        None => {}
    }
    Term { key: term.topology_key.clone(), selector, namespaces }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Node;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn node(name: &str, labels: Value, residents: &[Pod]) -> NodeSnapshot {
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap();
        let there: Vec<Arc<Pod>> = residents
            .iter()
            .map(|pod| {
                let mut pod = pod.clone();
                pod.spec.get_or_insert_default().node_name = Some(name.to_owned());
                Arc::new(pod)
            })
            .collect();
        NodeSnapshot::new(Arc::new(node), &there)
    }

    fn pod(namespace: &str, app: &str, affinity: Value) -> Pod {
        serde_json::from_value(
            json!({"metadata": {"namespace": namespace, "labels": {"app": app, "rev": "2"}},
            "spec": {"containers": [], "affinity": affinity}}),
        )
        .unwrap()
    }

    fn required(kind: &str, mut term: Value) -> Value {
        if term.get("topologyKey").is_none() {
            term["topologyKey"] = "host".into();
        }
        json!({kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    }

    #[test]
    fn who_may_be_where() {
        let with = |term: Value| required("podAffinity", term);
        let without = |term: Value| required("podAntiAffinity", term);
        let app = |name: &str| json!({"labelSelector": {"matchLabels": {"app": name}}});
        let also = |name: &str, key: &str, value: Value| {
            let mut term = app(name);
            term[key] = value;
            term
        };
        let (no, not_apart, avoided) = (
            Some("node(s) didn't match pod affinity rules"),
            Some("node(s) didn't match pod anti-affinity rules"),
            Some("node(s) didn't satisfy existing pods anti-affinity rules"),
        );
        let web = || pod("shop", "web", json!({}));
        let loner = || pod("shop", "loner", without(app("db")));
        let team = json!({"matchLabels": {"team": "shop"}});
        let cases = [
            ("no wish", json!({}), vec![web()], None),
            ("a companion is there", with(app("web")), vec![web()], None),
            ("none is", with(app("web")), vec![], no),
            ("it is elsewhere", with(app("web")), vec![pod("other", "web", json!({}))], no),
            (
                "elsewhere is meant",
                with(also("web", "namespaces", json!(["other"]))),
                vec![pod("other", "web", json!({}))],
                None,
            ),
            ("namespaces by their labels", with(also("web", "namespaceSelector", team)), vec![web()], None),
            (
                "every namespace",
                with(also("web", "namespaceSelector", json!({}))),
                vec![pod("other", "web", json!({}))],
                None,
            ),
            ("the first of its kind", with(app("db")), vec![], None),
            (
                "the first, where the node has no such label",
                with(also("db", "topologyKey", json!("zone"))),
                vec![],
                no,
            ),
            ("nobody is selected", with(json!({})), vec![web()], no),
            ("apart from one that is there", without(app("web")), vec![web()], not_apart),
            ("apart from one that is not", without(app("web")), vec![], None),
            (
                "apart, where the node has no such label",
                without(also("web", "topologyKey", json!("zone"))),
                vec![web()],
                None,
            ),
            ("one of its own kind a node", without(app("db")), vec![pod("shop", "db", json!({}))], not_apart),
            ("one that is there avoids it", json!({}), vec![loner()], avoided),
            ("the same revision", with(also("web", "matchLabelKeys", json!(["rev"]))), vec![web()], None),
            (
                "another revision",
                without(also("web", "mismatchLabelKeys", json!(["rev"]))),
                vec![web()],
                None,
            ),
        ];
        let namespaces: Namespaces = [
            ("shop".to_owned(), [("team".to_owned(), "shop".to_owned())].into()),
            ("other".to_owned(), BTreeMap::new()),
        ]
        .into();
        for (name, affinity, residents, want) in cases {
            let nodes = [node("a", json!({"host": "a"}), &residents)];
            let found = PodAffinity::of(&pod("shop", "db", affinity), &nodes, &namespaces);
            assert_eq!(found.against(&nodes[0]), want, "{name}");
        }
    }

    #[test]
    fn a_domain_may_be_more_than_one_node() {
        let zone = |name: &str, zone: &str, residents: &[Pod]| node(name, json!({"zone": zone}), residents);
        let web = pod("shop", "web", json!({}));
        let nodes = [zone("a", "east", &[web]), zone("b", "east", &[]), zone("c", "west", &[])];
        let term = json!({"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"});
        let with = PodAffinity::of(
            &pod("shop", "db", required("podAffinity", term.clone())),
            &nodes,
            &Namespaces::new(),
        );
        let fits: Vec<bool> = nodes.iter().map(|node| with.against(node).is_none()).collect();
        assert_eq!(fits, [true, true, false]);
        let without = PodAffinity::of(
            &pod("shop", "db", required("podAntiAffinity", term)),
            &nodes,
            &Namespaces::new(),
        );
        let fits: Vec<bool> = nodes.iter().map(|node| without.against(node).is_none()).collect();
        assert_eq!(fits, [false, false, true]);
    }
}
