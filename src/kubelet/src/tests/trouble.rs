use super::fake::Script;
use super::rig::{container, is_ready, phase, rig, waiting, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::node::v1::RuntimeClass;
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_is_tried_again_ever_later() {
    let rig = rig().await;
    rig.run("p", json!({"containers": [{"name": "web", "image": "missing:1"}]})).await;
    let pod = rig.until("p", |p| waiting(p, "web") == "ErrImagePull").await;
    assert_eq!(phase(&pod), "Pending");
    let message = |pod: &_| container(pod, "web").state.unwrap().waiting.unwrap().message.unwrap();
    assert_eq!(message(&pod), "pull missing:1: manifest unknown");
    let pod = rig.until("p", |p| waiting(p, "web") == "ImagePullBackOff").await;
    assert_eq!(
        message(&pod),
        "Back-off pulling image \"missing:1\": ErrImagePull: pull missing:1: manifest unknown"
    );
    rig.until_event("p", "Failed Error: ImagePullBackOff").await;
    let events = rig.events("p");
    let want = [
        "Pulling Pulling image \"missing:1\"",
        "Failed Failed to pull image \"missing:1\": pull missing:1: manifest unknown",
        "Failed Error: ErrImagePull",
        "BackOff Back-off pulling image \"missing:1\"",
        "Failed Error: ImagePullBackOff",
    ];
    assert_eq!(events[..5], want);
    rig.images.publish("missing:1");
    rig.until("p", |p| phase(p) == "Running" && is_ready(p)).await;
}

#[tokio::test(start_paused = true)]
async fn images_that_can_not_be_had() {
    let rig = rig().await;
    rig.run(
        "never",
        json!({"containers": [{"name": "web", "image": "absent:1", "imagePullPolicy": "Never"}]}),
    )
    .await;
    rig.run("bad", json!({"containers": [{"name": "web", "image": "not a name"}]})).await;
    rig.until("never", |p| waiting(p, "web") == "ErrImageNeverPull").await;
    rig.until("bad", |p| waiting(p, "web") == "InvalidImageName").await;
    let never = "ErrImageNeverPull Container image \"absent:1\" is not present with pull policy of Never";
    rig.until_event("never", never).await;
    rig.until_event("bad", "InspectFailed Failed to apply default image tag \"not a name\"").await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_a_secret_has_brought_is_for_those_who_have_it() {
    let mut rig = rig().await;
    let config = json!({"auths": {"reg.example": {"username": "team", "password": "p"}}}).to_string();
    for name in ["team", "copy"] {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "default"},
            "data": {".dockerconfigjson": STANDARD.encode(&config)},
        }))
        .unwrap();
        rig.root().api().create(secret).await.unwrap();
    }
    let pod = |secret: Option<&str>, policy: &str| {
        let secrets: Vec<_> = secret.iter().map(|name| json!({"name": name})).collect();
        json!({"imagePullSecrets": secrets,
            "containers": [{"name": "web", "image": "reg.example/private:1", "imagePullPolicy": policy}]})
    };
    // (name, secret, policy, what it comes to, pulls by then with credentials)
    let before = [
        ("first", Some("team"), "IfNotPresent", "", 1),
        ("stranger", None, "Never", "ErrImageNeverPull", 1),
        ("same", Some("team"), "Never", "", 1),
        ("unknown", Some("copy"), "Never", "ErrImageNeverPull", 1),
        ("copy", Some("copy"), "IfNotPresent", "", 2),
        ("curious", None, "IfNotPresent", "ErrImagePull", 2),
    ];
    let after = [
        ("same-again", Some("team"), "IfNotPresent", "", 2),
        ("known", Some("copy"), "Never", "", 2),
        ("stranger-again", None, "Never", "ErrImageNeverPull", 2),
    ];
    for (round, cases) in [&before[..], &after[..]].into_iter().enumerate() {
        if round > 0 {
            rig.stop().await;
            rig.start().await;
        }
        for (name, secret, policy, want, pulls) in cases {
            rig.run(name, pod(*secret, policy)).await;
            match *want {
                "" => rig.until(name, |p| phase(p) == "Running").await,
                want => rig.until(name, |p| waiting(p, "web") == want).await,
            };
            let asked = rig.images.credentials.lock().unwrap().iter().filter(|count| **count > 0).count();
            assert_eq!(asked, *pulls, "{name}");
        }
    }
    let words = "ErrImageNeverPull Container image \"reg.example/private:1\" is not present with pull policy of Never";
    rig.until_event("stranger", words).await;
    rig.until_event("curious", "Failed Failed to pull image \"reg.example/private:1\"").await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_waits_ten_seconds_and_doubles() {
    let rig = rig().await;
    rig.runtime.script("web", &[Script::Exits { code: 1, after: Duration::from_secs(1) }]);
    rig.run("p", json!({"containers": [web()]})).await;
    rig.until("p", |p| container(p, "web").restart_count >= 4).await;
    let starts = rig.runtime.times_of("start web");
    let gaps: Vec<u64> = starts.windows(2).map(|w| crate::clock::since(w[1], w[0]).as_secs()).collect();
    assert!(gaps[0] < 10, "the first restart is at once: {gaps:?}");
    for (gap, wait) in gaps[1..4].iter().zip([10, 20, 40]) {
        assert!((wait..wait * 2).contains(gap), "{gaps:?}");
    }
    let pod = rig.until("p", |p| waiting(p, "web") == "CrashLoopBackOff").await;
    let status = container(&pod, "web");
    assert_eq!(status.last_state.unwrap().terminated.unwrap().exit_code, 1);
    let uid = pod.metadata.uid.clone().unwrap();
    let message = status.state.unwrap().waiting.unwrap().message.unwrap();
    assert!(message.ends_with(&format!("restarting failed container=web pod=p_default({uid})")), "{message}");
    rig.until_event(
        "p",
        &format!("BackOff Back-off restarting failed container web in pod p_default({uid})"),
    )
    .await;
    let kept = rig.runtime.containers().len();
    assert!(kept <= 3, "the newest two tries, and one that is about to go: {kept}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_has_failed_and_stays_to_be_looked_at() {
    let rig = rig().await;
    rig.runtime.script("web", &[Script::Exits { code: 2, after: Duration::from_secs(1) }]);
    rig.run("p", json!({"restartPolicy": "Never", "containers": [web()]})).await;
    let pod = rig.until("p", |p| phase(p) == "Failed").await;
    assert_eq!(container(&pod, "web").state.unwrap().terminated.unwrap().exit_code, 2);
    assert_eq!(rig.runtime.containers().len(), 1, "its log can still be read");
    rig.eventually("its volumes are gone", || {
        std::fs::read_dir(rig.dir.path().join("pods")).unwrap().count() == 0
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_pod() {
    let rig = rig().await;
    rig.running("p", json!({"activeDeadlineSeconds": 60, "containers": [web()]})).await;
    let pod = rig.until("p", |p| phase(p) == "Failed").await;
    assert_eq!(pod.status.unwrap().reason.as_deref(), Some("DeadlineExceeded"));
    assert!(rig.runtime.calls().contains(&"stop web 30s".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_runtime_are_told_and_tried_again() {
    let rig = rig().await;
    rig.runtime.refuse("run_sandbox", "no address left");
    rig.runtime.refuse("create", "no space left on device");
    rig.runtime.refuse("start", "exec: \"web\": not found");
    rig.run("p", json!({"containers": [web()]})).await;
    rig.until("p", |p| phase(p) == "Running" && is_ready(p)).await;
    for event in [
        "FailedCreatePodSandBox Failed to create pod sandbox: no address left",
        "Failed Error: no space left on device",
        "Failed Error: exec: \"web\": not found",
        "Started Started container web",
    ] {
        rig.until_event("p", event).await;
    }
    let left = rig.runtime.containers().len();
    assert_eq!(left, 1, "what never ran is gone");
}

#[tokio::test(start_paused = true)]
async fn a_failing_hook_ends_its_container() {
    let rig = rig().await;
    rig.runtime.command("hello", 1);
    let spec = json!({"containers": [{"name": "web", "image": "web:1",
        "lifecycle": {"postStart": {"exec": {"command": ["hello"]}}}}]});
    rig.run("p", spec).await;
    rig.until("p", |p| waiting(p, "web") == "PostStartHookError" || waiting(p, "web") == "CrashLoopBackOff")
        .await;
    rig.until_event("p", "FailedPostStartHook PostStartHook failed").await;
    rig.until_event("p", "Killing FailedPostStartHook").await;
    rig.runtime.command("hello", 0);
    rig.until("p", is_ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_sandbox_is_made_anew() {
    let rig = rig().await;
    rig.running("p", json!({"containers": [web()]})).await;
    rig.runtime.lose_sandbox();
    let pod = rig.until("p", |p| container(p, "web").restart_count == 1 && is_ready(p)).await;
    assert_eq!(container(&pod, "web").last_state.unwrap().terminated.unwrap().exit_code, 137);
    assert!(rig.runtime.calls().contains(&"run_sandbox p#1".to_owned()));
    rig.until_event("p", "SandboxChanged Pod sandbox changed, it will be killed and re-created.").await;
}

#[tokio::test(start_paused = true)]
async fn what_an_environment_needs_is_waited_for() {
    let rig = rig().await;
    let spec = json!({"containers": [{"name": "web", "image": "web:1",
        "envFrom": [{"configMapRef": {"name": "settings"}}]}]});
    rig.run("p", spec).await;
    rig.until("p", |p| waiting(p, "web") == "CreateContainerConfigError").await;
    rig.until_event("p", "Failed Error: configmap \"settings\" not found").await;
    let map = testkit::objects::config_map("settings").entry("COLOR", "blue");
    rig.root().api().create(map.build()).await.unwrap();
    rig.until("p", |p| phase(p) == "Running").await;
    let id = rig.runtime.containers()[0].id.clone();
    assert!(rig.runtime.config(&id).env.contains(&("COLOR".to_owned(), "blue".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn pods_that_would_grow_without_end_are_told_so_and_others_run() {
    let rig = rig().await;
    let mut env = vec![json!({"name": "A0", "value": "x".repeat(1000)})];
    env.extend(
        (1..7).map(|i| json!({"name": format!("A{i}"), "value": format!("$(A{})", i - 1).repeat(10)})),
    );
    rig.run("env", json!({"containers": [{"name": "web", "image": "web:1", "env": env}]})).await;
    rig.until("env", |p| waiting(p, "web") == "CreateContainerConfigError").await;
    rig.until_event("env", "Failed Error: environment variable \"A3\" is longer than 128 KiB").await;
    let map = testkit::objects::config_map("large").entry("k", &"x".repeat(900_000));
    rig.root().api().create(map.build()).await.unwrap();
    let items: Vec<_> = (0..1300).map(|i| json!({"key": "k", "path": format!("p{i}")})).collect();
    let volume = json!({"name": "v", "configMap": {"name": "large", "items": items}});
    rig.run("files", json!({"volumes": [volume], "containers": [web()]})).await;
    let why = "MountVolume.SetUp failed for volume \"v\" : configmap references too many or too large files";
    rig.until_event("files", &format!("FailedMount {why}")).await;
    rig.running("p", json!({"containers": [web()]})).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_would_change_the_machine_is_refused() {
    let rig = rig().await;
    let sysctls = json!([{"name": "vm.swappiness", "value": "1"}]);
    rig.run("p", json!({"securityContext": {"sysctls": sysctls}, "containers": [web()]})).await;
    let pod = rig.until("p", |p| phase(p) == "Failed").await;
    let status = pod.status.unwrap();
    assert_eq!((status.reason.as_deref(), status.container_statuses), (Some("SysctlForbidden"), None));
    let why = "forbidden sysctl: \"vm.swappiness\" not allowlisted";
    assert_eq!(status.message, Some(format!("Pod was rejected: {why}")));
    rig.until_event("p", &format!("SysctlForbidden {why}")).await;
    assert_eq!(rig.runtime.calls(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn isolation_that_is_not_given_is_refused() {
    let rig = rig().await;
    let confined = json!({"appArmorProfile": {"type": "RuntimeDefault"}});
    rig.run("confined", json!({"securityContext": confined, "containers": [web()]})).await;
    let status = rig.until("confined", |p| phase(p) == "Failed").await.status.unwrap();
    let why = "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host";
    assert_eq!((status.reason.as_deref(), status.message.as_deref()), (Some("AppArmor"), Some(why)));
    rig.run("users", json!({"hostUsers": false, "containers": [web()]})).await;
    let why = "can't set `spec.hostUsers: false`, runtime does not support user namespaces";
    rig.until_event("users", &format!("FailedCreatePodSandBox Failed to create pod sandbox: {why}")).await;
    let class = json!({"metadata": {"name": "safe"}, "handler": "gvisor"});
    let class: RuntimeClass = serde_json::from_value(class).unwrap();
    rig.cluster.acting_as(cluster::Actor::root()).api().create(class).await.unwrap();
    rig.run("safe", json!({"runtimeClassName": "safe", "containers": [web()]})).await;
    let why = "failed to get sandbox runtime: no runtime for \"gvisor\" is configured";
    rig.until_event("safe", &format!("FailedCreatePodSandBox Failed to create pod sandbox: {why}")).await;
    let ports = json!([{"containerPort": 80, "hostPort": 8443}]);
    rig.run("port", json!({"containers": [{"name": "web", "image": "web:1", "ports": ports}]})).await;
    let why = "host port 8443/tcp is already taken by the API server";
    rig.until_event("port", &format!("FailedCreatePodSandBox Failed to create pod sandbox: {why}")).await;
    assert_eq!(rig.runtime.calls(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_deleted_while_its_image_comes_goes_at_once() {
    let rig = rig().await;
    rig.run("p", json!({"containers": [{"name": "web", "image": "endless:1"}]})).await;
    rig.until_event("p", "Pulling").await;
    rig.pods().delete(&super::rig::key("p"), cluster::DeleteOptions::default()).await.unwrap();
    rig.until_gone("p").await;
    assert_eq!(rig.runtime.calls(), ["run_sandbox p#0", "stop_sandbox", "remove_sandbox"]);
    assert!(!rig.events("p").iter().any(|e| e.starts_with("Failed")), "{:#?}", rig.events("p"));
}

#[tokio::test(start_paused = true)]
async fn what_was_over_before_a_restart_stays_as_it_was() {
    let mut rig = rig().await;
    rig.runtime.script("web", &[Script::Exits { code: 2, after: Duration::from_secs(1) }]);
    rig.run("p", json!({"restartPolicy": "Never", "containers": [web()]})).await;
    let before = rig.until("p", |p| phase(p) == "Failed").await;
    rig.stop().await;
    let calls = rig.runtime.calls().len();
    rig.start().await;
    rig.run("other", json!({"containers": [web()]})).await;
    rig.until("other", |p| container(p, "web").restart_count > 0).await;
    let again: Vec<String> =
        rig.runtime.calls()[calls..].iter().filter(|c| c.contains(" p#")).cloned().collect();
    assert_eq!(again, Vec::<String>::new(), "it is not run again");
    let after = rig.pods().get(&super::rig::key("p")).unwrap();
    assert_eq!(
        after.metadata.resource_version, before.metadata.resource_version,
        "and nothing new is said of it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_lost_its_containers_starts_them_again_and_counts() {
    let mut rig = rig().await;
    rig.run("p", json!({"containers": [web()]})).await;
    rig.run("once", json!({"restartPolicy": "Never", "containers": [web()]})).await;
    rig.until("p", |p| phase(p) == "Running").await;
    rig.until("once", |p| phase(p) == "Running").await;
    rig.stop().await;
    rig.runtime.forget_all();
    rig.start().await;
    let pod = rig
        .until("p", |p| container(p, "web").restart_count == 1 && phase(p) == "Running" && is_ready(p))
        .await;
    assert!(container(&pod, "web").container_id.is_some());
    let once = rig.until("once", |p| phase(p) == "Failed").await;
    let ended = container(&once, "web").state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (137, Some("ContainerStatusUnknown")));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_tried_again_and_its_status_does_not_wait_for_it() {
    let rig = rig().await;
    rig.running("p", json!({"containers": [web()]})).await;
    rig.runtime.refuse("stop", "it is stuck");
    rig.runtime.refuse("remove_sandbox", "its directory is busy");
    rig.pods().delete(&super::rig::key("p"), cluster::DeleteOptions::default()).await.unwrap();
    rig.until_gone("p").await;
    rig.until_event("p", "FailedKillPod error killing pod: it is stuck").await;
    rig.until_event("p", "FailedKillPod error killing pod: its directory is busy").await;
    assert!(rig.runtime.sandboxes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_can_not_start_has_failed_or_is_tried_again_ever_later() {
    let rig = rig().await;
    rig.runtime.script("web", &[Script::CannotStart]);
    rig.runtime.script("first", &[Script::CannotStart]);
    let first = json!([{"name": "first", "image": "init:1"}]);
    let why = "exec: \"no\": executable file not found in $PATH";
    for (name, of, spec) in [
        ("main", "web", json!({"restartPolicy": "Never", "containers": [web()]})),
        ("init", "first", json!({"restartPolicy": "Never", "initContainers": first, "containers": [web()]})),
    ] {
        rig.run(name, spec).await;
        let pod = rig.until(name, |p| phase(p) == "Failed").await;
        let status = container(&pod, of);
        let ended = status.state.unwrap().terminated.unwrap();
        assert_eq!((ended.reason.as_deref(), ended.exit_code), (Some("StartError"), 128), "{name}");
        assert_eq!((ended.message.as_deref(), status.restart_count), (Some(why), 0), "{name}");
        rig.until_event(name, &format!("Failed Error: {why}")).await;
    }
    rig.run("again", json!({"containers": [web()]})).await;
    // the first is there for a moment only
    let tried = |p: &k8s_openapi::api::core::v1::Pod| {
        matches!(waiting(p, "web").as_str(), "RunContainerError" | "CrashLoopBackOff")
    };
    let pod = rig.until("again", tried).await;
    let last = container(&pod, "web").last_state.unwrap().terminated.unwrap();
    assert_eq!((last.reason.as_deref(), last.exit_code), (Some("StartError"), 128));
    rig.until("again", |p| waiting(p, "web") == "CrashLoopBackOff").await;
    rig.until("again", |p| container(p, "web").restart_count >= 3).await;
}

// in real time: what is waited for must not come with the clock
#[tokio::test]
async fn a_host_port_that_becomes_free_is_taken_at_once() {
    let rig = rig().await;
    rig.run("before", json!({"containers": [web()]})).await;
    rig.until("before", |p| phase(p) == "Running").await;
    let ports = json!([{"containerPort": 80, "hostPort": 8080}]);
    rig.runtime.refuse("run_sandbox", "host port 8080/tcp is already taken by sandbox x");
    rig.run("after", json!({"containers": [{"name": "web", "image": "web:1", "ports": ports}]})).await;
    rig.until_event("after", "FailedCreatePodSandBox").await;
    let began = std::time::Instant::now();
    rig.pods().delete(&super::rig::key("before"), cluster::DeleteOptions::default()).await.unwrap();
    rig.until("after", |p| phase(p) == "Running").await;
    assert!(began.elapsed() < crate::backoff::FIRST, "it waited for its back-off: {:?}", began.elapsed());
}

// in real time: what is waited for must not come with the clock
#[tokio::test]
async fn what_an_annotation_mends_is_tried_at_once() {
    let rig = rig().await;
    let annotation = json!({"fieldRef": {"fieldPath": "metadata.annotations['part']"}});
    rig.run(
        "p",
        json!({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "web", "image": "web:1",
        "env": [{"name": "PART", "valueFrom": annotation}],
        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPathExpr": "$(PART)/x"}]}]}),
    )
    .await;
    let why = |pod: &_| {
        container(pod, "web").state.and_then(|s| s.waiting).and_then(|w| w.message).unwrap_or_default()
    };
    rig.until("p", |p| waiting(p, "web") == "CreateContainerConfigError" && why(p).contains("`/x`")).await;
    let began = std::time::Instant::now();
    let change = |pod: &mut k8s_openapi::api::core::v1::Pod| {
        pod.metadata.annotations = Some([("part".to_owned(), "..".to_owned())].into());
        Ok(())
    };
    rig.pods().modify(&super::rig::key("p"), change).await.unwrap();
    rig.until("p", |p| why(p).contains("`../x`")).await;
    assert!(began.elapsed() < crate::backoff::FIRST, "it waited for its back-off");
}

// in real time: the second one must not come with the clock
#[tokio::test]
async fn a_controller_whose_pods_are_refused_is_slowed_down() {
    let rig = rig().await;
    for name in ["first", "second"] {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true});
        let sysctls = json!([{"name": "vm.swappiness", "value": "1"}]);
        let pod = json!({"metadata": {"name": name, "namespace": "default", "ownerReferences": [owner]},
            "spec": {"nodeName": super::rig::NODE, "automountServiceAccountToken": false,
                "securityContext": {"sysctls": sysctls}, "containers": [web()]}});
        rig.pods().create(serde_json::from_value(pod).unwrap()).await.unwrap();
        rig.until_event(name, "SysctlForbidden").await;
    }
    rig.until("first", |p| phase(p) == "Failed").await;
    assert_eq!(phase(&rig.pods().get(&super::rig::key("second")).unwrap()), "Pending");
    rig.pods().delete(&super::rig::key("second"), cluster::DeleteOptions::default()).await.unwrap();
    rig.until_gone("second").await;
}
