//! `/runningpods/`: what the runtime has, whether or not the API server still knows of it.

use cri::{ContainerState, SandboxStatus};
use serde_json::{Value, json};

/// Those with a running container, each once.
pub fn page(sandboxes: &[SandboxStatus]) -> Value {
    let running = sandboxes.iter().filter_map(|sandbox| {
        let running = sandbox.containers.iter().filter(|c| matches!(c.state, ContainerState::Running { .. }));
        let containers: Vec<Value> = running
            .map(|container| json!({"name": container.name, "image": container.image_ref, "resources": {}}))
            .collect();
        let config = &sandbox.config;
        let metadata = json!({"name": config.name, "namespace": config.namespace, "uid": config.uid});
        (!containers.is_empty())
            .then(|| json!({"metadata": metadata, "spec": {"containers": containers}, "status": {}}))
    });
    let items: Vec<Value> = running.collect();
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}
