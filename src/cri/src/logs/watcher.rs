//! Who waits for a log to grow.

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// How often is looked where the kernel does not tell: no longer than somebody who follows a log would wait without wondering.
const PACE: Duration = Duration::from_secs(1);

/// An inotify descriptor that tokio waits on.
///
/// The kernel counts instances and watches by user, over all containers: a process that is root in one of them is the user that
/// we are, and can take all 128 that there are by default. So who gets none looks from time to time instead of failing.
pub struct Watcher {
    kernel: Option<Kernel>,
    /// Something is not watched that should be.
    is_blind: AtomicBool,
}

struct Kernel {
    inotify: Inotify,
    ready: AsyncFd<OwnedFd>,
}

impl Watcher {
    /// # Errors
    /// The kernel has no inotify, or no memory.
    pub fn new() -> io::Result<Self> {
        Self::of(Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC))
    }

    fn of(made: nix::Result<Inotify>) -> io::Result<Self> {
        let inotify = match made {
            Ok(inotify) => inotify,
            Err(Errno::EMFILE) => return Ok(Watcher { kernel: None, is_blind: AtomicBool::new(true) }),
            Err(other) => return Err(other.into()),
        };
        let fd = std::os::fd::AsFd::as_fd(&inotify).try_clone_to_owned()?;
        #[allow(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor changes; an OwnedFd's does not"
        )]
        let ready = AsyncFd::new(fd)?;
        Ok(Watcher { kernel: Some(Kernel { inotify, ready }), is_blind: AtomicBool::new(false) })
    }

    /// `None` where the user has all watches that there are: then it is for the caller to look when [`Watcher::next`] returns.
    ///
    /// # Errors
    /// There is no such file.
    pub fn add(&self, path: &Path, what: AddWatchFlags) -> io::Result<Option<WatchDescriptor>> {
        let Some(kernel) = &self.kernel else {
            // what is not there is no reason to look
            return std::fs::metadata(path).map(|_| None);
        };
        match kernel.inotify.add_watch(path, what) {
            Ok(watch) => Ok(Some(watch)),
            Err(Errno::ENOSPC) => {
                self.is_blind.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// What happened, several at once; nothing where it is only time to look.
    ///
    /// # Errors
    /// The descriptor broke.
    pub async fn next(&self) -> io::Result<Vec<WatchDescriptor>> {
        let time_to_look = async {
            match self.is_blind.load(Ordering::Relaxed) {
                true => tokio::time::sleep(PACE).await,
                false => pending().await,
            }
        };
        let told = async {
            match &self.kernel {
                Some(kernel) => kernel.next().await,
                None => pending().await,
            }
        };
        tokio::select! {
            told = told => told,
            () = time_to_look => Ok(Vec::new()),
        }
    }
}

impl Kernel {
    async fn next(&self) -> io::Result<Vec<WatchDescriptor>> {
        loop {
            let mut guard = self.ready.readable().await?;
            match self.inotify.read_events() {
                Ok(events) => return Ok(events.into_iter().map(|e| e.wd).collect()),
                Err(Errno::EAGAIN) => guard.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: a container's root takes all instances of the machine's root, and nobody reads a log any more.
    #[tokio::test]
    async fn who_gets_no_instance_looks_from_time_to_time() {
        let dir = tempfile::tempdir().unwrap();
        let blind = Watcher::of(Err(Errno::EMFILE)).unwrap();
        assert!(blind.add(dir.path(), AddWatchFlags::IN_CREATE).unwrap().is_none());
        let missing = blind.add(&dir.path().join("none"), AddWatchFlags::IN_CREATE).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let looked = tokio::time::timeout(3 * PACE, blind.next()).await.expect("it is time to look");
        assert!(looked.unwrap().is_empty());
        assert!(Watcher::of(Err(Errno::ENOMEM)).is_err());
    }

    #[tokio::test]
    async fn who_has_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = Watcher::new().unwrap();
        let watch = watcher.add(dir.path(), AddWatchFlags::IN_CREATE).unwrap();
        std::fs::write(dir.path().join("new"), "").unwrap();
        let told = watcher.next().await.unwrap();
        // the machine may have none left: then it looks
        assert_eq!(told.first(), watch.as_ref());
    }
}
