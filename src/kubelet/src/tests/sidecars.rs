//! What a pod says of itself while its sidecars end.

use super::fake::Script;
use super::rig::{container, is_ready, phase, rig, web};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use std::time::Duration;

fn has_ended(pod: &Pod, name: &str) -> bool {
    container(pod, name).state.is_some_and(|state| state.terminated.is_some())
}

#[tokio::test(start_paused = true)]
async fn what_ran_beside_a_sidecar_is_told_to_have_ended_before_the_sidecar_has() {
    let rig = rig().await;
    rig.runtime.script("web", &[Script::Exits { code: 0, after: Duration::from_secs(5) }]);
    let spec = json!({"restartPolicy": "Never", "containers": [web()], "initContainers": [
        {"name": "side", "image": "init:1", "restartPolicy": "Always", "lifecycle": {"preStop": {"sleep": {"seconds": 20}}}}]});
    rig.at_first("p", spec, is_ready).await;
    let first = rig.until("p", |p| has_ended(p, "web")).await;
    assert_eq!((phase(&first), is_ready(&first)), ("Running", false), "the sidecar still runs");
    let last = rig.until("p", |p| phase(p) != "Running").await;
    assert_eq!(phase(&last), "Succeeded", "how the sidecar ended does not count");
    let status = last.status.unwrap().init_container_statuses.unwrap().remove(0);
    assert!(status.state.unwrap().terminated.is_some(), "it is over when nothing of it runs");
}
