//! Who goes for whom, and who stays because of a budget or a priority.

use super::*;
use serde_json::{Value, json};
use testkit::objects;

fn node<'n>(name: &'n str, pods: &[Pod]) -> (&'n str, Vec<Pod>) {
    (name, pods.to_vec())
}

fn snapshot(nodes: &[(&str, Vec<Pod>)]) -> Snapshot {
    let mut all = Snapshot::default();
    for (name, pods) in nodes {
        all.set_node(Arc::new(objects::node(name).label("host", name).build()));
        for pod in pods {
            let mut pod = pod.clone();
            pod.spec.get_or_insert_default().node_name = Some((*name).to_owned());
            all.set_pod(Arc::new(PodInfo::of(Arc::new(pod))));
        }
    }
    all
}

/// Started at that minute.
fn pod(name: &str, priority: i32, cpu: &str, minute: u32) -> Pod {
    let made = objects::pod(name).namespace("n").uid(name).label("app", name).requests(&json!({"cpu": cpu}));
    let started = json!({"startTime": format!("2026-01-01T00:{minute:02}:00Z")});
    made.spec(&json!({"priority": priority})).status(&started).build()
}

fn with(mut pod: Pod, spec: Value) -> Pod {
    let mut value = serde_json::to_value(pod.spec.take()).unwrap();
    value.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    pod.spec = serde_json::from_value(value).unwrap();
    pod
}

fn budget(app: &str, allowed: i32) -> Arc<PodDisruptionBudget> {
    let budget = json!({
        "metadata": {"name": app, "namespace": "n"},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed},
    });
    Arc::new(serde_json::from_value(budget).unwrap())
}

fn chosen(pod: &Pod, nodes: &[(&str, Vec<Pod>)], budgets: &[Arc<PodDisruptionBudget>]) -> String {
    let (pod, all) = (Arc::new(PodInfo::of(Arc::new(pod.clone()))), snapshot(nodes));
    let place = nominated_node(&pod.pod).map(|node| (node.to_owned(), pod.clone()));
    let context = Context { nominated: place.into_iter().collect(), ..Context::default() };
    let refused = crate::place(&pod, &all, &context).unwrap_err();
    match preempt(&pod, &all, &context, &refused, budgets) {
        Ok(Preemption { node, victims }) => {
            let names = victims.iter().filter_map(|pod| pod.metadata.name.as_deref());
            format!("{node}: {}", names.collect::<Vec<_>>().join(" "))
        }
        Err(NoPreemption { why, .. }) => why,
    }
}

#[test]
fn those_go_who_are_missed_least() {
    let want = |cpu: &str| pod("urgent", 100, cpu, 50);
    let term = json!({"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": "host"});
    let apart =
        json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
    let two = |a: Pod, b: Pod| vec![node("x", &[a, b])];
    let each = |a: Pod, b: Pod| vec![node("x", &[a]), node("y", &[b])];
    let (none, no_victims) = (Vec::new, "1 No preemption victims found for incoming pod");
    let no_use = "1 Preemption is not helpful for scheduling";
    let of_one = |why: &str| format!("0/1 nodes are available: {why}.");
    let (no_one, useless) = (of_one(no_victims), of_one(no_use));
    let both = format!("0/2 nodes are available: {no_victims}, {no_use}.");
    let cases: Vec<(&str, Pod, Vec<(&str, Vec<Pod>)>, Vec<Arc<PodDisruptionBudget>>, &str)> = vec![
        ("one is enough", want("2"), two(pod("a", 1, "2", 1), pod("b", 2, "2", 1)), none(), "x: a"),
        ("of equals the younger", want("2"), two(pod("a", 1, "2", 1), pod("b", 1, "2", 2)), none(), "x: b"),
        ("all of them", want("4"), two(pod("a", 1, "2", 1), pod("b", 2, "2", 1)), none(), "x: b a"),
        ("the small one stays", want("3"), two(pod("a", 1, "3", 1), pod("b", 1, "1", 2)), none(), "x: a"),
        (
            "none of the same priority",
            want("2"),
            vec![node("x", &[pod("a", 100, "4", 1)])],
            none(),
            no_one.as_str(),
        ),
        ("not enough", want("3"), two(pod("a", 100, "2", 1), pod("b", 1, "2", 1)), none(), no_one.as_str()),
        ("no node has so much", want("5"), vec![node("x", &[pod("a", 1, "2", 1)])], none(), useless.as_str()),
        (
            "it does not want the node",
            with(want("4"), json!({"nodeSelector": {"host": "y"}})),
            each(pod("a", 1, "2", 1), pod("b", 1000, "2", 1)),
            none(),
            both.as_str(),
        ),
        (
            "it never preempts",
            with(want("4"), json!({"preemptionPolicy": "Never"})),
            vec![node("x", &[pod("a", 1, "2", 1)])],
            none(),
            "not eligible due to preemptionPolicy=Never.",
        ),
        ("the less important", want("4"), each(pod("a", 9, "4", 1), pod("b", 8, "4", 1)), none(), "y: b"),
        (
            "the fewer",
            want("4"),
            vec![node("x", &[pod("a", 9, "2", 1), pod("b", 9, "2", 1)]), node("y", &[pod("c", 9, "4", 1)])],
            none(),
            "y: c",
        ),
        ("the later", want("4"), each(pod("a", 9, "4", 1), pod("b", 9, "4", 2)), none(), "y: b"),
        (
            "where no budget is broken",
            want("4"),
            each(pod("a", 1, "4", 1), pod("b", 9, "4", 1)),
            vec![budget("a", 0)],
            "y: b",
        ),
        (
            "a budget protects first",
            want("2"),
            two(pod("a", 1, "2", 9), pod("b", 9, "2", 1)),
            vec![budget("a", 0)],
            "x: b",
        ),
        (
            "a budget that lets go does not",
            want("2"),
            two(pod("a", 1, "2", 9), pod("b", 9, "2", 1)),
            vec![budget("a", 1)],
            "x: a",
        ),
        (
            "a budget is broken where it must be",
            want("4"),
            vec![node("x", &[pod("a", 1, "4", 1)])],
            vec![budget("a", 0)],
            "x: a",
        ),
        (
            "whom it avoids",
            with(want("1"), apart),
            two(pod("a", 1, "1", 1), pod("b", 1, "1", 1)),
            none(),
            "x: a",
        ),
    ];
    for (name, pod, nodes, budgets, want) in cases {
        assert_eq!(chosen(&pod, &nodes, &budgets), want, "{name}");
    }
}

#[test]
fn who_has_made_room_waits_for_it() {
    let mut urgent = pod("urgent", 100, "4", 1);
    urgent.status.get_or_insert_default().nominated_node_name = Some("x".to_owned());
    let mut leaving = pod("a", 1, "4", 1);
    leaving.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
    leaving.status.get_or_insert_default().conditions = serde_json::from_value(
        json!([{"type": DISRUPTION_TARGET, "status": "True", "reason": BY_SCHEDULER}]),
    )
    .unwrap();
    let nodes = [node("x", &[leaving]), node("y", &[pod("b", 1, "4", 1)])];
    let waits = "not eligible due to a terminating pod on the nominated node.";
    assert_eq!(chosen(&urgent, &nodes, &[]), waits);
    assert_eq!(chosen(&urgent, &nodes[1..], &[]), "y: b");
}
