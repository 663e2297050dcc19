//! Who gets a frontend that several Services want: what the cluster allocated goes before what a Service asks for.

use api::ObjectKey;
use net::{Action, Frontend};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// By what right a service wants a frontend, the strongest first. What the cluster allocated leads to its service whatever
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
    pub frontend: Frontend,
    pub right: Right,
    pub action: Action,
}

/// Which service wants which frontend. Two may want the same one: it leads to the one with the better right, of equals to the
/// first by name, until that one lets go. Pure.
#[derive(Debug, Default)]
pub struct Claims {
    /// In one map: one for each frontend would take ten times as much.
    frontends: BTreeMap<(Frontend, Right, ObjectKey), Action>,
    of: HashMap<ObjectKey, BTreeMap<Frontend, Right>>,
}

impl Claims {
    /// What the service wants now, in place of what it wanted before. Gives the frontends that now lead elsewhere.
    pub fn set(&mut self, service: &ObjectKey, wanted: Vec<Wanted>) -> Vec<Frontend> {
        let mut rights: BTreeMap<Frontend, Right> = BTreeMap::new();
        let mut actions: BTreeMap<Frontend, Action> = BTreeMap::new();
        for Wanted { frontend, right, action } in wanted {
            if rights.get(&frontend).is_none_or(|known| right < *known) {
                rights.insert(frontend, right);
                actions.insert(frontend, action);
            }
        }
        let before = self.of.remove(service).unwrap_or_default();
        let touched: BTreeSet<Frontend> = before.keys().chain(rights.keys()).copied().collect();
        let mut changed = Vec::new();
        for frontend in touched {
            let leads_to = self.action(&frontend).cloned();
            if let Some(right) = before.get(&frontend) {
                self.frontends.remove(&(frontend, *right, service.clone()));
            }
            if let (Some(right), Some(action)) = (rights.get(&frontend), actions.remove(&frontend)) {
                self.frontends.insert((frontend, *right, service.clone()), action);
            }
            if self.action(&frontend) != leads_to.as_ref() {
                changed.push(frontend);
            }
        }
        if !rights.is_empty() {
            self.of.insert(service.clone(), rights);
        }
        changed
    }

    /// `None` where nobody wants it.
    pub fn action(&self, frontend: &Frontend) -> Option<&Action> {
        let first = (*frontend, Right::Allocated, ObjectKey::cluster(""));
        let ((known, ..), action) = self.frontends.range(first..).next()?;
        (known == frontend).then_some(action)
    }

    pub fn all(&self) -> BTreeMap<Frontend, Action> {
        let mut all = BTreeMap::new();
        for ((frontend, ..), action) in &self.frontends {
            all.entry(*frontend).or_insert_with(|| action.clone());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::Protocol;

    #[test]
    fn a_cluster_ip_wins_over_whoever_asks_for_it() {
        let key = |name: &str| ObjectKey::namespaced("default", name);
        let frontend = Frontend { address: Some([10, 96, 0, 10].into()), protocol: Protocol::Udp, port: 53 };
        let want = |right, action| vec![Wanted { frontend, right, action }];
        let mut claims = Claims::default();
        assert_eq!(claims.set(&key("a-thief"), want(Right::Asked, Action::Drop)), [frontend]);
        assert_eq!(claims.set(&key("kube-dns"), want(Right::Allocated, Action::Reject)), [frontend]);
        assert_eq!(claims.action(&frontend), Some(&Action::Reject));
        assert!(claims.set(&key("a-thief"), want(Right::Balanced, Action::Drop)).is_empty());
        assert!(claims.set(&key("a-thief"), Vec::new()).is_empty());
        assert_eq!(claims.set(&key("kube-dns"), Vec::new()), [frontend]);
        assert_eq!((claims.action(&frontend), claims.all().len()), (None, 0));
    }
}
