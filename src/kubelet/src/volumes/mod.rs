//! A pod's volumes on the machine: what is in them (`payload`), how it gets there at once (`atomic`), a part of one
//! (`subpath`), and how all of it goes away again.

pub mod atomic;
pub mod budget;
pub mod devices;
pub mod empty_dir;
pub mod host_path;
pub mod mounts;
mod nested;
pub mod nfs;
mod ownership;
pub mod payload;
mod persistent;
mod stored;
pub mod subpath;
mod trust_bundle;

use crate::clock::after;
use crate::csi::{self, CsiVolume};
use crate::{pod, resources};
use devices::{BlockVolume, Devices};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, HostPathVolumeSource, Pod, Volume};
use kinds::volume::ClaimOfVolume;
pub use nfs::NfsVolume;
use payload::Payload;
pub use persistent::Persistent;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use trees::mountinfo;

/// Below it is an empty directory for each volume behind a claim that the pod has.
const CLAIMED: &str = "monopod~claim";
pub(crate) const EMPTY_DIR: &str = "kubernetes.io~empty-dir";

/// Where a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountedVolume {
    /// On the machine.
    Path {
        path: PathBuf,
        /// ConfigMaps and their like can not be written to, whatever the mount says.
        read_only: bool,
    },
    /// A device of the machine: containers get a node of it, and nobody mounts it.
    Device { path: PathBuf, read_only: bool },
    /// In the image store, under this name: the runtime mounts it.
    Image(String),
}

pub type Mounted = BTreeMap<String, MountedVolume>;

/// Why a pod's volumes are not there yet: upstream's `FailedMount`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {why}")]
    SetUp { volume: String, why: String },
    #[error("MountVolume.MountDevice failed for volume \"{volume}\" : {why}")]
    Device { volume: String, why: String },
    #[error("MountVolume.Setup failed while expanding volume for volume \"{volume}\" : {why}")]
    ExpandSetUp { volume: String, why: String },
    #[error("MapVolume.SetUpDevice failed for volume \"{volume}\" : {why}")]
    SetUpDevice { volume: String, why: String },
    #[error("MapVolume.MapPodDevice failed for volume \"{volume}\" : {why}")]
    MapPodDevice { volume: String, why: String },
    #[error("MapVolume.MarkVolumeAsMounted failed while expanding volume for volume \"{volume}\" : {why}")]
    ExpandMapped { volume: String, why: String },
    /// While a pod has it.
    #[error("NodeExpandVolume.NodeExpandVolume failed for volume \"{volume}\" : {why}")]
    Expand { volume: String, why: String },
    /// Nobody has attached it in time.
    #[error(
        "Unable to attach or mount volumes: unmounted volumes=[{volume}], unattached volumes=[{volume}], failed to process volumes=[]: context deadline exceeded"
    )]
    NotAttached { volume: String },
    /// The pod is to end.
    #[error("the pod is to end")]
    GivenUp,
    /// It is not known yet what the volume is.
    #[error(
        "Unable to attach or mount volumes: unmounted volumes=[{volume}], unattached volumes=[], failed to process volumes=[{volume}]: {why}"
    )]
    Claim { volume: String, why: String },
}

impl VolumeError {
    /// Of the event.
    pub fn reason(&self) -> &'static str {
        match self {
            VolumeError::Expand { .. } => "VolumeResizeFailed",
            VolumeError::SetUpDevice { .. }
            | VolumeError::MapPodDevice { .. }
            | VolumeError::ExpandMapped { .. } => "FailedMapVolume",
            _ => "FailedMount",
        }
    }
}

/// A volume whose content is known, and only waits to be written.
pub enum Prepared {
    EmptyDir(EmptyDirVolumeSource),
    HostPath(HostPathVolumeSource),
    Persistent(Persistent),
    /// Pods have it as a device.
    Device(BlockVolume),
    /// Of a storage driver: `csi::mount` has it mounted.
    Csi(Box<CsiVolume>),
    /// The host mounts it: [`mount_nfs`].
    Nfs(NfsVolume),
    Image(String),
    Files {
        plugin: &'static str,
        payload: Payload,
    },
}

/// `root`: the kubelet's directory.
///
/// # Errors
/// What the volume refers to is missing, or its kind is not supported.
pub fn prepare(
    root: &Path,
    pod_dir: &Path,
    volume: &Volume,
    context: &payload::Content<'_>,
) -> Result<Prepared, VolumeError> {
    let failed = |why: String| VolumeError::SetUp { volume: volume.name.clone(), why };
    if let Some(source) = &volume.host_path {
        let path = csi::on_machine(root, Path::new(&source.path)).to_string_lossy().into_owned();
        return Ok(Prepared::HostPath(HostPathVolumeSource { path, ..source.clone() }));
    }
    if let Some(source) = &volume.empty_dir {
        return Ok(Prepared::EmptyDir(source.clone()));
    }
    if let Some(source) = &volume.image {
        return Ok(Prepared::Image(source.reference.clone().unwrap_or_default()));
    }
    if let Some(source) = &volume.nfs {
        return Ok(Prepared::Nfs(NfsVolume::new(&volume.name, source, &[], false)));
    }
    if let Some(volume) = CsiVolume::of_pod(context.pod, volume) {
        return Ok(Prepared::Csi(Box::new(volume)));
    }
    if let Some(used) = kinds::volume::claim_of(context.pod, volume) {
        let marks = [CLAIMED, nfs::PLUGIN].map(|plugin| volume_dir(pod_dir, plugin, &volume.name));
        // not looked at: what is mounted there may not answer
        let is_set_up = marks[0].exists()
            || is_mount_target(&marks[1]).unwrap_or(false)
            || is_published(pod_dir, &used, context);
        return persistent::prepare(context.pod, volume, &used, is_set_up, context.sources);
    }
    match payload::of_volume(volume, context).map_err(failed)? {
        Some((plugin, payload)) => Ok(Prepared::Files { plugin, payload }),
        None => Err(failed("no volume plugin matched".to_owned())),
    }
}

/// Whether a driver has mounted what the claim is bound to.
fn is_published(pod_dir: &Path, used: &ClaimOfVolume, context: &payload::Content<'_>) -> bool {
    let claim = context.sources.claim(pod::namespace(context.pod), &used.name);
    claim.is_some_and(|claim| csi::is_published(pod_dir, kinds::volume::volume_name(&claim)))
}

/// Writes all of a pod's volumes; run again, it brings those with files up to date.
///
/// # Errors
/// The first volume that could not be made.
pub fn set_up(
    pod_dir: &Path,
    pod: &Pod,
    prepared: Vec<(String, Prepared)>,
    devices: &Devices,
) -> Result<Mounted, VolumeError> {
    let on_root_mismatch = is_given_on_mismatch(pod);
    let group = pod::fs_group(pod);
    let mut mounted = Mounted::new();
    for (name, volume) in prepared {
        let failed = |why: String| VolumeError::SetUp { volume: name.clone(), why };
        let place = match volume {
            Prepared::HostPath(source) => {
                host_path::check(&source).map_err(failed)?;
                MountedVolume::Path { path: PathBuf::from(source.path), read_only: false }
            }
            Prepared::Persistent(found) => {
                let path = persistent::path(&found.place).map_err(failed)?;
                // once for each pod: what it does with its files afterwards is its own business
                let mark = volume_dir(pod_dir, CLAIMED, &name);
                if !mark.exists() {
                    if let Some(group) = group.filter(|_| found.is_given && !found.read_only) {
                        ownership::give(&path, group, on_root_mismatch)
                            .map_err(|e| failed(format!("give {} to group {group}: {e}", path.display())))?;
                    }
                    fs::create_dir_all(&mark)
                        .map_err(|e| failed(format!("mkdir {}: {e}", mark.display())))?;
                }
                MountedVolume::Path { path, read_only: found.read_only }
            }
            Prepared::Device(found) => {
                let mapped = devices.map(pod_dir, &found);
                let path =
                    mapped.map_err(|why| VolumeError::MapPodDevice { volume: found.name.clone(), why })?;
                let mark = volume_dir(pod_dir, CLAIMED, &name);
                fs::create_dir_all(&mark).map_err(|e| failed(format!("mkdir {}: {e}", mark.display())))?;
                MountedVolume::Device { path, read_only: found.read_only }
            }
            // mounted before, by its driver or the host
            Prepared::Csi(_) | Prepared::Nfs(_) => continue,
            Prepared::Image(reference) => MountedVolume::Image(reference),
            Prepared::EmptyDir(source) => {
                let path = volume_dir(pod_dir, EMPTY_DIR, &name);
                let memory = resources::of_pod(pod::spec(pod)).memory_limit;
                empty_dir::set_up(&path, &source, group, memory).map_err(failed)?;
                MountedVolume::Path { path, read_only: false }
            }
            Prepared::Files { plugin, payload } => {
                let path = volume_dir(pod_dir, plugin, &name);
                nested::make(&path, pod, &name)
                    .and_then(|()| atomic::write(&path, &payload, group))
                    .map_err(|e| failed(format!("write {}: {e}", path.display())))?;
                MountedVolume::Path { path, read_only: true }
            }
        };
        mounted.insert(name, place);
    }
    Ok(mounted)
}

/// Where the pod's NFS volume of that name is, when the host has mounted it.
///
/// # Errors
/// What the host's `mount` said, or that the pod is to end.
pub async fn mount_nfs(
    pod_dir: &Path,
    name: &str,
    volume: &NfsVolume,
    living: &CancellationToken,
) -> Result<PathBuf, VolumeError> {
    let path = volume_dir(pod_dir, nfs::PLUGIN, name);
    match nfs::mount(volume, &path, living).await {
        Ok(()) => Ok(path),
        Err(_) if living.is_cancelled() => Err(VolumeError::GivenUp),
        Err(why) => Err(VolumeError::SetUp { volume: volume.name.clone(), why }),
    }
}

/// fsGroup of a volume that somebody else has mounted.
///
/// # Errors
/// The file system refused.
pub(crate) fn give_to_group(path: &Path, pod: &Pod, group: u32) -> io::Result<()> {
    ownership::give(path, group, is_given_on_mismatch(pod))
}

/// fsGroupChangePolicy.
fn is_given_on_mismatch(pod: &Pod) -> bool {
    let security = pod::spec(pod).security_context.as_ref();
    security.and_then(|s| s.fs_group_change_policy.as_deref()) == Some("OnRootMismatch")
}

pub(crate) fn volume_dir(pod_dir: &Path, plugin: &str, name: &str) -> PathBuf {
    pod_dir.join("volumes").join(plugin).join(name)
}

/// Unmounts and removes all that a pod had on the machine, and lets go the devices that no other pod has. Nothing below a mount
/// that would not go is removed: it might be somebody's data.
///
/// # Errors
/// Where a mount is held, a device can not be let go, or a file can not be removed; may be called again.
pub fn tear_down(pod_dir: &Path, devices: &Devices) -> io::Result<()> {
    if !pod_dir.exists() {
        return Ok(());
    }
    unmount_below(pod_dir)?;
    devices.unmap(pod_dir)?;
    trees::remove(pod_dir)
}

/// Unmounts everything below a directory, the newest first.
pub fn unmount_below(dir: &Path) -> io::Result<()> {
    let dir = dir.canonicalize()?;
    trees::unmount_each(|target| target.starts_with(&dir) && target != dir)
}

/// Unmounts what is mounted right there and below, the newest first. What is there is not looked at: it may not answer.
pub(crate) fn unmount_all(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let path = match parent.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        parent => parent?.join(name),
    };
    trees::unmount_each(|target| target.starts_with(&path))
}

/// Whether something is mounted right there.
pub fn is_mount(dir: &Path) -> io::Result<bool> {
    let dir = dir.canonicalize()?;
    Ok(mountinfo::targets()?.contains(&dir))
}

/// The same of a path that is known to hold no links, without looking at what is there.
pub(crate) fn is_mount_target(path: &Path) -> io::Result<bool> {
    mountinfo::is_target(path)
}

/// Whether a file of its volumes shows what may change of a pod that runs: its labels or annotations.
pub fn shows_metadata(pod: &Pod) -> bool {
    let volumes = pod::spec(pod).volumes.as_deref().unwrap_or_default();
    let own = volumes.iter().filter_map(|v| v.downward_api.as_ref()).flat_map(|d| d.items.iter().flatten());
    let projected = volumes.iter().filter_map(|v| v.projected.as_ref());
    let sources = projected.flat_map(|p| p.sources.iter().flatten()).filter_map(|s| s.downward_api.as_ref());
    let fields =
        own.chain(sources.flat_map(|d| d.items.iter().flatten())).filter_map(|i| i.field_ref.as_ref());
    let changes =
        |path: &str| path.starts_with("metadata.labels") || path.starts_with("metadata.annotations");
    fields.into_iter().any(|field| changes(&field.field_path))
}

/// When the pod's tokens must be written anew: after four fifths of the shortest life, as upstream does.
pub fn token_refresh(pod: &Pod, now: Timestamp) -> Option<Timestamp> {
    let volumes = pod::spec(pod).volumes.iter().flatten();
    let sources = volumes.filter_map(|v| v.projected.as_ref()).flat_map(|p| p.sources.iter().flatten());
    let shortest = sources
        .filter_map(|s| s.service_account_token.as_ref())
        .map(|t| t.expiration_seconds.unwrap_or(payload::TOKEN_SECONDS))
        .min()?;
    let shortest = Duration::from_secs(u64::try_from(shortest).unwrap_or(0));
    Some(after(now, shortest.saturating_mul(4) / 5))
}
