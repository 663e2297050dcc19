//! Revisions, snapshots, watch window and a durable log.
//!
//! It knows keys and bytes, not kinds; it neither validates nor defaults. One committer thread gives every write its
//! revision, makes a group of writes durable with one fsync, and only then shows them: readers clone the root of a
//! persistent map and never block it. Nothing above this crate may assume which log is behind it. Read [`Store`] first,
//! then `committer.rs`.

#![forbid(unsafe_code)]

mod committer;
mod copy;
mod copy_error;
mod log;
mod resource;
mod root;
mod watch;
mod write;

pub use copy::{Copied, copy};
pub use copy_error::CopyError;
pub use etcd::{Credentials, Endpoint, EndpointError};
pub use log::{OpenError, Recovery};
pub use resource::Resource;
pub use root::Snapshot;
pub use watch::{Event, EventKind, TooOld, Watch, WatchAll};
pub use write::{Change, CommitError, Committed, Durability, Precondition, Priority, Write};

use api::ResourceVersion;
use arc_swap::ArcSwap;
use committer::{Committer, Request};
use encryption::Encryption;
use log::{EtcdLog, Log, MemoryLog, SqliteLog};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

#[derive(Debug, Clone)]
pub struct Options {
    /// Events kept for each resource: how far a watcher may fall behind before it must list again.
    pub window: usize,
    /// What the events of one resource may weigh, in bytes of JSON: large objects get a shorter window.
    pub window_bytes: usize,
    /// How much of memory all objects may take, about, in bytes: what would be more is refused. What was there before stays.
    pub quota: Option<usize>,
    /// There was a store before: one that is missing is a loss, and no first start.
    pub must_exist: bool,
    /// Go on without what was lost, and say what it was.
    pub accept_loss: bool,
    pub backend: Backend,
    /// Which objects are stored under which keys. What is there in another form is written anew.
    pub encryption: Arc<Encryption>,
    /// Go on with what a profile of another directory has left in etcd.
    pub take_over: bool,
}

/// Where the store is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Backend {
    /// A file in the store's own directory.
    #[default]
    File,
    /// The directory then holds only what is needed to find out what etcd has lost.
    Etcd(Etcd),
}

/// Removes what the store of `dir` has in etcd; whether there was something. What another directory has there stays.
///
/// # Errors
/// As [`Store::open`].
pub fn remove(dir: &Path, etcd: &Etcd) -> Result<bool, OpenError> {
    EtcdLog::remove(dir, etcd)
}

/// Whether a store was ever kept in `dir`, or in an etcd from there.
pub fn was_used(dir: &Path) -> bool {
    log::file_is_there(dir) || log::etcd_was_used(dir)
}

/// Whether the store's own file is in `dir`.
pub fn file_is_there(dir: &Path) -> bool {
    log::file_is_there(dir)
}

/// The last revision that a store of `dir` has written to an etcd, where its own file does not have it: so it went on there.
pub fn newer_in_etcd(dir: &Path) -> Option<ResourceVersion> {
    log::newer_in_etcd(dir)
}

/// A part of an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// One at least.
    pub endpoints: Vec<Endpoint>,
    pub credentials: Credentials,
    /// All keys begin with it; it ends with a slash.
    pub prefix: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            window: 4096,
            window_bytes: 8 << 20,
            quota: None,
            must_exist: false,
            accept_loss: false,
            backend: Backend::File,
            encryption: Arc::default(),
            take_over: false,
        }
    }
}

/// Handle to the store; cloning is cheap. Where the last one is dropped without [`Store::close`], the committer thread
/// still ends in order, but nobody waits for it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

pub(crate) struct Shared {
    pub(crate) root: ArcSwap<root::Root>,
    /// The newest whose events are all in the windows: for a moment the one before.
    pub(crate) published: ArcSwap<root::Root>,
    pub(crate) windows: watch::Windows,
    pub(crate) newest: tokio::sync::watch::Sender<ResourceVersion>,
    /// Why, once it has happened.
    pub(crate) taken_over: tokio::sync::watch::Sender<Option<String>>,
    pub(crate) quota: Option<usize>,
    /// Something was refused for the quota, and there is not much more room since.
    pub(crate) is_full: AtomicBool,
}

/// How much is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of memory, about, for all objects.
    pub bytes: usize,
    pub quota: Option<usize>,
    /// Something was refused for the quota, and there is not much more room since.
    pub is_full: bool,
}

impl Store {
    /// Opens or makes the store in `dir`. What was acknowledged before a crash is there again.
    ///
    /// # Errors
    /// Another process holds it, the file is damaged or does not hold all that was acknowledged, a key is missing that something is
    /// encrypted with, or the disk refuses. The file is as it was.
    pub fn open(dir: &Path, options: Options) -> Result<(Store, Recovery), OpenError> {
        let (mut log, root, mut recovery): (Box<dyn Log>, _, _) = match &options.backend {
            Backend::File => {
                let (log, root, recovery) = SqliteLog::open(dir, &options)?;
                (Box::new(log), root, recovery)
            }
            Backend::Etcd(etcd) => {
                let (log, root, recovery) = EtcdLog::open(dir, etcd, &options)?;
                (Box::new(log), root, recovery)
            }
        };
        recovery.notes.extend(log.renew(&root)?);
        copy::sweep(dir);
        Ok((Store::start(log, root, &options), recovery))
    }

    /// Forgets everything at the end.
    pub fn in_memory(options: Options) -> Store {
        Store::start(Box::new(MemoryLog), root::Root::default(), &options)
    }

    fn start(log: Box<dyn Log>, root: root::Root, options: &Options) -> Store {
        let windows = watch::Windows::new(options, root.revision);
        let newest = tokio::sync::watch::Sender::new(root.revision);
        let taken_over = tokio::sync::watch::Sender::new(None);
        let root = Arc::new(root);
        let shared = Arc::new(Shared {
            root: ArcSwap::new(root.clone()),
            published: ArcSwap::new(root),
            windows,
            newest,
            taken_over,
            quota: options.quota,
            is_full: AtomicBool::new(false),
        });
        let (requests, queue) = mpsc::channel();
        let committer = Committer::new(log, shared.clone());
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || committer.run(&queue))
            .expect("a thread can be started when the process starts");
        Store { shared, requests, thread: Arc::new(Mutex::new(Some(thread))) }
    }

    /// Everything as of the newest revision.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.shared.root.load_full())
    }

    /// The objects of one resource, and no others, as of an earlier revision: what has happened since is taken back. `None` where not
    /// all of its events are held, as for a watch.
    pub fn snapshot_at(&self, resource: &Resource, revision: ResourceVersion) -> Option<Snapshot> {
        let newest = self.shared.published.load_full();
        if revision > newest.revision {
            return None;
        }
        let since = self.shared.windows.between(resource, revision, newest.revision).ok()?;
        Some(Snapshot(Arc::new(newest.before(&since, resource, revision))))
    }

    pub fn revision(&self) -> ResourceVersion {
        self.shared.root.load().revision
    }

    pub fn usage(&self) -> Usage {
        let Shared { root, quota, is_full, .. } = &*self.shared;
        Usage { bytes: root.load().bytes, quota: *quota, is_full: is_full.load(Ordering::Relaxed) }
    }

    /// Hears of every newer revision: for those who want to know how much is written, not what.
    pub fn revisions(&self) -> tokio::sync::watch::Receiver<ResourceVersion> {
        self.shared.newest.subscribe()
    }

    /// Waits until somebody else writes to where this store is kept, or puts an older state there, and says so: what is seen here is
    /// not what is there from then on, and nothing is committed any more. A file has one owner as long as he lives.
    pub async fn taken_over(&self) -> String {
        let mut taken_over = self.shared.taken_over.subscribe();
        match taken_over.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            _ => std::future::pending().await,
        }
    }

    /// All of the writes or none, each with a revision of its own. Returns when they are as safe as they ask to be, and
    /// can be seen. A caller that stops waiting does not take them back.
    ///
    /// # Errors
    /// The first precondition that does not hold; no room by the quota; a log that can not be written. Nothing is shown then.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Committed, CommitError> {
        self.commit_with(Priority::Normal, writes).await
    }

    /// The same for what is more or less important when there is little room.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_with(
        &self,
        priority: Priority,
        writes: Vec<Write>,
    ) -> Result<Committed, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Commit { writes, priority, answer }).map_err(|_| CommitError::Closed)?;
        answered.await.map_err(|_| CommitError::Closed)?
    }

    /// Whether the one who writes answers, and nobody has taken the store over. Nothing is written.
    ///
    /// # Errors
    /// A store that is closed, or somebody else's.
    pub async fn answers(&self) -> Result<(), CommitError> {
        if self.shared.taken_over.borrow().is_some() {
            return Err(CommitError::Closed);
        }
        self.commit(Vec::new()).await.map(drop)
    }

    /// Events of `resource` with a revision above `after`.
    ///
    /// # Errors
    /// Where some of them are no longer held; after a restart, where `after` is older than the revision at the start.
    pub fn watch(&self, resource: &Resource, after: ResourceVersion) -> Result<Watch, TooOld> {
        self.shared.windows.watch(resource, after)
    }

    /// Events of all resources with a revision above `after`, for who follows everything.
    pub fn watch_all(&self, after: ResourceVersion) -> WatchAll {
        WatchAll::new(&self.shared, after)
    }

    /// Lets go of the events up to `revision`: whoever watches from before them lists again. For who knows that they are old.
    pub fn forget_events(&self, revision: ResourceVersion) {
        self.shared.windows.forget(revision);
    }

    /// Writes what may lag, folds the log into the file and lets go of it. Commits after it fail.
    pub async fn close(self) {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request::Close { answer }).is_ok() {
            let _ = answered.await;
        }
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
