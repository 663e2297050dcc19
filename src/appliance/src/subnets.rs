//! Which ranges of addresses a profile has: each one's are its own, so that clusters live side by side, and the same whenever the
//! profile is made again, where no other has taken them meanwhile.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Each profile has a slot of 8,192 addresses of each kind: 10.96.0.0/19 for services, 10.98.0.0/19 for load balancers and
/// 10.244.0.0/19 for pods of the first profile.
pub(crate) const SLOT_PREFIX: u8 = 19;
const SERVICES: u8 = 96;
const LOAD_BALANCERS: u8 = 98;
const PODS: u8 = 244;
const SLOT_WIDTH: u8 = 32;
/// Beside the first one, which is the default profile's alone.
const OTHER_SLOTS: u8 = 7;

/// What a new profile is given.
pub(crate) struct Subnets {
    pub pods: Ipv4Net,
    pub services: Ipv4Net,
    pub load_balancers: Ipv4Net,
}

impl Subnets {
    /// The slot that the profile's name leads to, or the next one whose range of pods nobody has. Where all are taken it is the
    /// first of these: the others may be stopped, or in another network.
    pub(crate) fn beside(profile: &str, taken: &[Ipv4Net]) -> Self {
        if profile == crate::paths::DEFAULT_PROFILE {
            return Subnets::at(0);
        }
        let own = hash(profile) % OTHER_SLOTS;
        let mut slots = (0..OTHER_SLOTS).map(|further| Subnets::at(1 + (own + further) % OTHER_SLOTS));
        slots.find(|subnets| !taken.contains(&subnets.pods)).unwrap_or_else(|| Subnets::at(1 + own))
    }

    fn at(slot: u8) -> Self {
        let third = slot * SLOT_WIDTH;
        Subnets {
            pods: net(PODS, third),
            services: net(SERVICES, third),
            load_balancers: net(LOAD_BALANCERS, third),
        }
    }
}

/// What Docker's networks are cut from, with the length of each one's prefix: for the first profile Docker's own ranges,
/// for each other slot a part of 10.128.0.0/10.
pub(crate) fn docker_pools(pods: &Ipv4Net) -> impl Iterator<Item = (Ipv4Net, u8)> + use<> {
    let slot = pods.network().octets()[2] / SLOT_WIDTH;
    let net = |a, b, prefix| Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix);
    let classic = (17..=31).map(move |second| (net(172, second, 16), 16)).chain([(net(192, 168, 16), 20)]);
    let others = [(net(10, 128 + 8 * slot, 13), 20)].into_iter();
    classic.filter(move |_| slot == 0).chain(others.filter(move |_| slot != 0))
}

fn net(second: u8, third: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, second, third, 0), SLOT_PREFIX)
}

/// FNV-1a, folded: the same slot for the same name on every machine.
fn hash(name: &str) -> u8 {
    let hash = name.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    hash.to_le_bytes().iter().fold(0, |a, b| a ^ b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_subnets_of_their_own_and_find_the_same_again() {
        let subnets = |profile: &str| {
            let Subnets { pods, services, load_balancers } = Subnets::beside(profile, &[]);
            [pods, services, load_balancers].map(|net| net.to_string())
        };
        assert_eq!(subnets("monopod"), ["10.244.0.0/19", "10.96.0.0/19", "10.98.0.0/19"]);
        assert_eq!(subnets("other"), subnets("other"));
        assert_ne!(subnets("other"), subnets("monopod"));
    }

    #[test]
    fn names_that_lead_to_one_slot_have_subnets_of_their_own() {
        let names = ["e", "f", "a", "b", "c", "d", "g"];
        assert_eq!(Subnets::beside("e", &[]).pods, Subnets::beside("f", &[]).pods, "the case that is meant");
        let mut taken = vec![Subnets::beside("monopod", &[]).pods];
        for name in names {
            let pods = Subnets::beside(name, &taken).pods;
            assert!(!taken.contains(&pods), "{name}: {pods} of {taken:?}");
            taken.push(pods);
        }
        assert_eq!(Subnets::beside("h", &taken).pods, Subnets::beside("h", &[]).pods, "there is none left");
        assert_eq!(Subnets::beside("monopod", &taken).pods, taken[0]);
    }

    #[test]
    fn profiles_cut_dockers_networks_from_ranges_of_their_own() {
        let pools = |profile: &str| docker_pools(&Subnets::beside(profile, &[]).pods).collect::<Vec<_>>();
        assert_eq!(pools("monopod")[0].0.to_string(), "172.17.0.0/16", "Docker's own bridge");
        assert_eq!(pools("monopod").len(), 16);
        for other in ["other", "test", "a", "b", "c"] {
            let [(base, _)] = pools(other)[..] else { panic!("one range for {other}") };
            assert!("10.128.0.0/10".parse::<Ipv4Net>().unwrap().contains(&base), "{other}: {base}");
        }
    }
}
