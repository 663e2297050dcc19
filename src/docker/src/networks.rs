//! Docker's networks. Containers are routed, each with one address; a network is who may call whom by name. `bridge`,
//! `host` and `none` are always there.

use crate::files;
use crate::record::{lock, new_id};
use crate::refusal::{Refusal, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub(crate) const BRIDGE: &str = "bridge";
pub(crate) const HOST: &str = "host";
pub(crate) const NONE: &str = "none";

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
    #[serde(default, rename = "IPAM")]
    pub(crate) ipam: Value,
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
            ipam: Value::Null,
        }
    }

    pub(crate) fn is_built_in(&self) -> bool {
        [BRIDGE, HOST, NONE].contains(&self.name.as_str())
    }
}

pub(crate) struct Networks {
    file: PathBuf,
    all: Mutex<Vec<Network>>,
}

impl Networks {
    pub(crate) fn open(dir: &Path) -> std::io::Result<Self> {
        let file = dir.join("networks.json");
        let all = match files::read(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let built_in = [(BRIDGE, "bridge"), (HOST, "host"), (NONE, "null")];
                let all: Vec<_> = built_in.iter().map(|(name, driver)| Network::new(name, driver)).collect();
                files::write(&file, &all)?;
                all
            }
            read => read?,
        };
        Ok(Networks { file, all: Mutex::new(all) })
    }

    pub(crate) fn all(&self) -> Vec<Network> {
        lock(&self.all).clone()
    }

    /// By name, id, or the beginning of its id. Docker's `default` is the bridge.
    pub(crate) fn find(&self, name: &str) -> Result<Network> {
        let name = if name == "default" { BRIDGE } else { name };
        let all = lock(&self.all);
        let exact = all.iter().find(|n| n.name == name || n.id == name);
        let found = exact.or_else(|| all.iter().find(|n| !name.is_empty() && n.id.starts_with(name)));
        found.cloned().ok_or_else(|| Refusal::not_found(format_args!("network {name} not found")))
    }

    pub(crate) fn add(&self, network: Network) -> Result<()> {
        let mut all = lock(&self.all);
        if all.iter().any(|n| n.name == network.name) {
            let name = network.name;
            return Err(Refusal::conflict(format_args!("network with name {name} already exists")));
        }
        all.push(network);
        self.save(&all)
    }

    pub(crate) fn remove(&self, id: &str) -> Result<()> {
        let mut all = lock(&self.all);
        all.retain(|n| n.id != id);
        self.save(&all)
    }

    fn save(&self, all: &[Network]) -> Result<()> {
        files::write(&self.file, &all).map_err(|e| Refusal::failed("write the networks' record", e))
    }
}
