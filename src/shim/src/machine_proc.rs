//! The machine's /proc, as libcontainer holds it open while it makes a container.
//!
//! With cgroup v1, and where it sees no cgroups at all, it looks for the cgroups' mounts before it joins the container's PID namespace.
//! The /proc that it does it with is kept by pathrs for the rest of the process, which is the container's first one at the end: in that
//! /proc all processes of the machine are seen, whatever is mounted in the container. An image whose PATH led through its number was run
//! as a file of the machine's, and then could write it (`/proc/self/exe`), where a process of the container's user has that file in its
//! root.

use crate::cgroup_view::View;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use pathrs::procfs::ProcfsHandle;
use std::os::fd::{AsFd, AsRawFd, RawFd};

const CGROUPS: &str = "/sys/fs/cgroup";

/// Opens it before libcontainer would, so that its number is known, in all processes that come of this one. `None`: where libcontainer
/// sees cgroup v2 alone it opens the container's and no other. `hidden`: the cgroups that it does not see.
///
/// # Errors
/// There is none, and libcontainer could do nothing.
pub(crate) fn open(hidden: Option<&View>) -> Result<Option<RawFd>, String> {
    if hidden.is_none() && statfs(CGROUPS).is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC) {
        return Ok(None);
    }
    let handle = ProcfsHandle::new().map_err(|e| format!("open /proc: {e}"))?;
    let number = handle.as_fd().as_raw_fd();
    // of an old kernel's pathrs keeps none: then it stays open here, so that nothing else gets its number
    std::mem::forget(handle);
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup_view;
    use cri::wire::{CgroupFiles, CgroupView};
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};

    #[test]
    fn it_is_known_where_the_machine_s_cgroups_of_v2_are_hidden() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can mount");
            return;
        }
        let in_own_mounts = || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).unwrap();
            if mount(Some("cgroup2"), CGROUPS, Some("cgroup2"), MsFlags::empty(), none).is_err() {
                println!("SKIPPED: no cgroup v2 can be mounted here");
                return;
            }
            assert_eq!(open(None), Ok(None));
            let view = cgroup_view::enter(&CgroupView::default(), &CgroupFiles::default()).unwrap();
            assert!(open(Some(&view)).unwrap().is_some());
        };
        std::thread::scope(|scope| scope.spawn(in_own_mounts).join()).unwrap();
    }
}
