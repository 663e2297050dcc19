//! What the kubelet's own server shows at upstream's paths: metrics for Prometheus, the summary API, its pods. Everything is
//! counted when somebody asks. Read [`Measured`] first; the pages are made of it, and pure.

mod cadvisor;
mod exposition;
mod kubelet_metrics;
mod resource;
mod summary;

use crate::machine::{Disk, disk};
use crate::shared::Shared;
use crate::usage::{busy_ns, working_set};
use crate::{pod, resources};
use cri::{ContainerState, ContainerStats, CriError, InterfaceStats, KubeletPage};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// All that is counted of a node and its pods at one time.
pub(crate) struct Measured {
    pub at: Timestamp,
    pub node: String,
    pub cpus: u64,
    /// Bytes.
    pub memory: u64,
    /// Nanoseconds of all processors since the machine started.
    pub cpu_ns: u64,
    pub working_set: u64,
    pub booted_at: Timestamp,
    pub disk: Disk,
    pub pods: Vec<PodMeasured>,
}

pub(crate) struct PodMeasured {
    pub pod: Arc<Pod>,
    /// Of its sandbox.
    pub started_at: Timestamp,
    pub interfaces: Vec<InterfaceStats>,
    pub containers: Vec<ContainerMeasured>,
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

/// `None` for a path that leads nowhere.
pub(crate) async fn page(shared: &Shared, path: &str) -> cri::Result<Option<KubeletPage>> {
    let path = path.trim_end_matches('/');
    let text = |content_type: &'static str, body: String| Ok(Some(KubeletPage { content_type, body }));
    match path {
        "/healthz" => text("text/plain; charset=utf-8", "ok".to_owned()),
        "/metrics" => text(EXPOSITION, kubelet_metrics::page(&measure(shared).await?)),
        "/metrics/cadvisor" => text(EXPOSITION, cadvisor::page(&measure(shared).await?)),
        "/metrics/resource" => text(EXPOSITION, resource::page(&measure(shared).await?)),
        "/stats/summary" => text(JSON, summary::page(&measure(shared).await?).to_string()),
        "/pods" => text(JSON, pods(shared).map_err(|e| CriError::failed("list pods", e))?),
        _ => Ok(None),
    }
}

async fn measure(shared: &Shared) -> cri::Result<Measured> {
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
        pods.push(PodMeasured { pod, started_at, interfaces, containers });
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
        working_set: working_set(&meminfo),
        booted_at: booted.and_then(|at| Timestamp::from_second(at).ok()).unwrap_or_default(),
        disk: disk(&config.state_dir).unwrap_or(Disk { capacity: 0, available: 0 }),
        pods,
    })
}

fn pods(shared: &Shared) -> Result<String, serde_json::Error> {
    let node = &shared.config.node_name;
    let ours = shared.known.list(None).into_iter();
    let ours = ours.filter(|pod| pod::spec(pod).node_name.as_ref() == Some(node));
    let items = ours.map(|pod| api::json::to_value(&*pod)).collect::<Result<Vec<_>, _>>()?;
    Ok(serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}).to_string())
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
        memory_stat: [("rss".to_owned(), 4096), ("cache".to_owned(), 8192)].into(),
        io: vec![cri::IoStats { major: 8, minor: 0, read: 10, written: 20 }],
        ..Default::default()
    };
    Measured {
        at: second(1_700_000_100),
        node: "n1".into(),
        cpus: 2,
        memory: 1 << 30,
        cpu_ns: 90_000_000_000,
        working_set: 1 << 29,
        booted_at: second(1_700_000_000),
        disk: Disk { capacity: 1000, available: 400 },
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
        }],
    }
}
