//! Which names are ours, and which place in the cluster a name means.

use crate::{DnsConfig, DnsError};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record};
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr};

/// Seconds, as CoreDNS's kubernetes plug-in: a pod that moves is found again soon.
pub const TTL: u32 = 5;

/// What minikube calls the machine that it runs on, in each of its clusters: manifests have this name for what runs beside them.
pub(crate) const HOST: [&str; 3] = ["host", "minikube", "internal"];

/// The names and addresses that are never asked of anybody else.
#[derive(Debug, Clone)]
pub struct Zone {
    domain: Name,
    /// Lower case, from the left.
    labels: Vec<String>,
    /// Of pods and of services.
    reverse: [Ipv4Net; 2],
    /// Further ones of services, which come and go.
    further: Vec<Ipv4Net>,
    pub(crate) service_ip: Ipv4Addr,
    /// Where pods and containers reach the machine.
    pub(crate) host: IpAddr,
}

/// What a name below the cluster's domain stands for. Labels are in lower case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Apex,
    Version,
    NameServer,
    /// Nothing by itself, but names exist below it (RFC 8020).
    Branch,
    Namespace(&'a str),
    Pod {
        pod: &'a str,
        namespace: &'a str,
    },
    Service {
        service: &'a str,
        namespace: &'a str,
    },
    Endpoint {
        endpoint: &'a str,
        service: &'a str,
        namespace: &'a str,
    },
    Port {
        port: &'a str,
        protocol: &'a str,
        service: &'a str,
        namespace: &'a str,
    },
    Nowhere,
}

/// What a name in `in-addr.arpa` stands for, where it is ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reverse {
    Address(Ipv4Addr),
    Branch,
    Nowhere,
}

impl Zone {
    /// # Errors
    /// Where the domain is no name.
    pub fn new(config: &DnsConfig) -> Result<Self, DnsError> {
        let no_name = || DnsError::Domain(config.domain.clone());
        let domain = absolute(&config.domain).filter(|name| !name.is_root()).ok_or_else(no_name)?;
        Ok(Zone {
            labels: labels_of(&domain),
            domain,
            reverse: [config.pod_cidr, config.service_cidr],
            further: Vec::new(),
            service_ip: config.service_ip,
            host: config.listen.ip(),
        })
    }

    /// With the reverse names of these ranges as well.
    pub(crate) fn with_further(&self, ranges: &[Ipv4Net]) -> Self {
        Zone { further: ranges.to_vec(), ..self.clone() }
    }

    /// `relative.domain.`; `None` where that is no name.
    pub(crate) fn name(&self, relative: &str) -> Option<Name> {
        Name::from_ascii(relative).ok()?.append_domain(&self.domain).ok()
    }

    pub(crate) fn apex(&self) -> &Name {
        &self.domain
    }

    pub(crate) fn name_server(&self) -> Name {
        self.name("ns.dns").unwrap_or_else(|| self.domain.clone())
    }

    /// The labels left of the domain; `None` where the name is not below it.
    pub(crate) fn relative<'a>(&self, labels: &'a [String]) -> Option<&'a [String]> {
        labels.strip_suffix(self.labels.as_slice())
    }

    /// `None` where the name is not one of our reverse names.
    pub(crate) fn reverse(&self, labels: &[String]) -> Option<(Name, Reverse)> {
        let octets = labels.strip_suffix(["in-addr".to_owned(), "arpa".to_owned()].as_slice())?;
        // `010` is another label than `10`
        let octet = |label: &String| label.parse().ok().filter(|n: &u8| n.to_string() == *label);
        let known: Vec<u8> = octets.iter().rev().take(4).map_while(octet).collect();
        let mut bytes = [0; 4];
        bytes[..known.len()].copy_from_slice(&known);
        let address = Ipv4Addr::from(bytes);
        let asked = Ipv4Net::new(address, u8::try_from(known.len() * 8).ok()?).ok()?;
        let net = self.reverse.iter().chain(&self.further).find(|net| net.contains(&asked))?;
        let place = match known.len() {
            length if length < octets.len() => Reverse::Nowhere,
            4 => Reverse::Address(address),
            _ => Reverse::Branch,
        };
        Some((reverse_apex(address, *net), place))
    }

    pub(crate) fn soa(&self, apex: Name, serial: u32) -> Record {
        let contact = self.name("hostmaster").unwrap_or_else(|| self.domain.clone());
        let soa = SOA::new(self.name_server(), contact, serial, 7200, 1800, 86400, TTL);
        Record::from_rdata(apex, TTL, RData::SOA(soa))
    }
}

impl<'a> Place<'a> {
    pub(crate) fn of(relative: &[&'a str]) -> Self {
        match *relative {
            [] => Place::Apex,
            ["dns-version"] => Place::Version,
            ["ns", "dns"] => Place::NameServer,
            ["dns" | "svc" | "pod"] => Place::Branch,
            [namespace, "svc" | "pod"] => Place::Namespace(namespace),
            [pod, namespace, "pod"] => Place::Pod { pod, namespace },
            [service, namespace, "svc"] => Place::Service { service, namespace },
            [endpoint, service, namespace, "svc"] => Place::Endpoint { endpoint, service, namespace },
            [port, protocol, service, namespace, "svc"] => {
                let (port, protocol) = (bare(port), bare(protocol));
                Place::Port { port, protocol, service, namespace }
            }
            _ => Place::Nowhere,
        }
    }
}

/// `_http` and `http` mean the same port, as for CoreDNS.
pub(crate) fn bare(label: &str) -> &str {
    label.strip_prefix('_').unwrap_or(label)
}

pub(crate) fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

pub(crate) fn labels_of(name: &Name) -> Vec<String> {
    name.iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect()
}

/// Reverse zones are cut at octets: a /19 is 32 zones of a /24 each.
fn reverse_apex(address: Ipv4Addr, net: Ipv4Net) -> Name {
    let octets = usize::from(net.prefix_len().div_ceil(8));
    let bytes = address.octets();
    let labels = bytes[..octets].iter().rev().map(|byte| format!("{byte}."));
    absolute(&format!("{}in-addr.arpa.", labels.collect::<String>())).unwrap_or_default()
}
