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
    frontends: BTreeMap<Frontend, BTreeMap<(Right, ObjectKey), Action>>,
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
            let claims = self.frontends.entry(frontend).or_default();
            if let Some(right) = before.get(&frontend) {
                claims.remove(&(*right, service.clone()));
            }
            if let (Some(right), Some(action)) = (rights.get(&frontend), actions.remove(&frontend)) {
                claims.insert((*right, service.clone()), action);
            }
            if claims.is_empty() {
                self.frontends.remove(&frontend);
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
        self.frontends.get(frontend)?.values().next()
    }

    pub fn all(&self) -> BTreeMap<Frontend, Action> {
        self.frontends
            .iter()
            .filter_map(|(frontend, claims)| Some((*frontend, claims.values().next()?.clone())))
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
