//! Docker's networks: what there is, and who has which address in them. `bridge`, `host` and `none` are always there.

use crate::error::{ApiError, Result};
use crate::files;
use crate::ipam::{self, AddressPool, Subnet};
use crate::record::new_id;
use cri::{AddressSpace, NetworkConfig};
use http::StatusCode;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

pub(crate) const BRIDGE: &str = "bridge";
pub(crate) const HOST: &str = "host";
pub(crate) const NONE: &str = "none";

const MEMBERS_MEET: &str = "com.docker.network.bridge.enable_icc";
const MTU: &str = "com.docker.network.driver.mtu";
const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// The least that IPv4 lets a link carry; RFC 791.
const LEAST_MTU: u32 = 68;
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Network {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) driver: String,
    #[serde(default)]
    pub(crate) internal: bool,
    #[serde(default)]
    pub(crate) attachable: bool,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) options: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) ipam_options: BTreeMap<String, String>,
    /// `host` and `none` have none; of an older record it is chosen at the start.
    #[serde(default)]
    pub(crate) subnet: Option<Subnet>,
}

impl Network {
    pub(crate) fn new(name: &str, driver: &str) -> Self {
        Network {
            id: new_id(),
            name: name.to_owned(),
            created: Timestamp::now(),
            driver: driver.to_owned(),
            internal: false,
            attachable: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            ipam_options: BTreeMap::new(),
            subnet: None,
        }
    }

    pub(crate) fn is_built_in(&self) -> bool {
        is_built_in(&self.name)
    }

    /// Of a VPN's users, whose way out carries less than the machine's link.
    pub(crate) fn mtu(&self) -> Option<u32> {
        self.options.get(MTU)?.parse().ok().filter(|mtu| *mtu > 0)
    }

    /// Where ports are published that name no address of the machine.
    pub(crate) fn host_binding(&self) -> Option<&str> {
        self.options.get(HOST_BINDING).map(String::as_str)
    }

    fn says_no(&self, option: &str) -> bool {
        self.options.get(option).is_some_and(|value| matches!(value.as_str(), "false" | "0" | "f" | "F"))
    }

    fn config(&self) -> Option<NetworkConfig> {
        let subnet = self.subnet.as_ref()?;
        Some(NetworkConfig {
            subnet: subnet.range,
            gateway: subnet.gateway,
            internal: self.internal,
            members_meet: !self.says_no(MEMBERS_MEET),
            masquerade: !self.says_no(MASQUERADE),
        })
    }
}

pub(crate) fn is_built_in(name: &str) -> bool {
    [BRIDGE, HOST, NONE].contains(&name)
}

/// Addresses of one network, and the containers that have them.
type Leases = BTreeMap<Ipv4Addr, String>;

pub(crate) struct Networks {
    file: PathBuf,
    pools: Vec<AddressPool>,
    all: Mutex<Vec<Network>>,
    /// By the network's id.
    leases: Mutex<BTreeMap<String, Leases>>,
    /// Held by who changes which networks there are, until the kernel has it.
    pub(crate) gate: tokio::sync::Mutex<()>,
}

impl Networks {
    pub(crate) fn open(dir: &Path, pools: Vec<AddressPool>) -> std::io::Result<Self> {
        let file = dir.join("networks.json");
        let all = match files::read(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let built_in = [(BRIDGE, "bridge"), (HOST, "host"), (NONE, "null")];
                let all: Vec<_> = built_in.iter().map(|(name, driver)| Network::new(name, driver)).collect();
                files::write(&file, &all)?;
                all
            }
            read => read.map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", file.display())))?,
        };
        let (all, leases) = (Mutex::new(all), Mutex::default());
        Ok(Networks { file, pools, all, leases, gate: Default::default() })
    }

    pub(crate) fn all(&self) -> Vec<Network> {
        self.all.lock().clone()
    }

    /// What the kernel must know of them.
    pub(crate) fn configs(&self) -> Vec<NetworkConfig> {
        self.all.lock().iter().filter_map(Network::config).collect()
    }

    /// By id, name, or the beginning of its id, as a client writes it: a network that is *named* like another one's id does
    /// not get in its way. Docker's `default` is the bridge.
    pub(crate) fn find(&self, name: &str) -> Result<Network> {
        let name = if name == "default" { BRIDGE } else { name };
        let all = self.all.lock();
        if let Some(exact) = all.iter().find(|n| n.id == name).or_else(|| all.iter().find(|n| n.name == name))
        {
            return Ok(exact.clone());
        }
        let found: Vec<_> = all.iter().filter(|n| !name.is_empty() && n.id.starts_with(name)).collect();
        match &found[..] {
            [one] => Ok((*one).clone()),
            [] => Err(ApiError::not_found(format_args!("network {name} not found"))),
            many => Err(ApiError::bad(format_args!(
                "network {name} is ambiguous ({} matches found based on ID prefix)",
                many.len()
            ))),
        }
    }

    /// As a record has it, by name; what was not there when the record was written is looked for as a client wrote it.
    pub(crate) fn of_record(&self, name: &str) -> Result<Network> {
        let named = self.all.lock().iter().find(|n| n.name == name).cloned();
        named.map_or_else(|| self.find(name), Ok)
    }

    /// Gives every bridge that has no addresses yet some of its own.
    pub(crate) fn allocate_missing(&self, space: &AddressSpace) -> Result<()> {
        let lacking = |n: &Network| n.driver == BRIDGE && n.subnet.is_none();
        if !self.all.lock().iter().any(lacking) {
            // nothing is written that is on the disk already: a full one keeps no network from the kernel
            return Ok(());
        }
        self.change(|all| {
            while let Some(at) = all.iter().position(lacking) {
                all[at].subnet = Some(self.choose(all, space)?);
            }
            Ok(())
        })
    }

    /// With the addresses that it wants, or some that nobody has.
    pub(crate) fn add(&self, mut network: Network, space: &AddressSpace) -> Result<Network> {
        self.change(|all| {
            if all.iter().any(|n| n.name == network.name) {
                let name = &network.name;
                return Err(ApiError::conflict(format_args!("network with name {name} already exists")));
            }
            match &network.subnet {
                Some(wanted) => {
                    let mut others = ranges(all).chain(space.own.iter().copied());
                    if others.any(|other| ipam::overlap(wanted.range, other)) {
                        return Err(ApiError::forbidden(
                            "invalid pool request: Pool overlaps with other one on this address space",
                        ));
                    }
                }
                None => network.subnet = Some(self.choose(all, space)?),
            }
            all.push(network.clone());
            Ok(())
        })?;
        Ok(network)
    }

    fn choose(&self, all: &[Network], space: &AddressSpace) -> Result<Subnet> {
        let taken: Vec<Ipv4Net> =
            ranges(all).chain(space.own.iter().copied()).chain(space.routed.iter().copied()).collect();
        let full = || ApiError::bad("all predefined address pools have been fully subnetted");
        ipam::choose(&self.pools, &taken).ok_or_else(full)
    }

    pub(crate) fn remove(&self, id: &str) -> Result<()> {
        self.change(|all| {
            all.retain(|n| n.id != id);
            Ok(())
        })?;
        self.leases.lock().remove(id);
        Ok(())
    }

    /// An address for a container: the one that it wants, or the first that is free.
    pub(crate) fn lease(
        &self,
        network: &Network,
        container: &str,
        wanted: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr> {
        let name = &network.name;
        let no_addresses = || ApiError::bad(format_args!("network {name} has no addresses"));
        let subnet = network.subnet.as_ref().ok_or_else(no_addresses)?;
        let mut all = self.leases.lock();
        let leases = all.entry(network.id.clone()).or_default();
        let is_taken = |address: Ipv4Addr| leases.contains_key(&address);
        let address = match wanted {
            Some(address) if is_taken(address) || !ipam::is_givable(subnet, address) => {
                return Err(ApiError::forbidden("Address already in use"));
            }
            Some(address) => address,
            None => ipam::first_free(subnet, is_taken).ok_or_else(|| {
                ApiError::forbidden(format_args!(
                    "no available IPv4 addresses on this network's address pools: {name} ({})",
                    network.id
                ))
            })?,
        };
        leases.insert(address, container.to_owned());
        Ok(address)
    }

    /// Notes what a container has already.
    pub(crate) fn reserve(&self, network: &str, container: &str, address: Ipv4Addr) {
        if let Ok(network) = self.of_record(network) {
            self.leases.lock().entry(network.id).or_default().insert(address, container.to_owned());
        }
    }

    /// Gives back the addresses of a container, in one network or in all.
    pub(crate) fn release(&self, container: &str, network: Option<&str>) {
        let id = network.and_then(|name| self.of_record(name).ok()).map(|network| network.id);
        for (of, leases) in self.leases.lock().iter_mut() {
            if id.as_ref().is_none_or(|id| id == of) {
                leases.retain(|_, holder| holder != container);
            }
        }
    }

    /// On the disk first: where that is full, nothing has changed, and what was refused can be asked for again.
    fn change(&self, change: impl FnOnce(&mut Vec<Network>) -> Result<()>) -> Result<()> {
        let mut all = self.all.lock();
        let mut changed = all.clone();
        change(&mut changed)?;
        files::write(&self.file, &changed).map_err(|e| ApiError::failed("write the networks' record", e))?;
        *all = changed;
        Ok(())
    }
}

fn ranges(all: &[Network]) -> impl Iterator<Item = Ipv4Net> {
    all.iter().filter_map(|network| network.subnet.as_ref()).map(|subnet| subnet.range)
}

/// What a network's options can not be, and those that there is nothing for: networks here have no bridge of their own.
///
/// # Errors
/// A value that is none, in Docker's words.
pub(crate) fn check_options(options: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (name, value) in options {
        let bad =
            |why: &str| Err(ApiError::bad(format_args!("failed to parse {name} value: {value:?} ({why})")));
        match name.as_str() {
            MTU => match value.parse::<u32>() {
                Ok(0) => {}
                Ok(mtu) if (LEAST_MTU..=65_535).contains(&mtu) => {}
                Ok(_) => return Err(ApiError::bad(format_args!("invalid MTU number: {value}"))),
                Err(_) => return bad("invalid syntax"),
            },
            MEMBERS_MEET | MASQUERADE => {
                if crate::seccomp::truth(value).is_none() {
                    return bad("invalid syntax");
                }
            }
            HOST_BINDING => {
                if value.parse::<Ipv4Addr>().is_err() {
                    return bad("invalid ip");
                }
            }
            _ => warnings
                .push(format!("network option {name} has no effect: networks are routed, without a bridge")),
        }
    }
    Ok(warnings)
}

/// Drivers that Docker has and this program has not, and those that nobody has.
pub(crate) fn check_driver(driver: &str) -> Result<()> {
    match driver {
        "" | "bridge" | "default" => Ok(()),
        "host" | "null" => {
            Err(ApiError::forbidden(format_args!("only one instance of \"{driver}\" network is allowed")))
        }
        "overlay" => Err(ApiError::forbidden(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to \
             swarm and try again.",
        )),
        "macvlan" | "ipvlan" => Err(ApiError {
            status: StatusCode::NOT_IMPLEMENTED,
            message: format!(
                "the {driver} driver is not offered: containers are routed by this machine; use the bridge driver"
            ),
        }),
        other => Err(ApiError::not_found(format_args!(
            "could not find plugin {other} in v1 plugin registry: plugin not found"
        ))),
    }
}

#[cfg(test)]
mod tests;
