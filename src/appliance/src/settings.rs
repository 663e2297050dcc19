//! What a profile keeps between starts, in `settings.json`: ports and ranges of addresses that are settled at the first start,
//! and what the user has asked for since.

use crate::subnets::{Subnets, docker_pools};
use crate::{ApiServerFiles, DaemonMemory, Datastore, MaxPods, Paths};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

/// What was settled at the first start and must stay: addresses that stored objects and kubeconfigs hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub api_port: u16,
    /// Of the dashboard, on loopback only.
    pub dashboard_port: u16,
    pub pod_cidr: Ipv4Net,
    pub service_cidr: Ipv4Net,
    /// Where Services of type LoadBalancer get an address of their own.
    pub load_balancer_cidr: Ipv4Net,
    pub registries: image::Registries,
    /// What the API server's certificate holds beside this machine's own: names and addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_names: Vec<String>,
    /// Where the Docker socket is beside the profile's own place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_socket: Option<PathBuf>,
    /// Of the daemon itself.
    #[serde(default, skip_serializing_if = "DaemonMemory::is_default")]
    pub daemon_memory: DaemonMemory,
    /// That the node takes.
    #[serde(default, skip_serializing_if = "MaxPods::is_default")]
    pub max_pods: MaxPods,
    #[serde(default, skip_serializing_if = "ApiServerFiles::is_default")]
    pub api_server_files: ApiServerFiles,
    /// `kubescheduler.config.k8s.io/v1`, kind `KubeSchedulerConfiguration`; an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_config: Option<PathBuf>,
    /// The etcd cluster that keeps the state; without one, the profile's own file does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datastore: Option<Datastore>,
    /// Others that may hold an earlier state of the profile, or a copy that came to nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_datastores: Vec<Datastore>,
    /// Without it there is the Docker half alone.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub kubernetes: bool,
}

fn yes() -> bool {
    true
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
const FIRST_DASHBOARD_PORT: u16 = 9443;
const PORTS_TRIED: u16 = 100;

impl Settings {
    /// For a new profile: ports and subnets that no other profile of the machine has, also where that one is stopped, so that
    /// they live side by side.
    pub fn fresh(paths: &Paths) -> Self {
        Settings::beside(paths.profile.as_str(), &of_others(paths))
    }

    pub(crate) fn beside(profile: &str, others: &[Settings]) -> Self {
        let subnets =
            Subnets::beside(profile, &others.iter().map(|other| other.pod_cidr).collect::<Vec<_>>());
        let taken: Vec<u16> =
            others.iter().flat_map(|other| [other.api_port, other.dashboard_port]).collect();
        Settings {
            api_port: free_port(FIRST_API_PORT, &taken),
            dashboard_port: free_port(FIRST_DASHBOARD_PORT, &taken),
            pod_cidr: subnets.pods,
            service_cidr: subnets.services,
            load_balancer_cidr: subnets.load_balancers,
            registries: image::Registries::default(),
            api_names: Vec::new(),
            docker_socket: None,
            daemon_memory: DaemonMemory::Default,
            max_pods: MaxPods::default(),
            api_server_files: ApiServerFiles::default(),
            scheduler_config: None,
            datastore: None,
            former_datastores: Vec::new(),
            kubernetes: true,
        }
    }

    /// `None` before the first start.
    ///
    /// # Errors
    /// A file that can not be read or is not what was written.
    pub fn load(paths: &Paths) -> Result<Option<Self>, SettingsError> {
        let path = paths.settings();
        let unreadable = |why: String| SettingsError::Unreadable { path: path.clone(), why };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(e.to_string())),
        }
    }

    /// # Errors
    /// What the file system says; the old file stays then.
    pub fn save(&self, paths: &Paths) -> Result<(), SettingsError> {
        let path = paths.settings();
        let fresh = path.with_extension("new");
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        std::fs::write(&fresh, text)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(|why| SettingsError::Unwritable { path, why })
    }

    /// All that may hold something of the profile.
    pub(crate) fn datastores(&self) -> impl Iterator<Item = &Datastore> {
        self.datastore.iter().chain(&self.former_datastores)
    }

    /// It may hold something from now on.
    pub(crate) fn remember(&mut self, datastore: Option<&Datastore>) {
        if let Some(datastore) = datastore
            && !self.datastores().any(|known| known == datastore)
        {
            self.former_datastores.push(datastore.clone());
        }
    }

    pub(crate) fn use_datastore(&mut self, datastore: Option<Datastore>) {
        let former = std::mem::replace(&mut self.datastore, datastore);
        self.remember(former.as_ref());
        self.former_datastores.retain(|former| Some(former) != self.datastore.as_ref());
    }

    /// With the files that are known of it, where none are given.
    pub(crate) fn with_known_files(&self, datastore: Datastore) -> Datastore {
        if datastore.cafile().is_some() || datastore.identity().is_some() {
            return datastore;
        }
        let known = self.datastores().find(|known| known.endpoints() == datastore.endpoints());
        known.cloned().unwrap_or(datastore)
    }

    /// The API server's own ClusterIP.
    pub fn api_service_ip(&self) -> Ipv4Addr {
        nth(&self.service_cidr, 1)
    }

    /// The cluster DNS's ClusterIP.
    pub fn dns_service_ip(&self) -> Ipv4Addr {
        nth(&self.service_cidr, 10)
    }

    /// What Docker's networks are cut from, with the length of each one's prefix.
    pub fn docker_pools(&self) -> impl Iterator<Item = (Ipv4Net, u8)> + use<> {
        docker_pools(&self.pod_cidr)
    }

    /// The machine as pods see it: an address that is always there, whatever network the machine is in.
    pub fn gateway(&self) -> Ipv4Addr {
        nth(&self.pod_cidr, 1)
    }
}

fn nth(net: &Ipv4Net, number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()) + number)
}

/// What the other profiles of this machine keep. One that can not be read reserves nothing: its own start says why.
fn of_others(paths: &Paths) -> Vec<Settings> {
    let [profiles, _] = paths.parents();
    let entries = std::fs::read_dir(profiles).into_iter().flatten().flatten();
    let others = entries.map(|entry| entry.path()).filter(|state| *state != paths.state);
    others.filter_map(|state| Settings::load(&Paths { state, ..paths.clone() }).ok().flatten()).collect()
}

fn free_port(first: u16, taken: &[u16]) -> u16 {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
    (first..first + PORTS_TRIED).find(|port| !taken.contains(port) && is_free(*port)).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_addresses_are_where_clients_expect_them() {
        let settings = Settings::beside("monopod", &[]);
        assert_eq!(settings.api_service_ip().to_string(), "10.96.0.1");
        assert_eq!(settings.dns_service_ip().to_string(), "10.96.0.10");
        assert_eq!(settings.gateway().to_string(), "10.244.0.1");
    }

    #[test]
    fn what_a_stopped_profile_has_is_not_given_to_another() {
        let root = tempfile::tempdir().unwrap();
        let paths = |profile: &str| Paths::below(root.path(), &profile.parse().unwrap());
        let first = |profile: &str| {
            let paths = paths(profile);
            std::fs::create_dir_all(&paths.state).unwrap();
            let settings = Settings::fresh(&paths);
            settings.save(&paths).unwrap();
            settings
        };
        // their names lead to the same subnets
        let (e, f) = (first("e"), first("f"));
        assert_ne!(e.pod_cidr, f.pod_cidr);
        assert_ne!(e.service_cidr, f.service_cidr);
        assert_ne!(e.api_port, f.api_port);
        assert_ne!(e.dashboard_port, f.dashboard_port);
        assert_eq!(Settings::fresh(&paths("e")).pod_cidr, e.pod_cidr, "its own are not in its way");
        std::fs::write(paths("f").settings(), "damaged").unwrap();
        let third = Settings::fresh(&paths("g"));
        assert_ne!(third.api_port, e.api_port, "also beside one that can not be read");
    }
}
