//! How a kubelet begins its work.

use crate::access::Access;
use crate::clock::Clock;
use crate::config::KubeletConfig;
use crate::csi::{self, Csi};
use crate::eviction::{self, Limited};
use crate::heartbeat::Heartbeat;
use crate::image_manager::ImageManager;
use crate::logs::keeper::Keeper;
use crate::manager::Manager;
use crate::meter::Meter;
use crate::pause::Pauses;
use crate::pauser::Pauser;
use crate::pod_certificates::PodCertificates;
use crate::probe_counts::ProbeCounts;
use crate::shared::{Admitted, DeferredResizes, SandboxIndex, Shared};
use crate::sources::Cached;
use crate::work_counts::WorkCounts;
use api::Status;
use cluster::{Actor, Cluster, UsageSource};
use cri::{CriError, ImageService, PodAccess, Runtime};
use parking_lot::Mutex;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A kubelet at work: its node is registered and was ready once.
pub struct Kubelet {
    pub access: Arc<dyn PodAccess>,
    pub pauser: Pauser,
    /// Ends after the stop token is cancelled; the pods go on.
    pub task: JoinHandle<()>,
}

#[derive(Debug, Error)]
pub enum StartError {
    #[error("make {}: {why}", dir.display())]
    Directory { dir: PathBuf, why: std::io::Error },
    #[error("read which namespaces are paused, {}: {why}", file.display())]
    Paused { file: PathBuf, why: std::io::Error },
    #[error("watch for storage drivers: {0}")]
    Drivers(std::io::Error),
    #[error("container runtime: {0}")]
    Runtime(CriError),
    #[error("watch container logs: {0}")]
    Logs(std::io::Error),
    #[error("register node {node}: {status}")]
    Register { node: String, status: Status },
}

/// Takes over the pods that run already, registers the node as Ready, and works until `stop`.
///
/// # Errors
/// The runtime does not answer, or the cluster refuses the node.
pub async fn start(
    cluster: Cluster,
    config: KubeletConfig,
    runtime: Arc<dyn Runtime>,
    images: Arc<dyn ImageService>,
    stop: CancellationToken,
) -> Result<Kubelet, StartError> {
    start_at(Clock::Machine, cluster, config, runtime, images, stop).await
}

pub(crate) async fn start_at(
    clock: Clock,
    cluster: Cluster,
    config: KubeletConfig,
    runtime: Arc<dyn Runtime>,
    images: Arc<dyn ImageService>,
    stop: CancellationToken,
) -> Result<Kubelet, StartError> {
    for dir in [config.pods_dir(), config.logs_dir()] {
        make_private(&dir).map_err(|why| StartError::Directory { dir, why })?;
    }
    Csi::make_directories(&config.state_dir).map_err(|(dir, why)| StartError::Directory { dir, why })?;
    let paused = config.state_dir.join("paused.json");
    let pauses = Pauses::load(paused.clone()).map_err(|why| StartError::Paused { file: paused, why })?;
    let shared = Arc::new(shared(clock, &cluster, config, runtime, images, pauses));
    shared.images.initialize().await;
    let pauser = Pauser(shared.clone());
    pauser.resume().await;
    let manager = Manager::start(shared.clone(), stop.clone()).await.map_err(StartError::Runtime)?;
    let keeper = Keeper::new(shared.clone()).map_err(StartError::Logs)?;
    let heartbeat = Heartbeat::register(shared.clone())
        .await
        .map_err(|status| StartError::Register { node: shared.config.node_name.clone(), status })?;
    csi::create_csi_node(&shared).await.unwrap_or_else(|status| {
        // a disk without room lets nothing be written; the first driver makes it then
        tracing::warn!(%status, "the node has no CSINode yet");
    });
    let drivers = csi::Registration::new(shared.clone()).map_err(StartError::Drivers)?;
    let meter: Arc<dyn UsageSource> = Arc::new(Meter::new(shared.clone()));
    cluster.measured_by(&meter);
    let access = Arc::new(Access(shared.clone()));
    let task = tokio::spawn(async move {
        let _measures_while_it_runs = meter;
        tokio::join!(
            manager.run(),
            keeper.run(stop.clone()),
            drivers.run(stop.clone()),
            csi::clean_up(shared.clone(), stop.clone()),
            eviction::run(shared.clone(), stop.clone()),
            heartbeat.run(stop),
        );
    });
    Ok(Kubelet { access, pauser, task })
}

/// What the parts of a kubelet share, as it is before any of them works.
fn shared(
    clock: Clock,
    cluster: &Cluster,
    config: KubeletConfig,
    runtime: Arc<dyn Runtime>,
    images: Arc<dyn ImageService>,
    pauses: Pauses,
) -> Shared {
    let client = cluster.acting_as(Actor::own_kubelet(&config.node_name));
    Shared {
        clock,
        started_at: clock.now(),
        pods: client.api(),
        known: cluster.informer(),
        sources: Cached {
            config_maps: cluster.informer(),
            secrets: cluster.informer(),
            services: cluster.informer(),
            claims: cluster.informer(),
            volumes: cluster.informer(),
            trust_bundles: cluster.informer(),
        },
        certificate_requests: cluster.informer(),
        certificates: PodCertificates::default(),
        images: ImageManager::new(images, config.state_dir.join("pulled-images.json"), clock.now()),
        events: client.recorder("kubelet", Some(&config.node_name)),
        sandbox_index: SandboxIndex::default(),
        deferred_resizes: DeferredResizes::default(),
        admitted: Admitted::default(),
        probe_counts: ProbeCounts::default(),
        work_counts: WorkCounts::default(),
        limited: Limited::default(),
        brake: Mutex::default(),
        pauses,
        csi: Csi::new(cluster, &config.state_dir),
        devices: Arc::default(),
        wake_all: watch::Sender::new(()),
        runtime,
        client,
        config,
    }
}

/// Secrets lie below it, with the modes that containers need.
fn make_private(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}
