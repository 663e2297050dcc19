//! Reading and preparing a container's root file system from outside, before anything runs in it.
//!
//! Every path is resolved inside the root by the kernel (openat2 with RESOLVE_IN_ROOT): a link in an image, absolute or
//! full of `..`, can not lead out of it.

#[cfg(test)]
mod tests;

use crate::host::HostDevice;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, makedev, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, geteuid, symlinkat, unlinkat};
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A container's root, opened.
pub struct Rootfs(OwnedFd);

impl Rootfs {
    /// `at` may lead through /proc/<shim>/root: the overlay is mounted in the shim's mount namespace only.
    pub fn open(at: &Path) -> nix::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        nix::fcntl::open(at, flags, Mode::empty()).map(Rootfs)
    }

    pub(crate) fn open_in(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let opened = trees::open_in_root(&self.0, path, OFlags::from_bits_retain(flags.bits() as u32));
        opened.map_err(|e| Errno::from_raw(e.raw_os_error()))
    }

    /// A text file's content; empty where there is none, or something that is no file of the container's own.
    pub fn read_text(&self, path: &Path) -> String {
        let found = self.open_in(path, OFlag::O_PATH).ok();
        found.and_then(|found| trees::read_text(found).ok()).unwrap_or_default()
    }

    /// Makes the directory and its parents where they are missing; the new ones are the user's.
    ///
    /// # Errors
    /// Something that is no directory stands in the way.
    pub fn make_dir(&self, path: &Path, uid: u32, gid: u32) -> nix::Result<()> {
        if self.open_in(path, OFlag::O_PATH | OFlag::O_DIRECTORY).is_ok() {
            return Ok(());
        }
        let parts: Vec<_> = path.components().collect();
        let mut at = PathBuf::from("/");
        for part in parts.iter().filter(|p| matches!(p, std::path::Component::Normal(_))) {
            let parent = self.open_in(&at, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
            at.push(part);
            match mkdirat(&parent, part.as_os_str(), Mode::from_bits_truncate(0o755)) {
                Ok(()) => give_new(&parent, part.as_os_str(), (uid, gid))?,
                Err(Errno::EEXIST) => {}
                Err(e) => return Err(e),
            }
        }
        self.open_in(path, OFlag::O_PATH | OFlag::O_DIRECTORY).map(drop)
    }

    /// Puts a directory in the place of a link or a file that the image has at the top, as Docker does where the kernel's file
    /// systems are mounted. libcontainer makes nodes and links at `<root>/dev/…` while it still sees the machine: a link
    /// there would lead it to a directory of the machine's.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keep_dir(&self, name: &str) -> nix::Result<()> {
        let kind = match fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat.st_mode & libc::S_IFMT,
            // it is made where it is needed
            Err(Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e),
        };
        if kind == libc::S_IFDIR {
            return Ok(());
        }
        unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir)?;
        mkdirat(&self.0, name, Mode::from_bits_truncate(0o755))
    }

    /// Makes a node of the device, and the directories above it. A file or a link that the image has there makes room for it.
    ///
    /// # Errors
    /// What the kernel says; a directory is there.
    pub fn make_node(&self, path: &Path, device: &HostDevice) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::EINVAL.into());
        };
        self.make_dir(parent, 0, 0)?;
        let parent = self.open_in(parent, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let kind = if device.block { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
        let part = |number: i64| u64::try_from(number).map_err(io::Error::other);
        let number = makedev(part(device.major)?, part(device.minor)?);
        let make = || mknodat(&parent, name, kind, Mode::from_bits_truncate(device.mode), number);
        match make() {
            Err(Errno::EEXIST) => {
                unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir)?;
                make()?;
            }
            made => made?,
        }
        let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        fchownat(&parent, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        // our own mask has taken from the mode
        let made = openat(&parent, name, OFlag::O_PATH | ITSELF, Mode::empty())?;
        let itself = format!("/proc/self/fd/{}", made.as_raw_fd());
        fs::set_permissions(itself, fs::Permissions::from_mode(device.mode))
    }

    /// Copies what the image has at `path` to the directory `to`, owners and modes and all, if that is empty; nothing where
    /// the image has none. Others may have `to` mounted already, and turn links in it while we write: so whatever is made is
    /// made by descriptors, and what somebody made first stays.
    pub fn fill(&self, path: &Path, to: &Path) -> io::Result<()> {
        let from = match self.open_in(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(from) => from,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let to = match nix::fcntl::open(to, DIRECTORY, Mode::empty()) {
            Ok(to) => to,
            // a file is mounted there
            Err(Errno::ENOTDIR) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        if !trees::is_empty(&to)? {
            return Ok(());
        }
        copy_entries(&from, &to, 0)?;
        own(&to, &fstat(&from)?)
    }
}

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// Never what a link leads to, nor for ever at a pipe.
const ITSELF: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

/// Gives a directory that was made a moment ago to its user. In a volume others may have put something else in its place since: what has
/// something in it, or is somebody's already, stays whose it is.
fn give_new(parent: &OwnedFd, name: &OsStr, (uid, gid): (u32, u32)) -> nix::Result<()> {
    let made = match openat(parent, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | ITSELF, Mode::empty()) {
        Err(Errno::ELOOP | Errno::ENOTDIR | Errno::ENOENT) => return Ok(()),
        made => made?,
    };
    let is_own = fstat(&made)?.st_uid == geteuid().as_raw();
    match is_own && trees::is_empty(&made).unwrap_or(false) {
        true => fchown(&made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))),
        false => Ok(()),
    }
}

fn permissions(stat: &FileStat) -> Mode {
    Mode::from_bits_truncate(stat.st_mode & 0o7777)
}

/// `depth`: directories above, in the one that is copied. No list of the names is kept: an image may have millions in one
/// directory.
fn copy_entries(from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
    trees::check_depth(depth)?;
    trees::try_each_name(from, |name| copy_one(from, to, name, depth))
}

fn copy_one(from: &OwnedFd, to: &OwnedFd, name: &OsStr, depth: usize) -> io::Result<()> {
    let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let made = match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFLNK => symlinkat(readlinkat(from, name)?.as_os_str(), to, name),
        SFlag::S_IFDIR => match mkdirat(to, name, Mode::S_IRWXU) {
            // another container that begins with the same volume may be at it too
            Ok(()) | Err(Errno::EEXIST) => return copy_dir(from, to, (name, &stat), depth),
            Err(e) => Err(e),
        },
        SFlag::S_IFREG => return copy_file(from, to, name),
        kind @ (SFlag::S_IFIFO | SFlag::S_IFCHR | SFlag::S_IFBLK) => {
            mknodat(to, name, kind, permissions(&stat), stat.st_rdev)
        }
        // a socket is of no use without who listens at it
        _ => return Ok(()),
    };
    match made {
        Ok(()) => {}
        Err(Errno::EEXIST) => return Ok(()),
        Err(e) => return Err(e.into()),
    }
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    Ok(fchownat(to, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

fn copy_dir(from: &OwnedFd, to: &OwnedFd, (name, stat): (&OsStr, &FileStat), depth: usize) -> io::Result<()> {
    let open = |at| openat(at, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY | ITSELF, Mode::empty());
    let (from, to) = (open(from)?, open(to)?);
    copy_entries(&from, &to, depth + 1)?;
    own(&to, stat)
}

/// What was a file a moment ago may be a device or a pipe by now: it is looked at before it is opened, and stays itself.
fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let found = openat(from, name, OFlag::O_PATH | ITSELF, Mode::empty())?;
    let Some(file) = trees::read_regular(found)? else {
        return Err(io::Error::other(format!("{} is no file any more", name.display())));
    };
    let stat = fstat(&file)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | ITSELF;
    let copy = match openat(to, name, flags, Mode::S_IRWXU) {
        Ok(copy) => File::from(copy),
        // somebody has made it first
        Err(Errno::EEXIST) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    trees::copy_data(&file, &copy)?;
    own(&copy.into(), &stat)
}

/// The mode comes last, for chown takes set-id bits away.
fn own(made: &OwnedFd, stat: &FileStat) -> io::Result<()> {
    fchown(made, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    Ok(fchmod(made, permissions(stat))?)
}
