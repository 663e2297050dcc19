use api::ObjectKey;
use net::{Door, Way};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which service wants which door. Two may want the same one (an external IP): it leads to the first by name until that
/// one lets go. Pure.
#[derive(Debug, Default)]
pub struct Claims {
    doors: BTreeMap<Door, BTreeMap<ObjectKey, Way>>,
    of: HashMap<ObjectKey, BTreeSet<Door>>,
}

impl Claims {
    /// What the service wants now, in place of what it wanted before. Gives the doors that now lead elsewhere.
    pub fn set(&mut self, service: &ObjectKey, wanted: Vec<(Door, Way)>) -> Vec<Door> {
        let wanted: BTreeMap<Door, Way> = wanted.into_iter().collect();
        let before = self.of.remove(service).unwrap_or_default();
        let touched: BTreeSet<Door> = before.into_iter().chain(wanted.keys().copied()).collect();
        if !wanted.is_empty() {
            self.of.insert(service.clone(), wanted.keys().copied().collect());
        }
        touched.into_iter().filter(|door| self.replace(*door, service, wanted.get(door))).collect()
    }

    /// Whether the door leads elsewhere now.
    fn replace(&mut self, door: Door, service: &ObjectKey, way: Option<&Way>) -> bool {
        let claims = self.doors.entry(door).or_default();
        let before = claims.values().next().cloned();
        match way {
            Some(way) => claims.insert(service.clone(), way.clone()),
            None => claims.remove(service),
        };
        let changed = claims.values().next() != before.as_ref();
        if claims.is_empty() {
            self.doors.remove(&door);
        }
        changed
    }

    /// `None` where nobody wants it.
    pub fn way(&self, door: &Door) -> Option<&Way> {
        self.doors.get(door)?.values().next()
    }

    pub fn all(&self) -> BTreeMap<Door, Way> {
        self.doors
            .iter()
            .filter_map(|(door, claims)| Some((*door, claims.values().next()?.clone())))
            .collect()
    }
}
