//! What a pod needs of its node that not every node has (KEP-5328): a node declares it in `status.declaredFeatures`, as upstream's
//! `component-helpers/nodedeclaredfeatures` has it. Of the features of 1.37 that are on by default this one alone decides about
//! where a pod runs. Pure.

use k8s_openapi::api::core::v1::{Node, Pod};

const RESTART_ALL_CONTAINERS: &str = "RestartAllContainersOnContainerExits";

/// What the node does not declare of what the pod needs.
pub fn missing(pod: &Pod, node: &Node) -> Vec<&'static str> {
    let declared =
        node.status.as_ref().and_then(|status| status.declared_features.as_deref()).unwrap_or_default();
    needed(pod).into_iter().filter(|feature| !declared.iter().any(|known| known == feature)).collect()
}

/// Whether there is a node that the pod can not run on for that.
pub fn needs_any(pod: &Pod) -> bool {
    needed(pod).is_some()
}

fn needed(pod: &Pod) -> Option<&'static str> {
    let containers =
        pod.spec.iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let mut rules = containers.flat_map(|container| container.restart_policy_rules.iter().flatten());
    rules.any(|rule| rule.action == "RestartAllContainers").then_some(RESTART_ALL_CONTAINERS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_node_lacks_for_a_pod() {
        let rules = |action: &str| json!([{"name": "c", "restartPolicyRules": [{"action": action}]}]);
        let (none, needs) = (json!([]), vec![RESTART_ALL_CONTAINERS]);
        let cases = [
            ("no rules", none.clone(), json!([{"name": "c"}]), json!(null), vec![]),
            ("one container starts again", none.clone(), rules("Restart"), json!(null), vec![]),
            ("all start again", none.clone(), rules("RestartAllContainers"), json!(null), needs.clone()),
            ("by an init container", rules("RestartAllContainers"), none.clone(), json!(["Other"]), needs),
            (
                "where it is declared",
                none,
                rules("RestartAllContainers"),
                json!([RESTART_ALL_CONTAINERS]),
                vec![],
            ),
        ];
        for (name, init, containers, declared, want) in cases {
            let pod = json!({"spec": {"initContainers": init, "containers": containers}});
            let node = json!({"status": {"declaredFeatures": declared}});
            let (pod, node) = (serde_json::from_value(pod).unwrap(), serde_json::from_value(node).unwrap());
            assert_eq!(missing(&pod, &node), want, "{name}");
        }
    }
}
