//! What a kubelet is told at its start.

use crate::machine::Machine;
use cri::Protocol;
use std::net::IpAddr;
use std::path::PathBuf;

/// All that a kubelet must be told; everything else it learns from the cluster.
#[derive(Debug, Clone)]
pub struct KubeletConfig {
    pub node_name: String,
    pub node_ip: IpAddr,
    /// Where its pages are served at this address, if anywhere: upstream's is 10250.
    pub port: Option<u16>,
    /// Volumes live in `pods/<uid>/`, logs in `pods-logs/<namespace>_<name>_<uid>/` below it.
    pub state_dir: PathBuf,
    /// What pods with the policy `ClusterFirst` ask for names.
    pub cluster_dns: IpAddr,
    /// `cluster.local`
    pub cluster_domain: String,
    pub max_pods: u32,
    /// The network of its pods, which the node shows as its `podCIDR`.
    pub pod_cidr: Option<String>,
    /// Environment variables for services (`WEB_SERVICE_HOST`); each pod may switch its own off.
    pub service_environment: bool,
    /// Upstream's `--image-gc-high-threshold` and `--image-gc-low-threshold`.
    pub image_gc: ImageGcThresholds,
    /// Shown as `containerRuntimeVersion: monopod://<version>`.
    pub runtime_version: String,
    pub machine: Machine,
    /// Host ports that no pod gets.
    pub own_ports: Vec<OwnPort>,
}

/// A port that the node itself listens on, at an address or at all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPort {
    pub protocol: Protocol,
    pub address: Option<IpAddr>,
    pub port: u16,
    /// Who listens there, for the message: `the API server`.
    pub of: &'static str,
}

/// Percent of the disk that holds the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageGcThresholds {
    /// Above this, unused images go, oldest use first …
    pub high_percent: u8,
    /// … until this is reached.
    pub low_percent: u8,
}

impl Default for ImageGcThresholds {
    fn default() -> Self {
        ImageGcThresholds { high_percent: 85, low_percent: 80 }
    }
}

impl KubeletConfig {
    /// With upstream's defaults, for this machine.
    pub fn new(node_name: &str, node_ip: IpAddr, state_dir: PathBuf, cluster_dns: IpAddr) -> Self {
        KubeletConfig {
            node_name: node_name.to_owned(),
            node_ip,
            port: None,
            machine: Machine::read(&state_dir),
            state_dir,
            cluster_dns,
            cluster_domain: "cluster.local".to_owned(),
            max_pods: 110,
            pod_cidr: None,
            service_environment: true,
            image_gc: ImageGcThresholds::default(),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
            own_ports: Vec::new(),
        }
    }

    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.state_dir.join("pods").join(uid)
    }

    pub fn pods_dir(&self) -> PathBuf {
        self.state_dir.join("pods")
    }

    pub fn logs_dir(&self) -> PathBuf {
        self.state_dir.join("pods-logs")
    }
}
