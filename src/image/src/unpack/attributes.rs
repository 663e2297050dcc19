//! Owner, permissions, time and extended attributes of an entry, set by descriptors, and the attribute by which overlayfs
//! hides what lies below.

use super::refusal::refusal;
use crate::error::{ImageError, Result};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

/// Who owns an entry, its permissions, its time, its extended attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    uid: u32,
    gid: u32,
    /// With setuid, setgid and sticky.
    mode: u32,
    mtime: Option<Timespec>,
    xattrs: Vec<(CString, Vec<u8>)>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

impl Attributes {
    pub(super) fn of<R: Read>(entry: &mut tar::Entry<'_, R>) -> std::io::Result<Attributes> {
        let header = entry.header();
        let seconds = header.mtime().unwrap_or(0);
        let mut attributes = Attributes {
            uid: id(or_blank(&header.as_old().uid, header.uid())?),
            gid: id(or_blank(&header.as_old().gid, header.gid())?),
            mode: or_blank(&header.as_old().mode, header.mode())? & 0o7777,
            mtime: Some(Timespec { tv_sec: i64::try_from(seconds).unwrap_or(0), tv_nsec: 0 }),
            xattrs: Vec::new(),
        };
        for record in entry.pax_extensions()?.into_iter().flatten() {
            let record = record?;
            attributes.pax(record.key_bytes(), record.value_bytes());
        }
        Ok(attributes)
    }

    fn pax(&mut self, key: &[u8], value: &[u8]) {
        if key == b"mtime" {
            self.mtime = parse_time(value).or(self.mtime);
        } else if let Some(name) = key.strip_prefix(XATTR).filter(|name| is_kept(name)) {
            self.xattrs.extend(CString::new(name).ok().map(|name| (name, value.to_owned())));
        }
    }

    pub(super) fn mtime(&self) -> Option<Timespec> {
        self.mtime
    }

    /// For what can be opened. The owner first: chown takes setuid and capabilities away.
    pub(super) fn apply(&self, fd: impl AsFd, path: &Path) -> Result<()> {
        let fd = fd.as_fd();
        if is_root() {
            rustix::fs::fchown(fd, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
                .map_err(|e| refusal(path, e))?;
        }
        for (name, value) in &self.xattrs {
            match rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()) {
                // the file system has none, or wants a privilege for it: Docker goes on as well
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                // some keep all of a file in one block, and call that a full disk
                Err(e) if e == Errno::TOOBIG || e == Errno::NOSPC && has_room(fd) => {
                    let path = path.display();
                    let why =
                        format!("layer: {path} has larger extended attributes than the file system takes");
                    return Err(ImageError::Refused(why));
                }
                Err(e) => return Err(refusal(path, e)),
            }
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(self.mode)).map_err(|e| refusal(path, e))
    }

    pub(super) fn apply_with_time(&self, fd: impl AsFd, path: &Path) -> Result<()> {
        self.apply(fd.as_fd(), path)?;
        match self.mtime {
            Some(mtime) => rustix::fs::futimens(fd, &times(mtime)).map_err(|e| refusal(path, e)),
            None => Ok(()),
        }
    }

    /// For links and devices, which are not opened.
    pub(super) fn apply_at(&self, above: impl AsFd, name: &OsStr, path: &Path, is_link: bool) -> Result<()> {
        let above = above.as_fd();
        if is_root() {
            let (uid, gid) = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
            rustix::fs::chownat(above, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| refusal(path, e))?;
        }
        if !is_link {
            // made a moment ago by us in a directory that nobody else sees: it is no link
            rustix::fs::chmodat(above, name, Mode::from_raw_mode(self.mode), AtFlags::empty())
                .map_err(|e| refusal(path, e))?;
        }
        match self.mtime {
            Some(mtime) => rustix::fs::utimensat(above, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| refusal(path, e)),
            None => Ok(()),
        }
    }

    pub(super) fn mode(&self) -> u32 {
        self.mode
    }
}

pub(super) fn times(mtime: Timespec) -> Timestamps {
    Timestamps { last_access: mtime, last_modification: mtime }
}

/// Only root can give files away, make devices and set trusted attributes; tests run without.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn has_room(fd: impl AsFd) -> bool {
    rustix::fs::fstatvfs(fd).is_ok_and(|facts| facts.f_bavail > 0)
}

/// Makes a directory hide what layers below have under its name.
pub(super) fn set_opaque(fd: impl AsFd, path: &Path) -> Result<()> {
    rustix::fs::fsetxattr(fd, opaque(), b"y", XattrFlags::empty()).map_err(|e| refusal(path, e))
}

pub(super) fn is_opaque(fd: impl AsFd) -> bool {
    let mut value = [0; 1];
    rustix::fs::fgetxattr(fd, opaque(), &mut value).is_ok_and(|length| &value[..length] == b"y")
}

fn opaque() -> &'static str {
    if is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" }
}

/// `trusted.` is overlayfs' own language (a redirect would show files from elsewhere), `security.selinux` the machine's.
pub(crate) fn is_kept(name: &[u8]) -> bool {
    name == b"security.capability"
        || name.starts_with(b"user.") && !name.starts_with(b"user.overlay.")
        || name.starts_with(b"system.posix_acl_")
}

/// Ids beyond 32 bits, and the one that means "leave it", are nobody's.
fn id(id: u64) -> u32 {
    const NOBODY: u32 = 65534;
    u32::try_from(id).ok().filter(|id| *id != u32::MAX).unwrap_or(NOBODY)
}

/// Some writers leave a field blank that is zero.
pub(super) fn or_blank<T: From<u8>>(field: &[u8], number: std::io::Result<T>) -> std::io::Result<T> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) { Ok(T::from(0)) } else { number }
}

/// `1700000000.123456789`
fn parse_time(value: &[u8]) -> Option<Timespec> {
    let text = std::str::from_utf8(value).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(Timespec { tv_sec: seconds.parse().ok()?, tv_nsec: nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_at_most() {
        for (text, want) in [
            ("1700000000", Some((1_700_000_000, 0))),
            ("1700000000.5", Some((1_700_000_000, 500_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("-5.25", Some((-5, 250_000_000))),
            ("soon", None),
            ("1.x", None),
        ] {
            assert_eq!(parse_time(text.as_bytes()).map(|t| (t.tv_sec, t.tv_nsec)), want, "{text}");
        }
    }

    #[test]
    fn attributes_that_are_too_large_are_no_full_disk() {
        let file = tempfile::tempfile().unwrap();
        let many =
            (0..100).map(|number| (CString::new(format!("user.{number}")).unwrap(), vec![b'x'; 60_000]));
        let large = (CString::new("user.large").unwrap(), vec![b'x'; 100_000]);
        for (name, xattrs) in [("a large one", vec![large]), ("many", many.collect())] {
            let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
            let attributes = Attributes { uid, gid, mode: 0o644, mtime: None, xattrs };
            match attributes.apply(&file, Path::new("some/file")) {
                Err(why) => {
                    assert!(!why.is_full_disk(), "{name}: {why}");
                    assert!(why.to_string().contains("some/file has larger extended"), "{name}: {why}");
                }
                // there are file systems with room for many
                Ok(()) => assert_eq!(name, "many"),
            }
        }
    }

    #[test]
    fn only_attributes_that_belong_to_an_image_are_kept() {
        for (name, kept) in [
            ("security.capability", true),
            ("user.note", true),
            ("trusted.overlay.redirect", false),
            ("user.overlay.redirect", false),
            ("security.selinux", false),
        ] {
            assert_eq!(is_kept(name.as_bytes()), kept, "{name}");
        }
    }
}
