//! Which network namespace is at a path: a path by the number of a process leads to another's when that number is given anew.

use crate::Result;
use crate::error::Doing;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A network namespace, found again for as long as it is the same. It is not held: it ends with its sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetnsId {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl NetnsId {
    /// # Errors
    /// There is none.
    pub(crate) fn open(path: &Path) -> Result<(Self, File)> {
        let doing = || format!("open the network namespace {}", path.display());
        let file = File::open(path).doing(doing)?;
        let found = file.metadata().doing(doing)?;
        Ok((NetnsId { path: path.to_owned(), device: found.dev(), inode: found.ino() }, file))
    }

    /// `None` where it has ended.
    pub(crate) fn reopen(&self) -> Option<File> {
        let (found, file) = NetnsId::open(&self.path).ok()?;
        (found == *self).then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_namespace_at_the_same_path_is_not_taken_for_it() {
        let (own, _file) = NetnsId::open(Path::new("/proc/self/ns/net")).unwrap();
        let ended = NetnsId { path: "/proc/self/ns/none".into(), ..own.clone() };
        let replaced = NetnsId { inode: own.inode + 1, ..own.clone() };
        for (name, namespace, want) in
            [("the same", own, true), ("ended", ended, false), ("another one's by now", replaced, false)]
        {
            assert_eq!(namespace.reopen().is_some(), want, "{name}");
        }
    }
}
