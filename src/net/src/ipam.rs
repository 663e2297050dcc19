//! Who is connected, with which address. Pure but for what [`Ipam::load`] reads, and the file of [`Ipam::resume`].

use crate::addresses::Addresses;
use crate::last_address::LastAddress;
use crate::links::Links;
use crate::{Attachment, NetConfig, Result};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

struct Member {
    link: String,
    /// Where its host ports lead.
    outlet: Option<Ipv4Addr>,
}

pub(crate) struct Ipam {
    addresses: Addresses,
    /// Where the address is written down that was given last.
    last: Option<LastAddress>,
    attached: HashMap<String, Attachment>,
    /// Who is in networks beside the pods'.
    members: HashMap<String, Member>,
    /// Found at the start, by link: theirs until somebody adopts them or the garbage is collected.
    found: HashMap<String, Ipv4Addr>,
    /// Who has a host port of UDP, whose flows outlive the pod.
    pub(crate) udp: HashSet<String>,
}

impl Ipam {
    pub(crate) async fn load(config: &NetConfig, links: &Links) -> Result<Self> {
        let mut ipam = Ipam::new(config);
        let routes: HashMap<u32, Ipv4Addr> = links.pod_routes().await?.into_iter().collect();
        for link in links.of_profile(config).await? {
            // a link's other addresses are those of networks beside the pods'
            let of_pod = routes.get(&link.index).filter(|address| config.pod_cidr.contains(*address));
            if let Some(address) = of_pod {
                ipam.addresses.reserve(*address);
                ipam.found.insert(link.name, *address);
            }
        }
        Ok(ipam)
    }

    fn new(config: &NetConfig) -> Self {
        Ipam {
            addresses: Addresses::new(config.pod_cidr),
            last: None,
            attached: HashMap::new(),
            members: HashMap::new(),
            found: HashMap::new(),
            udp: HashSet::new(),
        }
    }

    /// Goes on behind the address that this file says was given last, and writes down there from now on which one is.
    pub(crate) fn resume(&mut self, path: &Path) -> io::Result<()> {
        let (record, last) = LastAddress::open(path)?;
        if let Some(last) = last {
            self.addresses.resume(last);
        }
        self.last = Some(record);
        Ok(())
    }

    pub(crate) fn take(&mut self, id: &str, config: &NetConfig) -> Result<Attachment> {
        if let Some(attachment) = self.attached.get(id) {
            return Ok(attachment.clone());
        }
        let attachment = Attachment { ip: self.addresses.take()?, link: config.link_name(id) };
        if let Some(Err(error)) = self.last.as_ref().map(|record| record.write(attachment.ip)) {
            tracing::warn!(%error, "write down which address was given last");
        }
        self.attached.insert(id.to_owned(), attachment.clone());
        Ok(attachment)
    }

    pub(crate) fn adopt(&mut self, id: &str, attachment: &Attachment) {
        self.found.remove(&attachment.link);
        self.addresses.reserve(attachment.ip);
        self.attached.insert(id.to_owned(), attachment.clone());
    }

    /// True where it was not known before.
    pub(crate) fn join(&mut self, id: &str, config: &NetConfig) -> bool {
        let member = Member { link: config.link_name(id), outlet: None };
        self.found.remove(&member.link);
        match self.members.entry(id.to_owned()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(member);
                true
            }
        }
    }

    pub(crate) fn leads_to(&mut self, id: &str, outlet: Option<Ipv4Addr>) {
        if let Some(member) = self.members.get_mut(id) {
            member.outlet = outlet;
        }
    }

    pub(crate) fn leads_udp(&self, id: &str) -> Option<Ipv4Addr> {
        let pod = self.attached.get(id).map(|attachment| attachment.ip);
        let member = || self.members.get(id).and_then(|member| member.outlet);
        pod.or_else(member).filter(|_| self.udp.contains(id))
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.udp.remove(id);
        self.members.remove(id);
        if let Some(attachment) = self.attached.remove(id) {
            self.addresses.free(attachment.ip);
        }
    }

    pub(crate) fn knows(&self, link: &str) -> bool {
        self.attached.values().any(|attachment| attachment.link == link)
            || self.members.values().any(|member| member.link == link)
    }

    pub(crate) fn forget_found(&mut self) {
        let attached: Vec<Ipv4Addr> = self.attached.values().map(|attachment| attachment.ip).collect();
        for address in std::mem::take(&mut self.found).into_values().filter(|a| !attached.contains(a)) {
            self.addresses.free(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::last_address::tests::Scratch;

    #[test]
    fn an_address_does_not_come_back_because_the_daemon_does() {
        let (scratch, config) = (Scratch::new("ipam"), crate::config::example());
        let started = || {
            let mut ipam = Ipam::new(&config);
            ipam.resume(&scratch.0).unwrap();
            ipam
        };
        let mut ipam = started();
        let given = ["a", "b", "c"].map(|id| ipam.take(id, &config).unwrap());
        ipam.forget("b");
        ipam.forget("c");
        let mut ipam = started();
        ipam.adopt("a", &given[0]);
        let next = ipam.take("d", &config).unwrap();
        assert!(given.iter().all(|before| before.ip < next.ip), "{given:?} {next:?}");
    }
}
