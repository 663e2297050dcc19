//! A directory of an overlay, copied with all that counts there: whiteouts, attributes, owners, times, and which names are one
//! file. Nobody writes to it meanwhile.

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use trees::{FileId, LinkNames};

/// `to` is not there yet.
pub(super) fn tree(from: &Path, to: &Path) -> io::Result<()> {
    Copying { root: to, links: LinkNames::default() }.entry(from, to, 0)
}

struct Copying<'c> {
    root: &'c Path,
    /// Of files with several names the one that was first, below `root`. Beyond its bound there is no copy, and the step's
    /// container is not kept: what is committed of it would have other layers.
    links: LinkNames,
}

impl Copying<'_> {
    fn entry(&mut self, from: &Path, to: &Path, depth: usize) -> io::Result<()> {
        let meta = from.symlink_metadata()?;
        if meta.is_dir() {
            trees::check_depth(depth)?;
            std::fs::create_dir(to)?;
            self.contents(from, to, depth)?;
            return attributes(from, to, &meta);
        }
        let id = FileId { device: meta.dev(), inode: meta.ino(), names: meta.nlink() };
        if let Some(first) = self.links.see(to.file_name().unwrap_or_default(), id)? {
            return std::fs::hard_link(self.root.join(first), to);
        }
        leaf(from, to, &meta)?;
        attributes(from, to, &meta)
    }

    fn contents(&mut self, from: &Path, to: &Path, depth: usize) -> io::Result<()> {
        // the root is where links begin
        if depth > 0 {
            self.links.enter(to.file_name().unwrap_or_default());
        }
        for name in std::fs::read_dir(from)? {
            let name = name?.file_name();
            self.entry(&from.join(&name), &to.join(&name), depth + 1)?;
        }
        if depth > 0 {
            self.links.leave();
        }
        Ok(())
    }
}

fn leaf(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    if meta.is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(from)?, to)?;
    } else if meta.is_file() {
        // a step may have made a file of terabytes that holds nothing
        trees::copy_data(&File::open(from)?, &File::create_new(to)?)?;
    } else {
        let kind = FileType::from_raw_mode(meta.mode());
        rustix::fs::mknodat(CWD, to, kind, Mode::from_raw_mode(meta.mode()), meta.rdev())?;
    }
    Ok(())
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
    fn a_step_with_more_links_than_can_be_kept_has_no_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for directory in ["a", "b"] {
            std::fs::create_dir_all(from.join(directory)).unwrap();
        }
        for number in 0..100 {
            std::fs::write(from.join(format!("a/{number}")), "x").unwrap();
            std::fs::hard_link(from.join(format!("a/{number}")), from.join(format!("b/{number}"))).unwrap();
        }
        let refused =
            Copying { root: &to, links: LinkNames::bounded(10_000) }.entry(&from, &to, 0).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TooManyLinks, "{refused}");
    }

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
