//! A container whose image is changed: it is ended, and started again.

use super::rig::{Rig, container, is_ready, key, phase, rig, web};
use api::Status;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use std::cell::RefCell;

/// A pod that runs, and then another image; what its status said from then on, until it is as wanted: the generation that it is
/// of, how often the container was started again, and whether the pod was ready.
async fn told_of(rig: &Rig, image: &str, wanted: impl Fn(&Pod) -> bool) -> Vec<(i64, i32, bool)> {
    rig.run("p", json!({"containers": [web()]})).await;
    rig.until("p", |p| phase(p) == "Running" && is_ready(p)).await;
    let told = RefCell::new(Vec::new());
    let listen = rig.until("p", |pod| {
        let generation = pod.status.as_ref().and_then(|status| status.observed_generation);
        told.borrow_mut().push((
            generation.unwrap_or_default(),
            container(pod, "web").restart_count,
            is_ready(pod),
        ));
        wanted(pod)
    });
    let change = |pod: &mut Pod| -> Result<(), Status> {
        pod.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
        Ok(())
    };
    let (pods, pod) = (rig.pods(), key("p"));
    let (_, changed) = tokio::join!(listen, pods.modify(&pod, change));
    changed.unwrap();
    let mut told = told.into_inner();
    told.dedup();
    told
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_replaced_at_once_is_not_told_to_have_ended() {
    let rig = rig().await;
    rig.images.publish("web:2");
    let told = told_of(&rig, "web:2", |pod| container(pod, "web").restart_count == 1).await;
    assert_eq!(told, [(1, 0, true), (2, 1, true)], "{:#?}", rig.runtime.calls());
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_next_image_is_long_in_coming_has_ended() {
    let rig = rig().await;
    let told = told_of(&rig, "endless:1", |pod| !is_ready(pod)).await;
    assert_eq!(told, [(1, 0, true), (2, 0, false)], "{:#?}", rig.runtime.calls());
}
