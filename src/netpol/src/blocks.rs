//! A block of addresses but for some within it. Pure.

use ipnet::Ipv4Net;
use k8s_openapi::api::networking::v1::IPBlock;
use net::AddressRange;
use std::net::Ipv4Addr;

/// Of a block of IPv6 addresses nothing: no packet of this cluster has one.
pub(crate) fn ranges(block: &IPBlock) -> Vec<AddressRange> {
    let Ok(whole) = block.cidr.parse::<Ipv4Net>() else { return Vec::new() };
    let mut except: Vec<AddressRange> = block
        .except
        .iter()
        .flatten()
        .filter_map(|range| Some(AddressRange::from(range.parse::<Ipv4Net>().ok()?)))
        .collect();
    except.sort();
    let whole = AddressRange::from(whole);
    let (mut next, last) = (u64::from(whole.first.to_bits()), u64::from(whole.last.to_bits()));
    let mut left = Vec::new();
    for cut in except {
        let (first, end) = (u64::from(cut.first.to_bits()), u64::from(cut.last.to_bits()));
        if first > next {
            left.push((next, (first - 1).min(last)));
        }
        next = next.max(end + 1);
    }
    left.push((next, last));
    let address = |number: u64| Ipv4Addr::from_bits(number as u32); // no more than `last`
    left.into_iter()
        .filter(|(first, last)| first <= last)
        .map(|(first, last)| AddressRange { first: address(first), last: address(last) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_what_is_left_of_it() {
        for (name, cidr, except, want) in [
            ("whole", "10.0.0.0/8", &[][..], "10.0.0.0-10.255.255.255"),
            ("with a host's bits", "10.1.2.3/24", &[], "10.1.2.0-10.1.2.255"),
            ("everything", "0.0.0.0/0", &[], "0.0.0.0-255.255.255.255"),
            ("but one", "10.0.0.0/24", &["10.0.0.7/32"], "10.0.0.0-10.0.0.6 10.0.0.8-10.0.0.255"),
            ("but the ends", "10.0.0.0/24", &["10.0.0.128/25", "10.0.0.0/32"], "10.0.0.1-10.0.0.127"),
            (
                "but one within another",
                "10.0.0.0/24",
                &["10.0.0.0/25", "10.0.0.8/32"],
                "10.0.0.128-10.0.0.255",
            ),
            ("but the end of all", "0.0.0.0/0", &["128.0.0.0/1"], "0.0.0.0-127.255.255.255"),
            ("but everything", "10.0.0.0/24", &["10.0.0.0/24"], ""),
            ("but what is elsewhere", "10.0.0.0/24", &["11.0.0.0/25"], "10.0.0.0-10.0.0.255"),
            ("of IPv6", "fd00::/8", &[], ""),
        ] {
            let except = Some(except.iter().map(|range| (*range).to_owned()).collect());
            let got: Vec<String> = ranges(&IPBlock { cidr: cidr.to_owned(), except })
                .iter()
                .map(|range| format!("{}-{}", range.first, range.last))
                .collect();
            assert_eq!(got.join(" "), want, "{name}");
        }
    }
}
