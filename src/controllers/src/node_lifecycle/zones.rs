//! How fast the nodes of a zone are emptied: upstream's `--node-eviction-rate` and its kin. Many nodes that are unwell at once are
//! rather a network that has broken than machines that have, and their pods would be started again on those that are left.

use super::plan::is_ready;
use k8s_openapi::api::core::v1::Node;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// `--node-eviction-rate`, a tenth of a node a second.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// `--secondary-node-eviction-rate`, a hundredth, of a large zone of which too many are unwell.
const SLOW_INTERVAL: Duration = Duration::from_secs(100);
/// `--unhealthy-zone-threshold`
const TOO_MANY_PERCENT: usize = 55;
/// Fewer than these are never too many; upstream has it in its code.
const LEAST_OF_TOO_MANY: usize = 3;
/// `--large-cluster-size-threshold`: a zone is large that has more nodes.
const LARGE: usize = 50;

/// Whether a node may be emptied that has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// One node of its zone in such a time.
    Every(Duration),
    /// Not as long as so many of its zone are unwell.
    Held,
    /// No node of any zone is well: there is nowhere to go, and it is rather the control plane that has lost them all. Those
    /// that were to be emptied are not any more.
    Stopped,
}

impl Pace {
    /// Of a zone with so many nodes; whether `some_are_well` is asked of all zones.
    pub(super) fn of(some_are_well: bool, well: usize, unwell: usize) -> Self {
        match ZoneState::of(well, unwell) {
            _ if !some_are_well => Pace::Stopped,
            // as upstream does: what of the other zones is well takes the pods of this one
            ZoneState::Normal | ZoneState::FullDisruption => Pace::Every(INTERVAL),
            ZoneState::PartialDisruption if well + unwell > LARGE => Pace::Every(SLOW_INTERVAL),
            ZoneState::PartialDisruption => Pace::Held,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ZoneState {
    Normal,
    PartialDisruption,
    FullDisruption,
}

impl ZoneState {
    fn of(well: usize, unwell: usize) -> Self {
        let too_many = unwell * 100 >= (well + unwell) * TOO_MANY_PERCENT;
        match (well, unwell) {
            (0, 1..) => ZoneState::FullDisruption,
            (_, LEAST_OF_TOO_MANY..) if too_many => ZoneState::PartialDisruption,
            _ => ZoneState::Normal,
        }
    }
}

/// Of `node`, which is one of `all`.
pub(super) fn pace<'n>(node: &Node, all: impl Iterator<Item = &'n Node>) -> Pace {
    let zone = zone_of(node);
    let (mut well, mut unwell, mut some_are_well) = (0, 0, false);
    for other in all {
        let is_well = is_ready(other);
        some_are_well |= is_well;
        if zone_of(other) == zone {
            match is_well {
                true => well += 1,
                false => unwell += 1,
            }
        }
    }
    Pace::of(some_are_well, well, unwell)
}

/// Region and zone; all nodes without either are in one.
pub(super) fn zone_of(node: &Node) -> [&str; 2] {
    let label = |names: [&str; 2]| {
        let labels = node.metadata.labels.as_ref();
        let found = labels.and_then(|labels| names.iter().find_map(|name| labels.get(*name)));
        found.map(String::as_str).unwrap_or_default()
    };
    [
        label(["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"]),
        label(["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"]),
    ]
}

/// When a node of each zone was last to be emptied.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<[String; 2], Instant>>);

impl Turns {
    /// How long it is until the zone's next turn, where there is none now.
    pub(super) fn left(&self, zone: [&str; 2], interval: Duration) -> Option<Duration> {
        let last = self.lock().get(&zone.map(str::to_owned)).copied()?;
        let passed = Instant::now().saturating_duration_since(last);
        interval.checked_sub(passed).filter(|left| !left.is_zero())
    }

    /// Takes the zone's turn, or says how long it is until there is one.
    pub(super) fn take(&self, zone: [&str; 2], interval: Duration) -> Option<Duration> {
        let left = self.left(zone, interval);
        if left.is_none() {
            let (mut all, now) = (self.lock(), Instant::now());
            all.retain(|_, last| now.saturating_duration_since(*last) < SLOW_INTERVAL);
            all.insert(zone.map(str::to_owned), now);
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[String; 2], Instant>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::time::advance;

    #[test]
    fn a_zone_is_disrupted_when_too_many_of_it_are_unwell() {
        use ZoneState::{FullDisruption, Normal, PartialDisruption};
        for (name, well, unwell, want) in [
            ("empty", 0, 0, Normal),
            ("all are well", 3, 0, Normal),
            ("the only one is not", 0, 1, FullDisruption),
            ("none is", 0, 60, FullDisruption),
            ("two are few", 1, 2, Normal),
            ("three are not", 2, 3, PartialDisruption),
            ("just too many", 9, 11, PartialDisruption),
            ("just not", 10, 12, Normal),
            ("half", 50, 50, Normal),
        ] {
            assert_eq!(ZoneState::of(well, unwell), want, "{name}");
        }
    }

    fn nodes(zone: &str, well: usize, unwell: usize) -> Vec<Node> {
        let node = |ready: &str| -> Node {
            serde_json::from_value(json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}}))
            .unwrap()
        };
        // the first is one that is not heard of
        let unwell = std::iter::repeat_with(|| node("Unknown")).take(unwell);
        unwell.chain(std::iter::repeat_with(|| node("True")).take(well)).collect()
    }

    #[test]
    fn nodes_are_emptied_at_the_pace_of_their_zone() {
        let (normal, slow) = (Pace::Every(INTERVAL), Pace::Every(SLOW_INTERVAL));
        for (name, (well, unwell), others, want) in [
            ("the only node", (0, 1), (0, 0), Pace::Stopped),
            ("every node of every zone", (0, 3), (0, 3), Pace::Stopped),
            ("one of some", (3, 1), (0, 0), normal),
            ("the whole zone, and another one is well", (0, 5), (5, 0), normal),
            ("most of a small zone", (10, 40), (9, 0), Pace::Held),
            ("most of a large zone", (11, 40), (0, 0), slow),
            ("few of a large zone", (100, 40), (0, 0), normal),
            ("what other zones have is no matter", (3, 1), (1, 90), normal),
        ] {
            let mut all = nodes("a", well, unwell);
            all.extend(nodes("b", others.0, others.1));
            assert_eq!(pace(&all[0], all.iter()), want, "{name}");
        }
    }

    #[test]
    fn a_zone_is_a_region_s() {
        let of = |labels: serde_json::Value| -> Node {
            serde_json::from_value(json!({"metadata": {"labels": labels}})).unwrap()
        };
        let known = of(json!({"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "z"}));
        assert_eq!(zone_of(&known), ["r", "z"]);
        assert_eq!(zone_of(&of(json!({"failure-domain.beta.kubernetes.io/zone": "z"}))), ["", "z"]);
        assert_eq!(zone_of(&Node::default()), ["", ""]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_node_of_a_zone_at_a_time() {
        let turns = Turns::default();
        assert_eq!(turns.take(["", "a"], INTERVAL), None);
        assert_eq!(turns.take(["", "a"], INTERVAL), Some(INTERVAL));
        assert_eq!(turns.take(["", "b"], INTERVAL), None, "another zone has turns of its own");
        advance(Duration::from_secs(4)).await;
        assert_eq!(turns.take(["", "a"], INTERVAL), Some(Duration::from_secs(6)));
        assert_eq!(turns.take(["", "a"], SLOW_INTERVAL), Some(Duration::from_secs(96)), "it became slow");
        advance(Duration::from_secs(6)).await;
        assert_eq!(turns.take(["", "a"], INTERVAL), None);
        assert_eq!(turns.take(["", "a"], INTERVAL), Some(INTERVAL));
        advance(SLOW_INTERVAL).await;
        assert_eq!(turns.take(["", "b"], SLOW_INTERVAL), None);
        assert_eq!(turns.0.lock().len(), 1, "zones of long ago are forgotten");
    }
}
