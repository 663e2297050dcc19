//! Where a profile's network lies, and the names that follow from the profile's: of its table, its links and their group.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Where a profile's network lies. Two profiles on one machine must not share a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetConfig {
    pub profile: String,
    /// An address that the machine has; packets from the machine to services carry it.
    pub node_ip: Ipv4Addr,
    pub pod_cidr: Ipv4Net,
    pub service_cidr: Ipv4Net,
    pub load_balancer_cidr: Ipv4Net,
}

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567"; // base32: all of them may stand in a link's name

impl NetConfig {
    /// The address at which pods reach the machine: the first of the pod range.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.pod_cidr.network()).wrapping_add(1))
    }

    /// The profile's nft table.
    pub(crate) fn table(&self) -> String {
        match self.profile.as_str() {
            "monopod" => "monopod".to_owned(),
            other => format!("monopod-{other}"),
        }
    }

    /// What every host-side link of the profile is called at the beginning.
    pub(crate) fn link_prefix(&self) -> String {
        letters(hash(&[b"link", self.profile.as_bytes()]), 5)
    }

    /// The link group of every host-side link of the profile. The kernel sets it with the link's creation, so that a link
    /// whose maker died a moment later is still known to be ours.
    pub(crate) fn link_group(&self) -> u32 {
        (hash(&[b"group", self.profile.as_bytes()]) as u32 & 0x7fff_ffff).max(1)
    }

    /// What the addresses on the loopback carry that are the machine's in the profile's networks. It must begin with the
    /// link's name.
    pub(crate) fn address_label(&self) -> String {
        format!("lo:{}", self.link_prefix())
    }

    /// IFNAMSIZ leaves 15 bytes: five for the profile, ten (50 bits) for the sandbox.
    pub(crate) fn link_name(&self, id: &str) -> String {
        self.link_prefix() + &letters(hash(&[id.as_bytes()]), 10)
    }
}

/// FNV-1a: names must stay the same for all versions of this program, which the standard hasher does not promise.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter().chain(&[0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn letters(hash: u64, count: u32) -> String {
    (0..count).map(|i| char::from(LETTERS[(hash >> (5 * i)) as usize & 31])).collect()
}

#[cfg(test)]
pub(crate) fn example() -> NetConfig {
    NetConfig {
        profile: "monopod".into(),
        node_ip: Ipv4Addr::new(192, 0, 2, 2),
        pod_cidr: "10.244.0.0/19".parse().unwrap(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        load_balancer_cidr: "10.98.0.0/24".parse().unwrap(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_kernel_and_differ() {
        let (one, other) = (example(), NetConfig { profile: "test".into(), ..example() });
        let sandbox = "ab".repeat(32);
        assert_eq!(one.link_name(&sandbox).len(), 15);
        assert_ne!(one.link_name(&sandbox), one.link_name("cd"));
        assert_ne!(one.link_prefix(), other.link_prefix());
        assert_ne!(one.link_group(), other.link_group());
        assert_ne!(one.table(), other.table());
    }

    #[test]
    fn names_do_not_change_between_versions() {
        assert_eq!((example().link_prefix(), example().link_group()), ("n3dg3".to_owned(), 199_203_134));
    }

    #[test]
    fn the_gateway_is_the_first_address() {
        assert_eq!(example().gateway(), Ipv4Addr::new(10, 244, 0, 1));
    }
}
