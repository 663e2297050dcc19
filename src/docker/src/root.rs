//! A container's root file system from outside, for `cp` and `export`. The kernel resolves every path inside of it
//! (openat2 with RESOLVE_IN_ROOT), and folders are walked by descriptor: no link, not even one that the container sets
//! while we look, leads out.

use crate::record::{Container, MountKind};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Something in a root: the folder that holds it, and its name there (`.` for the root itself).
pub(crate) struct Place {
    pub(crate) folder: OwnedFd,
    pub(crate) name: PathBuf,
}

pub(crate) struct Root {
    fd: OwnedFd,
    /// Paths are below this one.
    below: PathBuf,
    _overlay: Option<Overlay>,
}

/// A mount that goes with its owner.
pub(crate) struct Overlay(PathBuf);

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_dir(&self.0);
    }
}

impl Overlay {
    /// `layers` topmost first; with an upper and a work folder it can be written to.
    pub(crate) fn mount(layers: &[PathBuf], upper: Option<(&Path, &Path)>, at: &Path) -> io::Result<Overlay> {
        std::fs::create_dir_all(at)?;
        let open = |path: &Path| nix::fcntl::open(path, FOLDER, Mode::empty());
        let layers = layers.iter().map(|layer| open(layer)).collect::<nix::Result<Vec<_>>>()?;
        // by descriptor: the kernel takes one page of options, and layers have long names
        let short = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
        let mut options = format!("lowerdir={}", layers.iter().map(short).collect::<Vec<_>>().join(":"));
        if let Some((upper, work)) = upper {
            std::fs::create_dir_all(upper)?;
            std::fs::create_dir_all(work)?;
            options += &format!(",upperdir={},workdir={}", upper.display(), work.display());
        }
        mount(Some("overlay"), at, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Overlay(at.to_owned()))
    }
}

impl Root {
    /// The root in which `path` is: the container's own while it runs, else its layers and volumes put together.
    pub(crate) fn of(container: &Container, layers: &[PathBuf], path: &Path) -> io::Result<Root> {
        let record = container.record();
        if let Some(running) = record.running().filter(|running| running.pid > 0) {
            return Root::open(Path::new(&format!("/proc/{}/root", running.pid)), PathBuf::from("/"), None);
        }
        let plain = plain(path);
        let mounts =
            record.mounts.iter().filter(|m| m.kind != MountKind::Tmpfs && plain.starts_with(&m.target));
        if let Some(mounted) =
            mounts.max_by_key(|m| m.target.components().count()).filter(|m| m.source.is_dir())
        {
            return Root::open(&mounted.source, mounted.target.clone(), None);
        }
        let (upper, work) = (container.upper(), container.work());
        let overlay = Overlay::mount(layers, Some((&upper, &work)), &container.merged())?;
        Root::open(&container.merged(), PathBuf::from("/"), Some(overlay))
    }

    fn open(at: &Path, below: PathBuf, overlay: Option<Overlay>) -> io::Result<Root> {
        Ok(Root { fd: nix::fcntl::open(at, FOLDER, Mode::empty())?, below, _overlay: overlay })
    }

    fn resolve(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
        let relative = path.strip_prefix(&self.below).or_else(|_| path.strip_prefix("/")).unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        openat2(self.fd.as_fd(), relative, how)
    }

    /// A folder, links followed.
    pub(crate) fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        Ok(self.resolve(path, FOLDER)?)
    }

    /// Where something is, whose own last name is not followed if it is a link.
    pub(crate) fn place(&self, path: &Path) -> io::Result<Place> {
        let path = plain(path);
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if path != self.below => {
                Ok(Place { folder: self.folder(parent)?, name: name.into() })
            }
            _ => Ok(Place { folder: self.folder(&path)?, name: ".".into() }),
        }
    }

    /// The folder, made with its parents where they are missing.
    pub(crate) fn make_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut at = PathBuf::from("/");
        for part in plain(path).components().filter(|c| matches!(c, Component::Normal(_))) {
            let parent = at.clone();
            at.push(part);
            if self.below.starts_with(&at) {
                continue;
            }
            match self.folder(&at) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    nix::sys::stat::mkdirat(
                        self.folder(&parent)?,
                        part.as_os_str(),
                        Mode::from_bits_truncate(0o755),
                    )?;
                }
                found => drop(found?),
            }
        }
        self.folder(path)
    }
}

/// Absolute, without dots.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    plain
}

impl Place {
    pub(crate) fn stat(&self) -> nix::Result<FileStat> {
        stat(&self.folder, self.name.as_os_str())
    }

    pub(crate) fn link_target(&self) -> Option<PathBuf> {
        readlinkat(&self.folder, self.name.as_os_str()).ok().map(PathBuf::from)
    }
}

pub(crate) fn stat(folder: &OwnedFd, name: &OsStr) -> nix::Result<FileStat> {
    fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

pub(crate) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// Opens what is no link.
pub(crate) fn open(folder: &OwnedFd, name: &OsStr, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
    openat(folder, name, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, mode)
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &OwnedFd) -> io::Result<Vec<std::ffi::OsString>> {
    // the descriptor itself, not what its path leads to by now
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
    let mut names = entries.map(|e| e.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// True for what means that there is nothing at a path.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP))
}
