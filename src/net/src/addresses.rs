//! Which addresses of the pod range are taken. Pure.

use crate::{NetError, Result};
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Hands out the smallest free address above the one given last, and begins anew at the top: what was just freed is
/// not taken by the next pod, to which others may still be sending.
#[derive(Debug)]
pub(crate) struct Addresses {
    range: Ipv4Net,
    taken: BTreeSet<u32>,
    last: u32,
    /// It is known which one was given last: those in use tell nothing of it.
    is_resumed: bool,
}

impl Addresses {
    pub(crate) fn new(range: Ipv4Net) -> Self {
        let gateway = u32::from(range.network()).wrapping_add(1);
        Addresses { range, taken: BTreeSet::new(), last: gateway, is_resumed: false }
    }

    pub(crate) fn take(&mut self) -> Result<Ipv4Addr> {
        // the network's own address, the gateway and the broadcast address are nobody's
        let first = u32::from(self.range.network()).saturating_add(2);
        let last = u32::from(self.range.broadcast()).saturating_sub(1);
        let after = self.last.saturating_add(1).max(first);
        let free =
            smallest_free(&self.taken, after, last).or_else(|| smallest_free(&self.taken, first, last));
        let address = free.ok_or(NetError::NoAddress(self.range))?;
        self.taken.insert(address);
        self.last = address;
        Ok(Ipv4Addr::from(address))
    }

    /// Takes this very one, which a pod has already.
    pub(crate) fn reserve(&mut self, address: Ipv4Addr) {
        self.taken.insert(address.into());
        if !self.is_resumed {
            self.last = self.last.max(address.into());
        }
    }

    /// Goes on behind the one that was given last before the start.
    pub(crate) fn resume(&mut self, last: Ipv4Addr) {
        if self.range.contains(&last) {
            (self.last, self.is_resumed) = (last.into(), true);
        }
    }

    pub(crate) fn free(&mut self, address: Ipv4Addr) {
        self.taken.remove(&u32::from(address));
    }
}

fn smallest_free(taken: &BTreeSet<u32>, first: u32, last: u32) -> Option<u32> {
    if first > last {
        return None;
    }
    let mut candidate = first;
    for address in taken.range(first..=last) {
        if *address != candidate {
            break;
        }
        candidate += 1;
    }
    (candidate <= last).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Addresses {
        Addresses::new("10.0.0.0/29".parse().unwrap())
    }

    fn take(addresses: &mut Addresses) -> Option<u8> {
        addresses.take().ok().map(|address| address.octets()[3])
    }

    #[test]
    fn all_but_network_gateway_and_broadcast_are_given_out() {
        let mut addresses = small();
        let given: Vec<_> = std::iter::from_fn(|| take(&mut addresses)).collect();
        assert_eq!(given, [2, 3, 4, 5, 6]);
        assert!(matches!(addresses.take(), Err(NetError::NoAddress(_))));
    }

    #[test]
    fn a_freed_address_rests_until_the_others_were_given() {
        let mut addresses = small();
        assert_eq!((take(&mut addresses), take(&mut addresses)), (Some(2), Some(3)));
        addresses.free(Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!([(); 4].map(|()| take(&mut addresses)), [Some(4), Some(5), Some(6), Some(2)]);
        assert_eq!(take(&mut addresses), None);
    }

    #[test]
    fn booked_addresses_are_not_given_again() {
        let mut addresses = small();
        for last in [3, 5] {
            addresses.reserve(Ipv4Addr::new(10, 0, 0, last));
        }
        assert_eq!([(); 3].map(|()| take(&mut addresses)), [Some(6), Some(2), Some(4)]);
    }

    #[test]
    fn a_freed_address_rests_over_a_restart_too() {
        let cases = [
            // (reserved before it is known, given last, reserved after, given next)
            ("the highest has ended", vec![2], Some(4), vec![], [Some(5), Some(6), Some(3)]),
            ("it has begun anew", vec![6], Some(3), vec![5], [Some(4), Some(2), Some(3)]),
            ("the last of the range", vec![], Some(6), vec![2], [Some(3), Some(4), Some(5)]),
            ("nothing is known", vec![2], None, vec![4], [Some(5), Some(6), Some(3)]),
        ];
        for (name, before, last, after, want) in cases {
            let mut addresses = small();
            let address = |last: u8| Ipv4Addr::new(10, 0, 0, last);
            before.into_iter().for_each(|one| addresses.reserve(address(one)));
            if let Some(last) = last {
                addresses.resume(address(last));
            }
            after.into_iter().for_each(|one| addresses.reserve(address(one)));
            assert_eq!([(); 3].map(|()| take(&mut addresses)), want, "{name}");
        }
        let mut elsewhere = small();
        elsewhere.resume(Ipv4Addr::new(10, 9, 9, 9));
        assert_eq!(take(&mut elsewhere), Some(2), "of a range that the profile had before");
    }

    #[test]
    fn a_range_without_room_has_no_address() {
        for range in ["10.0.0.0/30", "10.0.0.0/31", "255.255.255.255/32", "0.0.0.0/32"] {
            let mut addresses = Addresses::new(range.parse().unwrap());
            let given = std::iter::from_fn(|| addresses.take().ok()).count();
            assert_eq!(given, usize::from(range.ends_with("/30")), "{range}");
        }
    }
}
