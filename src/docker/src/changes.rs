//! `docker diff`: what a container's writable folder says against the layers below it.

use crate::files::Theirs;
use nix::errno::Errno;
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

/// The topmost layer that has it, or its whiteout, decides. A link on the way there is an image's own, and may lead anywhere: it
/// is not followed.
fn find_below(lower: &[PathBuf], path: &Path) -> Option<Metadata> {
    for layer in lower {
        let found = Theirs::open(layer).and_then(|layer| {
            let (_above, place) = layer.place(path)?;
            std::fs::symlink_metadata(place)
        });
        match found {
            Ok(meta) => return Some(meta).filter(|meta| !is_whiteout(meta)),
            // overlayfs merges directories alone: what is no directory here hides what the layers below have there
            Err(e) if is_no_directory(&e) => return None,
            Err(_) => {}
        }
    }
    None
}

fn is_no_directory(error: &io::Error) -> bool {
    [Errno::ELOOP, Errno::ENOTDIR].iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
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

    #[test]
    fn a_layers_links_are_not_followed_and_hide_what_is_below() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for path in ["u/link/file", "u/file/file", "host/file", "bottom/link/file", "bottom/file/file"] {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), "x").unwrap();
        }
        std::fs::create_dir(at("top")).unwrap();
        std::os::unix::fs::symlink(at("host"), at("top/link")).unwrap();
        std::fs::write(at("top/file"), "x").unwrap();
        let kinds = |layers: &[PathBuf]| {
            let found = find(&at("u"), layers, &[]).unwrap();
            found.iter().map(|c| format!("{} {}", c.path.display(), c.kind)).collect::<Vec<_>>()
        };
        let added = ["/file 0", "/file/file 1", "/link 0", "/link/file 1"];
        assert_eq!(kinds(&[at("top")]), added);
        assert_eq!(kinds(&[at("top"), at("bottom")]), added);
        assert_eq!(kinds(&[at("bottom")]), ["/file 0", "/file/file 0", "/link 0", "/link/file 0"]);
    }
}
