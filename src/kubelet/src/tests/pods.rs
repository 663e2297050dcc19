//! What becomes of a pod, from its first container to its end.

use super::fake::Script;
use super::rig::{container, is_ready, key, phase, rig, web};
use cluster::{Actor, DeleteOptions, Target};
use k8s_openapi::api::core::v1::Pod;
use kinds::{Subresource, TypedKind};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_pod_runs_and_says_how_it_came_to_it() {
    let rig = rig().await;
    rig.run(
        "p",
        json!({"containers": [{"name": "web", "image": "fresh:1", "ports": [{"containerPort": 80}]}]}),
    )
    .await;
    let pod = rig.until("p", |p| phase(p) == "Running" && is_ready(p)).await;
    let status = pod.status.clone().unwrap();
    assert_eq!(status.pod_ip.as_deref(), Some("10.244.0.7"));
    assert_eq!(status.host_ip.as_deref(), Some("192.0.2.1"));
    assert!(status.start_time.is_some());
    assert_eq!(container(&pod, "web").restart_count, 0);
    rig.until_event("p", "Started").await;
    let events = rig.events("p");
    let want = [
        "Pulling Pulling image \"fresh:1\"",
        "Pulled Successfully pulled image \"fresh:1\" in ",
        "Created Created container: web",
        "Started Started container web",
    ];
    assert_eq!(events.len(), want.len(), "{events:#?}");
    assert!(events.iter().zip(want).all(|(got, want)| got.starts_with(want)), "{events:#?}");
    assert!(events[1].ends_with(" including waiting). Image size: 1234 bytes."), "{events:#?}");
    assert_eq!(rig.runtime.calls(), ["run_sandbox p#0", "create web#0", "start web"]);
    // what the kubelet says of it is the kubelet's
    let pods = rig.cluster.registry().by_gvr(&Pod::info().gvr).unwrap();
    let stored = rig.cluster.get(&Actor::root(), &Target::object(&pods, Some("default"), "p")).unwrap();
    let entries = stored.decode::<Pod>().unwrap().metadata.managed_fields.unwrap();
    let entry = entries.into_iter().find(|entry| entry.manager.as_deref() == Some("kubelet")).unwrap();
    assert_eq!((entry.operation.as_deref(), entry.subresource.as_deref()), (Some("Update"), Some("status")));
    let fields = entry.fields_v1.unwrap().0;
    assert!(fields["f:status"]["f:podIP"].is_object() && fields["f:spec"].is_null(), "{fields}");
    assert!(fields["f:status"]["f:conditions"]["k:{\"type\":\"Ready\"}"].is_object(), "{fields}");
}

// in real time: a deletion's time is the cluster's
#[tokio::test]
async fn a_deleted_pod_ends_in_order_and_leaves_nothing() {
    let rig = rig().await;
    let spec = json!({"terminationGracePeriodSeconds": 7, "volumes": [{"name": "v", "emptyDir": {}}], "containers": [{
        "name": "web", "image": "web:1", "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "lifecycle": {"preStop": {"exec": {"command": ["goodbye"]}}}}]});
    let pod = rig.run("p", spec).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let uid = pod.metadata.uid.unwrap();
    assert!(rig.dir.path().join("pods").join(&uid).join("volumes/kubernetes.io~empty-dir/v").is_dir());
    rig.pods().delete(&key("p"), DeleteOptions::default()).await.unwrap();
    rig.until_gone("p").await;
    let calls = rig.runtime.calls();
    assert_eq!(
        calls[3..],
        ["exec web goodbye", "stop web 7s", "stop_sandbox", "remove_sandbox"],
        "{calls:#?}"
    );
    rig.until_event("p", "Killing Stopping container web").await;
    assert!(!rig.dir.path().join("pods").join(&uid).exists());
    let logs = std::fs::read_dir(rig.dir.path().join("pods-logs")).unwrap().count();
    assert_eq!(logs, 0, "its logs are gone");
}

#[tokio::test(start_paused = true)]
async fn a_forced_deletion_does_not_wait_for_the_grace() {
    let rig = rig().await;
    rig.running("p", json!({"containers": [web()]})).await;
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    rig.pods().delete(&key("p"), now).await.unwrap();
    rig.eventually("the sandbox is gone", || rig.runtime.sandboxes().is_empty()).await;
    assert!(rig.runtime.calls().contains(&"stop web 1s".to_owned()), "{:#?}", rig.runtime.calls());
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_one_after_the_other_and_sidecars_stay_until_the_end() {
    let rig = rig().await;
    let done = Script::Exits { code: 0, after: Duration::from_secs(1) };
    let failed = Script::Exits { code: 3, after: Duration::from_secs(1) };
    rig.runtime.script("first", &[failed, done]);
    rig.runtime.script("web", &[done]);
    let spec = json!({"restartPolicy": "OnFailure", "initContainers": [
            {"name": "first", "image": "init:1"},
            {"name": "side", "image": "init:1", "restartPolicy": "Always"}],
        "containers": [web()]});
    rig.run("p", spec).await;
    let pod = rig.until("p", |p| phase(p) == "Succeeded").await;
    assert_eq!(container(&pod, "first").restart_count, 1);
    let calls: Vec<String> = rig.runtime.calls().into_iter().filter(|c| !c.starts_with("create")).collect();
    assert_eq!(
        calls,
        [
            "run_sandbox p#0",
            "start first",
            "start first",
            "start side",
            "start web",
            "stop side 30s",
            "stop_sandbox"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn readiness_gates_the_pod_and_liveness_restarts_the_container() {
    let rig = rig().await;
    rig.runtime.command("ready", 1);
    let probe =
        |command: &str| json!({"exec": {"command": [command]}, "periodSeconds": 5, "failureThreshold": 2});
    let spec = json!({"containers": [{"name": "web", "image": "web:1",
        "readinessProbe": probe("ready"), "livenessProbe": probe("alive")}]});
    let pod = rig.running("p", spec).await;
    assert!(!is_ready(&pod));
    rig.until_event("p", "Unhealthy Readiness probe failed: not well").await;
    rig.runtime.command("ready", 0);
    rig.until("p", is_ready).await;
    rig.runtime.command("alive", 1);
    rig.until("p", |p| container(p, "web").restart_count >= 1).await;
    rig.until_event("p", "Killing Container web failed liveness probe, will be restarted").await;
    let unhealthy =
        rig.events("p").into_iter().filter(|e| e == "Unhealthy Liveness probe failed: not well").count();
    assert_eq!(unhealthy, 1, "told once, counted after that");
    assert!(rig.runtime.calls().contains(&"stop web 30s".to_owned()));
    rig.runtime.command("alive", 0);
    rig.until("p", |p| container(p, "web").restart_count >= 1 && is_ready(p)).await;
}

#[tokio::test(start_paused = true)]
async fn a_startup_probe_holds_the_others_back() {
    let rig = rig().await;
    rig.runtime.command("up", 1);
    let probe =
        |command: &str| json!({"exec": {"command": [command]}, "periodSeconds": 1, "failureThreshold": 1000});
    let spec = json!({"containers": [{"name": "web", "image": "web:1",
        "startupProbe": probe("up"), "livenessProbe": probe("alive")}]});
    rig.run("p", spec).await;
    rig.until_event("p", "Unhealthy Startup probe failed").await;
    assert!(!rig.runtime.calls().contains(&"exec web alive".to_owned()));
    rig.runtime.command("up", 0);
    rig.until("p", is_ready).await;
    rig.eventually("liveness is asked", || rig.runtime.calls().contains(&"exec web alive".to_owned())).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_daemon_containers_are_adopted_and_strangers_end() {
    let mut rig = rig().await;
    let kept = rig.run("kept", json!({"containers": [web()]})).await;
    rig.run("lost", json!({"containers": [web()]})).await;
    rig.until("kept", |p| phase(p) == "Running").await;
    rig.until("lost", |p| phase(p) == "Running").await;
    let before = rig.runtime.calls().len();
    rig.stop().await;
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    rig.pods().delete(&key("lost"), now).await.unwrap();
    std::fs::create_dir_all(rig.dir.path().join("pods/of-nobody/volumes")).unwrap();
    rig.start().await;
    rig.eventually("the stranger is gone", || rig.runtime.sandboxes().len() == 1).await;
    let calls = rig.runtime.calls();
    assert!(!calls[before..].iter().any(|c| c.starts_with("start") || c.starts_with("run")), "{calls:#?}");
    let left = rig.runtime.sandboxes();
    assert_eq!(left[0].config.uid, kept.metadata.uid.unwrap());
    let pod = rig.pods().get(&key("kept")).unwrap();
    assert_eq!((phase(&pod), container(&pod, "web").restart_count), ("Running", 0));
    assert!(!rig.dir.path().join("pods/of-nobody").exists());
    assert!(is_ready(&pod), "what was ready stays so");
    // and it is still looked after
    let id = rig.runtime.containers()[0].id.clone();
    rig.runtime.end(&id, 1);
    rig.until("kept", |p| container(p, "web").restart_count == 1 && phase(p) == "Running").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_container_says_at_its_end_is_in_the_status() {
    let rig = rig().await;
    rig.running("p", json!({"restartPolicy": "Never", "containers": [web()]})).await;
    let id = rig.runtime.containers()[0].id.clone();
    let mounts = rig.runtime.config(&id).mounts;
    let log = std::path::Path::new("/dev/termination-log");
    std::fs::write(mounts.iter().find(|m| m.target == log).unwrap().source.clone().unwrap(), "out of luck")
        .unwrap();
    rig.runtime.end(&id, 9);
    let pod = rig.until("p", |p| phase(p) == "Failed").await;
    let ended = container(&pod, "web").state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.message.as_deref()), (9, Some("out of luck")));
    rig.pods().delete(&key("p"), DeleteOptions::default()).await.unwrap();
    rig.eventually("the sandbox is gone", || rig.runtime.sandboxes().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_deletion_shortens_the_first_ones_grace() {
    let rig = rig().await;
    // a hook that outlasts the grace of whoever deletes it now
    let spec = json!({"terminationGracePeriodSeconds": 100_000, "containers": [{"name": "web", "image": "web:1",
        "lifecycle": {"preStop": {"sleep": {"seconds": 90_000}}}}]});
    rig.running("p", spec).await;
    rig.pods().delete(&key("p"), DeleteOptions::default()).await.unwrap();
    rig.until_event("p", "Killing").await;
    assert!(!rig.runtime.calls().iter().any(|c| c.starts_with("stop")), "the hook is under way");
    let sooner = DeleteOptions { grace_period_seconds: Some(1), ..DeleteOptions::default() };
    rig.pods().delete(&key("p"), sooner).await.unwrap();
    let began = rig.clock.now();
    rig.until_gone("p").await;
    assert!(crate::clock::since(rig.clock.now(), began) < Duration::from_secs(90_000));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_added_runs_once_beside_the_others() {
    let rig = rig().await;
    let pod = rig.running("p", json!({"containers": [web()]})).await;
    let mut with = rig.pods().get(&key("p")).unwrap();
    let debug = json!([{"name": "debug", "image": "init:1", "targetContainerName": "web"}]);
    with.spec.as_mut().unwrap().ephemeral_containers = serde_json::from_value(debug).unwrap();
    with.metadata.resource_version = None;
    rig.pods().replace(with, Some(Subresource::EphemeralContainers)).await.unwrap();
    let added = |pod: &k8s_openapi::api::core::v1::Pod| {
        pod.status.as_ref()?.ephemeral_container_statuses.as_ref()?.first()?.state.clone()
    };
    rig.until("p", |p| added(p).is_some_and(|state| state.running.is_some())).await;
    let containers = rig.runtime.containers();
    let of = |name: &str| containers.iter().find(|c| c.name == name).unwrap().id.clone();
    assert_eq!(rig.runtime.config(&of("debug")).pid_of, Some(of("web")));
    rig.runtime.end(&of("debug"), 3);
    let ended = rig.until("p", |p| added(p).is_some_and(|state| state.terminated.is_some())).await;
    assert_eq!(added(&ended).unwrap().terminated.unwrap().exit_code, 3);
    assert!(phase(&ended) == "Running" && is_ready(&ended), "the pod is as it was");
    assert_eq!(rig.runtime.times_of("start debug").len(), 1);
    assert!(ended.metadata.generation > pod.metadata.generation);
}
