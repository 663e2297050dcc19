//! Deployments that roll out, stand still, or are out of time.

use super::super::plan::tests::{deployment, set};
use super::*;
use k8s_openapi::api::apps::v1::ReplicaSetCondition;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).unwrap()
}

fn named(name: &str, mut set: ReplicaSet) -> ReplicaSet {
    set.metadata.name = Some(name.to_owned());
    if let Some(status) = &mut set.status {
        status.ready_replicas = status.available_replicas;
    }
    set
}

fn words(status: &DeploymentStatus, kind: &str) -> String {
    let found = status.conditions.iter().flatten().find(|c| c.type_.as_deref() == Some(kind));
    found.map_or_else(String::new, |c| {
        format!("{} {}", c.status.as_deref().unwrap_or_default(), c.reason.as_deref().unwrap_or_default())
    })
}

struct Story {
    deployment: Deployment,
}

impl Story {
    /// One round, and what it says of its progress.
    fn round(&mut self, second: i64, sets: &[ReplicaSet], created: bool, is_rollout: bool) -> String {
        let newest = sets.len().checked_sub(1);
        let round = Round { deployment: &self.deployment, sets, newest, created, is_rollout };
        let (status, again) = of(&round, at(second));
        let words = words(&status, PROGRESSING);
        self.deployment.status = Some(status);
        match again {
            Some(again) => format!("{words}, again in {}", again.as_secs()),
            None => words,
        }
    }
}

#[test]
fn a_rollout_has_its_deadline() {
    let mut deployment = deployment(2, "1", "0");
    deployment.spec.progress_deadline_seconds = Some(10);
    let mut story = Story { deployment };
    let all = |available| [named("a", set(2, available))];
    let mid = |old, available| [named("a", set(old, old)), named("b", set(1, available))];
    // (name, at, sets, created, a rollout, what is said)
    let steps: Vec<(&str, i64, Vec<ReplicaSet>, bool, bool, &str)> = vec![
        ("made", 0, vec![named("a", set(0, 0))], true, true, "True NewReplicaSetCreated, again in 11"),
        ("pods appear", 2, all(0).into(), false, true, "True ReplicaSetUpdated, again in 11"),
        ("nothing happens", 9, all(0).into(), false, true, "True ReplicaSetUpdated, again in 4"),
        ("one answers", 10, all(1).into(), false, true, "True ReplicaSetUpdated, again in 11"),
        ("all answer", 11, all(2).into(), false, true, "True NewReplicaSetAvailable"),
        ("one falls over, long after", 500, all(1).into(), false, true, "True NewReplicaSetAvailable"),
        ("it is back", 501, all(2).into(), false, true, "True NewReplicaSetAvailable"),
        ("a new template", 600, mid(2, 0).into(), true, true, "True NewReplicaSetCreated, again in 11"),
        ("scaled", 605, mid(2, 0).into(), false, false, "True NewReplicaSetCreated"),
        ("too late", 611, mid(2, 0).into(), false, true, "False ProgressDeadlineExceeded"),
        ("later still", 700, mid(2, 0).into(), false, true, "False ProgressDeadlineExceeded"),
        ("it answers after all", 701, mid(2, 1).into(), false, true, "True ReplicaSetUpdated, again in 11"),
    ];
    for (name, second, sets, created, is_rollout, want) in steps {
        assert_eq!(story.round(second, &sets, created, is_rollout), want, "{name}");
    }
}

#[test]
fn what_is_paused_does_not_run_out_of_time() {
    let mut deployment = deployment(2, "1", "0");
    deployment.spec.progress_deadline_seconds = Some(10);
    let mut story = Story { deployment };
    let sets = [named("a", set(2, 2)), named("b", set(1, 0))];
    let paused = |story: &mut Story, paused| {
        story.deployment.spec.paused = Some(paused);
    };
    assert_eq!(story.round(0, &sets, true, true), "True ReplicaSetUpdated, again in 11");
    paused(&mut story, true);
    assert_eq!(story.round(5, &sets, false, false), "Unknown DeploymentPaused");
    assert_eq!(story.round(500, &sets, false, false), "Unknown DeploymentPaused");
    paused(&mut story, false);
    assert_eq!(story.round(501, &sets, false, true), "Unknown DeploymentResumed, again in 11");
    assert_eq!(story.round(512, &sets, false, true), "False ProgressDeadlineExceeded");
    paused(&mut story, true);
    assert_eq!(story.round(513, &sets, false, false), "False ProgressDeadlineExceeded");
}

#[test]
fn without_a_deadline_nothing_is_said_of_progress() {
    for none in [None, Some(i32::MAX)] {
        let mut deployment = deployment(2, "1", "0");
        deployment.spec.progress_deadline_seconds = none;
        let mut story = Story { deployment };
        assert_eq!(story.round(0, &[named("a", set(2, 0))], true, true), "");
    }
}

#[test]
fn a_set_that_can_not_make_pods_is_the_deployments_failure() {
    let refused = |name: &str| {
        let mut set = named(name, set(2, 1));
        let condition = ReplicaSetCondition {
            type_: Some(REPLICA_FAILURE.to_owned()),
            status: Some("True".to_owned()),
            reason: Some("FailedCreate".to_owned()),
            message: Some(format!("{name} may not")),
            last_transition_time: Some(whole_second(at(1))),
        };
        set.status.as_mut().unwrap().conditions = Some(vec![condition]);
        set
    };
    let fine = || named("fine", set(2, 1));
    // (name, sets, message)
    let cases = [
        ("none", vec![fine(), fine()], None),
        ("the newest", vec![refused("old"), refused("new")], Some("new may not")),
        ("an old one", vec![refused("old"), fine()], Some("old may not")),
    ];
    for (name, sets, want) in cases {
        let deployment = deployment(2, "1", "0");
        let round =
            Round { deployment: &deployment, sets: &sets, newest: Some(1), created: false, is_rollout: true };
        let (status, _) = of(&round, at(5));
        let found = status.conditions.iter().flatten().find(|c| c.type_.as_deref() == Some(REPLICA_FAILURE));
        assert_eq!(found.and_then(|c| c.message.as_deref()), want, "{name}");
        assert_eq!(status.unavailable_replicas, Some(2), "{name}");
    }
}
