//! Copies a directory with all that is in it, as `cp -a --reflink=auto --sparse=auto` does: that is how upstream's driver of
//! local directories clones.
//!
//! Pods write into the source while it is read, and are hostile. Each step is taken from a descriptor of the directory above
//! it, no link is followed, and what is opened for reading is known to be a file: a device or a fifo that takes a file's
//! place is never opened. What is mounted in the source is somebody else's; of it there is an empty directory.
//!
//! How much they write is theirs to say, too: names and links are kept within bounds (`trees`), paths may be longer than the kernel
//! takes. A tree beyond the bounds has no copy: one without its links would be larger than the source, and not what it says it is.

use rustix::fs::{
    self as sys, AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, SeekFrom, Stat, StatxAttributes,
    StatxFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use trees::{FileId, LinkNames, Listings};

/// Two descriptors are open for each level.
const DEEPEST: usize = 256;
/// Between two looks at whether to go on.
const CHUNK: u64 = 16 << 20;
/// Where the kernel can not copy by itself.
const BUFFER: usize = 128 << 10;
const LARGEST_XATTR: usize = 64 << 10; // XATTR_SIZE_MAX
/// With the zero byte at its end the kernel takes 4096 (`PATH_MAX`).
const LONGEST_PATH: usize = 4095;
/// Of a place that is told: what went wrong there comes after it, and an event has not room for all of it.
const LONGEST_PLACE: usize = 256;
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A file that is not there yet.
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Makes `to`, which must not be there, a copy of the directory `from`, and has it on the disk when it returns. What is
/// half made when it fails stays, for the caller to remove.
///
/// # Errors
/// Those of the disk, with the place in the tree; `Interrupted` after `stop`; those of [`is_final`] where there can be no copy.
pub(crate) fn copy(from: &Path, to: &Path, stop: &CancellationToken) -> io::Result<()> {
    let source = sys::openat(CWD, from, DIRECTORY, Mode::empty())?;
    sys::mkdirat(CWD, to, Mode::RWXU)?;
    let target = sys::openat(CWD, to, DIRECTORY, Mode::empty())?;
    let root = std::os::fd::AsFd::as_fd(&target);
    let mut copying = Copying::new(root, stop);
    copying.contents(&source, &target, 0).map_err(|error| {
        let kind = error.kind();
        io::Error::new(kind, format!("copy {}: {error}", shown(&from.join(&copying.place))))
    })?;
    // the name that it is given afterwards must not be there before what it names
    Ok(sys::syncfs(&target)?)
}

/// Whether the tree itself is why there is no copy of it: to try again would read all of it once more, and end the same.
pub(crate) fn is_final(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TooManyLinks | ErrorKind::InvalidData)
}

/// The beginning of a long path.
fn shown(path: &Path) -> String {
    let whole = path.display().to_string();
    match whole.char_indices().nth(LONGEST_PLACE) {
        Some((end, _)) => format!("{}...", &whole[..end]),
        None => whole,
    }
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
    /// Of files with several names the one that was first, below `root` as below the source.
    links: LinkNames,
    listings: Listings,
    /// Where it is, below the source.
    place: PathBuf,
    stop: &'c CancellationToken,
}

impl<'c> Copying<'c> {
    fn new(root: BorrowedFd<'c>, stop: &'c CancellationToken) -> Self {
        let (links, listings) = (LinkNames::default(), Listings::default());
        Copying { root, links, listings, place: PathBuf::new(), stop }
    }

    /// What is in a directory, and its attributes when all is in it.
    fn contents(&mut self, source: &OwnedFd, target: &OwnedFd, depth: usize) -> io::Result<()> {
        let stat = sys::fstat(source)?;
        let mut names = self.listings.names();
        while let Some(name) = names.next_in(source)? {
            go_on(self.stop)?;
            // as it is where something fails, so that it can be told
            self.place.push(&name);
            self.entry(source, target, &name, depth)?;
            self.place.pop();
        }
        attributes(source, target, &stat)
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &OsStr, depth: usize) -> io::Result<()> {
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

    fn directory(&mut self, found: &OwnedFd, to: &OwnedFd, name: &OsStr, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "directories are too deep in each other"));
        }
        sys::mkdirat(to, name, Mode::RWXU)?;
        let target = sys::openat(to, name, DIRECTORY, Mode::empty())?;
        let source = sys::openat(found, c".", DIRECTORY, Mode::empty())?;
        match is_mounted(found) {
            true => attributes(&source, &target, &sys::fstat(&source)?),
            false => {
                self.links.enter(name);
                let done = self.contents(&source, &target, depth);
                self.links.leave();
                done
            }
        }
    }

    /// Whether the file is there under another name, and now under this one too.
    fn is_linked(&mut self, to: &OwnedFd, name: &OsStr, stat: &Stat) -> io::Result<bool> {
        let file = FileId { device: stat.st_dev, inode: stat.st_ino, names: stat.st_nlink as _ };
        let Some(first) = self.links.see(name, file)? else { return Ok(false) };
        let (above, first_name) = place_of(self.root, &first)?;
        sys::linkat(&above, first_name, to, name, AtFlags::empty())?;
        Ok(true)
    }
}

/// Where something lies below a directory of ours: the directory that it is in, and its name there. In as many steps as it
/// takes paths that are short enough for the kernel.
fn place_of<'p>(root: BorrowedFd<'_>, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let mut at = root.try_clone_to_owned()?;
    let mut step = PathBuf::new();
    for part in parent {
        if step.as_os_str().len() + 1 + part.len() > LONGEST_PATH {
            at = directory_at(&at, &step)?;
            step.clear();
        }
        step.push(part);
    }
    if !step.as_os_str().is_empty() {
        at = directory_at(&at, &step)?;
    }
    Ok((at, name))
}

fn directory_at(above: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(sys::openat2(above, path, flags, Mode::empty(), resolve)?)
}

fn go_on(stop: &CancellationToken) -> io::Result<()> {
    if stop.is_cancelled() {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "it was stopped"));
    }
    Ok(())
}

/// A kernel before 5.8 does not say: then it is copied, as `cp -a` would.
fn is_mounted(directory: &OwnedFd) -> bool {
    let told = sys::statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::empty());
    told.is_ok_and(|told| told.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn file(
    found: &OwnedFd,
    to: &OwnedFd,
    name: &OsStr,
    stat: &Stat,
    stop: &CancellationToken,
) -> io::Result<()> {
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
fn attributes_of_name(to: &OwnedFd, name: &OsStr, stat: &Stat) -> io::Result<()> {
    chown_of_name(to, name, stat)?;
    times_of_name(to, name, stat)
}

fn chown_of_name(to: &OwnedFd, name: &OsStr, stat: &Stat) -> io::Result<()> {
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    Ok(sys::chownat(to, name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times_of_name(to: &OwnedFd, name: &OsStr, stat: &Stat) -> io::Result<()> {
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
