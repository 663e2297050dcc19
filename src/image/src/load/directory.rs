//! Reads a directory in OCI layout, by descriptors beneath it.

use super::Unpacking;
use super::contents::Contents;
use crate::Digest;
use crate::error::{ImageError, Result, doing};
use crate::manifest::MAX_CONFIG;
use crate::store::Inner;
use crate::unpack::Unpacked;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// A directory in OCI layout. Links in it that lead out are not followed.
pub(super) struct Directory {
    store: Arc<Inner>,
    root: OwnedFd,
}

impl Directory {
    pub(super) fn open(store: &Arc<Inner>, path: &Path) -> Result<Directory> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(doing(format!("open {}", path.display())))?;
        Ok(Directory { store: store.clone(), root })
    }

    /// Whoever made the directory may have put a pipe there, which nobody ever writes to, or a device.
    fn file(&self, path: &str) -> Result<File> {
        let found = trees::open_beneath(&self.root, Path::new(path), OFlags::PATH);
        let refused =
            |why: &dyn std::fmt::Display| ImageError::Refused(format!("the layout's {path}: {why}"));
        let found = found.map_err(|e| refused(&e))?;
        trees::read_regular(found).map_err(|e| refused(&e))?.ok_or_else(|| refused(&"not a regular file"))
    }
}

impl Contents for Directory {
    fn small(&mut self, path: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(path)?.take(MAX_CONFIG).read_to_end(&mut bytes).map_err(doing(format!("read {path}")))?;
        Ok(bytes)
    }

    fn has(&self, path: &str) -> bool {
        self.file(path).is_ok()
    }

    fn diff_id(&self, path: &str) -> Result<Digest> {
        Err(ImageError::Refused(format!("{path}: the form of Docker before 1.10 is read from archives only")))
    }

    fn layer(&mut self, path: &str) -> Result<Unpacked> {
        let mut unpacking = Unpacking::start(&self.store)?;
        unpacking.feed(self.file(path)?)?;
        unpacking.wait().map_err(|e| e.within(path))
    }
}
