//! A terminal for an exec, of the container's own devpts. Not the C library's openpty(3): that opens /dev/ptmx, which may be
//! anything in a container, and finds the other end by a name.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::statfs::{FsType, fstatfs};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

// asm-generic/ioctls.h
const TIOCSPTLCK: libc::Ioctl = 0x4004_5431;
const TIOCGPTPEER: libc::Ioctl = 0x5441;
const DEVPTS: FsType = FsType(0x1cd1);

/// The master, and the end that is the process's. Called in the container.
///
/// # Errors
/// /dev/pts is not what it should be; the kernel has no more terminals.
pub(crate) fn open() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    // no link of the container's leads elsewhere (CVE-2025-52565)
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let master = openat2(AT_FDCWD, "/dev/pts/ptmx", how)?;
    if fstatfs(&master)?.filesystem_type() != DEVPTS {
        return Err(Errno::ENOTTY);
    }
    let unlocked = 0;
    // SAFETY: the descriptor is open, and the kernel reads an int that lives through the call.
    Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), TIOCSPTLCK, &raw const unlocked) })?;
    // SAFETY: the descriptor is open; a number; what comes back is a new descriptor of ours.
    let slave = Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), TIOCGPTPEER, flags.bits()) })?;
    // SAFETY: as above.
    Ok((master, unsafe { OwnedFd::from_raw_fd(slave as RawFd) }))
}

/// Makes it this process's input and output.
///
/// # Errors
/// What the kernel says.
pub(crate) fn connect(terminal: &OwnedFd) -> Result<(), Errno> {
    nix::unistd::dup2_stdin(terminal)?;
    nix::unistd::dup2_stdout(terminal)?;
    nix::unistd::dup2_stderr(terminal)
}

/// Makes it the terminal of this process, which must lead a session without one.
///
/// # Errors
/// What the kernel says.
pub(crate) fn take(terminal: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: the descriptor is open, and the rest is a number.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
}
