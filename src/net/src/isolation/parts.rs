//! What a class allows, each thing once: whom all is open to, what is open to all, and the rest pair by pair or, where there would
//! be too many pairs, as two sets. Pure.

use super::intervals::{EVERY_ADDRESS, numbers};
use super::ranges::Ranges;
use super::{Allow, Ports};
use std::collections::{BTreeMap, BTreeSet};

/// From how many elements more on peers and ports are two sets of their own, with a rule that looks into both, rather than
/// a set of all pairs.
const TOO_MANY_PAIRS: usize = 64;

/// How many pairs a class may have in all, lest rules whose peers overlap become the product of their numbers.
const MOST_PAIRS: usize = 8192;

/// What a rule counts for, beside its elements.
const RULE: usize = 64;

/// What a class allows, each thing once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// To whom all is open.
    pub(super) hosts: Ranges,
    /// What is open to all.
    pub(super) ports: Ranges,
    /// The rest that is said pair by pair.
    pub(super) pairs: Vec<((u32, u32), Ranges)>,
    /// The rest of which there would be too many pairs.
    pub(super) products: Vec<(Ranges, Ranges)>,
}

impl Parts {
    pub(super) fn of(allows: &BTreeSet<Allow>) -> Self {
        // merged once, when all are known: one by one would be a pass over all for each
        let mut hosts = Vec::new();
        let mut of_peers: BTreeMap<Ranges, Vec<(u32, u32)>> = BTreeMap::new();
        for Allow { peers, ports } in allows {
            let peers = peers.iter().map(|r| (r.first.to_bits(), r.last.to_bits()));
            match ports {
                Ports::All => hosts.extend(peers),
                Ports::Of(ports) => {
                    let ports = ports.iter().map(|r| numbers(r.protocol, r.first, r.last));
                    of_peers.entry(peers.collect()).or_default().extend(ports);
                }
            }
        }
        let hosts: Ranges = hosts.into_iter().collect();
        let everybody: Ranges = [EVERY_ADDRESS].into_iter().collect();
        let ports: Ranges = of_peers.get(&everybody).into_iter().flatten().copied().collect();
        let mut of_ports: BTreeMap<Ranges, Vec<(u32, u32)>> = BTreeMap::new();
        for (peers, wanted) in of_peers {
            let wanted: Ranges = wanted.into_iter().collect();
            let (peers, wanted) = (peers.without(&hosts), wanted.without(&ports));
            if !peers.is_empty() && !wanted.is_empty() {
                of_ports.entry(wanted).or_default().extend(peers.0);
            }
        }
        let merged =
            of_ports.into_iter().map(|(ports, peers)| (peers.into_iter().collect::<Ranges>(), ports));
        let (mut products, mut few): (Vec<_>, Vec<_>) = merged.partition(|(peers, ports)| {
            peers.0.len() * ports.0.len() > peers.0.len() + ports.0.len() + TOO_MANY_PAIRS
        });
        if pieces(&few) > MOST_PAIRS {
            products.append(&mut few);
        }
        Parts { hosts, ports, pairs: apart(&few), products }
    }

    /// Elements, and what its rules count for.
    pub(super) fn size(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(|(_, ports)| ports.0.len()).sum();
        let products = self.products.iter().map(|(peers, ports)| RULE + peers.0.len() + ports.0.len());
        self.hosts.0.len() + self.ports.0.len() + pairs + products.sum::<usize>()
    }

    pub(super) fn allow_everything(&self) -> bool {
        self.hosts.0 == [EVERY_ADDRESS]
    }
}

/// How many pairs [`apart`] makes of them, before neighbours that are alike become one: found without making any.
fn pieces(products: &[(Ranges, Ranges)]) -> usize {
    // how many ranges of ports begin and end at an address
    let mut turns: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    for (peers, ports) in products {
        for (first, last) in &peers.0 {
            turns.entry(u64::from(*first)).or_default().0 += ports.0.len();
            turns.entry(u64::from(*last) + 1).or_default().1 += ports.0.len();
        }
    }
    let (mut open, mut all) = (0_usize, 0_usize);
    for (begin, end) in turns.into_values() {
        open = open + begin - end;
        all = all.saturating_add(open);
    }
    all
}

/// The same without any address in two of them: a set's ranges must not overlap.
fn apart(products: &[(Ranges, Ranges)]) -> Vec<((u32, u32), Ranges)> {
    // where each of them begins and ends
    let mut turns: BTreeMap<u64, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, (peers, _)) in products.iter().enumerate() {
        for (first, last) in &peers.0 {
            turns.entry(u64::from(*first)).or_default().0.push(index);
            turns.entry(u64::from(*last) + 1).or_default().1.push(index);
        }
    }
    let (mut open, mut all) = (BTreeSet::new(), Vec::<((u32, u32), Ranges)>::new());
    let ends: Vec<u64> = turns.keys().skip(1).copied().collect();
    for ((from, (begin, end)), to) in turns.into_iter().zip(ends) {
        end.iter().for_each(|index| {
            open.remove(index);
        });
        open.extend(begin);
        if open.is_empty() {
            continue;
        }
        let ports: Ranges =
            open.iter().flat_map(|index: &usize| products[*index].1.0.iter().copied()).collect();
        let range = (from as u32, (to - 1) as u32);
        match all.last_mut() {
            Some((before, same)) if *same == ports && before.1.checked_add(1) == Some(range.0) => {
                before.1 = range.1;
            }
            _ => all.push((range, ports)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolation::testing::{Dice, addresses, all_but_one};

    #[test]
    fn rules_that_overlap_are_no_product() {
        let parts = |rules| Parts::of(&all_but_one(rules).collect());
        // (rules, pairs, rules with two sets)
        for (rules, want) in [(10, (100, 0)), (5000, (0, 5000))] {
            let parts = parts(rules);
            let pairs: usize = parts.pairs.iter().map(|(_, ports)| ports.0.len()).sum();
            assert!(pairs <= MOST_PAIRS, "{rules}");
            assert_eq!((pairs.min(100), parts.products.len()), want, "{rules}");
        }
        let few = Parts::of(&all_but_one(40).collect()).pairs;
        let made: usize = few.iter().map(|(_, ports)| ports.0.len()).sum();
        assert!(made > 40 * 40, "what is few is said pair by pair: {made}");
    }

    #[test]
    fn pieces_are_counted_as_they_are_made() {
        let mut dice = Dice(5);
        for round in 0..100 {
            let ranges = |dice: &mut Dice| -> Ranges { (0..dice.roll(6)).map(|_| dice.range(60)).collect() };
            let products: Vec<(Ranges, Ranges)> =
                (0..dice.roll(6)).map(|_| (ranges(&mut dice), ranges(&mut dice))).collect();
            let made: usize = apart(&products).iter().map(|(_, ports)| ports.0.len()).sum();
            assert!(made <= pieces(&products), "round {round}: {products:?}");
        }
    }

    #[test]
    fn what_is_open_to_some_is_not_cut_out_of_each_rule() {
        let open =
            (0..2000).map(|n| Allow { peers: [addresses((512 * n, 512 * n))].into(), ports: Ports::All });
        let parts = Parts::of(&open.chain(all_but_one(2000)).collect());
        let peers: usize = parts.products.iter().map(|(peers, _)| peers.0.len()).sum();
        assert_eq!(parts.products.len(), 2000);
        assert!(peers <= 2000 * (2 + 64), "{peers}");
    }
}
