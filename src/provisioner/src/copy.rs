//! Copies a directory with all that is in it, as `cp -a --reflink=auto --sparse=auto` does: that is how upstream's driver of
//! local directories clones.
//!
//! Pods write into the source while it is read, and are hostile. Each step is taken from a descriptor of the directory above
//! it, no link is followed, and what is opened for reading is known to be a file: a device or a fifo that takes a file's
//! place is never opened. What is mounted in the source is somebody else's; of it there is an empty directory.

use rustix::fs::{
    self as sys, AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, StatxAttributes, StatxFlags,
    Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Two descriptors are open for each level.
const DEEPEST: usize = 256;
/// Between two looks at whether to go on.
const CHUNK: u64 = 16 << 20;
/// Where the kernel can not copy by itself.
const BUFFER: usize = 128 << 10;
const LARGEST_XATTR: usize = 64 << 10; // XATTR_SIZE_MAX
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A file that is not there yet.
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Makes `to`, which must not be there, a copy of the directory `from`, and has it on the disk when it returns. What is
/// half made when it fails stays, for the caller to remove.
///
/// # Errors
/// Those of the disk, with the place in the tree; `Interrupted` after `stop`.
pub(crate) fn copy(from: &Path, to: &Path, stop: &CancellationToken) -> io::Result<()> {
    let source = sys::openat(CWD, from, DIRECTORY, Mode::empty())?;
    sys::mkdirat(CWD, to, Mode::RWXU)?;
    let target = sys::openat(CWD, to, DIRECTORY, Mode::empty())?;
    let root = std::os::fd::AsFd::as_fd(&target);
    let mut copying = Copying { root, links: HashMap::new(), place: PathBuf::new(), stop };
    copying.contents(&source, &target, 0).map_err(|error| {
        let kind = error.kind();
        io::Error::new(kind, format!("copy {}: {error}", from.join(&copying.place).display()))
    })?;
    // the name that it is given afterwards must not be there before what it names
    Ok(sys::syncfs(&target)?)
}

/// Makes `to`, which must not be there, hold what the file `from` does, holes and all; it is root's alone. What is half made when
/// it fails stays, for the caller to remove.
///
/// # Errors
/// Those of the disk; `Interrupted` after `stop`.
pub(crate) fn copy_file(from: &Path, to: &Path, stop: &CancellationToken) -> io::Result<File> {
    let at = |error: Errno| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("copy {}: {error}", from.display()))
    };
    let seen = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = File::from(sys::open(from, seen, Mode::empty()).map_err(at)?);
    if !source.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is no file", from.display())));
    }
    let target = File::from(sys::open(to, NEW, Mode::RUSR | Mode::WUSR)?);
    if sys::ioctl_ficlone(&target, &source).is_err() {
        data(&source, &target, stop)?;
    }
    Ok(target)
}

struct Copying<'c> {
    root: BorrowedFd<'c>,
    /// Of files with several names, by device and inode, the name below `root` that was first.
    links: HashMap<(u64, u64), PathBuf>,
    /// Where it is, below the source.
    place: PathBuf,
    stop: &'c CancellationToken,
}

impl Copying<'_> {
    /// What is in a directory, and its attributes when all is in it.
    fn contents(&mut self, source: &OwnedFd, target: &OwnedFd, depth: usize) -> io::Result<()> {
        let stat = sys::fstat(source)?;
        for name in names(source)? {
            go_on(self.stop)?;
            // as it is where something fails, so that it can be told
            self.place.push(OsStr::from_bytes(name.to_bytes()));
            self.entry(source, target, &name, depth)?;
            self.place.pop();
        }
        attributes(source, target, &stat)
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> io::Result<()> {
        let seen = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match sys::openat(from, name, seen, Mode::empty()) {
            // removed meanwhile
            Err(Errno::NOENT) => return Ok(()),
            found => found?,
        };
        let stat = sys::fstat(&found)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(&found, to, name, depth + 1),
            _ if self.is_linked(to, name, &stat)? => Ok(()),
            FileType::RegularFile => file(&found, to, name, &stat, self.stop),
            FileType::Symlink => {
                sys::symlinkat(sys::readlinkat(&found, c"", Vec::new())?, to, name)?;
                attributes_of_name(to, name, &stat)
            }
            kind => {
                sys::mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode), stat.st_rdev)?;
                // no link is there: nobody else sees the copy yet
                chown_of_name(to, name, &stat)?;
                sys::chmodat(to, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
                times_of_name(to, name, &stat)
            }
        }
    }

    fn directory(&mut self, found: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::Error::other("directories are too deep in each other"));
        }
        sys::mkdirat(to, name, Mode::RWXU)?;
        let target = sys::openat(to, name, DIRECTORY, Mode::empty())?;
        let source = sys::openat(found, c".", DIRECTORY, Mode::empty())?;
        match is_mounted(found) {
            true => attributes(&source, &target, &sys::fstat(&source)?),
            false => self.contents(&source, &target, depth),
        }
    }

    /// Whether the file is there under another name, and now under this one too.
    fn is_linked(&mut self, to: &OwnedFd, name: &CStr, stat: &Stat) -> io::Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let inode = (stat.st_dev, stat.st_ino);
        let Some(first) = self.links.get(&inode) else {
            self.links.insert(inode, self.place.clone());
            return Ok(false);
        };
        match sys::linkat(self.root, first, to, name, AtFlags::empty()) {
            // a name that is longer than the kernel takes: as good as it can be
            Err(Errno::NAMETOOLONG | Errno::MLINK) => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }
}

fn go_on(stop: &CancellationToken) -> io::Result<()> {
    if stop.is_cancelled() {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "it was stopped"));
    }
    Ok(())
}

/// All at once: a directory that grows while it is read would be read for ever.
fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut all = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}

/// A kernel before 5.8 does not say: then it is copied, as `cp -a` would.
fn is_mounted(directory: &OwnedFd) -> bool {
    let told = sys::statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::empty());
    told.is_ok_and(|told| told.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn file(found: &OwnedFd, to: &OwnedFd, name: &CStr, stat: &Stat, stop: &CancellationToken) -> io::Result<()> {
    // the very file that was looked at, whatever has its name by now
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let source = File::from(sys::open(again, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?);
    let target = File::from(sys::openat(to, name, NEW, Mode::RUSR | Mode::WUSR)?);
    if sys::ioctl_ficlone(&target, &source).is_err() {
        data(&source, &target, stop)?;
    }
    attributes(&source, &target, stat)
}

/// What a file holds; where it has holes, so has the copy.
fn data(source: &File, target: &File, stop: &CancellationToken) -> io::Result<()> {
    let size = source.metadata()?.len();
    let mut at = 0;
    while at < size {
        let (start, end) = match sys::seek(source, SeekFrom::Data(at)) {
            Ok(start) => (start, sys::seek(source, SeekFrom::Hole(start))?.min(size)),
            // nothing but a hole is left
            Err(Errno::NXIO) => break,
            // the file system knows of no holes
            Err(Errno::INVAL | Errno::OPNOTSUPP) => (at, size),
            Err(error) => return Err(error.into()),
        };
        range(source, target, start, end, stop)?;
        at = end.max(at + 1);
    }
    target.set_len(size)
}

fn range(source: &File, target: &File, mut at: u64, end: u64, stop: &CancellationToken) -> io::Result<()> {
    let mut buffer = Vec::new();
    while at < end {
        go_on(stop)?;
        let length = (end - at).min(CHUNK);
        let copied = match buffer.is_empty() {
            true => by_kernel(source, target, at, length)?,
            false => None,
        };
        let copied = match copied {
            Some(copied) => copied,
            None => {
                buffer.resize(BUFFER, 0);
                let part = usize::try_from(length).unwrap_or(BUFFER).min(BUFFER);
                let read = source.read_at(&mut buffer[..part], at)?;
                target.write_all_at(&buffer[..read], at)?;
                read as u64
            }
        };
        if copied == 0 {
            // it was cut meanwhile
            break;
        }
        at += copied;
    }
    Ok(())
}

/// `None` where these file systems can not.
fn by_kernel(source: &File, target: &File, at: u64, length: u64) -> io::Result<Option<u64>> {
    let (mut from, mut to) = (at, at);
    let length = usize::try_from(length).unwrap_or(BUFFER);
    match sys::copy_file_range(source, Some(&mut from), target, Some(&mut to), length) {
        Ok(copied) => Ok(Some(copied as u64)),
        Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// In this order: a new owner takes the set-user-ID bit and capabilities away, and all of it changes times.
fn attributes<S: std::os::fd::AsFd, T: std::os::fd::AsFd>(
    source: &S,
    target: &T,
    stat: &Stat,
) -> io::Result<()> {
    sys::fchown(target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    sys::fchmod(target, Mode::from_raw_mode(stat.st_mode))?;
    xattrs(source, target)?;
    Ok(sys::futimens(target, &times(stat))?)
}

/// Of a symbolic link, which has no mode of its own.
fn attributes_of_name(to: &OwnedFd, name: &CStr, stat: &Stat) -> io::Result<()> {
    chown_of_name(to, name, stat)?;
    times_of_name(to, name, stat)
}

fn chown_of_name(to: &OwnedFd, name: &CStr, stat: &Stat) -> io::Result<()> {
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    Ok(sys::chownat(to, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times_of_name(to: &OwnedFd, name: &CStr, stat: &Stat) -> io::Result<()> {
    Ok(sys::utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(stat: &Stat) -> Timestamps {
    let at = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    Timestamps {
        last_access: at(stat.st_atime as _, stat.st_atime_nsec as _),
        last_modification: at(stat.st_mtime as _, stat.st_mtime_nsec as _),
    }
}

/// With the access control lists, which are such attributes. What can not be set is left out, as `cp -a` does.
fn xattrs<S: std::os::fd::AsFd, T: std::os::fd::AsFd>(source: &S, target: &T) -> io::Result<()> {
    let mut names: Vec<u8> = match sys::flistxattr_query(source) {
        Err(Errno::OPNOTSUPP) | Ok(0) => return Ok(()),
        size => vec![0; size?],
    };
    let length = match sys::flistxattr(source, &mut names[..]) {
        // there are more by now
        Err(Errno::RANGE) => return xattrs(source, target),
        length => length?,
    };
    let mut value = vec![0; LARGEST_XATTR];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let length = match sys::fgetxattr(source, name, &mut value[..]) {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
            length => length?,
        };
        match sys::fsetxattr(target, name, &value[..length], XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS | Errno::INVAL) => {}
            done => done?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
