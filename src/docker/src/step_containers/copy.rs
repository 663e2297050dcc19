//! A folder of an overlay, copied with all that counts there: whiteouts, attributes, owners, times, and which names are one
//! file. Nobody writes to it meanwhile.

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};
use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `to` is not there yet.
pub(super) fn tree(from: &Path, to: &Path) -> io::Result<()> {
    entry(from, to, 0, &mut HashMap::new())
}

/// Files of several names: where the first one went.
type Seen = HashMap<(u64, u64), PathBuf>;

fn entry(from: &Path, to: &Path, depth: usize, seen: &mut Seen) -> io::Result<()> {
    let meta = from.symlink_metadata()?;
    if !meta.is_dir() && meta.nlink() > 1 {
        if let Some(first) = seen.get(&(meta.dev(), meta.ino())) {
            return std::fs::hard_link(first, to);
        }
        seen.insert((meta.dev(), meta.ino()), to.to_owned());
    }
    if meta.is_dir() {
        trees::check_depth(depth)?;
        std::fs::create_dir(to)?;
        for name in std::fs::read_dir(from)? {
            let name = name?.file_name();
            entry(&from.join(&name), &to.join(&name), depth + 1, seen)?;
        }
    } else if meta.is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(from)?, to)?;
    } else if meta.is_file() {
        std::fs::copy(from, to)?;
    } else {
        let kind = FileType::from_raw_mode(meta.mode());
        rustix::fs::mknodat(CWD, to, kind, Mode::from_raw_mode(meta.mode()), meta.rdev())?;
    }
    attributes(from, to, &meta)
}

/// The times last: all else changes them.
fn attributes(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    std::os::unix::fs::lchown(to, Some(meta.uid()), Some(meta.gid()))?;
    if !meta.is_symlink() {
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    }
    for name in names(from)? {
        let mut value = vec![0u8; rustix::fs::lgetxattr(from, &*name, &mut [0u8; 0][..])?];
        let length = rustix::fs::lgetxattr(from, &*name, &mut value[..])?;
        rustix::fs::lsetxattr(to, &*name, &value[..length], rustix::fs::XattrFlags::empty())?;
    }
    let time = |tv_sec: i64, tv_nsec: i64| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec()),
        last_modification: time(meta.mtime(), meta.mtime_nsec()),
    };
    Ok(rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut list = vec![0u8; 64 << 10];
    let length = match rustix::fs::llistxattr(path, &mut list[..]) {
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_copy_is_like_what_it_was_made_of() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir_all(from.join("d")).unwrap();
        std::fs::write(from.join("d/file"), "text").unwrap();
        std::fs::set_permissions(from.join("d/file"), std::fs::Permissions::from_mode(0o4711)).unwrap();
        std::fs::hard_link(from.join("d/file"), from.join("twin")).unwrap();
        symlink("/nowhere", from.join("link")).unwrap();
        rustix::fs::mknodat(CWD, from.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        tree(&from, &to).unwrap();
        let seen = |root: &Path, name: &str| {
            let meta = root.join(name).symlink_metadata().unwrap();
            (meta.mode(), meta.uid(), meta.nlink(), meta.mtime(), meta.mtime_nsec(), meta.len())
        };
        for name in ["d/file", "twin", "link", "pipe", "d"] {
            assert_eq!(seen(&to, name), seen(&from, name), "{name}");
        }
        assert_eq!(std::fs::read_link(to.join("link")).unwrap(), Path::new("/nowhere"));
        // it is another file
        std::fs::write(to.join("twin"), "other").unwrap();
        assert_eq!(std::fs::read_to_string(from.join("d/file")).unwrap(), "text");
        assert_eq!(std::fs::read_to_string(to.join("d/file")).unwrap(), "other");
    }
}
