//! The machine's /proc, as libcontainer holds it open while it makes a container.
//!
//! With cgroup v1 it looks for the cgroups' mounts before it joins the container's PID namespace. The /proc that it does it with is kept
//! by pathrs for the rest of the process, which is the container's first one at the end: in that /proc all processes of the machine are
//! seen, whatever is mounted in the container. An image whose PATH led through its number was run as a file of the machine's, and then
//! could write it (`/proc/self/exe`), where a process of the container's user has that file in its root.

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use pathrs::procfs::ProcfsHandle;
use std::os::fd::{AsFd, AsRawFd, RawFd};

const CGROUPS: &str = "/sys/fs/cgroup";

/// Opens it before libcontainer would, so that its number is known, in all processes that come of this one. `None`: with cgroup v2
/// alone libcontainer opens the container's and no other.
///
/// # Errors
/// There is none, and libcontainer could do nothing.
pub(crate) fn open() -> Result<Option<RawFd>, String> {
    if statfs(CGROUPS).is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC) {
        return Ok(None);
    }
    let handle = ProcfsHandle::new().map_err(|e| format!("open /proc: {e}"))?;
    let number = handle.as_fd().as_raw_fd();
    // of an old kernel's pathrs keeps none: then it stays open here, so that nothing else gets its number
    std::mem::forget(handle);
    Ok(Some(number))
}
