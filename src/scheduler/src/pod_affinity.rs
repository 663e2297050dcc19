//! Pod affinity and anti-affinity: which pods must, and must not, be where this one goes, and which had better (upstream's
//! plugin `InterPodAffinity`).
//!
//! A term speaks of the domain that a node is in: its value of the label `topologyKey`. What the pods that are there mean
//! for this one is found once, then each node is asked.

use crate::config::PodAffinityArgs;
use crate::plugin::{Plugin, Refusal};
use crate::pod_info::PodInfo;
use crate::snapshot::{Group, Snapshot, Topology};
use crate::terms::{Namespaces, Term, Terms};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NOT_TOGETHER: &str = "node(s) didn't match pod affinity rules";
const NOT_APART: &str = "node(s) didn't match pod anti-affinity rules";
const AVOIDED: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// How many are in each domain of one label.
struct Counts {
    topology: Arc<Topology>,
    of: Vec<i64>,
}

impl Counts {
    fn new(snapshot: &Snapshot, key: &str) -> Self {
        let topology = snapshot.topology(key);
        Counts { of: vec![0; topology.domains], topology }
    }

    /// So many on the node of each slot, `by` times. How many were counted: a node without the label has no domain.
    fn add(&mut self, on: &BTreeMap<usize, i64>, by: i64) -> i64 {
        let mut counted = 0;
        for (slot, number) in on {
            if let Some(domain) = self.topology.domain(*slot) {
                self.of[domain] += number * by;
                counted += number * by;
            }
        }
        counted
    }

    fn at(&self, slot: usize) -> Option<i64> {
        self.topology.domain(slot).map(|domain| self.of[domain])
    }
}

/// What the pods that are there mean for one that is to be placed.
#[derive(Default)]
pub(crate) struct PodAffinity {
    /// Who matches all terms that must hold, for the label of each of them.
    companions: Vec<Counts>,
    /// Over all of these.
    companions_at_all: i64,
    /// Of whom this pod avoids, for each of its terms.
    avoided: Vec<Counts>,
    /// Of who avoids this pod, by label.
    avoiding: BTreeMap<String, Counts>,
    /// It would match its own terms: where nobody else does, it is the first of its kind.
    matches_itself: bool,
}

/// Those that the terms may be about.
fn groups_of<'s>(snapshot: &'s Snapshot, terms: &[&Term]) -> Box<dyn Iterator<Item = &'s Group> + 's> {
    if terms.iter().any(|term| term.selected.is_some()) {
        return Box::new(snapshot.groups());
    }
    let namespaces: BTreeSet<&String> = terms.iter().flat_map(|term| &term.namespaces).collect();
    let groups: Vec<&Group> = namespaces.into_iter().flat_map(|name| snapshot.groups_in(name)).collect();
    Box::new(groups.into_iter())
}

impl PodAffinity {
    pub(crate) fn of(pod: &PodInfo, snapshot: &Snapshot, namespaces: &Namespaces) -> Self {
        let Terms { together, apart, .. } = &pod.terms;
        let counts = |terms: &[Term]| terms.iter().map(|term| Counts::new(snapshot, &term.key)).collect();
        let mut found = PodAffinity {
            matches_itself: together.iter().all(|term| term.matches(&pod.likeness, namespaces)),
            companions: counts(together),
            companions_at_all: 0,
            avoided: counts(apart),
            avoiding: BTreeMap::new(),
        };
        let own: Vec<&Term> = together.iter().chain(apart).collect();
        for group in groups_of(snapshot, &own) {
            found.about_own_terms(pod, &group.example, &group.on, namespaces, 1);
        }
        for group in snapshot.groups_with_terms() {
            found.about_terms_of(pod, &group.example, &group.on, (snapshot, namespaces), 1);
        }
        found
    }

    /// One comes to the node, or goes (`by` is -1).
    pub(crate) fn resident(
        &mut self,
        pod: &PodInfo,
        resident: &PodInfo,
        slot: usize,
        (snapshot, namespaces): (&Snapshot, &Namespaces),
        by: i64,
    ) {
        let on = BTreeMap::from([(slot, 1)]);
        self.about_own_terms(pod, resident, &on, namespaces, by);
        self.about_terms_of(pod, resident, &on, (snapshot, namespaces), by);
    }

    fn about_own_terms(
        &mut self,
        pod: &PodInfo,
        other: &PodInfo,
        on: &BTreeMap<usize, i64>,
        namespaces: &Namespaces,
        by: i64,
    ) {
        let Terms { together, apart, .. } = &pod.terms;
        // one who matches only some of them is no companion
        if !together.is_empty() && together.iter().all(|term| term.matches(&other.likeness, namespaces)) {
            for counts in &mut self.companions {
                self.companions_at_all += counts.add(on, by);
            }
        }
        for (term, counts) in apart.iter().zip(&mut self.avoided) {
            if term.matches(&other.likeness, namespaces) {
                counts.add(on, by);
            }
        }
    }

    fn about_terms_of(
        &mut self,
        pod: &PodInfo,
        other: &PodInfo,
        on: &BTreeMap<usize, i64>,
        (snapshot, namespaces): (&Snapshot, &Namespaces),
        by: i64,
    ) {
        for term in other.terms.apart.iter().filter(|term| term.matches(&pod.likeness, namespaces)) {
            let counts =
                self.avoiding.entry(term.key.clone()).or_insert_with(|| Counts::new(snapshot, &term.key));
            counts.add(on, by);
        }
    }

    /// Why the node will not do, in upstream's words and order.
    pub(crate) fn against(&self, slot: usize) -> Option<Refusal> {
        let is_first = self.matches_itself && self.companions_at_all <= 0;
        let holds = |counts: &Counts| counts.at(slot).is_some_and(|count| is_first || count > 0);
        let has_any = |counts: &Counts| counts.at(slot).is_some_and(|count| count > 0);
        let plugin = Plugin::InterPodAffinity;
        if !self.companions.iter().all(holds) {
            Some(Refusal::never(plugin, NOT_TOGETHER))
        } else if self.avoided.iter().any(has_any) {
            Some(Refusal::for_now(plugin, NOT_APART))
        } else if self.avoiding.values().any(has_any) {
            Some(Refusal::for_now(plugin, AVOIDED))
        } else {
            None
        }
    }
}

/// What the node is worth to the pod by who is there, and by who is there and wants this pod about (upstream's score of the
/// same plugin): of preferred terms the weight, of an other's required term what the profile says.
pub(crate) struct Preferred(BTreeMap<String, Counts>);

impl Preferred {
    pub(crate) fn of(
        pod: &PodInfo,
        snapshot: &Snapshot,
        namespaces: &Namespaces,
        args: PodAffinityArgs,
    ) -> Self {
        let mut worth: BTreeMap<String, Counts> = BTreeMap::new();
        if args.ignores_others && pod.terms.preferred.is_empty() {
            return Preferred(worth);
        }
        let mut add = |term: &Term, weight: i64, on: &BTreeMap<usize, i64>| {
            let counts = worth.entry(term.key.clone()).or_insert_with(|| Counts::new(snapshot, &term.key));
            counts.add(on, weight);
        };
        let own: Vec<&Term> = pod.terms.preferred.iter().map(|(term, _)| term).collect();
        if !own.is_empty() {
            for group in groups_of(snapshot, &own) {
                for (term, weight) in &pod.terms.preferred {
                    if term.matches(&group.example.likeness, namespaces) {
                        add(term, *weight, &group.on);
                    }
                }
            }
        }
        for group in snapshot.groups_with_terms() {
            let Terms { together, preferred, .. } = &group.example.terms;
            let required = together.iter().map(|term| (term, args.required_by_others));
            for (term, weight) in required.chain(preferred.iter().map(|(term, weight)| (term, *weight))) {
                if term.matches(&pod.likeness, namespaces) {
                    add(term, weight, &group.on);
                }
            }
        }
        Preferred(worth)
    }

    pub(crate) fn worth(&self, slot: usize) -> i64 {
        self.0.values().filter_map(|counts| counts.at(slot)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use testkit::objects;

    /// Adds a node with these pods.
    fn node(all: &mut Snapshot, name: &str, labels: Value, residents: &[Pod]) -> usize {
        all.set_node(Arc::new(objects::node(name).labels(&labels).build()));
        for (number, pod) in residents.iter().enumerate() {
            let mut pod = pod.clone();
            pod.metadata.uid = Some(format!("{name}-{number}"));
            pod.spec.get_or_insert_default().node_name = Some(name.to_owned());
            all.set_pod(Arc::new(PodInfo::of(Arc::new(pod))));
        }
        all.node(name).unwrap().slot
    }

    fn pod(namespace: &str, app: &str, affinity: Value) -> Pod {
        let made = objects::pod(app).namespace(namespace).label("app", app).label("rev", "2");
        made.spec(&json!({"affinity": affinity})).build()
    }

    fn info(pod: Pod) -> PodInfo {
        PodInfo::of(Arc::new(pod))
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
            let mut all = Snapshot::default();
            let slot = node(&mut all, "a", json!({"host": "a"}), &residents);
            let found = PodAffinity::of(&info(pod("shop", "db", affinity)), &all, &namespaces);
            assert_eq!(found.against(slot).map(|refusal| refusal.why).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn a_domain_may_be_more_than_one_node() {
        let mut all = Snapshot::default();
        let web = pod("shop", "web", json!({}));
        let nodes = [("a", "east", vec![web]), ("b", "east", vec![]), ("c", "west", vec![])];
        let slots =
            nodes.map(|(name, zone, residents)| node(&mut all, name, json!({"zone": zone}), &residents));
        let term = json!({"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"});
        for (kind, want) in [("podAffinity", [true, true, false]), ("podAntiAffinity", [false, false, true])]
        {
            let pod = info(pod("shop", "db", required(kind, term.clone())));
            let found = PodAffinity::of(&pod, &all, &Namespaces::new());
            assert_eq!(slots.map(|slot| found.against(slot).is_none()), want, "{kind}");
        }
    }
}
