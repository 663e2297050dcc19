//! `docker diff`: what a container's writable folder says against the layers below it.

use crate::files::Theirs;
use serde::Serialize;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Change {
    path: PathBuf,
    kind: u8,
}

const MODIFIED: u8 = 0;
const ADDED: u8 = 1;
const DELETED: u8 = 2;

/// Made in every container: to be mounted on, and to tell that it is one.
const PLACES: [&str; 7] =
    ["/.dockerenv", "/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"];

/// Sorted by path. `lower` are the layers, topmost first; places of mounts are no changes.
pub(crate) fn find(upper: &Path, lower: &[PathBuf], mounted: &[PathBuf]) -> io::Result<Vec<Change>> {
    let upper = match Theirs::open(upper) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        upper => upper?,
    };
    let mut found = Vec::new();
    Comparison { upper, lower, mounted }.walk(Path::new(""), 0, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

struct Comparison<'a> {
    upper: Theirs,
    lower: &'a [PathBuf],
    mounted: &'a [PathBuf],
}

impl Comparison<'_> {
    fn walk(&self, inside: &Path, depth: usize, found: &mut Vec<Change>) -> io::Result<()> {
        trees::check_depth(depth)?;
        let entries = match self.upper.read(inside) {
            // gone meanwhile
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read?,
        };
        for entry in entries {
            let entry = entry?;
            let path = inside.join(entry.file_name());
            let meta = entry.metadata()?;
            let before = found.len();
            if meta.is_dir() {
                self.walk(&path, depth + 1, found)?;
            }
            let has_changes = found.len() > before;
            let below = find_below(self.lower, &path);
            let shown = Path::new("/").join(&path);
            let kind = match &below {
                _ if is_whiteout(&meta) => DELETED,
                None if has_changes || !self.is_place(&shown) => ADDED,
                // a folder is copied up for whatever happens in it
                Some(below) if has_changes || !meta.is_dir() || differ(&meta, below) => MODIFIED,
                _ => continue,
            };
            found.push(Change { path: shown, kind });
        }
        Ok(())
    }

    fn is_place(&self, path: &Path) -> bool {
        PLACES.iter().any(|place| path == Path::new(place)) || self.mounted.iter().any(|place| place == path)
    }
}

/// Two folders, as things of their own.
fn differ(one: &Metadata, other: &Metadata) -> bool {
    (one.mode(), one.uid(), one.gid()) != (other.mode(), other.uid(), other.gid())
}

/// Overlayfs' mark for what is gone.
fn is_whiteout(meta: &Metadata) -> bool {
    meta.file_type().is_char_device() && meta.rdev() == 0
}

/// The topmost layer that has it, or its whiteout, decides.
fn find_below(lower: &[PathBuf], path: &Path) -> Option<Metadata> {
    let found = lower.iter().find_map(|layer| std::fs::symlink_metadata(layer.join(path)).ok());
    found.filter(|meta| !is_whiteout(meta))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn added_and_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (upper, lower) = (dir.path().join("u"), dir.path().join("l"));
        for path in ["u/etc", "u/new", "u/dev", "u/mnt", "u/run", "u/tmp", "l/etc", "l/run", "l/tmp"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        for path in ["u/etc/passwd", "u/etc/hosts", "u/new/file", "u/run/place", "l/etc/passwd"] {
            std::fs::write(dir.path().join(path), "x").unwrap();
        }
        std::fs::set_permissions(upper.join("tmp"), Permissions::from_mode(0o700)).unwrap();
        // a folder that was copied up only to mount something in it has not changed
        let found = find(&upper, &[lower], &["/mnt".into(), "/run/place".into()]).unwrap();
        let found: Vec<_> = found.iter().map(|c| (c.path.to_str().unwrap(), c.kind)).collect();
        assert_eq!(found, [("/etc", 0), ("/etc/passwd", 0), ("/new", 1), ("/new/file", 1), ("/tmp", 0)]);
        assert_eq!(find(&dir.path().join("nowhere"), &[], &[]).unwrap(), []);
    }
}
