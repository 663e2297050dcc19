//! Docker's name server: in a container of user-defined networks 127.0.0.11 knows who else is in them, and asks others for
//! the rest. There is no book of names: each answer is made of the containers' records as they are at that moment.

use crate::engine::Engine;
use crate::networks::is_built_in;
use crate::record::{Container, Record};
use cri::NAME_SERVER;
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{Name, RData, Record as ApiResponse, RecordType};
use resolver::{Clients, Forwarder, Most, Reply, Resolver, Sockets, Source, Step, Upstream, own};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

/// Seconds. A name goes with its container: who remembers an answer is not to do so for long (Docker says 600).
const TTL: u32 = 5;
const PORT: u16 = 53;

/// Another container, as it is known in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Neighbour {
    network: String,
    address: Ipv4Addr,
    /// Its own first.
    names: Vec<String>,
}

/// What it is called in a network, as inspect shows it too.
pub(crate) fn dns_names(record: &Record, network: &str) -> Vec<String> {
    let aliases = record.networks.get(network).map(|wanted| wanted.aliases.clone()).unwrap_or_default();
    let mut names = vec![record.name.clone()];
    names.extend(aliases);
    names.extend([record.id.chars().take(12).collect(), record.config.hostname.clone()]);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// Whether it has a name server of its own.
pub(crate) fn has_names(record: &Record) -> bool {
    record.running().is_some_and(|running| running.endpoints.keys().any(|network| !is_built_in(network)))
}

/// Who shares a network with `asker`, itself too; with the further names that its links give them.
fn neighbours(asker: &Record, other: &Record) -> Vec<Neighbour> {
    let (Some(mine), Some(theirs)) = (asker.running(), other.running()) else { return Vec::new() };
    let shared = theirs
        .endpoints
        .iter()
        .filter(|(network, _)| !is_built_in(network) && mine.endpoints.contains_key(*network));
    shared
        .map(|(network, endpoint)| {
            let links = asker.networks.get(network).map(|wanted| wanted.links.as_slice()).unwrap_or_default();
            let links = links.iter().map(|link| link.split_once(':').unwrap_or((link, link)));
            let linked = links.filter(|(name, _)| *name == other.name || other.id.starts_with(name));
            let mut names = dns_names(other, network);
            names.extend(linked.map(|(_, alias)| alias.to_owned()));
            Neighbour { network: network.clone(), address: endpoint.address, names }
        })
        .collect()
}

fn answer(query: &Query, all: &[Neighbour], asker: &Record) -> Option<Reply> {
    let asked = query.name().to_utf8().trim_end_matches('.').to_lowercase();
    let own = |code, answers| Some(own(code, answers, Vec::new(), Vec::new()));
    if let Some(address) = reverse(&asked) {
        let found = all.iter().find(|neighbour| neighbour.address == address);
        let name = found.and_then(|n| Name::from_utf8(format!("{}.{}.", n.names.first()?, n.network)).ok());
        return match name {
            Some(name) => own(ResponseCode::NoError, vec![record(query, RData::PTR(PTR(name)))]),
            None => is_in_networks(asker, address).then(|| own(ResponseCode::NXDomain, Vec::new())).flatten(),
        };
    }
    let is_called = |neighbour: &&Neighbour| {
        let plain = asked.strip_suffix(&format!(".{}", neighbour.network.to_lowercase())).unwrap_or(&asked);
        neighbour.names.iter().any(|name| [plain, &asked].contains(&name.to_lowercase().as_str()))
    };
    let mut addresses: Vec<Ipv4Addr> = all.iter().filter(is_called).map(|n| n.address).collect();
    if addresses.is_empty() {
        return None;
    }
    addresses.sort();
    addresses.dedup();
    let answers = match query.query_type() {
        RecordType::A | RecordType::ANY => {
            addresses.into_iter().map(|address| record(query, RData::A(A(address)))).collect()
        }
        // the name is there, and has no such record
        _ => Vec::new(),
    };
    own(ResponseCode::NoError, answers)
}

fn record(query: &Query, data: RData) -> ApiResponse {
    ApiResponse::from_rdata(query.name().clone(), TTL, data)
}

fn is_in_networks(asker: &Record, address: Ipv4Addr) -> bool {
    asker
        .running()
        .is_some_and(|running| running.endpoints.values().any(|endpoint| endpoint.range.contains(&address)))
}

/// `2.0.18.172.in-addr.arpa` → 172.18.0.2
fn reverse(name: &str) -> Option<Ipv4Addr> {
    let numbers = name.strip_suffix(".in-addr.arpa")?.split('.').map(|part| part.parse().ok());
    let [d, c, b, a]: [u8; 4] = numbers.collect::<Option<Vec<u8>>>()?.try_into().ok()?;
    Some(Ipv4Addr::new(a, b, c, d))
}

/// The names that one container may ask for.
struct Names {
    engine: Weak<Engine>,
    asker: Weak<Container>,
}

impl Source for Names {
    fn first(&self, query: &Query, _: Most) -> Step {
        let (Some(engine), Some(asker)) = (self.engine.upgrade(), self.asker.upgrade()) else {
            return Step::Done(Reply::error(ResponseCode::ServFail));
        };
        let asker = asker.record();
        let all: Vec<Neighbour> = engine
            .containers()
            .iter()
            .flat_map(|other| other.see(|other| neighbours(&asker, other)))
            .collect();
        match answer(query, &all, &asker) {
            Some(reply) => Step::Done(reply),
            // names, too, are a way to the outside
            None if is_confined(&asker) => Step::Done(Reply::error(ResponseCode::ServFail)),
            None => Step::Ask { aliases: Vec::new(), name: query.name().clone() },
        }
    }
}

fn is_confined(record: &Record) -> bool {
    record.running().is_none_or(|running| running.endpoints.values().all(|endpoint| endpoint.internal))
}

impl Engine {
    /// Answers a running container's questions, from now until it ends or leaves its last user-defined network.
    pub(crate) async fn serve_names(self: &Arc<Self>, container: &Arc<Container>) {
        let record = container.record();
        let Some(running) = record.running().filter(|_| has_names(&record)) else {
            self.serve_no_names(&record.id);
            return;
        };
        if self.name_servers.lock().contains_key(&record.id) {
            return;
        }
        let sockets = match self.runtime.name_server(&running.sandbox).await {
            Ok(server) => Sockets::from_std(server.udp, server.tcp).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let sockets = match sockets {
            Ok(sockets) => sockets,
            Err(error) => {
                tracing::error!(container = record.name, %error, "it has no name server");
                return;
            }
        };
        let names = Names { engine: Arc::downgrade(self), asker: Arc::downgrade(container) };
        let resolver = Resolver::new(names, Some(self.forwarder_of(&record)));
        let stop = self.stop.child_token();
        tokio::spawn(resolver::serve(sockets, Arc::new(resolver), Clients::One, stop.clone()));
        self.name_servers.lock().insert(record.id, stop.drop_guard());
    }

    /// Closes the sockets, which keep the container's network namespace.
    pub(crate) fn serve_no_names(&self, id: &str) {
        self.name_servers.lock().remove(id);
    }

    fn forwarder_of(&self, record: &Record) -> Forwarder {
        let said = record.host.dns.iter().filter_map(|server| server.parse::<IpAddr>().ok());
        let said: Vec<SocketAddr> =
            said.filter(|ip| *ip != IpAddr::V4(NAME_SERVER)).map(|ip| (ip, PORT).into()).collect();
        match said.is_empty() {
            true => self.forwarder.clone(),
            false => Forwarder::new(Upstream::Servers(said), &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint_settings::EndpointSettings;
    use crate::model::EndpointConfig;
    use crate::record::State;
    use crate::record::tests::{record, run};

    fn member(name: &str, networks: &[(&str, &str)], aliases: &[&str]) -> Record {
        let mut member = record(name);
        run(&mut member, None);
        let wanted = EndpointConfig {
            aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
            ..Default::default()
        };
        for (network, address) in networks {
            let endpoint = EndpointSettings {
                id: String::new(),
                address: address.parse().unwrap(),
                range: format!("{address}/24").parse::<ipnet::Ipv4Net>().unwrap().trunc(),
                gateway: Ipv4Addr::UNSPECIFIED,
                internal: false,
                mtu: None,
            };
            member.networks.insert((*network).into(), wanted.clone());
            if let State::Running(running) = &mut member.state {
                running.endpoints.insert((*network).into(), endpoint);
            }
        }
        member
    }

    fn ask(asker: &Record, others: &[Record], name: &str, kind: RecordType) -> Option<Vec<String>> {
        let query = Query::query(Name::from_utf8(name).unwrap(), kind);
        let all: Vec<_> = others.iter().flat_map(|other| neighbours(asker, other)).collect();
        let reply = answer(&query, &all, asker)?;
        assert_eq!(reply.code == ResponseCode::NXDomain, name.starts_with("99."), "{name}");
        Some(reply.answers.iter().map(|answer| answer.data.to_string()).collect())
    }

    #[test]
    fn who_knows_whom_by_which_name() {
        let mut web = member("web", &[("shop", "10.0.0.2"), ("back", "10.1.0.2")], &[]);
        web.networks.get_mut("shop").unwrap().links = vec!["db:database".into()];
        let all = [
            web.clone(),
            member("db", &[("shop", "10.0.0.3")], &["Store"]),
            member("db2", &[("back", "10.1.0.4")], &["store"]),
            member("stranger", &[("other", "10.2.0.2")], &[]),
            member("plain", &[("bridge", "10.3.0.2")], &["plain"]),
            record("stopped"),
        ];
        let a = |name| ask(&web, &all, name, RecordType::A);
        for (name, want) in [
            ("db.", Some(vec!["10.0.0.3"])),
            ("DB.", Some(vec!["10.0.0.3"])),
            ("db.shop.", Some(vec!["10.0.0.3"])),
            ("db.back.", None),
            ("db0000000000.", Some(vec!["10.0.0.3"])),
            ("store.", Some(vec!["10.0.0.3", "10.1.0.4"])),
            ("database.", Some(vec!["10.0.0.3"])),
            ("web.", Some(vec!["10.0.0.2", "10.1.0.2"])),
            ("stranger.", None),
            ("plain.", None),
            ("stopped.", None),
            ("example.com.", None),
            ("3.0.0.10.in-addr.arpa.", Some(vec!["db.shop."])),
            ("99.0.0.10.in-addr.arpa.", None),
            ("2.0.2.10.in-addr.arpa.", None),
        ] {
            let kind = if name.contains("arpa") { RecordType::PTR } else { RecordType::A };
            let got = ask(&web, &all, name, kind);
            match name.starts_with("99.") {
                true => assert_eq!(got, Some(vec![]), "an address of its networks that nobody has"),
                false => assert_eq!(
                    got.as_deref(),
                    want.map(|w| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).as_deref(),
                    "{name}"
                ),
            }
        }
        assert_eq!(
            ask(&web, &all, "db.", RecordType::AAAA),
            Some(vec![]),
            "no address of IPv6, said at once"
        );
        assert_eq!(a("db."), Some(vec!["10.0.0.3".to_owned()]));
        let db = &all[1];
        assert_eq!(ask(db, &all, "database.", RecordType::A), None, "a link is the linker's own");
    }
}
