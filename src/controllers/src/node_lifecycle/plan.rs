//! What a node's conditions come to, for it and its pods: pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, PodCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::{pod as ask, whole_second};

const NO_SCHEDULE: &str = "NoSchedule";
const NO_EXECUTE: &str = "NoExecute";
/// The condition, the value that taints, and the taint, as upstream pairs them.
const TAINTS: &[(&str, &str, &str)] = &[
    ("Ready", "False", "node.kubernetes.io/not-ready"),
    ("Ready", "Unknown", "node.kubernetes.io/unreachable"),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const READY: &str = "Ready";
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// The taints that the node should have: those of others stay, ours follow its conditions and whether it is cordoned. Pods are made
/// to leave (`NoExecute`) only where it `may_be_emptied`: see `zones.rs`.
pub(super) fn taints(node: &Node, may_be_emptied: bool, now: Timestamp) -> Vec<Taint> {
    let spec = node.spec.as_ref();
    let known = spec.and_then(|s| s.taints.as_deref()).unwrap_or_default();
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for (kind, value, taint) in TAINTS {
        if condition(node, kind).is_some_and(|c| c.status == *value) {
            wanted.push((*taint, NO_SCHEDULE));
            if *kind == READY && may_be_emptied {
                wanted.push((*taint, NO_EXECUTE));
            }
        }
    }
    if spec.and_then(|s| s.unschedulable) == Some(true) {
        wanted.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    let is_ours = |taint: &Taint| {
        let follows = |(kind, _, key): &(&str, &str, &str)| {
            taint.key == *key
                && (taint.effect == NO_SCHEDULE || (taint.effect == NO_EXECUTE && *kind == READY))
        };
        (taint.key == UNSCHEDULABLE && taint.effect == NO_SCHEDULE) || TAINTS.iter().any(follows)
    };
    let is_wanted = |taint: &Taint| wanted.contains(&(taint.key.as_str(), taint.effect.as_str()));
    let mut taints: Vec<Taint> =
        known.iter().filter(|taint| !is_ours(taint) || is_wanted(taint)).cloned().collect();
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| taint.key == key && taint.effect == effect) {
            taints.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                time_added: (effect == NO_EXECUTE).then(|| whole_second(now)),
                ..Taint::default()
            });
        }
    }
    taints
}

/// Whether its pods have to leave, and were not told so yet.
pub(super) fn is_to_be_emptied(node: &Node) -> bool {
    let is_told = |taint: &Taint| {
        taint.effect == NO_EXECUTE && TAINTS.iter().any(|(kind, _, key)| *kind == READY && taint.key == *key)
    };
    let known = node.spec.as_ref().and_then(|s| s.taints.as_deref()).unwrap_or_default();
    let is_unwell = condition(node, READY).is_some_and(|c| matches!(c.status.as_str(), "False" | "Unknown"));
    is_unwell && !known.iter().any(is_told)
}

pub(crate) fn is_ready(node: &Node) -> bool {
    condition(node, READY).is_some_and(|c| c.status == "True")
}

/// Whether it is not known how it is.
pub(super) fn is_unknown(node: &Node) -> bool {
    condition(node, READY).is_some_and(|c| c.status == "Unknown")
}

/// When its status was last posted.
pub(super) fn posted(node: &Node) -> Option<Timestamp> {
    condition(node, READY)?.last_heartbeat_time.as_ref().map(|time| time.0)
}

/// The conditions of a node that was not heard of for too long; `None` where they say so already.
pub(super) fn unknown(node: &Node, now: Timestamp) -> Option<Vec<NodeCondition>> {
    let mut conditions = node.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    let before = conditions.clone();
    for kind in CONDITIONS {
        let at = match conditions.iter().position(|c| c.type_ == kind) {
            Some(at) => at,
            None => {
                conditions.push(NodeCondition { type_: kind.to_owned(), ..NodeCondition::default() });
                conditions.len() - 1
            }
        };
        let condition = &mut conditions[at];
        if condition.status != "Unknown" {
            let (reason, message) = match condition.status.as_str() {
                "" => ("NodeStatusNeverUpdated", "Kubelet never posted node status."),
                _ => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
            };
            condition.status = "Unknown".to_owned();
            condition.reason = Some(reason.to_owned());
            condition.message = Some(message.to_owned());
            condition.last_transition_time = Some(Time(now));
        }
    }
    (conditions != before).then_some(conditions)
}

/// Of a pod whose node is gone, in upstream's words. One that had ended stays as it ended.
pub(super) fn fail_orphan(pod: &mut Pod, now: Timestamp) {
    if ask::is_terminal(pod) {
        return;
    }
    let status = pod.status.get_or_insert_default();
    status.phase = Some("Failed".to_owned());
    let condition = PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("DeletionByPodGC".to_owned()),
        message: Some("PodGC: node no longer exists".to_owned()),
        ..PodCondition::default()
    };
    ask::set_condition(status, condition, now);
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(spec: serde_json::Value, ready: &str) -> Node {
        let status = json!({"conditions": [{"type": "Ready", "status": ready}]});
        serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": spec, "status": status})).unwrap()
    }

    #[test]
    fn taints_follow_what_the_node_says() {
        let now = Timestamp::UNIX_EPOCH;
        let foreign = json!({"key": "team", "effect": "NoExecute"});
        let of =
            |key: &str, effect: &str| json!({"key": format!("node.kubernetes.io/{key}"), "effect": effect});
        let not_ready = of("not-ready", "NoSchedule");
        let goes = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"});
        let cases = [
            ("well", json!({}), "True", true, vec![]),
            ("not ready", json!({}), "False", true, vec!["not-ready:NoSchedule", "not-ready:NoExecute"]),
            (
                "not heard of",
                json!({}),
                "Unknown",
                true,
                vec!["unreachable:NoSchedule", "unreachable:NoExecute"],
            ),
            ("nor is any other", json!({}), "Unknown", false, vec!["unreachable:NoSchedule"]),
            ("cordoned", json!({"unschedulable": true}), "True", true, vec!["unschedulable:NoSchedule"]),
            (
                "well again",
                json!({"taints": [not_ready, goes, foreign]}),
                "True",
                true,
                vec!["team:NoExecute"],
            ),
            (
                "as before",
                json!({"taints": [goes, not_ready]}),
                "False",
                true,
                vec!["not-ready:NoExecute", "not-ready:NoSchedule"],
            ),
            (
                "silent now",
                json!({"taints": [not_ready, goes]}),
                "Unknown",
                true,
                vec!["unreachable:NoSchedule", "unreachable:NoExecute"],
            ),
            (
                "all are silent",
                json!({"taints": [goes, not_ready]}),
                "False",
                false,
                vec!["not-ready:NoSchedule"],
            ),
        ];
        for (name, spec, ready, may_be_emptied, want) in cases {
            let taints = taints(&node(spec, ready), may_be_emptied, now);
            let told =
                |t: &Taint| format!("{}:{}", t.key.trim_start_matches("node.kubernetes.io/"), t.effect);
            assert_eq!(taints.iter().map(told).collect::<Vec<_>>(), want, "{name}");
        }
        let borne = taints(&node(json!({"taints": [goes]}), "False"), true, now);
        assert_ne!(borne[0].time_added, Some(Time(now)), "it is borne since it was added");
    }

    #[test]
    fn pods_are_told_once_to_leave() {
        let taint = |key: &str, effect: &str| json!({"taints": [{"key": key, "effect": effect}]});
        for (name, spec, ready, want) in [
            ("well", json!({}), "True", false),
            ("not ready", json!({}), "False", true),
            ("not heard of", json!({}), "Unknown", true),
            ("somebody else's", taint("team", "NoExecute"), "False", true),
            ("kept away only", taint("node.kubernetes.io/not-ready", "NoSchedule"), "False", true),
            ("told", taint("node.kubernetes.io/not-ready", "NoExecute"), "False", false),
            ("told for another reason", taint("node.kubernetes.io/not-ready", "NoExecute"), "Unknown", false),
        ] {
            assert_eq!(is_to_be_emptied(&node(spec, ready)), want, "{name}");
        }
        assert!(!is_to_be_emptied(&Node::default()), "it has said nothing yet");
    }

    #[test]
    fn a_silent_node_becomes_unknown_once() {
        let now = Timestamp::from_second(1_000).unwrap();
        let mut silent = node(json!({}), "True");
        let conditions = unknown(&silent, now).unwrap();
        assert!(conditions.iter().all(|c| c.status == "Unknown") && conditions.len() == CONDITIONS.len());
        silent.status.as_mut().unwrap().conditions = Some(conditions);
        assert_eq!(unknown(&silent, now), None);
    }

    #[test]
    fn an_orphan_has_failed_unless_it_had_ended() {
        for (phase, want) in [("Running", "Failed"), ("Pending", "Failed"), ("Succeeded", "Succeeded")] {
            let mut pod: Pod = serde_json::from_value(json!({"status": {"phase": phase}})).unwrap();
            fail_orphan(&mut pod, Timestamp::UNIX_EPOCH);
            assert_eq!(ask::phase(&pod), want);
            let told = ask::condition(&pod, "DisruptionTarget").and_then(|c| c.reason.as_deref());
            assert_eq!(told, (phase != want).then_some("DeletionByPodGC"), "{phase}");
        }
    }

    #[test]
    fn who_never_said_anything_is_told_from_who_stopped() {
        let told = |node: &Node| unknown(node, Timestamp::UNIX_EPOCH).unwrap()[0].reason.clone().unwrap();
        assert_eq!(told(&Node::default()), "NodeStatusNeverUpdated");
        assert_eq!(told(&node(json!({}), "True")), "NodeStatusUnknown");
    }
}
