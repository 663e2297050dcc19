//! A container's session keyring. Without one of its own a container has that of whoever started the daemon: the keys of an
//! administrator's login. An exec joins that of its container by name, as runc has it.

use crate::sys;
use nix::errno::Errno;

// linux/keyctl.h
const JOIN_SESSION_KEYRING: libc::c_long = 1;
const SETPERM: libc::c_long = 5;

/// The possessor may do everything; other processes of the host's root may see, read and link, as always, and also search:
/// without that an exec would not find it by its name.
const PERMISSIONS: libc::c_long = 0x3f1b_0000;

/// This process, and those that it makes, have the container's own from now on. Called as root, before any descent.
///
/// # Errors
/// The kernel has no memory or no quota for it. One without keyrings, or a filter of system calls that forbids them, is
/// none: then the container can not use any either.
pub(crate) fn join(container: &str) -> Result<(), String> {
    match make(container) {
        Ok(()) | Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        Err(errno) => Err(format!("unable to join session keyring: {}", errno.desc().to_lowercase())),
    }
}

fn make(container: &str) -> Result<(), Errno> {
    let name = sys::cstring(format!("_ses.{container}"))?;
    // SAFETY: a NUL-terminated name that lives through the call.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    let keyring = Errno::result(joined)?;
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, keyring, PERMISSIONS) }).map(drop)
}
