//! Pod affinity and anti-affinity: which pods must, and must not, be where this one goes, and which had better (upstream's
//! plugin `InterPodAffinity`).
//!
//! A term speaks of the domain that a node is in: its value of the label `topologyKey`. What the pods that are there mean
//! for this one is found once, then each node is asked.

use crate::NodeSnapshot;
use crate::filters::Refusal;
use api::LabelSelector;
use api::selector::{Operator, Requirement};
use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm};
use kinds::selectors::from_object;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The labels of each namespace, for terms that select namespaces by them.
pub type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// A topology key and a value of it.
pub(crate) type Domain = (String, String);

/// What the pods that are there mean for one that is to be placed.
pub(crate) struct PodAffinity {
    together: Vec<Term>,
    apart: Vec<Term>,
    /// How many are in each domain who match all terms that must hold.
    companions: HashMap<Domain, i64>,
    /// Of whom this pod avoids.
    avoided: HashMap<Domain, i64>,
    /// Of who avoids this pod.
    avoiding: HashMap<Domain, i64>,
    /// It would match its own terms: where nobody else does, it is the first of its kind.
    matches_itself: bool,
}

/// Whether a pod may become placeable by what other pods come, or change.
pub(crate) fn has_terms(pod: &Pod) -> bool {
    !affinity(pod).is_empty() || !anti_affinity(pod).is_empty()
}

impl PodAffinity {
    pub(crate) fn of(pod: &Pod, nodes: &[NodeSnapshot], namespaces: &Namespaces) -> Self {
        let together = terms(pod, affinity(pod), namespaces);
        let mut found = PodAffinity {
            matches_itself: together.iter().all(|term| term.matches(pod)),
            apart: terms(pod, anti_affinity(pod), namespaces),
            together,
            companions: HashMap::new(),
            avoided: HashMap::new(),
            avoiding: HashMap::new(),
        };
        for node in nodes {
            for resident in &node.residents {
                found.resident(pod, resident, node, namespaces, 1);
            }
        }
        found
    }

    /// One comes to the node, or goes (`by` is -1).
    pub(crate) fn resident(
        &mut self,
        pod: &Pod,
        resident: &Pod,
        node: &NodeSnapshot,
        namespaces: &Namespaces,
        by: i64,
    ) {
        // one who matches only some of them is no companion
        if !self.together.is_empty() && self.together.iter().all(|term| term.matches(resident)) {
            count(&mut self.companions, self.together.iter(), node, by);
        }
        count(&mut self.avoided, self.apart.iter().filter(|term| term.matches(resident)), node, by);
        let own = anti_affinity(resident);
        if !own.is_empty() {
            let own = terms(resident, own, namespaces);
            count(&mut self.avoiding, own.iter().filter(|term| term.matches(pod)), node, by);
        }
    }

    /// Why the node will not do, in upstream's words and order.
    pub(crate) fn against(&self, node: &NodeSnapshot) -> Option<Refusal> {
        let in_any = |domains: &HashMap<Domain, i64>| {
            domains.iter().any(|((key, value), count)| *count > 0 && label(node, key) == Some(value))
        };
        let is_first = self.matches_itself && self.companions.values().all(|count| *count <= 0);
        let holds = |term: &Term| {
            domain(node, &term.key).is_some_and(|domain| {
                is_first || self.companions.get(&domain).is_some_and(|count| *count > 0)
            })
        };
        if !self.together.iter().all(holds) {
            return Some(Refusal::never("node(s) didn't match pod affinity rules"));
        }
        if in_any(&self.avoided) {
            return Some(Refusal::for_now("node(s) didn't match pod anti-affinity rules"));
        }
        let why = "node(s) didn't satisfy existing pods anti-affinity rules";
        in_any(&self.avoiding).then(|| Refusal::for_now(why))
    }
}

fn count<'t>(
    domains: &mut HashMap<Domain, i64>,
    terms: impl Iterator<Item = &'t Term>,
    node: &NodeSnapshot,
    by: i64,
) {
    for domain in terms.filter_map(|term| domain(node, &term.key)) {
        *domains.entry(domain).or_default() += by;
    }
}

/// What the node is worth to the pod by who is there, and by who is there and wants this pod about (upstream's score of the
/// same plugin): of preferred terms the weight, of an other's required term 1.
pub(crate) struct Preferred(HashMap<Domain, i64>);

const REQUIRED_BY_OTHERS: i64 = 1; // upstream's hardPodAffinityWeight

impl Preferred {
    pub(crate) fn of(pod: &Pod, nodes: &[NodeSnapshot], namespaces: &Namespaces) -> Self {
        let own = weighted(pod, namespaces);
        let mut worth: HashMap<Domain, i64> = HashMap::new();
        for node in nodes {
            for resident in &node.residents {
                let mut add = |term: &Term, weight: i64| {
                    if let Some(domain) = domain(node, &term.key) {
                        *worth.entry(domain).or_default() += weight;
                    }
                };
                own.iter().filter(|(term, _)| term.matches(resident)).for_each(|(term, by)| add(term, *by));
                if resident.spec.as_ref().is_none_or(|spec| spec.affinity.is_none()) {
                    continue;
                }
                let theirs = weighted(resident, namespaces).into_iter();
                let required = terms(resident, affinity(resident), namespaces).into_iter();
                for (term, by) in theirs.chain(required.map(|term| (term, REQUIRED_BY_OTHERS))) {
                    if term.matches(pod) {
                        add(&term, by);
                    }
                }
            }
        }
        Preferred(worth)
    }

    pub(crate) fn worth(&self, node: &NodeSnapshot) -> i64 {
        let here = self.0.iter().filter(|((key, value), _)| label(node, key) == Some(value));
        here.map(|(_, worth)| worth).sum()
    }
}

/// Those of the preferred terms that want others about, and with a negative weight those that do not.
fn weighted(pod: &Pod, namespaces: &Namespaces) -> Vec<(Term, i64)> {
    let all = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let with = all.and_then(|a| a.pod_affinity.as_ref());
    let with = with.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
    let without = all.and_then(|a| a.pod_anti_affinity.as_ref());
    let without = without.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
    let with = with.into_iter().flatten().map(|term| (term, 1));
    let without = without.into_iter().flatten().map(|term| (term, -1));
    with.chain(without)
        .map(|(term, sign)| (meant(pod, &term.pod_affinity_term, namespaces), sign * i64::from(term.weight)))
        .collect()
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

pub(crate) fn label<'n>(node: &'n NodeSnapshot, key: &str) -> Option<&'n String> {
    node.node.metadata.labels.as_ref()?.get(key)
}

pub(crate) fn domain(node: &NodeSnapshot, key: &str) -> Option<Domain> {
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
    use serde_json::{Value, json};
    use std::sync::Arc;
    use testkit::objects;

    fn node(name: &str, labels: Value, residents: &[Pod]) -> NodeSnapshot {
        let node = objects::node(name).labels(&labels).build();
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
        let made = objects::pod(app).namespace(namespace).label("app", app).label("rev", "2");
        made.spec(&json!({"affinity": affinity})).build()
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
            assert_eq!(found.against(&nodes[0]).map(|refusal| refusal.why).as_deref(), want, "{name}");
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
