//! What the tests of several files begin with.

use super::{AddressRange, Allow, PortRange, Ports};
use std::net::Ipv4Addr;

/// A sequence that is the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % sides
    }

    pub(super) fn range(&mut self, most: u32) -> (u32, u32) {
        let first = self.roll(most);
        // many are one number only
        (first, if self.roll(2) == 0 { first } else { (first + self.roll(8)).min(most - 1) })
    }

    pub(super) fn allow(&mut self) -> Allow {
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

pub(super) fn addresses((first, last): (u32, u32)) -> AddressRange {
    AddressRange { first: Ipv4Addr::from_bits(first), last: Ipv4Addr::from_bits(last) }
}

fn tcp(port: u16) -> Ports {
    Ports::Of([PortRange { protocol: crate::Protocol::Tcp, first: port, last: port }].into())
}

/// Half of all addresses but one, at a port of its own: no two rules are alike, and each overlaps with all others.
pub(super) fn all_but_one(rules: u32) -> impl Iterator<Item = Allow> {
    (0..rules).map(|n| {
        let cut = 0x0a00_0000 + 256 * n;
        let peers = [addresses((0, cut - 1)), addresses((cut + 1, u32::MAX / 2))].into();
        Allow { peers, ports: tcp(2 * n as u16 + 1) }
    })
}
