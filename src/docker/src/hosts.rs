//! The files that every container has of its own: hosts, resolv.conf, hostname. Names of a user's networks are not in them:
//! 127.0.0.11 answers those. Links on the default bridge are, and are rewritten in place when their target comes or goes.

use crate::engine::Engine;
use crate::links::Link;
use crate::name_server::has_names;
use crate::network_mode::shared_with;
use crate::networks::{BRIDGE, HOST};
use crate::record::{Container, Record};
use cri::{Mount, NAME_SERVER};
use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

const HOSTS: &str = "hosts";
const RESOLV: &str = "resolv.conf";
const HOSTNAME: &str = "hostname";

/// Docker's beginning of every hosts file.
const LOCAL: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

fn hosts(record: &Record, gateway: Ipv4Addr, links: &[Link]) -> String {
    let mut text = LOCAL.to_owned();
    // writing to a String does not fail
    for entry in &record.host.extra_hosts {
        let Some((name, address)) = entry.split_once(':').or_else(|| entry.split_once('=')) else { continue };
        let _ = match address {
            "host-gateway" => writeln!(text, "{gateway}\t{name}"),
            address => writeln!(text, "{address}\t{name}"),
        };
    }
    for link in links {
        let _ = writeln!(text, "{}\t{}", link.address, link.names);
    }
    let (host, domain) = (&record.config.hostname, &record.config.domainname);
    let own = match (domain.is_empty(), host.split_once('.')) {
        (false, _) => format!("{host}.{domain} {host}"),
        (true, Some((first, _))) => format!("{host} {first}"),
        (true, None) => host.clone(),
    };
    for endpoint in record.running().iter().flat_map(|running| running.endpoints.values()) {
        let _ = writeln!(text, "{}\t{own}", endpoint.address);
    }
    text
}

/// What the machine's own file has under this word, of which the last line counts.
fn of_machine(word: &str, machine: &str) -> Vec<String> {
    let mut lines = machine.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(word)).then(|| words.map(str::to_owned).collect())
    });
    lines.next_back().unwrap_or_default()
}

fn resolv_conf(record: &Record, dns: &str, machine: &str) -> String {
    let host = &record.host;
    let has_names = has_names(record);
    let servers = match (has_names, host.dns.is_empty()) {
        (true, _) => vec![NAME_SERVER.to_string()],
        (false, true) => vec![dns.to_owned()],
        (false, false) => host.dns.clone(),
    };
    let said_or =
        |said: &[String], word| if said.is_empty() { of_machine(word, machine) } else { said.to_vec() };
    let mut search = said_or(&host.dns_search, "search");
    // `--dns-search .` is: none
    search.retain(|domain| domain != ".");
    let mut options = said_or(&host.dns_options, "options");
    if has_names && !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push("ndots:0".to_owned());
    }
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    for (word, values) in [("search", search), ("options", options)] {
        if !values.is_empty() {
            let _ = writeln!(text, "{word} {}", values.join(" "));
        }
    }
    text
}

impl Engine {
    /// Writes a container's own files; gives the mounts that bring them in. Who shares another one's network has its files.
    pub(crate) fn write_etc_files(&self, container: &Container) -> io::Result<Vec<Mount>> {
        if container.see(|r| shared_with(&r.host.network_mode).is_none()) {
            match self.write_files(container) {
                // who shared its network in its last run, and holds a lease on one of them, keeps the old ones to himself
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    remove_files(container.dir())?;
                    self.write_files(container)?;
                }
                done => done?,
            }
        }
        Ok(self.own_files(container))
    }

    /// Where they are, and where they are seen.
    pub(crate) fn own_files(&self, container: &Container) -> Vec<Mount> {
        let record = container.record();
        let other = shared_with(&record.host.network_mode).and_then(|other| self.container(other).ok());
        mounts(&record, other.as_deref().unwrap_or(container).dir())
    }

    /// What changes while it runs.
    pub(crate) fn rewrite_files(&self, container: &Container) {
        if let Err(error) = self.write_files(container) {
            tracing::warn!(container = container.see(|r| r.name.clone()), %error, "its own files were not written");
        }
    }

    /// In place: they are mounted.
    fn write_files(&self, container: &Container) -> io::Result<()> {
        let record = container.record();
        let write = |name: &str, text: String| trees::overwrite(&container.dir().join(name), text.as_bytes());
        let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let is_hosts_own = record.host.network_mode == HOST && record.host.dns.is_empty();
        let dns = self.config.dns.to_string();
        let resolv = match is_hosts_own && !machine.is_empty() {
            true => machine,
            false => resolv_conf(&record, &dns, &machine),
        };
        write(RESOLV, resolv)?;
        write(HOSTNAME, format!("{}\n", record.config.hostname))?;
        self.write_hosts(container)
    }

    /// Someone came or went: whoever has links learns of it.
    pub(crate) fn refresh_hosts(&self) {
        for container in self.containers() {
            let concerned = container.see(|r| r.running().is_some() && !r.host.links.is_empty());
            if concerned && let Err(error) = self.write_hosts(&container) {
                tracing::warn!(container = container.see(|r| r.name.clone()), %error, "hosts file not written");
            }
        }
    }

    fn write_hosts(&self, container: &Container) -> io::Result<()> {
        let record = container.record();
        let bridge = self.networks.of_record(BRIDGE).ok().and_then(|bridge| bridge.subnet);
        let gateway = bridge.map_or(self.config.gateway, |subnet| subnet.gateway);
        let text = match record.host.network_mode == HOST {
            true => std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
            false => hosts(&record, gateway, &self.links(&record)),
        };
        trees::overwrite(&container.dir().join(HOSTS), text.as_bytes())
    }
}

fn remove_files(dir: &Path) -> io::Result<()> {
    [HOSTS, RESOLV, HOSTNAME].iter().try_for_each(|name| match std::fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}

fn mounts(record: &Record, dir: &Path) -> Vec<Mount> {
    let is_taken = |target: &Path| record.mounts.iter().any(|m| m.target == target);
    let own = [(HOSTS, "/etc/hosts"), (RESOLV, "/etc/resolv.conf"), (HOSTNAME, "/etc/hostname")];
    let free = own.into_iter().filter(|(_, target)| !is_taken(Path::new(target)));
    let mount = |(name, target)| Mount {
        source: Some(dir.join(name)),
        target: PathBuf::from(target),
        read_only: record.host.readonly_rootfs,
        ..Mount::default()
    };
    free.map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint_settings::EndpointSettings;
    use crate::record::State;
    use crate::record::tests::{record, run};

    fn in_network(name: &str, network: &str) -> Record {
        let mut member = record(name);
        member.config.hostname = name.to_owned();
        run(&mut member, None);
        if let State::Running(running) = &mut member.state {
            let (range, gateway) = ("172.18.0.0/16".parse().unwrap(), "172.18.0.1".parse().unwrap());
            let address = "172.18.0.2".parse().unwrap();
            let endpoint =
                EndpointSettings { id: String::new(), address, range, gateway, internal: false, mtu: None };
            running.endpoints.insert(network.to_owned(), endpoint);
        }
        member
    }

    #[test]
    fn hosts_has_ones_own_lines_links_and_what_the_user_says() {
        let mut web = in_network("web", "shop");
        web.host.extra_hosts = vec!["a:10.1.1.1".into(), "up:host-gateway".into(), "v6:::1".into()];
        let link = Link { address: "172.17.0.9".parse().unwrap(), names: "database db".into() };
        let text = hosts(&web, "172.17.0.1".parse().unwrap(), &[link]);
        let want = format!(
            "{LOCAL}10.1.1.1\ta\n172.17.0.1\tup\n::1\tv6\n172.17.0.9\tdatabase db\n172.18.0.2\tweb\n"
        );
        assert_eq!(text, want);
        web.config.domainname = "example.com".into();
        assert!(hosts(&web, Ipv4Addr::LOCALHOST, &[]).ends_with("172.18.0.2\tweb.example.com web\n"));
    }

    #[test]
    fn who_is_asked_for_names() {
        let machine = "nameserver 192.0.2.1\nsearch old\nsearch lan example\noptions edns0\n";
        let (plain, member) = (in_network("plain", BRIDGE), in_network("member", "shop"));
        let with = |record: &Record, dns: &[&str], search: &[&str]| {
            let mut record = record.clone();
            record.host.dns = dns.iter().map(|d| (*d).to_owned()).collect();
            record.host.dns_search = search.iter().map(|d| (*d).to_owned()).collect();
            resolv_conf(&record, "10.96.0.10", machine)
        };
        for (record, dns, search, want) in [
            (&plain, &[][..], &[][..], "nameserver 10.96.0.10\nsearch lan example\noptions edns0\n"),
            (&plain, &["1.1.1.1"], &["x", "y"], "nameserver 1.1.1.1\nsearch x y\noptions edns0\n"),
            (&member, &["1.1.1.1"], &["."], "nameserver 127.0.0.11\noptions edns0 ndots:0\n"),
        ] {
            assert_eq!(with(record, dns, search), want);
        }
    }
}
