use api::ObjectKey;
use net::{Door, Way};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// By what right a service wants a door, the strongest first. What the cluster allocated leads to its service whatever
/// others write into their `externalIPs` (CVE-2020-8554).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// A ClusterIP or a node port: nobody else has it.
    Allocated,
    /// A load balancer's address, in the status.
    Balanced,
    /// An external IP: whoever writes the service may name any.
    Asked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub door: Door,
    pub right: Right,
    pub way: Way,
}

/// Which service wants which door. Two may want the same one: it leads to the one with the better right, of equals to the
/// first by name, until that one lets go. Pure.
#[derive(Debug, Default)]
pub struct Claims {
    doors: BTreeMap<Door, BTreeMap<(Right, ObjectKey), Way>>,
    of: HashMap<ObjectKey, BTreeMap<Door, Right>>,
}

impl Claims {
    /// What the service wants now, in place of what it wanted before. Gives the doors that now lead elsewhere.
    pub fn set(&mut self, service: &ObjectKey, wanted: Vec<Wanted>) -> Vec<Door> {
        let mut rights: BTreeMap<Door, Right> = BTreeMap::new();
        let mut ways: BTreeMap<Door, Way> = BTreeMap::new();
        for Wanted { door, right, way } in wanted {
            if rights.get(&door).is_none_or(|known| right < *known) {
                rights.insert(door, right);
                ways.insert(door, way);
            }
        }
        let before = self.of.remove(service).unwrap_or_default();
        let touched: BTreeSet<Door> = before.keys().chain(rights.keys()).copied().collect();
        let mut changed = Vec::new();
        for door in touched {
            let leads_to = self.way(&door).cloned();
            let claims = self.doors.entry(door).or_default();
            if let Some(right) = before.get(&door) {
                claims.remove(&(*right, service.clone()));
            }
            if let (Some(right), Some(way)) = (rights.get(&door), ways.remove(&door)) {
                claims.insert((*right, service.clone()), way);
            }
            if claims.is_empty() {
                self.doors.remove(&door);
            }
            if self.way(&door) != leads_to.as_ref() {
                changed.push(door);
            }
        }
        if !rights.is_empty() {
            self.of.insert(service.clone(), rights);
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

#[cfg(test)]
mod tests {
    use super::*;
    use net::Protocol;

    #[test]
    fn a_cluster_ip_wins_over_whoever_asks_for_it() {
        let key = |name: &str| ObjectKey::namespaced("default", name);
        let door = Door { address: Some([10, 96, 0, 10].into()), protocol: Protocol::Udp, port: 53 };
        let want = |right, way| vec![Wanted { door, right, way }];
        let mut claims = Claims::default();
        assert_eq!(claims.set(&key("a-thief"), want(Right::Asked, Way::Drop)), [door]);
        assert_eq!(claims.set(&key("kube-dns"), want(Right::Allocated, Way::Reject)), [door]);
        assert_eq!(claims.way(&door), Some(&Way::Reject));
        assert!(claims.set(&key("a-thief"), want(Right::Balanced, Way::Drop)).is_empty());
        assert!(claims.set(&key("a-thief"), Vec::new()).is_empty());
        assert_eq!(claims.set(&key("kube-dns"), Vec::new()), [door]);
        assert_eq!((claims.way(&door), claims.all().len()), (None, 0));
    }
}
