//! `docker diff`: what a container's writable folder says against the layers below it.

use serde::Serialize;
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

/// Made in every container, to be mounted on.
const PLACES: [&str; 6] = ["/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"];

/// Sorted by path. `lower` are the layers, topmost first; places of mounts are no changes.
pub(crate) fn find(upper: &Path, lower: &[PathBuf], mounted: &[PathBuf]) -> io::Result<Vec<Change>> {
    let mut found = Vec::new();
    walk(upper, lower, Path::new(""), &mut found)?;
    let is_place =
        |path: &Path| PLACES.iter().any(|p| path == Path::new(p)) || mounted.iter().any(|m| m == path);
    found.retain(|change| change.kind != ADDED || !is_place(&change.path));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(upper: &Path, lower: &[PathBuf], inside: &Path, found: &mut Vec<Change>) -> io::Result<()> {
    let entries = match std::fs::read_dir(upper.join(inside)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    for entry in entries {
        let entry = entry?;
        let path = inside.join(entry.file_name());
        let meta = entry.metadata()?;
        // overlayfs' mark for what is gone
        let is_gone = meta.file_type().is_char_device() && meta.rdev() == 0;
        let kind = match (is_gone, is_below(lower, &path)) {
            (true, _) => DELETED,
            (false, true) => MODIFIED,
            (false, false) => ADDED,
        };
        found.push(Change { path: Path::new("/").join(&path), kind });
        if meta.is_dir() {
            walk(upper, lower, &path, found)?;
        }
    }
    Ok(())
}

/// The topmost layer that has it, or its whiteout, decides.
fn is_below(lower: &[PathBuf], path: &Path) -> bool {
    let found = lower.iter().find_map(|layer| std::fs::symlink_metadata(layer.join(path)).ok());
    found.is_some_and(|meta| !(meta.file_type().is_char_device() && meta.rdev() == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_and_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (upper, lower) = (dir.path().join("u"), dir.path().join("l"));
        for path in ["u/etc", "u/new", "u/dev", "u/mnt", "l/etc"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        for path in ["u/etc/passwd", "u/new/file", "l/etc/passwd"] {
            std::fs::write(dir.path().join(path), "x").unwrap();
        }
        let found = find(&upper, &[lower], &["/mnt".into()]).unwrap();
        let found: Vec<_> = found.iter().map(|c| (c.path.to_str().unwrap(), c.kind)).collect();
        assert_eq!(found, [("/etc", 0), ("/etc/passwd", 0), ("/new", 1), ("/new/file", 1)]);
        assert_eq!(find(&dir.path().join("nowhere"), &[], &[]).unwrap(), []);
    }
}
