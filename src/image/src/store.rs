//! The store's state and who may see it: one index, one lock, one place for everything. Everything that changes what an
//! image is passes through [`Inner::change`].

mod ballast;
mod blobs;
mod details;
mod garbage;
mod index;
mod layers;
mod leases;
mod names;
mod provenance;
mod sync;

pub use details::{HistoryLine, ImageDetails, Pruned};
pub(crate) use index::{ImageRecord, LayerRef};
pub(crate) use layers::PackedLayer;
pub use leases::Lease;
pub(crate) use leases::Pin;
pub(crate) use provenance::Provenance;
pub(crate) use sync::boot_id;

use crate::cache_mounts::CacheMounts;
use crate::embedded::Embedded;
use crate::error::{ImageError, Result, doing};
use crate::layer_jobs::LayerJobs;
use crate::registries::Registries;
use crate::registry::Transport;
use crate::turns::Turns;
use crate::{Digest, manifest};
use blobs::Blobs;
use cri::ImageInfo;
use index::Index;
use layers::Layers;
use leases::{Leases, Pins};
use oci_spec::image::ImageConfiguration;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// All images of one profile.
pub struct ImageStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    dir: PathBuf,
    pub(crate) blobs: Blobs,
    pub(crate) layers: Layers,
    pub(crate) transport: Arc<Transport>,
    pub(crate) jobs: LayerJobs,
    pub(crate) turns: Arc<Turns>,
    pub(crate) embedded: Embedded,
    pub(crate) cache_mounts: CacheMounts,
    state: Mutex<State>,
    sync_is_due: AtomicBool,
}

pub(crate) struct State {
    pub(crate) index: Index,
    leases: Leases,
    pins: Pins,
}

/// An image, ready to be mounted.
#[derive(Debug)]
pub struct Rootfs {
    /// `sha256:…` of the configuration.
    pub id: String,
    /// overlayfs' lower directories, topmost first.
    pub layers: Vec<PathBuf>,
    pub config: ImageConfiguration,
    pub hold: Lease,
}

/// Bytes on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// All unpacked layers, each counted once.
    pub layers: u64,
    pub images: Vec<ImageUsage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsage {
    pub info: ImageInfo,
    /// Of its size, what other images use as well.
    pub shared: u64,
}

impl ImageStore {
    /// Opens the store in `dir`, made where it is missing. What an earlier run left half made is removed.
    pub fn open(dir: &Path, registries: Registries) -> Result<Arc<ImageStore>> {
        registries.check()?;
        std::fs::create_dir_all(dir).map_err(doing(format!("create {}", dir.display())))?;
        let tmp = dir.join("tmp");
        ballast::make_room_for_a_start(dir);
        sweep(dir)?;
        let index = Index::load(dir)?;
        let inner = Arc::new(Inner {
            dir: dir.to_owned(),
            blobs: Blobs::open(dir.join("blobs"), tmp.clone())?,
            layers: Layers::open(dir.join("layers"), tmp)?,
            transport: Arc::new(Transport::new(registries)),
            jobs: LayerJobs::default(),
            turns: Arc::default(),
            embedded: Embedded::default(),
            cache_mounts: CacheMounts::default(),
            state: Mutex::new(State { index, leases: Leases::default(), pins: Pins::default() }),
            sync_is_due: AtomicBool::new(false),
        });
        ballast::take_at_start(dir);
        unless_full(inner.forget_what_the_disk_lost())?;
        // of a daemon that was killed before it could
        unless_full(inner.sync())?;
        Ok(Arc::new(ImageStore { inner }))
    }

    /// Everything to run a container from the image. As long as the hold (or a clone of it) lives, the image stays.
    pub fn rootfs(&self, name_or_id: &str) -> Result<Rootfs> {
        self.inner.rootfs(name_or_id)
    }

    /// The configuration as it came: an image's own bytes, which hash to its id.
    pub fn config_bytes(&self, name_or_id: &str) -> Result<Vec<u8>> {
        let id = self.inner.state().index.resolve(name_or_id)?;
        self.inner.blobs.read(&id)
    }

    pub fn images(&self) -> Vec<ImageInfo> {
        let state = self.inner.state();
        let shown = state.index.images.iter().filter(|(_, image)| !image.hidden);
        shown.filter_map(|(id, _)| state.index.info(id)).collect()
    }

    /// How many there are, with the steps of builds.
    pub fn count(&self) -> usize {
        self.inner.state().index.images.len()
    }

    pub fn image(&self, name_or_id: &str) -> Result<Option<ImageInfo>> {
        let state = self.inner.state();
        match state.index.resolve(name_or_id) {
            Ok(id) => Ok(state.index.info(&id)),
            Err(ImageError::NotFound(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    pub fn disk_usage(&self) -> DiskUsage {
        let state = self.inner.state();
        let mut users: BTreeMap<&Digest, (u64, usize)> = BTreeMap::new();
        for layer in state.index.images.values().flat_map(|image| &image.layers) {
            users.entry(&layer.chain).or_insert((layer.size, 0)).1 += 1;
        }
        let is_shared = |chain: &Digest| users.get(chain).is_some_and(|(_, users)| *users > 1);
        let shown = state.index.images.iter().filter(|(_, image)| !image.hidden);
        let images = shown.filter_map(|(id, image)| {
            let shared = image.layers.iter().filter(|l| is_shared(&l.chain)).map(|l| l.size).sum();
            Some(ImageUsage { info: state.index.info(id)?, shared })
        });
        DiskUsage { images: images.collect(), layers: users.values().map(|(size, _)| size).sum() }
    }
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the index: durable before it is seen, or not at all. Blocks for an fsync.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        let before = state.index.clone();
        let result = change(&mut state).and_then(|value| {
            // what a cached build or a second pull finds as it was costs no fsync
            let saved = if state.index == before { Ok(()) } else { state.index.save(&self.dir) };
            saved.map(|()| value)
        });
        if result.is_err() {
            state.index = before;
        }
        result
    }

    /// For what is done in the store's directory: a full disk is said, and which one.
    pub(crate) fn say_if_full(&self, error: ImageError) -> ImageError {
        match error.is_full_disk() {
            true => error.within(format!("the disk of {} is full", self.dir.display())),
            false => error,
        }
    }

    pub(crate) fn hold(self: &Arc<Self>, id: &Digest) -> Result<Lease> {
        let mut state = self.state();
        if !state.index.images.contains_key(id) {
            return Err(ImageError::NotFound(id.to_string()));
        }
        Ok(state.leases.take(self, id))
    }

    /// Directories of RUN --mount=type=cache.
    pub(crate) fn cache_dir(&self) -> PathBuf {
        self.dir.join("cache")
    }

    /// Some layer with these files, on top of whatever, that stays as long as the pin.
    pub(crate) fn layer_with(self: &Arc<Self>, diff_id: &Digest) -> Option<(Digest, Pin)> {
        let named = |state: &State| {
            let mut layers = state.index.images.values().flat_map(|image| &image.layers);
            layers.find(|layer| layer.diff_id == *diff_id).map(|layer| layer.chain.clone())
        };
        // a bottom layer has its diff id for a chain id
        let chain = named(&self.state()).unwrap_or_else(|| diff_id.clone());
        let pin = self.pin(vec![chain.clone()]);
        self.layers.facts(&chain).map(|_| (chain, pin))
    }

    pub(crate) fn rootfs(self: &Arc<Self>, name_or_id: &str) -> Result<Rootfs> {
        let mut state = self.state();
        let id = state.index.resolve(name_or_id)?;
        let record =
            state.index.images.get(&id).ok_or_else(|| ImageError::NotFound(name_or_id.to_owned()))?;
        let layers = record.layers.iter().rev().map(|layer| self.layers.diff(&layer.chain)).collect();
        let (config, _) = manifest::parse_config(&self.blobs.read(&id)?)?;
        let hold = state.leases.take(self, &id);
        Ok(Rootfs { id: id.to_string(), layers, config, hold })
    }
}

/// A store on a full disk opens all the same: through it what fills the disk can be removed.
fn unless_full(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.is_full_disk() => {
            tracing::warn!(%error, "the image store opens on a full disk; the next start tries again");
            Ok(())
        }
        done => done,
    }
}

/// What is in `tmp` was never in sight. It may be large, so it is deleted behind the start's back. The directory itself stays:
/// on a full disk there is no other to be had.
fn sweep(dir: &Path) -> Result<()> {
    let tmp = dir.join("tmp");
    ballast::with_room(dir, || std::fs::create_dir_all(&tmp))
        .map_err(doing(format!("create {}", tmp.display())))?;
    let left = std::fs::read_dir(&tmp).map_err(doing(format!("sweep {}", tmp.display())))?;
    let left: Vec<PathBuf> = left.flatten().map(|entry| entry.path()).collect();
    if !left.is_empty() {
        let trash = dir.join(format!("trash-{}", jiff::Timestamp::now().as_nanosecond()));
        let has_trash = std::fs::create_dir(&trash).is_ok();
        for path in left {
            let name = path.file_name().unwrap_or_default();
            if has_trash && std::fs::rename(&path, trash.join(name)).is_ok() {
                continue;
            }
            // what can not be moved is deleted while the start waits, which makes room for the next
            let removed = trees::remove(&path).or_else(|_| std::fs::remove_file(&path));
            removed.map_err(doing(format!("sweep {}", path.display())))?;
        }
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let old: Vec<PathBuf> =
        entries.filter(|e| e.file_name().to_string_lossy().starts_with("trash-")).map(|e| e.path()).collect();
    let delete = move || old.iter().for_each(|path| drop(trees::remove(path)));
    // a thread that cannot be had leaves it for the next start
    _ = std::thread::Builder::new().name("sweep".into()).spawn(delete);
    Ok(())
}

#[cfg(test)]
mod tests;
