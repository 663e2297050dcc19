//! Who has which load-balancer address. Pure.

use api::ObjectKey;
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::Ipv4Addr;

#[derive(Debug)]
pub(crate) struct Addresses {
    range: Ipv4Net,
    owners: BTreeMap<Ipv4Addr, ObjectKey>,
    of: HashMap<ObjectKey, Ipv4Addr>,
}

/// Why a service has no address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    OutOfRange(Ipv4Addr, Ipv4Net),
    Taken(Ipv4Addr, ObjectKey),
    Full(Ipv4Net),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::OutOfRange(address, range) => write!(f, "loadBalancerIP {address} is not in {range}"),
            Refusal::Taken(address, owner) => {
                write!(f, "loadBalancerIP {address} belongs to service {owner}")
            }
            Refusal::Full(range) => write!(f, "every address of {range} is taken"),
        }
    }
}

impl Addresses {
    pub(crate) fn new(range: Ipv4Net) -> Self {
        Addresses { range, owners: BTreeMap::new(), of: HashMap::new() }
    }

    /// The address it asks for, else the one that it has, else the smallest that is free.
    pub(crate) fn take(&mut self, service: &ObjectKey, asked: Option<Ipv4Addr>) -> Result<Ipv4Addr, Refusal> {
        let address = match (asked, self.of.get(service)) {
            (Some(asked), _) => self.may_have(service, asked)?,
            (None, Some(has)) => *has,
            (None, None) => self.smallest_free().ok_or(Refusal::Full(self.range))?,
        };
        self.release(service);
        self.owners.insert(address, service.clone());
        self.of.insert(service.clone(), address);
        Ok(address)
    }

    pub(crate) fn of(&self, service: &ObjectKey) -> Option<Ipv4Addr> {
        self.of.get(service).copied()
    }

    /// Whether there was something to give back.
    pub(crate) fn release(&mut self, service: &ObjectKey) -> bool {
        self.of.remove(service).and_then(|address| self.owners.remove(&address)).is_some()
    }

    fn may_have(&self, service: &ObjectKey, asked: Ipv4Addr) -> Result<Ipv4Addr, Refusal> {
        match self.owners.get(&asked) {
            _ if !self.range.contains(&asked) => Err(Refusal::OutOfRange(asked, self.range)),
            Some(owner) if owner != service => Err(Refusal::Taken(asked, owner.clone())),
            _ => Ok(asked),
        }
    }

    fn smallest_free(&self) -> Option<Ipv4Addr> {
        // without the network's own address and the broadcast address, which some clients refuse to speak to
        self.range.hosts().find(|address| !self.owners.contains_key(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::namespaced("default", name)
    }

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 98, 0, last)
    }

    fn small() -> Addresses {
        Addresses::new("10.98.0.0/30".parse().unwrap())
    }

    #[test]
    fn a_service_keeps_its_address_until_it_lets_go() {
        let mut addresses = small();
        assert_eq!(addresses.take(&key("a"), None), Ok(ip(1)));
        assert_eq!(addresses.take(&key("b"), None), Ok(ip(2)));
        assert_eq!(addresses.take(&key("a"), None), Ok(ip(1)), "again");
        assert_eq!(addresses.take(&key("c"), None), Err(Refusal::Full("10.98.0.0/30".parse().unwrap())));
        assert!(addresses.release(&key("a")));
        assert!(!addresses.release(&key("a")));
        assert_eq!(addresses.take(&key("c"), None), Ok(ip(1)));
    }

    #[test]
    fn what_is_asked_for_is_given_where_it_is_free() {
        let mut addresses = small();
        assert_eq!(addresses.take(&key("a"), Some(ip(2))), Ok(ip(2)));
        assert_eq!(addresses.take(&key("b"), Some(ip(2))), Err(Refusal::Taken(ip(2), key("a"))));
        assert!(matches!(addresses.take(&key("b"), Some(ip(9))), Err(Refusal::OutOfRange(..))));
        assert_eq!(addresses.take(&key("a"), Some(ip(1))), Ok(ip(1)), "it moves");
        assert_eq!(addresses.take(&key("b"), Some(ip(2))), Ok(ip(2)), "and what it had is free");
    }
}
