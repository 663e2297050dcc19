//! `--link name:alias` on the default bridge, from before there were names: lines in the hosts file and variables of the
//! environment. In a user-defined network the name server knows a link's alias.

use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::link::parse;
use crate::model::HostConfig;
use crate::networks::BRIDGE;
use crate::plan;
use crate::record::{Container, Record};
use std::net::Ipv4Addr;

/// Where a link leads, and the names that it gives.
pub(crate) struct Link {
    pub(crate) address: Ipv4Addr,
    pub(crate) names: String,
}

/// As inspect shows one: `/db:/web/data`.
fn shown(record: &Record, other: &str, alias: &str) -> String {
    format!("/{other}:/{}/{alias}", record.name)
}

/// What the linker's environment says of another container: its ports, and its own environment.
fn variables(linker: &Record, other: &Record, alias: &str, address: Ipv4Addr) -> Vec<String> {
    let prefix = alias.to_uppercase().replace('-', "_");
    let mut ports: Vec<_> =
        other.config.exposed_ports.keys().filter_map(|text| plan::port(text).ok()).collect();
    ports.sort_by_key(|(number, _)| *number);
    let mut all = vec![format!("{prefix}_NAME=/{}/{alias}", linker.name)];
    for (at, (number, protocol)) in ports.iter().enumerate() {
        let protocol = format!("{protocol:?}").to_lowercase();
        let (url, port) = (
            format!("{protocol}://{address}:{number}"),
            format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase()),
        );
        all.extend((at == 0).then(|| format!("{prefix}_PORT={url}")));
        all.extend([
            format!("{port}={url}"),
            format!("{port}_ADDR={address}"),
            format!("{port}_PORT={number}"),
            format!("{port}_PROTO={protocol}"),
        ]);
    }
    let of_other =
        other.config.env.iter().filter(|entry| !entry.starts_with("HOME=") && !entry.starts_with("PATH="));
    all.extend(of_other.map(|entry| format!("{prefix}_ENV_{entry}")));
    all
}

impl Engine {
    /// When a container is made.
    ///
    /// # Errors
    /// A link to nobody.
    pub(crate) fn check_links(&self, host: &HostConfig) -> Result<()> {
        host.links.iter().map(|link| parse(link).0).try_for_each(|name| match self.container(name) {
            Ok(_) => Ok(()),
            Err(why) => {
                Err(ApiError::bad(format_args!("could not get container for {name}: {}", why.message)))
            }
        })
    }

    /// When it starts.
    ///
    /// # Errors
    /// A link to a container that does not run.
    pub(crate) fn link_targets_run(&self, record: &Record) -> Result<()> {
        record.host.links.iter().map(|link| parse(link)).try_for_each(|(name, alias)| {
            let other = self.container(name)?;
            match other.see(|r| r.running().is_some()) {
                true => Ok(()),
                false => Err(ApiError::internal(format_args!(
                    "Cannot link to a non running container: /{} AS /{}/{alias}",
                    other.see(|r| r.name.clone()),
                    record.name
                ))),
            }
        })
    }

    /// As inspect shows them, with the names that the others have now.
    pub(crate) fn shown_links(&self, record: &Record) -> Vec<String> {
        let name =
            |name: &str| self.container(name).map_or_else(|_| name.to_owned(), |c| c.see(|r| r.name.clone()));
        record
            .host
            .links
            .iter()
            .map(|link| parse(link))
            .map(|(of, alias)| shown(record, &name(of), alias))
            .collect()
    }

    /// What others call a container by a link on the default bridge: `/web/data`.
    pub(crate) fn link_names(&self, container: &Container) -> Vec<String> {
        let id = container.see(|r| r.id.clone());
        let leads_here = |name: &str| self.container(name).is_ok_and(|other| other.see(|r| r.id == id));
        let of = |linker: &Record| {
            let links = linker.host.links.iter().filter(|_| linker.host.network_mode == BRIDGE);
            let here = links.map(|link| parse(link)).filter(|(name, _)| leads_here(name));
            here.map(|(_, alias)| format!("/{}/{alias}", linker.name)).collect::<Vec<_>>()
        };
        self.containers().iter().flat_map(|linker| of(&linker.record())).collect()
    }

    /// Those that lead somewhere now: the other container, its alias and its address.
    fn targets(&self, record: &Record) -> Vec<(Record, String, Ipv4Addr)> {
        let target = |link: &String| {
            let (name, alias) = parse(link);
            let other = self.container(name).ok()?.record();
            let address = other.running()?.endpoints.get(BRIDGE)?.address;
            Some((other, alias.to_owned(), address))
        };
        record.host.links.iter().filter_map(target).collect()
    }

    pub(crate) fn links(&self, record: &Record) -> Vec<Link> {
        let link = |(other, alias, address): (Record, String, Ipv4Addr)| {
            let mut names = vec![alias, other.config.hostname, other.name];
            names.dedup();
            Link { address, names: names.join(" ") }
        };
        self.targets(record).into_iter().map(link).collect()
    }

    pub(crate) fn link_variables(&self, record: &Record) -> Vec<(String, String)> {
        let all = self.targets(record);
        let all = all.iter().flat_map(|(other, alias, address)| variables(record, other, alias, *address));
        all.filter_map(|entry| entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use serde_json::json;

    #[test]
    fn what_a_link_says() {
        let mut web = record("web");
        for (link, want) in [
            ("db", "/db:/web/db"),
            ("cache:store", "/cache:/web/store"),
            ("/queue:/web/jobs", "/queue:/web/jobs"),
        ] {
            let (other, alias) = parse(link);
            assert_eq!(shown(&web, other, alias), want);
        }
        web.host.links = vec!["db".into()];
        let mut db = record("db");
        db.config.exposed_ports = [("5432/tcp".to_owned(), json!({}))].into();
        db.config.env = vec!["PATH=/bin".into(), "MODE=fast".into()];
        let want = [
            "MY_DB_NAME=/web/my-db",
            "MY_DB_PORT=tcp://172.17.0.2:5432",
            "MY_DB_PORT_5432_TCP=tcp://172.17.0.2:5432",
            "MY_DB_PORT_5432_TCP_ADDR=172.17.0.2",
            "MY_DB_PORT_5432_TCP_PORT=5432",
            "MY_DB_PORT_5432_TCP_PROTO=tcp",
            "MY_DB_ENV_MODE=fast",
        ];
        assert_eq!(variables(&web, &db, "my-db", Ipv4Addr::new(172, 17, 0, 2)), want);
    }
}
