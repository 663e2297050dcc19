use crate::Places;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

/// What was settled at the first start and must stay: addresses that stored objects and kubeconfigs hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub api_port: u16,
    pub service_cidr: Ipv4Net,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("read {path}: {why}", path = path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("write {path}: {why}", path = path.display())]
    Unwritable { path: PathBuf, why: std::io::Error },
}

pub const CLUSTER_DOMAIN: &str = "cluster.local";
pub const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
const FIRST_API_PORT: u16 = 8443; // minikube's
const PORTS_TRIED: u16 = 100;
/// 8,192 addresses for services: 10.96.0.0/19 for the first profile, a slot of that width for each other.
const SERVICE_PREFIX: u8 = 19;
const SLOT_WIDTH: u8 = 32;
const SLOTS: u8 = 8;

impl Settings {
    /// For a new profile: a free port, and subnets that differ between profiles, so that two clusters live side by side.
    pub fn fresh(profile: &str) -> Self {
        let slot =
            if profile == crate::places::DEFAULT_PROFILE { 0 } else { 1 + hash(profile) % (SLOTS - 1) };
        Settings { api_port: free_port(), service_cidr: net(96, slot * SLOT_WIDTH) }
    }

    /// `None` before the first start.
    ///
    /// # Errors
    /// A file that can not be read or is not what was written.
    pub fn load(places: &Places) -> Result<Option<Self>, SettingsError> {
        let path = places.settings();
        let unreadable = |why: String| SettingsError::Unreadable { path: path.clone(), why };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(e.to_string())),
        }
    }

    /// # Errors
    /// What the file system says; the old file stays then.
    pub fn save(&self, places: &Places) -> Result<(), SettingsError> {
        let path = places.settings();
        let fresh = path.with_extension("new");
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        std::fs::write(&fresh, text)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(|why| SettingsError::Unwritable { path, why })
    }

    /// The API server's own ClusterIP.
    pub fn api_service_ip(&self) -> Ipv4Addr {
        nth(&self.service_cidr, 1)
    }
}

fn nth(net: &Ipv4Net, number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()) + number)
}

fn net(second: u8, third: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, second, third, 0), SERVICE_PREFIX)
}

/// FNV-1a, folded: the same slot for the same name on every machine.
fn hash(name: &str) -> u8 {
    let hash = name.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    hash.to_le_bytes().iter().fold(0, |a, b| a ^ b)
}

fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    (FIRST_API_PORT..FIRST_API_PORT + PORTS_TRIED).find(free).unwrap_or(FIRST_API_PORT)
}
