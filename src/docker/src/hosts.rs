//! The files that every container has of its own: hosts, resolv.conf, hostname. Names of a user's networks resolve because
//! each member's hosts file lists all of them; the files are rewritten in place whenever one comes or goes.

use crate::engine::Engine;
use crate::networks::{BRIDGE, HOST, NONE};
use crate::record::{Container, Record};
use cri::Mount;
use std::fmt::Write;
use std::io;
use std::net::IpAddr;
use std::path::Path;

const HOSTS: &str = "hosts";
const RESOLV: &str = "resolv.conf";
const HOSTNAME: &str = "hostname";

/// A neighbour on a network, under all of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Neighbour {
    ip: IpAddr,
    names: Vec<String>,
}

fn hosts(record: &Record, gateway: IpAddr, neighbours: &[Neighbour]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    // writing to a String does not fail
    for entry in &record.host.extra_hosts {
        let Some((name, address)) = entry.split_once(':').or_else(|| entry.split_once('=')) else { continue };
        let _ = match address {
            "host-gateway" => writeln!(text, "{gateway}\t{name}"),
            address => writeln!(text, "{address}\t{name}"),
        };
    }
    for neighbour in neighbours {
        let _ = writeln!(text, "{}\t{}", neighbour.ip, neighbour.names.join(" "));
    }
    if let Some(ip) = record.running().and_then(|running| running.ip) {
        let _ = writeln!(text, "{ip}\t{}", record.config.hostname);
    }
    text
}

fn resolv_conf(record: &Record, dns: IpAddr) -> String {
    let host = &record.host;
    let mut text = String::new();
    let servers = if host.dns.is_empty() { vec![dns.to_string()] } else { host.dns.clone() };
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    for (word, values) in [("search", &host.dns_search), ("options", &host.dns_options)] {
        if !values.is_empty() {
            let _ = writeln!(text, "{word} {}", values.join(" "));
        }
    }
    text
}

/// Who of `others` shares a network of the user's with `record`, and what it is called there.
fn neighbours(record: &Record, others: &[Record]) -> Vec<Neighbour> {
    let is_users = |name: &str| ![BRIDGE, HOST, NONE].contains(&name);
    let mut all = Vec::new();
    for other in others.iter().filter(|other| other.id != record.id) {
        let Some(ip) = other.running().and_then(|running| running.ip) else { continue };
        let shared =
            other.networks.iter().filter(|(name, _)| is_users(name) && record.networks.contains_key(*name));
        let mut names: Vec<String> = Vec::new();
        for (_, endpoint) in shared {
            let usual = [other.name.clone(), other.id.chars().take(12).collect()];
            names.extend(usual.into_iter().chain(endpoint.aliases.iter().cloned()));
        }
        names.extend(
            links(record).filter(|(target, _)| *target == other.name).map(|(_, alias)| alias.to_owned()),
        );
        names.sort();
        names.dedup();
        if !names.is_empty() {
            all.push(Neighbour { ip, names });
        }
    }
    all
}

/// `--link name:alias`
fn links(record: &Record) -> impl Iterator<Item = (&str, &str)> {
    record.host.links.iter().map(|link| link.split_once(':').unwrap_or((link, link)))
}

impl Engine {
    /// Writes a container's own files; gives the mounts that bring them in.
    pub(crate) fn furnish(&self, container: &Container) -> io::Result<Vec<Mount>> {
        let record = container.record();
        if record.host.network_mode == HOST {
            std::fs::copy("/etc/resolv.conf", container.dir().join(RESOLV)).or_else(|_| {
                std::fs::write(container.dir().join(RESOLV), resolv_conf(&record, self.config.dns))
                    .map(|()| 0)
            })?;
        } else {
            std::fs::write(container.dir().join(RESOLV), resolv_conf(&record, self.config.dns))?;
        }
        std::fs::write(container.dir().join(HOSTNAME), format!("{}\n", record.config.hostname))?;
        self.write_hosts(container, &self.records())?;
        let is_taken = |target: &Path| record.mounts.iter().any(|m| m.target == target);
        let own = [(HOSTS, "/etc/hosts"), (RESOLV, "/etc/resolv.conf"), (HOSTNAME, "/etc/hostname")];
        let mounts =
            own.into_iter().filter(|(_, target)| !is_taken(Path::new(target))).map(|(name, target)| Mount {
                source: Some(container.dir().join(name)),
                target: target.into(),
                read_only: false,
                propagation: cri::Propagation::Private,
                size_limit: None,
            });
        Ok(mounts.collect())
    }

    /// Someone came or went: whoever runs learns of it.
    pub(crate) fn refresh_hosts(&self) {
        let records = self.records();
        for container in self.containers() {
            let concerned =
                container.see(|r| r.running().is_some() && r.networks.keys().any(|n| n != BRIDGE));
            if concerned && let Err(error) = self.write_hosts(&container, &records) {
                tracing::warn!(container = container.see(|r| r.name.clone()), %error, "hosts file not written");
            }
        }
    }

    fn records(&self) -> Vec<Record> {
        self.containers().iter().map(|c| c.record()).collect()
    }

    /// In place: the file is mounted.
    fn write_hosts(&self, container: &Container, others: &[Record]) -> io::Result<()> {
        let record = container.record();
        let text = match record.host.network_mode == HOST {
            true => std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
            false => hosts(&record, self.config.gateway.into(), &neighbours(&record, others)),
        };
        std::fs::write(container.dir().join(HOSTS), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndpointConfig;
    use crate::record::tests::record;

    fn member(name: &str, ip: &str, networks: &[&str], aliases: &[&str]) -> Record {
        let mut record = record(name);
        let endpoint =
            EndpointConfig { aliases: aliases.iter().map(|a| (*a).to_owned()).collect(), links: Vec::new() };
        record.networks = networks.iter().map(|n| ((*n).to_owned(), endpoint.clone())).collect();
        crate::record::tests::run(&mut record, Some(ip.parse().unwrap()));
        record
    }

    #[test]
    fn members_of_a_users_network_know_each_other() {
        let web = member("web", "10.0.0.2", &["shop"], &[]);
        let others = [
            web.clone(),
            member("db", "10.0.0.3", &["shop"], &["database"]),
            member("stranger", "10.0.0.4", &["other"], &[]),
            member("plain", "10.0.0.5", &[BRIDGE], &[]),
        ];
        let found = neighbours(&web, &others);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].names, ["database", "db", "db0000000000"]);
        let text = hosts(&web, "10.0.0.1".parse().unwrap(), &found);
        assert!(text.contains("10.0.0.3\tdatabase db db0000000000\n"), "{text}");
        // the default bridge gives no names
        assert!(neighbours(&member("a", "10.0.0.6", &[BRIDGE], &[]), &others).is_empty());
    }

    #[test]
    fn the_users_own_words() {
        let mut web = record("web");
        web.host.extra_hosts = vec!["a:10.1.1.1".into(), "up:host-gateway".into(), "v6:::1".into()];
        let text = hosts(&web, "10.0.0.1".parse().unwrap(), &[]);
        assert!(text.contains("10.1.1.1\ta\n10.0.0.1\tup\n::1\tv6\n"), "{text}");
        web.host.dns = vec!["1.1.1.1".into()];
        web.host.dns_search = vec!["x".into(), "y".into()];
        assert_eq!(resolv_conf(&web, "10.0.0.1".parse().unwrap()), "nameserver 1.1.1.1\nsearch x y\n");
    }
}
