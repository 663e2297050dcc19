use super::*;
use crate::frontends::number;
use crate::isolation::testing::{Dice, addresses, all_but_one};
use crate::{AddressRange, Allow, PortRange, SharedSet};
use std::net::Ipv4Addr;

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
        let class =
            Class { members: [Ipv4Addr::from_bits(7)].into(), allows: allows.clone(), ..Class::default() };
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
            vec![Allow { peers: all, ports: ports(0..9) }, Allow { peers: peers(0..9), ports: ports(5..12) }],
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
