//! Storage drivers on this node: who they are, and what they mount for pods.
//!
//! A driver makes itself known by a socket in `plugins_registry` ([`registration`]); the node's CSINode says so ([`node_info`]).
//! [`mounter`] has a driver stage and publish a pod's volumes, and take them back. What was begun stands in files first
//! ([`records`]), as upstream's kubelet keeps them, so that whoever comes after a crash finishes it ([`cleanup`]); where a file is
//! lost, [`reconstruct`] finds what it said. Where a volume is a device for its pods and no file system, its parts lie elsewhere
//! ([`layout`]), and all else is the same. [`stats`] asks how full volumes are. [`volume`], [`layout`], [`paths`] and [`versions`] are
//! pure.

mod cleanup;
mod layout;
mod mounter;
mod node_info;
mod paths;
mod reconstruct;
mod records;
mod registration;
mod republish;
mod stats;
mod versions;
mod volume;

pub(crate) use cleanup::run as clean_up;
pub use layout::Form;
pub(crate) use mounter::{mount, unmount_pod};
pub(crate) use node_info::create as create_csi_node;
pub use paths::on_machine;
pub(crate) use records::{has_volumes, is_published};
pub(crate) use registration::Registration;
pub(crate) use republish::is_republished;
pub(crate) use stats::measure as measure_volumes;
pub use volume::CsiVolume;

use api::ObjectKey;
use cluster::{Cluster, Informer};
use k8s_openapi::api::storage::v1::{CSIDriver, VolumeAttachment};
use parking_lot::{Mutex, MutexGuard};
use paths::Sees;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, watch};
use versions::Version;

/// Below the kubelet's directory, where upstream has them.
const REGISTRY: &str = "plugins_registry";
const PLUGINS: &str = "plugins";

/// A driver that has made itself known.
#[derive(Debug, Clone)]
struct Registered {
    calls: csi::Driver,
    sees: Sees,
    version: Version,
    /// The socket that spoke for it: it is gone with that one.
    by: (PathBuf, Identity),
}

/// A socket that was made anew under an old name is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: u64,
    /// Inodes are used again. Who changes owner or mode does not make another one of it.
    modified: (i64, i64),
}

/// What the parts of this module share.
pub(crate) struct Csi {
    /// The kubelet's directory.
    root: PathBuf,
    drivers: Mutex<BTreeMap<String, Registered>>,
    /// One thing at a time is done to a volume.
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    known: Informer<CSIDriver>,
    attachments: Informer<VolumeAttachment>,
    /// Directories of pods that are gone, and have volumes still.
    orphans: Mutex<BTreeSet<PathBuf>>,
    /// The node's status is compared and written by one at a time.
    reporting: tokio::sync::Mutex<()>,
    /// Told whenever a driver has come.
    pub registered: watch::Sender<()>,
    /// Told when the node's object is another one: it knows of no driver.
    pub node_is_new: watch::Sender<()>,
}

impl Csi {
    pub fn new(cluster: &Cluster, root: &Path) -> Self {
        Csi {
            root: root.to_owned(),
            drivers: Mutex::default(),
            locks: Mutex::default(),
            known: cluster.informer(),
            attachments: cluster.informer(),
            orphans: Mutex::default(),
            reporting: tokio::sync::Mutex::default(),
            registered: watch::Sender::new(()),
            node_is_new: watch::Sender::new(()),
        }
    }

    /// The directories that drivers and those who speak for them mount: they must be there before them.
    ///
    /// # Errors
    /// The directory, and why it can not be made.
    pub fn make_directories(root: &Path) -> Result<(), (PathBuf, io::Error)> {
        use std::os::unix::fs::DirBuilderExt;
        for name in [REGISTRY, PLUGINS] {
            let dir = root.join(name);
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(&dir);
            made.map_err(|error| (dir, error))?;
        }
        Ok(())
    }

    /// A pod is gone, and what drivers have mounted for it is not.
    pub fn orphaned(&self, dir: PathBuf) {
        locked(&self.orphans).insert(dir);
    }

    fn driver(&self, name: &str) -> Option<Registered> {
        locked(&self.drivers).get(name).cloned()
    }

    fn object(&self, driver: &str) -> Option<Arc<CSIDriver>> {
        self.known.get(&ObjectKey::cluster(driver))
    }

    /// When nobody else has something done to the volume.
    async fn turn(&self, driver: &str, handle: &str) -> Turn {
        Turn { _held: Arc::new(self.lock_of(driver, handle).lock_owned().await) }
    }

    fn lock_of(&self, driver: &str, handle: &str) -> Arc<tokio::sync::Mutex<()>> {
        let name = kinds::csi::unique_name(driver, handle);
        let mut locks = locked(&self.locks);
        if let Some(lock) = locks.get(&name).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        locks.insert(name, Arc::downgrade(&lock));
        lock
    }

    fn pods_dir(&self) -> PathBuf {
        self.root.join("pods")
    }
}

/// One call for a volume is under way at a time, as the specification wants it.
#[derive(Debug, Clone)]
struct Turn {
    _held: Arc<OwnedMutexGuard<()>>,
}

impl Turn {
    /// A call that must not be broken off in the middle: it is carried on to its end or its deadline also where whoever waited
    /// for it is gone, and it is nobody else's turn before.
    async fn whole<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, csi::Error>> + Send + 'static,
    ) -> Result<T, csi::Error> {
        let turn = self.clone();
        let call = tokio::spawn(async move {
            let done = call.await;
            drop(turn);
            done
        });
        call.await.unwrap_or_else(|error| Err(csi::Error::unheard(error)))
    }
}

/// Upstream's pause between tries at the same thing: it doubles.
struct Pause(Duration);

impl Pause {
    // upstream's `exponentialbackoff`, which all operations on volumes have
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(122);

    fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(Self::LONGEST);
        now
    }
}

impl Default for Pause {
    fn default() -> Self {
        Pause(Self::FIRST)
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock()
}
