//! How many nodes of each zone are well, kept node by node: a change of one node concerns others only where it changes the pace of
//! theirs. To look at all nodes for each of thousands that register or fall silent would take the square of their number.

use super::plan::is_ready;
use super::zones::{Pace, zone_of};
use k8s_openapi::api::core::v1::Node;
use std::collections::HashMap;

type Zone = [String; 2];

#[derive(Default)]
pub(super) struct ZoneCounts {
    /// The zone of each, and whether it is well.
    nodes: HashMap<String, (Zone, bool)>,
    zones: HashMap<Zone, Counts>,
    well: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    well: usize,
    unwell: usize,
}

/// Of which nodes it has to be asked anew whether they may be emptied.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Concerned {
    Nobody,
    Zones(Vec<Zone>),
    All,
}

impl Concerned {
    pub(super) fn includes(&self, node: &Node) -> bool {
        match self {
            Concerned::Nobody => false,
            Concerned::Zones(zones) => {
                let own = zone_of(node);
                zones.iter().any(|zone| zone.each_ref().map(String::as_str) == own)
            }
            Concerned::All => true,
        }
    }
}

impl ZoneCounts {
    /// A node as it is now; `None` where it is gone.
    pub(super) fn note(&mut self, name: &str, node: Option<&Node>) -> Concerned {
        let now = node.map(|node| (zone_of(node).map(str::to_owned), is_ready(node)));
        let before = self.nodes.get(name).cloned();
        if now == before {
            return Concerned::Nobody;
        }
        let mut zones: Vec<Zone> = before.iter().chain(&now).map(|(zone, _)| zone.clone()).collect();
        zones.dedup();
        let paces: Vec<Pace> = zones.iter().map(|zone| self.pace(zone)).collect();
        let some_were_well = self.well > 0;
        if let Some((zone, was_well)) = &before {
            *self.count(zone, *was_well) -= 1;
            self.well -= usize::from(*was_well);
        }
        if let Some((zone, is_well)) = &now {
            *self.count(zone, *is_well) += 1;
            self.well += usize::from(*is_well);
        }
        for zone in &zones {
            if self.zones.get(zone).is_some_and(|counts| counts.well + counts.unwell == 0) {
                self.zones.remove(zone);
            }
        }
        match now {
            Some(now) => drop(self.nodes.insert(name.to_owned(), now)),
            None => drop(self.nodes.remove(name)),
        }
        if some_were_well != (self.well > 0) {
            return Concerned::All;
        }
        let changed = zones.into_iter().zip(paces).filter(|(zone, before)| self.pace(zone) != *before);
        let changed: Vec<Zone> = changed.map(|(zone, _)| zone).collect();
        match changed.is_empty() {
            true => Concerned::Nobody,
            false => Concerned::Zones(changed),
        }
    }

    fn pace(&self, zone: &Zone) -> Pace {
        let Counts { well, unwell } = self.zones.get(zone).copied().unwrap_or_default();
        Pace::of(self.well > 0, well, unwell)
    }

    fn count(&mut self, zone: &Zone, is_well: bool) -> &mut usize {
        let counts = self.zones.entry(zone.clone()).or_default();
        match is_well {
            true => &mut counts.well,
            false => &mut counts.unwell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(zone: &str, ready: &str) -> Node {
        serde_json::from_value(json!({
            "metadata": {"labels": {"topology.kubernetes.io/zone": zone}},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_change_concerns_others_where_their_pace_changes() {
        let mut counts = ZoneCounts::default();
        let mut say = |name: &str, zone: &str, ready: &str| counts.note(name, Some(&node(zone, ready)));
        let zone = |name: &str| Concerned::Zones(vec![[String::new(), name.to_owned()]]);
        assert_eq!(say("a1", "a", "Unknown"), Concerned::Nobody, "nobody is well before or after");
        assert_eq!(say("a2", "a", "True"), Concerned::All, "there is somewhere to go");
        assert_eq!(say("a2", "a", "True"), Concerned::Nobody, "a heartbeat");
        assert_eq!(say("a3", "a", "Unknown"), Concerned::Nobody, "two are few");
        assert_eq!(say("a4", "a", "Unknown"), zone("a"), "three of four are too many");
        assert_eq!(say("b1", "b", "True"), Concerned::Nobody, "another zone");
        assert_eq!(say("a1", "a", "True"), zone("a"), "not any more");
        assert_eq!(say("a1", "b", "True"), Concerned::Nobody, "it went to another zone; two are few");
        assert_eq!(say("a5", "a", "Unknown"), zone("a"));
        assert_eq!(say("a2", "b", "True"), zone("a"), "the whole zone, and another one is well");
        assert_eq!(say("b1", "b", "False"), Concerned::Nobody);
        assert_eq!(counts.note("a1", None), Concerned::Nobody);
        assert_eq!(counts.note("a2", None), Concerned::All, "the last that was well is gone");
        assert_eq!(counts.nodes.len(), 4);
        for name in ["a3", "a4", "a5", "b1"] {
            counts.note(name, None);
        }
        assert!(counts.nodes.is_empty() && counts.zones.is_empty(), "nothing is kept of what is gone");
        assert!(zone("b").includes(&node("b", "True")) && !zone("b").includes(&node("a", "True")));
        assert!(
            Concerned::All.includes(&node("a", "True")) && !Concerned::Nobody.includes(&node("a", "True"))
        );
    }

    #[test]
    fn thousands_that_register_concern_each_other_a_few_times() {
        let mut counts = ZoneCounts::default();
        let mut looks = 0;
        for ready in ["Unknown", "True", "Unknown"] {
            for number in 0..2000 {
                let concerned = counts.note(&format!("n{number}"), Some(&node("z", ready)));
                looks += usize::from(concerned != Concerned::Nobody);
            }
        }
        assert!(looks <= 6, "{looks}");
    }
}
