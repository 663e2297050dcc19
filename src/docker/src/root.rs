//! A container's root file system from outside, for `cp` and `export`.
//!
//! It is put together in a mount namespace of a thread of its own: for a container that runs its own root mount, without
//! what is mounted on it (/proc, /dev, tmpfs and the volumes), for one that does not its layers; on top of that what the
//! caller wants mounted. So nothing of it is seen on the machine, nothing stays after a crash, and /proc is never walked
//! into. The kernel resolves every path inside of it (openat2 with RESOLVE_IN_ROOT), and directories are walked by
//! descriptor: no link, not even one that the container sets while we look, leads out. Read [`look`] first.

use crate::record::{Container, new_id};
use cri::{Mount, overlay, subpath};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use rustix::fs::OFlags;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// Names of the directories that roots are mounted on.
const VIEW: &str = "view-";

/// Removes what an engine that was killed in the middle of a copy left of a container's views: empty directories.
pub(crate) fn sweep(container: &Path) {
    for entry in std::fs::read_dir(container.join("root")).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(VIEW.as_bytes()) {
            drop(Named(entry.path()));
        }
    }
}

/// Something in a root: the directory that holds it, and its name there (`.` for the root itself).
pub(crate) struct Place {
    pub(crate) directory: OwnedFd,
    pub(crate) name: PathBuf,
}

/// To be used on the thread that it was made on.
pub(crate) struct Root {
    fd: OwnedFd,
    /// Where it is mounted, for this thread.
    at: PathBuf,
}

/// Mounts that go with their owner.
pub(crate) struct Overlay(PathBuf);

impl Drop for Overlay {
    fn drop(&mut self) {
        unmount(&self.0);
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// At once, so that who starts the container next finds its directories free; lazily what is still in use.
fn unmount(at: &Path) {
    if umount2(at, MntFlags::UMOUNT_NOFOLLOW).is_err() {
        let _ = umount2(at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    }
}

impl Overlay {
    /// `layers` topmost first; with an upper and a work directory it can be written to.
    pub(crate) fn mount(layers: &[PathBuf], upper: Option<(&Path, &Path)>, at: &Path) -> io::Result<Overlay> {
        std::fs::create_dir_all(at)?;
        if let (true, Some((upper, _))) = (layers.is_empty(), upper) {
            // an image FROM scratch: overlayfs wants at least one lower directory
            std::fs::create_dir_all(upper)?;
            mount(Some(upper), at, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            return Ok(Overlay(at.to_owned()));
        }
        let open = |path: &Path| nix::fcntl::open(path, DIRECTORY, Mode::empty());
        let layers = layers.iter().map(|layer| open(layer)).collect::<nix::Result<Vec<_>>>()?;
        // by descriptor: the kernel takes one page of options, and layers have long names
        let short = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
        let mut options = format!("lowerdir={}", layers.iter().map(short).collect::<Vec<_>>().join(":"));
        if let Some((upper, work)) = upper {
            std::fs::create_dir_all(upper)?;
            std::fs::create_dir_all(work)?;
            options += &format!(",upperdir={},workdir={}", upper.display(), work.display());
        }
        options += &format!(",{}", overlay::options());
        mount(Some("overlay"), at, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Overlay(at.to_owned()))
    }

    /// An image alone. With nothing to be written to overlayfs wants two layers.
    fn of_image(layers: &[PathBuf], at: &Path) -> io::Result<Overlay> {
        if layers.len() > 1 {
            return Overlay::mount(layers, None, at);
        }
        std::fs::create_dir_all(at)?;
        if let Some(only) = layers.first() {
            mount(Some(only.as_path()), at, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        }
        Ok(Overlay(at.to_owned()))
    }
}

/// The layers of images that are mounted, by id, topmost first.
pub(crate) type Images = BTreeMap<String, Vec<PathBuf>>;

/// Puts a container's root together, with `mounts` on it (their sources are directories and files of the machine, or
/// `images`), and works in it. Blocks.
///
/// # Errors
/// It can not be put together; a source that is gone is left out.
pub(crate) fn look<T: Send>(
    container: &Container,
    layers: &[PathBuf],
    mounts: &[Mount],
    images: &Images,
    work: impl FnOnce(&Root) -> T + Send,
) -> io::Result<T> {
    // the thread's mount namespace ends with it
    let thread = || -> io::Result<T> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        // nothing of ours gets out, and what the machine unmounts is not held by us
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)?;
        let base = base(container, layers)?;
        let root = Root { fd: nix::fcntl::open(&base.0, DIRECTORY, Mode::empty())?, at: base.0.clone() };
        let mut made = Covers(Vec::new());
        let (mut mounts, mut overlays) = (mounts.to_vec(), Vec::new());
        for (number, mount) in mounts.iter_mut().enumerate() {
            let Some(layers) = mount.image.take().and_then(|image| images.get(&image)) else { continue };
            let at = base.0.with_extension(format!("image-{number}"));
            overlays.push(Overlay::of_image(layers, &at)?);
            mount.source = Some(at);
        }
        // a mount below another one is made after it, or it would be covered
        mounts.sort_by_key(|mount| mount.target.components().count());
        for mount in &mounts {
            made.0.extend(root.cover(mount)?);
        }
        let done = work(&root);
        drop(root);
        drop(made);
        drop(overlays);
        drop(base);
        Ok(done)
    };
    let joined = std::thread::scope(|scope| scope.spawn(thread).join());
    joined.unwrap_or_else(|_| Err(io::Error::other("the engine's own fault")))
}

/// The mounts on a root, by descriptors of what they cover.
struct Covers(Vec<PathBuf>);

impl Drop for Covers {
    fn drop(&mut self) {
        self.0.iter().rev().for_each(|at| unmount(at));
    }
}

/// The container's own file system, mounted for this thread alone.
fn base(container: &Container, layers: &[PathBuf]) -> io::Result<Overlay> {
    // several may look at once
    let name = format!("{VIEW}{}", &new_id()[..12]);
    let (at, record) = (container.dir().join("root").join(name), container.record());
    match record.process() {
        None => Overlay::mount(layers, Some((&container.upper(), &container.work())), &at),
        Some(running) => {
            let tree = own_mount(running.pid, &record.id)?;
            std::fs::create_dir_all(&at)?;
            attach(&tree, &at)?;
            Ok(Overlay(at))
        }
    }
}

/// A copy of a running container's root mount alone, which is nowhere yet. Only from inside of its mount namespace can it be
/// copied; open_tree(2).
fn own_mount(pid: i32, id: &str) -> io::Result<OwnedFd> {
    let process = nix::fcntl::open(format!("/proc/{pid}").as_str(), DIRECTORY, Mode::empty())?;
    let open = |name: &str| openat(&process, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    let theirs = open("ns/mnt")?;
    // its number may be another's by now, and whoever has it then is in no cgroup of this container
    let mut cgroups = String::new();
    File::from(open("cgroup")?).read_to_string(&mut cgroups)?;
    if !cgroups.contains(id) {
        return Err(io::Error::other("the container has ended meanwhile"));
    }
    let own = File::open("/proc/thread-self/ns/mnt")?;
    setns(&theirs, CloneFlags::CLONE_NEWNS)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(rustix::fs::CWD, "/", flags);
    setns(own, CloneFlags::CLONE_NEWNS)?;
    Ok(tree?)
}

fn attach(tree: &OwnedFd, at: &Path) -> io::Result<()> {
    Ok(move_mount(tree, "", rustix::fs::CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn is_directory(fd: impl AsFd) -> bool {
    fstat(fd).is_ok_and(|found| kind(&found) == SFlag::S_IFDIR)
}

impl Root {
    /// Mounts something at its target, by descriptors at both ends; gives the place, if there was anything to mount.
    fn cover(&self, mount: &Mount) -> io::Result<Option<PathBuf>> {
        let Some(source) = &mount.source else { return Ok(None) };
        let opened = match &mount.subpath {
            Some(part) => subpath::open(source, part),
            None => nix::fcntl::open(source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()),
        };
        let opened = match opened {
            Err(Errno::ENOENT) => return Ok(None),
            opened => opened?,
        };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(&opened, "", flags)?;
        let target = self.place_for(&mount.target, is_directory(&opened))?;
        let _named =
            mount.read_only.then(|| read_only(&tree, &self.at, is_directory(&opened))).transpose()?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&tree, "", &target, "", flags)?;
        Ok(Some(std::fs::read_link(format!("/proc/self/fd/{}", target.as_raw_fd()))?))
    }

    /// What is there, made where it is missing.
    fn place_for(&self, path: &Path, directory: bool) -> io::Result<OwnedFd> {
        if directory {
            return self.make_directory(path);
        }
        let path = plain(path);
        let parent = self.make_directory(path.parent().unwrap_or(Path::new("/")))?;
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        match openat(&parent, path.file_name().unwrap_or_default(), flags, Mode::from_bits_truncate(0o755)) {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(self.resolve(&path, OFlag::O_PATH)?)
    }

    fn resolve(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let opened = trees::open_in_root(&self.fd, path, OFlags::from_bits_retain(flags.bits() as u32));
        opened.map_err(|e| Errno::from_raw(e.raw_os_error()))
    }

    /// A running process's own root, with all that is mounted in it. Only to read a file of: it is not walked.
    pub(crate) fn of_process(pid: i32) -> io::Result<Root> {
        let at = PathBuf::from(format!("/proc/{pid}/root"));
        Ok(Root { fd: nix::fcntl::open(&at, DIRECTORY, Mode::empty())?, at })
    }

    /// A text file's content; empty where there is none, or something that is no file of the container's own.
    pub(crate) fn read_text(&self, path: &Path) -> String {
        let found = self.resolve(path, OFlag::O_PATH).ok();
        found.and_then(|found| trees::read_text(found).ok()).unwrap_or_default()
    }

    /// A directory, links followed.
    pub(crate) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        Ok(self.resolve(path, DIRECTORY)?)
    }

    /// Anything, links followed.
    pub(crate) fn at(&self, path: &Path) -> io::Result<OwnedFd> {
        Ok(self.resolve(path, OFlag::O_PATH)?)
    }

    /// What the container calls something that was opened in it.
    pub(crate) fn path_of(&self, opened: &OwnedFd) -> io::Result<PathBuf> {
        let seen = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd()))?;
        let inside = seen.strip_prefix(&self.at).map_err(io::Error::other)?;
        Ok(Path::new("/").join(inside))
    }

    /// Where something is, whose own last name is not followed if it is a link.
    pub(crate) fn place(&self, path: &Path) -> io::Result<Place> {
        let path = plain(path);
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(Place { directory: self.directory(parent)?, name: name.into() }),
            _ => self.inside(&path),
        }
    }

    /// A directory as a place of its own, links followed.
    pub(crate) fn inside(&self, path: &Path) -> io::Result<Place> {
        Ok(Place { directory: self.directory(path)?, name: ".".into() })
    }

    /// The directory, made with its parents where they are missing.
    pub(crate) fn make_directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut at = PathBuf::from("/");
        for part in plain(path).components().filter(|c| matches!(c, Component::Normal(_))) {
            let parent = at.clone();
            at.push(part);
            match self.directory(&at) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let mode = Mode::from_bits_truncate(0o755);
                    match mkdirat(self.directory(&parent)?, part.as_os_str(), mode) {
                        Ok(()) | Err(Errno::EEXIST) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                found => drop(found?),
            }
        }
        self.directory(path)
    }
}

/// A name that a mount had for a moment.
struct Named(PathBuf);

impl Drop for Named {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0).or_else(|_| std::fs::remove_file(&self.0));
    }
}

/// A mount's attributes can be set where it has a name: so for a moment it is at one that is nobody's but ours, beside `at`.
fn read_only(tree: &OwnedFd, at: &Path, directory: bool) -> io::Result<Named> {
    let named = Named(at.with_extension("part"));
    if directory {
        std::fs::create_dir_all(&named.0)?;
    } else {
        File::create(&named.0)?;
    }
    attach(tree, &named.0)?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(None::<&str>, &named.0, None::<&str>, flags, None::<&str>)?;
    Ok(named)
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
        stat(&self.directory, self.name.as_os_str())
    }

    pub(crate) fn link_target(&self) -> Option<PathBuf> {
        readlinkat(&self.directory, self.name.as_os_str()).ok().map(PathBuf::from)
    }
}

pub(crate) fn stat(directory: &OwnedFd, name: &OsStr) -> nix::Result<FileStat> {
    fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

pub(crate) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// Opens what is no link.
pub(crate) fn open(directory: &OwnedFd, name: &OsStr, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
    openat(directory, name, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, mode)
}

#[cfg(test)]
pub(crate) mod tests;
