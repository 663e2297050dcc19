//! The end of mounts in directories that are ours, whoever made them.

use crate::mountinfo;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use std::io;
use std::path::{Path, PathBuf};

/// Unmounts, the newest first, what is mounted where `is_one` says so. What is in use goes when its last user does. One may be a copy
/// of a directory with all that is mounted in it (`rbind`): where mounts are shared, as systemd sets them up, the machine's own would
/// be unmounted with what is in the copy, so nothing is taken back from there.
///
/// # Errors
/// The first that stays, and why. The others are unmounted.
pub fn unmount_each(is_one: impl Fn(&Path) -> bool) -> io::Result<()> {
    let mounted = || -> io::Result<Vec<PathBuf>> {
        Ok(mountinfo::targets()?.into_iter().filter(|target| is_one(target)).collect())
    };
    let all = mounted()?;
    for target in &all {
        // a slave's own end is told by the mount that it is on, and not by this
        let _ = mount_change(target, MountPropagationFlags::DOWNSTREAM);
    }
    let failed = |target: &PathBuf| {
        let gone = unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
        gone.err().map(|e| io::Error::other(format!("unmount {}: {e}", target.display())))
    };
    // all are tried
    let failures: Vec<io::Error> = all.iter().rev().filter_map(failed).collect();
    match (failures.into_iter().next(), mounted()?.first()) {
        (Some(error), _) => Err(error),
        (None, Some(left)) => Err(io::Error::other(format!("{} is still mounted", left.display()))),
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};

    #[test]
    fn what_a_copy_shows_stays_where_it_is() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can mount");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let in_own_mounts = || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            let tmpfs = |target: &Path| mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), none);
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).unwrap();
            tmpfs(dir.path()).unwrap();
            mount(none, dir.path(), none, MsFlags::MS_SHARED, none).unwrap();
            for name in ["shelf", "ours", "ours/copy"] {
                std::fs::create_dir(at(name)).unwrap();
            }
            tmpfs(&at("shelf")).unwrap();
            std::fs::create_dir(at("shelf/disk")).unwrap();
            tmpfs(&at("shelf/disk")).unwrap();
            let all = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(&at("shelf")), &at("ours/copy"), none, all, none).unwrap();
            let mounted = |below: &str| {
                mountinfo::targets().unwrap().iter().filter(|target| target.starts_with(at(below))).count()
            };
            assert_eq!((mounted("shelf"), mounted("ours")), (2, 2));
            unmount_each(|target| target.starts_with(at("ours"))).unwrap();
            assert_eq!((mounted("shelf"), mounted("ours")), (2, 0));
        };
        std::thread::scope(|scope| scope.spawn(in_own_mounts).join()).unwrap();
    }
}
