//! How many pods each of a Deployment's ReplicaSets should have next: pure.

use super::REVISION;
use crate::template_hash;
use api::ObjectKey;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kinds::key_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Index among the sets.
    pub(crate) set: usize,
    pub(crate) replicas: i32,
}

pub(crate) fn revision(meta: &ObjectMeta) -> i64 {
    meta.annotations.as_ref().and_then(|a| a.get(REVISION)).and_then(|r| r.parse().ok()).unwrap_or(0)
}

pub(crate) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0)
}

fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0)
}

/// The set that has the deployment's template; the oldest where several have.
pub(crate) fn newest(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<usize> {
    let wanted = deployment.spec.as_ref().map(|spec| &spec.template)?;
    let same = |set: &ReplicaSet| {
        let mut template = set.spec.as_ref().and_then(|s| s.template.clone()).unwrap_or_default();
        if let Some(labels) = template.metadata.as_mut().and_then(|m| m.labels.as_mut()) {
            labels.remove(template_hash::LABEL);
        }
        template == *wanted
    };
    let created = |at: &usize| sets[*at].metadata.creation_timestamp.as_ref().map(|t| t.0);
    (0..sets.len()).filter(|at| same(&sets[*at])).min_by_key(created)
}

/// `25%` of how many, or a plain number.
fn of_total(share: Option<&IntOrString>, total: i32, round_up: bool) -> i32 {
    match share {
        None => 0,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => {
            let percent: i32 = text.trim_end_matches('%').parse().unwrap_or(0);
            let hundredths = percent.saturating_mul(total);
            if round_up { (hundredths + 99).div_euclid(100) } else { hundredths / 100 }
        }
    }
}

/// Surge and unavailable, of which at least one is not 0.
pub(crate) fn margins(deployment: &Deployment) -> (i32, i32) {
    let spec = deployment.spec.clone().unwrap_or_default();
    let total = spec.replicas.unwrap_or(1);
    let rolling = spec.strategy.and_then(|s| s.rolling_update).unwrap_or_default();
    let surge = of_total(rolling.max_surge.as_ref(), total, true);
    let unavailable = of_total(rolling.max_unavailable.as_ref(), total, false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable.min(total)) }
}

/// The next steps of whatever strategy it has.
pub(crate) fn scale(
    deployment: &Deployment,
    sets: &[ReplicaSet],
    newest: usize,
    old_are_gone: impl Fn() -> bool,
) -> Vec<Step> {
    let spec = deployment.spec.as_ref();
    let wanted = spec.and_then(|s| s.replicas).unwrap_or(1);
    let recreate =
        spec.and_then(|s| s.strategy.as_ref()).and_then(|s| s.type_.as_deref()) == Some("Recreate");
    let steps = if recreate {
        recreate_steps(wanted, sets, newest, old_are_gone)
    } else {
        rolling_steps(deployment, wanted, sets, newest)
    };
    steps.into_iter().filter(|step| replicas(&sets[step.set]) != step.replicas).collect()
}

fn recreate_steps(
    wanted: i32,
    sets: &[ReplicaSet],
    newest: usize,
    old_are_gone: impl Fn() -> bool,
) -> Vec<Step> {
    let running = (0..sets.len()).filter(|at| *at != newest && replicas(&sets[*at]) > 0);
    let down: Vec<Step> = running.map(|set| Step { set, replicas: 0 }).collect();
    match down.is_empty() && old_are_gone() {
        true => vec![Step { set: newest, replicas: wanted }],
        false => down,
    }
}

/// Up to the surge at once; down by as many old ones as may be missing, those that do not answer first.
fn rolling_steps(deployment: &Deployment, wanted: i32, sets: &[ReplicaSet], newest: usize) -> Vec<Step> {
    let (surge, unavailable) = margins(deployment);
    let total: i32 = sets.iter().map(replicas).sum();
    let current = replicas(&sets[newest]);
    let mut steps = Vec::new();
    let next = match current.cmp(&wanted) {
        std::cmp::Ordering::Greater | std::cmp::Ordering::Equal => wanted,
        std::cmp::Ordering::Less => current + (wanted - current).min((wanted + surge - total).max(0)),
    };
    steps.push(Step { set: newest, replicas: next });
    let least = wanted - unavailable;
    let all_available: i32 = sets.iter().map(available).sum();
    let mut old: Vec<usize> =
        (0..sets.len()).filter(|at| *at != newest && replicas(&sets[*at]) > 0).collect();
    old.sort_by_key(|at| sets[*at].metadata.creation_timestamp.as_ref().map(|t| t.0));
    let mut left: Vec<i32> = sets.iter().map(replicas).collect();
    // pods that do not answer anyway cost nothing
    let new_unavailable = next - available(&sets[newest]);
    let mut may_go = (total + (next - current) - least - new_unavailable.max(0)).max(0);
    for at in &old {
        let dead = (left[*at] - available(&sets[*at])).clamp(0, may_go);
        left[*at] -= dead;
        may_go -= dead;
    }
    let mut spare = (all_available - least).clamp(0, may_go.max(0));
    for at in &old {
        let down = left[*at].min(spare);
        left[*at] -= down;
        spare -= down;
    }
    steps.extend(old.into_iter().map(|set| Step { set, replicas: left[set] }));
    steps
}

/// Empty old sets beyond the history, the oldest first.
pub(crate) fn surplus(sets: &[ReplicaSet], newest: usize, limit: usize) -> Vec<ObjectKey> {
    let is_empty = |set: &ReplicaSet| {
        replicas(set) == 0
            && set.status.as_ref().is_none_or(|s| s.replicas == 0)
            && set.metadata.deletion_timestamp.is_none()
    };
    let mut old: Vec<&ReplicaSet> = sets
        .iter()
        .enumerate()
        .filter(|(at, set)| *at != newest && is_empty(set))
        .map(|(_, set)| set)
        .collect();
    old.sort_by_key(|set| revision(&set.metadata));
    let count = old.len().saturating_sub(limit);
    old[..count].iter().map(|set| key_of(&set.metadata)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::{
        DeploymentSpec, DeploymentStrategy, ReplicaSetSpec, ReplicaSetStatus, RollingUpdateDeployment,
    };

    fn deployment(replicas: i32, surge: &str, unavailable: &str) -> Deployment {
        let share = |text: &str| {
            Some(text.parse().map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int))
        };
        let rolling =
            RollingUpdateDeployment { max_surge: share(surge), max_unavailable: share(unavailable) };
        let strategy =
            DeploymentStrategy { type_: Some("RollingUpdate".into()), rolling_update: Some(rolling) };
        Deployment {
            spec: Some(DeploymentSpec {
                replicas: Some(replicas),
                strategy: Some(strategy),
                ..DeploymentSpec::default()
            }),
            ..Deployment::default()
        }
    }

    fn set(replicas: i32, available: i32) -> ReplicaSet {
        ReplicaSet {
            spec: Some(ReplicaSetSpec { replicas: Some(replicas), ..ReplicaSetSpec::default() }),
            status: Some(ReplicaSetStatus {
                replicas,
                available_replicas: Some(available),
                ..ReplicaSetStatus::default()
            }),
            ..ReplicaSet::default()
        }
    }

    #[test]
    fn a_rollout_keeps_within_its_margins() {
        // (name, wanted, surge, unavailable, old (replicas, available), new, want old, want new)
        let cases = [
            ("first rollout", 3, "25%", "25%", (0, 0), (0, 0), 0, 3),
            ("begin with a surge", 4, "25%", "25%", (4, 4), (0, 0), 3, 1),
            ("nothing may be missing", 3, "1", "0", (3, 3), (0, 0), 3, 1),
            ("new one answers", 3, "1", "0", (3, 3), (1, 1), 2, 1),
            ("no surge", 3, "0", "1", (3, 3), (0, 0), 2, 0),
            ("dead old ones go, the new one may be dead too", 3, "1", "1", (3, 0), (0, 0), 2, 1),
            ("finish", 3, "1", "0", (1, 1), (3, 3), 0, 3),
            ("scaled down", 1, "25%", "25%", (0, 0), (3, 3), 0, 1),
        ];
        for (name, wanted, surge, unavailable, old, new, want_old, want_new) in cases {
            let sets = [set(old.0, old.1), set(new.0, new.1)];
            let mut after = [old.0, new.0];
            for step in scale(&deployment(wanted, surge, unavailable), &sets, 1, || true) {
                after[step.set] = step.replicas;
            }
            assert_eq!(after, [want_old, want_new], "{name}");
        }
    }
}
