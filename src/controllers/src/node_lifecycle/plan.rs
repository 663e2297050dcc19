//! What a node's conditions, lease and pods come to: pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Upstream's `--node-monitor-grace-period`.
pub(super) const GRACE: SignedDuration = SignedDuration::from_secs(50);
const NO_SCHEDULE: &str = "NoSchedule";
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
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// The taints that the node should have: those of others stay, ours follow its conditions and whether it is cordoned.
pub(super) fn taints(node: &Node) -> Vec<Taint> {
    let spec = node.spec.as_ref();
    let known = spec.and_then(|s| s.taints.as_deref()).unwrap_or_default();
    let mut wanted: Vec<&str> = TAINTS
        .iter()
        .filter(|(kind, value, _)| condition(node, kind).is_some_and(|c| c.status == *value))
        .map(|(.., taint)| *taint)
        .collect();
    if spec.and_then(|s| s.unschedulable) == Some(true) {
        wanted.push(UNSCHEDULABLE);
    }
    let is_ours = |taint: &Taint| {
        taint.effect == NO_SCHEDULE
            && (taint.key == UNSCHEDULABLE || TAINTS.iter().any(|(.., key)| taint.key == *key))
    };
    let kept = known.iter().filter(|taint| !is_ours(taint) || wanted.contains(&taint.key.as_str())).cloned();
    let mut taints: Vec<Taint> = kept.collect();
    for key in wanted {
        if !taints.iter().any(|taint| taint.key == key && taint.effect == NO_SCHEDULE) {
            taints.push(Taint { key: key.to_owned(), effect: NO_SCHEDULE.to_owned(), ..Taint::default() });
        }
    }
    taints
}

/// When the node was last heard of: its lease's renewal, or what its Ready condition says.
pub(super) fn last_heard(node: &Node, lease: Option<&Lease>) -> Option<Timestamp> {
    let renewed = lease.and_then(|l| l.spec.as_ref()?.renew_time.as_ref()).map(|time| time.0);
    let posted = condition(node, "Ready").and_then(|c| c.last_heartbeat_time.as_ref()).map(|time| time.0);
    let made = node.metadata.creation_timestamp.as_ref().map(|time| time.0);
    renewed.max(posted).or(made)
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
            condition.status = "Unknown".to_owned();
            condition.reason = Some("NodeStatusUnknown".to_owned());
            condition.message = Some("Kubelet stopped posting node status.".to_owned());
            condition.last_transition_time = Some(Time(now));
        }
    }
    (conditions != before).then_some(conditions)
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
        let foreign = json!({"key": "team", "effect": "NoExecute"});
        let not_ready = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
        let cases = [
            ("well", json!({}), "True", vec![]),
            ("not ready", json!({}), "False", vec!["node.kubernetes.io/not-ready"]),
            ("not heard of", json!({}), "Unknown", vec!["node.kubernetes.io/unreachable"]),
            ("cordoned", json!({"unschedulable": true}), "True", vec!["node.kubernetes.io/unschedulable"]),
            ("well again", json!({"taints": [not_ready, foreign]}), "True", vec!["team"]),
            ("as before", json!({"taints": [not_ready]}), "False", vec!["node.kubernetes.io/not-ready"]),
        ];
        for (name, spec, ready, want) in cases {
            let taints = taints(&node(spec, ready));
            assert_eq!(taints.iter().map(|t| t.key.as_str()).collect::<Vec<_>>(), want, "{name}");
        }
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
    fn the_lease_says_when_it_was_last_heard_of() {
        let lease: Lease =
            serde_json::from_value(json!({"spec": {"renewTime": "2026-01-01T00:00:10.000000Z"}})).unwrap();
        let made = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}});
        let fresh: Node = serde_json::from_value(made).unwrap();
        assert_eq!(last_heard(&fresh, None), Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(last_heard(&fresh, Some(&lease)), Some("2026-01-01T00:00:10Z".parse().unwrap()));
    }
}
