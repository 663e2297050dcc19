//! `docker diff`: what a container's writable directory says against the layers below it.

use crate::files::Theirs;
use crate::root::open;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use serde::Serialize;
use std::fs::Metadata;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use trees::Listings;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Change {
    /// As Go writes a name that is no text.
    path: String,
    kind: u8,
}

const MODIFIED: u8 = 0;
const ADDED: u8 = 1;
const DELETED: u8 = 2;

/// Made in every container: to be mounted on, and to tell that it is one.
const PLACES: [&str; 7] =
    ["/.dockerenv", "/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"];

/// One JSON array of all of them, written as they are found: how many there are, the container decides.
///
/// # Errors
/// As of [`find`], and those of `out`.
pub(crate) fn write(
    upper: &Path,
    lower: &[PathBuf],
    mounted: &[PathBuf],
    mut out: impl Write,
) -> io::Result<()> {
    let mut before = "[";
    find(upper, lower, mounted, &mut |change| {
        out.write_all(std::mem::replace(&mut before, ",").as_bytes())?;
        Ok(serde_json::to_writer(&mut out, &change)?)
    })?;
    // none at all is an array, too
    out.write_all(if before == "[" { "[]" } else { "]" }.as_bytes())
}

/// Told one by one, sorted by path. `lower` are the layers, topmost first; places of mounts are no changes.
fn find(
    upper: &Path,
    lower: &[PathBuf],
    mounted: &[PathBuf],
    tell: &mut dyn FnMut(Change) -> io::Result<()>,
) -> io::Result<()> {
    let upper = match Theirs::open(upper).and_then(|upper| upper.directory(Path::new(""))) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        upper => upper?,
    };
    // each is opened once, not for each of a container's files; one that is gone has nothing
    let lower = lower.iter().filter_map(|layer| Theirs::open(layer).ok()).collect();
    let (listings, unchanged) = (Listings::default(), Vec::new());
    Comparison { lower, mounted, listings, unchanged, tell }.walk(&upper, Path::new(""), 0)
}

struct Comparison<'a> {
    lower: Vec<Theirs>,
    mounted: &'a [PathBuf],
    listings: Listings,
    /// The directories, above the place where it is, that are changes only where something in them is: with the first of those they
    /// are told of.
    unchanged: Vec<Change>,
    tell: &'a mut dyn FnMut(Change) -> io::Result<()>,
}

impl Comparison<'_> {
    fn walk(&mut self, directory: &OwnedFd, inside: &Path, depth: usize) -> io::Result<()> {
        trees::check_depth(depth)?;
        let here = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
        let mut names = self.listings.names();
        while let Some(name) = names.next_in(directory)? {
            let path = inside.join(&name);
            // by the directory that is open: the last name alone could be a link, and nobody follows that
            let meta = match std::fs::symlink_metadata(here.join(&name)) {
                // gone meanwhile
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                meta => meta?,
            };
            let below = find_below(&self.lower, &path);
            let shown = Path::new("/").join(&path);
            let (kind, is_change) = match &below {
                _ if is_whiteout(&meta) => (DELETED, true),
                None => (ADDED, !self.is_place(&shown)),
                // a directory is copied up for whatever happens in it
                Some(below) => (MODIFIED, !meta.is_dir() || differ(&meta, below)),
            };
            let change = Change { path: shown.to_string_lossy().into_owned(), kind };
            let above = self.unchanged.len();
            self.unchanged.push(change);
            if is_change {
                self.tell_all()?;
            }
            if meta.is_dir() {
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
                match open(directory, &name, flags, Mode::empty()).map_err(io::Error::from) {
                    // gone, or something else by now
                    Err(e) if e.kind() == io::ErrorKind::NotFound || is_no_directory(&e) => {}
                    opened => self.walk(&opened?, &path, depth + 1)?,
                }
            }
            self.unchanged.truncate(above);
        }
        Ok(())
    }

    fn tell_all(&mut self) -> io::Result<()> {
        self.unchanged.drain(..).try_for_each(&mut self.tell)
    }

    fn is_place(&self, path: &Path) -> bool {
        PLACES.iter().any(|place| path == Path::new(place)) || self.mounted.iter().any(|place| place == path)
    }
}

/// Two directories, as things of their own.
fn differ(one: &Metadata, other: &Metadata) -> bool {
    (one.mode(), one.uid(), one.gid()) != (other.mode(), other.uid(), other.gid())
}

/// Overlayfs' mark for what is gone.
fn is_whiteout(meta: &Metadata) -> bool {
    meta.file_type().is_char_device() && meta.rdev() == 0
}

/// The topmost layer that has it, or its whiteout, decides. A link on the way there is an image's own, and may lead anywhere: it
/// is not followed.
fn find_below(lower: &[Theirs], path: &Path) -> Option<Metadata> {
    for layer in lower {
        let found = layer.place(path).and_then(|(_above, place)| std::fs::symlink_metadata(place));
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
        // a directory that was copied up only to mount something in it has not changed
        let mounted = [PathBuf::from("/mnt"), "/run/place".into()];
        let found = found(&upper, &[lower], &mounted);
        let found: Vec<_> = found.iter().map(|c| (c.path.as_str(), c.kind)).collect();
        assert_eq!(found, [("/etc", 0), ("/etc/passwd", 0), ("/new", 1), ("/new/file", 1), ("/tmp", 0)]);
    }

    fn found(upper: &Path, lower: &[PathBuf], mounted: &[PathBuf]) -> Vec<Change> {
        let mut all = Vec::new();
        find(upper, lower, mounted, &mut |change| {
            all.push(change);
            Ok(())
        })
        .unwrap();
        all
    }

    #[test]
    fn they_are_one_array() {
        let dir = tempfile::tempdir().unwrap();
        let written = |upper: &Path| {
            let mut out = Vec::new();
            write(upper, &[], &[], &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(&dir.path().join("nowhere")), "[]");
        assert_eq!(written(dir.path()), "[]");
        // names sort by what is in a directory, not by the whole path
        for path in ["a/b", "a-b"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let want = r#"[{"Path":"/a","Kind":1},{"Path":"/a/b","Kind":1},{"Path":"/a-b","Kind":1}]"#;
        assert_eq!(written(dir.path()), want);
    }

    #[test]
    fn each_is_told_before_the_next_is_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mut told = 0;
        let refused = find(dir.path(), &[], &[], &mut |_| {
            told += 1;
            Err(io::Error::other("nobody listens"))
        });
        assert_eq!((told, refused.unwrap_err().to_string().as_str()), (1, "nobody listens"));
    }

    #[test]
    fn directories_far_down_are_compared_too() {
        let dir = tempfile::tempdir().unwrap();
        let name = "d".repeat(250);
        let mut at = Theirs::open(dir.path()).and_then(|top| top.directory(Path::new(""))).unwrap();
        for _ in 0..40 {
            nix::sys::stat::mkdirat(&at, name.as_str(), Mode::S_IRWXU).unwrap();
            at = open(&at, std::ffi::OsStr::new(&name), OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())
                .unwrap();
        }
        assert_eq!(found(dir.path(), &[], &[]).len(), 40);
        trees::remove(&dir.path().join(&name)).unwrap();
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
            let found = found(&at("u"), layers, &[]);
            found.iter().map(|c| format!("{} {}", c.path, c.kind)).collect::<Vec<_>>()
        };
        let added = ["/file 0", "/file/file 1", "/link 0", "/link/file 1"];
        assert_eq!(kinds(&[at("top")]), added);
        assert_eq!(kinds(&[at("top"), at("bottom")]), added);
        assert_eq!(kinds(&[at("bottom")]), ["/file 0", "/file/file 0", "/link 0", "/link/file 0"]);
    }
}
