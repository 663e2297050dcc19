//! From the frontends that there are to those that there should be. Pure.

use crate::frontends::{Action, Chain, Frontend, render};
use crate::nft::{Batch, Element, Set};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The sets that frontends are made of.
pub(crate) const FRONTEND_SETS: [Set; 10] = [
    Set::Services,
    Set::Endpoints,
    Set::NodePorts,
    Set::NodePortEndpoints,
    Set::Closed,
    Set::ClosedPorts,
    Set::Sticky,
    Set::StickyPorts,
    Set::Restricted,
    Set::AllowedSources,
];

pub(crate) type Frontends = BTreeMap<Frontend, Action>;

/// What one transaction changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) delete: BTreeSet<Element>,
    pub(crate) add: BTreeSet<Element>,
    pub(crate) chains: BTreeSet<Chain>,
}

impl Plan {
    /// From what is applied, by changes to some frontends.
    pub(crate) fn change(applied: &Frontends, changes: &[(Frontend, Option<Action>)]) -> Self {
        let (mut before, mut after, mut chains) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        // the last word about a frontend counts
        let changes: BTreeMap<&Frontend, &Option<Action>> =
            changes.iter().map(|(frontend, action)| (frontend, action)).collect();
        for (frontend, action) in changes {
            before.extend(applied.get(frontend).into_iter().flat_map(|action| render(frontend, action).0));
            if let Some(action) = action {
                let (elements, needed) = render(frontend, action);
                after.extend(elements);
                chains.extend(needed);
            }
        }
        Plan::between(before, after, chains)
    }

    /// From what the kernel says that it has, to all that should be.
    pub(crate) fn replace(found: BTreeSet<Element>, wanted: &Frontends) -> Self {
        let (mut after, mut chains) = (BTreeSet::new(), BTreeSet::new());
        for (frontend, action) in wanted {
            let (elements, needed) = render(frontend, action);
            after.extend(elements);
            chains.extend(needed);
        }
        Plan::between(found, after, chains)
    }

    fn between(before: BTreeSet<Element>, after: BTreeSet<Element>, chains: BTreeSet<Chain>) -> Self {
        Plan {
            delete: before.difference(&after).cloned().collect(),
            add: after.difference(&before).cloned().collect(),
            chains,
        }
    }

    /// The transaction, and the chains that it makes because the table does not have them yet.
    pub(crate) fn batch(&self, table: &str, known: &HashSet<String>) -> (Batch, Vec<String>) {
        let mut batch = Batch::new(table);
        let mut made = Vec::new();
        for chain in self.chains.iter().filter(|chain| !known.contains(&chain.name())) {
            let name = chain.name();
            batch.add_chain(&name);
            for rule in chain.rules() {
                batch.add_rule(&name, &rule);
            }
            made.push(name);
        }
        batch.delete(&self.delete);
        batch.add(&self.add);
        (batch, made)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frontends::{Chain, socket};
    use crate::nft::{Data, Verdict};
    use cri::Protocol;
    use ipnet::Ipv4Net;
    use std::net::{Ipv4Addr, SocketAddrV4};

    pub(crate) fn at(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 244, 0, last), 8080)
    }

    pub(crate) fn frontend(address: Option<u8>, protocol: Protocol, port: u16) -> Frontend {
        Frontend { address: address.map(|last| Ipv4Addr::new(10, 96, 0, last)), protocol, port }
    }

    pub(crate) fn to(backends: &[u8]) -> Action {
        Action::Forward {
            backends: backends.iter().map(|last| at(*last)).collect(),
            affinity: None,
            masquerade: false,
        }
    }

    pub(crate) fn sticky(action: Action) -> Action {
        match action {
            Action::Forward { backends, masquerade, .. } => {
                Action::Forward { backends, affinity: Some(60), masquerade }
            }
            other => other,
        }
    }

    /// A sequence that is the same in every run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % sides
        }

        fn action(&mut self) -> Option<Action> {
            match self.roll(6) {
                0 => None,
                1 => Some(Action::Reject),
                2 => Some(Action::Drop),
                3 => {
                    let range = |prefix| Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 128), prefix);
                    let sources = (0..self.roll(4)).map(|_| range(24 + self.roll(9) as u8)).collect();
                    let then = Box::new(self.action().unwrap_or(Action::Reject));
                    Some(Action::Restrict { sources, then })
                }
                _ => {
                    let backends = (0..=self.roll(4)).map(|_| at(self.roll(6) as u8)).collect();
                    let affinity = (self.roll(3) == 0).then_some(60);
                    Some(Action::Forward { backends, affinity, masquerade: self.roll(2) == 0 })
                }
            }
        }

        fn frontend(&mut self) -> Frontend {
            let address = (self.roll(3) > 0).then_some(self.roll(4) as u8);
            frontend(
                address,
                [Protocol::Tcp, Protocol::Udp, Protocol::Sctp][self.roll(3)],
                80 + self.roll(2) as u16,
            )
        }
    }

    /// What the kernel does with a transaction: it refuses to delete what is not there, and to add another value to a key.
    fn kernel(elements: &mut BTreeSet<Element>, plan: &Plan) {
        for element in &plan.delete {
            assert!(elements.remove(element), "{element:?} is not there");
        }
        for element in &plan.add {
            let taken = elements.iter().any(|other| other.set == element.set && other.key == element.key);
            assert!(!taken, "{element:?} has another value");
            elements.insert(element.clone());
        }
    }

    #[test]
    fn changes_applied_one_after_the_other_are_the_full_rendering() {
        let mut dice = Dice(7);
        let (mut frontends, mut elements) = (Frontends::new(), BTreeSet::new());
        for round in 0..400 {
            let changes: Vec<(Frontend, Option<Action>)> =
                (0..dice.roll(6)).map(|_| (dice.frontend(), dice.action())).collect();
            kernel(&mut elements, &Plan::change(&frontends, &changes));
            for (frontend, action) in changes {
                match action {
                    Some(action) => frontends.insert(frontend, action),
                    None => frontends.remove(&frontend),
                };
            }
            let full = Plan::replace(BTreeSet::new(), &frontends);
            assert_eq!(elements, full.add, "round {round}");
            let again = Plan::replace(elements.clone(), &frontends);
            assert!(again.add.is_empty() && again.delete.is_empty(), "round {round}: nothing to do");
        }
    }

    #[test]
    fn a_door_is_one_element_and_one_for_each_back_end() {
        let (elements, chains) = render(&frontend(Some(1), Protocol::Tcp, 80), &sticky(to(&[5, 7])));
        let key = vec![10, 96, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0];
        let verdict = |set, chain: &str| Element {
            set,
            key: key.clone(),
            data: Data::Verdict(Verdict::Goto(chain.into())),
        };
        let endpoint = |index: u32, last| Element {
            set: Set::Endpoints,
            key: [key.clone(), index.to_ne_bytes().to_vec()].concat(),
            data: Data::Value(socket(at(last))),
        };
        let want = [
            verdict(Set::Services, "service-sticky-of-2"),
            endpoint(0, 5),
            endpoint(1, 7),
            verdict(Set::Sticky, "remember-60"),
        ];
        assert_eq!(sticky(to(&[5, 7])).elements(), want.len());
        assert_eq!(elements, want.into());
        let pick = Chain::Pick { any_address: false, backends: 2, sticky: true, masquerade: false };
        assert_eq!(chains, [pick, Chain::Remember(60)]);
        assert_eq!(render(&frontend(None, Protocol::Udp, 80), &to(&[5])).1[0].name(), "node-port-of-1");
    }

    #[test]
    fn a_known_chain_is_not_made_again() {
        let plan = Plan::change(&Frontends::new(), &[(frontend(Some(1), Protocol::Tcp, 80), Some(to(&[5])))]);
        let (_, made) = plan.batch("t", &HashSet::new());
        assert_eq!(made, ["service-of-1"]);
        let (batch, made) = plan.batch("t", &made.into_iter().collect());
        assert!(made.is_empty() && !batch.is_empty());
    }
}
