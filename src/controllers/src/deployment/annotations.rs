//! What a Deployment writes into the annotations of its ReplicaSets: the revisions that one has been, the sizes it was
//! made for, and whatever the user wrote on the Deployment (`kubernetes.io/change-cause`, which `kubectl rollout history`
//! shows). Pure.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The revisions that a set was before somebody rolled back to it.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Of the set itself, or of the Deployment's own manifest.
const NOT_COPIED: [&str; 5] = [LAST_APPLIED, REVISION, HISTORY, DESIRED, MAX];
const LONGEST_HISTORY: usize = 2000; // characters; upstream's limit, the oldest go first

type Annotations = BTreeMap<String, String>;

/// How many pods a Deployment wants, and the most it may have in mid-rollout: what proportions are reckoned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) desired: i32,
    pub(crate) max: i32,
}

fn number<T: std::str::FromStr>(meta: &ObjectMeta, key: &str) -> Option<T> {
    meta.annotations.as_ref()?.get(key)?.parse().ok()
}

/// 0 where there is none.
pub(crate) fn revision(meta: &ObjectMeta) -> i64 {
    number(meta, REVISION).unwrap_or(0)
}

pub(crate) fn desired(set: &ReplicaSet) -> Option<i32> {
    number(&set.metadata, DESIRED)
}

pub(crate) fn max(set: &ReplicaSet) -> Option<i32> {
    number(&set.metadata, MAX)
}

pub(crate) fn has_sizes(set: &ReplicaSet, sizes: Sizes) -> bool {
    desired(set) == Some(sizes.desired) && max(set) == Some(sizes.max)
}

pub(crate) fn write_sizes(meta: &mut ObjectMeta, sizes: Sizes) {
    let annotations = meta.annotations.get_or_insert_default();
    annotations.insert(DESIRED.to_owned(), sizes.desired.to_string());
    annotations.insert(MAX.to_owned(), sizes.max.to_string());
}

/// What the annotations of the newest set come to: those of the Deployment beside its own, at least this revision, and
/// what it was before.
pub(crate) fn of_newest(deployment: &Deployment, own: Option<&Annotations>, at_least: i64) -> Annotations {
    let mut all = own.cloned().unwrap_or_default();
    let copied = deployment.metadata.annotations.iter().flatten();
    let copied = copied.filter(|(key, _)| !NOT_COPIED.contains(&key.as_str()));
    all.extend(copied.map(|(key, value)| (key.clone(), value.clone())));
    let before = all.get(REVISION).cloned();
    let number: Option<i64> = before.as_deref().map_or(Some(0), |text| text.parse().ok());
    // what somebody has written there that is no number, stays
    if number.is_some_and(|number| number < at_least) {
        all.insert(REVISION.to_owned(), at_least.to_string());
        if let Some(before) = before {
            let history = with(all.get(HISTORY).map(String::as_str), &before);
            all.insert(HISTORY.to_owned(), history);
        }
    }
    all
}

fn with(history: Option<&str>, revision: &str) -> String {
    let mut all: Vec<&str> = history.into_iter().flat_map(|text| text.split(',')).collect();
    all.retain(|text| !text.is_empty());
    all.push(revision);
    let mut length = all.iter().map(|text| text.len() + 1).sum::<usize>() - 1;
    let mut first = 0;
    while length > LONGEST_HISTORY && first + 1 < all.len() {
        length -= all[first].len() + 1;
        first += 1;
    }
    all[first..].join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(of: &[(&str, &str)]) -> Annotations {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_newest_set_says_what_it_was_and_why() {
        const CAUSE: &str = "kubernetes.io/change-cause";
        // (name, the deployment's, the set's own, at least, want)
        let cases = [
            ("a first set", vec![(CAUSE, "v1")], vec![], 1, vec![(CAUSE, "v1"), (REVISION, "1")]),
            ("nothing new", vec![], vec![(REVISION, "3")], 2, vec![(REVISION, "3")]),
            (
                "a new cause on the current set",
                vec![(CAUSE, "v2"), (REVISION, "2")],
                vec![(CAUSE, "v1"), (REVISION, "2")],
                2,
                vec![(CAUSE, "v2"), (REVISION, "2")],
            ),
            (
                "what only the set has, stays",
                vec![],
                vec![("mine", "x"), (REVISION, "1")],
                1,
                vec![("mine", "x"), (REVISION, "1")],
            ),
            (
                "the Deployment's own are not copied",
                vec![(LAST_APPLIED, "{}"), (REVISION, "9"), (DESIRED, "9"), (MAX, "9"), (HISTORY, "9")],
                vec![],
                1,
                vec![(REVISION, "1")],
            ),
            ("rolled back", vec![], vec![(REVISION, "1")], 4, vec![(HISTORY, "1"), (REVISION, "4")]),
            (
                "rolled back again",
                vec![],
                vec![(HISTORY, "1,3"), (REVISION, "5")],
                7,
                vec![(HISTORY, "1,3,5"), (REVISION, "7")],
            ),
            ("no number", vec![], vec![(REVISION, "x")], 2, vec![(REVISION, "x")]),
        ];
        for (name, given, own, at_least, want) in cases {
            let mut deployment = Deployment::default();
            deployment.metadata.annotations = Some(annotations(&given));
            let got = of_newest(&deployment, Some(&annotations(&own)), at_least);
            assert_eq!(got, annotations(&want), "{name}");
        }
    }

    #[test]
    fn a_long_history_loses_its_oldest() {
        let mut history: Option<String> = None;
        for revision in 1..2000 {
            history = Some(with(history.as_deref(), &revision.to_string()));
        }
        let history = history.unwrap();
        assert!(history.len() <= LONGEST_HISTORY && history.ends_with(",1998,1999"), "{history}");
        assert!(history.len() > LONGEST_HISTORY - 10, "no more than needed goes: {}", history.len());
    }
}
