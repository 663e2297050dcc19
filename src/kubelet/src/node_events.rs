//! What is told of the node itself, in upstream's words. Pure.

use cluster::EventType;
use k8s_openapi::api::core::v1::{NodeStatus, ObjectReference};

/// An event about the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEvent {
    pub kind: EventType,
    pub reason: &'static str,
    pub message: String,
}

/// A condition, and the reasons when it becomes true and when it becomes false.
const CONDITIONS: [(&str, &str, &str); 4] = [
    ("MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    ("DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    ("PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"),
    ("Ready", "NodeReady", "NodeNotReady"),
];

/// As upstream's kubelet names its node: by name also where others have the uid. `kubectl describe node` looks for both.
pub fn about(node: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(node.to_owned()),
        uid: Some(node.to_owned()),
        ..ObjectReference::default()
    }
}

pub fn starting() -> NodeEvent {
    NodeEvent { kind: EventType::Normal, reason: "Starting", message: "Starting kubelet.".to_owned() }
}

/// What changed between two statuses: that the machine was booted anew, and each condition that turned.
pub fn between(node: &str, old: &NodeStatus, new: &NodeStatus) -> Vec<NodeEvent> {
    let boot = |status: &NodeStatus| {
        status.node_info.as_ref().map(|info| info.boot_id.clone()).filter(|id| !id.is_empty())
    };
    let rebooted = boot(old).zip(boot(new)).filter(|(before, now)| before != now).map(|(_, now)| NodeEvent {
        kind: EventType::Warning,
        reason: "Rebooted",
        message: format!("Node {node} has been rebooted, boot id: {now}"),
    });
    let turned = CONDITIONS.iter().filter_map(|(kind, when_true, when_false)| {
        let now = value_of(new, kind)?;
        let reason = if now == "True" { when_true } else { when_false };
        (value_of(old, kind) != Some(now)).then(|| NodeEvent {
            kind: EventType::Normal,
            reason,
            message: format!("Node {node} status is now: {reason}"),
        })
    });
    rebooted.into_iter().chain(turned).collect()
}

fn value_of<'a>(status: &'a NodeStatus, kind: &str) -> Option<&'a str> {
    status.conditions.iter().flatten().find(|c| c.type_ == kind).map(|c| c.status.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(boot: &str, memory: &str, ready: &str) -> NodeStatus {
        let conditions =
            json!([{"type": "MemoryPressure", "status": memory}, {"type": "Ready", "status": ready}]);
        let info = json!({"architecture": "", "bootID": boot, "containerRuntimeVersion": "", "kernelVersion": "",
            "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "",
            "systemUUID": ""});
        serde_json::from_value(json!({"conditions": conditions, "nodeInfo": info})).unwrap()
    }

    #[test]
    fn only_what_turned_is_told() {
        let calm = status("b1", "False", "True");
        let cases = [
            ("first", NodeStatus::default(), calm.clone(), vec!["NodeHasSufficientMemory", "NodeReady"]),
            ("nothing new", calm.clone(), calm.clone(), vec![]),
            ("not ready", calm.clone(), status("b1", "False", "False"), vec!["NodeNotReady"]),
            ("seen again", status("b1", "Unknown", "Unknown"), calm.clone(), {
                vec!["NodeHasSufficientMemory", "NodeReady"]
            }),
            ("little memory", calm.clone(), status("b1", "True", "True"), vec!["NodeHasInsufficientMemory"]),
            ("booted", calm, status("b2", "False", "True"), vec!["Rebooted"]),
        ];
        for (name, old, new, want) in cases {
            let got: Vec<_> = between("n", &old, &new).into_iter().map(|event| event.reason).collect();
            assert_eq!(got, want, "{name}");
        }
    }
}
