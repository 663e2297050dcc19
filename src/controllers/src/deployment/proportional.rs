//! A Deployment that is scaled in mid-rollout, or while it is paused: all its running ReplicaSets grow or shrink by their
//! share, so that the risk of the rollout stays what it was. Pure; upstream's `isScalingEvent` and `scale`.

use super::annotations;
use super::plan::{self, Step, replicas};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use std::cmp::Reverse;

fn running(sets: &[ReplicaSet]) -> Vec<usize> {
    (0..sets.len()).filter(|at| replicas(&sets[*at]) > 0).collect()
}

/// Whether the wish has changed since the running sets were sized: they remember what they were sized for.
pub(crate) fn is_due(deployment: &Deployment, sets: &[ReplicaSet]) -> bool {
    let wanted = plan::wanted(deployment);
    let sized_for = running(sets).into_iter().filter_map(|at| annotations::desired(&sets[at]));
    sized_for.into_iter().any(|desired| desired != wanted)
}

/// The size of each set that has a say in it, whether it changes or not: each remembers anew what it is sized for.
pub(crate) fn steps(deployment: &Deployment, sets: &[ReplicaSet], newest: Option<usize>) -> Vec<Step> {
    let wanted = plan::wanted(deployment);
    let running = running(sets);
    let only = match running.as_slice() {
        // none runs: the one that should, or the last one made
        [] => newest.or_else(|| (0..sets.len()).max_by_key(|at| plan::created(&sets[*at]))),
        [one] => Some(*one),
        _ => None,
    };
    if let Some(set) = only {
        return vec![Step { set, replicas: wanted }];
    }
    if newest.is_some_and(|at| is_saturated(deployment, &sets[at])) {
        let old = running.into_iter().filter(|at| Some(*at) != newest);
        return old.map(|set| Step { set, replicas: 0 }).collect();
    }
    match plan::is_rolling(deployment) {
        true => shares(deployment, sets, running),
        false => Vec::new(),
    }
}

/// All pods that are wished for are of this set, and answer.
fn is_saturated(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let wanted = plan::wanted(deployment);
    replicas(set) == wanted && annotations::desired(set) == Some(wanted) && plan::available(set) == wanted
}

/// The largest first, and it takes what rounding leaves over. Among equals the newer grows first, the older shrinks first.
fn shares(deployment: &Deployment, sets: &[ReplicaSet], mut running: Vec<usize>) -> Vec<Step> {
    let allowed = match plan::wanted(deployment) {
        0 => 0,
        _ => plan::sizes(deployment).max,
    };
    let add = allowed - running.iter().map(|at| replicas(&sets[*at])).fold(0, i32::saturating_add);
    match add > 0 {
        true => running.sort_by_key(|at| Reverse((replicas(&sets[*at]), plan::created(&sets[*at])))),
        false => running.sort_by_key(|at| (Reverse(replicas(&sets[*at])), plan::created(&sets[*at]))),
    }
    let mut left = add;
    let mut steps = Vec::new();
    for set in running {
        let share = share(deployment, &sets[set]);
        let share = if add > 0 { share.min(left) } else { share.max(left) };
        // nothing to give, or nothing left: it stays as it is
        let share = if left == 0 { 0 } else { share };
        left -= share;
        steps.push(Step { set, replicas: replicas(&sets[set]) + share });
    }
    if let Some(largest) = steps.first_mut() {
        largest.replicas = largest.replicas.saturating_add(left).max(0);
    }
    steps
}

/// By how much a set would grow if sizes had fractions, rounded.
fn share(deployment: &Deployment, set: &ReplicaSet) -> i32 {
    let size = replicas(set);
    if plan::wanted(deployment) == 0 {
        return -size;
    }
    // without the annotation the whole size of now is the best guess
    let known = annotations::max(set).filter(|max| *max != 0);
    let before = known.or_else(|| deployment.status.as_ref().and_then(|s| s.replicas)).unwrap_or(0);
    if before == 0 {
        return 0;
    }
    let grown = f64::from(size) * f64::from(plan::sizes(deployment).max) / f64::from(before);
    grown.round() as i32 - size
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{deployment, set};
    use super::*;
    use annotations::{Sizes, write_sizes};

    /// Sets, the oldest first, by what they have and how many of these answer; all sized for `desired` of at most `max`.
    fn sized(sizes: &[(i32, i32)], desired: i32, max: i32) -> Vec<ReplicaSet> {
        let make = |(at, (replicas, available)): (usize, &(i32, i32))| {
            let mut set = set(*replicas, *available);
            let second = jiff::Timestamp::from_second(at as i64).unwrap();
            set.metadata.creation_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(second));
            write_sizes(&mut set.metadata, Sizes { desired, max });
            set
        };
        sizes.iter().enumerate().map(make).collect()
    }

    struct Case {
        name: &'static str,
        /// From how many, with which margins, to how many.
        from: i32,
        surge: &'static str,
        unavailable: &'static str,
        to: i32,
        /// Each set's replicas and how many answer; the last is the newest.
        sets: Vec<(i32, i32)>,
        newest: bool,
        want: Vec<i32>,
    }

    #[test]
    fn the_running_sets_share_what_is_added_or_taken() {
        let case = |name, (from, surge, unavailable, to), sets, newest, want| Case {
            name,
            from,
            surge,
            unavailable,
            to,
            sets,
            newest,
            want,
        };
        let mid = || vec![(8, 8), (5, 0)];
        let cases = [
            case("the documentation's example", (10, "3", "2", 15), mid(), true, vec![11, 7]),
            case("the conformance suite's", (10, "3", "2", 30), mid(), true, vec![20, 13]),
            case("down again", (10, "3", "2", 5), mid(), true, vec![5, 3]),
            case("to nothing", (10, "3", "2", 0), mid(), true, vec![0, 0]),
            case("by one", (10, "3", "2", 11), mid(), true, vec![9, 5]),
            case("one set runs", (5, "25%", "25%", 8), vec![(0, 0), (5, 5)], true, vec![0, 8]),
            case("the only one is old", (5, "25%", "25%", 8), vec![(5, 5), (0, 0)], true, vec![8, 0]),
            case("paused with a new template", (2, "25%", "25%", 5), vec![(2, 2)], false, vec![5]),
            case("none runs", (0, "25%", "25%", 3), vec![(0, 0), (0, 0)], true, vec![0, 3]),
            case(
                "none runs, the newest is not made",
                (0, "25%", "25%", 3),
                vec![(0, 0), (0, 0)],
                false,
                vec![0, 3],
            ),
            case(
                "the new one is whole: the old go",
                (4, "1", "1", 4),
                vec![(2, 2), (4, 4)],
                true,
                vec![0, 4],
            ),
            case(
                "equal sets grow from the newer on",
                (4, "2", "0", 5),
                vec![(3, 3), (3, 0)],
                true,
                vec![3, 4],
            ),
            case(
                "equal sets shrink from the older on",
                (4, "2", "0", 3),
                vec![(3, 3), (3, 0)],
                true,
                vec![2, 3],
            ),
            case("three sets", (10, "2", "2", 20), vec![(3, 3), (6, 6), (3, 0)], true, vec![5, 11, 6]),
        ];
        for Case { name, from, surge, unavailable, to, sets, newest, want } in cases {
            let max = plan::sizes(&deployment(from, surge, unavailable)).max;
            let sets = sized(&sets, from, max);
            let wanted = deployment(to, surge, unavailable);
            let newest = newest.then(|| sets.len() - 1);
            let mut after: Vec<i32> = sets.iter().map(replicas).collect();
            for step in steps(&wanted, &sets, newest) {
                after[step.set] = step.replicas;
            }
            assert_eq!(after, want, "{name}");
            assert_eq!(is_due(&wanted, &sets), from != to && sets.iter().any(|s| replicas(s) > 0), "{name}");
        }
    }

    #[test]
    fn sizes_never_pass_what_the_rollout_allows() {
        for from in 1..12 {
            for to in 0..24 {
                for old in 1..=from {
                    let before = deployment(from, "25%", "25%");
                    let max = plan::sizes(&before).max;
                    let sets = sized(&[(old, old), (max - old, 0)], from, max);
                    let wanted = deployment(to, "25%", "25%");
                    let steps = steps(&wanted, &sets, Some(1));
                    let total: i32 = steps.iter().map(|step| step.replicas).sum();
                    let most = if to == 0 { 0 } else { plan::sizes(&wanted).max };
                    let alone = steps.len() == 1;
                    assert_eq!(total, if alone { to } else { most }, "{from} -> {to} with {old} old ones");
                    assert!(
                        steps.iter().all(|step| step.replicas >= 0),
                        "{from} -> {to} with {old} old ones"
                    );
                }
            }
        }
    }
}
