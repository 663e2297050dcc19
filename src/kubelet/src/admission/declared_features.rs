//! A pod that needs what this node does not declare is not run (upstream's `declaredFeaturesAdmitHandler`): it came past the
//! scheduler.

use super::refusal::Refusal;
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::declared_features;

pub(super) fn check(pod: &Pod, node: &Node) -> Option<Refusal> {
    let missing = declared_features::missing(pod, node);
    (!missing.is_empty()).then(|| Refusal {
        reason: "PodFeatureUnsupported",
        message: format!("Pod requires node features that are not available: {}", missing.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_refused() {
        let pod = |action: &str| {
            let pod =
                json!({"spec": {"containers": [{"name": "c", "restartPolicyRules": [{"action": action}]}]}});
            serde_json::from_value::<Pod>(pod).unwrap()
        };
        assert_eq!(check(&pod("Restart"), &Node::default()), None);
        let refused = check(&pod("RestartAllContainers"), &Node::default()).unwrap();
        assert_eq!(
            (refused.reason, refused.message.as_str()),
            (
                "PodFeatureUnsupported",
                "Pod requires node features that are not available: RestartAllContainersOnContainerExits"
            )
        );
    }
}
