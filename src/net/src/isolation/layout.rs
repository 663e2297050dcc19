//! From what is allowed to the chains and sets that say so. Pure.

#[cfg(test)]
mod tests;

use super::intervals;
use super::parts::Parts;
use super::{Class, Isolation, Ports};
use crate::Shares;
use crate::config::hash;
use crate::frontends::key;
use crate::nft::Field::{self, Address, Port, Protocol};
use crate::nft::{Data, Element, Expression, Interval, Register, Set, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What a class' chain, its sets, and nothing else in the table begins with.
pub(super) const INGRESS: &str = "ingress-";
pub(super) const EGRESS: &str = "egress-";

/// What the elements of a class may number, a rule counted as so many: a packet pays for each rule, and the kernel finds a
/// set by going through all of them. One set of so many ranges takes the kernel a part of a second to fill.
const MOST_OF_CLASS: usize = 16_384;
/// The same for all classes of one owner, which is four of the largest.
const MOST_OF_OWNER: usize = 65_536;
/// And for all owners together, who share it: the daemon remembers what is applied, and must be able to apply it anew.
const MOST_OF_ALL: usize = 1 << 18;

/// All that there is in the table of isolation, but for the hooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(super) chains: BTreeMap<String, Chain>,
    pub(super) members: BTreeSet<Element>,
}

/// A class: what is in one of its rules may pass, everything else is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) sets: BTreeMap<String, Content>,
    pub(super) rules: Vec<Vec<Expression>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) fields: &'static [Field],
    pub(super) intervals: BTreeSet<Interval>,
}

/// Where the peer stands in the packet, and who is isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl Layout {
    /// And the classes that allow more than there is room for: such a class lets nothing pass, which its members notice and
    /// nobody else does.
    pub(crate) fn of(isolation: &Isolation) -> (Self, BTreeSet<String>) {
        Layout::within(MOST_OF_ALL, isolation)
    }

    fn within(most: usize, isolation: &Isolation) -> (Self, BTreeSet<String>) {
        let mut of_owners: BTreeMap<&str, Vec<(Direction, &String, &Class)>> = BTreeMap::new();
        for (direction, classes) in
            [(Direction::Ingress, &isolation.ingress), (Direction::Egress, &isolation.egress)]
        {
            for (name, class) in classes {
                of_owners.entry(&class.owner).or_default().push((direction, name, class));
            }
        }
        let mut of_owners: Vec<_> = of_owners.into_values().collect();
        of_owners.sort_by_cached_key(|classes| said(classes.iter().map(|(_, _, class)| *class)));
        let (mut layout, mut too_large) = (Layout::default(), BTreeSet::new());
        let mut shares = Shares::new(most, of_owners.len());
        for classes in of_owners {
            let given = shares.share().min(MOST_OF_OWNER);
            let mut left = given;
            for (direction, name, class) in classes {
                if !layout.add(direction, name, class, &mut left) {
                    too_large.insert(name.clone());
                }
            }
            shares.take(given - left);
        }
        (layout, too_large)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Who is isolated, as elements.
    pub(crate) fn members(&self) -> &BTreeSet<Element> {
        &self.members
    }

    /// False where it was too large, and is closed.
    fn add(&mut self, direction: Direction, name: &str, class: &Class, left: &mut usize) -> bool {
        let mut parts = Parts::of(&class.allows);
        if class.members.is_empty() || parts.allow_everything() {
            return true;
        }
        let size = parts.size();
        let fits = size <= MOST_OF_CLASS && size <= *left;
        if fits {
            *left -= size;
        } else {
            parts = Parts::default();
        }
        let chain = format!("{}{:016x}", direction.prefix(), hash(&[name.as_bytes()]));
        self.members.extend(class.members.iter().map(|address| Element {
            set: direction.members(),
            key: address.octets().to_vec(),
            data: Data::Verdict(Verdict::Jump(chain.clone())),
        }));
        let body = Chain::of(&parts, direction, &chain);
        self.chains.insert(chain, body);
        fits
    }
}

impl Direction {
    fn prefix(self) -> &'static str {
        match self {
            Direction::Ingress => INGRESS,
            Direction::Egress => EGRESS,
        }
    }

    fn members(self) -> Set {
        match self {
            Direction::Ingress => Set::IsolatedIngress,
            Direction::Egress => Set::IsolatedEgress,
        }
    }

    fn peer(self) -> fn(Register) -> Expression {
        match self {
            Direction::Ingress => Expression::SourceAddress,
            Direction::Egress => Expression::DestinationAddress,
        }
    }

    fn member(self) -> fn(Register) -> Expression {
        match self {
            Direction::Ingress => Expression::DestinationAddress,
            Direction::Egress => Expression::SourceAddress,
        }
    }
}

impl Chain {
    fn of(allowed: &Parts, direction: Direction, name: &str) -> Self {
        let mut chain = Chain::default();
        let (peer, member) = (direction.peer(), direction.member());
        let ports: [fn(Register) -> Expression; 2] = [Expression::Protocol, Expression::DestinationPort];
        if !allowed.hosts.is_empty() {
            let set =
                chain.add(format!("{name}-hosts"), &[Address, Address], intervals::hosts(&allowed.hosts));
            chain.allow(&[(set, &[peer, member])]);
        }
        if !allowed.ports.is_empty() {
            let set = chain.add(format!("{name}-ports"), &[Protocol, Port], intervals::ports(&allowed.ports));
            chain.allow(&[(set, &ports)]);
        }
        if !allowed.pairs.is_empty() {
            let set = chain.add(
                format!("{name}-pairs"),
                &[Address, Protocol, Port],
                intervals::pairs(&allowed.pairs),
            );
            chain.allow(&[(set, &[peer, ports[0], ports[1]])]);
        }
        for (peers, wanted) in &allowed.products {
            let wanted = intervals::ports(wanted);
            // named by the ports: peers come and go
            let bytes: Vec<u8> =
                wanted.iter().flat_map(|range| [&range.first[..], &range.last]).flatten().copied().collect();
            let name = format!("{name}-{:016x}", hash(&[&bytes]));
            let hosts = chain.add(format!("{name}-hosts"), &[Address, Address], intervals::hosts(peers));
            let wanted = chain.add(format!("{name}-ports"), &[Protocol, Port], wanted);
            chain.allow(&[(hosts, &[peer, member]), (wanted, &ports)]);
        }
        chain.rules.push(vec![Expression::Go(Verdict::Drop)]);
        chain
    }

    fn add(&mut self, name: String, fields: &'static [Field], intervals: BTreeSet<Interval>) -> String {
        self.sets.insert(name.clone(), Content { fields, intervals });
        name
    }

    /// What is in all of these sets.
    fn allow(&mut self, looks: &[(String, &[fn(Register) -> Expression])]) {
        let mut rule = Vec::new();
        for (set, parts) in looks {
            rule.extend(key(parts.iter().copied()).0);
            rule.push(Expression::Within { set: set.clone(), key: Register(0) });
        }
        rule.push(Expression::Go(Verdict::Return));
        self.rules.push(rule);
    }
}

/// How much the classes say: who says less is thought to need less.
fn said<'c>(classes: impl Iterator<Item = &'c Class>) -> usize {
    let ports = |ports: &Ports| match ports {
        Ports::All => 1,
        Ports::Of(ports) => ports.len(),
    };
    let allows = classes.flat_map(|class| &class.allows);
    allows.map(|allow| allow.peers.len().saturating_add(ports(&allow.ports))).fold(0, usize::saturating_add)
}
