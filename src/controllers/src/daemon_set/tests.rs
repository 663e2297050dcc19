//! DaemonSets on nodes that come, go and are tainted, and in mid-rollout.

use super::Failing;
use super::plan::{Seen, plan, pods, status};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use std::sync::Arc;

fn set(strategy: Value, pod: Value) -> DaemonSet {
    let mut spec = json!({"containers": [{"name": "c"}]});
    spec.as_object_mut().unwrap().extend(pod.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "metadata": {"name": "d", "namespace": "n", "uid": "set", "annotations": {"deprecated.daemonset.template.generation": "3"}},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}}, "updateStrategy": strategy,
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": spec},
        },
    }))
    .unwrap()
}

fn rolling(surge: Value, unavailable: Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

fn node(name: &str, spec: Value) -> Arc<Node> {
    let labels = json!({"zone": name});
    Arc::new(
        serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "spec": spec})).unwrap(),
    )
}

/// `name@node`, of the revision, and how it is: `ok`, `no` (not ready), `new` (no node yet), `gone` (on its way out),
/// `failed`.
fn pod(name: &str, at: &str, revision: &str, how: &str) -> Arc<Pod> {
    let ready = if how == "ok" { "True" } else { "False" };
    let phase = match how {
        "failed" => "Failed",
        "new" => "Pending",
        _ => "Running",
    };
    let waits = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [at]}]}]}}});
    let bound = json!({"nodeName": at, "containers": []});
    let spec = if how == "new" { json!({"affinity": waits, "containers": []}) } else { bound };
    let mut pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name, "uid": name, "labels": {"controller-revision-hash": revision}},
        "spec": spec,
        "status": {"phase": phase, "conditions": [
            {"type": "Ready", "status": ready, "lastTransitionTime": "1970-01-01T00:00:00Z"}]},
    }))
    .unwrap();
    if how == "gone" {
        pod.metadata.deletion_timestamp = serde_json::from_value(json!("1970-01-01T00:00:00Z")).unwrap();
    }
    Arc::new(pod)
}

struct Case {
    name: &'static str,
    set: DaemonSet,
    nodes: Vec<Arc<Node>>,
    pods: Vec<Arc<Pod>>,
    /// Who is deleted, who is made anew, where pods are made.
    want: [&'static str; 3],
}

#[test]
fn each_node_that_should_has_its_pod() {
    let on = |names: &[&str]| names.iter().map(|name| node(name, json!({}))).collect::<Vec<_>>();
    let taint = |effect: &str| json!({"taints": [{"key": "x", "effect": effect}]});
    let own = |key: &str, effect: &str| json!({"taints": [{"key": key, "effect": effect}]});
    let plain = || set(rolling(json!(0), json!(1)), json!({}));
    let surging = |surge: i32| set(rolling(json!(surge), json!(0)), json!({}));
    let case = |name, set, nodes, pods, want| Case { name, set, nodes, pods, want };
    let cases = [
        case("none yet", plain(), on(&["a", "b"]), vec![], ["", "", "a b"]),
        case("one has it", plain(), on(&["a", "b"]), vec![pod("p", "a", "new", "ok")], ["", "", "b"]),
        case("it waits for its node", plain(), on(&["a"]), vec![pod("p", "a", "new", "new")], ["", "", ""]),
        case("it is on its way out", plain(), on(&["a"]), vec![pod("p", "a", "new", "gone")], ["", "", ""]),
        case("it failed", plain(), on(&["a"]), vec![pod("p", "a", "new", "failed")], ["", "p", ""]),
        case(
            "two of them",
            plain(),
            on(&["a"]),
            vec![pod("p", "a", "new", "ok"), pod("q", "a", "new", "new")],
            ["q", "", ""],
        ),
        case("a tainted node", plain(), vec![node("a", taint("NoSchedule"))], vec![], ["", "", ""]),
        case(
            "a node that is tainted later",
            plain(),
            vec![node("a", taint("NoSchedule"))],
            vec![pod("p", "a", "new", "ok")],
            ["", "", ""],
        ),
        case(
            "a node that sends pods away",
            plain(),
            vec![node("a", taint("NoExecute"))],
            vec![pod("p", "a", "new", "ok")],
            ["p", "", ""],
        ),
        case(
            "a node that is not ready",
            plain(),
            vec![node("a", own("node.kubernetes.io/not-ready", "NoExecute"))],
            vec![],
            ["", "", "a"],
        ),
        case(
            "a cordoned node",
            plain(),
            vec![node("a", own("node.kubernetes.io/unschedulable", "NoSchedule"))],
            vec![],
            ["", "", "a"],
        ),
        case(
            "only where the label is",
            set(rolling(json!(0), json!(1)), json!({"nodeSelector": {"zone": "b"}})),
            on(&["a", "b"]),
            vec![pod("p", "a", "new", "ok")],
            ["p", "", "b"],
        ),
        case("a node that is gone", plain(), vec![], vec![pod("p", "a", "new", "new")], ["p", "", ""]),
        case(
            "one at a time",
            plain(),
            on(&["a", "b"]),
            vec![pod("p", "a", "old", "ok"), pod("q", "b", "old", "ok")],
            ["p", "", ""],
        ),
        case(
            "the next waits for the new one",
            plain(),
            on(&["a", "b"]),
            vec![pod("p", "a", "new", "no"), pod("q", "b", "old", "ok")],
            ["", "", ""],
        ),
        case(
            "one that does not answer costs nothing",
            plain(),
            on(&["a", "b"]),
            vec![pod("p", "a", "old", "no"), pod("q", "b", "old", "ok")],
            ["p", "", ""],
        ),
        case(
            "what failed by the old template goes at once",
            plain(),
            on(&["a"]),
            vec![pod("p", "a", "old", "failed")],
            ["p", "", ""],
        ),
        case(
            "by hand it is made anew in its turn",
            set(json!({"type": "OnDelete"}), json!({})),
            on(&["a"]),
            vec![pod("p", "a", "old", "failed")],
            ["", "p", ""],
        ),
        case(
            "what fails counts as missing",
            plain(),
            on(&["a", "b"]),
            vec![pod("p", "a", "new", "failed"), pod("q", "b", "old", "ok")],
            ["", "p", ""],
        ),
        case(
            "and holds up no others",
            set(rolling(json!(0), json!(2)), json!({})),
            on(&["a", "b"]),
            vec![pod("p", "a", "new", "failed"), pod("q", "b", "old", "ok")],
            ["q", "p", ""],
        ),
        case(
            "a new one beside one that failed",
            surging(1),
            on(&["a"]),
            vec![pod("p", "a", "old", "failed")],
            ["", "p", "a"],
        ),
        case(
            "half of them",
            set(rolling(json!(0), json!("50%")), json!({})),
            on(&["a", "b", "c", "d"]),
            ["a", "b", "c", "d"].iter().map(|n| pod(n, n, "old", "ok")).collect(),
            ["a b", "", ""],
        ),
        case(
            "by hand",
            set(json!({"type": "OnDelete"}), json!({})),
            on(&["a"]),
            vec![pod("p", "a", "old", "ok")],
            ["", "", ""],
        ),
        case(
            "the new one beside the old one",
            surging(1),
            on(&["a", "b"]),
            vec![pod("p", "a", "old", "ok"), pod("q", "b", "old", "ok")],
            ["", "", "a"],
        ),
        case(
            "it does not answer yet",
            surging(1),
            on(&["a"]),
            vec![pod("p", "a", "old", "ok"), pod("r", "a", "new", "no")],
            ["", "", ""],
        ),
        case(
            "it answers",
            surging(1),
            on(&["a"]),
            vec![pod("p", "a", "old", "ok"), pod("r", "a", "new", "ok")],
            ["p", "", ""],
        ),
        case(
            "the old one does not",
            surging(1),
            on(&["a"]),
            vec![pod("p", "a", "old", "no"), pod("r", "a", "new", "no")],
            ["p", "", ""],
        ),
    ];
    for Case { name, set, nodes, pods: given, want } in cases {
        let now = jiff::Timestamp::from_second(1000).unwrap();
        let seen = Seen { set: &set, nodes: &nodes, pods: &given, hash: "new", now };
        let plan = plan(&seen);
        let names = |pods: &[Arc<Pod>]| {
            pods.iter().filter_map(|pod| pod.metadata.name.clone()).collect::<Vec<_>>().join(" ")
        };
        let got = [names(&plan.delete), names(&plan.ended), plan.create.join(" ")];
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn the_status_counts_nodes() {
    let set = set(rolling(json!(0), json!(1)), json!({}));
    let tainted = json!({"taints": [{"key": "x", "effect": "NoSchedule"}]});
    let nodes: Vec<Arc<Node>> = ["a", "b", "c"].iter().map(|name| node(name, json!({}))).collect();
    let nodes = [nodes, vec![node("tainted", tainted)]].concat();
    let given = [pod("p", "a", "new", "ok"), pod("q", "b", "old", "no"), pod("r", "tainted", "old", "ok")];
    let now = jiff::Timestamp::from_second(1000).unwrap();
    let (status, _) = status(&Seen { set: &set, nodes: &nodes, pods: &given, hash: "new", now });
    let counts = [
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_ready,
        status.number_misscheduled,
        status.updated_number_scheduled.unwrap_or(0),
        status.number_available.unwrap_or(0),
        status.number_unavailable.unwrap_or(0),
    ];
    assert_eq!(counts, [3, 2, 1, 1, 1, 1, 2]);
}

#[test]
fn a_pod_goes_to_its_node_and_bears_what_nodes_have() {
    let set = set(rolling(json!(0), json!(1)), json!({"hostNetwork": true}));
    let nodes = [node("a", json!({}))];
    let now = jiff::Timestamp::from_second(1000).unwrap();
    let seen = Seen { set: &set, nodes: &nodes, pods: &[], hash: "new", now };
    let made = pods(&seen, &plan(&seen)).remove(0);
    assert_eq!(super::pods::target_node(&made), "a");
    let labels = made.metadata.labels.unwrap();
    assert_eq!(labels["controller-revision-hash"], "new");
    assert_eq!(labels["pod-template-generation"], "3");
    assert_eq!(made.metadata.generate_name.as_deref(), Some("d-"));
    let tolerations = made.spec.unwrap().tolerations.unwrap();
    assert_eq!(tolerations.len(), 7, "{tolerations:?}");
}

#[test]
fn what_fails_is_made_anew_with_longer_and_longer_pauses() {
    let (failing, set) = (Failing::default(), api::ObjectKey::namespaced("n", "d"));
    let at = |second: i64| jiff::Timestamp::from_second(second).unwrap();
    let may =
        |node: &str, second: i64| failing.may_replace(&set, node, at(second)).map_err(|wait| wait.as_secs());
    assert_eq!(may("a", 0), Ok(()));
    assert_eq!(may("a", 0), Err(1));
    assert_eq!(may("b", 0), Ok(()), "each node for itself");
    assert_eq!(may("a", 1), Ok(()));
    assert_eq!(may("a", 2), Err(1));
    assert_eq!(may("a", 3), Ok(()));
    assert_eq!(may("a", 3), Err(4));
    failing.forget(&set);
    assert_eq!(may("a", 3), Ok(()));
}
