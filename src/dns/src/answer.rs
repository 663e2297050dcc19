//! From a question to what the cluster says to it. Pure: read [`Records::answer`] first.

use crate::records::Records;
use crate::service::{EndpointRecord, Endpoints, Kind, ServiceRecords};
use crate::zone::{HOST, Place, Reverse, TTL, bare, labels_of};
use hickory_proto::rr::rdata::{CNAME, NS, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use resolver::Most;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// SRV records that are given of one name. One takes forty bytes, so that a message, which has 64 KiB, has room for less:
/// endpoints times ports are never made.
const MOST_TARGETS: usize = 4096;
/// Endpoints that are looked at for each record that is of use: some have their name or address in common with others.
const LOOKED_AT: usize = 4;
/// An SRV record takes as much as so many of the smallest records.
const SIZE_OF_TARGET: usize = 3;

/// Of the specification that the names follow.
const VERSION: &str = "1.1.0";

/// What an authoritative server knows of a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Found {
        answers: Vec<Record>,
        additionals: Vec<Record>,
    },
    /// The CNAME; whoever asked for another type wants to know of its target.
    Alias {
        record: Record,
        target: Name,
    },
    /// The name exists, not with this type.
    NoData {
        soa: Record,
    },
    NxDomain {
        soa: Record,
    },
}

/// Before names and times are put to it.
enum Found {
    Data(Vec<RData>, Vec<Record>),
    Alias(Name),
    Nothing,
    Nowhere,
}

impl Records {
    /// `None` where the name is not ours to answer. Records carry the name in the case it was asked in.
    pub fn answer(&self, name: &Name, kind: RecordType, most: Most) -> Option<Answer> {
        let labels = labels_of(name);
        if let Some(relative) = self.zone.relative(&labels) {
            let relative: Vec<&str> = relative.iter().map(String::as_str).collect();
            let found = self.at(&Place::of(&relative), kind, most);
            return Some(self.dress(name, self.zone.apex().clone(), found));
        }
        if labels == HOST {
            let found = plain(addresses([self.zone.host], kind));
            return Some(self.dress(name, name.clone(), found));
        }
        let (apex, place) = self.zone.reverse(&labels)?;
        let found = self.at_reverse(&place, &apex == name, kind, most);
        Some(self.dress(name, apex, found))
    }

    fn dress(&self, name: &Name, apex: Name, found: Found) -> Answer {
        let record = |data| Record::from_rdata(name.clone(), TTL, data);
        match found {
            Found::Data(data, additionals) if !data.is_empty() => {
                Answer::Found { answers: data.into_iter().map(record).collect(), additionals }
            }
            Found::Alias(target) => {
                Answer::Alias { record: record(RData::CNAME(CNAME(target.clone()))), target }
            }
            Found::Nowhere => Answer::NxDomain { soa: self.zone.soa(apex, self.serial) },
            Found::Data(..) | Found::Nothing => Answer::NoData { soa: self.zone.soa(apex, self.serial) },
        }
    }

    fn at(&self, place: &Place<'_>, kind: RecordType, most: Most) -> Found {
        match *place {
            Place::Apex => self.at_apex(kind),
            Place::NameServer => plain(addresses([self.zone.service_ip.into()], kind)),
            Place::Version if kind == RecordType::TXT => {
                plain(vec![RData::TXT(TXT::new(vec![VERSION.to_owned()]))])
            }
            Place::Version | Place::Branch => Found::Nothing,
            Place::Namespace(namespace) => self.in_namespace(namespace, || Found::Nothing),
            Place::Pod { pod, namespace } => self.in_namespace(namespace, || at_pod(pod, kind)),
            Place::Service { service, namespace } => {
                self.in_service(namespace, service, |service| at_service(service, None, kind, most))
            }
            Place::Endpoint { endpoint, service, namespace } => {
                self.in_service(namespace, service, |service| at_endpoint(service, endpoint, kind, most))
            }
            Place::Port { port, protocol, service, namespace } => {
                self.in_service(namespace, service, |service| {
                    at_service(service, Some((port, protocol)), kind, most)
                })
            }
            Place::Nowhere => Found::Nowhere,
        }
    }

    fn at_apex(&self, kind: RecordType) -> Found {
        let server = self.zone.name_server();
        match kind {
            RecordType::SOA => plain(soa_data(&self.zone.soa(self.zone.apex().clone(), self.serial))),
            RecordType::NS => {
                let address = addresses([self.zone.service_ip.into()], RecordType::A);
                let glue = address.into_iter().map(|data| Record::from_rdata(server.clone(), TTL, data));
                Found::Data(vec![RData::NS(NS(server.clone()))], glue.collect())
            }
            _ => Found::Nothing,
        }
    }

    fn at_reverse(&self, place: &Reverse, is_apex: bool, kind: RecordType, most: Most) -> Found {
        match place {
            Reverse::Branch if is_apex && kind == RecordType::SOA => {
                plain(soa_data(&self.zone.soa(Name::root(), self.serial)))
            }
            Reverse::Branch => Found::Nothing,
            Reverse::Nowhere => Found::Nowhere,
            Reverse::Address(address) => match self.names_of((*address).into(), most.records) {
                names if names.is_empty() => Found::Nowhere,
                names if kind == RecordType::PTR => {
                    plain(names.into_iter().map(|name| RData::PTR(PTR(name))).collect())
                }
                _ => Found::Nothing,
            },
        }
    }

    fn in_namespace(&self, namespace: &str, inside: impl FnOnce() -> Found) -> Found {
        if self.namespaces.contains(namespace) { inside() } else { Found::Nowhere }
    }

    fn in_service(
        &self,
        namespace: &str,
        service: &str,
        inside: impl FnOnce(&ServiceRecords) -> Found,
    ) -> Found {
        self.service(namespace, service).map_or(Found::Nowhere, inside)
    }
}

/// `10-244-0-5` is that address whether a pod has it or not: CoreDNS's mode `insecure`, upstream's default.
fn at_pod(pod: &str, kind: RecordType) -> Found {
    let v4 = pod.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::from);
    let address = v4.or_else(|_| pod.replace('-', ":").parse::<IpAddr>());
    address.map_or(Found::Nowhere, |address| plain(addresses([address], kind)))
}

fn at_service(service: &ServiceRecords, port: Option<(&str, &str)>, kind: RecordType, most: Most) -> Found {
    match &service.kind {
        Kind::External(None) if port.is_none() => Found::Nothing,
        Kind::External(Some(target)) if port.is_none() => Found::Alias(target.clone()),
        Kind::External(_) => Found::Nowhere,
        Kind::Headless => at_any_endpoint(&service.endpoints, port, kind, most),
        Kind::Addressed { addresses: own, ports } => {
            let chosen = ports.those(port);
            match kind {
                _ if port.is_some() && chosen.is_empty() => Found::Nowhere,
                RecordType::SRV => {
                    let targets = chosen.iter().map(|p| (p.number, service.name.clone())).take(MOST_TARGETS);
                    services(distinct(targets, most.records), &[(&service.name, own.as_slice())], most)
                }
                _ => plain(addresses(own.iter().copied(), kind)),
            }
        }
    }
}

/// One label below a service: an endpoint, or the protocol above its ports' names.
fn at_endpoint(service: &ServiceRecords, label: &str, kind: RecordType, most: Most) -> Found {
    let labelled = service.endpoints.labelled(label);
    if !labelled.is_empty() {
        return at_endpoints(labelled.iter().take(looked_at(most)).collect(), None, kind, most);
    }
    let above_ports = label.starts_with('_') && service.protocols.contains(bare(label));
    if above_ports { Found::Nothing } else { Found::Nowhere }
}

/// No endpoint, no name: section 2.4.1 asks for NXDOMAIN where a headless service has none that is ready.
fn at_any_endpoint(endpoints: &Endpoints, port: Option<(&str, &str)>, kind: RecordType, most: Most) -> Found {
    let of_family = |address: IpAddr| match kind {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        _ => true,
    };
    let chosen = endpoints.with(port, of_family, looked_at(most), most.turn);
    match chosen.is_empty() && endpoints.any_with(port) {
        true => Found::Nothing,
        false => at_endpoints(chosen, port, kind, most),
    }
}

fn looked_at(most: Most) -> usize {
    most.records.saturating_mul(LOOKED_AT)
}

fn at_endpoints<'a>(
    chosen: Vec<&'a EndpointRecord>,
    port: Option<(&'a str, &'a str)>,
    kind: RecordType,
    most: Most,
) -> Found {
    match kind {
        _ if chosen.is_empty() => Found::Nowhere,
        RecordType::SRV => {
            let ports_of =
                |e: &'a EndpointRecord| e.ports.those(port).iter().map(|p| (p.number, e.name.clone()));
            let targets = chosen.iter().copied().flat_map(ports_of).take(MOST_TARGETS);
            let glue: Vec<(&Name, &[IpAddr])> =
                chosen.iter().map(|e| (&e.name, std::slice::from_ref(&e.address))).collect();
            services(distinct(targets, most.records), &glue, most)
        }
        _ => plain(addresses(distinct(chosen.iter().map(|e| e.address), most.records), kind)),
    }
}

/// Each once, until there are so many.
fn distinct<T: Ord>(all: impl IntoIterator<Item = T>, most: usize) -> BTreeSet<T> {
    let mut once = BTreeSet::new();
    for one in all {
        if once.len() >= most {
            break;
        }
        once.insert(one);
    }
    once
}

fn plain(data: Vec<RData>) -> Found {
    Found::Data(data, Vec::new())
}

fn soa_data(soa: &Record) -> Vec<RData> {
    vec![soa.data.clone()]
}

/// Those of the asked family, each once.
fn addresses(all: impl IntoIterator<Item = IpAddr>, kind: RecordType) -> Vec<RData> {
    let of_kind = |address| match (address, kind) {
        (IpAddr::V4(v4), RecordType::A) => Some(RData::A(v4.into())),
        (IpAddr::V6(v6), RecordType::AAAA) => Some(RData::AAAA(v6.into())),
        _ => None,
    };
    let once: BTreeSet<IpAddr> = all.into_iter().collect();
    once.into_iter().filter_map(of_kind).collect()
}

/// SRV records of equal weight, and where their targets are, unless there are so many that nothing fits beside them.
fn services(targets: BTreeSet<(u16, Name)>, glue: &[(&Name, &[IpAddr])], most: Most) -> Found {
    let share = u16::try_from(100 / targets.len().max(1)).unwrap_or(1).max(1);
    let has_more = targets.len() <= most.records / SIZE_OF_TARGET;
    let glue: &[(&Name, &[IpAddr])] = if has_more { glue } else { &[] };
    let named: BTreeSet<&Name> = targets.iter().map(|(_, target)| target).collect();
    let mut known: BTreeMap<&Name, BTreeSet<IpAddr>> = BTreeMap::new();
    for (name, addresses) in glue.iter().filter(|(name, _)| named.contains(name)) {
        known.entry(name).or_default().extend(addresses.iter());
    }
    let both = [RecordType::A, RecordType::AAAA];
    let additionals = known.into_iter().flat_map(|(name, ips)| {
        let data = both.into_iter().flat_map(move |kind| addresses(ips.iter().copied(), kind));
        data.map(|data| Record::from_rdata(name.clone(), TTL, data))
    });
    let additionals = additionals.collect();
    let data = targets.into_iter().map(|(port, target)| RData::SRV(SRV::new(0, share, port, target)));
    Found::Data(data.collect(), additionals)
}
