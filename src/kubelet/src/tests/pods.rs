use super::fake::Script;
use super::rig::{Rig, container, is_ready, key, phase, rig, waiting, web};
use cluster::{Actor, DeleteOptions, Target};
use cri::Mount;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kinds::{Subresource, TypedKind};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn the_node_is_there_ready_and_alive() {
    let rig = rig().await;
    let node: Node = rig.root().api().get(&api::ObjectKey::new(None, "n1")).unwrap();
    for event in ["Starting Starting kubelet.", "NodeReady Node n1 status is now: NodeReady"] {
        rig.until_event("n1", event).await;
    }
    let status = node.status.unwrap();
    let ready = status.conditions.unwrap().into_iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.message.as_deref()),
        ("True", Some("kubelet is posting ready status"))
    );
    assert_eq!(status.capacity.unwrap()["pods"].0, "110");
    let lease =
        || -> Lease { rig.root().api().get(&api::ObjectKey::namespaced("kube-node-lease", "n1")).unwrap() };
    let first = lease().spec.unwrap().renew_time.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    rig.eventually("the lease is renewed", || lease().spec.unwrap().renew_time.unwrap() > first).await;
}

#[tokio::test(start_paused = true)]
async fn pods_may_soon_use_what_an_administrator_adds_to_the_capacity() {
    let rig = rig().await;
    let (nodes, key) = (rig.root().api::<Node>(), api::ObjectKey::new(None, "n1"));
    let add = |node: &mut Node| {
        let status = node.status.get_or_insert_default();
        status
            .capacity
            .get_or_insert_default()
            .insert("example.com/dongle".to_owned(), Quantity("4".to_owned()));
        Ok(())
    };
    nodes.modify_status(&key, add).await.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let amount = || {
        let status = nodes.get(&key).unwrap().status.unwrap();
        let of = |amounts: Option<std::collections::BTreeMap<String, Quantity>>| {
            amounts.and_then(|amounts| amounts.get("example.com/dongle").map(|amount| amount.0.clone()))
        };
        (of(status.capacity), of(status.allocatable))
    };
    let four = || Some("4".to_owned());
    rig.eventually("there are four for pods", || amount() == (four(), four())).await;
}

#[tokio::test(start_paused = true)]
async fn pages_tell_how_it_is_set_and_what_runs() {
    let rig = rig().await;
    rig.run(
        "p",
        json!({"containers": [web(), {"name": "late", "image": "none:1", "imagePullPolicy": "Never"}]}),
    )
    .await;
    rig.until("p", |p| p.status.iter().any(|s| s.container_statuses.iter().flatten().any(|c| c.ready))).await;
    let page = async |path: &str| -> Option<serde_json::Value> {
        let page = rig.kubelet.access.page("n1", path).await.unwrap()?;
        Some(serde_json::from_str(&page.body).unwrap())
    };
    let running = page("/runningpods/").await.unwrap();
    assert_eq!(running["kind"], "PodList");
    let [pod] = running["items"].as_array().unwrap().as_slice() else { panic!("{running}") };
    assert_eq!((&pod["metadata"]["name"], &pod["metadata"]["namespace"]), (&json!("p"), &json!("default")));
    let containers = pod["spec"]["containers"].as_array().unwrap();
    assert_eq!(
        containers.iter().map(|c| &c["name"]).collect::<Vec<_>>(),
        ["web"],
        "the other one does not run"
    );
    assert_eq!(page("/configz").await.unwrap()["kubeletconfig"]["maxPods"], 110);
    assert_eq!(page("/configz/x").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_node_takes_as_many_pods_as_its_last_start_says() {
    let mut rig = rig().await;
    rig.stop().await;
    rig.max_pods = 1;
    rig.start().await;
    let node: Node = rig.root().api().get(&api::ObjectKey::new(None, "n1")).unwrap();
    let status = node.status.unwrap();
    assert_eq!((&*status.capacity.unwrap()["pods"].0, &*status.allocatable.unwrap()["pods"].0), ("1", "1"));
    rig.run("one", json!({"containers": [web()]})).await;
    rig.until("one", |p| phase(p) == "Running").await;
    rig.run("more", json!({"containers": [web()]})).await;
    let refused = rig.until("more", |p| phase(p) == "Failed").await.status.unwrap();
    assert_eq!(refused.reason.as_deref(), Some("OutOfpods"));
    rig.stop().await;
    rig.max_pods = 2;
    rig.start().await;
    rig.run("another", json!({"containers": [web()]})).await;
    rig.until("another", |p| phase(p) == "Running").await;
}

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
    rig.run("p", json!({"containers": [web()]})).await;
    rig.until("p", |p| phase(p) == "Running").await;
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
    rig.run("p", spec).await;
    let pod = rig.until("p", |p| phase(p) == "Running").await;
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
async fn a_changed_secret_reaches_its_volume_and_a_missing_one_is_waited_for() {
    let rig = rig().await;
    let secret = |value: &str| -> Secret {
        serde_json::from_value(json!({"metadata": {"name": "login", "namespace": "default"},
            "data": {"password": value}}))
        .unwrap()
    };
    let spec = json!({"volumes": [{"name": "s", "secret": {"secretName": "login"}}],
        "containers": [{"name": "web", "image": "web:1", "volumeMounts": [{"name": "s", "mountPath": "/s"}]}]});
    let pod = rig.run("p", spec).await;
    rig.until_event(
        "p",
        "FailedMount MountVolume.SetUp failed for volume \"s\" : secret \"login\" not found",
    )
    .await;
    assert_eq!(waiting(&rig.pods().get(&key("p")).unwrap(), "web"), "ContainerCreating");
    let created = rig.root().api().create(secret("b25l")).await.unwrap();
    rig.until("p", |p| phase(p) == "Running").await;
    let file = rig
        .dir
        .path()
        .join("pods")
        .join(pod.metadata.uid.unwrap())
        .join("volumes/kubernetes.io~secret/s/password");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    let mut changed: Secret = secret("dHdv");
    changed.metadata.resource_version = created.metadata.resource_version;
    rig.root().api().update(changed).await.unwrap();
    rig.eventually("the new value", || std::fs::read_to_string(&file).is_ok_and(|text| text == "two")).await;
}

#[tokio::test(start_paused = true)]
async fn files_that_show_labels_and_annotations_follow_them() {
    let rig = rig().await;
    let items = |path: &str, field: &str| json!([{"path": path, "fieldRef": {"fieldPath": field}}]);
    let spec = json!({"volumes": [
            {"name": "own", "downwardAPI": {"items": items("labels", "metadata.labels")}},
            {"name": "among", "projected": {"sources": [{"downwardAPI": {"items": items("build", "metadata.annotations['build']")}}]}}],
        "containers": [{"name": "web", "image": "web:1", "volumeMounts": [
            {"name": "own", "mountPath": "/own"}, {"name": "among", "mountPath": "/among"}]}]});
    rig.run("p", spec).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let mounts = rig.runtime.config(&rig.runtime.containers()[0].id.clone()).mounts;
    let read = |at: &str, file: &str| {
        let mount = mounts.iter().find(|m| m.target == std::path::Path::new(at)).unwrap();
        std::fs::read_to_string(mount.source.clone().unwrap().join(file)).unwrap_or_default()
    };
    assert_eq!((read("/own", "labels").as_str(), read("/among", "build").as_str()), ("", ""));
    let change = |pod: &mut k8s_openapi::api::core::v1::Pod| {
        pod.metadata.labels = Some([("tier".to_owned(), "front".to_owned())].into());
        pod.metadata.annotations = Some([("build".to_owned(), "two".to_owned())].into());
        Ok(())
    };
    rig.pods().modify(&key("p"), change).await.unwrap();
    rig.eventually("the new label", || read("/own", "labels") == "tier=\"front\"").await;
    rig.eventually("the new annotation", || read("/among", "build") == "two").await;
}

/// What is mounted into the container of a pod that has its account's token, and runs.
async fn mounts_of_pod_with_token(rig: &Rig) -> Vec<Mount> {
    let map = testkit::objects::config_map("kube-root-ca.crt").entry("ca.crt", "CA");
    rig.root().api().create(map.build()).await.unwrap();
    rig.run("p", json!({"automountServiceAccountToken": true, "containers": [web()]})).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let id = rig.runtime.containers()[0].id.clone();
    rig.runtime.config(&id).mounts
}

fn token_of(mounts: &[Mount]) -> &Mount {
    let at = std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
    mounts.iter().find(|m| m.target == at).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_service_accounts_token_is_mounted_and_renewed() {
    let rig = rig().await;
    let mounts = mounts_of_pod_with_token(&rig).await;
    let mount = token_of(&mounts);
    let source = mount.source.clone().unwrap();
    let read = |name: &str| std::fs::read_to_string(source.join(name)).unwrap();
    assert_eq!(
        (read("ca.crt").as_str(), read("namespace").as_str(), mount.read_only),
        ("CA", "default", true)
    );
    let first = read("token");
    let who = rig.cluster.authenticate_token(&first).unwrap();
    assert_eq!(who.name, "system:serviceaccount:default:default");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    rig.eventually("another token", || read("token") != first).await;
    assert!(mounts.iter().any(|m| m.target == std::path::Path::new("/etc/hosts")));
    assert!(mounts.iter().any(|m| m.target == std::path::Path::new("/dev/termination-log")));
}

/// A machine that slept for a night had pods with tokens that had ended, for most of an hour.
#[tokio::test(start_paused = true)]
async fn tokens_are_renewed_at_once_when_the_clock_was_set() {
    let rig = rig().await;
    let source = token_of(&mounts_of_pod_with_token(&rig).await).source.clone().unwrap();
    let read = || std::fs::read_to_string(source.join("token")).unwrap();
    let (first, began) = (read(), rig.clock.now());
    rig.cluster.clock_was_set();
    rig.eventually("another token", || read() != first).await;
    let took = crate::clock::since(rig.clock.now(), began);
    assert!(took < Duration::from_secs(600), "it waited for the timer: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_container_says_at_its_end_is_in_the_status() {
    let rig = rig().await;
    rig.run("p", json!({"restartPolicy": "Never", "containers": [web()]})).await;
    rig.until("p", |p| phase(p) == "Running").await;
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
    rig.run("p", spec).await;
    rig.until("p", |p| phase(p) == "Running").await;
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
async fn after_a_restart_volumes_are_brought_up_to_date() {
    let mut rig = rig().await;
    let map = |value: &str| testkit::objects::config_map("settings").entry("colour", value).build();
    rig.root().api().create(map("blue")).await.unwrap();
    let spec = json!({"volumes": [{"name": "s", "configMap": {"name": "settings"}}],
        "containers": [{"name": "web", "image": "web:1", "volumeMounts": [{"name": "s", "mountPath": "/s"}]}]});
    rig.run("p", spec).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let id = rig.runtime.containers()[0].id.clone();
    let file = rig.runtime.config(&id).mounts[0].source.clone().unwrap().join("colour");
    rig.stop().await;
    rig.root().api().update(map("red")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "blue");
    rig.start().await;
    rig.eventually("the new value", || std::fs::read_to_string(&file).is_ok_and(|text| text == "red")).await;
    assert_eq!(rig.runtime.containers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_added_runs_once_beside_the_others() {
    let rig = rig().await;
    let pod = rig.run("p", json!({"containers": [web()]})).await;
    rig.until("p", |p| phase(p) == "Running").await;
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
