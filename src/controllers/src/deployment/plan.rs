//! How many pods each of a Deployment's ReplicaSets should have next in a rollout: pure.

use super::annotations::{Sizes, revision};
use crate::{share, template_hash};
use api::ObjectKey;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use kinds::builtin::same_template;
use kinds::key_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Index among the sets.
    pub(crate) set: usize,
    pub(crate) replicas: i32,
}

pub(crate) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

pub(crate) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref();
    strategy.and_then(|s| s.type_.as_deref()) != Some("Recreate")
}

pub(crate) fn sizes(deployment: &Deployment) -> Sizes {
    let desired = wanted(deployment);
    Sizes { desired, max: desired.saturating_add(margins(deployment).0) }
}

pub(crate) fn created(set: &ReplicaSet) -> Option<jiff::Timestamp> {
    set.metadata.creation_timestamp.as_ref().map(|at| at.0)
}

pub(crate) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(0)
}

pub(crate) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0)
}

/// The set that has the deployment's template; the oldest where several have.
pub(crate) fn newest(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<usize> {
    let wanted = &deployment.spec.template;
    let same = |set: &ReplicaSet| {
        let mut template = set.spec.template.clone().unwrap_or_default();
        if let Some(labels) = template.metadata.as_mut().and_then(|m| m.labels.as_mut()) {
            labels.remove(template_hash::LABEL);
        }
        same_template(&template, wanted)
    };
    (0..sets.len()).filter(|at| same(&sets[*at])).min_by_key(|at| created(&sets[*at]))
}

/// Surge and unavailable. Of a rolling Deployment at least one is not 0, or it could never begin; a Deployment that is
/// recreated has neither.
pub(crate) fn margins(deployment: &Deployment) -> (i32, i32) {
    if !is_rolling(deployment) {
        return (0, 0);
    }
    let total = wanted(deployment);
    let strategy = deployment.spec.strategy.as_ref();
    let rolling = strategy.and_then(|s| s.rolling_update.as_ref());
    let surge = share::of_total(rolling.and_then(|r| r.max_surge.as_ref()), total, true);
    let unavailable = share::of_total(rolling.and_then(|r| r.max_unavailable.as_ref()), total, false);
    if surge == 0 && unavailable == 0 { (0, 1.min(total)) } else { (surge, unavailable.min(total)) }
}

/// With how many pods the set for a new template begins.
pub(crate) fn first_size(deployment: &Deployment, sets: &[ReplicaSet]) -> i32 {
    let (surge, _) = margins(deployment);
    match is_rolling(deployment) {
        true => next_size(wanted(deployment), surge, 0, sum(sets, replicas)),
        false => wanted(deployment),
    }
}

/// Of sizes that may be as large as a number can be.
fn sum(sets: &[ReplicaSet], of: fn(&ReplicaSet) -> i32) -> i32 {
    sets.iter().map(of).fold(0, i32::saturating_add)
}

/// Up to the surge at once.
fn next_size(wanted: i32, surge: i32, current: i32, total: i32) -> i32 {
    match current < wanted {
        true => current + (wanted - current).min((wanted.saturating_add(surge) - total).max(0)),
        false => wanted,
    }
}

/// The next steps of a rollout. A Deployment that is recreated has no newest set before the old pods are gone.
pub(crate) fn roll(deployment: &Deployment, sets: &[ReplicaSet], newest: Option<usize>) -> Vec<Step> {
    let steps = match (is_rolling(deployment), newest) {
        (true, Some(newest)) => rolling_steps(deployment, sets, newest),
        _ => recreate_steps(wanted(deployment), sets, newest),
    };
    steps.into_iter().filter(|step| replicas(&sets[step.set]) != step.replicas).collect()
}

fn recreate_steps(wanted: i32, sets: &[ReplicaSet], newest: Option<usize>) -> Vec<Step> {
    let running = (0..sets.len()).filter(|at| Some(*at) != newest && replicas(&sets[*at]) > 0);
    let down: Vec<Step> = running.map(|set| Step { set, replicas: 0 }).collect();
    match newest {
        Some(set) if down.is_empty() => vec![Step { set, replicas: wanted }],
        _ => down,
    }
}

/// Up to the surge at once; down by as many old ones as may be missing, those that do not answer first.
fn rolling_steps(deployment: &Deployment, sets: &[ReplicaSet], newest: usize) -> Vec<Step> {
    let (wanted, (surge, unavailable)) = (wanted(deployment), margins(deployment));
    let total = sum(sets, replicas);
    let current = replicas(&sets[newest]);
    let mut steps = Vec::new();
    let next = next_size(wanted, surge, current, total);
    steps.push(Step { set: newest, replicas: next });
    let least = wanted - unavailable;
    let all_available = sum(sets, available);
    let mut old: Vec<usize> =
        (0..sets.len()).filter(|at| *at != newest && replicas(&sets[*at]) > 0).collect();
    old.sort_by_key(|at| created(&sets[*at]));
    let mut left: Vec<i32> = sets.iter().map(replicas).collect();
    // pods that do not answer anyway cost nothing
    let new_unavailable = next - available(&sets[newest]);
    let may_go = i64::from(total) + i64::from(next - current) - i64::from(least);
    let may_go = may_go - i64::from(new_unavailable.max(0));
    let mut may_go = i32::try_from(may_go.max(0)).unwrap_or(i32::MAX);
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

/// All pods are of the newest template and answer, and the Deployment knows it.
pub(crate) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = Some(wanted(deployment));
    let all = [status.updated_replicas, status.replicas, status.available_replicas];
    all.into_iter().all(|count| Some(count.unwrap_or(0)) == wanted)
        && status.observed_generation >= deployment.metadata.generation
}

/// Old sets beyond the history, by revision, the oldest first; those that still have pods stay, and count.
pub(crate) fn surplus(sets: &[ReplicaSet], newest: Option<usize>, limit: usize) -> Vec<ObjectKey> {
    let is_empty = |set: &ReplicaSet| {
        let status = set.status.as_ref();
        replicas(set) == 0
            && status.is_none_or(|s| s.replicas == 0)
            && status.and_then(|s| s.observed_generation) >= set.metadata.generation
    };
    let old = sets.iter().enumerate().filter(|(at, _)| Some(*at) != newest).map(|(_, set)| set);
    let mut old: Vec<&ReplicaSet> = old.filter(|set| set.metadata.deletion_timestamp.is_none()).collect();
    old.sort_by_key(|set| (revision(&set.metadata), created(set)));
    let count = old.len().saturating_sub(limit);
    old[..count].iter().filter(|set| is_empty(set)).map(|set| key_of(&set.metadata)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::{
        DeploymentSpec, DeploymentStrategy, ReplicaSetSpec, ReplicaSetStatus, RollingUpdateDeployment,
    };
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    pub(in super::super) fn deployment(replicas: i32, surge: &str, unavailable: &str) -> Deployment {
        let share = |text: &str| {
            Some(text.parse().map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int))
        };
        let rolling =
            RollingUpdateDeployment { max_surge: share(surge), max_unavailable: share(unavailable) };
        let strategy =
            DeploymentStrategy { type_: Some("RollingUpdate".into()), rolling_update: Some(rolling) };
        Deployment {
            spec: DeploymentSpec {
                replicas: Some(replicas),
                strategy: Some(strategy),
                ..DeploymentSpec::default()
            },
            ..Deployment::default()
        }
    }

    pub(in super::super) fn set(replicas: i32, available: i32) -> ReplicaSet {
        ReplicaSet {
            spec: ReplicaSetSpec { replicas: Some(replicas), ..ReplicaSetSpec::default() },
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
            for step in roll(&deployment(wanted, surge, unavailable), &sets, Some(1)) {
                after[step.set] = step.replicas;
            }
            assert_eq!(after, [want_old, want_new], "{name}");
        }
    }

    #[test]
    fn a_new_set_begins_with_what_the_surge_allows() {
        // (name, wanted, surge, unavailable, old, want)
        let cases = [
            ("nothing before", 3, "25%", "25%", 0, 3),
            ("all old", 10, "3", "2", 10, 3),
            ("no surge", 3, "0", "1", 3, 0),
            ("no surge, one missing", 3, "0", "1", 2, 1),
            ("more than there is place for", 2, "25%", "25%", 9, 0),
        ];
        for (name, wanted, surge, unavailable, old, want) in cases {
            let sets = [set(old, old)];
            assert_eq!(first_size(&deployment(wanted, surge, unavailable), &sets), want, "{name}");
        }
    }

    #[test]
    fn what_is_recreated_ends_before_it_begins() {
        let mut recreated = deployment(3, "25%", "25%");
        recreated.spec.strategy =
            Some(DeploymentStrategy { type_: Some("Recreate".into()), rolling_update: None });
        let step = |set, replicas| Step { set, replicas };
        assert_eq!(roll(&recreated, &[set(3, 3)], None), [step(0, 0)]);
        assert_eq!(roll(&recreated, &[set(0, 0), set(0, 0)], Some(1)), [step(1, 3)]);
        assert_eq!(roll(&recreated, &[set(2, 2), set(3, 0)], Some(1)), [step(0, 0)]);
        assert_eq!(first_size(&recreated, &[set(0, 0)]), 3);
        assert_eq!(margins(&recreated), (0, 0));
    }

    #[test]
    fn the_history_keeps_the_newest() {
        let old = |name: &str, number: i64, replicas: i32| {
            let mut set = set(replicas, replicas);
            set.metadata.name = Some(name.to_owned());
            let annotation = (super::super::annotations::REVISION.to_owned(), number.to_string());
            set.metadata.annotations = Some([annotation].into());
            set
        };
        let sets = [old("c", 3, 0), old("a", 1, 0), old("b", 2, 1), old("new", 4, 3)];
        // (name, limit, who goes)
        let cases = [
            ("enough", 3, vec![]),
            ("one too many", 2, vec!["a"]),
            ("what has pods stays, and counts", 1, vec!["a"]),
            ("none", 0, vec!["a", "c"]),
        ];
        for (name, limit, want) in cases {
            let gone = surplus(&sets, Some(3), limit);
            assert_eq!(gone.iter().map(|key| &*key.name).collect::<Vec<_>>(), want, "{name}");
        }
    }

    #[test]
    fn sizes_beyond_all_measure() {
        let most = i32::MAX;
        for (name, surge, unavailable, sets) in [
            ("by percentages", "25%", "25%", vec![set(most, most)]),
            ("by all", "200%", "100%", vec![set(most, 0), set(most, most)]),
            ("by more digits than fit", "99999999999%", "0%", vec![set(most, most), set(0, 0)]),
        ] {
            let wanted = deployment(most, surge, unavailable);
            let size = first_size(&wanted, &sets);
            assert!((0..=most).contains(&size), "{name}: {size}");
            for newest in 0..sets.len() {
                for step in roll(&wanted, &sets, Some(newest)) {
                    assert!((0..=most).contains(&step.replicas), "{name}: {step:?}");
                }
            }
        }
        assert_eq!(margins(&deployment(most, "25%", "25%")), (536_870_912, 536_870_911));
    }
}
