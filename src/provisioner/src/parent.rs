//! The directory that volumes are made in, be they directories or files.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Of the name of a copy that is not finished; what is given a volume has no such name.
pub(crate) const PARTIAL: &str = ".partial-";

/// Nobody but root comes here by another way than a mount.
pub(crate) fn make_parent(below: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(below)
}
