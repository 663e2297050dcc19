//! Who waits for a log to grow.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// An inotify descriptor that tokio waits on.
pub struct Watcher {
    inotify: Inotify,
    ready: AsyncFd<OwnedFd>,
}

impl Watcher {
    /// # Errors
    /// The machine has no inotify instance left.
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let fd = std::os::fd::AsFd::as_fd(&inotify).try_clone_to_owned()?;
        #[allow(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor changes; an OwnedFd's does not"
        )]
        let ready = AsyncFd::new(fd)?;
        Ok(Watcher { inotify, ready })
    }

    /// # Errors
    /// There is no such file, or too many are watched.
    pub fn add(&self, path: &Path, what: AddWatchFlags) -> io::Result<WatchDescriptor> {
        Ok(self.inotify.add_watch(path, what)?)
    }

    /// What happened; several at once.
    ///
    /// # Errors
    /// The descriptor broke.
    pub async fn next(&self) -> io::Result<Vec<WatchDescriptor>> {
        loop {
            let mut guard = self.ready.readable().await?;
            match self.inotify.read_events() {
                Ok(events) => return Ok(events.into_iter().map(|e| e.wd).collect()),
                Err(nix::errno::Errno::EAGAIN) => guard.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
