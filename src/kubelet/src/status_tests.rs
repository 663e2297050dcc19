use super::*;
use crate::view::{Backoff, Evicted, WorkerState};
use cri::{ContainerId, SandboxConfig, SandboxId, SandboxState, SandboxStatus};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn pod(policy: &str) -> Pod {
    let scheduled = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]});
    let made = testkit::objects::pod("p").namespace("d").uid("u").containers(&["a", "b"]).status(&scheduled);
    made.with(&json!({"metadata": {"generation": 3}, "spec": {"restartPolicy": policy}})).build()
}

fn exited(exit_code: i32) -> Cri {
    Cri::Exited {
        exit_code,
        oom_killed: exit_code == 137,
        started_at: Some(at(1)),
        finished_at: at(2),
        message: String::new(),
    }
}

fn running() -> Cri {
    Cri::Running { pid: 7, started_at: at(1) }
}

fn sandbox(containers: Vec<(&str, Cri)>) -> Vec<SandboxStatus> {
    let id = SandboxId("s".into());
    let containers = containers.into_iter().map(|(name, state)| cri::ContainerStatus {
        id: ContainerId(format!("id-{name}")),
        sandbox: id.clone(),
        name: name.into(),
        attempt: 4,
        image: "sha256:1".into(),
        image_ref: "i".into(),
        state,
        created_at: at(0),
        log_path: Default::default(),
        tty: false,
        stdin: false,
        labels: Default::default(),
        annotations: Default::default(),
    });
    let containers = containers.collect();
    let ip = Some("10.244.0.9".parse().unwrap());
    vec![SandboxStatus {
        id,
        config: SandboxConfig::default(),
        state: SandboxState::Ready,
        created_at: at(0),
        ip,
        containers,
    }]
}

fn make(pod: &Pod, sandboxes: &[SandboxStatus], memory: &WorkerState, terminal: bool) -> PodStatus {
    status(View { pod, sandboxes, memory, now: at(5) }, "192.0.2.1".parse().unwrap(), terminal)
}

#[test]
fn phases() {
    let cases: Vec<(&str, &str, Vec<SandboxStatus>, bool, &str)> = vec![
        ("nothing yet", "Always", vec![], false, "Pending"),
        ("one of two", "Always", sandbox(vec![("a", running())]), false, "Pending"),
        ("both", "Always", sandbox(vec![("a", running()), ("b", running())]), false, "Running"),
        ("one ended", "Always", sandbox(vec![("a", running()), ("b", exited(1))]), false, "Running"),
        ("both ended, again", "Always", sandbox(vec![("a", exited(0)), ("b", exited(1))]), false, "Running"),
        ("both succeeded", "Never", sandbox(vec![("a", exited(0)), ("b", exited(0))]), false, "Succeeded"),
        ("one failed", "Never", sandbox(vec![("a", exited(0)), ("b", exited(1))]), false, "Failed"),
        (
            "one failed, again",
            "OnFailure",
            sandbox(vec![("a", exited(0)), ("b", exited(1))]),
            false,
            "Running",
        ),
        ("ended for good", "Always", sandbox(vec![("a", exited(0)), ("b", exited(0))]), true, "Succeeded"),
        ("killed for good", "Always", sandbox(vec![("a", exited(0)), ("b", exited(143))]), true, "Failed"),
        ("never ran", "Always", vec![], true, "Failed"),
    ];
    for (name, policy, sandboxes, terminal, want) in cases {
        let got = make(&pod(policy), &sandboxes, &WorkerState::default(), terminal);
        assert_eq!(got.phase.as_deref(), Some(want), "{name}");
    }
}

#[test]
fn a_pod_has_ended_when_its_sidecars_have() {
    let cases: Vec<(&str, &str, Vec<(&str, Cri)>, bool, &str)> = vec![
        ("both run", "Pending", vec![("side", running()), ("a", running())], false, "Running"),
        ("the sidecar is left", "Pending", vec![("side", running()), ("a", exited(0))], false, "Running"),
        (
            "it failed, the sidecar is left",
            "Running",
            vec![("side", running()), ("a", exited(1))],
            false,
            "Running",
        ),
        ("all have ended", "Running", vec![("side", exited(137)), ("a", exited(0))], true, "Succeeded"),
        ("all have ended, not well", "Running", vec![("side", exited(0)), ("a", exited(1))], true, "Failed"),
        ("never begun", "Pending", vec![("side", running()), ("init", exited(1))], false, "Pending"),
        ("begun once", "Running", vec![("side", running()), ("init", exited(1))], false, "Running"),
        ("never begun, over", "Pending", vec![("side", exited(0)), ("init", exited(1))], true, "Failed"),
    ];
    for (name, before, containers, terminal, want) in cases {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "d", "uid": "u"}, "status": {"phase": before},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}],
                "initContainers": [{"name": "side", "image": "i", "restartPolicy": "Always"}, {"name": "init", "image": "i"}]}}))
        .unwrap();
        let initialized = containers.iter().any(|(name, _)| *name == "a");
        let init = initialized.then(|| ("init", exited(0)));
        let all = sandbox(containers.into_iter().chain(init).collect());
        let got = make(&pod, &all, &WorkerState::default(), terminal);
        assert_eq!(got.phase.as_deref(), Some(want), "{name}");
    }
}

#[test]
fn an_address_is_said_while_it_is_the_pods() {
    let lost = || {
        let mut all = sandbox(vec![("a", exited(137))]);
        all[0].state = SandboxState::NotReady;
        all
    };
    let mut gone = sandbox(vec![("a", exited(0)), ("b", exited(0))]);
    gone[0].state = SandboxState::NotReady;
    let cases = [
        ("it runs", "Always", sandbox(vec![("a", running()), ("b", running())]), false, Some("10.244.0.9")),
        ("the machine was started anew", "Always", vec![], false, None),
        ("its sandbox is lost", "Always", lost(), false, None),
        ("it has ended", "Never", gone, false, Some("10.244.0.5")),
        ("it was ended", "Always", vec![], true, Some("10.244.0.5")),
    ];
    for (name, policy, sandboxes, terminal, want) in cases {
        let mut pod = pod(policy);
        let status = pod.status.get_or_insert_default();
        status.pod_ip = Some("10.244.0.5".into());
        status.pod_ips = Some(vec![PodIP { ip: "10.244.0.5".into() }]);
        let got = make(&pod, &sandboxes, &WorkerState::default(), terminal);
        assert_eq!(got.pod_ip.as_deref(), want, "{name}");
        assert_eq!(got.pod_ips.is_some(), want.is_some(), "{name}");
    }
}

#[test]
fn a_status_as_clients_read_it() {
    let mut memory = WorkerState::default();
    let message = "back-off 10s restarting failed container=b pod=p_d(u)".to_owned();
    memory
        .backed_off
        .insert("b".into(), Backoff { reason: "CrashLoopBackOff", message, until: at(12), later: None });
    memory.messages.insert(ContainerId("id-b".into()), "the last words".into());
    let got = make(&pod("Always"), &sandbox(vec![("a", running()), ("b", exited(137))]), &memory, false);
    let json = serde_json::to_value(&got).unwrap();
    assert_eq!(json["podIP"], "10.244.0.9");
    assert_eq!(json["hostIP"], "192.0.2.1");
    assert_eq!(json["qosClass"], "BestEffort");
    assert_eq!(json["observedGeneration"], 3);
    let b = &json["containerStatuses"][1];
    assert_eq!(b["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(b["lastState"]["terminated"]["reason"], "OOMKilled");
    assert_eq!(b["lastState"]["terminated"]["message"], "the last words");
    assert_eq!(b["lastState"]["terminated"]["containerID"], "monopod://id-b");
    assert_eq!((b["restartCount"].as_i64(), b["ready"].as_bool()), (Some(4), Some(false)));
    let a = &json["containerStatuses"][0];
    assert_eq!((a["ready"].as_bool(), a["started"].as_bool()), (Some(true), Some(true)));
    let conditions: Vec<(String, String)> =
        got.conditions.unwrap().into_iter().map(|c| (c.type_, c.status)).collect();
    let want = [
        ("PodReadyToStartContainers", "True"),
        ("Initialized", "True"),
        ("Ready", "False"),
        ("ContainersReady", "False"),
        ("PodScheduled", "True"),
    ];
    assert_eq!(conditions, want.map(|(t, s)| (t.to_owned(), s.to_owned())));
    assert_eq!(json["conditions"][2]["message"], "containers with unready status: [b]");
}

#[test]
fn why_no_container_may_start() {
    let changed = |change: fn(&mut SandboxStatus)| {
        let mut all = sandbox(vec![]);
        change(&mut all[0]);
        all
    };
    let cases = [
        ("no sandbox", vec![], false, Some("no pod sandbox exists")),
        ("no address", changed(|it| it.ip = None), false, Some("pod sandbox has no IP address")),
        ("it has one", sandbox(vec![]), false, None),
        (
            "it needs none",
            changed(|it| {
                it.ip = None;
                it.config.host_network = true;
            }),
            false,
            None,
        ),
        ("one that is gone", changed(|it| it.state = SandboxState::NotReady), false, Some("")),
        ("the pod has ended", sandbox(vec![]), true, Some("")),
    ];
    for (name, sandboxes, terminal, want) in cases {
        let got = make(&pod("Never"), &sandboxes, &WorkerState::default(), terminal);
        let got = &got.conditions.unwrap()[0];
        let reason = want.map(|_| "PodSandboxNotReady");
        assert_eq!(got.status, if want.is_none() { "True" } else { "False" }, "{name}");
        assert_eq!(got.reason.as_deref(), reason, "{name}");
        assert_eq!(got.message.as_deref(), want.filter(|words| !words.is_empty()), "{name}");
    }
}

#[test]
fn what_is_created_says_why_it_waits() {
    let got = make(&pod("Always"), &sandbox(vec![]), &WorkerState::default(), false);
    let state = got.container_statuses.unwrap()[0].state.clone().unwrap();
    assert_eq!(state.waiting.unwrap().reason.as_deref(), Some("ContainerCreating"));
}

#[test]
fn probes_decide_what_is_ready() {
    let mut pod = pod("Always");
    pod.spec.as_mut().unwrap().containers[0].readiness_probe = Some(Default::default());
    let sandboxes = sandbox(vec![("a", running()), ("b", running())]);
    let is_ready =
        |memory: &WorkerState| make(&pod, &sandboxes, memory, false).container_statuses.unwrap()[0].ready;
    let mut memory = WorkerState::default();
    assert!(!is_ready(&memory));
    memory.ready.insert(ContainerId("id-a".into()));
    assert!(is_ready(&memory));
}

#[test]
fn a_pod_that_took_too_long_says_so() {
    let evicted = Evicted { reason: "DeadlineExceeded", message: "too long".into(), grace: None };
    let memory = WorkerState { evicted: Some(evicted), ..WorkerState::default() };
    let got = make(&pod("Never"), &sandbox(vec![("a", exited(143)), ("b", exited(0))]), &memory, true);
    assert_eq!((got.phase.as_deref(), got.reason.as_deref()), (Some("Failed"), Some("DeadlineExceeded")));
}

#[test]
fn which_init_containers_are_not_done() {
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"restartPolicy": "Always", "containers": [{"name": "a", "image": "i"}], "initContainers": [
            {"name": "init1", "image": "i"}, {"name": "init2", "image": "i"},
            {"name": "side", "image": "i", "restartPolicy": "Always"}]}}))
    .unwrap();
    let held = Backoff { reason: "CrashLoopBackOff", message: String::new(), until: at(12), later: None };
    let held = WorkerState { backed_off: [("init1".to_owned(), held)].into(), ..WorkerState::default() };
    let all = "containers with incomplete status: [init1 init2 side]";
    let two = "containers with incomplete status: [init2 side]";
    let cases = [
        ("nothing yet", vec![], &WorkerState::default(), Some(all)),
        ("the first runs", vec![("init1", running())], &WorkerState::default(), Some(all)),
        ("the first failed", vec![("init1", exited(1))], &WorkerState::default(), Some(all)),
        ("and waits to be tried again", vec![("init1", exited(1))], &held, Some(all)),
        (
            "the first is done",
            vec![("init1", exited(0)), ("init2", running())],
            &WorkerState::default(),
            Some(two),
        ),
        (
            "all are",
            vec![("init1", exited(0)), ("init2", exited(0)), ("side", running())],
            &WorkerState::default(),
            None,
        ),
    ];
    let initialized = |got: &PodStatus| {
        got.conditions.iter().flatten().find(|c| c.type_ == "Initialized").cloned().unwrap()
    };
    for (name, containers, memory, want) in cases {
        let condition = initialized(&make(&pod, &sandbox(containers), memory, false));
        assert_eq!(condition.message.as_deref(), want, "{name}");
        let reason = want.map(|_| "ContainersNotInitialized");
        assert_eq!(condition.reason.as_deref(), reason, "{name}");
        assert_eq!(condition.status, if want.is_some() { "False" } else { "True" }, "{name}");
    }
    let mut ended =
        sandbox(vec![("init1", exited(0)), ("init2", exited(0)), ("side", exited(0)), ("a", exited(1))]);
    ended[0].state = SandboxState::NotReady;
    let over = make(&pod, &ended, &WorkerState::default(), true);
    assert_eq!(initialized(&over).status, "True", "what was initialized stays so");
}

#[test]
fn an_init_container_that_runs_again_in_a_new_sandbox_is_told_to_have_ended() {
    let told = json!({"initContainerStatuses": [{"name": "init", "image": "i", "imageID": "", "ready": true,
        "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]});
    let pod = |policy: &str| -> Pod {
        serde_json::from_value(
            json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "status": told,
            "spec": {"restartPolicy": policy, "containers": [{"name": "a", "image": "i"}],
                "initContainers": [{"name": "init", "image": "i"}]}}),
        )
        .unwrap()
    };
    for (policy, ended) in [("OnFailure", true), ("Always", false)] {
        let got = make(&pod(policy), &sandbox(vec![("init", running())]), &WorkerState::default(), false);
        let state = got.init_container_statuses.unwrap()[0].state.clone().unwrap();
        assert_eq!((state.terminated.is_some(), state.running.is_some()), (ended, !ended), "{policy}");
    }
}
