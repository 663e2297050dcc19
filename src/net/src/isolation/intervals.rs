//! Ranges of addresses and ports as the numbers that are reckoned with, and as a set's intervals. Pure.

use super::ranges::Ranges;
use crate::Protocol;
use crate::frontends::number;
use crate::nft::Interval;
use std::collections::BTreeSet;

pub(super) const EVERY_ADDRESS: (u32, u32) = (0, u32::MAX);
/// A port's place among those of all protocols: one range of numbers for all of them makes one algebra of both.
const PORTS: u32 = 1 << 16;

pub(super) fn numbers(protocol: Protocol, first: u16, last: u16) -> (u32, u32) {
    let base = u32::from(number(protocol)) * PORTS;
    (base + u32::from(first), base + u32::from(last))
}

pub(super) fn hosts(ranges: &Ranges) -> BTreeSet<Interval> {
    let whole = [EVERY_ADDRESS.0.to_be_bytes(), EVERY_ADDRESS.1.to_be_bytes()];
    let interval = |(first, last): &(u32, u32)| Interval {
        first: [first.to_be_bytes(), whole[0]].concat(),
        last: [last.to_be_bytes(), whole[1]].concat(),
    };
    ranges.0.iter().map(interval).collect()
}

pub(super) fn ports(ranges: &Ranges) -> BTreeSet<Interval> {
    let pieces = ranges.0.iter().flat_map(|range| by_protocol(*range));
    pieces.map(|(first, last)| Interval { first: port(first), last: port(last) }).collect()
}

pub(super) fn pairs(pairs: &[((u32, u32), Ranges)]) -> BTreeSet<Interval> {
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
