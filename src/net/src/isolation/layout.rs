//! From what is allowed to the chains and sets that say so. Pure.

use super::ranges::Ranges;
use super::{Allow, Class, Isolation, Ports};
use crate::Shares;
use crate::config::hash;
use crate::frontends::{key, number};
use crate::nft::Field::{self, Address, Port, Protocol};
use crate::nft::{Data, Element, Expression, Interval, Register, Set, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What a class' chain, its sets, and nothing else in the table begins with.
pub(super) const INGRESS: &str = "ingress-";
pub(super) const EGRESS: &str = "egress-";

/// From how many elements more on peers and ports are two sets of their own, with a rule that looks into both, rather than
/// a set of all pairs.
const TOO_MANY_PAIRS: usize = 64;

/// How many pairs a class may have in all, lest rules whose peers overlap become the product of their numbers.
const MOST_PAIRS: usize = 8192;

/// What the elements of a class may number, a rule counted as so many: a packet pays for each rule, and the kernel finds a
/// set by going through all of them. One set of so many ranges takes the kernel a part of a second to fill.
const MOST_OF_CLASS: usize = 16_384;
const RULE: usize = 64;
/// The same for all classes of one owner, which is four of the largest.
const MOST_OF_OWNER: usize = 65_536;
/// And for all owners together, who share it: the daemon remembers what is applied, and must be able to apply it anew.
const MOST_OF_ALL: usize = 1 << 18;

const EVERY_ADDRESS: (u32, u32) = (0, u32::MAX);
/// A port's place among those of all protocols: one range of numbers for all of them makes one algebra of both.
const PORTS: u32 = 1 << 16;

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
        let body = parts.chain(direction, &chain);
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

/// What a class allows, each thing once.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    /// To whom all is open.
    hosts: Ranges,
    /// What is open to all.
    ports: Ranges,
    /// The rest that is said pair by pair.
    pairs: Vec<((u32, u32), Ranges)>,
    /// The rest of which there would be too many pairs.
    products: Vec<(Ranges, Ranges)>,
}

impl Parts {
    fn of(allows: &BTreeSet<Allow>) -> Self {
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
    fn size(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(|(_, ports)| ports.0.len()).sum();
        let products = self.products.iter().map(|(peers, ports)| RULE + peers.0.len() + ports.0.len());
        self.hosts.0.len() + self.ports.0.len() + pairs + products.sum::<usize>()
    }

    fn allow_everything(&self) -> bool {
        self.hosts.0 == [EVERY_ADDRESS]
    }

    fn chain(&self, direction: Direction, name: &str) -> Chain {
        let mut chain = Chain::default();
        let (peer, member) = (direction.peer(), direction.member());
        let ports: [fn(Register) -> Expression; 2] = [Expression::Protocol, Expression::DestinationPort];
        if !self.hosts.is_empty() {
            let set = chain.add(format!("{name}-hosts"), &[Address, Address], hosts(&self.hosts));
            chain.allow(&[(set, &[peer, member])]);
        }
        if !self.ports.is_empty() {
            let set = chain.add(format!("{name}-ports"), &[Protocol, Port], of_ports(&self.ports));
            chain.allow(&[(set, &ports)]);
        }
        if !self.pairs.is_empty() {
            let set = chain.add(format!("{name}-pairs"), &[Address, Protocol, Port], pairs(&self.pairs));
            chain.allow(&[(set, &[peer, ports[0], ports[1]])]);
        }
        for (peers, wanted) in &self.products {
            let wanted = of_ports(wanted);
            // named by the ports: peers come and go
            let bytes: Vec<u8> =
                wanted.iter().flat_map(|range| [&range.first[..], &range.last]).flatten().copied().collect();
            let name = format!("{name}-{:016x}", hash(&[&bytes]));
            let hosts = chain.add(format!("{name}-hosts"), &[Address, Address], hosts(peers));
            let wanted = chain.add(format!("{name}-ports"), &[Protocol, Port], wanted);
            chain.allow(&[(hosts, &[peer, member]), (wanted, &ports)]);
        }
        chain.rules.push(vec![Expression::Go(Verdict::Drop)]);
        chain
    }
}

impl Chain {
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

fn numbers(protocol: crate::Protocol, first: u16, last: u16) -> (u32, u32) {
    let base = u32::from(number(protocol)) * PORTS;
    (base + u32::from(first), base + u32::from(last))
}

fn hosts(ranges: &Ranges) -> BTreeSet<Interval> {
    let whole = [EVERY_ADDRESS.0.to_be_bytes(), EVERY_ADDRESS.1.to_be_bytes()];
    let interval = |(first, last): &(u32, u32)| Interval {
        first: [first.to_be_bytes(), whole[0]].concat(),
        last: [last.to_be_bytes(), whole[1]].concat(),
    };
    ranges.0.iter().map(interval).collect()
}

fn of_ports(ranges: &Ranges) -> BTreeSet<Interval> {
    let pieces = ranges.0.iter().flat_map(|range| by_protocol(*range));
    pieces.map(|(first, last)| Interval { first: port(first), last: port(last) }).collect()
}

fn pairs(pairs: &[((u32, u32), Ranges)]) -> BTreeSet<Interval> {
    let each = pairs.iter().flat_map(|((from, to), ports)| {
        let pieces = ports.0.iter().flat_map(|range| by_protocol(*range));
        pieces.map(|(first, last)| Interval {
            first: [&from.to_be_bytes()[..], &port(first)].concat(),
            last: [&to.to_be_bytes()[..], &port(last)].concat(),
        })
    });
    each.collect()
}

/// All ports of one protocol touch those of the protocol with the next number: no two of ours have such.
fn by_protocol((first, last): (u32, u32)) -> impl Iterator<Item = (u32, u32)> {
    (first / PORTS..=last / PORTS).map(move |protocol| {
        let base = protocol * PORTS;
        (first.max(base), last.min(base + PORTS - 1))
    })
}

fn port(number: u32) -> Vec<u8> {
    let [_, protocol, high, low] = number.to_be_bytes();
    vec![protocol, 0, 0, 0, high, low, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddressRange, PortRange, SharedSet};
    use std::net::Ipv4Addr;

    /// A sequence that is the same in every run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u32) -> u32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as u32 % sides
        }

        fn range(&mut self, most: u32) -> (u32, u32) {
            let first = self.roll(most);
            // many are one number only
            (first, if self.roll(2) == 0 { first } else { (first + self.roll(8)).min(most - 1) })
        }

        fn allow(&mut self) -> Allow {
            let everybody = self.roll(6) == 0;
            let peers = match everybody {
                true => [AddressRange::ALL].into(),
                false => (0..self.roll(14)).map(|_| addresses(self.range(40))).collect(),
            };
            let ports = match self.roll(8) {
                0 => Ports::All,
                _ => Ports::Of((0..self.roll(14)).map(|_| self.ports()).collect()),
            };
            Allow { peers, ports }
        }

        fn ports(&mut self) -> PortRange {
            let ((first, last), is_tcp) = (self.range(30), self.roll(2) == 0);
            let protocol = if is_tcp { crate::Protocol::Tcp } else { crate::Protocol::Udp };
            PortRange { protocol, first: first as u16, last: last as u16 }
        }
    }

    fn addresses((first, last): (u32, u32)) -> AddressRange {
        AddressRange { first: Ipv4Addr::from_bits(first), last: Ipv4Addr::from_bits(last) }
    }

    #[derive(Debug)]
    struct Packet {
        source: u32,
        destination: u32,
        protocol: u8,
        port: u16,
    }

    /// As the kernel does it.
    fn passes(chain: &Chain, packet: &Packet) -> bool {
        for rule in &chain.rules {
            let mut registers = [[0_u8; 4]; 16];
            let mut matches = true;
            for expression in rule {
                let (to, bytes) = match expression {
                    Expression::SourceAddress(to) => (to, packet.source.to_be_bytes().to_vec()),
                    Expression::DestinationAddress(to) => (to, packet.destination.to_be_bytes().to_vec()),
                    Expression::Protocol(to) => (to, vec![packet.protocol]),
                    Expression::DestinationPort(to) => (to, packet.port.to_be_bytes().to_vec()),
                    Expression::Within { set, key: Register(0) } => {
                        matches &= within(&chain.sets[set], &registers);
                        continue;
                    }
                    Expression::Go(verdict) if matches => return *verdict == Verdict::Return,
                    Expression::Go(_) => continue,
                    other => panic!("{other:?} has no place here"),
                };
                registers[to.0 as usize] = [0; 4];
                registers[to.0 as usize][..bytes.len()].copy_from_slice(&bytes);
            }
        }
        panic!("a chain without an end");
    }

    fn within(content: &Content, registers: &[[u8; 4]; 16]) -> bool {
        content.intervals.iter().any(|interval| {
            let mut fields = interval.first.chunks(4).zip(interval.last.chunks(4)).zip(registers);
            fields.all(|((first, last), value)| (first..=last).contains(&&value[..]))
        })
    }

    fn overlap(one: &Interval, other: &Interval) -> bool {
        let of = |interval: &Interval| -> Vec<(Vec<u8>, Vec<u8>)> {
            let pairs = interval.first.chunks(4).zip(interval.last.chunks(4));
            pairs.map(|(first, last)| (first.to_vec(), last.to_vec())).collect()
        };
        of(one).iter().zip(of(other)).all(|(one, other)| one.0 <= other.1 && other.0 <= one.1)
    }

    #[test]
    fn what_passes_is_what_is_allowed() {
        let mut dice = Dice(11);
        let mut shapes = BTreeSet::new();
        for round in 0..300 {
            let allows: BTreeSet<Allow> = (0..dice.roll(6)).map(|_| dice.allow()).collect();
            let is_ingress = round % 2 == 0;
            let class = Class {
                members: [Ipv4Addr::from_bits(7)].into(),
                allows: allows.clone(),
                ..Class::default()
            };
            let classes = BTreeMap::from([("c".to_owned(), class)]);
            let (layout, too_large) = Layout::of(&match is_ingress {
                true => Isolation { ingress: classes, ..Isolation::default() },
                false => Isolation { egress: classes, ..Isolation::default() },
            });
            assert!(too_large.is_empty(), "round {round}");
            let chain = layout.chains.values().next();
            for content in chain.iter().flat_map(|chain| chain.sets.values()) {
                shapes.insert(content.fields.len());
                for one in &content.intervals {
                    let mut others = content.intervals.iter().filter(|other| *other != one);
                    assert!(others.all(|other| !overlap(one, other)), "round {round}: {content:?}");
                }
            }
            for _ in 0..200 {
                let (peer, port) = (dice.roll(44), dice.roll(33) as u16);
                let protocol = [6, 17, 1][dice.roll(3) as usize];
                let (source, destination) = if is_ingress { (peer, 7) } else { (7, peer) };
                let packet = Packet { source, destination, protocol, port };
                let is_allowed = |allow: &Allow| {
                    let ports = match &allow.ports {
                        Ports::All => true,
                        Ports::Of(ports) => ports.iter().any(|range| {
                            number(range.protocol) == protocol && (range.first..=range.last).contains(&port)
                        }),
                    };
                    ports && allow.peers.iter().any(|range| range.contains(Ipv4Addr::from_bits(peer)))
                };
                let got = chain.is_none_or(|chain| passes(chain, &packet));
                assert_eq!(got, allows.iter().any(is_allowed), "round {round}, {packet:?}: {allows:?}");
            }
        }
        assert_eq!(shapes, [2, 3].into(), "sets of each shape were made");
    }

    #[test]
    fn what_is_the_same_for_many_is_said_once() {
        let tcp = |first, last| PortRange { protocol: crate::Protocol::Tcp, first, last };
        let peers = |range: std::ops::Range<u32>| -> SharedSet<AddressRange> {
            range.map(|n| addresses((2 * n, 2 * n))).collect()
        };
        let ports = |range: std::ops::Range<u16>| Ports::Of(range.map(|n| tcp(2 * n, 2 * n)).collect());
        let sizes = |allows: &[Allow]| {
            let sets = laid_out(allows.iter().cloned()).0.sets.into_iter();
            let mut sizes: Vec<String> = sets
                .map(|(name, content)| {
                    format!("{} {}", name.rsplit('-').next().unwrap(), content.intervals.len())
                })
                .collect();
            sizes.sort();
            sizes.join(", ")
        };
        let all: SharedSet<AddressRange> = [AddressRange::ALL].into();
        let many: Vec<Allow> = (0..1000_u32)
            .map(|n| Allow { peers: peers(n..n + 1), ports: Ports::Of([tcp(n as u16, n as u16)].into()) })
            .collect();
        let one_port_each: Vec<Allow> = (0..500_u16)
            .map(|n| Allow { peers: peers(0..100), ports: Ports::Of([tcp(2 * n, 2 * n)].into()) })
            .collect();
        for (name, allows, want) in [
            ("nothing", vec![], ""),
            ("hosts", vec![Allow { peers: peers(0..9), ports: Ports::All }], "hosts 9"),
            ("ports", vec![Allow { peers: all.clone(), ports: ports(0..9) }], "ports 9"),
            ("pairs", vec![Allow { peers: peers(0..9), ports: ports(0..2) }], "pairs 18"),
            ("too many pairs", vec![Allow { peers: peers(0..90), ports: ports(0..9) }], "hosts 90, ports 9"),
            (
                "what is open to all is not said of some",
                vec![
                    Allow { peers: all, ports: ports(0..9) },
                    Allow { peers: peers(0..9), ports: ports(5..12) },
                ],
                "pairs 27, ports 9",
            ),
            ("each its own", many, "pairs 1000"),
            ("a rule for each port", one_port_each, "hosts 100, ports 500"),
        ] {
            assert_eq!(sizes(&allows), want, "{name}");
        }
    }

    fn class(owner: &str, allows: impl IntoIterator<Item = Allow>) -> Class {
        let members = [Ipv4Addr::LOCALHOST].into();
        Class { owner: owner.to_owned(), members, allows: allows.into_iter().collect() }
    }

    /// The chain of one class, and whether all that it allows is in it.
    fn laid_out(allows: impl IntoIterator<Item = Allow>) -> (Chain, bool) {
        let ingress = BTreeMap::from([("c".to_owned(), class("", allows))]);
        let (layout, too_large) = Layout::of(&Isolation { ingress, ..Isolation::default() });
        (layout.chains.into_values().next().unwrap(), too_large.is_empty())
    }

    fn tcp(port: u16) -> Ports {
        Ports::Of([PortRange { protocol: crate::Protocol::Tcp, first: port, last: port }].into())
    }

    /// Half of all addresses but one, at a port of its own: no two rules are alike, and each overlaps with all others.
    fn all_but_one(rules: u32) -> impl Iterator<Item = Allow> {
        (0..rules).map(|n| {
            let cut = 0x0a00_0000 + 256 * n;
            let peers = [addresses((0, cut - 1)), addresses((cut + 1, u32::MAX / 2))].into();
            Allow { peers, ports: tcp(2 * n as u16 + 1) }
        })
    }

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

    #[test]
    fn a_class_that_is_too_large_lets_nothing_pass() {
        let (chain, fits) = laid_out(all_but_one(5000));
        assert!(!fits && chain.sets.is_empty());
        assert_eq!(chain.rules, [[Expression::Go(Verdict::Drop)]]);
        let (chain, fits) = laid_out(all_but_one(100));
        assert!(fits && chain.rules.len() > 1);
    }

    #[test]
    fn nobody_takes_the_room_of_others() {
        // a quarter of what one owner may have, but for a few
        let large = || {
            let peers = (0..MOST_OF_CLASS as u32 - 9).map(|n| addresses((2 * n, 2 * n))).collect();
            [Allow { peers, ports: Ports::All }]
        };
        let mut ingress: BTreeMap<String, Class> =
            (0..6).map(|n| (format!("a/{n}"), class("a", large()))).collect();
        ingress.insert("b/0".to_owned(), class("b", large()));
        let (layout, too_large) = Layout::of(&Isolation { ingress, ..Isolation::default() });
        assert_eq!(too_large, ["a/4".to_owned(), "a/5".to_owned()].into());
        assert_eq!((layout.chains.len(), layout.members.len()), (7, 7), "and all are judged");
    }

    /// Ten hosts a class, of which there are four to an owner; who wants little is there as well.
    #[test]
    fn what_all_have_is_shared_and_the_rest_is_closed() {
        let hosts = |count: u32| {
            let peers = (0..count).map(|n| addresses((2 * n, 2 * n))).collect();
            [Allow { peers, ports: Ports::All }]
        };
        let owners = ["a", "b", "c"];
        let each = owners.iter().flat_map(|owner| (0..4_u8).map(move |n| (*owner, n)));
        let of_owner = |(at, (owner, n)): (usize, (&str, u8))| {
            let members = [Ipv4Addr::from_bits(at as u32)].into();
            (format!("{owner}/{n}"), Class { members, ..class(owner, hosts(10)) })
        };
        let mut ingress: BTreeMap<String, Class> = each.enumerate().map(of_owner).collect();
        ingress.insert("z".to_owned(), class("z", hosts(3)));
        let isolation = Isolation { ingress, ..Isolation::default() };
        for (name, most, want) in [
            ("there is room for all", 123, &[][..]),
            ("all who want more get the same", 93, &["a/3", "b/3", "c/3"]),
            ("what nobody can use goes to the next", 103, &["a/3", "b/3"]),
            ("there is room for who wants little", 12, &["a", "b", "c"]),
        ] {
            let (layout, too_large) = Layout::within(most, &isolation);
            let is_wanted = |class: &&String| want.iter().any(|prefix| class.starts_with(prefix));
            let closed: Vec<&String> = isolation.ingress.keys().filter(is_wanted).collect();
            assert_eq!(too_large.iter().collect::<Vec<_>>(), closed, "{name}");
            assert_eq!(layout.members.len(), 13, "{name}: all are judged");
            let sets: usize = layout.chains.values().map(|chain| chain.sets.len()).sum();
            assert_eq!(sets, 13 - closed.len(), "{name}: what is closed lets nothing pass");
        }
    }
}
