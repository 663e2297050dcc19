//! A container's way into its cgroups, and what it sees of them.
//!
//! libcontainer moves its processes there by their numbers, and for such a move the kernel waits until nobody forks: for some
//! 10 ms after a pause, in which nobody makes a cgroup either. Who has one thread and moves himself waits for nobody (v1). So the
//! helper enters the cgroups itself, what it makes is born there, and libcontainer is shown a machine without cgroups.

use crate::{cgroup, sys};
use cri::wire::{CgroupFiles, CgroupView};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{SYSFS_MAGIC, TMPFS_MAGIC, fstatfs};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";
const RESTRICTED: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Directories of cgroups that are nowhere yet, and where the container will see them.
pub(crate) struct View {
    shown: Vec<(OwnedFd, PathBuf)>,
    writable: bool,
}

/// Moves this process, which has one thread, into the container's cgroups, and into a mount namespace without any.
///
/// # Errors
/// What could not be done, and why.
pub(crate) fn enter(view: &CgroupView, cgroup: &CgroupFiles) -> Result<View, String> {
    for directory in &cgroup.dirs {
        cgroup::join(directory).map_err(|e| format!("join cgroup {}: {e}", directory.display()))?;
    }
    let shown = view.shown.iter().map(|(source, target)| {
        let clone = sys::clone_mounts(source, false);
        Ok((clone.map_err(|errno| said("clone", source, errno))?, target.clone()))
    });
    let shown = shown.collect::<Result<_, String>>()?;
    hide(&view.hierarchies)?;
    Ok(View { shown, writable: view.writable })
}

/// libcontainer looks for v1's hierarchies among all mounts, and only where a tmpfs is at [`ROOT`].
fn hide(hierarchies: &[PathBuf]) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| format!("unshare the mount namespace: {}", errno.desc().to_lowercase()))?;
    for at in hierarchies {
        umount2(at, MntFlags::MNT_DETACH).map_err(|errno| said("hide", at, errno))?;
    }
    mount(Some("tmpfs"), ROOT, Some("tmpfs"), RESTRICTED, Some("mode=755"))
        .map_err(|errno| said("hide", Path::new(ROOT), errno))
}

fn said(what: &str, at: &Path, errno: Errno) -> String {
    format!("{what} cgroups at {}: {}", at.display(), errno.desc().to_lowercase())
}

impl View {
    /// In the container's mount namespace, before anything runs in it.
    ///
    /// # Errors
    /// Which cgroup it would not see, and why.
    pub(crate) fn show(&self) -> Result<(), String> {
        if !is_kernels_own() {
            return Ok(());
        }
        self.shown
            .iter()
            .try_for_each(|(mount, target)| self.show_one(mount, target).map_err(|e| said("show", target, e)))
    }

    fn show_one(&self, directory: &OwnedFd, target: &Path) -> Result<(), Errno> {
        match fs::create_dir(target) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(e.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
            }
            _ => {}
        }
        sys::attach_mount_at(directory, &open_plainly(target)?)?;
        let mut flags = RESTRICTED | MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
        flags.set(MsFlags::MS_RDONLY, !self.writable);
        mount(None::<&str>, target, None::<&str>, flags, None::<&str>)
    }
}

/// Whether the place for them is the container's tmpfs (v1) or the kernel's directory (v2): the user may have mounted something there
/// by another name.
fn is_kernels_own() -> bool {
    let root = open_plainly(Path::new(ROOT)).and_then(fstatfs);
    root.is_ok_and(|root| [TMPFS_MAGIC, SYSFS_MAGIC].contains(&root.filesystem_type()))
}

/// By no link: what the user has mounted there could lead wherever.
fn open_plainly(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    openat2(AT_FDCWD, path, OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS))
}
