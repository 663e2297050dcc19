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
/// The kernel has a quota of keys for each user, over all containers: a process that is root in one that has no seccomp profile may
/// use up that of the machine's root. Then the keyring is counted as another user's, or no container would begin any more; an exec
/// has one for itself in that case.
///
/// # Errors
/// The kernel has no memory for it. One without keyrings, or a filter of system calls that forbids them, is none: then the
/// container can not use any either.
pub(crate) fn join(container: &str) -> Result<(), String> {
    let joined = match make(container) {
        Err(Errno::EDQUOT) => as_real_user(own_user(container), || make(container)),
        made => made,
    };
    match joined {
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

/// None that a process can have: no image and no user of ours may name one above 2147483647.
fn own_user(container: &str) -> u32 {
    // FNV-1a: where two containers have the same one they share its quota, and nothing else
    let hash = container
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    0x8000_0000 | (hash >> 2)
}

/// It is the real user whom a key is counted for. The effective one stays, and with it whatever this thread may do.
fn as_real_user(user: u32, work: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let become_user = |user: u32| {
        let (real, same) = (libc::c_long::from(user), libc::c_long::from(-1));
        // SAFETY: takes numbers only. The system call itself, which is about this thread alone.
        Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, real, same, same) }).map(drop)
    };
    // SAFETY: it can not fail, and touches no memory.
    let before = unsafe { libc::getuid() };
    become_user(user)?;
    let done = work();
    // else what comes after it would have the wrong user
    become_user(before)?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBE: libc::c_long = 6;
    const SESSION_KEYRING: libc::c_long = -3;

    fn session_keyring() -> String {
        let mut text = [0_u8; 256];
        // SAFETY: the kernel writes no more than it is told, into memory that lives through the call.
        let length = unsafe {
            libc::syscall(libc::SYS_keyctl, DESCRIBE, SESSION_KEYRING, text.as_mut_ptr(), text.len())
        };
        let length = usize::try_from(length).unwrap_or(0).min(text.len());
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    #[test]
    fn beyond_the_quota_of_root_a_keyring_is_nobody_elses() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can become another user");
            return;
        }
        // a session keyring and a real user are a thread's own
        let in_a_thread = || {
            let user = own_user("one");
            if let Err(errno @ (Errno::ENOSYS | Errno::EPERM)) = as_real_user(user, || make("one")) {
                println!("SKIPPED: no keyrings here: {errno}");
                return;
            }
            let found = session_keyring();
            // the kernel prints users with a sign
            let shown = user.cast_signed();
            assert!(found.starts_with(&format!("keyring;{shown};")) && found.contains("_ses.one"), "{found}");
            assert_eq!((nix::unistd::getuid().as_raw(), nix::unistd::geteuid().as_raw()), (0, 0));
        };
        std::thread::spawn(in_a_thread).join().unwrap();
    }

    #[test]
    fn the_user_that_a_keyring_is_counted_for_is_none_that_a_container_can_have() {
        for container in ["", "a", "0123456789abcdef", "ffffffffffffffffffffffffffffffff"] {
            let user = own_user(container);
            assert!(cri::checked_id(user.into()).is_err() && user != u32::MAX, "{container}: {user}");
        }
    }
}
