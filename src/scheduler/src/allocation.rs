//! How much of a node would be taken when the pod is there: what the scores of `NodeResourcesFit`, by its strategy, and of
//! `NodeResourcesBalancedAllocation` count. Pure.

use crate::NodeSnapshot;
use crate::pod_info::PodInfo;
use crate::resources::is_scalar;

/// What a node is worth at most.
pub(crate) const MOST: i64 = 100;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    Cpu,
    Memory,
    EphemeralStorage,
    /// By name. It counts for those who ask for some.
    Scalar(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weighed {
    pub(crate) resource: Resource,
    pub(crate) weight: i64,
}

/// What a node is worth by how much of it would be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The emptier the better.
    Least(Vec<Weighed>),
    /// The fuller the better.
    Most(Vec<Weighed>),
    Ratio(Shape, Vec<Weighed>),
}

/// A score for each share that is taken, in hundredths: straight lines between these points, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape(pub(crate) Vec<(i64, i64)>);

impl Resource {
    /// `None` for what is no amount that is counted here.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "cpu" => Some(Resource::Cpu),
            "memory" => Some(Resource::Memory),
            "ephemeral-storage" => Some(Resource::EphemeralStorage),
            name => is_scalar(name).then(|| Resource::Scalar(name.to_owned())),
        }
    }

    fn asked(&self, pod: &PodInfo) -> i64 {
        match self {
            Resource::Cpu => pod.asked.milli_cpu,
            Resource::Memory => pod.asked.memory,
            Resource::EphemeralStorage => pod.asked.ephemeral_storage,
            Resource::Scalar(name) => pod.asked.scalar(name),
        }
    }

    /// What would be taken, and what there is; `None` where that says nothing of the node. `is_assumed` counts what pods use
    /// that ask for nothing.
    fn taken(&self, pod: &PodInfo, node: &NodeSnapshot, is_assumed: bool) -> Option<(i64, i64)> {
        let (there, all) = match self {
            Resource::Cpu => (node.taken.milli_cpu, node.allocatable.milli_cpu),
            Resource::Memory => (node.taken.memory, node.allocatable.memory),
            Resource::EphemeralStorage => (node.taken.ephemeral_storage, node.allocatable.ephemeral_storage),
            Resource::Scalar(_) if self.asked(pod) == 0 => return None,
            Resource::Scalar(name) => (node.taken.scalar(name), node.allocatable.scalar(name)),
        };
        let (there, asked) = match self {
            Resource::Cpu if is_assumed => (node.assumed.0, pod.assumed.0),
            Resource::Memory if is_assumed => (node.assumed.1, pod.assumed.1),
            _ => (there, self.asked(pod)),
        };
        (all != 0).then(|| (there.saturating_add(asked), all))
    }
}

impl Strategy {
    pub(crate) fn resources(&self) -> &[Weighed] {
        match self {
            Strategy::Least(resources) | Strategy::Most(resources) | Strategy::Ratio(_, resources) => {
                resources
            }
        }
    }

    /// From 0 to 100.
    pub(crate) fn score(&self, pod: &PodInfo, node: &NodeSnapshot) -> i64 {
        let (mut sum, mut weights) = (0, 0);
        for Weighed { resource, weight } in self.resources() {
            let Some((taken, all)) = resource.taken(pod, node, true) else { continue };
            let score = match self {
                Strategy::Least(_) if taken > all => 0,
                Strategy::Least(_) => of_all(all - taken, all),
                Strategy::Most(_) => of_all(taken.min(all), all),
                Strategy::Ratio(shape, _) => match shape.at(of_all(taken.min(all), all)) {
                    // upstream counts it out
                    ..=0 => continue,
                    score => score,
                },
            };
            (sum, weights) = (sum + score * weight, weights + weight);
        }
        match self {
            _ if weights == 0 => 0,
            Strategy::Ratio(..) => (sum as f64 / weights as f64).round() as i64,
            _ => sum / weights,
        }
    }
}

/// The emptier the better, of CPU and memory alike.
impl Default for Strategy {
    fn default() -> Self {
        let once = |resource: Resource| Weighed { resource, weight: 1 };
        Strategy::Least(vec![once(Resource::Cpu), once(Resource::Memory)])
    }
}

impl Shape {
    fn at(&self, utilization: i64) -> i64 {
        let Shape(points) = self;
        let Some(after) = points.iter().position(|(at, _)| utilization <= *at) else {
            return points.last().map_or(0, |(_, score)| *score);
        };
        let (right, to) = points[after];
        match after.checked_sub(1).map(|before| points[before]) {
            None => to,
            Some((left, from)) => from + (to - from) * (utilization - left) / (right - left),
        }
    }
}

/// In hundredths.
fn of_all(part: i64, all: i64) -> i64 {
    i64::try_from(i128::from(part) * i128::from(MOST) / i128::from(all)).unwrap_or(0)
}

/// Whether the pod asks for any of these: one who does not does not care how evenly they are taken.
pub(crate) fn asks_any(resources: &[Resource], pod: &PodInfo) -> bool {
    resources.iter().any(|resource| resource.asked(pod) != 0)
}

/// How alike the shares of these are that would be taken, from 0 to 100.
pub(crate) fn evenness(resources: &[Resource], pod: &PodInfo, node: &NodeSnapshot) -> i64 {
    let share = |resource: &Resource| {
        let (taken, all) = resource.taken(pod, node, false)?;
        Some((taken as f64 / all as f64).min(1.0))
    };
    let mut shares = resources.iter().filter_map(share);
    let deviation = match (shares.next(), shares.next(), shares.next()) {
        // of two numbers the standard deviation is half of their distance
        (Some(one), Some(other), None) => (one - other).abs() / 2.0,
        (Some(one), Some(other), Some(third)) => deviation([one, other, third].into_iter().chain(shares)),
        _ => 0.0,
    };
    ((1.0 - deviation) * MOST as f64) as i64
}

fn deviation(shares: impl Iterator<Item = f64>) -> f64 {
    let shares: Vec<f64> = shares.collect();
    let count = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / count;
    (shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use testkit::objects;

    /// A pod that asks for a CPU, a GiB and a GPU, and a node of 4 CPUs, 8 GiB and 4 GPUs on which as much is taken.
    fn given() -> (PodInfo, NodeSnapshot) {
        let asks = json!({"cpu": "1", "memory": "1Gi", "example.com/gpu": "1"});
        let pod = |name: &str| PodInfo::of(Arc::new(objects::pod(name).uid(name).requests(&asks).build()));
        let has: Value =
            json!({"allocatable": {"cpu": "4", "memory": "8Gi", "example.com/gpu": "4", "pods": "9"}});
        let mut node = NodeSnapshot::new(Arc::new(objects::node("n").status(&has).build()), 0);
        node.take(&Arc::new(pod("there")));
        (pod("new"), node)
    }

    #[test]
    fn a_strategy_says_what_a_node_is_worth() {
        let (pod, node) = given();
        let weighed = |of: &[(&str, i64)]| -> Vec<Weighed> {
            let known = |(name, weight): &(&str, i64)| {
                Some(Weighed { resource: Resource::named(name)?, weight: *weight })
            };
            of.iter().filter_map(known).collect()
        };
        let both = || weighed(&[("cpu", 1), ("memory", 1)]);
        let gpus = || weighed(&[("cpu", 1), ("example.com/gpu", 4)]);
        let packing = || Shape(vec![(0, 0), (100, 100)]);
        // 50 of 100 CPUs are taken then, 25 of the memory, 50 of the GPUs
        for (name, strategy, want) in [
            ("the emptier", Strategy::Least(both()), (50 + 75) / 2),
            ("the fuller", Strategy::Most(both()), (50 + 25) / 2),
            ("weights", Strategy::Most(weighed(&[("cpu", 1), ("memory", 3)])), (50 + 3 * 25) / 4),
            ("devices", Strategy::Most(gpus()), 50),
            ("what nobody has", Strategy::Most(weighed(&[("example.com/none", 1)])), 0),
            ("what is not counted", Strategy::Most(weighed(&[("pods", 1), ("cpu", 1)])), 50),
            ("a line", Strategy::Ratio(packing(), both()), 38),
            ("before the first point", Strategy::Ratio(Shape(vec![(60, 30), (80, 0)]), both()), 30),
            ("behind the last", Strategy::Ratio(Shape(vec![(0, 90), (10, 20)]), both()), 20),
            (
                "what is worth nothing does not count",
                Strategy::Ratio(Shape(vec![(0, 0), (25, 0), (50, 80)]), both()),
                80,
            ),
        ] {
            assert_eq!(strategy.score(&pod, &node), want, "{name}");
        }
        let (mut full, asks) = (node.clone(), json!({"cpu": "9", "memory": "1Gi"}));
        full.take(&Arc::new(PodInfo::of(Arc::new(objects::pod("big").uid("big").requests(&asks).build()))));
        assert_eq!(Strategy::Least(weighed(&[("cpu", 1)])).score(&pod, &full), 0);
        assert_eq!(Strategy::Most(weighed(&[("cpu", 1)])).score(&pod, &full), 100);
    }

    #[test]
    fn what_is_taken_evenly_is_worth_more() {
        let (pod, node) = given();
        let of = |names: &[&str]| -> Vec<Resource> {
            names.iter().filter_map(|name| Resource::named(name)).collect()
        };
        // the shares are 0.5, 0.25 and 0.5: of two half of their distance, of three their standard deviation
        for (names, want) in [
            (&["cpu"][..], 100),
            (&["cpu", "memory"], 87),
            (&["cpu", "example.com/gpu"], 100),
            (&["cpu", "memory", "example.com/gpu"], 88),
        ] {
            assert_eq!(evenness(&of(names), &pod, &node), want, "{names:?}");
        }
        assert!(asks_any(&of(&["cpu"]), &pod) && !asks_any(&of(&["ephemeral-storage"]), &pod));
    }
}
