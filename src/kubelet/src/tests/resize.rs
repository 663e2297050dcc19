//! Other processors and memory for a pod that runs.

use super::rig::{Rig, container, is_ready, key, phase, rig};
use cluster::DeleteOptions;
use k8s_openapi::api::core::v1::Pod;
use kinds::Subresource;
use serde_json::{Value, json};

fn web(cpu: &str, memory: &str) -> Value {
    json!({"containers": [{"name": "web", "image": "web:1", "resources": {"requests": {"cpu": cpu, "memory": memory}},
        "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]}]})
}

async fn resize(rig: &Rig, name: &str, cpu: &str, memory: &str) {
    let mut pod = rig.pods().get(&key(name)).unwrap();
    let spec: Value = web(cpu, memory);
    let resources = serde_json::from_value(spec["containers"][0]["resources"].clone()).unwrap();
    pod.spec.as_mut().unwrap().containers[0].resources = Some(resources);
    pod.metadata.resource_version = None;
    rig.pods().replace(pod, Some(Subresource::Resize)).await.unwrap();
}

/// What its status says that it has.
fn cpu(pod: &Pod) -> String {
    let requests = container(pod, "web").resources.and_then(|r| r.requests).unwrap_or_default();
    requests.get("cpu").map(|cpu| cpu.0.clone()).unwrap_or_default()
}

fn pending(pod: &Pod) -> Option<String> {
    kinds::pod::condition(pod, "PodResizePending").and_then(|c| c.reason.clone())
}

fn starts(rig: &Rig) -> usize {
    rig.runtime.calls().iter().filter(|call| *call == "start web").count()
}

#[tokio::test]
async fn what_has_room_is_set_at_once_and_begun_anew_only_where_it_must() {
    let rig = rig().await;
    rig.run("p", web("100m", "64Mi")).await;
    rig.until("p", is_ready).await;
    resize(&rig, "p", "200m", "64Mi").await;
    rig.until("p", |p| cpu(p) == "200m").await;
    let set =
        |calls: Vec<String>| calls.into_iter().filter(|call| call.starts_with("limit")).collect::<Vec<_>>();
    assert_eq!(set(rig.runtime.calls()), ["limit_sandbox 204", "limit web 204", "limit_sandbox 204"]);
    assert_eq!(starts(&rig), 1);
    let told = |what: &str, memory: &str, generation: i64| {
        let resources = json!({"requests": {"cpu": "200m", "memory": memory}});
        format!(
            r#"{what}: {{"containers":[{{"name":"web","resources":{resources}}}],"generation":{generation}}}"#
        )
    };
    rig.until_event("p", &told("ResizeCompleted Pod resize completed", "64Mi", 2)).await;

    resize(&rig, "p", "200m", "128Mi").await;
    rig.until("p", |p| container(p, "web").restart_count == 1 && is_ready(p)).await;
    assert_eq!(starts(&rig), 2);
    rig.until_event("p", &told("ResizeCompleted Pod resize completed", "128Mi", 3)).await;
    let events: Vec<String> = rig.events("p").into_iter().filter(|e| e.starts_with("Resize")).collect();
    let want = [("64Mi", 2), ("128Mi", 3)].map(|(memory, generation)| {
        ["ResizeStarted Pod resize started", "ResizeCompleted Pod resize completed"]
            .map(|what| told(what, memory, generation))
    });
    assert_eq!(events, want.concat());
}

#[tokio::test]
async fn what_has_no_room_waits_for_it_and_what_never_has_says_so() {
    let rig = rig().await;
    rig.run("other", web("1500m", "64Mi")).await;
    rig.until("other", is_ready).await;
    rig.run("p", web("100m", "64Mi")).await;
    rig.until("p", is_ready).await;

    resize(&rig, "p", "3", "64Mi").await;
    let refused = rig.until("p", |p| pending(p).is_some()).await;
    assert_eq!((pending(&refused).as_deref(), cpu(&refused).as_str()), (Some("Infeasible"), "100m"));
    assert_eq!(kinds::pod::occupied(&refused)["cpu"].milli(), 100, "what it never gets counts for nothing");

    resize(&rig, "p", "1", "64Mi").await;
    let waits = rig.until("p", |p| pending(p).as_deref() == Some("Deferred")).await;
    assert_eq!((cpu(&waits).as_str(), kinds::pod::occupied(&waits)["cpu"].milli()), ("100m", 1000));
    rig.until_event("p", "ResizeDeferred Pod resize Deferred: {\"containers\":[{\"name\":\"web\"").await;

    rig.pods().delete(&key("other"), DeleteOptions::default()).await.unwrap();
    rig.until("p", |p| cpu(p) == "1" && pending(p).is_none()).await;
}

#[tokio::test]
async fn what_was_given_outlives_the_daemon() {
    let mut rig = rig().await;
    rig.run("p", web("100m", "64Mi")).await;
    rig.until("p", is_ready).await;
    resize(&rig, "p", "3", "64Mi").await;
    rig.until("p", |p| pending(p).is_some()).await;
    rig.stop().await;
    rig.start().await;
    resize(&rig, "p", "4", "64Mi").await;
    let again = rig.until("p", |p| {
        let told = kinds::pod::condition(p, "PodResizePending").and_then(|c| c.message.clone());
        told.is_some_and(|told| told.contains("requested: 4000"))
    });
    assert_eq!(cpu(&again.await), "100m");
}

#[tokio::test]
async fn a_pod_that_names_its_node_is_refused_where_that_is_full() {
    let rig = rig().await;
    rig.run("first", web("1500m", "64Mi")).await;
    rig.until("first", is_ready).await;
    rig.run("second", web("1", "64Mi")).await;
    let refused = rig.until("second", |p| phase(p) == "Failed").await.status.unwrap();
    assert_eq!(refused.reason.as_deref(), Some("OutOfcpu"));
    let words = "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000";
    assert_eq!(refused.message.as_deref(), Some(words));
}

#[tokio::test]
async fn pods_that_wait_to_be_resized_do_not_keep_each_other_waiting() {
    let rig = rig().await;
    for (name, cpu) in [("big", "1500m"), ("a", "100m"), ("b", "100m")] {
        rig.run(name, web(cpu, "64Mi")).await;
        rig.until(name, is_ready).await;
    }
    resize(&rig, "a", "1500m", "64Mi").await;
    rig.until("a", |p| pending(p).is_some()).await;
    resize(&rig, "b", "100m", "128Mi").await;
    rig.until("b", |p| pending(p).is_none() && container(p, "web").restart_count == 1).await;
    rig.pods().delete(&key("big"), DeleteOptions::default()).await.unwrap();
    rig.until("a", |p| cpu(p) == "1500m").await;
}

#[tokio::test]
async fn a_pod_that_waits_for_a_volume_is_admitted_once() {
    let rig = rig().await;
    let mut spec = web("100m", "64Mi");
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "late"}}]);
    rig.run("p", spec).await;
    rig.until_event("p", "FailedMount").await;
    resize(&rig, "p", "60", "64Mi").await;
    let waits = rig.until("p", |p| pending(p).as_deref() == Some("Infeasible")).await;
    assert_eq!((phase(&waits), cpu(&waits).as_str()), ("Pending", "100m"));
}
