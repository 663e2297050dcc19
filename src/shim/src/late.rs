//! Binds onto /dev or a node in it, and below such a one: made when libcontainer has made the rest of the container and its first process
//! waits to be started. In the helper, which enters the container's mount namespace for it and ends soon after.

use crate::cgroup_view::View;
use crate::{guard, sys};
use cri::Propagation;
use cri::wire::LateMount;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

const CONSOLE: &str = "/dev/console";

/// `guarded`: where links are followed again from now on ([`crate::guard`]). `first` is the container's first process. What it sees of
/// its cgroups comes there in the same way.
///
/// # Errors
/// Which mount could not be made, and why.
pub(crate) fn mount(
    late: &[LateMount],
    guarded: &[PathBuf],
    cgroups: Option<&View>,
    first: i32,
) -> Result<(), String> {
    if late.is_empty() && guarded.is_empty() && cgroups.is_none() {
        return Ok(());
    }
    let said = |what: &str, errno: Errno| format!("{what}: {}", errno.desc().to_lowercase());
    // the sources are where the shim sees them
    let clones = late
        .iter()
        .map(|one| clone(one).map_err(|errno| said(&format!("clone mount {}", one.source.display()), errno)));
    let clones = clones.collect::<Result<Vec<_>, _>>()?;
    let namespace = format!("/proc/{first}/ns/mnt");
    let namespace = File::open(&namespace).map_err(|e| format!("open {namespace}: {e}"))?;
    setns(namespace, CloneFlags::CLONE_NEWNS)
        .map_err(|errno| said("join the container's mount namespace", errno))?;
    cgroups.map_or(Ok(()), View::show)?;
    // the first process's terminal, where it has one and a mount may cover it
    let console = (!late.is_empty()).then(|| sys::clone_mounts(Path::new(CONSOLE), false).ok()).flatten();
    for (one, clone) in late.iter().zip(&clones) {
        attach(clone, &one.target).map_err(|errno| {
            said(&format!("mount {} to {}", one.source.display(), one.target.display()), errno)
        })?;
    }
    if let Some(console) = console {
        // the machine may have none, and it is not for us to make one there
        let _ = attach(&console, Path::new(CONSOLE));
    }
    guard::open(guarded)
        .map_err(|(target, errno)| said(&format!("let links lead on in {}", target.display()), errno))
}

fn clone(one: &LateMount) -> Result<OwnedFd, Errno> {
    let clone = sys::clone_mounts(&one.source, one.recursive)?;
    let propagation = match one.propagation {
        Propagation::Private => MsFlags::MS_PRIVATE,
        Propagation::HostToContainer => MsFlags::MS_SLAVE,
        Propagation::Bidirectional => MsFlags::empty(),
    };
    sys::set_mount(&clone, true, false, propagation)?;
    if one.read_only {
        sys::set_mount(&clone, one.read_only_below, true, MsFlags::empty())?;
    }
    Ok(clone)
}

/// Nothing leads out of the container: its root is this process's now. Nor into its /proc, where a link leads that is in what was bound
/// onto /dev just now: what is said there of a process, and of its confinement, is the kernel's.
fn attach(mount: &OwnedFd, target: &Path) -> Result<(), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let place = openat2(AT_FDCWD, target, how)?;
    match fstatfs(&place)?.filesystem_type() {
        PROC_SUPER_MAGIC => Err(Errno::EPERM),
        _ => sys::attach_mount_at(mount, &place),
    }
}
