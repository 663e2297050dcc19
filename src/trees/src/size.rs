//! What a tree takes: a directory that is open for each level, however many there are in each of them.

use crate::{FileId, LinkNames, MAX_DEPTH};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, statat};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;

/// Of files with several names; beyond, each name counts.
const MOST_LINKS: usize = 16 << 20; // bytes
/// What `st_blocks` counts in, whatever the file system's own blocks are (inode(7)).
const BLOCK: u64 = 512;

/// Bytes of all in a directory that is open to read, of a link its own; a file with several names counts once, as Docker counts.
/// What lies more than [`MAX_DEPTH`] levels down, is mounted there or goes away meanwhile does not.
///
/// Of a large tree it takes minutes: it is walked for as long as `is_wanted` says so.
///
/// # Errors
/// The directory itself could not be read; `Interrupted` where nobody wants to know any more.
pub fn size(directory: OwnedFd, is_wanted: impl Fn() -> bool) -> io::Result<u64> {
    sum(directory, is_wanted, |found, kind| if kind == FileType::Directory { 0 } else { length(found) })
}

/// Bytes that all in a directory that is open to read takes of its disk, the directories with it, as `du` counts: a hole takes none.
/// As far down as [`size`] goes.
///
/// # Errors
/// The directory itself could not be read.
pub fn disk_usage(directory: OwnedFd) -> io::Result<u64> {
    let own = on_disk(&fstat(&directory)?);
    Ok(own.saturating_add(sum(directory, || true, |found, _| on_disk(found))?))
}

fn sum(
    directory: OwnedFd,
    is_wanted: impl Fn() -> bool,
    bytes: impl Fn(&Stat, FileType) -> u64,
) -> io::Result<u64> {
    let mut walk = vec![Dir::new(directory)?];
    let (mut size, mut links) = (0_u64, LinkNames::bounded(MOST_LINKS));
    loop {
        if !is_wanted() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let depth = walk.len();
        let Some(level) = walk.last_mut() else { return Ok(size) };
        let Some(Ok(entry)) = level.read() else {
            walk.pop();
            continue;
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let here = level.fd()?;
        let Ok(found) = statat(here, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind != FileType::Directory {
            let counts = !is_another_name(&mut links, &found);
            size = size.saturating_add(if counts { bytes(&found, kind) } else { 0 });
        } else if depth < MAX_DEPTH {
            size = size.saturating_add(bytes(&found, kind));
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
            let below = openat2(here, name, flags, Mode::empty(), resolve).and_then(Dir::new);
            walk.extend(below);
        }
    }
}

fn length(found: &Stat) -> u64 {
    u64::try_from(found.st_size).unwrap_or(0)
}

fn on_disk(found: &Stat) -> u64 {
    u64::try_from(found.st_blocks).unwrap_or(0).saturating_mul(BLOCK)
}

/// Of a file that was counted by its first one.
fn is_another_name(links: &mut LinkNames, found: &Stat) -> bool {
    let id = FileId { device: found.st_dev, inode: found.st_ino, names: found.st_nlink as _ };
    // what the first one is called, nobody asks
    matches!(links.see(OsStr::new(""), id), Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn measured(at: &Path) -> u64 {
        size(fs::File::open(at).unwrap().into(), || true).unwrap()
    }

    #[test]
    fn a_tree_is_measured_as_far_as_it_is_gone_through() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: String| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "12345").unwrap();
        };
        assert_eq!(measured(dir.path()), 0);
        // siblings after a deep one are still found
        for name in ["a/one".to_owned(), "b/two".into(), "c/d/e/three".into(), "d/".repeat(255) + "last"] {
            put(name);
        }
        assert_eq!(measured(dir.path()), 20);
        put("d/".repeat(256) + "beyond");
        assert_eq!(measured(dir.path()), 20, "too deep");
    }

    #[test]
    fn what_a_tree_takes_of_its_disk_is_not_how_long_its_files_are() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        let hole = fs::File::create(dir.path().join("below/hole")).unwrap();
        hole.set_len(1 << 30).unwrap();
        fs::write(dir.path().join("full"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(dir.path().join("full"), dir.path().join("again")).unwrap();
        for path in ["below/hole", "full"] {
            fs::File::open(dir.path().join(path)).unwrap().sync_all().unwrap();
        }
        let usage = || disk_usage(fs::File::open(dir.path()).unwrap().into()).unwrap();
        let own = |path: &str| fs::metadata(dir.path().join(path)).unwrap().blocks() * 512;
        assert_eq!(usage(), ["", "below", "below/hole", "full"].map(own).iter().sum::<u64>());
        assert!((1 << 20..1 << 30).contains(&usage()), "{}", usage());
    }

    #[test]
    fn a_file_counts_once_and_a_link_as_itself() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a")).unwrap();
        fs::write(dir.path().join("outside"), "not in it").unwrap();
        fs::write(tree.join("a/file"), "12345").unwrap();
        for name in ["second", "a/third"] {
            fs::hard_link(tree.join("a/file"), tree.join(name)).unwrap();
        }
        symlink("../outside", tree.join("link")).unwrap();
        symlink(dir.path(), tree.join("directory")).unwrap();
        let links = "../outside".len() + dir.path().as_os_str().len();
        assert_eq!(measured(&tree), 5 + links as u64);
    }

    #[test]
    fn a_walk_that_nobody_wants_ends() {
        let dir = tempfile::tempdir().unwrap();
        (0..10).for_each(|number| fs::write(dir.path().join(number.to_string()), "x").unwrap());
        let looks = std::cell::Cell::new(0);
        let walk = |most: usize| {
            looks.set(0);
            let is_wanted = || looks.replace(looks.get() + 1) < most;
            size(fs::File::open(dir.path()).unwrap().into(), is_wanted).map_err(|why| why.kind())
        };
        assert_eq!(walk(usize::MAX), Ok(10));
        assert_eq!((walk(5), looks.get()), (Err(io::ErrorKind::Interrupted), 6));
    }
}
