//! What a node and its pods use, counted when somebody asks and at no other time.

use crate::machine::{Disk, disk};
use crate::shared::Shared;
use crate::usage::{MemoryUse, busy_ns, memory_use};
use crate::{pod, resources};
use cri::{ContainerState, ContainerStats, InterfaceStats};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All that is counted of a node and its pods at one time.
pub(crate) struct Measured {
    pub at: Timestamp,
    pub node: String,
    pub cpus: u64,
    /// Bytes.
    pub memory: u64,
    /// Nanoseconds of all processors since the machine started.
    pub cpu_ns: u64,
    pub memory_use: MemoryUse,
    pub booted_at: Timestamp,
    pub disk: Disk,
    /// By their numbers, the names of those that pods read and write.
    pub devices: BTreeMap<Device, String>,
    pub pods: Vec<PodMeasured>,
}

/// Major and minor number of a block device.
pub(crate) type Device = (u64, u64);

pub(crate) struct PodMeasured {
    pub pod: Arc<Pod>,
    /// Of its sandbox.
    pub started_at: Timestamp,
    pub interfaces: Vec<InterfaceStats>,
    pub containers: Vec<ContainerMeasured>,
    /// Those of storage drivers, where they were asked: `csi::measure_volumes`.
    pub volumes: Vec<VolumeMeasured>,
}

pub(crate) struct VolumeMeasured {
    /// As the pod calls it.
    pub name: String,
    /// In the pod's namespace.
    pub claim: Option<String>,
    pub bytes: Option<Filled>,
    pub inodes: Option<Filled>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    pub total: u64,
    pub used: u64,
    pub available: u64,
}

pub(crate) struct ContainerMeasured {
    pub name: String,
    pub image: String,
    pub started_at: Timestamp,
    pub log: PathBuf,
    pub stats: ContainerStats,
}

impl PodMeasured {
    pub fn cpu_ns(&self) -> u64 {
        self.containers.iter().map(|c| c.stats.cpu_usage_ns).sum()
    }

    pub fn working_set(&self) -> u64 {
        self.containers.iter().map(|c| c.stats.memory_working_set).sum()
    }

    /// As cAdvisor names it.
    pub fn cgroup(&self) -> String {
        format!("/{}", resources::cgroup_parent(&self.pod))
    }
}

impl ContainerMeasured {
    /// Bytes that are no file's; cgroup v1 and v2 have each a name for them. `None` where the kernel does not count.
    pub fn rss(&self) -> Option<u64> {
        self.memory(["rss", "anon"])
    }

    /// Bytes of files.
    pub fn cache(&self) -> Option<u64> {
        self.memory(["cache", "file"])
    }

    fn memory(&self, names: [&str; 2]) -> Option<u64> {
        let counted = &self.stats.details.memory_stat;
        names.iter().find_map(|name| counted.get(*name)).copied()
    }
}

/// # Errors
/// What the runtime says.
pub(crate) async fn measure(shared: &Shared) -> cri::Result<Measured> {
    let sandboxes = shared.look_at(&shared.sandbox_index.sandboxes()).await?;
    let stats = shared.runtime.stats().await?;
    let mut counted: HashMap<_, _> = stats.into_iter().map(|stats| (stats.id.clone(), stats)).collect();
    let known: HashMap<String, Arc<Pod>> =
        shared.known.list(None).into_iter().map(|pod| (pod::uid(&pod).to_owned(), pod)).collect();
    let mut pods = Vec::new();
    for sandbox in sandboxes {
        let Some((pod, stats)) = known.get(&sandbox.config.uid).cloned().zip(counted.remove(&sandbox.id))
        else {
            continue;
        };
        let mut containers = Vec::new();
        for status in sandbox.containers {
            let ContainerState::Running { started_at, .. } = status.state else { continue };
            let Some(stats) = stats.containers.iter().find(|c| c.id == status.id).cloned() else { continue };
            containers.push(ContainerMeasured {
                name: status.name,
                image: status.image_ref,
                started_at,
                log: status.log_path,
                stats,
            });
        }
        let (started_at, interfaces) = (sandbox.created_at, stats.interfaces);
        pods.push(PodMeasured { pod, started_at, interfaces, containers, volumes: Vec::new() });
    }
    pods.sort_by(|a, b| {
        (pod::namespace(&a.pod), pod::name(&a.pod)).cmp(&(pod::namespace(&b.pod), pod::name(&b.pod)))
    });
    let stat = tokio::fs::read_to_string("/proc/stat").await.unwrap_or_default();
    let meminfo = tokio::fs::read_to_string("/proc/meminfo").await.unwrap_or_default();
    let booted = stat.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|at| at.parse().ok());
    let config = &shared.config;
    Ok(Measured {
        at: shared.clock.now(),
        node: config.node_name.clone(),
        cpus: config.machine.cpus,
        memory: config.machine.memory_bytes,
        cpu_ns: busy_ns(&stat),
        memory_use: memory_use(&meminfo),
        booted_at: booted.and_then(|at| Timestamp::from_second(at).ok()).unwrap_or_default(),
        disk: disk(&config.state_dir).unwrap_or(Disk { capacity: 0, available: 0 }),
        devices: devices(&pods).await,
        pods,
    })
}

async fn devices(pods: &[PodMeasured]) -> BTreeMap<Device, String> {
    let all = pods.iter().flat_map(|pod| &pod.containers).flat_map(|container| &container.stats.details.io);
    let used: BTreeSet<Device> = all.map(|io| (io.major, io.minor)).collect();
    let mut names = BTreeMap::new();
    for (major, minor) in used {
        let link = tokio::fs::read_link(format!("/sys/dev/block/{major}:{minor}")).await.ok();
        names.insert((major, minor), device_name((major, minor), link.as_deref()));
    }
    names
}

/// As dashboards select it. `link` is where the kernel's list of numbers (sysfs, `dev/block`) leads.
fn device_name((major, minor): Device, link: Option<&Path>) -> String {
    let name = link.and_then(Path::file_name).map(|name| name.to_string_lossy());
    // sysfs has no slash in a name
    name.map_or_else(|| format!("{major}:{minor}"), |name| format!("/dev/{}", name.replace('!', "/")))
}

#[cfg(test)]
pub(crate) fn example() -> Measured {
    use serde_json::json;
    let pod = json!({"metadata": {"name": "web-0", "namespace": "shop", "uid": "u-1"}, "spec": {"containers": [
        {"name": "web", "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}}]}});
    let second = |at| Timestamp::from_second(at).unwrap();
    let details = cri::UsageDetails {
        cpu_user_ns: 3_000_000_000,
        cpu_system_ns: 1_000_000_000,
        throttling_periods: 10,
        throttled_periods: 2,
        throttled_ns: 500_000_000,
        memory_swap: 1024,
        oom_kills: 2,
        memory_stat: [("rss".to_owned(), 4096), ("cache".to_owned(), 8192)].into(),
        io: vec![cri::IoStats { major: 8, minor: 0, read: 10, written: 20, reads: 3, writes: 4 }],
        ..Default::default()
    };
    Measured {
        at: second(1_700_000_100),
        node: "n1".into(),
        cpus: 2,
        memory: 1 << 30,
        cpu_ns: 90_000_000_000,
        memory_use: MemoryUse { used: 3 << 28, working_set: 1 << 29, rss: 1 << 28 },
        booted_at: second(1_700_000_000),
        disk: Disk { capacity: 1000, available: 400 },
        devices: [((8, 0), "/dev/sda".to_owned())].into(),
        pods: vec![PodMeasured {
            pod: Arc::new(serde_json::from_value(pod).unwrap()),
            started_at: second(1_700_000_010),
            interfaces: vec![InterfaceStats {
                name: "eth0".into(),
                rx_bytes: 5,
                tx_bytes: 7,
                ..Default::default()
            }],
            containers: vec![ContainerMeasured {
                name: "web".into(),
                image: "docker.io/library/web:1".into(),
                started_at: second(1_700_000_011),
                log: PathBuf::new(),
                stats: ContainerStats {
                    id: cri::ContainerId("c1".into()),
                    cpu_usage_ns: 4_250_000_000,
                    memory_working_set: 2048,
                    memory_usage: 12_288,
                    pids: 3,
                    details,
                },
            }],
            volumes: vec![
                VolumeMeasured {
                    name: "cache".into(),
                    claim: None,
                    bytes: Some(Filled { total: 9, used: 8, available: 1 }),
                    inodes: None,
                },
                VolumeMeasured {
                    name: "data".into(),
                    claim: Some("data-web-0".into()),
                    bytes: Some(Filled { total: 1000, used: 300, available: 650 }),
                    inodes: Some(Filled { total: 64, used: 3, available: 61 }),
                },
            ],
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_name_that_dashboards_select() {
        for (link, want) in [
            (Some("../../devices/pci0000:00/0000:00:02.0/virtio1/block/vda"), "/dev/vda"),
            (Some("../../devices/pci0000:00/block/cciss!c0d0"), "/dev/cciss/c0d0"),
            (None, "254:0"),
        ] {
            assert_eq!(device_name((254, 0), link.map(Path::new)), want);
        }
    }
}
