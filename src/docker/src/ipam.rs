//! Which addresses networks and their members get. Pure.

use crate::error::{ApiError, Result};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A range that networks are cut from when nobody says which addresses they are to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPool {
    pub base: Ipv4Net,
    /// Length of a network's prefix.
    pub size: u8,
}

/// The addresses of one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    pub(crate) range: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
    /// Members that ask for no address get one of these.
    pub(crate) given_from: Option<Ipv4Net>,
    /// Others' addresses in it, by what they are called.
    #[serde(default)]
    pub(crate) auxiliary: BTreeMap<String, Ipv4Addr>,
    /// The user said which.
    pub(crate) is_users: bool,
}

/// One of `IPAM.Config`, as it is sent and shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Wanted {
    pub(crate) subnet: String,
    #[serde(rename = "IPRange")]
    pub(crate) ip_range: String,
    pub(crate) gateway: String,
    #[serde(alias = "AuxAddress")]
    pub(crate) auxiliary_addresses: Option<BTreeMap<String, String>>,
}

/// The IPv4 subnet that the user wants, if any. All that is wrong is said at once, as Docker does.
pub(crate) fn parse(wanted: &[Wanted]) -> Result<Option<Subnet>> {
    let mut wrong = Vec::new();
    let is_four = |w: &&Wanted| !w.subnet.contains(':') && *w != &Wanted::default();
    let all: Vec<Option<Subnet>> = wanted.iter().filter(is_four).map(|w| one(w, &mut wrong)).collect();
    if !wrong.is_empty() {
        return Err(ApiError::bad(format_args!("invalid network config:\n{}", wrong.join("\n"))));
    }
    match &all[..] {
        [] => Ok(None),
        [one] => Ok(one.clone()),
        _ => Err(ApiError::bad("bridge driver doesn't support multiple subnets")),
    }
}

fn one(wanted: &Wanted, wrong: &mut Vec<String>) -> Option<Subnet> {
    let range = cidr("subnet", &wanted.subnet, wrong)?;
    let given_from = match wanted.ip_range.as_str() {
        "" => None,
        text => Some(sub_range(text, range, wrong)?),
    };
    let mut inside = |what: &str, text: &str| address(what, text, range, wrong);
    let gateway = match wanted.gateway.as_str() {
        "" => None,
        text => Some(inside("gateway", text)?),
    };
    let auxiliary = wanted.auxiliary_addresses.iter().flatten();
    let auxiliary = auxiliary
        .map(|(name, text)| Some((name.clone(), inside(&format!("auxiliary address {name}"), text)?)));
    let auxiliary: BTreeMap<_, _> = auxiliary.collect::<Option<_>>()?;
    let subnet = Subnet { range, gateway: range.network(), given_from, auxiliary, is_users: true };
    match gateway.or_else(|| first(&subnet, |address| is_members(&subnet, address))) {
        Some(gateway) => Some(Subnet { gateway, ..subnet }),
        None => {
            wrong.push(format!("invalid subnet {range}: it has no room for a gateway"));
            None
        }
    }
}

fn cidr(what: &str, text: &str, wrong: &mut Vec<String>) -> Option<Ipv4Net> {
    let parsed: Option<Ipv4Net> = text.parse().ok();
    match parsed {
        None => wrong.push(format!("invalid {what} {text}: invalid CIDR block notation")),
        Some(range) if range != range.trunc() => {
            wrong.push(format!("invalid {what} {text}: it should be {}", range.trunc()));
        }
        Some(range) => return Some(range),
    }
    None
}

fn sub_range(text: &str, parent: Ipv4Net, wrong: &mut Vec<String>) -> Option<Ipv4Net> {
    let range = cidr("ip-range", text, wrong)?;
    if range.prefix_len() < parent.prefix_len() {
        wrong.push(format!("invalid ip-range {text}: CIDR block is bigger than its parent subnet {parent}"));
    } else if !parent.contains(&range) {
        wrong.push(format!("invalid ip-range {text}: parent subnet {parent} doesn't contain ip-range"));
    } else {
        return Some(range);
    }
    None
}

fn address(what: &str, text: &str, parent: Ipv4Net, wrong: &mut Vec<String>) -> Option<Ipv4Addr> {
    match text.parse::<Ipv4Addr>() {
        Err(_) => wrong.push(format!("invalid {what}: invalid address")),
        Ok(address) if !parent.contains(&address) => wrong.push(format!(
            "invalid {}: parent subnet {parent} doesn't contain this address",
            if what == "gateway" { format!("gateway {text}") } else { what.to_owned() }
        )),
        Ok(address) => return Some(address),
    }
    None
}

pub(crate) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// The first that meets none of those that are taken.
pub(crate) fn choose(pools: &[AddressPool], taken: &[Ipv4Net]) -> Option<Subnet> {
    let cut = pools.iter().flat_map(|pool| pool.base.subnets(pool.size).into_iter().flatten());
    let range = cut.into_iter().find(|range| !taken.iter().any(|other| overlap(*range, *other)))?;
    let gateway = Ipv4Addr::from(u32::from(range.network()) + 1);
    Some(Subnet { range, gateway, given_from: None, auxiliary: BTreeMap::new(), is_users: false })
}

/// The smallest address that nobody has, as Docker gives them.
pub(crate) fn first_free(subnet: &Subnet, is_taken: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
    first(subnet, |address| is_givable(subnet, address) && !is_taken(address))
}

fn first(subnet: &Subnet, fits: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
    let from = subnet.given_from.unwrap_or(subnet.range);
    let (first, last) = (u32::from(from.network()), u32::from(from.broadcast()));
    (first..=last).map(Ipv4Addr::from).find(|address| fits(*address))
}

/// Neither the network's own address, nor the broadcast's, the gateway's or one that is somebody else's.
pub(crate) fn is_givable(subnet: &Subnet, address: Ipv4Addr) -> bool {
    address != subnet.gateway && is_members(subnet, address)
}

fn is_members(subnet: &Subnet, address: Ipv4Addr) -> bool {
    let range = subnet.range;
    let is_end = range.prefix_len() < 31 && [range.network(), range.broadcast()].contains(&address);
    !is_end && !subnet.auxiliary.values().any(|other| *other == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(subnet: &str, ip_range: &str, gateway: &str) -> Wanted {
        let (subnet, ip_range, gateway) = (subnet.to_owned(), ip_range.to_owned(), gateway.to_owned());
        Wanted { subnet, ip_range, gateway, auxiliary_addresses: None }
    }

    #[test]
    fn what_the_user_says() {
        for (name, wanted, gateway, first) in [
            ("subnet", wanted("10.1.0.0/24", "", ""), "10.1.0.1", "10.1.0.2"),
            ("gateway", wanted("10.1.0.0/24", "", "10.1.0.9"), "10.1.0.9", "10.1.0.1"),
            ("range", wanted("10.1.0.0/16", "10.1.5.0/24", "10.1.0.1"), "10.1.0.1", "10.1.5.0"),
            ("range alone", wanted("10.1.0.0/16", "10.1.5.0/24", ""), "10.1.5.0", "10.1.5.1"),
        ] {
            let subnet = parse(&[wanted]).unwrap().unwrap();
            assert_eq!(subnet.gateway.to_string(), gateway, "{name}");
            assert_eq!(first_free(&subnet, |_| false).unwrap().to_string(), first, "{name}");
        }
        let six = Wanted { subnet: "fd00::/64".into(), ..Wanted::default() };
        assert_eq!(parse(&[six, Wanted::default()]).unwrap(), None, "IPv6 and nothing");
    }

    #[test]
    fn what_is_wrong_is_said_in_dockers_words() {
        for (wanted, why) in [
            (wanted("foobar", "", ""), "invalid subnet foobar: invalid CIDR block notation"),
            (wanted("10.10.10.0/8", "", ""), "invalid subnet 10.10.10.0/8: it should be 10.0.0.0/8"),
            (
                wanted("10.0.0.0/24", "10.0.0.0/8", ""),
                "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 10.0.0.0/24",
            ),
            (
                wanted("10.0.0.0/8", "192.168.0.0/24", ""),
                "invalid ip-range 192.168.0.0/24: parent subnet 10.0.0.0/8 doesn't contain ip-range",
            ),
            (
                wanted("10.0.0.0/8", "", "192.168.0.1"),
                "invalid gateway 192.168.0.1: parent subnet 10.0.0.0/8 doesn't contain this address",
            ),
        ] {
            let refusal = parse(&[wanted]).unwrap_err();
            assert_eq!(refusal.message, format!("invalid network config:\n{why}"));
        }
        let two = [wanted("10.1.0.0/24", "", ""), wanted("10.2.0.0/24", "", "")];
        assert!(parse(&two).unwrap_err().message.contains("multiple subnets"));
    }

    #[test]
    fn a_network_is_cut_where_nobody_else_is() {
        let pool = |base: &str, size| AddressPool { base: base.parse().unwrap(), size };
        let pools = [pool("172.18.0.0/16", 16), pool("192.168.0.0/16", 20)];
        let taken = |list: &[&str]| list.iter().map(|r| r.parse().unwrap()).collect::<Vec<Ipv4Net>>();
        for (name, taken, want) in [
            ("first", taken(&[]), Some("172.18.0.0/16")),
            ("a smaller one in it", taken(&["172.18.7.0/24"]), Some("192.168.0.0/20")),
            ("a larger one around it", taken(&["172.16.0.0/12", "192.168.1.0/24"]), Some("192.168.16.0/20")),
            ("all", taken(&["172.18.0.0/16", "192.168.0.0/16"]), None),
        ] {
            assert_eq!(choose(&pools, &taken).map(|s| s.range.to_string()).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn a_full_network_has_no_address() {
        let point = parse(&[wanted("10.0.0.0/31", "", "")]).unwrap().unwrap();
        assert_eq!(
            first_free(&point, |_| false),
            Some(Ipv4Addr::new(10, 0, 0, 1)),
            "a gateway and one member"
        );
        let subnet = parse(&[wanted("10.0.0.0/30", "", "")]).unwrap().unwrap();
        assert_eq!(first_free(&subnet, |_| false), Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(first_free(&subnet, |address| address.octets()[3] == 2), None);
    }
}
