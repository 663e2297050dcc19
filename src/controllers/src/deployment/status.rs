//! What a Deployment says of itself: counts and conditions, in upstream's words.

use super::plan;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use kinds::pod::whole_second;
use std::time::Duration;

/// The status, and when to look again for a deadline.
pub(crate) fn of(
    deployment: &Deployment,
    sets: &[ReplicaSet],
    now: jiff::Timestamp,
) -> (DeploymentStatus, Option<Duration>) {
    let before = deployment.status.clone().unwrap_or_default();
    let sum = |of: fn(&ReplicaSet) -> i32| sets.iter().map(of).sum::<i32>();
    let total = sum(|s| s.status.as_ref().map_or(0, |s| s.replicas));
    let ready = sum(|s| s.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0));
    let available = sum(|s| s.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0));
    let terminating = sum(|s| s.status.as_ref().and_then(|s| s.terminating_replicas).unwrap_or(0));
    let newest = plan::newest(deployment, sets).map(|at| &sets[at]);
    let updated = newest.and_then(|s| s.status.as_ref()).map_or(0, |s| s.replicas);
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let some = |count: i32| (count != 0).then_some(count);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: some(total),
        updated_replicas: some(updated),
        ready_replicas: some(ready),
        available_replicas: some(available),
        unavailable_replicas: some((total.max(wanted) - available).max(0)),
        terminating_replicas: some(terminating),
        collision_count: before.collision_count,
        conditions: before.conditions.clone(),
    };
    let (_, unavailable) = plan::margins(deployment);
    let enough = available >= wanted - unavailable;
    let available_condition = match enough {
        true => (
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.".to_owned(),
        ),
        false => (
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.".to_owned(),
        ),
    };
    set(&mut status, available_condition, false, now);
    let complete = updated == wanted && total == wanted && available == wanted;
    let progressed = updated != before.updated_replicas.unwrap_or(0)
        || ready > before.ready_replicas.unwrap_or(0)
        || available > before.available_replicas.unwrap_or(0)
        || total - updated < before.replicas.unwrap_or(0) - before.updated_replicas.unwrap_or(0);
    let again = progress(deployment, &mut status, newest, complete, progressed, now);
    (status, again)
}

fn progress(
    deployment: &Deployment,
    status: &mut DeploymentStatus,
    newest: Option<&ReplicaSet>,
    complete: bool,
    progressed: bool,
    now: jiff::Timestamp,
) -> Option<Duration> {
    let spec = deployment.spec.as_ref();
    let name = newest.and_then(|s| s.metadata.name.as_deref()).unwrap_or_default();
    if spec.and_then(|s| s.paused) == Some(true) {
        set(
            status,
            ("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused".to_owned()),
            false,
            now,
        );
        return None;
    }
    let known = status.conditions.iter().flatten().find(|c| c.type_ == "Progressing").cloned();
    let was_complete = known.as_ref().is_some_and(|c| c.reason.as_deref() == Some("NewReplicaSetAvailable"));
    if complete {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        set(status, ("Progressing", "True", "NewReplicaSetAvailable", message), !was_complete, now);
        return None;
    }
    let Some(known) = known.filter(|_| !progressed) else {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        set(status, ("Progressing", "True", "ReplicaSetUpdated", message), true, now);
        return spec.and_then(|s| s.progress_deadline_seconds).map(|s| Duration::from_secs(s.max(0) as u64));
    };
    if was_complete || known.reason.as_deref() == Some("ProgressDeadlineExceeded") {
        return None;
    }
    let since = known.last_update_time.as_ref().map_or(now, |t| t.0);
    let deadline = i64::from(spec.and_then(|s| s.progress_deadline_seconds).unwrap_or(600));
    let passed = now.as_second() - since.as_second();
    if passed < deadline {
        return Some(Duration::from_secs((deadline - passed).max(1) as u64));
    }
    let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
    set(status, ("Progressing", "False", "ProgressDeadlineExceeded", message), false, now);
    None
}

/// The update time moves with `touch` or any difference, the transition time with the status only.
fn set(
    status: &mut DeploymentStatus,
    (kind, value, reason, message): (&str, &str, &str, String),
    touch: bool,
    now: jiff::Timestamp,
) {
    let conditions = status.conditions.get_or_insert_default();
    let at = Some(whole_second(now));
    let mut fresh = DeploymentCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: at.clone(),
        last_transition_time: at,
    };
    match conditions.iter_mut().find(|known| known.type_ == kind) {
        Some(known) => {
            if known.status == fresh.status {
                fresh.last_transition_time.clone_from(&known.last_transition_time);
            }
            if !touch
                && known.status == fresh.status
                && known.reason == fresh.reason
                && known.message == fresh.message
            {
                return;
            }
            *known = fresh;
        }
        None => conditions.push(fresh),
    }
}
