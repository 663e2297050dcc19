//! Circles of a graph.

use std::collections::{BTreeMap, BTreeSet};

/// Each with those that it leads to.
pub(super) type Graph<T> = BTreeMap<T, BTreeSet<T>>;

/// The sets of those that all lead to one another, on whatever way.
pub(super) fn circles<T: Ord + Clone>(graph: &Graph<T>) -> Vec<Vec<T>> {
    let reached: BTreeMap<&T, BTreeSet<&T>> =
        graph.keys().map(|node| (node, reached_from(graph, node))).collect();
    let mut known: BTreeSet<&T> = BTreeSet::new();
    let mut circles = Vec::new();
    for (node, ways) in &reached {
        if ways.contains(node) && !known.contains(node) {
            let back = |other: &&&T| reached.get(**other).is_some_and(|ways| ways.contains(node));
            let members: Vec<&T> = ways.iter().filter(back).copied().collect();
            known.extend(members.iter().copied());
            circles.push(members.into_iter().cloned().collect());
        }
    }
    circles
}

/// Where one comes to, itself only where a way leads back.
fn reached_from<'g, T: Ord>(graph: &'g Graph<T>, start: &'g T) -> BTreeSet<&'g T> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![start]);
    while let Some(node) = left.pop() {
        for next in graph.get(node).into_iter().flatten() {
            if reached.insert(next) {
                left.push(next);
            }
        }
    }
    reached
}
