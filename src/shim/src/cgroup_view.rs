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
use nix::sys::statfs::{SYSFS_MAGIC, TMPFS_MAGIC, fstatfs, statfs};
use nix::unistd::fchdir;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";
/// Of this thread's mount namespace.
const MOUNTS: &str = "/proc/thread-self/mountinfo";
const RESTRICTED: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

pub(crate) struct View {
    shown: Vec<Shown>,
    writable: bool,
}

/// A directory of cgroups that is nowhere yet, and where the container will see it.
struct Shown {
    directory: OwnedFd,
    target: PathBuf,
    /// What is forbidden there is forbidden already.
    is_restricted: bool,
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
        let directory = sys::clone_mounts(source, false).map_err(|errno| said("clone", source, errno))?;
        let is_restricted = sys::restrict(&directory, view.writable).is_ok();
        Ok(Shown { directory, target: target.clone(), is_restricted })
    });
    let shown = shown.collect::<Result<_, String>>()?;
    hide()?;
    Ok(View { shown, writable: view.writable })
}

/// libcontainer looks for v1's hierarchies among all mounts, and only where a tmpfs is at [`ROOT`]. One that it finds it wants to use:
/// also one that somebody has mounted since the daemon began, or beside v2, as VPNs do with `net_cls`.
fn hide() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| format!("unshare the mount namespace: {}", errno.desc().to_lowercase()))?;
    // where it is a tmpfs most of v1 is mounted in it
    let root = Path::new(ROOT);
    if statfs(root).is_ok_and(|root| root.filesystem_type() == TMPFS_MAGIC) {
        umount2(root, MntFlags::MNT_DETACH).map_err(|errno| said("hide", root, errno))?;
    }
    let mounts = fs::read(MOUNTS).map_err(|e| format!("read {MOUNTS}: {e}"))?;
    for at in others(&String::from_utf8_lossy(&mounts)).into_iter().rev() {
        // what can not be hidden is used, as far as it can be
        let _ = umount2(at, MntFlags::MNT_DETACH);
    }
    mount(Some("tmpfs"), ROOT, Some("tmpfs"), RESTRICTED, Some("mode=755"))
        .map_err(|errno| said("hide", root, errno))
}

/// Where v1's hierarchies are mounted, in the order in which they were; proc_pid_mountinfo(5). Not those on a mount that is shared, as
/// that of a volume may be: the machine's own would be unmounted with it.
fn others(mounts: &str) -> Vec<&Path> {
    let lines = mounts.lines().filter_map(|line| line.split_once(" - "));
    let mounts: Vec<(Vec<&str>, &str)> = lines.map(|(at, kind)| (at.split(' ').collect(), kind)).collect();
    let is_shared = |fields: &[&str]| fields.iter().skip(6).any(|tag| tag.starts_with("shared:"));
    let shared: Vec<&str> = mounts.iter().filter(|(at, _)| is_shared(at)).map(|(at, _)| at[0]).collect();
    let of_v1 = mounts.iter().filter(|(at, kind)| kind.starts_with("cgroup ") && !shared.contains(&at[1]));
    of_v1.filter_map(|(at, _)| at.get(4).copied()).map(Path::new).collect()
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
        let mut all = self.shown.iter();
        all.try_for_each(|one| self.show_one(one).map_err(|errno| said("show", &one.target, errno)))?;
        self.close_place().map_err(|errno| said("close the place of", Path::new(ROOT), errno))
    }

    /// v1's directories are in a tmpfs of the container's own. As with runc, nobody writes beside what he may not write to: a root that is
    /// read-only would have a place that is not.
    fn close_place(&self) -> Result<(), Errno> {
        let place = open_plainly(Path::new(ROOT))?;
        if self.writable || self.shown.is_empty() || fstatfs(&place)?.filesystem_type() != TMPFS_MAGIC {
            return Ok(());
        }
        fchdir(&place)?;
        let flags = RESTRICTED | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, ".", None::<&str>, flags, None::<&str>)
    }

    fn show_one(&self, one: &Shown) -> Result<(), Errno> {
        match fs::create_dir(&one.target) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(e.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
            }
            _ => {}
        }
        sys::attach_mount_at(&one.directory, &open_plainly(&one.target)?)?;
        if one.is_restricted {
            return Ok(());
        }
        let mut flags = RESTRICTED | MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
        flags.set(MsFlags::MS_RDONLY, !self.writable);
        // by no name: in a volume others may put a link in its place, and what it leads to would be restricted instead
        fchdir(&one.directory)?;
        mount(None::<&str>, ".", None::<&str>, flags, None::<&str>)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_v1_are_found_among_all_mounts() {
        let mounts = "\
30 1 0:26 / /sys/fs/cgroup rw,nosuid master:4 - cgroup2 cgroup rw,nsdelegate
31 30 0:27 / /sys/fs/cgroup/net_cls rw,relatime master:9 - cgroup net_cls rw,net_cls
32 1 0:28 / /volume rw,relatime shared:5 master:9 - tmpfs tmpfs rw
33 32 0:27 / /volume/net_cls rw,relatime - cgroup net_cls rw,net_cls
34 1 0:29 / /cgroup rw,relatime - tmpfs cgroup rw
35 34 0:30 / /cgroup/cpu rw,relatime shared:6 - cgroup none rw,cpu
";
        assert_eq!(others(mounts), ["/sys/fs/cgroup/net_cls", "/cgroup/cpu"].map(Path::new));
    }

    #[test]
    fn what_is_shown_is_written_to_only_where_it_may_be() {
        use nix::sys::statvfs::{FsFlags, statvfs};
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can mount");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: String| dir.path().canonicalize().unwrap().join(name);
        let in_own_mounts = || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).unwrap();
            for (name, writable, before) in [
                ("as it comes", false, true),
                ("as it comes, writable", true, true),
                ("by an old kernel", false, false),
                ("by an old kernel, writable", true, false),
            ] {
                let (source, target) = (at(format!("of {name}")), at(name.to_owned()));
                fs::create_dir(&source).unwrap();
                let directory = sys::clone_mounts(&source, false).unwrap();
                let is_restricted = before && sys::restrict(&directory, writable).is_ok();
                let one = Shown { directory, target, is_restricted };
                View { shown: Vec::new(), writable }.show_one(&one).unwrap();
                assert_eq!(fs::write(one.target.join("file"), "").is_ok(), writable, "{name}");
                let wanted = FsFlags::ST_NOSUID | FsFlags::ST_NODEV | FsFlags::ST_NOEXEC;
                assert!(statvfs(&one.target).unwrap().flags().contains(wanted), "{name}");
            }
        };
        std::thread::scope(|scope| scope.spawn(in_own_mounts).join()).unwrap();
    }

    #[test]
    fn nobody_writes_beside_what_he_may_not_write_to() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can mount");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let in_own_mounts = || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).unwrap();
            for writable in [false, true] {
                mount(Some("tmpfs"), ROOT, Some("tmpfs"), RESTRICTED, none).unwrap();
                let directory = sys::clone_mounts(dir.path(), false).unwrap();
                let is_restricted = sys::restrict(&directory, writable).is_ok();
                let one = Shown { directory, target: Path::new(ROOT).join("memory"), is_restricted };
                View { shown: vec![one], writable }.show().unwrap();
                for name in ["memory/limit", "beside"] {
                    let written = fs::write(Path::new(ROOT).join(name), "");
                    assert_eq!(written.is_ok(), writable, "{name}: {written:?}");
                }
            }
        };
        std::thread::scope(|scope| scope.spawn(in_own_mounts).join()).unwrap();
    }

    #[test]
    fn no_hierarchy_is_seen_wherever_it_is_mounted() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can mount");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("net_cls");
        fs::create_dir(&at).unwrap();
        let in_own_mounts = || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).unwrap();
            let named = Some("none,name=monopod-shim-test");
            if mount(Some("none"), &at, Some("cgroup"), MsFlags::empty(), named).is_err() {
                println!("SKIPPED: this kernel has no cgroup v1");
                return;
            }
            let seen = || fs::read_to_string(MOUNTS).unwrap();
            assert!(others(&seen()).contains(&at.as_path()), "{}", seen());
            hide().unwrap();
            assert!(!seen().contains(" - cgroup "), "{}", seen());
            let root = statfs(ROOT).unwrap();
            assert_eq!(root.filesystem_type(), TMPFS_MAGIC);
        };
        std::thread::scope(|scope| scope.spawn(in_own_mounts).join()).unwrap();
    }
}
