use super::*;
use crate::backoff::Backoffs;
use crate::view::{Backoff, WorkerState};
use cri::{SandboxConfig, SandboxState};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

const T0: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(T0 + seconds).unwrap()
}

fn pod(policy: &str, init: Value, containers: &[&str]) -> Pod {
    let made = testkit::objects::pod("p").namespace("d").uid("u").containers(containers);
    made.spec(&json!({"restartPolicy": policy, "initContainers": init})).build()
}

fn status(sandbox: &str, name: &str, attempt: u32, state: ContainerState) -> ContainerStatus {
    ContainerStatus {
        id: ContainerId(format!("{name}-{attempt}")),
        sandbox: SandboxId(sandbox.into()),
        name: name.into(),
        attempt,
        image: "i".into(),
        image_ref: "i".into(),
        state,
        created_at: at(0),
        log_path: Default::default(),
        tty: false,
        stdin: false,
        labels: Default::default(),
        annotations: [(labels::SPEC_IMAGE.to_owned(), "i".to_owned())].into(),
    }
}

fn running() -> ContainerState {
    ContainerState::Running { pid: 1, started_at: at(0) }
}

fn exited(exit_code: i32) -> ContainerState {
    ContainerState::Exited {
        exit_code,
        oom_killed: false,
        started_at: Some(at(0)),
        finished_at: at(0),
        message: String::new(),
    }
}

fn sandbox(id: &str, state: SandboxState, containers: Vec<(&str, u32, ContainerState)>) -> SandboxStatus {
    SandboxStatus {
        id: SandboxId(id.into()),
        config: SandboxConfig::default(),
        state,
        created_at: at(0),
        ip: None,
        containers: containers.into_iter().map(|(n, a, s)| status(id, n, a, s)).collect(),
    }
}

fn ready(containers: Vec<(&str, u32, ContainerState)>) -> Vec<SandboxStatus> {
    vec![sandbox("s", SandboxState::Ready, containers)]
}

fn dead(containers: Vec<(&str, u32, ContainerState)>) -> Vec<SandboxStatus> {
    vec![sandbox("s", SandboxState::NotReady, containers)]
}

fn start(name: &str, attempt: Option<u32>) -> Action {
    Action::Start { container: name.into(), attempt, instead_of: None }
}

fn again() -> Action {
    Action::RunSandbox { attempt: 1, instead_of: vec![SandboxId("s".into())] }
}

fn no_init() -> Value {
    json!([])
}

#[test]
fn what_happens_next() {
    let init = || json!([{"name": "i1", "image": "i"}, {"name": "i2", "image": "i"}]);
    let sidecar = || json!([{"name": "side", "image": "i", "restartPolicy": "Always"}]);
    let cases: Vec<(&str, Pod, Vec<SandboxStatus>, Vec<Action>)> = vec![
        (
            "a new pod",
            pod("Always", no_init(), &["a"]),
            vec![],
            vec![Action::RunSandbox { attempt: 0, instead_of: vec![] }],
        ),
        ("the first container", pod("Always", no_init(), &["a", "b"]), ready(vec![]), vec![start("a", None)]),
        (
            "the second when the first runs",
            pod("Always", no_init(), &["a", "b"]),
            ready(vec![("a", 0, running())]),
            vec![start("b", None)],
        ),
        ("all run", pod("Always", no_init(), &["a"]), ready(vec![("a", 0, running())]), vec![]),
        (
            "one ended",
            pod("Always", no_init(), &["a"]),
            ready(vec![("a", 0, exited(0))]),
            vec![start("a", Some(1))],
        ),
        (
            "failed, on failure",
            pod("OnFailure", no_init(), &["a"]),
            ready(vec![("a", 2, exited(1))]),
            vec![start("a", Some(3))],
        ),
        (
            "succeeded, on failure",
            pod("OnFailure", no_init(), &["a"]),
            ready(vec![("a", 0, exited(0))]),
            vec![Action::Finish],
        ),
        (
            "failed, never",
            pod("Never", no_init(), &["a"]),
            ready(vec![("a", 0, exited(1))]),
            vec![Action::Finish],
        ),
        (
            "one of two ended, never",
            pod("Never", no_init(), &["a", "b"]),
            ready(vec![("a", 0, exited(1)), ("b", 0, running())]),
            vec![],
        ),
        ("the first init", pod("Always", init(), &["a"]), ready(vec![]), vec![start("i1", None)]),
        ("init runs", pod("Always", init(), &["a"]), ready(vec![("i1", 0, running())]), vec![]),
        (
            "the second init",
            pod("Always", init(), &["a"]),
            ready(vec![("i1", 0, exited(0))]),
            vec![start("i2", None)],
        ),
        (
            "init failed",
            pod("Always", init(), &["a"]),
            ready(vec![("i1", 0, exited(1))]),
            vec![start("i1", Some(1))],
        ),
        (
            "init failed, never",
            pod("Never", init(), &["a"]),
            ready(vec![("i1", 0, exited(1))]),
            vec![Action::Finish],
        ),
        (
            "init done",
            pod("Always", init(), &["a"]),
            ready(vec![("i1", 0, exited(0)), ("i2", 0, exited(0))]),
            vec![start("a", None)],
        ),
        (
            "init is not run again",
            pod("Always", init(), &["a"]),
            ready(vec![("i1", 0, exited(0)), ("i2", 0, exited(0)), ("a", 0, exited(1))]),
            vec![start("a", Some(1))],
        ),
        (
            "sidecar runs",
            pod("Always", sidecar(), &["a"]),
            ready(vec![("side", 0, running())]),
            vec![start("a", None)],
        ),
        (
            "sidecar ended beside",
            pod("Never", sidecar(), &["a"]),
            ready(vec![("side", 0, exited(0)), ("a", 0, running())]),
            vec![start("side", Some(1))],
        ),
        (
            "sidecar is left alone",
            pod("Never", sidecar(), &["a"]),
            ready(vec![("side", 0, running()), ("a", 0, exited(0))]),
            vec![Action::Finish],
        ),
        ("sandbox lost", pod("Always", no_init(), &["a"]), dead(vec![("a", 0, exited(137))]), vec![again()]),
        (
            "sandbox lost, never",
            pod("Never", no_init(), &["a"]),
            dead(vec![("a", 0, exited(137))]),
            vec![Action::Finish],
        ),
        (
            "init runs again in a new sandbox",
            pod("Always", init(), &["a"]),
            vec![
                sandbox(
                    "s",
                    SandboxState::NotReady,
                    vec![("i1", 0, exited(0)), ("i2", 0, exited(0)), ("a", 0, exited(137))],
                ),
                sandbox("t", SandboxState::Ready, vec![]),
            ],
            vec![start("i1", Some(1))],
        ),
        (
            "made but never started",
            pod("Always", no_init(), &["a"]),
            ready(vec![("a", 1, ContainerState::Created)]),
            vec![Action::Start {
                container: "a".into(),
                attempt: Some(1),
                instead_of: Some(ContainerId("a-1".into())),
            }],
        ),
        (
            "old tries go",
            pod("Always", no_init(), &["a"]),
            ready(vec![("a", 0, exited(1)), ("a", 1, exited(1)), ("a", 2, running())]),
            vec![Action::Remove(ContainerId("a-0".into()))],
        ),
        (
            "an empty old sandbox goes",
            pod("Always", no_init(), &["a"]),
            vec![
                sandbox("s", SandboxState::NotReady, vec![]),
                sandbox("t", SandboxState::Ready, vec![("a", 1, running())]),
            ],
            vec![Action::RemoveSandbox(SandboxId("s".into()))],
        ),
    ];
    for (name, pod, sandboxes, want) in cases {
        let memory = WorkerState::default();
        let got = plan(View { pod: &pod, sandboxes: &sandboxes, memory: &memory, now: at(1) });
        assert_eq!(got.actions, want, "{name}");
    }
}

#[test]
fn a_container_that_keeps_ending_waits() {
    let pod = pod("Always", no_init(), &["a", "b"]);
    let sandboxes = ready(vec![("a", 1, exited(1))]);
    let mut backoffs = Backoffs::default();
    backoffs.next("a", at(-1), at(-1));
    let mut memory = WorkerState { backoffs, ..WorkerState::default() };
    let got = plan(View { pod: &pod, sandboxes: &sandboxes, memory: &memory, now: at(1) });
    let hold_off = Action::HoldOff { container: "a".into(), until: at(10), delay: Duration::from_secs(10) };
    assert_eq!(got, Plan { actions: vec![hold_off, start("b", None)], wake_at: Some(at(10)) });
    let hold = Backoff { reason: "CrashLoopBackOff", message: String::new(), until: at(10), later: None };
    memory.backed_off.insert("a".into(), hold);
    let got = plan(View { pod: &pod, sandboxes: &sandboxes, memory: &memory, now: at(2) });
    assert_eq!(got, Plan { actions: vec![start("b", None)], wake_at: Some(at(10)) });
    let got = plan(View { pod: &pod, sandboxes: &sandboxes, memory: &memory, now: at(11) });
    assert_eq!(got.actions, vec![start("a", Some(2))]);
}

#[test]
fn while_something_is_being_made_nothing_else_is() {
    let pod = pod("Always", no_init(), &["a", "b"]);
    let memory = WorkerState { starting: Some("a".into()), ..WorkerState::default() };
    let sandboxes = ready(vec![("a", 0, running())]);
    assert_eq!(plan(View { pod: &pod, sandboxes: &sandboxes, memory: &memory, now: at(1) }).actions, vec![]);
    let memory = WorkerState { sandbox_starting: true, ..WorkerState::default() };
    assert_eq!(plan(View { pod: &pod, sandboxes: &[], memory: &memory, now: at(1) }).actions, vec![]);
}

#[test]
fn another_image_restarts_the_container() {
    let mut changed = pod("Always", no_init(), &["a"]);
    changed.spec.as_mut().unwrap().containers[0].image = Some("j".into());
    let sandboxes = ready(vec![("a", 0, running())]);
    let memory = WorkerState::default();
    let got = plan(View { pod: &changed, sandboxes: &sandboxes, memory: &memory, now: at(1) });
    let message = "Container a definition changed, will be restarted".to_owned();
    assert_eq!(
        got.actions,
        vec![Action::Kill { id: ContainerId("a-0".into()), container: "a".into(), message }]
    );
}
