//! What becomes of each ServiceCIDR. Pure.

use cluster::RangeUse;
use ipnet::Ipv4Net;
use k8s_openapi::api::networking::v1::{ServiceCIDR, ServiceCIDRStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

const READY: &str = "Ready";

/// An object, and what is known of the range that it asks for.
pub(super) struct Claim {
    pub(super) object: ServiceCIDR,
    /// Its part that is IPv4.
    pub(super) range: Option<Ipv4Net>,
    /// What it has beside that.
    other_family: Option<String>,
    /// Why packets to it can not be led to Services.
    pub(super) obstacle: Option<String>,
    /// It could not be given the finalizer: it may go at any time, and no address may be given from it.
    pub(super) is_unprotected: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Addresses are given from it.
    Ready,
    /// None are, and no packet is led.
    Unusable { reason: &'static str, message: String },
    /// It is on its way out, and goes when no Service has an address that is in no other range.
    Gone(RangeUse),
}

impl Claim {
    pub(super) fn new(object: ServiceCIDR) -> Self {
        let cidrs = object.spec.as_ref().and_then(|spec| spec.cidrs.as_deref()).unwrap_or_default();
        let range = cidrs.iter().find_map(|cidr| cidr.parse().ok());
        let other_family = cidrs.iter().find(|cidr| cidr.parse::<Ipv4Net>().is_err()).cloned();
        Claim { object, range, other_family, obstacle: None, is_unprotected: false }
    }

    /// The cluster's own range as an object: nothing protects it, since it is made again at once.
    pub(super) fn is_of(&self, own: Ipv4Net) -> bool {
        self.object.metadata.name.as_deref() == Some("kubernetes") && self.range == Some(own)
    }

    fn is_going(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    fn is_usable(&self) -> bool {
        let is_good = self.range.is_some() && self.other_family.is_none() && self.obstacle.is_none();
        is_good && !self.is_unprotected
    }
}

/// The ranges that addresses are given from beside the cluster's own, the first that was made first.
pub(super) fn served(claims: &[Claim], own: Ipv4Net) -> Vec<Ipv4Net> {
    let mut used: Vec<&Claim> =
        claims.iter().filter(|claim| !claim.is_going() && claim.is_usable()).collect();
    used.sort_by_key(|claim| {
        let meta = &claim.object.metadata;
        (meta.creation_timestamp.as_ref(), meta.name.as_deref())
    });
    let mut ranges = Vec::new();
    for range in used.into_iter().filter_map(|claim| claim.range) {
        if range != own && !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    ranges
}

/// The ranges that the machine must lead to Services beside the cluster's own: those that addresses are given from, and those
/// that go or became unusable while Services have addresses of theirs.
pub(super) fn led(
    claims: &[Claim],
    served: &[Ipv4Net],
    own: Ipv4Net,
    use_of: impl Fn(Ipv4Net) -> RangeUse,
) -> Vec<Ipv4Net> {
    let mut ranges = served.to_vec();
    let possible = claims.iter().filter(|claim| claim.obstacle.is_none()).filter_map(|claim| claim.range);
    for range in possible {
        let is_led = own.contains(&range) || ranges.iter().any(|led| led.contains(&range));
        if !is_led && use_of(range) != RangeUse::Free {
            ranges.push(range);
        }
    }
    ranges
}

/// `use_of` says whether a range has addresses that are in no range that is used.
pub(super) fn verdict(claim: &Claim, use_of: impl Fn(Ipv4Net) -> RangeUse) -> Verdict {
    if claim.is_going() {
        return Verdict::Gone(claim.range.map_or(RangeUse::Free, use_of));
    }
    match (&claim.other_family, &claim.obstacle, claim.range) {
        (Some(cidr), ..) => Verdict::Unusable {
            reason: "UnsupportedIPFamily",
            message: format!("Services get no addresses from {cidr}: the cluster has IPv4 only"),
        },
        (None, Some(why), Some(range)) => Verdict::Unusable {
            reason: "NetworkConflict",
            message: format!("Services get no addresses from {range} on this node: {why}"),
        },
        _ => Verdict::Ready,
    }
}

/// With the other conditions as they are. The words are upstream's where it has some.
pub(super) fn status(object: &ServiceCIDR, verdict: &Verdict, now: jiff::Timestamp) -> ServiceCIDRStatus {
    let (state, reason, message) = match verdict {
        Verdict::Ready => ("True", "", "Kubernetes Service CIDR is ready"),
        Verdict::Unusable { reason, message } => ("False", *reason, message.as_str()),
        Verdict::Gone(_) => (
            "False",
            "Terminating",
            "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
        ),
    };
    let mut status = object.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    let before = conditions.iter().position(|c| c.type_ == READY).map(|at| conditions.remove(at));
    let since =
        before.as_ref().filter(|before| before.status == state).map(|b| b.last_transition_time.clone());
    let now = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
    conditions.push(Condition {
        type_: READY.to_owned(),
        status: state.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: since.unwrap_or(Time(now)),
        observed_generation: None,
    });
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OWN: &str = "10.96.0.0/16";

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    /// `made` is the second in which it was made.
    fn claim(name: &str, made: u8, cidrs: &[&str]) -> Claim {
        let made = format!("2026-01-01T00:00:{made:02}Z");
        let object = json!({"metadata": {"name": name, "creationTimestamp": made}, "spec": {"cidrs": cidrs}});
        Claim::new(serde_json::from_value(object).unwrap())
    }

    fn going(mut claim: Claim) -> Claim {
        claim.object.metadata.deletion_timestamp = claim.object.metadata.creation_timestamp.clone();
        claim
    }

    fn in_the_way(mut claim: Claim) -> Claim {
        claim.obstacle = Some("it overlaps 192.168.1.0/24, to which this node has a route".to_owned());
        claim
    }

    fn unprotected(mut claim: Claim) -> Claim {
        claim.is_unprotected = true;
        claim
    }

    fn default() -> Claim {
        claim("kubernetes", 0, &[OWN])
    }

    #[test]
    fn what_is_ready_is_served_in_the_order_in_which_it_was_made() {
        let (a, b) = ("10.250.0.0/24", "10.251.0.0/24");
        for (name, claims, want) in [
            ("the default one", vec![default()], vec![]),
            ("by age", vec![default(), claim("a", 9, &[b]), claim("b", 3, &[a])], vec![a, b]),
            ("by name", vec![claim("y", 1, &[b]), claim("x", 1, &[a]), default()], vec![a, b]),
            ("twice the same", vec![claim("y", 1, &[a]), claim("x", 2, &[a])], vec![a]),
            ("the default one again", vec![default(), claim("x", 2, &[OWN])], vec![]),
            ("one that goes", vec![going(claim("x", 1, &[a])), claim("y", 2, &[b])], vec![b]),
            (
                "one that goes and another like it",
                vec![going(claim("x", 1, &[a])), claim("y", 2, &[a])],
                vec![a],
            ),
            ("one that is in the way", vec![in_the_way(claim("x", 1, &[a])), claim("y", 2, &[b])], vec![b]),
            ("one that may go", vec![unprotected(claim("x", 1, &[a])), claim("y", 2, &[b])], vec![b]),
            ("IPv6", vec![claim("x", 1, &["fd00::/112"]), claim("y", 2, &[a, "fd01::/112"])], vec![]),
        ] {
            let want: Vec<Ipv4Net> = want.into_iter().map(net).collect();
            assert_eq!(served(&claims, net(OWN)), want, "{name}");
        }
    }

    #[test]
    fn a_range_is_led_to_as_long_as_an_address_lives_in_it() {
        let a = "10.250.0.0/24";
        let cases = [
            ("ready and unused", claim("x", 1, &[a]), RangeUse::Free, true),
            ("goes, unused", going(claim("x", 1, &[a])), RangeUse::Free, false),
            ("goes, being written", going(claim("x", 1, &[a])), RangeUse::Pending, true),
            ("goes, used", going(claim("x", 1, &[a])), RangeUse::Held, true),
            ("in the way", in_the_way(claim("x", 1, &[a])), RangeUse::Held, false),
            ("may go, used", unprotected(claim("x", 1, &[a])), RangeUse::Held, true),
            ("may go, unused", unprotected(claim("x", 1, &[a])), RangeUse::Free, false),
            ("got a second family, used", claim("x", 1, &[a, "fd01::/112"]), RangeUse::Held, true),
            ("got a second family, unused", claim("x", 1, &[a, "fd01::/112"]), RangeUse::Free, false),
        ];
        for (name, claim, used, want) in cases {
            let claims = [claim];
            let ranges = led(&claims, &served(&claims, net(OWN)), net(OWN), |_| used);
            assert_eq!(ranges == [net(a)], want, "{name}: {ranges:?}");
        }
    }

    #[test]
    fn its_condition_says_what_it_is_good_for() {
        let waits = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
        let a = "10.250.0.0/24";
        let cases = [
            ("default", default(), RangeUse::Held, "True", "", "Kubernetes Service CIDR is ready"),
            ("ready", claim("x", 1, &[a]), RangeUse::Free, "True", "", "Kubernetes Service CIDR is ready"),
            (
                "IPv6",
                claim("x", 1, &["fd00::/112"]),
                RangeUse::Free,
                "False",
                "UnsupportedIPFamily",
                "Services get no addresses from fd00::/112: the cluster has IPv4 only",
            ),
            (
                "both families",
                claim("x", 1, &[a, "fd00::/112"]),
                RangeUse::Held,
                "False",
                "UnsupportedIPFamily",
                "Services get no addresses from fd00::/112: the cluster has IPv4 only",
            ),
            (
                "in the way",
                in_the_way(claim("x", 1, &["192.168.0.0/16"])),
                RangeUse::Free,
                "False",
                "NetworkConflict",
                "Services get no addresses from 192.168.0.0/16 on this node: it overlaps 192.168.1.0/24, to which this node has a route",
            ),
            ("waits", going(claim("x", 1, &[a])), RangeUse::Held, "False", "Terminating", waits),
        ];
        for (name, mut claim, used, state, reason, message) in cases {
            let verdict = verdict(&claim, |_| used);
            let at = |second| jiff::Timestamp::from_second(second).unwrap();
            let first = status(&claim.object, &verdict, at(100));
            let shown = &first.conditions.as_ref().unwrap()[0];
            assert_eq!((&*shown.status, &*shown.reason, &*shown.message), (state, reason, message), "{name}");
            // looked at again, nothing changes
            claim.object.status = Some(first.clone());
            assert_eq!(status(&claim.object, &verdict, at(200)), first, "{name}");
        }
    }

    #[test]
    fn what_goes_is_held_by_addresses_that_are_in_no_other_range() {
        for used in [RangeUse::Free, RangeUse::Pending, RangeUse::Held] {
            let of_range = verdict(&going(claim("x", 1, &["10.250.0.0/24"])), |_| used);
            assert_eq!(of_range, Verdict::Gone(used));
        }
        let without = verdict(&going(claim("x", 1, &["fd00::/112"])), |_| RangeUse::Held);
        assert_eq!(without, Verdict::Gone(RangeUse::Free));
    }
}
