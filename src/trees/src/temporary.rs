//! A directory that goes with its owner.

use std::io;
use std::path::{Path, PathBuf};

/// As the crate `tempfile` has it, but for its end: what others put in it is taken away by [`crate::remove`].
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// In the system's directory for such things.
    ///
    /// # Errors
    /// The file system refused.
    pub fn new() -> io::Result<TempDir> {
        tempfile::TempDir::new().map(|made| TempDir(made.keep()))
    }

    /// In `parent`.
    ///
    /// # Errors
    /// The file system refused.
    pub fn new_in(parent: impl AsRef<Path>) -> io::Result<TempDir> {
        tempfile::TempDir::new_in(parent).map(|made| TempDir(made.keep()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// It is somebody else's from now on.
    pub fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // nobody is there to be told; whoever owns the parent sweeps it at the next start
            let _ = crate::remove(&self.0);
        }
    }
}
