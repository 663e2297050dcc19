//! What a Deployment says of itself: counts and conditions, in upstream's words. Pure.

use super::plan;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use kinds::whole_second;
use std::time::Duration;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";

const PAUSED: &str = "DeploymentPaused";
const RESUMED: &str = "DeploymentResumed";
const CREATED: &str = "NewReplicaSetCreated";
const FOUND: &str = "FoundNewReplicaSet";
const UPDATED: &str = "ReplicaSetUpdated";
const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
pub(crate) const CREATE_ERROR: &str = "ReplicaSetCreateError";

/// What one round of the controller found and did.
pub(crate) struct Round<'r> {
    pub(crate) deployment: &'r Deployment,
    pub(crate) sets: &'r [ReplicaSet],
    pub(crate) newest: Option<usize>,
    pub(crate) created: bool,
    /// Not paused, and not being scaled: only then progress is reckoned.
    pub(crate) is_rollout: bool,
}

/// The status, and when to look again for a deadline.
pub(crate) fn of(round: &Round<'_>, now: jiff::Timestamp) -> (DeploymentStatus, Option<Duration>) {
    let Round { deployment, sets, .. } = round;
    let before = deployment.status.clone().unwrap_or_default();
    let sum = |of: fn(&ReplicaSet) -> i32| sets.iter().map(of).sum::<i32>();
    let available = sum(plan::available);
    let updated = round.newest.and_then(|at| sets[at].status.as_ref()).map_or(0, |s| s.replicas);
    let some = |count: i32| (count != 0).then_some(count);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: some(sum(|s| s.status.as_ref().map_or(0, |s| s.replicas))),
        updated_replicas: some(updated),
        ready_replicas: some(sum(|s| s.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0))),
        available_replicas: some(available),
        // of what the sets are told to have
        unavailable_replicas: some((sum(plan::replicas) - available).max(0)),
        terminating_replicas: some(sum(|s| {
            s.status.as_ref().and_then(|s| s.terminating_replicas).unwrap_or(0)
        })),
        collision_count: before.collision_count,
        conditions: None,
    };
    let mut conditions = Conditions { all: before.conditions.clone().unwrap_or_default(), now };
    pause(deployment, &mut conditions);
    announce(round, &mut conditions);
    let (_, unavailable) = plan::margins(deployment);
    conditions.set(match available >= plan::wanted(deployment) - unavailable {
        true => {
            (AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned())
        }
        false => (
            AVAILABLE,
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.".to_owned(),
        ),
    });
    let mut again = None;
    if round.is_rollout {
        again = progress(round, &before, &status, &mut conditions);
        fail(round, &mut conditions);
    }
    status.conditions = (!conditions.all.is_empty()).then_some(conditions.all);
    (status, again)
}

/// The largest number means that there is none.
fn deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment.spec.progress_deadline_seconds?;
    (seconds != i32::MAX).then(|| Duration::from_secs(seconds.max(0) as u64))
}

/// A Deployment that is resumed has its whole deadline again; one that had failed before stays failed.
fn pause(deployment: &Deployment, conditions: &mut Conditions) {
    let reason = conditions.reason(PROGRESSING);
    if deadline(deployment).is_none() || reason == Some(TIMED_OUT) {
        return;
    }
    let is_paused = deployment.spec.paused == Some(true);
    match (is_paused, reason == Some(PAUSED)) {
        (true, false) => {
            conditions.set((PROGRESSING, "Unknown", PAUSED, "Deployment is paused".to_owned()));
        }
        (false, true) => {
            conditions.set((PROGRESSING, "Unknown", RESUMED, "Deployment is resumed".to_owned()));
        }
        _ => {}
    }
}

fn announce(round: &Round<'_>, conditions: &mut Conditions) {
    let Some(name) = round.newest.map(|at| round.sets[at].metadata.name.as_deref().unwrap_or_default())
    else {
        return;
    };
    if deadline(round.deployment).is_none() {
        return;
    }
    if round.created {
        conditions.set((PROGRESSING, "True", CREATED, format!("Created new replica set {name:?}")));
    } else if conditions.reason(PROGRESSING).is_none() {
        conditions.set((PROGRESSING, "True", FOUND, format!("Found new replica set {name:?}")));
    }
}

fn progress(
    round: &Round<'_>,
    before: &DeploymentStatus,
    status: &DeploymentStatus,
    conditions: &mut Conditions,
) -> Option<Duration> {
    let deployment = round.deployment;
    let Some(deadline) = deadline(deployment) else {
        conditions.remove(PROGRESSING);
        return None;
    };
    // one set runs, and it had its success: nothing is being rolled out
    let is_over =
        status.replicas == status.updated_replicas && conditions.reason(PROGRESSING) == Some(COMPLETE);
    if is_over {
        return None;
    }
    let what = match round.newest.and_then(|at| round.sets[at].metadata.name.as_deref()) {
        Some(set) => format!("ReplicaSet {set:?}"),
        None => format!("Deployment {:?}", deployment.metadata.name.as_deref().unwrap_or_default()),
    };
    if plan::is_complete(deployment, status) {
        conditions.set((PROGRESSING, "True", COMPLETE, format!("{what} has successfully progressed.")));
        return None;
    }
    if has_progressed(before, status) {
        conditions.renew((PROGRESSING, "True", UPDATED, format!("{what} is progressing.")));
    }
    // without a condition there is nothing to reckon from
    let known = conditions.get(PROGRESSING)?;
    if matches!(known.reason.as_deref(), Some(COMPLETE | TIMED_OUT)) {
        return None;
    }
    let since = known.last_update_time.as_ref().map_or(conditions.now, |at| at.0);
    let passed = Duration::try_from(conditions.now.duration_since(since)).unwrap_or_default();
    if passed > deadline {
        conditions.set((PROGRESSING, "False", TIMED_OUT, format!("{what} has timed out progressing.")));
        return None;
    }
    // conditions know whole seconds only
    Some(deadline - passed + Duration::from_secs(1))
}

fn has_progressed(before: &DeploymentStatus, now: &DeploymentStatus) -> bool {
    let count = |count: Option<i32>| count.unwrap_or(0);
    let old = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
    count(now.updated_replicas) > count(before.updated_replicas)
        || old(now) < old(before)
        || count(now.ready_replicas) > count(before.ready_replicas)
        || count(now.available_replicas) > count(before.available_replicas)
}

/// The newest set's failure to make pods is the Deployment's; else that of any other.
fn fail(round: &Round<'_>, conditions: &mut Conditions) {
    let failure = |set: &ReplicaSet| {
        let known = set.status.as_ref().and_then(|status| status.conditions.as_ref());
        known.into_iter().flatten().find(|c| c.type_.as_deref() == Some(REPLICA_FAILURE)).cloned()
    };
    let of_newest = round.newest.and_then(|at| failure(&round.sets[at]));
    let Some(failure) = of_newest.or_else(|| round.sets.iter().find_map(failure)) else {
        return conditions.remove(REPLICA_FAILURE);
    };
    conditions.put_unless_same(DeploymentCondition {
        type_: failure.type_,
        status: failure.status,
        reason: failure.reason,
        message: failure.message,
        last_update_time: failure.last_transition_time.clone(),
        last_transition_time: failure.last_transition_time,
    });
}

/// The condition of a Deployment whose new ReplicaSet was refused.
pub(crate) fn refused(
    deployment: &Deployment,
    message: String,
    now: jiff::Timestamp,
) -> Option<Vec<DeploymentCondition>> {
    deadline(deployment)?;
    let before = deployment.status.as_ref().and_then(|status| status.conditions.clone());
    let mut conditions = Conditions { all: before.unwrap_or_default(), now };
    conditions.set((PROGRESSING, "False", CREATE_ERROR, message));
    Some(conditions.all)
}

type New = (&'static str, &'static str, &'static str, String);

struct Conditions {
    all: Vec<DeploymentCondition>,
    now: jiff::Timestamp,
}

impl Conditions {
    fn get(&self, kind: &str) -> Option<&DeploymentCondition> {
        self.all.iter().find(|condition| condition.type_.as_deref() == Some(kind))
    }

    fn reason(&self, kind: &str) -> Option<&str> {
        self.get(kind).and_then(|condition| condition.reason.as_deref())
    }

    fn remove(&mut self, kind: &str) {
        self.all.retain(|condition| condition.type_.as_deref() != Some(kind));
    }

    fn begin(&self, (kind, status, reason, message): New) -> DeploymentCondition {
        let at = Some(whole_second(self.now));
        DeploymentCondition {
            type_: Some(kind.to_owned()),
            status: Some(status.to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_update_time: at.clone(),
            last_transition_time: at,
        }
    }

    /// Nothing where status and reason are the same.
    fn set(&mut self, new: New) {
        self.put_unless_same(self.begin(new));
    }

    /// The update time moves in any case.
    fn renew(&mut self, new: New) {
        self.put(self.begin(new));
    }

    fn put_unless_same(&mut self, new: DeploymentCondition) {
        let known = self.get(kind(&new));
        if !known.is_some_and(|known| known.status == new.status && known.reason == new.reason) {
            self.put(new);
        }
    }

    /// The transition time moves with the status only.
    fn put(&mut self, mut new: DeploymentCondition) {
        if let Some(known) = self.get(kind(&new)).filter(|known| known.status == new.status) {
            new.last_transition_time.clone_from(&known.last_transition_time);
        }
        self.remove(kind(&new));
        self.all.push(new);
    }
}

fn kind(condition: &DeploymentCondition) -> &str {
    condition.type_.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests;
