//! Where ClusterIPs come from: the cluster's own range, and further ones beside it. Pure, but for the handles at the end.
//!
//! Upstream takes any of the ranges that has an address left. Here it is the first of them, so that the cluster's own is used
//! up before another, and the others in the order in which they were made.

use crate::{Cluster, ip_addresses};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::sync::watch;

/// Whether addresses of a range are Services'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeUse {
    Free,
    /// A Service with one is being written, or has just gone: soon it is one of the others.
    Pending,
    /// An IPAddress says so.
    Held,
}

/// The ranges in which Services have addresses, or may get some.
pub(crate) struct ServiceRanges(watch::Sender<Arc<[Ipv4Net]>>);

impl ServiceRanges {
    pub(crate) fn new(own: Ipv4Net) -> Self {
        ServiceRanges(watch::Sender::new([own].into()))
    }

    /// Beside the first, which is the cluster's own.
    fn set_further(&self, further: &[Ipv4Net]) {
        self.0.send_if_modified(|ranges| {
            let new: Arc<[Ipv4Net]> = ranges.iter().take(1).chain(further).copied().collect();
            let is_other = *ranges != new;
            *ranges = new;
            is_other
        });
    }

    pub(crate) fn now(&self) -> Arc<[Ipv4Net]> {
        self.0.borrow().clone()
    }
}

/// The addresses of a range that Services may have.
#[derive(Debug, PartialEq, Eq)]
struct Hosts {
    /// For those who ask by number (KEP-3070); given out when the others are used up.
    lower: Option<RangeInclusive<u32>>,
    upper: RangeInclusive<u32>,
}

impl Hosts {
    /// Neither the network's address nor the broadcast address; `None` where nothing is between them.
    fn of(range: Ipv4Net) -> Option<Self> {
        if range.prefix_len() > 30 {
            return None;
        }
        let (first, last) = (u32::from(range.network()) + 1, u32::from(range.broadcast()) - 1);
        let reserved = reserved(range);
        let lower = (reserved > 0).then(|| first..=first + reserved - 1);
        Some(Hosts { lower, upper: first + reserved..=last })
    }

    fn contain(&self, address: Ipv4Addr) -> bool {
        let number = u32::from(address);
        self.upper.contains(&number) || self.lower.as_ref().is_some_and(|lower| lower.contains(&number))
    }
}

/// Upstream's `calculateRangeOffset`: a sixteenth, at least 16 and at most 256; none of a range that is too small for it.
fn reserved(range: Ipv4Net) -> u32 {
    const STEP: u64 = 16;
    let size = 1_u64 << (32 - range.prefix_len());
    match size {
        ..=STEP => 0,
        size => (size / STEP).clamp(16, 256) as u32,
    }
}

/// The first free address: of each range the upper part from where `pick` says, then the lower.
pub(crate) fn find_free(
    ranges: &[Ipv4Net],
    mut pick: impl FnMut(RangeInclusive<u32>) -> u32,
    is_free: impl Fn(&Ipv4Addr) -> bool,
) -> Option<Ipv4Addr> {
    let hosts = ranges.iter().filter_map(|range| Hosts::of(*range));
    let mut parts = hosts.flat_map(|hosts| [Some(hosts.upper), hosts.lower]).flatten();
    parts.find_map(|part| {
        let start = pick(part.clone());
        let (first, last) = part.into_inner();
        (start..=last).chain(first..start).map(Ipv4Addr::from).find(|address| is_free(address))
    })
}

/// Whether a Service may ask for the address.
///
/// # Errors
/// Upstream's words.
pub(crate) fn admit(ranges: &[Ipv4Net], address: Ipv4Addr) -> Result<(), String> {
    let mut around = ranges.iter().filter(|range| range.contains(&address)).peekable();
    if around.peek().is_none() {
        return Err("the provided network does not match the current range".to_owned());
    }
    match around.any(|range| Hosts::of(*range).is_some_and(|hosts| hosts.contain(address))) {
        true => Ok(()),
        false => Err(format!("provided IP {address} is not in the valid range")),
    }
}

impl Cluster {
    /// The ranges in which Services have addresses, or may get some, the cluster's own first; wakes whoever waits when they
    /// change.
    pub fn service_ranges(&self) -> watch::Receiver<Arc<[Ipv4Net]>> {
        self.0.service_ranges.0.subscribe()
    }

    /// These are the ranges beside the cluster's own in which Services may have addresses from now on.
    pub fn set_further_service_ranges(&self, further: &[Ipv4Net]) {
        self.0.service_ranges.set_further(further);
    }

    /// From now on Services get addresses of these ranges when the cluster's own is full, or where they ask for one, and of no
    /// others. Packets to their addresses must find the Services by now. What was given before stays given.
    pub fn give_service_addresses_from(&self, further: &[Ipv4Net]) {
        self.0.services.give_addresses_from(further);
    }

    /// Whether Services have addresses of the range that are in none of the `others`. Exact once no addresses are given from it
    /// any more: what is on the way counts as well.
    pub fn use_of_service_range(&self, range: Ipv4Net, others: &[Ipv4Net]) -> RangeUse {
        let concerns = |address: &Ipv4Addr| {
            range.contains(address) && !others.iter().any(|other| other.contains(address))
        };
        if ip_addresses::is_any_allocated(&self.store().snapshot(), concerns) {
            RangeUse::Held
        } else if self.0.services.is_any_taken(concerns) {
            RangeUse::Pending
        } else {
            RangeUse::Free
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn nets(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn the_low_addresses_are_for_those_who_ask() {
        let part = |first: &str, last: &str| u32::from(ip(first))..=u32::from(ip(last));
        for (range, lower, upper) in [
            ("10.96.0.0/24", Some(("10.96.0.1", "10.96.0.16")), ("10.96.0.17", "10.96.0.254")),
            ("10.96.0.0/20", Some(("10.96.0.1", "10.96.1.0")), ("10.96.1.1", "10.96.15.254")),
            ("10.96.0.0/12", Some(("10.96.0.1", "10.96.1.0")), ("10.96.1.1", "10.111.255.254")),
            ("10.96.0.0/27", Some(("10.96.0.1", "10.96.0.16")), ("10.96.0.17", "10.96.0.30")),
            ("10.96.0.0/28", None, ("10.96.0.1", "10.96.0.14")),
            ("10.96.0.0/30", None, ("10.96.0.1", "10.96.0.2")),
        ] {
            let hosts = Hosts::of(range.parse().unwrap()).unwrap();
            let want = Hosts { lower: lower.map(|(a, b)| part(a, b)), upper: part(upper.0, upper.1) };
            assert_eq!(hosts, want, "{range}");
        }
        for range in ["10.96.0.0/31", "10.96.0.7/32", "0.0.0.0/32", "255.255.255.255/32"] {
            assert_eq!(Hosts::of(range.parse().unwrap()), None, "{range}");
        }
    }

    #[test]
    fn the_first_range_is_used_up_before_the_next() {
        let cases = [
            ("one range", nets(&["10.96.0.0/30"]), vec!["10.96.0.1", "10.96.0.2"]),
            (
                "a further one",
                nets(&["10.96.0.0/30", "10.250.0.0/30"]),
                vec!["10.96.0.1", "10.96.0.2", "10.250.0.1", "10.250.0.2"],
            ),
            ("too small", nets(&["10.96.0.0/31", "10.250.0.0/30"]), vec!["10.250.0.1", "10.250.0.2"]),
            (
                "one within another",
                nets(&["10.96.0.0/30", "10.96.0.0/29"]),
                vec!["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4", "10.96.0.5", "10.96.0.6"],
            ),
            ("none", Vec::new(), Vec::new()),
        ];
        for (name, ranges, want) in cases {
            let mut taken = HashSet::new();
            let mut given = Vec::new();
            while let Some(address) = find_free(&ranges, |part| *part.start(), |ip| !taken.contains(ip)) {
                taken.insert(address);
                given.push(address.to_string());
            }
            assert_eq!(given, want, "{name}");
        }
    }

    #[test]
    fn every_address_is_found_wherever_the_search_begins() {
        let ranges = nets(&["10.96.0.0/24"]);
        for begin in [0, 1, 100, 252] {
            let mut taken = HashSet::new();
            let pick = |part: RangeInclusive<u32>| (*part.start() + begin).min(*part.end());
            while let Some(address) = find_free(&ranges, pick, |ip| !taken.contains(ip)) {
                let is_low = address <= ip("10.96.0.16");
                assert_eq!(is_low, taken.len() >= 238, "{begin}: {address}");
                taken.insert(address);
            }
            assert_eq!(taken.len(), 254, "{begin}");
        }
    }

    #[test]
    fn who_asks_by_number_is_told_what_is_wrong_with_it() {
        let ranges = nets(&["10.96.0.0/24", "10.250.0.0/30"]);
        let out = "the provided network does not match the current range";
        for (address, want) in [
            ("10.96.0.1", Ok(())),
            ("10.96.0.254", Ok(())),
            ("10.250.0.2", Ok(())),
            ("10.250.0.0", Err("provided IP 10.250.0.0 is not in the valid range")),
            ("10.250.0.3", Err("provided IP 10.250.0.3 is not in the valid range")),
            ("10.250.0.4", Err(out)),
            ("192.0.2.1", Err(out)),
        ] {
            assert_eq!(admit(&ranges, ip(address)), want.map_err(str::to_owned), "{address}");
        }
        // the last address of one range lies in the middle of another
        let nested = nets(&["10.96.0.0/24", "10.96.0.0/16"]);
        assert_eq!(admit(&nested, ip("10.96.0.255")), Ok(()));
    }

    #[test]
    fn whoever_follows_the_ranges_hears_of_changes_only() {
        let ranges = ServiceRanges::new("10.96.0.0/24".parse().unwrap());
        let mut follower = ranges.0.subscribe();
        ranges.set_further(&[]);
        assert!(!follower.has_changed().unwrap());
        ranges.set_further(&nets(&["10.250.0.0/24"]));
        assert!(follower.has_changed().unwrap());
        assert_eq!(follower.borrow_and_update()[..], nets(&["10.96.0.0/24", "10.250.0.0/24"])[..]);
        ranges.set_further(&[]);
        assert_eq!(ranges.now()[..], nets(&["10.96.0.0/24"])[..]);
    }
}
